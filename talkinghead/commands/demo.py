"""demo: the main job on what every installation contains."""

import logging
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from talkinghead.commands.options import Verb, ranged
from talkinghead.errors import UserError
from talkinghead.weights.shipped import astronaut

if TYPE_CHECKING:
    from talkinghead.motion.motion import Motion
    from talkinghead.portrait.avatar.avatar import Avatar
    from talkinghead.portrait.data.photos import Photos

log = logging.getLogger(__name__)

FOLDER = Path("talkinghead-demo")
MARK = {"made by": "talkinghead demo"}
"""In the provenance of its avatars."""
STRIP_COLUMNS = 7

EXAMPLES = """
talkinghead demo
talkinghead demo --photo anna.jpg -o anna-demo
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Fine-tune the head to one photo and move it: an avatar, a clip and a picture that compares them.

    The photo is scikit-image's astronaut (NASA, public domain), the motion is made up and ships with the package. Files
    of an earlier demo in the folder are replaced.
    """

    output: Path = FOLDER
    """Folder for the avatar, the clip and the picture."""
    head: Path | None = None
    """A meta-learned head; the one that ships if not given."""
    photo: Path | None = None
    """Another photo to move; scikit-image's astronaut if not given."""
    steps: int | None = ranged(None, least=0)
    """Fine-tuning steps; a default that suits one photo."""

    @property
    def shown(self) -> Path:
        """The photo that is moved."""
        return self.photo or astronaut()


VERB = Verb("demo", Options, examples=EXAMPLES)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    demo(*VERB.parse(argv))


def demo(options: Options) -> None:
    """Learn the person in the photo, move it, say where all is.

    Raises:
        UserError: if the photo or the head cannot be used, or a file that no demo made would be written over.
    """
    from talkinghead.media.files import outputs
    from talkinghead.portrait.avatar.avatar import origin
    from talkinghead.portrait.data.photos import read_photos
    from talkinghead.portrait.networks.head import FewShotHead, default_head_path
    from talkinghead.portrait.training.fine_tuning import FineTuningConfig, fine_tune

    began = time.perf_counter()
    path, shown = options.head or default_head_path(), options.shown
    avatar_path, clip, strip = output_files(options)
    network, _ = FewShotHead.load(path)
    try:
        photos = read_photos([shown], size=network.config.photo_side)
    except UserError as error:  # the demo lets nothing pass
        raise UserError(re.sub(r", or give allow=Allow\(\w+=True\)", "", str(error))) from error
    log.info("learning the person in %s", shown.name)
    consent = "public domain portrait" if options.photo is None else None
    provenance = origin(path, consent=consent) | MARK
    with outputs(clip, avatar_path, strip, overwrite=True):
        tuned = fine_tune(network, photos, FineTuningConfig(steps=options.steps), provenance=provenance)
        log.info("%d steps in %.0f s", len(tuned.history), tuned.seconds)
        tuned.avatar.save(avatar_path, overwrite=True)
        animate(tuned.avatar, photos, clip=clip, strip=strip)
    log.info("%.0f s in all. The person, moved: %s", time.perf_counter() - began, clip)
    log.info("photo, landmarks and frames: %s; the avatar: %s", strip, avatar_path)
    log.info("next: talkinghead reenact %s --driver YOUR_VIDEO -o clip.mp4", avatar_path)


def output_files(options: Options) -> list[Path]:
    """Where the avatar, the clip and the picture go.

    Raises:
        UserError: if one of them is the photo, or exists and is not from an earlier demo.
    """
    from talkinghead.media.files import refuse_existing, resolved

    shown = options.shown
    if shown.is_dir():
        raise UserError(f"--photo is {shown}, a folder; give one photo, or the folder to talkinghead fine-tune.")
    files = [options.output / (shown.stem + suffix) for suffix in (".avatar.safetensors", ".mp4", ".png")]
    replaceable = from_demo(files[0])
    for file in files:
        refuse_existing(file, overwrite=True, file=True)
        if resolved(file) == resolved(shown):
            raise UserError(f"--photo is {shown}, which the demo would write over; give another --output.")
        if file.exists() and not replaceable:
            raise UserError(f"{file} exists, and not from an earlier demo; give another --output.")
    return files


def from_demo(path: Path) -> bool:
    """Whether an avatar is one that the demo made and may replace."""
    from talkinghead.portrait.avatar.avatar import Avatar

    try:
        return MARK.items() <= Avatar.load(path).provenance.items()
    except UserError:
        return False


def demo_motion() -> "Motion":
    """The motion that ships with the package: see tools/make_demo_motion."""
    from talkinghead.motion.motion import Motion
    from talkinghead.weights.shipped import shipped

    return Motion.load(shipped("demo.motion.safetensors"))


def animate(avatar: "Avatar", photos: "Photos", *, clip: Path, strip: Path) -> None:
    """Render the shipped motion as a clip, and a picture of some of its frames under their landmarks."""
    import numpy as np

    from talkinghead.face.draw import draw_landmarks
    from talkinghead.face.frames import evenly_spread
    from talkinghead.media.image import sheet, write_image
    from talkinghead.portrait.avatar.reenactment import Clip, reenact
    from talkinghead.portrait.avatar.retargeting import ReenactmentConfig

    motion = demo_motion()
    config = ReenactmentConfig(motion="relative", smooth=0.0, reference=0)
    reenact(avatar, motion, Clip(clip, overwrite=True), config=config)
    shown = evenly_spread(len(motion), STRIP_COLUMNS)
    landmarks = avatar.animate(motion, config).landmarks[shown]
    photo = photos.frames[0]
    drawn = [np.zeros_like(photo), *(draw_landmarks(points, len(photo)) for points in landmarks)]
    rows = [drawn, [photo, *avatar.render_batch(landmarks)]]
    write_image(
        strip,
        sheet(rows, column_labels=["photo"] + [f"{float(i / motion.fps):.1f} s" for i in shown.tolist()]),
        overwrite=True,
    )
