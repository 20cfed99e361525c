"""fine-tune: photos in, an avatar out."""

import logging
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkinghead.commands import config_parser, refusals
from talkinghead.commands.trainer import refuse_machine
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from talkinghead.portrait.data.photos import Photos
    from talkinghead.portrait.training.fine_tuning import FineTuningConfig

log = logging.getLogger(__name__)

_EXAMPLES = """
Makes an avatar of the person in a few photos: the few-shot head is tuned to them.
Beside it stands a picture of each photo, its landmarks, and the avatar before and after.

examples:
  talkinghead fine-tune anna1.jpg anna2.jpg -o anna.avatar.safetensors --consent "Anna said yes, 3 May"
  talkinghead fine-tune photos/anna -o anna.avatar.safetensors --epochs 80 --generator_lr 1e-4
  talkinghead fine-tune photos/anna -o anna.avatar.safetensors --config configs/paper_avatar.yaml
  talkinghead fine-tune --video anna.mp4 --frames 32 -o anna.avatar.safetensors
  talkinghead fine-tune anna1.jpg -o anna.avatar.safetensors --steps 0        (no tuning: at once)
"""

_OPTIONS: dict[str, tuple[Any, Any, str]] = {
    "head": (Path | None, None, "a meta-learned head; the one that ships if not given"),
    "video": (Path | None, None, "a video to take photos from, as different from each other as it has them"),
    "frames": (int, 16, "how many photos to take from the video"),
    "consent": (str | None, None, "what the person agreed to, kept in the avatar: who said yes, when, to what"),
    "detector": (str, "auto", "face detector: auto, dlib, face-alignment or mtcnn"),
    "accelerator": (str, "auto", "Lightning's name of the device: auto, cpu, gpu"),
    "precision": (
        str,
        "auto",
        "Lightning's name of the arithmetic; auto is bf16-mixed where that is fast, else 32-true",
    ),
}
"""Type, default and help of each option that takes a value."""

_SWITCHES: dict[str, tuple[bool, str]] = {
    "preview": (True, "write a picture of photos, landmarks, before and after beside the avatar"),
    "allow_no_face": (False, "leave out photos in which no face is found"),
    "allow_several_faces": (False, "take the largest face of a photo that shows several"),
    "allow_strangers": (False, "take photos that look like different people"),
    "overwrite": (False, "replace the output if it exists"),
}


@dataclass(frozen=True)
class Wanted:
    """What to make of what; the options' own words are in `_OPTIONS` and `_SWITCHES`."""

    photos: list[Path]
    output: Path
    head: Path | None
    video: Path | None
    frames: int
    consent: str | None
    detector: str
    accelerator: str
    precision: str
    preview: bool
    allow_no_face: bool
    allow_several_faces: bool
    allow_strangers: bool
    overwrite: bool

    @property
    def sheet(self) -> Path:
        """Where the preview goes."""
        return self.output.with_name(
            self.output.name.removesuffix(".safetensors").removesuffix(".avatar") + ".preview.png"
        )


def main(argv: list[str]) -> None:
    """Parse the arguments and make the avatar."""
    make(*parse(argv))


def parse(argv: list[str]) -> tuple[Wanted, "FineTuningConfig"]:
    """What is wanted, and how a person is learnt.

    Raises:
        UserError: if an option is unknown, missing, or has a wrong value.
    """
    from jsonargparse import ActionYesNo

    from talkinghead.portrait.training.fine_tuning import FineTuningConfig

    parser = config_parser("fine-tune", _EXAMPLES)
    parser.add_argument("photos", type=Path, nargs="*", default=[], help="photos of one person, or folders of them")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the avatar, such as anna.avatar.safetensors")
    for name, (kind, default, text) in _OPTIONS.items():
        parser.add_argument("--" + name.replace("_", "-"), type=kind, default=default, help=text)
    for name, (default, text) in _SWITCHES.items():
        parser.add_argument(
            "--" + name.replace("_", "-"), action=ActionYesNo(no_prefix="no-"), default=default, help=text
        )
    parser.add_class_arguments(FineTuningConfig)
    with refusals("fine-tune"):
        settings = parser.instantiate(parser.parse_args(argv))
    wanted = Wanted(**{field.name: settings[field.name] for field in fields(Wanted)})
    config = FineTuningConfig(**{field.name: settings[field.name] for field in fields(FineTuningConfig)})
    if not wanted.photos and wanted.video is None:
        raise UserError("fine-tune: there is nothing to learn from; give photos, a folder of them, or --video FILE")
    return wanted, config


def make(wanted: Wanted, config: "FineTuningConfig") -> None:
    """Read, learn, write.

    Raises:
        UserError: if an output exists or cannot be written, the photos or the head cannot be used, or this machine
            cannot compute as wanted.
    """
    from pytorch_lightning.callbacks import RichProgressBar

    from talkinghead.media.image import write_image
    from talkinghead.portrait.avatar.avatar import feed_forward, origin
    from talkinghead.portrait.networks.head import FewShotHead, default_head_path
    from talkinghead.portrait.training.fine_tuning import Hardware, fine_tune
    from talkinghead.portrait.training.preview import preview_sheet

    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    refuse_outputs(wanted)
    refuse_machine(wanted.accelerator, "32-true" if wanted.precision == "auto" else wanted.precision)
    path = wanted.head or default_head_path()
    head, _ = FewShotHead.load(path)
    photos = read(wanted, head.config.photo_side)
    log.info("%d photos: %s", len(photos), ", ".join(photos.names))
    tuned = fine_tune(
        head,
        photos,
        config,
        provenance=origin(path, consent=wanted.consent),
        hardware=Hardware(wanted.accelerator, wanted.precision),
        callbacks=(RichProgressBar(),) if sys.stderr.isatty() else (),
    )
    tuned.avatar.save(wanted.output, overwrite=wanted.overwrite)
    log.info("%s: %d steps in %.0f s", wanted.output, len(tuned.history), tuned.seconds)
    if wanted.preview:
        preview = preview_sheet(photos, feed_forward(head, photos), tuned.avatar)
        write_image(wanted.sheet, preview, overwrite=wanted.overwrite)
        log.info("%s: photos, landmarks, before and after", wanted.sheet)
    if wanted.consent is None:
        log.info("no --consent was given: the avatar says so")
    log.info("move it with: talkinghead reenact %s --driver VIDEO -o clip.mp4", wanted.output)


def refuse_outputs(wanted: Wanted) -> None:
    """Raise UserError if an output exists, cannot be written, or is an input."""
    from talkinghead.media.files import refuse_existing

    if wanted.output.suffix != ".safetensors":
        raise UserError(f"--output is {wanted.output}; give a name that ends in .avatar.safetensors.")
    inputs = {path.resolve() for path in (*wanted.photos, wanted.video, wanted.head) if path is not None}
    for file in (wanted.output, wanted.sheet) if wanted.preview else (wanted.output,):
        refuse_existing(file, overwrite=wanted.overwrite, file=True)
        if file.resolve() in inputs:
            raise UserError(f"{file} would be written over what it is made from; give another name.")


def read(wanted: Wanted, size: int | None) -> "Photos":
    """The photos and the frames of the video, checked to show one person."""
    from talkinghead.face.detection.choice import make_detector
    from talkinghead.portrait.data.photos import Allow, read_photos, refuse_strangers
    from talkinghead.portrait.data.video_photos import video_photos

    detector = make_detector(wanted.detector)
    allow = Allow(
        no_face=wanted.allow_no_face, several_faces=wanted.allow_several_faces, strangers=wanted.allow_strangers
    )
    found = []
    if wanted.photos:
        found.append(read_photos(wanted.photos, size=size, detector=detector, allow=allow))
    if wanted.video is not None:
        found.append(video_photos(wanted.video, count=wanted.frames, size=size, detector=detector))
    if len(found) == 1:
        return found[0]
    photos = found[0].joined(found[1])
    if not allow.strangers:
        refuse_strangers(photos, allow=allow)
    return photos
