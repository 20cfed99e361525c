"""What a voice says of a face -> a Motion: blendshapes or vertices, a head that moves and blinks -> landmarks.

`speak_motion` gives the movement in the proportions of the rig. `Likeness` gives its landmarks in the proportions of a
person whose photos are known: the few-shot head is drawn from those.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from talkinghead.errors import UserError
from talkinghead.face.crop import to_crop, window_for
from talkinghead.face.landmarks import interocular
from talkinghead.motion.motion import Motion
from talkinghead.motion.retarget import Person, hold, lips_closed, study, transfer
from talkinghead.motion.strength import UNCHANGED, Strength
from talkinghead.rig import arkit
from talkinghead.rig.files.own import average_face
from talkinghead.rig.fitting.inverse import closed_eyes
from talkinghead.rig.head_pose import Pose
from talkinghead.rig.rig import Rig, pose_of_rotation, rotation_matrix
from talkinghead.speech.model import SpeechMotion
from talkinghead.speech.speaking.head_motion import HeadMotion

NECK = np.array([0.0, -0.09, -0.06], np.float32)
"""Metres from the rig's origin to where a head turns: the top of the neck."""

MOST_TURNED = np.radians([12, 10, 8])
"""How far from the front a person may stand at rest: yaw, pitch, roll of the photos are kept up to this."""


def speak_motion(
    spoken: SpeechMotion, head: HeadMotion, rig: Rig, *, sound: Path | None = None, strength: float = 1.0
) -> Motion:
    """A face that speaks on a head that moves, in the rig's proportions and framed as `prepare` frames a face.

    A pose that the model predicts is added as it differs from its median.

    Args:
        spoken: the model's prediction.
        head: pose and blinks to add.
        rig: whose blendshapes or vertices they are.
        sound: a media file with the voice.
        strength: expressions are made this many times larger.

    Raises:
        ValueError: if the prediction holds neither blendshapes nor vertices of this rig, or the head's frames are not
            as many.
    """
    weights = rig_weights(spoken, rig)
    given = spoken.vertices if weights is None else weights
    if given is None:
        raise ValueError("a speech model must give blendshapes or vertices")
    if len(given) != len(head):
        raise ValueError(f"{len(given)} frames of speech and {len(head)} of head motion")
    pose = head.pose.astype(np.float64)
    if spoken.pose is not None:
        pose = pose + spoken.pose - np.median(spoken.pose, 0)
    lids = head.blink[:, None] * closed_eyes(rig)
    if weights is not None:
        weights = np.maximum(np.clip(strength * weights, 0, 1), lids)
        vertices = rig.vertices(weights)
    else:
        vertices = rig.vertices(lids) + strength * (np.asarray(given, np.float32) - rig.neutral)
    points = rig.landmarks_3d(vertices)
    scale, shift = _framing(rig)
    neck = shift + scale * NECK[:2] * np.array([1, -1], np.float32)
    placed = pose.astype(np.float32)
    held = Pose(rotation_matrix(placed), np.full(len(head), scale), np.tile(neck, (len(head), 1)))
    return Motion(
        held.project(points - NECK).astype(np.float32),
        np.ones(len(head), np.float32),
        spoken.fps,
        pose=placed,
        blendshapes=weights,
        blendshape_names=rig.expression_names if weights is not None else (),
        vertices=vertices.astype(np.float32),
        topology=rig.faces,
        sound=sound,
    )


def rig_weights(spoken: SpeechMotion, rig: Rig) -> Float32[np.ndarray, "t k"] | None:
    """The prediction as weights of the rig's expressions, by name; None where it has vertices alone.

    Raises:
        ValueError: if it has vertices alone and not as many as the rig.
    """
    if spoken.blendshapes is None:
        if spoken.vertices is not None and spoken.vertices.shape[1] != len(rig.neutral):
            raise ValueError(
                f"{spoken.vertices.shape[1]} vertices were predicted, rig {rig.name} has {len(rig.neutral)}"
            )
        return None
    weights = np.clip(np.asarray(spoken.blendshapes, np.float32), 0, 1)
    if tuple(spoken.names) == rig.expression_names:
        return weights
    if rig.expression_names == arkit.RIG_NAMES:
        return arkit.to_rig(weights, spoken.names)
    known = [name for name in rig.expression_names if name in spoken.names]
    if not known:
        raise ValueError(f"rig {rig.name} has none of the expressions that were predicted")
    sorted_ = np.zeros((len(weights), len(rig.expression_names)), np.float32)
    for name in known:
        sorted_[:, rig.expression_names.index(name)] = weights[:, spoken.names.index(name)]
    return sorted_


@dataclass(frozen=True)
class Likeness:
    """A person as the rig's movement is carried over to: made once, used for every frame."""

    rig: Rig
    driver: Person
    """The rig's resting face, as large as the average face."""
    enlarged: float
    """How many times larger that is than the rig."""
    person: Person
    stance: Float[np.ndarray, " 3"]
    """How the person holds the head at rest: yaw, pitch, roll."""
    middle: Float[np.ndarray, " 2"]
    """Where the neck is seen then, fractions of the crop's side."""

    @classmethod
    def of(cls, rig: Rig, source_landmarks: Float[np.ndarray, "n 68 2"]) -> "Likeness":
        """The person of these photos, who is as large and stands as there (median)."""
        rest = rig.landmarks_3d(rig.neutral[None])[0].astype(np.float64)
        enlarged = float(interocular(average_face().neutral[:, :2]) / interocular(rest[:, :2]))
        driver, person = Person(lips_closed(enlarged * rest), 1.0), study(source_landmarks)
        own = hold(person, source_landmarks).pose
        stance = np.median(np.clip(pose_of_rotation(own.rotation), -MOST_TURNED, MOST_TURNED), 0)
        unmoved = cls(rig, driver, enlarged, person, stance, np.median(own.position, 0))
        return replace(unmoved, middle=unmoved.pose(stance[None]).project(unmoved.neck)[0, 0])

    @property
    def neck(self) -> Float[np.ndarray, "1 3"]:
        """Where the person's head turns, metres."""
        return self.person.face.mean(0) + (self.enlarged * NECK - self.driver.face.mean(0))[None]

    def pose(self, angles: Float[np.ndarray, "t 3"]) -> Pose:
        """The person turned about the neck by yaw, pitch and roll."""
        frames = len(angles)
        return Pose(rotation_matrix(angles), np.full(frames, self.person.size), np.tile(self.middle, (frames, 1)))

    def landmarks(self, motion: Motion, strength: Strength = UNCHANGED) -> Float32[np.ndarray, "t 68 2"]:
        """The motion's landmarks in this person's proportions, fractions of the crop's side.

        Expressions are carried over as `motion.retarget` does; the driver's resting face and pose are known exactly.

        Args:
            motion: made by `speak_motion` of the same rig: vertices that face forward, and a pose.
            strength: how strongly mouth, eyes and brows move.

        Raises:
            UserError: if the motion has no pose, or no vertices of the rig.
        """
        rig = self.rig
        if motion.vertices is None or motion.pose is None or motion.vertices.shape[1] != len(rig.neutral):
            raise UserError(
                f"the motion has no pose, or no vertices of the rig {rig.name}; make it with talkinghead speak."
            )
        offsets = self.enlarged * (rig.landmarks_3d(motion.vertices) - rig.landmarks_3d(rig.neutral[None]))
        points = strength.face(self.driver.face + offsets, self.driver.face)
        moved = transfer(self.driver, points, self.person)
        return self.pose(motion.pose + self.stance).project(moved - self.neck).astype(np.float32)


def mesh_motion(
    vertices: Float[np.ndarray, "t v 3"],
    topology: Int[np.ndarray, "f 3"],
    head: HeadMotion,
    fps: Fraction,
    *,
    sound: Path | None = None,
) -> Motion:
    """The motion of a mesh that is no rig of ours: nobody knows where its landmarks are, so their confidence is 0."""
    frames = len(vertices)
    return Motion(
        np.full((frames, 68, 2), 0.5, np.float32),
        np.zeros(frames, np.float32),
        fps,
        pose=head.pose,
        vertices=vertices.astype(np.float32),
        topology=topology,
        sound=sound,
    )


@cache
def _framing(rig: Rig) -> tuple[float, Float32[np.ndarray, " 2"]]:
    """Fractions of the crop's side per metre, and where the origin is seen, for the resting face from the front."""
    rest = rig.landmarks_3d(rig.neutral[None])[0][:, :2] * [1e3, -1e3]
    window = window_for(rest)
    return 1e3 / window.side, to_crop(np.zeros((1, 2)), window)[0].astype(np.float32)
