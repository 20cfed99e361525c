"""A head that moves as glTF 2.0: one mesh whose morph targets are expressions, and an animation of their weights.

The head's turns animate the node. A motion without expressions, of vertices alone, gets the principal directions of its
movement as targets.

References:
    Khronos, glTF 2.0 specification (mesh primitives' targets, animation channels "weights" and "rotation").
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pygltflib
from jaxtyping import Float, Float32, Int, UInt8

from talkinghead.media.files import atomic_path
from talkinghead.rig.rig import rotation_of_pose
from talkinghead.rig.shade import vertex_normals

COMPONENTS = {"f4": pygltflib.FLOAT, "u4": pygltflib.UNSIGNED_INT, "u1": pygltflib.UNSIGNED_BYTE}
KINDS = {1: pygltflib.SCALAR, 3: pygltflib.VEC3, 4: pygltflib.VEC4}

MOST_TARGETS = 48
"""Principal directions that vertices alone are reduced to."""


@dataclass(frozen=True)
class MorphAnimation:
    """A mesh, its targets and how they move."""

    neutral: Float32[np.ndarray, "v 3"]
    faces: Int[np.ndarray, "f 3"]
    targets: Float32[np.ndarray, "k v 3"]
    """Offsets at weight 1, metres."""
    names: tuple[str, ...]
    weights: Float32[np.ndarray, "t k"]
    fps: Fraction
    pose: Float32[np.ndarray, "t 3"] | None = None
    """Yaw, pitch, roll, radians."""
    colours: UInt8[np.ndarray, "v 3"] | None = None


def principal_targets(
    vertices: Float32[np.ndarray, "t v 3"], *, most: int = MOST_TARGETS
) -> tuple[Float32[np.ndarray, "v 3"], Float32[np.ndarray, "k v 3"], Float32[np.ndarray, "t k"]]:
    """Vertices over time as a mean, directions that explain most of the movement, and their weights. Each direction is
    as large as it gets in the motion, so that weights lie in -1..1."""
    mean = vertices.mean(0)
    moved = (vertices - mean).reshape(len(vertices), -1)
    left, size, right = np.linalg.svd(moved, full_matrices=False)
    kept = min(most, max(1, int((size > 1e-6 * max(float(size[0]), 1e-9)).sum())))
    weights = left[:, :kept] * size[:kept]
    reach = np.maximum(np.abs(weights).max(0), 1e-9)
    targets = (right[:kept] * reach[:, None]).reshape(kept, -1, 3)
    return mean.astype(np.float32), targets.astype(np.float32), (weights / reach).astype(np.float32)


def write_gltf(head: MorphAnimation, path: Path, *, sound: str | None = None, overwrite: bool = False) -> None:
    """Write a .glb (binary), or a .gltf with its data inside.

    Args:
        head: what moves.
        path: ends in .glb or .gltf.
        sound: name of the sound's file, kept in the scene's extras.
        overwrite: replace a file that exists.

    Raises:
        UserError: if the file exists and `overwrite` is false.
    """
    document = _document(head, sound)
    with atomic_path(path, overwrite=overwrite) as temporary:
        if path.suffix.lower() == ".glb":
            document.save_binary(temporary)
        else:
            document.convert_buffers(pygltflib.BufferFormat.DATAURI)
            document.save_json(temporary)


def _document(head: MorphAnimation, sound: str | None) -> pygltflib.GLTF2:
    """The scene, its numbers in a blob beside it."""
    scene = pygltflib.GLTF2(
        asset=pygltflib.Asset(generator="talkinghead"),
        scene=0,
        scenes=[pygltflib.Scene(nodes=[0], extras={"fps": str(head.fps), "sound": sound})],
        nodes=[pygltflib.Node(name="head", mesh=0)],
        materials=[
            pygltflib.Material(
                pbrMetallicRoughness=pygltflib.PbrMetallicRoughness(metallicFactor=0.0, roughnessFactor=0.7),
                doubleSided=True,
            )
        ],
    )
    store = _Store(scene)
    scene.meshes = [_mesh(head, store)]
    scene.animations = [_animation(head, store)]
    scene.buffers = [pygltflib.Buffer(byteLength=len(store.data))]
    scene.set_binary_blob(bytes(store.data))
    return scene


def _mesh(head: MorphAnimation, store: "_Store") -> pygltflib.Mesh:
    array = pygltflib.ARRAY_BUFFER
    attributes = pygltflib.Attributes(
        POSITION=store.add(head.neutral, target=array, bounds=True),
        NORMAL=store.add(vertex_normals(head.neutral, head.faces), target=array),
    )
    if head.colours is not None:
        opaque = np.concatenate([head.colours, np.full((len(head.colours), 1), 255, np.uint8)], 1)
        attributes.COLOR_0 = store.add(opaque, target=array, normalised=True)
    primitive = pygltflib.Primitive(
        attributes=attributes,
        indices=store.add(head.faces.astype(np.uint32).reshape(-1, 1), target=pygltflib.ELEMENT_ARRAY_BUFFER),
        targets=[
            pygltflib.Attributes(POSITION=store.add(target, target=array, bounds=True)) for target in head.targets
        ],
        material=0,
    )
    return pygltflib.Mesh(
        name="head",
        primitives=[primitive],
        weights=[0.0] * len(head.names),
        extras={"targetNames": list(head.names)},
    )


def _animation(head: MorphAnimation, store: "_Store") -> pygltflib.Animation:
    seconds = np.array([[float(frame / head.fps)] for frame in range(len(head.weights))], np.float32)
    times = store.add(seconds, bounds=True)
    moved = {pygltflib.WEIGHTS: head.weights.reshape(-1, 1)}
    if head.pose is not None:
        moved[pygltflib.ROTATION] = quaternions(head.pose)
    samplers, channels = [], []
    for index, (path, values) in enumerate(moved.items()):
        samplers.append(pygltflib.AnimationSampler(input=times, output=store.add(values)))
        target = pygltflib.AnimationChannelTarget(node=0, path=path)
        channels.append(pygltflib.AnimationChannel(sampler=index, target=target))
    return pygltflib.Animation(name="motion", samplers=samplers, channels=channels)


class _Store:
    """Rows of numbers packed into a scene's buffer."""

    def __init__(self, scene: pygltflib.GLTF2) -> None:
        self.scene, self.data = scene, bytearray()

    def add(
        self, array: np.ndarray, *, target: int | None = None, bounds: bool = False, normalised: bool = False
    ) -> int:
        """Store rows of numbers; the accessor's index."""
        raw = np.ascontiguousarray(array).tobytes()
        self.scene.bufferViews.append(
            pygltflib.BufferView(buffer=0, byteOffset=len(self.data), byteLength=len(raw), target=target)
        )
        accessor = pygltflib.Accessor(
            bufferView=len(self.scene.bufferViews) - 1,
            componentType=COMPONENTS[array.dtype.str[1:]],
            count=len(array),
            type=KINDS[array.shape[1]],
            normalized=normalised,
        )
        if bounds:
            accessor.min, accessor.max = array.min(0).tolist(), array.max(0).tolist()
        self.data += raw + bytes(-len(raw) % 4)
        self.scene.accessors.append(accessor)
        return len(self.scene.accessors) - 1


def quaternions(pose: Float[np.ndarray, "t 3"]) -> Float32[np.ndarray, "t 4"]:
    """Poses as unit quaternions (x, y, z, w), without jumps of sign."""
    found = rotation_of_pose(pose).as_quat()
    turns = np.sign((found[1:] * found[:-1]).sum(1))
    found[1:] *= np.cumprod(np.where(turns == 0, 1, turns))[:, None]
    return np.asarray(found, np.float32)
