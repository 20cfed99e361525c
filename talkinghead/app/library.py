"""The folder that avatars and clips are kept in, and the names that they may have."""

import re
from dataclasses import dataclass
from pathlib import Path

from talkinghead.errors import UserError

AVATAR = ".avatar.safetensors"
CLIP = ".mp4"
KEPT_BESIDE = (".motion.safetensors", ".csv", ".glb")
"""What is kept of a clip's movement, under the clip's name."""
LONGEST = 60
"""Letters of a name."""


@dataclass(frozen=True)
class Library:
    """A folder with `avatars/` and `clips/`. Nothing outside of it is ever written or removed."""

    folder: Path

    def __post_init__(self) -> None:
        for part in (self.avatars_folder, self.clips_folder):
            part.mkdir(parents=True, exist_ok=True)

    @property
    def avatars_folder(self) -> Path:
        """Where avatars lie."""
        return self.folder / "avatars"

    @property
    def clips_folder(self) -> Path:
        """Where clips lie."""
        return self.folder / "clips"

    def avatars(self) -> list[str]:
        """Names of the avatars, the newest first."""
        return _names(self.avatars_folder, AVATAR)

    def clips(self) -> list[str]:
        """Names of the clips, the newest first."""
        return _names(self.clips_folder, CLIP)

    def avatar(self, name: str) -> Path:
        """Where the avatar of this name lies, or would."""
        return self.avatars_folder / (checked(name) + AVATAR)

    def clip(self, name: str) -> Path:
        """Where the clip of this name lies, or would."""
        return self.clips_folder / (checked(name) + CLIP)

    def new_clip(self, name: str) -> Path:
        """A clip of this name, with a number that no other clip has."""
        taken = {path.name for path in self.clips_folder.iterdir()}
        number = next(count for count in range(1, 10**6) if f"{checked(name)} {count}{CLIP}" not in taken)
        return self.clips_folder / f"{checked(name)} {number}{CLIP}"

    def rename_avatar(self, name: str, to: str) -> None:
        """Give an avatar another name.

        Raises:
            UserError: if there is none of the one, or there is one of the other name, or that may be no name.
        """
        path, target = self.existing(name), self.avatar(to)
        if target.exists():
            raise UserError(f"There is an avatar {to!r} already; take another name.")
        path.rename(target)

    def remove_avatar(self, name: str) -> None:
        """Delete an avatar's file.

        Raises:
            UserError: if there is none of this name.
        """
        self.existing(name).unlink()

    def remove_clip(self, name: str) -> None:
        """Delete a clip and the movement beside it.

        Raises:
            UserError: if there is none of this name.
        """
        path = self.clip(name)
        if not path.is_file():
            raise UserError(f"There is no clip {name!r} (any more); choose one of the list.")
        for kept in (path, *(path.with_suffix(suffix) for suffix in KEPT_BESIDE)):
            kept.unlink(missing_ok=True)

    def existing(self, name: str) -> Path:
        """The file of an avatar.

        Raises:
            UserError: if there is none of this name.
        """
        path = self.avatar(name)
        if not path.is_file():
            raise UserError(f"There is no avatar {name!r} (any more); choose one of the list.")
        return path


def checked(name: str) -> str:
    """A name that is safe in any folder.

    Raises:
        UserError: if it is none.
    """
    name = (name or "").strip()
    if not name or len(name) > LONGEST or not re.fullmatch(r"[\w][\w .,()-]*", name) or name.endswith("."):
        raise UserError(f"{name[:LONGEST]!r} cannot be a name; take up to {LONGEST} letters, digits and spaces.")
    return name


def _names(folder: Path, suffix: str) -> list[str]:
    files = [path for path in folder.iterdir() if path.name.endswith(suffix) and not path.name.startswith(".")]
    return [path.name.removesuffix(suffix) for path in sorted(files, key=lambda path: -path.stat().st_mtime)]
