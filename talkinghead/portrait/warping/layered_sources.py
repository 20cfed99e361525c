"""A person's photos, in layers, moved to any landmarks: what the head composites over."""

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

from talkinghead.media.image import resize
from talkinghead.portrait.warping.head_mesh import Person
from talkinghead.portrait.warping.layered_photo import Box, Composite, LayeredPhoto, box_of, enlarged, over
from talkinghead.portrait.warping.mesh_warp import Maps
from talkinghead.portrait.warping.source_photos import blend_weights, nearest_source, scenes, source_distances
from talkinghead.rig.fitting.solver import State

LEAST_COVERAGE = 0.004
_SCENE_SIDE = 64
_LOOKED_AT = 200


class LayeredSources:
    """Photos of one person, moved to where they are wanted.

    Hair, shoulders and background are those of one photo. The face is the mean of the nearest photos of the same scene,
    the nearest with the largest weight, each where it shows the skin.

    Args:
        photos: square crops, each as large as it is.
        landmarks: in them, fractions of the side.
        person: whose head it is; None fits it to the landmarks.
        states: her pose and expression in each photo; None fits them.
        alphas: how much of each pixel of each photo is the person, 0..1; None looks for her.
    """

    def __init__(
        self,
        photos: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        landmarks: Float[np.ndarray, "k 68 2"],
        *,
        person: Person | None = None,
        states: State | None = None,
        alphas: Sequence[Float32[np.ndarray, "_ _"]] | None = None,
    ):
        self.photos, self.landmarks, self.alphas = photos, landmarks, alphas
        self.person = Person.fitted(landmarks) if person is None else person
        self.states = self.person.states(landmarks) if states is None else states
        self.scenes = scenes(np.stack([resize(photo, _SCENE_SIDE) for photo in photos]))
        self._layered: dict[int, LayeredPhoto] = {}

    def background(self, targets: Float[np.ndarray, "t 68 2"]) -> int:
        """Index of the photo nearest to the targets on average: a clip over its background never jumps."""
        looked_at = targets[:: max(1, len(targets) // _LOOKED_AT)]
        return int(np.mean([source_distances(target, self.landmarks) for target in looked_at], 0).argmin())

    def moved(
        self,
        targets: Float[np.ndarray, "t 68 2"],
        size: int,
        *,
        states: State | None = None,
        background: int | None = None,
        among: Sequence[Int[np.ndarray, " n"]] | None = None,
    ) -> UInt8[np.ndarray, "t {size} {size} 6"]:
        """The person at each target as a generator takes it: pictures and masks.

        Args:
            targets: wanted landmarks.
            size: side of the pictures, pixels.
            states: pose and expression at each target; None fits them.
            background, among: as for `to`, for each target.
        """
        states = self.person.states(targets) if states is None else states
        moved = []
        for index, target in enumerate(targets):
            usable = None if among is None else among[index]
            state = states.part(slice(index, index + 1))
            moved.append(self.to(target, state, 2 * size, background=background, among=usable).sized(size))
        return np.stack(moved)

    def others(self, index: int) -> Int[np.ndarray, " n"]:
        """Indices of the other photos of a photo's scene, which it can be drawn from; itself if there are none."""
        rest = self.scenes[index][self.scenes[index] != index]
        return rest if len(rest) else np.array([index])

    def to(
        self,
        target: Float[np.ndarray, "68 2"],
        state: State,
        side: int,
        *,
        background: int | None = None,
        among: Int[np.ndarray, " n"] | None = None,
    ) -> Composite:
        """The person at the wanted landmarks.

        Args:
            target: wanted landmarks, fractions of the side.
            state: her pose and expression there.
            side: of the result, pixels.
            background: index of the photo whose hair and background are taken; None takes the nearest.
            among: indices of the photos that may be used; None is all of them.
        """
        usable = np.arange(len(self.photos)) if among is None else among
        main = int(usable[nearest_source(target, self.landmarks[usable])]) if background is None else background
        faces = np.intersect1d(self.scenes[main], usable)
        faces = faces if len(faces) else np.array([main])
        chosen, weights = blend_weights(source_distances(target, self.landmarks[faces]))
        maps = {int(index): self.layered(int(index)).maps(target, state) for index in {main, *faces[chosen]}}
        moved = self.layered(main).under(maps[main], side)
        self._lay_face(moved, {int(i): float(w) for i, w in zip(faces[chosen], weights, strict=True)}, maps)
        return moved

    def layered(self, index: int) -> LayeredPhoto:
        """A photo cut into layers, when it is first asked for."""
        if index not in self._layered:
            state = self.states.part(slice(index, index + 1))
            alpha = None if self.alphas is None else self.alphas[index]
            photo, landmarks = self.photos[index], self.landmarks[index]
            self._layered[index] = LayeredPhoto(photo, landmarks, self.person, state=state, alpha=alpha)
        return self._layered[index]

    def _lay_face(self, moved: Composite, weights: dict[int, float], maps: dict[int, Maps]) -> None:
        """Lay the mean face over what is under it, in place."""
        side = len(moved.frame)
        coverage = np.max([maps[index].coverage for index in weights], 0)
        box = box_of(coverage > LEAST_COVERAGE, side)
        covered = enlarged(coverage, side, box)
        face = self._mean_face(weights, maps, side, box)
        moved.frame[box] = over(face, moved.frame[box], covered)
        seen = np.rint(255 * covered).astype(np.uint8)
        masks = moved.masks[box]
        moved.masks[box] = cv2.merge((cv2.max(masks[..., 0], seen), seen, masks[..., 2]))

    def _mean_face(
        self, weights: dict[int, float], maps: dict[int, Maps], side: int, box: Box
    ) -> UInt8[np.ndarray, "u v 3"]:
        (first, _), *rest = weights.items()
        face = self.layered(first).face(maps[first], side, box)
        if not rest:
            return face
        total = np.zeros(face.shape, np.float32)
        share = np.full((*face.shape[:2], 1), 1e-6, np.float32)
        for index, weight in weights.items():
            part = face if index == first else self.layered(index).face(maps[index], side, box)
            counted = weight * (enlarged(maps[index].coverage, side, box)[..., None] + 1e-3)
            total += counted * part
            share += counted
        return np.rint(total / share).astype(np.uint8)
