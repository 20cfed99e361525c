"""Pictures of what a speech model does: true and predicted faces, and the mouth's opening over time."""

from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from talkinghead.media.image import sheet
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.shade import View, rig_colours, shade

_LEGEND = 20
"""Height of a chart's legend, pixels."""

_COLOURS = ((40, 40, 40), (214, 60, 40), (40, 110, 214), (60, 160, 60))


def face_sheet(
    rows: dict[str, Float32[np.ndarray, "t v 3"]],
    faces: Int[np.ndarray, "f 3"],
    times: Float[np.ndarray, " t"],
    *,
    size: int = 160,
) -> UInt8[np.ndarray, "h w 3"]:
    """Faces at some times: a row for truth and for each prediction, a column for each time.

    Args:
        rows: name -> vertices of the default rig, metres.
        faces: triangles.
        times: seconds, for the headings.
        size: of one face, pixels.
    """
    rig = default_rig()
    view, colour = View.of(rig.landmarks_3d(next(iter(rows.values()))[:1])), rig_colours(rig)
    pictures = [[shade(one, faces, size, view=view, colour=colour) for one in vertices] for vertices in rows.values()]
    return sheet(pictures, labels=list(rows), column_labels=[f"{time:.2f} s" for time in times])


def opening_chart(
    openings: dict[str, Float[np.ndarray, " t"]], fps: float, *, width: int = 1280, height: int = 160
) -> UInt8[np.ndarray, "h w 3"]:
    """The mouth's opening, metres, over time: a line for truth and each prediction."""
    picture = np.full((height, width, 3), 255, np.uint8)
    top = max(float(max(line.max() for line in openings.values())), 1e-4)
    longest = max(len(line) for line in openings.values())
    for i, (name, line) in enumerate(openings.items()):
        x = np.arange(len(line)) / max(longest - 1, 1) * (width - 1)
        y = _LEGEND + (height - _LEGEND - 2) * (1 - line / top)
        points = np.rint(np.stack([x, y], -1)).astype(np.int32)
        colour = _COLOURS[i % len(_COLOURS)]
        cv2.polylines(picture, [points], False, colour, 1, cv2.LINE_AA)
        cv2.putText(picture, name, (6 + 150 * i, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
    label = f"opening, 0 to {1e3 * top:.1f} mm, {longest / fps:.1f} s"
    cv2.putText(picture, label, (width - 260, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (90, 90, 90), 1, cv2.LINE_AA)
    return picture


def model_sheet(
    rows: dict[str, Float32[np.ndarray, "t v 3"]],
    faces: Int[np.ndarray, "f 3"],
    fps: float,
    *,
    count: int = 8,
    size: int = 160,
    loudness: Float[np.ndarray, " t"] | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Faces where the true mouth is open and closed by turns, over the chart of openings.

    Args:
        rows: name -> vertices of the default rig, metres; the truth, or what is to be shown, first.
        faces: triangles.
        fps: frames a second.
        count: faces in a row.
        size: of one face, pixels.
        loudness: of the voice, 0..1, a line in the chart.
    """
    rig = default_rig()
    openings = {name: rig.mouth_opening(vertices) for name, vertices in rows.items()}
    truth = next(iter(openings.values()))
    edges = np.linspace(0, len(truth), count + 1).astype(int)
    pieces = [range(a, max(b, a + 1)) for a, b in pairwise(edges.tolist())]
    picked = [
        int(piece[0] + (np.argmax if i % 2 else np.argmin)(truth[piece.start : piece.stop]))
        for i, piece in enumerate(pieces)
    ]
    shown = {name: vertices[picked] for name, vertices in rows.items()}
    faces_part = face_sheet(shown, faces, np.array(picked) / fps, size=size)
    if loudness is not None:
        openings["loudness"] = loudness * max(float(line.max()) for line in openings.values())
    return np.concatenate([faces_part, opening_chart(openings, fps, width=faces_part.shape[1])])
