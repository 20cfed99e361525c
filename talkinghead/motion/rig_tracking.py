"""A tracked Motion -> the same Motion with the rig's pose and expressions in it, and how well they fit."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from talkinghead.face import landmarks as scheme
from talkinghead.motion.motion import Motion
from talkinghead.rig.fitting.fit import FitResult, fit_motion
from talkinghead.rig.fitting.person import FitSettings, PersonFit, fit_person
from talkinghead.rig.rig import Rig

BLINK = 0.25
"""Weight of eyeBlink from which on a lid counts as going down: trackers see a closed eye half open."""


@dataclass(frozen=True)
class FitReport:
    """Whether a fit can be believed."""

    frames: int
    seen: int
    """Frames that show a face."""
    error: float
    """Median distance of fitted and given landmarks over that of the outer eye corners."""
    worst_error: float
    """The same of the frame that only 5 % are worse than."""
    mouth_agreement: float
    """Correlation of the rig's mouth opening with the landmarks'; NaN where the mouth does not move."""
    jaw_range: float
    """From how little to how much the jaw is opened (5 % to 95 % of the frames), as a weight."""
    blink_agreement: float
    """Correlation of the blink's weight with how far the landmarks' eyes are closed; NaN where nobody blinks."""
    blinks_a_minute: float
    """People who talk blink 10 to 30 times."""

    def sanity(self) -> dict[str, float | None]:
        """Whether jaw and lids do what the landmarks do, as JSON can hold it: None where nothing moves."""
        values = {name: getattr(self, name) for name in ("mouth_agreement", "blink_agreement", "blinks_a_minute")}
        return {name: round(value, 3) if np.isfinite(value) else None for name, value in values.items()}

    def lines(self) -> list[str]:
        """For a person to read."""
        return [
            f"fit: landmarks are missed by {self.error:.1%} of the eyes' distance (median; 5 % of the frames by more "
            f"than {self.worst_error:.1%}); a face in {self.seen} of {self.frames} frames",
            f"jaw: opens by {self.jaw_range:.2f}; mouth opening agrees with the landmarks' by r = "
            f"{self.mouth_agreement:.2f}",
            f"blinks: {self.blinks_a_minute:.0f} a minute; they agree with the landmarks' eyes by r = "
            f"{self.blink_agreement:.2f}",
        ]


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


def inspect_fit(motion: Motion, fit: FitResult, rig: Rig) -> FitReport:
    """How well a fit explains the landmarks, and whether jaw and lids do what the landmarks' mouth and eyes do."""
    seen = motion.confidence > 0
    small = rig.at_landmarks()
    points = small.vertices(fit.weights[seen], fit.identity)
    error = fit.reprojection_error[seen]
    jaw, lids = (_weights(fit, rig, start)[seen] for start in ("jawOpen", "eyeBlink"))
    closing = np.flatnonzero((lids[1:] >= BLINK) & (lids[:-1] < BLINK))
    low, high = np.quantile(jaw, [0.05, 0.95])
    return FitReport(
        frames=len(motion),
        seen=int(seen.sum()),
        error=float(np.median(error)),
        worst_error=float(np.quantile(error, 0.95)),
        mouth_agreement=_correlation(small.mouth_opening(points), scheme.mouth_opening(motion.landmarks[seen])),
        jaw_range=float(high - low),
        blink_agreement=_correlation(lids, -scheme.eye_opening(motion.landmarks[seen])),
        blinks_a_minute=len(closing) / motion.seconds * 60,
    )


def _weights(fit: FitResult, rig: Rig, start: str) -> Float[np.ndarray, " t"]:
    """Mean weight of the expressions whose names start so; 0 if there is none."""
    columns = [index for index, name in enumerate(rig.expression_names) if name.startswith(start)]
    return fit.weights[:, columns].mean(1) if columns else np.zeros(len(fit.weights))


def _correlation(a: Float[np.ndarray, " t"], b: Float[np.ndarray, " t"]) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 1e-9 else float("nan")
