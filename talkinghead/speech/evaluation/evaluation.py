"""A speech model on held-out sequences, beside baselines that need no training."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from talkinghead.face.frames import correlation
from talkinghead.rig.files.own import default_rig
from talkinghead.rig.rig import Rig
from talkinghead.speech.corpora.sequences import Track
from talkinghead.speech.evaluation.metrics import (
    landmark_error,
    lip_distance,
    lip_vertex_error,
    mouth_opening_difference,
    opening_spread,
    r_squared,
    rmse,
    upper_face_deviation,
    velocity_correlation,
)
from talkinghead.speech.features import PHAM_RATE
from talkinghead.speech.model import KarrasModel, SpeechModel, SpeechMotion

Predict = Callable[[Track], Float32[np.ndarray, "t v 3"]]
"""The vertices of a track, metres, from its sound alone."""

COLUMNS = {
    "lve": "LVE, 1e-5 m²",
    "lip_mm": "lip, mm",
    "fdd": "FDD, 1e-5 m²",
    "mod_mm": "MOD, mm",
    "r2": "R² of lips",
    "landmark_mm": "landmarks, mm",
    "velocity": "velocity corr.",
    "opening": "opening corr.",
    "spread": "spread of opening",
    "rmse_mm": "RMSE, mm",
}
"""Metric -> heading."""

_LEVEL = 3 * 128 + 13
"""Column of Pham's features that grows with the level: the middle window's first cepstral coefficient."""
_QUIETEST = 0.1
_CONTEXT = 2
_KEPT_COMPONENTS = 48
_NEAREST_FRAMES = 15000
_BLOCK = 512


def predicted_vertices(model: SpeechModel, track: Track, **wishes: object) -> Float32[np.ndarray, "t v 3"]:
    """What a model makes of a track's sound, as vertices at the track's frames."""
    motion = model.predict(track.sequence.audio(PHAM_RATE), PHAM_RATE, fps=track.fps, **wishes)  # type: ignore[arg-type]
    vertices = motion_vertices(motion, default_rig())
    return vertices[np.minimum(np.arange(len(track)), len(vertices) - 1)]


def motion_vertices(motion: SpeechMotion, rig: Rig) -> Float32[np.ndarray, "t v 3"]:
    """A prediction as vertices, metres."""
    if motion.vertices is not None:
        return motion.vertices
    assert motion.blendshapes is not None
    return rig.vertices(motion.blendshapes)


@dataclass(frozen=True, eq=False)
class Baselines:
    """What can be said without a network: the face of silence, the mean face, the face of the nearest sound.

    Attributes are weights (k,) or offsets of the training set; `sounds` are the training frames' descriptors.
    """

    train: list[Track]
    sounds: Float32[np.ndarray, "n d"]
    frames: list[tuple[int, int]]
    projection: Float32[np.ndarray, "f d"]
    centre: Float32[np.ndarray, " f"]
    quiet: Float32[np.ndarray, "v 3"]
    mean: Float32[np.ndarray, "v 3"]

    @classmethod
    def of(cls, train: list[Track]) -> "Baselines":
        """From training tracks."""
        heard = [track.pham() for track in train]
        frames = [(i, j) for i, part in enumerate(heard) for j in range(len(part))]
        sounds = np.concatenate([_stacked(part) for part in heard])
        stride = max(1, len(frames) // _NEAREST_FRAMES)
        frames, sounds = frames[::stride], sounds[::stride]
        centre, deviation = sounds.mean(0), sounds.std(0) + 1e-3
        scaled = (sounds - centre) / deviation
        _, vectors = np.linalg.eigh(scaled.T @ scaled)
        projection = (vectors[:, -_KEPT_COMPONENTS:] / deviation[:, None]).astype(np.float32)
        loudness = np.concatenate([part[:, _LEVEL] for part in heard])[::stride]
        faces = [_face(train, frames, np.argsort(loudness)[: max(1, int(len(frames) * _QUIETEST))])]
        faces.append(_face(train, frames, np.arange(len(frames))))
        return cls(train, (sounds - centre) @ projection, frames, projection, centre, *faces)

    def predictors(self) -> dict[str, Predict]:
        """Each baseline by name."""
        return {
            "silent": lambda track: np.repeat((track.face.template + self.quiet)[None], len(track), 0),
            "mean face": lambda track: np.repeat((track.face.template + self.mean)[None], len(track), 0),
            "nearest audio": self._nearest,
        }

    def _nearest(self, track: Track) -> Float32[np.ndarray, "t v 3"]:
        sounds = (_stacked(track.pham()) - self.centre) @ self.projection
        squares = (self.sounds**2).sum(1)
        best = [
            np.argmin(squares - 2 * sounds[first : first + _BLOCK] @ self.sounds.T, 1)
            for first in range(0, len(sounds), _BLOCK)
        ]
        chosen = np.concatenate(best)[np.minimum(np.arange(len(track)), len(sounds) - 1)]
        return np.concatenate([self._frame(int(one)) for one in chosen]) + track.face.template

    def _frame(self, number: int) -> Float32[np.ndarray, "1 v 3"]:
        which, frame = self.frames[number]
        track = self.train[which]
        return track.offsets(np.array([frame / float(track.fps)]))


def _stacked(features: Float32[np.ndarray, "t 537"]) -> Float32[np.ndarray, "t f"]:
    """Pham's features of the frames around each frame: its middle window's mel spectrum and MFCC."""
    chosen = features[:, [*range(128, 256, 4), *range(_LEVEL, _LEVEL + 13)]]
    padded = np.pad(chosen, ((_CONTEXT, _CONTEXT), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * _CONTEXT + 1, axis=0)
    return windows.reshape(len(features), -1).astype(np.float32)


def _face(train: list[Track], frames: list[tuple[int, int]], chosen: np.ndarray) -> Float32[np.ndarray, "v 3"]:
    """Mean offsets of chosen frames, of 400 of them at most."""
    some = chosen[:: max(1, len(chosen) // 400)]
    total = np.zeros_like(train[0].face.template)
    for number in some:
        which, frame = frames[int(number)]
        total += train[which].offsets(np.array([frame / float(train[which].fps)]))[0]
    return total / len(some)


def evaluate(
    model: SpeechModel, held_out: list[Track], baselines: Baselines, *, thorough: bool = True
) -> dict[str, dict[str, float]]:
    """Figures of a model and of the baselines on held-out tracks: method -> metric -> figure.

    Means over sequences by their length; R² and RMSE over all frames together. Frames whose truth is a guess
    (confidence 0) are left out. A model's RMSE is also given for each actor and emotion, as "rmse_mm, actor NAME".

    Args:
        model: to be judged.
        held_out: unseen in training.
        baselines: of the training tracks.
        thorough: judge Karras's network with e = 0 too.
    """
    predictors: dict[str, Predict] = {model.kind: lambda track: predicted_vertices(model, track)}
    if isinstance(model, KarrasModel) and thorough:
        zero = np.zeros(model.network.config.emotion, np.float32)
        predictors["karras, e = 0"] = lambda track: predicted_vertices(model, track, emotion=zero)
    predictors |= baselines.predictors()
    rig = default_rig()
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in predictors}
    lips: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in predictors}
    squares: list[tuple[Track, float]] = []
    lengths = []
    for track in held_out:
        sure = track.confidence > 0
        truth = (track.offsets(np.arange(len(track)) / float(track.fps)) + track.face.template)[sure]
        points = lip_points(track, rig)
        lengths.append(len(truth))
        for name, predict in predictors.items():
            predicted = predict(track)[sure]
            rows[name].append(_figures(predicted, truth, track, rig))
            lips[name].append((predicted[:, points], truth[:, points]))
        squares.append((track, rows[model.kind][-1]["rmse_mm"] ** 2))
    figures = {name: _pooled(rows[name], lengths, lips[name]) for name in predictors}
    figures[model.kind] |= _groups(squares, lengths)
    return figures


def _pooled(
    rows: list[dict[str, float]], lengths: list[int], lips: list[tuple[np.ndarray, np.ndarray]]
) -> dict[str, float]:
    weights = np.array(lengths) / sum(lengths)
    figures = {name: float(sum(w * row[name] for w, row in zip(weights, rows, strict=True))) for name in rows[0]}
    figures["rmse_mm"] = float(np.sqrt(sum(w * row["rmse_mm"] ** 2 for w, row in zip(weights, rows, strict=True))))
    return figures | {"r2": r_squared(*(np.concatenate(part) for part in zip(*lips, strict=True)))}


def _groups(squares: list[tuple[Track, float]], lengths: list[int]) -> dict[str, float]:
    """RMSE of each actor's and each emotion's sequences together."""
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for (track, square), length in zip(squares, lengths, strict=True):
        for group in (f"actor {track.sequence.speaker}", f"emotion {track.sequence.emotion or 'unknown'}"):
            sums[group][0] += length * square
            sums[group][1] += length
    return {f"rmse_mm, {group}": float(np.sqrt(total / count)) for group, (total, count) in sorted(sums.items())}


def lip_points(track: Track, rig: Rig) -> np.ndarray:
    """Vertices of the lips; of meshes that are not the rig's, those that move most."""
    if track.face.rig is not None:
        return rig.lip_vertices
    spread = track.offsets(np.linspace(0, track.seconds, 60)).std(0).sum(-1)
    return np.argsort(spread)[-len(spread) // 10 :]


def _figures(predicted: np.ndarray, truth: np.ndarray, track: Track, rig: Rig) -> dict[str, float]:
    lips = lip_points(track, rig)
    figures = {
        "lve": 1e5 * lip_vertex_error(predicted, truth, lips),
        "lip_mm": 1e3 * lip_distance(predicted, truth, lips),
        "rmse_mm": 1e3 * rmse(predicted, truth),
    }
    if track.face.rig is None:
        return figures
    openings = rig.mouth_opening(predicted), rig.mouth_opening(truth)
    deviation = upper_face_deviation(predicted, truth, track.face.template, rig.upper_face_vertices)
    return figures | {
        "fdd": 1e5 * deviation,
        "mod_mm": 1e3 * mouth_opening_difference(*openings),
        "landmark_mm": 1e3 * landmark_error(predicted, truth, rig),
        "velocity": velocity_correlation(*openings),
        "spread": opening_spread(*openings),
        "opening": correlation(*openings),
    }


def table(figures: dict[str, dict[str, float]]) -> str:
    """Figures as a Markdown table."""
    columns = [name for name in COLUMNS if any(name in row for row in figures.values())]
    lines = ["| | " + " | ".join(COLUMNS[name] for name in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for method, row in figures.items():
        lines.append(f"| {method} | " + " | ".join(f"{row.get(name, float('nan')):.3f}" for name in columns) + " |")
    return "\n".join(lines)
