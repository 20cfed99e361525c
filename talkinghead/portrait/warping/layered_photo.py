"""A photo in layers, moved: the face over hair and neck over the background.

The background plate stays; the person moves over it, cut out by a matte. Where nothing may move the photo is left as
it is, to the bit, so that a head can be put back into a whole picture without a seam.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from talkinghead.media.image import resize
from talkinghead.portrait.warping.head_mesh import Person
from talkinghead.portrait.warping.layers import foreground, plate
from talkinghead.portrait.warping.matte import person_matte
from talkinghead.portrait.warping.mesh_warp import Maps, MeshWarp
from talkinghead.rig.fitting.solver import State

Box = tuple[slice, slice]
"""Rows and columns."""

GRID = 128
"""Side of the coarse maps; they are smooth, so that larger pictures stretch them."""


@dataclass(frozen=True)
class Composite:
    """A photo moved to other landmarks, and what of it is to be believed."""

    frame: UInt8[np.ndarray, "s s 3"]
    masks: UInt8[np.ndarray, "s s 3"]
    """0..255: how far the person covers the pixel; how far it is a face that the photo shows; how far it is a part of
    the head that the photo hides."""
    moved: UInt8[np.ndarray, "s s"]
    """0..255: how far the pixel may be anything but the photo's own."""

    def sized(self, size: int) -> UInt8[np.ndarray, "{size} {size} 6"]:
        """Frame and masks at another size, as a generator takes them."""
        return np.dstack([resize(self.frame, size), resize(self.masks, size)])


class LayeredPhoto:
    """A photo of a person, cut into layers once, to be moved to any landmarks of hers.

    Args:
        photo: square crop.
        landmarks: in it, fractions of the side.
        person: whose head it is.
        state: her pose and expression in the photo; None fits them.
        alpha: how much of each pixel is the person, 0..1; None looks for her.
    """

    def __init__(
        self,
        photo: UInt8[np.ndarray, "h h 3"],
        landmarks: Float[np.ndarray, "68 2"],
        person: Person,
        *,
        state: State | None = None,
        alpha: Float32[np.ndarray, "h h"] | None = None,
    ):
        self.photo = photo
        self.warp = MeshWarp(landmarks, person, state=state)
        alpha = person_matte(photo, landmarks=landmarks) if alpha is None else alpha
        self.alpha = alpha
        self.plate = plate(photo, alpha)
        self.person = np.dstack([foreground(photo, alpha), np.rint(255 * alpha).astype(np.uint8)])
        self._sized: dict[tuple[int, int], UInt8[np.ndarray, "s s 3"]] = {}

    def maps(self, target: Float[np.ndarray, "68 2"], state: State) -> Maps:
        """Where the pixels come from when the head is at the wanted landmarks.

        Args:
            target: wanted landmarks, fractions of the side.
            state: the person's pose and expression there.
        """
        return self.warp.maps(target, state, GRID)

    def under(self, maps: Maps, side: int) -> Composite:
        """Hair, neck and shoulders moved over the plate; the photo where nothing moves."""
        box = box_of(maps.moved > 0, side)
        fetched = _fetch(self.person, maps.head, side, box)
        alpha = fetched[..., 3].astype(np.float32) / 255
        frame = over(fetched[..., :3], self._at(self.plate, side)[box], alpha)
        photo, movable = self._at(self.photo, side), enlarged(maps.moved, side, box)
        whole, masks, moved = photo.copy(), np.zeros_like(photo), np.zeros((side, side), np.uint8)
        whole[box] = over(frame, photo[box], movable)
        masks[box] = np.rint(255 * cv2.merge((alpha, np.zeros_like(alpha), enlarged(maps.revealed, side, box))))
        moved[box] = np.rint(255 * movable)
        return Composite(whole, masks, moved)

    def face(self, maps: Maps, side: int, box: Box) -> UInt8[np.ndarray, "u v 3"]:
        """A box of the face, moved, as far as `maps.coverage` says."""
        return _fetch(self.person, maps.face, side, box)[..., :3]

    def _at(self, picture: UInt8[np.ndarray, "h h 3"], side: int) -> UInt8[np.ndarray, "s s 3"]:
        """A picture that does not move, at another size; kept, because every frame of a clip asks for it."""
        if len(picture) == side:
            return picture
        key = (id(picture), side)
        if key not in self._sized:
            self._sized[key] = resize(picture, side)
        return self._sized[key]


def box_of(where: Bool[np.ndarray, "g g"], side: int) -> Box:
    """Rows and columns of a picture of this side that hold all these cells of a coarse grid, and a cell more."""
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    cell = side / len(where)
    spans = [
        (int(max(0, (one[0] - 1) * cell)), int(min(side, np.ceil((one[-1] + 2) * cell)))) for one in (rows, columns)
    ]
    return slice(*spans[0]), slice(*spans[1])


def enlarged(values: Float32[np.ndarray, "g g *c"], side: int, box: Box) -> Float32[np.ndarray, "u v *c"]:
    """A box of coarse values stretched to a picture's side."""
    rows, columns = box
    zoom = len(values) / side
    shift = [(part.start + 0.5) * zoom - 0.5 for part in (columns, rows)]
    matrix = np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])
    size = (columns.stop - columns.start, rows.stop - rows.start)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(values, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def over(
    upper: UInt8[np.ndarray, "u v 3"], lower: UInt8[np.ndarray, "u v 3"], alpha: Float32[np.ndarray, "u v"]
) -> UInt8[np.ndarray, "u v 3"]:
    """One picture over another."""
    return cv2.blendLinear(np.ascontiguousarray(upper), np.ascontiguousarray(lower), alpha, 1 - alpha)


def _fetch(
    picture: UInt8[np.ndarray, "h h c"], way: Float32[np.ndarray, "g g 2"], side: int, box: Box
) -> UInt8[np.ndarray, "u v c"]:
    """Pixels of a picture by a coarse map, for a box of the result."""
    fine = enlarged(way, side, box) * np.float32(len(picture)) - np.float32(0.5)
    fixed = cv2.convertMaps(fine, None, cv2.CV_16SC2)
    return cv2.remap(picture, *fixed, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
