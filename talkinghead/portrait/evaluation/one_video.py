"""One video evaluated: an avatar from T of its frames against held-out frames and baselines, and moved by a stranger.

References:
    Zakharov et al. 2019, section 4.
"""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8

from talkinghead.face.draw import draw_landmarks
from talkinghead.face.frames import evenly_spread
from talkinghead.media.image import sheet
from talkinghead.motion.motion import Motion
from talkinghead.portrait.avatar.avatar import Avatar
from talkinghead.portrait.avatar.retargeting import ReenactmentConfig
from talkinghead.portrait.data.shards import Track
from talkinghead.portrait.evaluation.measures import Judges, Scores, known
from talkinghead.portrait.evaluation.methods import (
    OTHER,
    TRAINING_FREE,
    Case,
    Frames,
    avatars,
    in_order,
    label,
    resized,
)
from talkinghead.portrait.evaluation.metrics import acceleration
from talkinghead.portrait.evaluation.protocol import frame_rate, longest_run
from talkinghead.portrait.evaluation.report.records import Record
from talkinghead.portrait.evaluation.rig_distance import RigDistance
from talkinghead.portrait.networks.head import FewShotHead
from talkinghead.portrait.training.config import FineTuningConfig

SHEET_ROWS = 4

Examined = tuple[Record, UInt8[np.ndarray, "h w 3"]]
"""What was measured, and a sheet of some results."""

Rows = dict[str, list[UInt8[np.ndarray, "s s 3"]]]
"""Rows of pictures by their labels."""


@dataclass(frozen=True)
class Settings:
    """What is done with each video."""

    size: int
    """Side, pixels, at which frames are compared."""
    fine_tuning: FineTuningConfig | None = None
    """How a person is learnt; None leaves the fine-tuned method out."""
    cross_shots: int = 8
    """T at which another person's motion is rendered as well; 0 for none."""
    cross_frames: int = 64
    """Length of that motion at most."""


class Examiner:
    """Evaluates videos one at a time.

    Args:
        judges: what measures.
        settings: what is done.
        heads: meta-learned, by name; the one without a name is ours. None at all leaves the baselines.
        accelerator: Lightning's name of the device.
    """

    def __init__(
        self,
        judges: Judges,
        settings: Settings,
        *,
        heads: dict[str, FewShotHead] | None = None,
        accelerator: str = "cpu",
    ):
        self.judges, self.settings, self.heads, self.accelerator = judges, settings, heads or {}, accelerator
        self._found: tuple[str, np.ndarray] | None = None

    def examine(
        self, case: Case, *, driver: Track | None = None, programs: dict[str, Frames] | None = None
    ) -> Examined:
        """Measures of every method, and a sheet of some results.

        Args:
            case: a person's photos, and the frames to be made of them.
            driver: another person's video.
            programs: the case's frames as other programs made them, by the programs' names.
        """
        size = self.settings.size
        frames: dict[str, Frames] = {}
        ours = None
        for method, make in avatars(case, self.heads, self.settings.fine_tuning, self.accelerator).items():
            avatar = make()
            ours = ours if OTHER in method else avatar
            frames[method] = resized(avatar.render_batch(case.wanted, device=self.judges.device), size)
        frames |= {name: resized(made, size) for name, made in (programs or {}).items()}
        frames |= {method: render(case, size) for method, render in TRAINING_FREE.items()}
        frames["truth"] = resized(case.truth, size)
        source_embedding = self.judges.embed(resized(case.photos, size), case.landmarks).mean(0)
        values = self._measured(case, frames, source_embedding)
        rows: Rows = {}
        if driver is not None and ours is not None and case.shots == self.settings.cross_shots:
            crossed, rows = self._cross(ours, driver, source_embedding)
            values |= crossed
        record = Record(case.person, case.video, case.shots, len(case.photos), values)
        shown = {method: made[case.held_out] for method, made in frames.items()}
        return record, results_sheet(shown, case.wanted[case.held_out], values["distance"], more=rows)

    def _measured(self, case: Case, frames: dict[str, Frames], source_embedding: torch.Tensor) -> dict[str, np.ndarray]:
        """What a record holds: of the held-out frames every measure, of the consecutive ones how much they shake."""
        held_out, wanted = case.held_out, case.wanted[case.held_out]
        rig = RigDistance(np.concatenate([case.landmarks, case.wanted]))
        values = {
            "wanted": wanted,
            "distance": case.apart.min(1)[held_out].astype(np.float32),
            "turn": rig.turns(case.landmarks, wanted),
        }
        judged = self._judge({method: made[held_out] for method, made in frames.items()}, wanted, source_embedding)
        for method, scores in judged.items():
            scores |= rig.distances(scores["landmarks"], judged["truth"]["landmarks"])
            values |= {f"{method}/{name}": value for name, value in scores.items()}
        shakes = {method: self._shake(made[case.moving], case.wanted[case.moving]) for method, made in frames.items()}
        values |= {f"{method}/acceleration": np.array([one, shakes["truth"]]) for method, one in shakes.items()}
        return values

    def _shake(self, frames: Frames, wanted: Float[np.ndarray, "n 68 2"]) -> float:
        """Acceleration of the landmarks found in consecutive frames."""
        return acceleration(self.judges.find_landmarks(frames, wanted))

    def _judge(
        self, frames: dict[str, Frames], wanted: Float[np.ndarray, "n 68 2"], source_embedding: torch.Tensor
    ) -> dict[str, Scores]:
        """Measures of each method. True frames are aligned as results are: by the landmarks found in them."""
        truth = frames["truth"]
        found = self._true_landmarks(truth, wanted)
        true_embedding = self.judges.embed(truth, known(found, wanted))
        return {
            method: self.judges.measure(
                result,
                truth,
                wanted,
                true_embedding=true_embedding,
                source_embedding=source_embedding,
                true_found=found,
                found=found if method == "truth" else None,
            )
            for method, result in frames.items()
        }

    def _true_landmarks(self, truth: Frames, wanted: Float[np.ndarray, "n 68 2"]) -> Float[np.ndarray, "n 68 2"]:
        """Landmarks found in the true frames; every T of a video has the same ones."""
        key = hashlib.sha256(truth.tobytes()).hexdigest()
        if self._found is None or self._found[0] != key:
            self._found = key, self.judges.find_landmarks(truth, wanted)
        return self._found[1]

    def _cross(
        self, avatar: Avatar, driver: Track, source_embedding: torch.Tensor
    ) -> tuple[dict[str, np.ndarray], Rows]:
        """Another person's motion, relative: likeness to the avatar's photos, how much it shakes; some pictures."""
        chosen = longest_run(driver.times, most=self.settings.cross_frames)
        if len(chosen) < 3:
            return {}, {}
        times, driving = driver.times[chosen], driver.landmarks[chosen]
        motion = Motion(driving, np.ones(len(driving), np.float32), frame_rate(times))
        animation = avatar.animate(motion, ReenactmentConfig(motion="relative"), device=self.judges.device)
        moved, results = animation.landmarks, resized(np.stack(list(animation)), self.settings.size)
        drivers = resized(driver.frames(chosen.tolist()), self.settings.size)
        scores = self.judges.look(results, moved, source_embedding=source_embedding)
        seen = self.judges.find_landmarks(drivers, driving)
        rows = {
            f"driven by {driver.video}, {times[index] - times[0]:.1f} s": [
                drivers[index],
                draw_landmarks(moved[index], self.settings.size),
                results[index],
            ]
            for index in (len(chosen) // 3, 2 * len(chosen) // 3)
        }
        return {
            "cross/csim_sources": scores["csim_sources"],
            "cross/landmarks": scores["landmarks"],
            "cross/landmark_error": scores["landmark_error"],
            "cross/driving": driving,
            "cross/acceleration": np.array([acceleration(scores["landmarks"]), acceleration(seen)]),
        }, rows


def results_sheet(
    frames: dict[str, Frames],
    wanted: Float[np.ndarray, "n 68 2"],
    distance: Float[np.ndarray, " n"],
    *,
    more: Rows | None = None,
) -> UInt8[np.ndarray, "h w 3"]:
    """Some targets as rows, from the nearest to its source to the farthest: source, landmarks, every method, truth.

    Args:
        frames: of each method.
        wanted: landmarks of the targets.
        distance: of each target to its source.
        more: rows to put below.
    """
    order = np.argsort(distance, kind="stable")
    chosen = order[evenly_spread(len(order), SHEET_ROWS)]
    size = frames["truth"].shape[1]
    shown = [name for name in in_order(list(frames)) if name != "copy"]
    rows = []
    for index in chosen:
        drawn = draw_landmarks(wanted[index], size)
        rows.append([frames["copy"][index], drawn, *(frames[name][index] for name in shown)])
    columns = ["nearest photo", "landmarks", *(label(name).removeprefix("nearest photo, ") for name in shown)]
    labels = [f"{distance[index]:.2f} of the eyes' distance from the nearest photo" for index in chosen]
    more = more or {}
    return sheet([*rows, *more.values()], labels=[*labels, *more], column_labels=columns)
