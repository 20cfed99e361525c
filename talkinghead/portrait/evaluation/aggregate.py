"""From records to numbers: means over people, the far third, movement, driving by others.

A mean is taken over the frames of a video, then over the videos of a person, then over people: nobody counts twice.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool

from talkinghead.face.landmarks import eye_opening, mouth_opening
from talkinghead.portrait.evaluation.measures import CSIM, FID, FRECHET, LPIPS, PERCEPTUAL
from talkinghead.portrait.evaluation.metrics import far_third, frechet_distance, movement_correlation
from talkinghead.portrait.evaluation.records import Record

HIGHER, LOWER = 1, -1
MEASURES = {
    "ssim": (HIGHER, "structural similarity, 11x11 gaussian window, values -1..1, RGB"),
    "psnr": (HIGHER, "dB over RGB"),
    "l1": (LOWER, "mean absolute difference, fraction of the range"),
    CSIM: (HIGHER, "cosine of dlib face embeddings around the mean of the training people; result against true frame"),
    "landmark_error": (
        LOWER,
        "mean distance of the 68 points found in the result from those wanted, over the distance of the eyes; frames "
        "in which the detector finds a face, and finds it in the true frame where it is wanted",
    ),
    "missed": (LOWER, "share of those frames in which the detector finds no face where it should be"),
    PERCEPTUAL: (LOWER, "distance of dlib face network features; a stand-in, not LPIPS"),
    LPIPS: (LOWER, "LPIPS with AlexNet"),
    FRECHET: (LOWER, "Frechet distance of dlib face embeddings over all frames; a stand-in, not FID"),
    FID: (LOWER, "Frechet Inception distance over all frames"),
}
CONFIRMED = 0.1
"""Landmark error of the true frame up to which its landmarks can judge: beyond, they or the detector are wrong."""

Row = dict[str, float]


def select(records: Sequence[Record], shots: int) -> list[Record]:
    """The records of one T."""
    return [record for record in records if record.shots == shots]


def mean_over_people(records: Sequence[Record], measure: Callable[[Record], float]) -> float:
    """Mean over the videos of each person, then over people; nan values are left out."""
    people: dict[str, list[float]] = {}
    for record in records:
        value = measure(record)
        if np.isfinite(value):
            people.setdefault(record.person, []).append(value)
    return float(np.mean([np.mean(values) for values in people.values()])) if people else float("nan")


def confirmed(record: Record) -> Bool[np.ndarray, " n"]:
    """The targets in whose true frames the detector finds the landmarks that were wanted."""
    return record["truth/landmark_error"] <= CONFIRMED  # nan is not


def row(records: Sequence[Record], method: str, names: Sequence[str], *, far: bool = False, sets: bool = True) -> Row:
    """Every measure of one method over records of one T.

    Args:
        records: of one T.
        method: such as "ft".
        names: of the measures with one value a frame.
        far: take only the third of each video's targets that lies farthest from every source.
        sets: measure distances of sets too, which need hundreds of frames.
    """

    def frames(record: Record) -> Bool[np.ndarray, " n"]:
        return far_third(record["distance"]) if far else np.ones(record.targets, bool)

    def mean(name: str) -> Callable[[Record], float]:
        def of(record: Record) -> float:
            judged = frames(record) & confirmed(record) if name == "landmark_error" else frames(record)
            values = record[f"{method}/{name}"][judged]
            return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

        return of

    def missed(record: Record) -> float:
        lost = np.isnan(record[f"{method}/landmark_error"][frames(record) & confirmed(record)])
        return float(lost.mean()) if len(lost) else float("nan")

    measured = {name: mean_over_people(records, mean(name)) for name in names}
    measured["missed"] = mean_over_people(records, missed)
    if sets:
        measured[FRECHET] = set_distance(records, method, "embedding", frames)
    if sets and all(f"{method}/inception" in record.values for record in records):
        measured[FID] = set_distance(records, method, "inception", frames)
    return {name: measured[name] for name in MEASURES if name in measured}


def set_distance(
    records: Sequence[Record], method: str, features: str, frames: Callable[[Record], np.ndarray]
) -> float:
    """Frechet distance between the features of all results and of all true frames."""
    result, truth = (
        np.concatenate([record[f"{side}/{features}"][frames(record)] for record in records])
        for side in (method, "truth")
    )
    return frechet_distance(result, truth)


def movement(records: Sequence[Record], method: str) -> Row:
    """Correlation of the opening of mouth and eyes between the landmarks that drive and those found in the result."""
    found = [record[f"{method}/landmarks"][confirmed(record)] for record in records]
    wanted = [record["wanted"][confirmed(record)] for record in records]
    return {
        name: movement_correlation([measure(one) for one in wanted], [measure(one) for one in found])
        for name, measure in (("mouth", mouth_opening), ("eyes", eye_opening))
    }


def cross_driving(records: Sequence[Record], method: str) -> Row:
    """Driven by somebody else: likeness to the source photos against self-driving, and shake.

    `acceleration_ratio` divides the sum over videos of the result's landmark acceleration by that of the driver's, both
    found by the detector frame by frame.
    """
    driven = [record for record in records if "cross/csim_sources" in record.values]
    if not driven:
        return {}
    own = mean_over_people(driven, lambda record: float(record[f"{method}/csim_sources"].mean()))
    cross = mean_over_people(driven, lambda record: float(record["cross/csim_sources"].mean()))
    shake = np.array([record["cross/acceleration"] for record in driven])
    shake = shake[np.isfinite(shake).all(1)]
    correlation = {
        name: movement_correlation(
            [measure(record["cross/driving"]) for record in driven],
            [measure(record["cross/landmarks"]) for record in driven],
        )
        for name, measure in (("mouth", mouth_opening), ("eyes", eye_opening))
    }
    return {
        "csim_sources_self": own,
        "csim_sources_cross": cross,
        "csim_drop": own - cross,
        "acceleration_ratio": float(shake[:, 0].sum() / shake[:, 1].sum()) if len(shake) else float("nan"),
        **correlation,
    }
