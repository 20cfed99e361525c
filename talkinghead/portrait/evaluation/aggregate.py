"""From records to numbers: means over people, the far third, movement, driving by others, and the bars to clear.

A mean is taken over the frames of a video, then over the videos of a person, then over people: nobody counts twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool

from talkinghead.face.landmarks import eye_opening, mouth_opening
from talkinghead.portrait.evaluation.measures import CSIM, FID, FRECHET, LPIPS, PERCEPTUAL
from talkinghead.portrait.evaluation.metrics import far_third, frechet_distance, movement_correlation
from talkinghead.portrait.evaluation.records import Record

HIGHER, LOWER = 1, -1
MEASURES = {
    "ssim": (HIGHER, "structural similarity, 11x11 gaussian window, range 0..255, RGB"),
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

STAYS = 0.005
"""Share of its value by which a measure may worsen and still count as staying."""

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


@dataclass(frozen=True)
class Bar:
    """Something a good head clears."""

    says: str
    value: float
    bound: float
    """The value must be at least (or at most) this."""
    at_least: bool

    @property
    def cleared(self) -> bool:
        """Whether it is; nan never is."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


def bars(
    means: dict[int, dict[str, Row]], far: dict[int, dict[str, Row]], moves: dict[str, Row], crossed: Row, method: str
) -> list[Bar]:
    """What one method must reach: better than both baselines and with more photos, alive, itself when others drive.

    Args:
        means: T -> method -> measures.
        far: the same for the far third.
        moves: T as text -> correlations of the method.
        crossed: driving by others.
        method: which is held to them.
    """
    found = []
    for title, table in (("", means), (", far third", far)):
        for shots, rows in table.items():
            if method in rows:
                found += against_baselines(rows, method, f"T={shots}{title}: ", alone=shots == 1)
    found += more_is_better(means, method)
    for count, correlation in moves.items():
        found.append(Bar(f"T={count}: mouth opening follows the driver", correlation["mouth"], 0.9, True))
        found.append(Bar(f"T={count}: eye opening follows the driver", correlation["eyes"], 0.7, True))
    if crossed:
        found.append(Bar("driven by others, CSIM to the own photos falls by", crossed["csim_drop"], 0.1, False))
        found.append(Bar("driven by others, acceleration over the driver's", crossed["acceleration_ratio"], 1.2, False))
    return found


def against_baselines(rows: dict[str, Row], method: str, where: str, *, alone: bool) -> list[Bar]:
    """Against the copied and the warped photo; `alone`: made from a single photo, which asks for less."""
    own, copied, warped = rows[method], rows["copy"], rows["warp"]
    if alone:
        return [
            Bar(f"{where}landmark error below the copy's", own["landmark_error"], copied["landmark_error"], False),
            Bar(f"{where}{PERCEPTUAL} below the warp's", own[PERCEPTUAL], warped[PERCEPTUAL], False),
            Bar(f"{where}{CSIM} within 0.05 of the warp's", own[CSIM], warped[CSIM] - 0.05, True),
        ]
    return [
        Bar(f"{where}ssim above both", own["ssim"], max(copied["ssim"], warped["ssim"]), True),
        Bar(f"{where}{PERCEPTUAL} below both", own[PERCEPTUAL], min(copied[PERCEPTUAL], warped[PERCEPTUAL]), False),
        Bar(f"{where}{CSIM} above both", own[CSIM], max(copied[CSIM], warped[CSIM]), True),
        Bar(f"{where}landmark error below the copy's", own["landmark_error"], copied["landmark_error"], False),
        Bar(
            f"{where}landmark error within 10 % of the warp's",
            own["landmark_error"],
            1.1 * warped["landmark_error"],
            False,
        ),
    ]


def more_is_better(means: dict[int, dict[str, Row]], method: str) -> list[Bar]:
    """Each measure improves or stays from each T to the next."""
    found = []
    counts = [shots for shots in means if method in means[shots]]
    for fewer, more in pairwise(counts):
        for name, before in means[fewer][method].items():
            sign = MEASURES[name][0]
            bound = before - sign * STAYS * abs(before)
            says = f"{name} improves or stays from T={fewer} to {more}"
            found.append(Bar(says, means[more][method][name], bound, sign == HIGHER))
    return found
