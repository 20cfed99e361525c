"""A picture of what became of every clip."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from talkinghead.media.image import decode_jpeg, sheet, text_band, write_image
from talkinghead.portrait.data.preparation.clips import ClipRecord
from talkinghead.portrait.data.preparation.cropping import STRIP, THUMB

PAGES = "contact_sheet*.png"
COLUMNS = 3
ROWS = 15
"""Of clips on a page."""

REJECTED = (214, 39, 40)


def write_contact_sheets(folder: Path, records: Sequence[ClipRecord], strips: Sequence[Path]) -> None:
    """Write `contact_sheet.png`, and `contact_sheet_2.png` ... where one page does not hold all clips.

    Args:
        folder: where.
        records: the clips.
        strips: a JPEG of each clip's pictures; one that is absent is left grey.
    """
    for old in folder.glob(PAGES):
        old.unlink()
    for page, start in enumerate(range(0, len(records), COLUMNS * ROWS)):
        entries = list(zip(records, strips, strict=True))[start : start + COLUMNS * ROWS]
        cells = [_cell(record, strip) for record, strip in entries]
        name = "contact_sheet.png" if page == 0 else f"contact_sheet_{page + 1}.png"
        write_image(folder / name, sheet([cells[i : i + COLUMNS] for i in range(0, len(cells), COLUMNS)]))


def _cell(record: ClipRecord, strip: Path) -> UInt8[np.ndarray, "h w 3"]:
    if record.fate == "kept":
        fate = f"{record.frames_kept} frames, {record.tracks_kept} of {record.faces} tracks, {record.seconds:.1f} s"
    else:
        fate = f"REJECTED: {record.why}"
    picture = decode_jpeg(strip.read_bytes()) if strip.is_file() else np.full((THUMB, THUMB * STRIP, 3), 96, np.uint8)
    if record.fate != "kept":
        picture[:4] = picture[-4:] = REJECTED
    return np.concatenate([text_band(record.video, picture.shape[1]), text_band(fate, picture.shape[1]), picture])
