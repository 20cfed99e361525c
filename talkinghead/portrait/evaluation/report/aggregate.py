"""From records to numbers: means over people, by turn, the far third, movement, driving by others.

A mean is taken over the frames of a video, then over the videos of a person, then over people: nobody counts twice.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

from talkinghead.face.landmarks import eye_opening, mouth_opening
from talkinghead.portrait.evaluation.measures import CSIM, FID, FRECHET, LPIPS, PERCEPTUAL
from talkinghead.portrait.evaluation.metrics import far_third, frechet_distance, movement_correlation
from talkinghead.portrait.evaluation.report.records import Record
from talkinghead.portrait.evaluation.rig_distance import AED, APD
from talkinghead.portrait.evaluation.second_identity import CSIM_SECOND

HIGHER, LOWER, ONE = 1, -1, 0
"""Which way a measure is better: more, less, or near 1."""

MEASURES = {
    "ssim": (HIGHER, "structural similarity, 11x11 gaussian window, values -1..1, RGB"),
    "psnr": (HIGHER, "dB over RGB"),
    "l1": (LOWER, "mean absolute difference, fraction of the range"),
    CSIM: (HIGHER, "cosine of dlib face embeddings around the mean of the training people; result against true frame"),
    CSIM_SECOND: (HIGHER, "cosine of facenet (VGGFace2) embeddings; that network is in no loss"),
    "landmark_error": (
        LOWER,
        "mean distance of the 68 points found in the result from those wanted, over the distance of the eyes; frames "
        "in which the detector finds a face, and finds it in the true frame where it is wanted",
    ),
    "missed": (LOWER, "share of those frames in which the detector finds no face where it should be"),
    AED: (
        LOWER,
        "expression distance: length of the difference of the rig's 0..1 expression weights, fitted to the landmarks "
        "found in result and true frame",
    ),
    APD: (LOWER, "pose distance: degrees of the turn between the head's poses by the same two fits"),
    "sharp_face": (ONE, "sharpness: mean absolute Laplacian over the true frame's, in the face; 1 is as sharp"),
    "sharp_mouth": (ONE, "the same around the mouth"),
    "sharp_eyes": (ONE, "the same around the eyes"),
    PERCEPTUAL: (LOWER, "distance of dlib face network features; a stand-in, not LPIPS"),
    LPIPS: (LOWER, "LPIPS with AlexNet"),
    FRECHET: (LOWER, "Frechet distance of dlib face embeddings over all frames; a stand-in, not FID"),
    FID: (LOWER, "Frechet Inception distance over all frames"),
}
CONFIRMED = 0.1
"""Landmark error of the true frame up to which its landmarks can judge: beyond, they or the detector are wrong."""

ON_CONFIRMED = ("landmark_error", AED, APD)
"""Measures that only count where the true frame's landmarks can judge."""

TURNS = {"below 10°": (0.0, 10.0), "10–20°": (10.0, 20.0), "20–45°": (20.0, 45.0)}
"""Degrees between a target and the nearest photo, from and below."""

Row = dict[str, float]
Where = Callable[[Record], Bool[np.ndarray, " n"]]
"""Which targets of a record count."""


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


def everywhere(record: Record) -> Bool[np.ndarray, " n"]:
    """All targets."""
    return np.ones(record.targets, bool)


def farthest(record: Record) -> Bool[np.ndarray, " n"]:
    """The third that lies farthest from every photo."""
    return far_third(record["distance"])


def turned(low: float, high: float) -> Where:
    """Targets whose head is turned so many degrees away from the nearest photo's."""
    return lambda record: (record["turn"] >= low) & (record["turn"] < high)


def goodness(name: str, values: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Values of a measure such that more is better."""
    way = MEASURES[name][0]
    return np.asarray(-abs(values - 1) if way == ONE else way * values)


def row(
    records: Sequence[Record], method: str, names: Sequence[str], *, where: Where = everywhere, sets: bool = True
) -> Row:
    """Every measure of one method over records of one T.

    Args:
        records: of one T.
        method: such as "ft".
        names: of the measures with one value a frame.
        where: which targets count.
        sets: measure distances of sets too, which need hundreds of frames.
    """

    def mean(name: str) -> Callable[[Record], float]:
        def of(record: Record) -> float:
            judged = where(record) & confirmed(record) if name in ON_CONFIRMED else where(record)
            values = record[f"{method}/{name}"][judged]
            return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

        return of

    def missed(record: Record) -> float:
        lost = np.isnan(record[f"{method}/landmark_error"][where(record) & confirmed(record)])
        return float(lost.mean()) if len(lost) else float("nan")

    measured = {name: mean_over_people(records, mean(name)) for name in names}
    measured["missed"] = mean_over_people(records, missed)
    if sets:
        measured[FRECHET] = set_distance(records, method, "embedding", where)
    if sets and all(f"{method}/inception" in record.values for record in records):
        measured[FID] = set_distance(records, method, "inception", where)
    return {name: measured[name] for name in MEASURES if name in measured}


def set_distance(records: Sequence[Record], method: str, features: str, where: Where) -> float:
    """Frechet distance between the features of all results and of all true frames."""
    result, truth = (
        np.concatenate([record[f"{side}/{features}"][where(record)] for record in records])
        for side in (method, "truth")
    )
    return frechet_distance(result, truth)


def movement(records: Sequence[Record], method: str) -> Row:
    """Correlation of the opening of mouth and eyes between the landmarks that drive and those found in the result.

    `jitter` divides the landmark acceleration of the results of consecutive frames, summed over videos, by that of the
    true frames, both found by the detector frame by frame; nan where no video has such frames.
    """
    found = [record[f"{method}/landmarks"][confirmed(record)] for record in records]
    wanted = [record["wanted"][confirmed(record)] for record in records]
    correlations = {
        name: movement_correlation([measure(one) for one in wanted], [measure(one) for one in found])
        for name, measure in (("mouth", mouth_opening), ("eyes", eye_opening))
    }
    shake = [record[f"{method}/acceleration"] for record in records if f"{method}/acceleration" in record.values]
    return {**correlations, "jitter": _ratio(np.array(shake).reshape(-1, 2))}


def _ratio(shake: Float[np.ndarray, "v 2"]) -> float:
    """Sum of results' acceleration over that of what they should follow."""
    known = shake[np.isfinite(shake).all(1)]
    return float(known[:, 0].sum() / known[:, 1].sum()) if len(known) and known[:, 1].sum() > 0 else float("nan")


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
        "acceleration_ratio": _ratio(shake),
        **correlation,
    }
