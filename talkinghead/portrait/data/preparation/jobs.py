"""One clip to be done: where its tracks, record and strip of pictures are kept, and doing it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from talkinghead.face.detection.detector import FaceDetector
from talkinghead.media.files import atomic_path
from talkinghead.media.image import encode_jpeg
from talkinghead.memory import give_back
from talkinghead.portrait.data.preparation.clips import FAILED, ClipRecord, process_clip
from talkinghead.portrait.data.preparation.cropping import part_path
from talkinghead.portrait.data.preparation.settings import Clip, PrepareSettings


@dataclass(frozen=True)
class Job:
    """A clip and where its tracks, record and strip of pictures are kept."""

    clip: Clip
    stem: Path

    @property
    def record_path(self) -> Path:
        """Written last: it says that the clip is finished."""
        return self.stem.with_name(self.stem.name + ".json")

    @property
    def strip_path(self) -> Path:
        """The pictures for the contact sheet."""
        return self.stem.with_name(self.stem.name + ".jpg")


def do_job(job: Job, settings: PrepareSettings, detector: FaceDetector) -> ClipRecord:
    record, strip = process_clip(job.clip, settings, detector, job.stem)
    with atomic_path(job.strip_path, overwrite=True) as temporary:
        temporary.write_bytes(encode_jpeg(strip, 85))
    with atomic_path(job.record_path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(asdict(record)))
    give_back()
    return record


def finished_record(job: Job) -> ClipRecord | None:
    """The record of a clip that an earlier run finished; None if it has to be done (again)."""
    try:
        record = ClipRecord(**json.loads(job.record_path.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    whole = all(part_path(job.stem, number).is_file() for number in range(record.tracks_kept))
    return record if whole and not record.why.startswith(FAILED) else None
