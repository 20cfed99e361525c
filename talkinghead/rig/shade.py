"""Meshes as shaded pictures, without a display or a graphics card.

Space: metres, x to the viewer's right, y up, z toward the viewer. The camera is orthographic.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from talkinghead.rig.rig import Rig

SKIN = (214, 178, 156)
LIPS = (192, 124, 114)
PARTS = {
    "eye": (236, 234, 230),
    "iris": (96, 74, 52),
    "pupil": (18, 16, 16),
    "mouth": (118, 52, 52),
    "teeth": (232, 226, 214),
}
"""Colours of the parts of a rig that are not skin."""

INSIDE = (72, 38, 38)
"""Colour of faces seen from behind: the hollow of an open mouth."""

BACKGROUND = (38, 42, 48)

LIGHTS = (((-0.45, 0.55, 0.75), 0.62), ((0.75, 0.1, 0.55), 0.22), ((0.0, -0.6, 0.5), 0.08))
"""Directions toward each light and its strength."""

AMBIENT = 0.24
GLOSS, GLOSS_POWER = 0.12, 24
MARGIN = 1.12
"""The picture's half side over that of the head."""

MOST_CANDIDATES = 2_000_000
"""Pixels looked at in one go; bounds the memory of meshes with huge triangles."""


@dataclass(frozen=True)
class View:
    """What part of space is in the picture."""

    centre: tuple[float, float]
    """Metres, x and y of the picture's middle."""
    half: float
    """Metres from the middle to an edge."""

    @classmethod
    def of(cls, vertices: Float[np.ndarray, "*t v 3"]) -> "View":
        """The view that holds all these vertices, in whatever frames they are."""
        points = vertices.reshape(-1, 3)
        low, high = points.min(0), points.max(0)
        middle = (low + high) / 2
        half = max(float((high - low)[:2].max()) / 2 * MARGIN, 1e-9)
        return cls((float(middle[0]), float(middle[1])), half)


def shade(
    vertices: Float[np.ndarray, "v 3"],
    faces: Int[np.ndarray, "f 3"],
    size: int,
    *,
    view: View | None = None,
    colour: tuple[int, int, int] | UInt8[np.ndarray, "v 3"] = SKIN,
    smooth_edges: int = 1,
) -> UInt8[np.ndarray, "{size} {size} 3"]:
    """A mesh as it looks from the front, with smooth normals.

    Triangles are painted from back to front, which is exact but where they cross each other. Those seen from behind
    appear only where no other is.

    Args:
        vertices: metres, already turned as the head is held (`face.rig.rotate`).
        faces: triangles, counterclockwise from outside.
        size: side of the picture, pixels.
        view: what is in the picture; everything if None. Give one for all frames of a clip.
        colour: RGB of the skin, one or one for each vertex.
        smooth_edges: pictures are drawn this many times larger, then shrunk.

    Raises:
        ValueError: if a vertex is not finite, a face names a vertex that is not there, or the size is not above 0.
    """
    if size < 1 or smooth_edges < 1:
        raise ValueError(f"size is {size} and smooth_edges {smooth_edges}; both must be at least 1")
    if not np.isfinite(vertices).all():
        raise ValueError("vertices hold a value that is not finite")
    if len(faces) and not 0 <= faces.min() <= faces.max() < len(vertices):
        raise ValueError(f"faces name vertices {faces.min()} to {faces.max()} of {len(vertices)}")
    side = size * smooth_edges
    view = view or View.of(vertices)
    points = vertices.astype(np.float32)
    pixels = np.empty((len(points), 2), np.float32)
    pixels[:, 0] = (points[:, 0] - view.centre[0]) / view.half
    pixels[:, 1] = (view.centre[1] - points[:, 1]) / view.half
    pixels = (pixels + 1) * (side / 2) - 0.5
    normals = vertex_normals(points, faces)
    triangle, weights = rasterise(pixels, points[:, 2], faces, side)
    picture = np.empty((side * side, 3), np.uint8)
    picture[:] = BACKGROUND
    seen = np.flatnonzero(triangle >= 0)
    corners = faces[triangle[seen]]
    blend = weights[seen]
    picture[seen] = _lit(_mixed(normals, corners, blend), _albedo(colour, corners, blend))
    if smooth_edges == 1:
        return picture.reshape(side, side, 3)
    blocks = picture.reshape(size, smooth_edges, size, smooth_edges, 3).astype(np.uint16)
    return (blocks.sum((1, 3)) // smooth_edges**2).astype(np.uint8)


def rig_colours(rig: Rig) -> UInt8[np.ndarray, "v 3"]:
    """A colour for each vertex of a rig: skin, lips, eyes, teeth."""
    lip = np.zeros(len(rig.neutral))
    lip[rig.lip_vertices] = 1
    corners = rig.faces.reshape(-1)
    for _ in range(2):  # a soft border: each vertex takes the mean of its triangles
        total = np.bincount(corners, lip[rig.faces].mean(1).repeat(3), len(lip))
        lip = total / np.maximum(np.bincount(corners, minlength=len(lip)), 1)
    colours = (np.array(SKIN) + lip[:, None] * (np.array(LIPS) - SKIN)).astype(np.uint8)
    for name, colour in PARTS.items():
        if name in rig.part_names:
            colours[rig.part(name)] = colour
    return colours


def vertex_normals(vertices: Float[np.ndarray, "v 3"], faces: Int[np.ndarray, "f 3"]) -> Float[np.ndarray, "v 3"]:
    """Unit normals: the mean of the adjoining faces', each counting by its area. 0 for a vertex in no face."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    first, second = b - a, c - a
    across = np.empty_like(first)
    for axis in range(3):  # several times faster than np.cross
        one, two = (axis + 1) % 3, (axis + 2) % 3
        across[:, axis] = first[:, one] * second[:, two] - first[:, two] * second[:, one]
    index = faces.reshape(-1)
    normals = np.empty(vertices.shape, np.float32)
    for axis in range(3):
        normals[:, axis] = np.bincount(index, np.repeat(across[:, axis], 3), len(vertices))
    length = np.sqrt((normals**2).sum(1, keepdims=True))
    return normals / np.maximum(length, 1e-20)


def rasterise(
    pixels: Float[np.ndarray, "v 2"], depth: Float[np.ndarray, " v"], faces: Int[np.ndarray, "f 3"], side: int
) -> tuple[Int[np.ndarray, " p"], Float[np.ndarray, "p 3"]]:
    """For each pixel the foremost triangle (-1 for none) and where on it the pixel lies (barycentric)."""
    triangle = np.full(side * side, -1, np.int32)
    weights = np.zeros((side * side, 3), np.float32)
    corners = pixels[faces]
    low = np.maximum(np.ceil(corners.min(1)), 0).astype(np.int32)
    high = np.minimum(np.floor(corners.max(1)), side - 1).astype(np.int32)
    extent = np.maximum(high - low + 1, 0)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    there = (extent.min(1) > 0) & (np.abs(area) > 1e-9)
    order = np.argsort(depth[faces].sum(1), kind="stable").astype(np.int32)
    order = order[there[order]]
    facing = area[order] < 0  # counterclockwise, seen with y down
    boxes = _Boxes(corners, low, extent, area)
    boxes.paint(order[facing], triangle, weights, side)
    hollow = order[~facing]
    if len(hollow):
        hollow = hollow[_open_pixels(triangle.reshape(side, side) < 0, low[hollow], high[hollow]) > 0]
        boxes.paint(hollow, triangle, weights, side, only_open=True)
    return triangle, weights


@dataclass(frozen=True)
class _Boxes:
    """Triangles and the pixels that could lie in them."""

    corners: Float[np.ndarray, "f 3 2"]
    low: Int[np.ndarray, "f 2"]
    extent: Int[np.ndarray, "f 2"]
    area: Float[np.ndarray, " f"]

    def paint(
        self,
        order: Int[np.ndarray, " d"],
        triangle: Int[np.ndarray, " p"],
        weights: Float[np.ndarray, "p 3"],
        side: int,
        *,
        only_open: bool = False,
    ) -> None:
        """Write triangles, given from back to front, into both pictures; `only_open`: where nothing is yet."""
        count = self.extent[:, 0] * self.extent[:, 1]
        a, b, c = self.corners[:, 0], self.corners[:, 1], self.corners[:, 2]
        scale = 1 / np.where(self.area == 0, 1, self.area)
        by_x = np.stack([(c[:, 1] - a[:, 1]) * scale, (a[:, 1] - b[:, 1]) * scale])  # of the second and third weight
        by_y = np.stack([(a[:, 0] - c[:, 0]) * scale, (b[:, 0] - a[:, 0]) * scale])
        start = by_x * (self.low[:, 0] - a[:, 0]) + by_y * (self.low[:, 1] - a[:, 1])
        for part in _parts(order, count[order]):
            many = count[part]
            rank = np.repeat(np.arange(len(part), dtype=np.int32), many)
            offset = np.arange(len(rank), dtype=np.int32) - np.repeat((np.cumsum(many) - many).astype(np.int32), many)
            y = offset // self.extent[part, 0][rank]
            x = offset - y * self.extent[part, 0][rank]
            v = start[0, part][rank] + by_x[0, part][rank] * x + by_y[0, part][rank] * y
            w = start[1, part][rank] + by_x[1, part][rank] * x + by_y[1, part][rank] * y
            inside = np.flatnonzero((v >= -1e-5) & (w >= -1e-5) & (v + w <= 1 + 1e-5))
            owner = part[rank[inside]]
            place = (self.low[owner, 1] + y[inside]) * side + self.low[owner, 0] + x[inside]
            if only_open:
                open_ = triangle[place] < 0
                inside, owner, place = inside[open_], owner[open_], place[open_]
            triangle[place] = owner  # of several writes to one pixel the last, the foremost, stays
            weights[place, 0] = 1 - v[inside] - w[inside]
            weights[place, 1] = v[inside]
            weights[place, 2] = w[inside]


def _open_pixels(
    empty: Bool[np.ndarray, "s s"], low: Int[np.ndarray, "n 2"], high: Int[np.ndarray, "n 2"]
) -> Int[np.ndarray, " n"]:
    """How many pixels of each box are empty."""
    total = np.zeros((len(empty) + 1, len(empty) + 1), np.int32)
    np.cumsum(np.cumsum(empty, 0, dtype=np.int32), 1, out=total[1:, 1:])
    (left, top), (right, bottom) = low.T, high.T + 1
    return total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]


def _parts(drawn: Int[np.ndarray, " d"], count: Int[np.ndarray, " d"]) -> Iterator[Int[np.ndarray, " p"]]:
    """The triangles in portions of a bounded number of pixels, at least one triangle each."""
    portion = np.cumsum(count, dtype=np.int64) // MOST_CANDIDATES
    starts = np.unique(portion, return_index=True)[1].tolist()
    for start, end in zip(starts, [*starts, len(drawn)][1:], strict=True):
        yield drawn[start:end]


def _mixed(
    values: Float[np.ndarray, "v 3"], corners: Int[np.ndarray, "p 3"], weights: Float[np.ndarray, "p 3"]
) -> Float[np.ndarray, "p 3"]:
    mixed = values[corners[:, 0]] * weights[:, :1]
    for corner in (1, 2):
        mixed += values[corners[:, corner]] * weights[:, corner : corner + 1]
    return mixed


def _albedo(
    colour: tuple[int, int, int] | UInt8[np.ndarray, "v 3"],
    corners: Int[np.ndarray, "p 3"],
    weights: Float[np.ndarray, "p 3"],
) -> Float[np.ndarray, "p 3"]:
    if isinstance(colour, np.ndarray):
        return _mixed(colour.astype(np.float32), corners, weights)
    return np.broadcast_to(np.array(colour, np.float32), corners.shape)


def _lit(normals: Float[np.ndarray, "p 3"], albedo: Float[np.ndarray, "p 3"]) -> UInt8[np.ndarray, "p 3"]:
    """Colours of pixels: three lights and a little gloss; the inside, whose normals point away, is flat and dark."""
    length = np.sqrt((normals**2).sum(1, keepdims=True))
    normals = normals / np.maximum(length, 1e-9)
    behind: Bool[np.ndarray, " p"] = normals[:, 2] < 0
    bright = np.full(len(normals), AMBIENT, np.float32)
    for direction, strength in LIGHTS:
        toward = np.array(direction, np.float32)
        bright += strength * np.maximum(normals @ (toward / np.linalg.norm(toward)), 0)
    halfway = np.array(LIGHTS[0][0], np.float32)
    halfway = halfway / np.linalg.norm(halfway) + np.array([0, 0, 1], np.float32)
    shine = np.maximum(normals @ (halfway / np.linalg.norm(halfway)), 0) ** GLOSS_POWER
    colours = albedo * bright[:, None] + (255 * GLOSS * shine)[:, None]
    colours[behind] = np.array(INSIDE, np.float32) * (0.6 + 0.4 * bright[behind, None])
    return np.clip(colours, 0, 255).astype(np.uint8)
