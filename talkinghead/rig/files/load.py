"""Rigs from and to files: our own format, and the way to the readers of others."""

from pathlib import Path

from talkinghead.errors import UserError
from talkinghead.rig.files.flame import load_flame
from talkinghead.rig.files.folder import load_folder
from talkinghead.rig.files.gltf import load_gltf
from talkinghead.rig.files.own import load_own
from talkinghead.rig.rig import Rig


def load_rig(path: Path) -> Rig:
    """A rig from a file or a folder.

    * .safetensors: our own (`save_rig`)
    * a folder of .obj or .ply meshes, like ICT-FaceKit's (`folder.load_folder`)
    * .gltf, .glb: a mesh with morph targets (`gltf.load_gltf`)
    * .npz, .pkl: FLAME (`flame.load_flame`)

    Raises:
        UserError: if there is no such file or it is not a rig.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder.")
    try:
        return _read(path)
    except UserError:
        raise
    except Exception as error:  # a damaged file may raise anything in whatever reads it
        text = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: not a rig that can be read ({text}).") from error


def _read(path: Path) -> Rig:
    suffix = path.suffix.lower()
    if path.is_dir():
        return load_folder(path)
    if suffix in (".gltf", ".glb"):
        return load_gltf(path)
    if suffix in (".npz", ".pkl"):
        return load_flame(path)
    if suffix == ".safetensors":
        return load_own(path)
    raise UserError(
        f"{path}: {suffix or 'no suffix'} is not a rig's; give .safetensors, .gltf, .glb, .npz or a folder."
    )
