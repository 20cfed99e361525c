"""A photo in layers, moved: the face over hair and neck over the background.

The background plate stays; the person moves over it, cut out by a matte. Where nothing may move the photo itself is left
as it is, to the bit, so that a head can be put back into a whole picture without a seam.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from talkinghead.portrait.warping.head_mesh import Person
from talkinghead.portrait.warping.layers import foreground, plate
from talkinghead.portrait.warping.matte import person_matte
from talkinghead.portrait.warping.mesh_warp import Maps, MeshWarp
from talkinghead.rig.fitting.solver import State

GRID = 128
"""Side of the coarse maps; they are smooth, so that larger pictures stretch them."""


@dataclass(frozen=True)
class Composite:
    """A photo moved to other landmarks, and what of it is to be believed."""

    frame: UInt8[np.ndarray, "s s 3"]
    masks: UInt8[np.ndarray, "s s 3"]
    """0..255: how far the person covers the pixel; how far it is a face that the photo shows; how far it is a part of the
    head that the photo hides."""


class LayeredPhoto:
    """A photo of a person, cut into layers once, to be moved to any landmarks of hers.

    Args:
        photo: square crop.
        landmarks: in it, fractions of the side.
        person: whose head it is.
        state: her pose and expression in the photo; None fits them.
    """

    def __init__(
        self,
        photo: UInt8[np.ndarray, "s s 3"],
        landmarks: Float[np.ndarray, "68 2"],
        person: Person,
        *,
        state: State | None = None,
    ):
        self.photo = photo
        self.warp = MeshWarp(landmarks, person, state=state)
        alpha = person_matte(photo, landmarks=landmarks)
        self.plate = plate(photo, alpha)
        self.person = np.dstack([foreground(photo, alpha), np.rint(255 * alpha).astype(np.uint8)])

    def to(self, target: Float[np.ndarray, "68 2"], state: State) -> Composite:
        """The photo with the head at the wanted landmarks, as large as it is.

        Args:
            target: wanted landmarks, fractions of the side.
            state: the person's pose and expression there.
        """
        side = len(self.photo)
        maps = self.warp.maps(target, state, GRID)
        head = _fetch(self.person, maps.head, side)
        face = _fetch(self.person[..., :3], maps.face, side)
        coverage, moved, revealed = (_enlarged(one, side) for one in (maps.coverage, maps.moved, maps.revealed))
        alpha = head[..., 3:].astype(np.float32) / 255
        frame = self.plate + alpha * (head[..., :3].astype(np.float32) - self.plate)
        frame += coverage[..., None] * (face - frame)
        frame = self.photo + moved[..., None] * (frame - self.photo)
        covered = np.maximum(alpha[..., 0], coverage)
        masks = np.stack([covered, coverage, revealed], -1)
        return Composite(_pixels(frame), _pixels(255 * masks))


def _fetch(picture: UInt8[np.ndarray, "h h c"], way: Float32[np.ndarray, "g g 2"], side: int) -> UInt8[np.ndarray, "s s c"]:
    """Pixels of a picture by a coarse map."""
    fine = _enlarged(way, side) * len(picture) - 0.5
    return cv2.remap(picture, fine, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _enlarged(values: Float32[np.ndarray, "g g *c"], side: int) -> Float32[np.ndarray, "s s *c"]:
    return cv2.resize(values, (side, side), interpolation=cv2.INTER_LINEAR)


def _pixels(values: Float32[np.ndarray, "s s c"]) -> UInt8[np.ndarray, "s s c"]:
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)


__all__ = ["GRID", "Composite", "LayeredPhoto", "Maps"]
