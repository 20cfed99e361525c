"""One person's landmarks moved as another's: pose and expression are carried over, the face's proportions are not.

Zakharov et al. 2019 draw the driver's landmarks as they are, and name the cost (section 5): landmarks from somebody
else make a noticeable mismatch of the person. Here each frame is brought to face forward, what differs from the
driver's resting face is the expression, and it is laid on the avatar's resting face and posed again. Eyelids and inner
lips are carried as how far they are open, so that closed stays closed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from talkinghead.errors import UserError
from talkinghead.face import landmarks as scheme
from talkinghead.face.frames import evenly_spread
from talkinghead.face.landmarks import EYELID_PAIRS, INNER_LIP_PAIRS, OUTER_LIP_PAIRS
from talkinghead.motion.strength import UNCHANGED, Strength, middle_of
from talkinghead.rig.files.own import average_face
from talkinghead.rig.fitting.resting_face import resting_face
from talkinghead.rig.head_pose import Pose, estimate_pose

MODES = ("absolute", "relative")

LIP_SHARES = np.array([[0.5, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0.5]])
"""How far each pair of outer lips goes with each pair of inner ones."""

LEAST_RATIO, MOST_RATIO = 0.7, 1.4
"""Bounds of how much larger or smaller an expression may become: beyond, a resting face has been misjudged."""

FITTED_FRAMES = 32
"""Frames that a person's resting face is taken from."""

MEASURED_FRAMES = 512
"""Frames that a person's size in the crop and the opening of the eyes are taken from."""

BLOCK = 512
"""Frames worked on at a time."""

OPEN_QUANTILE = 0.7
"""Where, among a person's frames sorted by how open the eyes are, they count as open: people blink, and look down."""


@dataclass(frozen=True)
class RetargetConfig:
    """What of a driver's movement another person takes on."""

    motion: Literal["absolute", "relative"] = "absolute"
    """Hold the head as the driver does, or start at a source photo and add the driver's movement."""
    adapt_scale: bool = True
    """Keep the face as large in the picture as in the source photos."""
    keep_proportions: bool = True
    """Keep the person's own face (jaw, nose, distances between eyes, brows and mouth), not the driver's."""
    reference: int | None = None
    """The driver's frame that relative motion starts from; None for the one most like a source photo."""
    strength: Strength = UNCHANGED
    """How strongly head, mouth, eyes and brows move."""


@dataclass(frozen=True)
class Person:
    """What stays the same in all frames of one person."""

    face: Float[np.ndarray, "68 3"]
    """The resting face, metres: eyes open, inner lips closed."""
    size: float
    """Scale in the crop (median), fractions of the side per metre."""


@dataclass(frozen=True)
class Held:
    """Frames taken apart: how the head is held, and the face on it facing forward."""

    pose: Pose
    points: Float[np.ndarray, "t 68 3"]

    def strengthened(self, strength: Strength, person: Person, middle: Pose) -> "Held":
        """The same, moved farther or less far from the person's rest and the middle of the movement."""
        return Held(strength.pose(self.pose, middle), strength.face(self.points, person.face))


def retarget(
    driving: Float[np.ndarray, "t 68 2"],
    source: Float[np.ndarray, "n 68 2"],
    config: RetargetConfig | None = None,
    *,
    confidence: Float[np.ndarray, " t"] | None = None,
) -> Float32[np.ndarray, "t 68 2"]:
    """The driver's movement as landmarks of the person in the source frames.

    Args:
        driving: the driver's landmarks, fractions of the side.
        source: landmarks of the person to move, from one or more photos, fractions of the side.
        config: what is taken on; None for the defaults.
        confidence: frames with 0 have no face of their own and teach nothing about the driver.

    Raises:
        ValueError: if there is no driving or no source frame, or the kind of motion or the reference does not exist.
    """
    config = config or RetargetConfig()
    relative, reference = config.motion == "relative", config.reference
    if config.motion not in MODES:
        raise ValueError(f"motion is {config.motion!r}; it is one of {', '.join(MODES)}")
    if not len(driving) or not len(source):
        raise ValueError(f"{len(driving)} driving and {len(source)} source frames; both need at least one")
    if config.strength.changes and not config.keep_proportions:
        raise UserError("--strength and --only move the person's own face; leave --no-keep-proportions out.")
    if reference is not None and not -len(driving) <= reference < len(driving):
        raise ValueError(f"reference is frame {reference} of {len(driving)}")
    seen = _seen(driving, confidence)
    driver, avatar = study(driving, seen), study(source)
    ratio = avatar.size / driver.size if config.adapt_scale else 1.0
    if relative:
        frame, photo = closest(driver, driving, avatar, source, seen=seen, frame=reference)
        first, start = hold(driver, driving[[frame]]), hold(avatar, source[[photo]])
    middle = middle_of(hold(driver, _spread(driving, MEASURED_FRAMES, seen)).pose) if config.strength.changes else None
    if relative and middle is not None:
        first = first.strengthened(config.strength, driver, middle)
    moved = np.empty(driving.shape, np.float32)
    for block in blocks(len(driving)):
        if relative and not config.keep_proportions:
            moved[block] = source[photo] + ratio * (driving[block] - driving[frame])
            continue
        held = hold(driver, driving[block])
        if middle is not None:
            held = held.strengthened(config.strength, driver, middle)
        if relative:
            moved[block] = _relative(driver, held, first, avatar, start, ratio=ratio)
        elif config.keep_proportions:
            pose = _posed(driver, held.pose, avatar, ratio)
            moved[block] = pose.project(transfer(driver, held.points, avatar))
        else:
            centre = held.pose.project(_middle(driver.face))
            moved[block] = centre + ratio * (driving[block] - centre)
    return moved


def study(landmarks: Float[np.ndarray, "f 68 2"], seen: Bool[np.ndarray, " f"] | None = None) -> Person:
    """Who is in the frames, or in those that are seen."""
    face = lips_closed(resting_face(_spread(landmarks, FITTED_FRAMES, seen)))
    held = hold(Person(face, 1.0), _spread(landmarks, MEASURED_FRAMES, seen))
    for eye in (EYELID_PAIRS[:2], EYELID_PAIRS[2:]):
        openness, _ = _openness(held.points, face, eye)
        level = np.clip(np.quantile(openness.mean(1), OPEN_QUANTILE), 0.5, 2.0)
        middle, gap = face[eye].mean(1), face[eye[:, 0]] - face[eye[:, 1]]
        face[eye[:, 0]], face[eye[:, 1]] = middle + level * gap / 2, middle - level * gap / 2
    return Person(face, float(np.median(held.pose.scale)))


def lips_closed(face: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "68 3"]:
    """The face with its inner lips in their middle."""
    closed = face.copy()
    closed[INNER_LIP_PAIRS] = face[INNER_LIP_PAIRS].mean(1, keepdims=True)
    return closed


def hold(person: Person, landmarks: Float[np.ndarray, "t 68 2"]) -> Held:
    """Each frame's pose, and its landmarks brought to face forward."""
    landmarks = landmarks.astype(np.float64)
    pose = estimate_pose(landmarks, person.face)
    return Held(pose, pose.lift(landmarks, person.face))


def transfer(driver: Person, points: Float[np.ndarray, "t 68 3"], avatar: Person) -> Float[np.ndarray, "t 68 3"]:
    """The driver's expressions on the avatar's face, facing forward. The same face comes back for the same person."""
    sizes = local_sizes(driver.face, avatar.face)
    moved = avatar.face + sizes * (points - driver.face)
    _carry_openings(moved, points, driver, avatar, sizes)
    return moved


def local_sizes(driver: Float[np.ndarray, "68 3"], avatar: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "68 3"]:
    """How much larger each part of the avatar's face is: mouth and chin by the mouth's width, eyes by their width and
    height, brows by their height above the eyes."""
    sizes = np.ones((68, 3))
    mouth = _ratio(_distance(avatar, 48, 54), _distance(driver, 48, 54))
    sizes[scheme.OUTER_LIPS + scheme.INNER_LIPS] = mouth
    sizes[scheme.JAW] = 1 + (mouth - 1) * np.interp(np.arange(17), [2, 5, 11, 14], [0, 1, 1, 0])[:, None]
    for eye, brow, lids in (
        (scheme.RIGHT_EYE, scheme.RIGHT_BROW, EYELID_PAIRS[:2]),
        (scheme.LEFT_EYE, scheme.LEFT_BROW, EYELID_PAIRS[2:]),
    ):
        width = _ratio(_distance(avatar, eye[0], eye[3]), _distance(driver, eye[0], eye[3]))
        heights = [np.linalg.norm(face[lids[:, 0]] - face[lids[:, 1]], axis=1).mean() for face in (avatar, driver)]
        lifts = [face[brow, 1].mean() - face[eye, 1].mean() for face in (avatar, driver)]
        sizes[eye] = [width, _ratio(*heights), 1]
        sizes[brow] = [width, _ratio(*lifts), 1]
    return sizes


def _carry_openings(
    moved: Float[np.ndarray, "t 68 3"],
    points: Float[np.ndarray, "t 68 3"],
    driver: Person,
    avatar: Person,
    sizes: Float[np.ndarray, "68 3"],
) -> None:
    """Set, in `moved`, the distance of the lids to the avatar's own times how far the driver's are open, and that of
    the inner lips to the driver's times the mouth's size; the outer lips go with the inner ones and stay as thick."""
    lids = avatar.face[EYELID_PAIRS[:, 0]] - avatar.face[EYELID_PAIRS[:, 1]]
    openness, aside = _openness(points, driver.face, EYELID_PAIRS)
    _set_gap(moved, EYELID_PAIRS, openness[..., None] * lids + sizes[EYELID_PAIRS[:, 0]] * aside)
    upper, lower = INNER_LIP_PAIRS.T
    gap = sizes[upper] * (points[:, upper] - points[:, lower])
    wider = (gap - (moved[:, upper] - moved[:, lower])) / 2
    moved[:, OUTER_LIP_PAIRS[:, 0]] += LIP_SHARES @ wider
    moved[:, OUTER_LIP_PAIRS[:, 1]] -= LIP_SHARES @ wider
    _set_gap(moved, INNER_LIP_PAIRS, gap)


def _openness(
    points: Float[np.ndarray, "t 68 3"], face: Float[np.ndarray, "68 3"], pairs: Int[np.ndarray, "p 2"]
) -> tuple[Float[np.ndarray, "t p"], Float[np.ndarray, "t p 3"]]:
    """The pairs' distance over that of the resting face, along its direction; and what goes aside."""
    rest = face[pairs[:, 0]] - face[pairs[:, 1]]
    gap = points[:, pairs[:, 0]] - points[:, pairs[:, 1]]
    share = (gap * rest).sum(-1) / np.maximum((rest**2).sum(-1), 1e-11)
    return share, gap - share[..., None] * rest


def _set_gap(
    points: Float[np.ndarray, "t 68 3"], pairs: Int[np.ndarray, "p 2"], gap: Float[np.ndarray, "t p 3"]
) -> None:
    upper, lower = pairs.T
    middle = (points[:, upper] + points[:, lower]) / 2
    points[:, upper], points[:, lower] = middle + gap / 2, middle - gap / 2


def _posed(driver: Person, held: Pose, avatar: Person, ratio: float) -> Pose:
    """The driver's poses for the avatar's face: its middle where the driver's is, and of its own size."""
    scale = held.scale * ratio
    ours, theirs = _middle(avatar.face), held.project(_middle(driver.face))[:, 0]
    return Pose(held.rotation, scale, theirs - Pose(held.rotation, scale, 0 * theirs).project(ours)[:, 0])


def _relative(
    driver: Person, held: Held, first: Held, avatar: Person, start: Held, *, ratio: float
) -> Float[np.ndarray, "t 68 2"]:
    """The avatar as at the start, moved as the driver moves away from the first frame."""
    sizes = local_sizes(driver.face, avatar.face)
    points = start.points + sizes * (held.points - first.points)
    _carry_openings(points, held.points, driver, avatar, sizes)
    rotation = held.pose.rotation @ first.pose.rotation[0].T @ start.pose.rotation[0]
    scale = start.pose.scale * held.pose.scale / first.pose.scale
    position = start.pose.position + ratio * (held.pose.position - first.pose.position)
    return Pose(rotation, scale, position).project(points)


def closest(
    driver: Person,
    driving: Float[np.ndarray, "t 68 2"],
    avatar: Person,
    source: Float[np.ndarray, "n 68 2"],
    *,
    seen: Bool[np.ndarray, " t"],
    frame: int | None = None,
) -> tuple[int, int]:
    """Driving frame (if it is not given) and source frame most alike once both are laid on the average face."""
    ours = _on_average(avatar, source)
    if frame is not None:
        frame %= len(driving)
        return frame, int(((_on_average(driver, driving[[frame]]) - ours) ** 2).sum(1).argmin())
    distance = np.empty((len(driving), len(source)))
    for block in blocks(len(driving)):
        theirs = _on_average(driver, driving[block])
        distance[block] = (theirs**2).sum(1)[:, None] + (ours**2).sum(1) - 2 * theirs @ ours.T
    distance[~seen] = np.inf
    best = np.unravel_index(distance.argmin(), distance.shape)
    return int(best[0]), int(best[1])


def _on_average(person: Person, landmarks: Float[np.ndarray, "t 68 2"]) -> Float[np.ndarray, "t 136"]:
    """Each frame's pose and expression as landmarks of the average face, of one size and in one place."""
    held, average = hold(person, landmarks), Person(average_face().neutral.astype(np.float64), 1.0)
    still = Pose(held.pose.rotation, np.ones(len(landmarks)), np.zeros((len(landmarks), 2)))
    return still.project(transfer(person, held.points, average)).reshape(-1, 136)


def _seen(driving: Float[np.ndarray, "t 68 2"], confidence: Float[np.ndarray, " t"] | None) -> Bool[np.ndarray, " t"]:
    """Which frames show a face; all, if none is said to."""
    seen = np.ones(len(driving), bool) if confidence is None else confidence > 0
    return seen if seen.any() else ~seen


def _spread(
    frames: Float[np.ndarray, "t 68 2"], most: int, seen: Bool[np.ndarray, " t"] | None
) -> Float[np.ndarray, "f 68 2"]:
    """At most so many of the frames (that are seen), evenly spread."""
    known = np.arange(len(frames)) if seen is None else np.flatnonzero(seen)
    return frames[known[evenly_spread(len(known), most)]].astype(np.float64)


def blocks(frames: int) -> Iterator[slice]:
    """Parts of a long video, so that working memory does not grow with it."""
    return (slice(start, start + BLOCK) for start in range(0, frames, BLOCK))


def _middle(face: Float[np.ndarray, "68 3"]) -> Float[np.ndarray, "1 3"]:
    """The middle of the face's bounding box: what a crop is centred by."""
    return ((face.min(0) + face.max(0)) / 2 * [1, 1, 0] + face.mean(0) * [0, 0, 1])[None]


def _distance(face: Float[np.ndarray, "68 3"], a: int, b: int) -> float:
    return float(np.linalg.norm(face[a] - face[b]))


def _ratio(ours: float, theirs: float) -> float:
    return float(np.clip(ours / max(theirs, 1e-6), LEAST_RATIO, MOST_RATIO))
