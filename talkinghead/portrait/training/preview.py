"""A picture of what fine-tuning did: each photo, its landmarks, and the avatar before and after."""

import numpy as np
from jaxtyping import UInt8

from talkinghead.face.draw import draw_landmarks
from talkinghead.media.image import resize, sheet
from talkinghead.portrait.avatar.avatar import Avatar
from talkinghead.portrait.data.photos import Photos

MOST_ROWS = 8
LARGEST = 256
"""Side of a picture, pixels."""


def preview_sheet(photos: Photos, before: Avatar, after: Avatar) -> UInt8[np.ndarray, "h w 3"]:
    """Rows of photo, landmarks, feed-forward and fine-tuned avatar, for the first photos.

    Each is drawn from the others of its scene, where the head takes photos; one that has no like, from itself.
    """
    shown = photos.select(range(min(len(photos), MOST_ROWS)))
    size = min(before.side, LARGEST)
    others = None if after.source_photos is None else [after.source_photos.others(i) for i in range(len(shown))]
    columns = (
        shown.frames,
        np.stack([draw_landmarks(landmarks, size) for landmarks in shown.landmarks]),
        before.render_batch(shown.landmarks, among=others),
        after.render_batch(shown.landmarks, among=others),
    )
    rows = [[resize(picture, size) for picture in row] for row in zip(*columns, strict=True)]
    return sheet(rows, labels=list(shown.names), column_labels=["photo", "landmarks", "before", "after"])
