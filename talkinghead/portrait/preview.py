"""A picture of what fine-tuning did: each photo, its landmarks, and the avatar before and after."""

import numpy as np
from jaxtyping import UInt8

from talkinghead.data.photos import Photos
from talkinghead.face.draw import draw_landmarks
from talkinghead.face.warp import nearest_others
from talkinghead.media.image import sheet
from talkinghead.portrait.avatar import Avatar

MOST_ROWS = 8


def preview_sheet(photos: Photos, before: Avatar, after: Avatar) -> UInt8[np.ndarray, "h w 3"]:
    """Rows of photo, landmarks, feed-forward and fine-tuned avatar, for the first photos.

    Each is drawn from the photo nearest to it, where the head takes one.
    """
    shown = photos.select(range(min(len(photos), MOST_ROWS)))
    size = before.config.size
    others = nearest_others(shown.landmarks)
    columns = (
        shown.frames,
        np.stack([draw_landmarks(landmarks, size) for landmarks in shown.landmarks]),
        before.render_batch(shown.landmarks, photos=others),
        after.render_batch(shown.landmarks, photos=others),
    )
    rows = [list(row) for row in zip(*columns, strict=True)]
    return sheet(rows, labels=list(shown.names), column_labels=["photo", "landmarks", "before", "after"])
