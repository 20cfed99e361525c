"""A tracked Motion -> the same Motion with the rig's pose and expressions in it."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from talkinghead.face.rig import Rig
from talkinghead.face.rig_fit import FitResult, fit_motion
from talkinghead.face.rig_person import FitSettings, PersonFit, fit_person
from talkinghead.motion import Motion


def track_rig(
    motion: Motion,
    rig: Rig,
    *,
    identity: Float[np.ndarray, " m"] | None = None,
    person: PersonFit | None = None,
    vertices: bool = False,
    settings: FitSettings | None = None,
) -> tuple[Motion, FitResult]:
    """The motion with pose and blendshapes (and vertices), fitted to its landmarks; and the fit.

    Args:
        motion: one person's face.
        rig: the head.
        identity: the person's modes, if they are known from other frames; their own shape is found in these.
        person: all about the person, if it is known.
        vertices: whether to store the mesh of each frame too, which weights, identity and rig give anyway: 28 kB a
            frame of the default rig. They lie in the rig's space, not turned by the pose.
        settings: None for the defaults.

    Raises:
        ValueError: if no frame shows a face.
    """
    if person is None and identity is not None and (motion.confidence > 0).any():
        person = fit_person(motion.landmarks[motion.confidence > 0], rig, identity=identity, settings=settings)
    fit = fit_motion(motion.landmarks, motion.confidence, float(motion.fps), rig, person=person, settings=settings)
    tracked = replace(motion, pose=fit.pose, blendshapes=fit.weights, blendshape_names=rig.expression_names)
    if vertices:
        tracked = replace(tracked, vertices=rig.vertices(fit.weights, fit.identity), topology=rig.faces)
    return tracked, fit
