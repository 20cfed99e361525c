"""What moves a head: a video, a motion or a CSV of ARKit curves."""

from pathlib import Path
from typing import TYPE_CHECKING

from talkinghead.commands.progress import bar
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from fractions import Fraction

    from talkinghead.motion.motion import Motion

MOTION_SUFFIX = ".safetensors"


def read_driver(
    path: Path, *, detector: str, device: str, fps: "Fraction | None" = None, face: str = "largest"
) -> "Motion":
    """The motion in a file, in an ARKit CSV (at `fps`, or as its timecodes say), or tracked in a video with a bar.

    Raises:
        UserError: if it is none of these, or `face` is asked for where no faces are looked for.
    """
    from talkinghead.media.collection import VIDEO_SUFFIXES
    from talkinghead.media.image import IMAGE_SUFFIXES
    from talkinghead.motion.motion import Motion

    if face != "largest" and (path.suffix == MOTION_SUFFIX or path.suffix.lower() == ".csv"):
        raise UserError(f"--face is {face}, but {path} is one face's movement already; leave --face out.")
    if path.suffix == MOTION_SUFFIX:
        return Motion.load(path)
    if path.suffix.lower() == ".csv":
        from talkinghead.motion.formats.arkit_csv import read_arkit_csv

        return read_arkit_csv(path, fps=fps)
    if path.suffix.lower() in IMAGE_SUFFIXES - VIDEO_SUFFIXES:
        raise UserError(f"{path} is a picture, which does not move; give a video, a .motion{MOTION_SUFFIX} or a .csv.")
    with bar("tracking") as report:
        return Motion.from_video(path, detector=detector, device=device, face=face, progress=report)
