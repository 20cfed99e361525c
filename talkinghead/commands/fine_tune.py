"""fine-tune: photos in, an avatar out."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from talkinghead.commands.options import Verb, ranged
from talkinghead.commands.progress import bar
from talkinghead.errors import UserError
from talkinghead.portrait.training.config import FineTuningConfig

if TYPE_CHECKING:
    from talkinghead.portrait.data.photos import Photos
    from talkinghead.portrait.networks.head import FewShotHead

log = logging.getLogger(__name__)

ABOUT = """
Make an avatar of the person in a few photos: the few-shot head is tuned to them. Beside it stands a picture of each
photo, its landmarks, and the avatar before and after.
"""

EXAMPLES = """
talkinghead fine-tune anna1.jpg anna2.jpg -o anna.avatar.safetensors --consent "Anna said yes, 3 May"
talkinghead fine-tune photos/anna -o anna.avatar.safetensors --epochs 80 --generator-lr 1e-4
talkinghead fine-tune photos/anna -o anna.avatar.safetensors --config configs/paper_avatar.yaml
talkinghead fine-tune --video anna.mp4 --frames 32 -o anna.avatar.safetensors
talkinghead fine-tune anna1.jpg -o anna.avatar.safetensors --steps 0   (no tuning: at once)
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to make of what."""

    photos: list[Path] = field(default_factory=list)
    """Photos of one person, or folders of them."""
    output: Path
    """The avatar, such as anna.avatar.safetensors."""
    head: Path | None = None
    """A meta-learned head; the one that ships if not given."""
    video: Path | None = None
    """A video to take photos from, as different from each other as it has them."""
    frames: int = ranged(16, least=1)
    """How many photos to take from the video."""
    consent: str | None = None
    """What the person agreed to, kept in the avatar: who said yes, when, to what."""
    preview: bool = True
    """Write a picture of photos, landmarks, before and after beside the avatar."""
    face: str | None = None
    """Whose, in photos of several: largest, left, right, a number from the left, or a picture."""
    allow_no_face: bool = False
    """Leave out photos in which no face is found."""
    allow_several_faces: bool = False
    """Take the largest face of a photo that shows several."""
    allow_strangers: bool = False
    """Take photos that look like different people."""
    detector: str = "auto"
    """auto, dlib, face-alignment or mtcnn."""
    accelerator: str = "auto"
    """Lightning's name of the device: auto, cpu or gpu."""
    precision: str = "auto"
    """Lightning's name of the arithmetic; auto is bf16-mixed where that is fast, else 32-true."""
    overwrite: bool = False
    """Replace the output if it exists."""

    def __post_init__(self) -> None:
        if not self.photos and self.video is None:
            raise UserError("fine-tune: there is nothing to learn from; give photos, a folder of them, or --video FILE")

    @property
    def sheet(self) -> Path:
        """Where the preview goes."""
        return self.output.with_name(
            self.output.name.removesuffix(".safetensors").removesuffix(".avatar") + ".preview.png"
        )

    @property
    def unfinished(self) -> Path:
        """Where an avatar goes whose tuning was stopped."""
        return self.output.with_name(
            self.output.name.removesuffix(".safetensors").removesuffix(".avatar") + ".unfinished.avatar.safetensors"
        )


VERB = Verb("fine-tune", Options, FineTuningConfig, about=ABOUT, examples=EXAMPLES, positional=("photos",), config=True)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    make(*VERB.parse(argv))


def make(options: Options, config: FineTuningConfig) -> None:
    """Read, learn, write.

    Raises:
        UserError: if an output exists or cannot be written, the photos or the head cannot be used, or this machine
            cannot compute as options.
    """
    from talkinghead.portrait.networks.head import FewShotHead, default_head_path
    from talkinghead.portrait.training.fine_tuning import StoppedTuning
    from talkinghead.stopping import Stopped
    from talkinghead.training.trainer import refuse_machine

    refuse_outputs(options)
    refuse_machine(options.accelerator, "32-true" if options.precision == "auto" else options.precision)
    path = options.head or default_head_path()
    head, _ = FewShotHead.load(path)
    photos = read(options, head.config.photo_side)
    log.info("%d photos: %s", len(photos), ", ".join(photos.names))
    try:
        written(options, config, head, photos)
    except StoppedTuning as stop:
        stop.avatar.save(options.unfinished, overwrite=True)
        kept = f"{options.unfinished} holds what was learnt in {stop.avatar.provenance['steps']} steps"
        raise Stopped(stop.number, f"{kept}; the same command begins anew") from stop
    if options.consent is None:
        log.info("no --consent was given: the avatar says so")
    log.info("move it with: talkinghead reenact %s --driver VIDEO -o clip.mp4", options.output)


def written(options: Options, config: FineTuningConfig, head: "FewShotHead", photos: "Photos") -> None:
    """Learn, and write the avatar and its preview."""
    from talkinghead.media.files import outputs
    from talkinghead.media.image import write_image
    from talkinghead.portrait.avatar.avatar import feed_forward, origin
    from talkinghead.portrait.networks.head import default_head_path
    from talkinghead.portrait.training.fine_tuning import Hardware, fine_tune
    from talkinghead.portrait.training.preview import preview_sheet
    from talkinghead.training.progress import ShowSteps

    path = options.head or default_head_path()
    about, hardware = origin(path, consent=options.consent), Hardware(options.accelerator, options.precision)
    with outputs(options.output, options.sheet if options.preview else None, overwrite=options.overwrite):
        with bar("tuning", "steps") as report:
            tuned = fine_tune(head, photos, config, provenance=about, hardware=hardware, callbacks=(ShowSteps(report),))
        tuned.avatar.save(options.output, overwrite=options.overwrite)
        if options.preview:
            preview = preview_sheet(photos, feed_forward(head, photos), tuned.avatar)
            write_image(options.sheet, preview, overwrite=options.overwrite)
    log.info("%s: %d steps in %.0f s", options.output, len(tuned.history), tuned.seconds)
    if options.preview:
        log.info("%s: photos, landmarks, before and after", options.sheet)


def refuse_outputs(options: Options) -> None:
    """Raise UserError if an output exists, cannot be written, or is an input."""
    from talkinghead.media.files import refuse_existing, resolved

    if options.output.suffix != ".safetensors":
        raise UserError(f"--output is {options.output}; give a name that ends in .avatar.safetensors.")
    inputs = {resolved(path) for path in (*options.photos, options.video, options.head) if path is not None}
    for file in (options.output, options.sheet) if options.preview else (options.output,):
        refuse_existing(file, overwrite=options.overwrite, file=True)
        if resolved(file) in inputs:
            raise UserError(f"{file} would be written over what it is made from; give another name.")


def read(options: Options, size: int | None) -> "Photos":
    """The photos and the frames of the video, checked to show one person."""
    from talkinghead.face.detection.choice import make_detector
    from talkinghead.portrait.data.photos import Allow, read_photos, refuse_strangers
    from talkinghead.portrait.data.video_photos import video_photos

    detector = make_detector(options.detector)
    allow = Allow(
        no_face=options.allow_no_face, several_faces=options.allow_several_faces, strangers=options.allow_strangers
    )
    found = []
    if options.photos:
        found.append(read_photos(options.photos, size=size, detector=detector, face=options.face, allow=allow))
    if options.video is not None:
        found.append(video_photos(options.video, count=options.frames, size=size, detector=detector))
    if len(found) == 1:
        return found[0]
    photos = found[0].joined(found[1])
    if not allow.strangers:
        refuse_strangers(photos, allow=allow)
    return photos
