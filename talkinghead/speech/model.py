"""A trained speech model: one file, one call from sound to motion."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from safetensors.torch import save_file
from torch import Tensor, nn

from talkinghead.errors import UserError
from talkinghead.media.files import atomic_path
from talkinghead.media.tensors import frame_rate, read_tensors, refuse_misfit, words_of
from talkinghead.rig.arkit import RIG_NAMES
from talkinghead.rig.files.own import default_rig
from talkinghead.speech.features import (
    KARRAS_RATE,
    PHAM_RATE,
    frame_times,
    full_range,
    karras_features,
    pham_features,
    resample,
    windows_at,
)
from talkinghead.speech.karras2017 import KarrasConfig, KarrasNetwork
from talkinghead.speech.mouth_range import MouthRange, closing_of, quiet_of
from talkinghead.speech.pham2017 import PhamConfig, PhamNetwork, PhamStream, from_quaternion
from talkinghead.speech.phonetics import phonetic_scores
from talkinghead.speech.voca2019 import VocaConfig, VocaNetwork, style_vector
from talkinghead.weights.shipped import shipped

FORMAT = "talkinghead.speech.1"
KINDS = ("karras", "pham", "voca")
ENSEMBLE = 0.004
"""Seconds between the two predictions that Karras et al. average."""

_GRID = 64
"""Samples that the middles of windows are rounded to, 4 ms, so that neighbouring windows share most of their frames."""
_BLOCK = 128
_LONGEST = 4000

Style = int | str | Sequence[float] | Float[np.ndarray, "..."] | Mapping[int | str, float] | None
"""A number, a name, weights of all, or weights of some by number or name."""


@dataclass(frozen=True, eq=False)
class SpeechMotion:
    """What a model says a face does over `t` frames."""

    fps: Fraction
    vertices: Float32[np.ndarray, "t v 3"] | None = None
    """Metres."""
    blendshapes: Float32[np.ndarray, "t n"] | None = None
    """0..1, a column for each of `names`."""
    names: tuple[str, ...] = ()
    pose: Float32[np.ndarray, "t 3"] | None = None
    """Yaw, pitch, roll in radians."""

    def __len__(self) -> int:
        for array in (self.vertices, self.blendshapes, self.pose):
            if array is not None:
                return len(array)
        return 0

    def within(self, mouth: MouthRange, closing: Float[np.ndarray, " t"] | None = None) -> "SpeechMotion":
        """The same with its mouth opened and shut as people's are; of the default rig alone.

        Args:
            mouth: how.
            closing: how surely the lips are shut, 0..1.
        """
        if self.blendshapes is not None and self.names == RIG_NAMES:
            return replace(self, blendshapes=mouth.weights(self.blendshapes, closing))
        if self.vertices is not None and self.vertices.shape[1] == len(default_rig().neutral):
            return replace(self, vertices=mouth.vertices(self.vertices, closing))
        return self


@dataclass(frozen=True)
class Voice:
    """What a model hears."""

    audio: Float[np.ndarray, " s"]
    """Mono, -1..1."""
    rate: int
    """Hz."""
    scores: Callable[[str], Float32[np.ndarray, "n d"]]
    """Phonetic scores by the backend that hears them; heard once."""

    @classmethod
    def of(cls, audio: Float[np.ndarray, " s"], rate: int) -> "Voice":
        """Sound whose phonemes are heard when they are asked for."""
        return cls(audio, rate, cache(lambda backend: phonetic_scores(resample(audio, rate, KARRAS_RATE), backend)))

    def at(self, rate: int) -> Float32[np.ndarray, " r"]:
        """The sound at another rate."""
        return resample(self.audio, self.rate, rate)


@dataclass(frozen=True, eq=False)
class SpeechModel:
    """A network with all that is needed to use it. Take the subclass of a kind; `load` chooses it."""

    kind: ClassVar[str]
    hears_phonemes: ClassVar[bool] = True
    """Whether lips are shut where p, b and m are heard; not in a live model, because hama hears the future."""

    network: nn.Module
    """In evaluation mode."""
    fps: Fraction = Fraction(30)
    """Frames a second of the training data."""
    rig: str | None = None
    """Name of the rig whose vertices or expressions come out; None where `template` and `topology` say it."""
    template: Float32[np.ndarray, "v 3"] | None = None
    """The face at rest, metres; None for blendshapes."""
    topology: Int[np.ndarray, "f 3"] | None = None
    """Triangles of the template; None for the rig's."""
    speakers: tuple[str, ...] = ()
    """Training speakers; the styles of VOCA, in order."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of the features."""
    emotions: Float32[np.ndarray, "m e"] | None = None
    """Emotion vectors that proved useful, the best first (Karras)."""
    emotion_names: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    mouth: MouthRange | None = None
    """How far the mouth opens; None leaves it as the network says. For the default rig alone."""

    def predict(
        self,
        audio: Float[np.ndarray, " s"],
        rate: int,
        *,
        fps: Fraction = Fraction(30),
        speaker: Style = None,
        emotion: Style = None,
    ) -> SpeechMotion:
        """How a face moves while it says this.

        Args:
            audio: mono, -1..1.
            rate: Hz.
            fps: frames a second wanted; frame `i` belongs to `i / fps` seconds.
            speaker: style (VOCA): a speaker's number or name, or weights of all or of some; None mixes all alike.
            emotion: (Karras) number or name of one of `emotions`, weights of some, a vector, or a vector a frame; None
                for the best.

        Raises:
            UserError: if the rate or `fps` is not above 0, or there is no such speaker or emotion.
        """
        if rate <= 0 or fps <= 0:
            raise UserError(f"sound at {rate} Hz for {fps} frames a second: both must be above 0.")
        count = round(len(audio) / rate * fps)
        voice = Voice.of(audio, rate)
        with torch.inference_mode():
            motion = self._predict(voice, count, fps, speaker, emotion)
        if self.mouth is None or not count:
            return motion
        times, closing = frame_times(count, fps), None
        if self.hears_phonemes:
            closing = np.maximum(closing_of(voice.scores("hama"), times), quiet_of(audio, rate, times))
        return motion.within(self.mouth, closing)

    def _predict(self, voice: Voice, count: int, fps: Fraction, speaker: Style, emotion: Style) -> SpeechMotion:
        raise NotImplementedError

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write it in half precision; by convention the name ends in .speech.safetensors.

        Raises:
            UserError: if the file exists and `overwrite` is false.
        """
        tensors = {f"network.{name}": _half(value) for name, value in self.network.state_dict().items()}
        for name in ("template", "emotions"):
            array = getattr(self, name)
            if array is not None:
                tensors[name] = torch.from_numpy(np.ascontiguousarray(array, np.float32))
        if self.topology is not None:
            tensors["topology"] = torch.from_numpy(np.ascontiguousarray(self.topology, np.int32))
        about = {
            "kind": self.kind,
            "config": asdict(self.network.config),  # type: ignore[call-overload]
            "fps": str(self.fps),
            "rig": self.rig,
            "speakers": list(self.speakers),
            "settings": self.settings,
            "mouth": self.mouth and asdict(self.mouth),
            "emotion_names": list(self.emotion_names),
            "provenance": self.provenance,
        }
        with atomic_path(Path(path), overwrite=overwrite) as temporary:
            save_file(tensors, temporary, metadata={"format": FORMAT, "speech": json.dumps(about)})

    @staticmethod
    def load(path: str | Path) -> "SpeechModel":
        """Read what `save` wrote. Nothing in the file is executed.

        Raises:
            UserError: if the file is absent or is not a speech model.
        """
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: there is no such file; give a speech model, made by talkinghead speech-train.")
        try:
            tensors, header = read_tensors(path, FORMAT, framework="pt")
            return _restored(words_of(header, "speech"), tensors)
        except (ValueError, KeyError, TypeError, RuntimeError, ZeroDivisionError) as error:
            raise UserError(
                f"{path}: not a speech model that can be read ({error}); make one with talkinghead speech-train."
            ) from error


class KarrasModel(SpeechModel):
    """Sound at 16 kHz, half a second at a time, and an emotion vector -> vertices."""

    kind = "karras"
    network: KarrasNetwork

    def _predict(self, voice: Voice, count: int, fps: Fraction, speaker: Style, emotion: Style) -> SpeechMotion:
        waveform = full_range(voice.at(KARRAS_RATE))
        times = frame_times(count, fps)
        emotions = self.emotion(emotion, count)
        earlier, later = (self._coefficients(waveform, times + d, emotions) for d in (-ENSEMBLE / 2, ENSEMBLE / 2))
        vertices = self.network.vertices((earlier + later) / 2)
        return SpeechMotion(fps, vertices=vertices.view(count, self.network.config.vertices, 3).numpy())

    def _coefficients(self, waveform: np.ndarray, times: np.ndarray, emotion: Tensor) -> Tensor:
        """Of the basis, for each time. Frames that several windows share are analysed once."""
        step = _GRID / KARRAS_RATE
        features = karras_features(waveform, np.rint(times / step) * step)
        rows, where = _distinct_rows(features, times, step)
        maps = torch.cat(
            [self.network.formant(part[:, None, None])[:, :, 0, 0] for part in torch.from_numpy(rows).split(_LONGEST)]
        )
        index = torch.from_numpy(where)
        parts = []
        for first in range(0, len(index), _BLOCK):
            windows = maps[index[first : first + _BLOCK]].permute(0, 2, 1)[..., None]
            parts.append(self.network.coefficients(self.network.articulation(windows, emotion[first : first + _BLOCK])))
        return torch.cat(parts) if parts else torch.zeros(0, self.network.config.basis)

    def emotion(self, emotion: Style, count: int) -> Float[Tensor, "{count} e"]:
        """The emotion vector of each frame.

        Raises:
            UserError: if there is no such emotion, or the vector does not fit.
        """
        known = self.emotions if self.emotions is not None else np.zeros((1, self.network.config.emotion), np.float32)
        if isinstance(emotion, Mapping):
            total = sum(emotion.values())
            if not total > 0:
                raise UserError(f"weights of emotions sum to {total}; they must be above 0 together.")
            return torch.stack([w / total * self.emotion(name, count) for name, w in emotion.items()]).sum(0)
        if isinstance(emotion, str):
            if emotion not in self.emotion_names:
                raise UserError(f"there is no emotion {emotion!r}; there are {', '.join(self.emotion_names)}.")
            emotion = self.emotion_names.index(emotion)
        if emotion is None or isinstance(emotion, int | np.integer):
            number = int(emotion or 0)
            if not 0 <= number < len(known):
                raise UserError(f"there is no emotion {number}; there are {len(known)}, counted from 0.")
            emotion = known[number]
        vectors = np.asarray(emotion, np.float32)
        if vectors.shape not in ((known.shape[1],), (count, known.shape[1])):
            raise UserError(f"an emotion of shape {vectors.shape} does not fit; give {known.shape[1]} numbers.")
        return torch.from_numpy(np.broadcast_to(vectors, (count, known.shape[1])).copy())


class PhamModel(SpeechModel):
    """Sound at 44.1 kHz up to each frame -> head rotation and blendshapes."""

    kind = "pham"
    hears_phonemes = False
    network: PhamNetwork

    def _predict(self, voice: Voice, count: int, fps: Fraction, speaker: Style, emotion: Style) -> SpeechMotion:
        waveform = voice.at(PHAM_RATE)
        short = max(0, math.ceil(count * PHAM_RATE / fps) + 1 - len(waveform))
        features = torch.from_numpy(pham_features(np.pad(waveform, (0, short)), fps)[:count])
        if not count:
            features = torch.zeros(1, self.network.config.features)  # the LSTM refuses to hear nothing
        rotation, expressions, _ = self.network(features[None])
        rotation, expressions = rotation[:, :count], expressions[:, :count]
        return SpeechMotion(
            fps,
            blendshapes=expressions[0].numpy(),
            names=RIG_NAMES,
            pose=from_quaternion(rotation[0].numpy()),
        )

    def stream(self, fps: Fraction = Fraction(30)) -> PhamStream:
        """Feed it sound at 44.1 kHz as it comes."""
        return PhamStream(self.network, float(fps))


class VocaModel(SpeechModel):
    """Phonetic scores and a style -> vertices."""

    kind = "voca"
    network: VocaNetwork

    def _predict(self, voice: Voice, count: int, fps: Fraction, speaker: Style, emotion: Style) -> SpeechMotion:
        assert self.template is not None
        scores = voice.scores(self.settings.get("backend", "hama"))
        windows = torch.from_numpy(windows_at(scores, frame_times(count, fps), fps=self.fps))
        style = self.style(speaker)
        parts = [self.network(part, style.expand(len(part), -1)) for part in windows.split(_BLOCK)]
        offsets = torch.cat(parts).numpy() if count else np.zeros((0, *self.template.shape), np.float32)
        return SpeechMotion(fps, vertices=offsets + self.template)

    def style(self, speaker: Style) -> Float[Tensor, " k"]:
        """Weights of the speakers.

        Raises:
            UserError: if there is no such speaker, or the weights do not fit.
        """
        count = self.network.config.speakers
        if isinstance(speaker, str):
            if speaker not in self.speakers:
                raise UserError(f"there is no speaker {speaker!r}; there are {', '.join(self.speakers)}.")
            speaker = self.speakers.index(speaker)
        try:
            if isinstance(speaker, Mapping):
                parts = [weight * self.style(name) for name, weight in speaker.items()]
                if not parts:
                    raise ValueError("no style is named; name at least one")
                return style_vector(count, torch.stack(parts).sum(0).numpy())
            return style_vector(count, speaker)
        except ValueError as error:
            raise UserError(f"{error}.") from error


_MODELS: dict[str, type[SpeechModel]] = {kind.kind: kind for kind in (KarrasModel, PhamModel, VocaModel)}


_NETWORKS: dict[str, tuple[Any, Any]] = {
    "karras": (KarrasConfig, KarrasNetwork),
    "pham": (PhamConfig, PhamNetwork),
    "voca": (VocaConfig, VocaNetwork),
}


def default_speech_path(kind: str) -> Path:
    """The model of a kind that ships with the package.

    Raises:
        UserError: if there is no such kind, or this installation does not hold it.
    """
    if kind not in KINDS:
        raise UserError(f"there is no speech model {kind!r}; there are {', '.join(KINDS)}.")
    path = shipped(f"{kind}.speech.safetensors")
    if not path.is_file():
        raise UserError(f"{path} is missing; reinstall talkinghead, or train one: talkinghead speech-train.")
    return path


_LARGEST = 1_000_000
"""No network has more of anything."""


def _restored(about: dict[str, Any], tensors: dict[str, Tensor]) -> SpeechModel:
    config, network = _NETWORKS[about["kind"]]
    unknown = set(about["config"]) - {one.name for one in fields(config)}
    if unknown:
        raise ValueError(f"its sizes name {', '.join(sorted(unknown))}, which this version does not know")
    own = {name.removeprefix("network."): value for name, value in tensors.items() if name.startswith("network.")}
    sizes = config(**about["config"])
    if any(isinstance(size, int) and size > _LARGEST for size in about["config"].values()):
        raise ValueError(f"a size in it is above {_LARGEST}")
    with torch.device("meta"):
        refuse_misfit(network(sizes), own)
    made = network(sizes)
    made.load_state_dict({name: value.float() if value.is_floating_point() else value for name, value in own.items()})
    return _MODELS[about["kind"]](
        made.eval(),
        frame_rate(about["fps"]),
        rig=about["rig"],
        speakers=tuple(about["speakers"]),
        settings=about["settings"],
        mouth=MouthRange(**about["mouth"]) if about.get("mouth") else None,
        emotion_names=tuple(about["emotion_names"]),
        provenance=about["provenance"],
        **{name: tensors[name].numpy() for name in ("template", "topology", "emotions") if name in tensors},
    )


def _half(value: Tensor) -> Tensor:
    return (value.half() if value.is_floating_point() else value).contiguous()


def _distinct_rows(
    features: Float32[np.ndarray, "t 64 32"], times: np.ndarray, step: float
) -> tuple[Float32[np.ndarray, "m 32"], Int[np.ndarray, "t 64"]]:
    """The frames of all windows without repetition, and where each window's are."""
    starts = np.rint(times / step).astype(np.int64)[:, None] + 2 * np.arange(features.shape[1])
    _, first, where = np.unique(starts, return_index=True, return_inverse=True)
    return features.reshape(-1, features.shape[-1])[first], where.reshape(starts.shape)


def load_model(name: str) -> "SpeechModel":
    """A trained model: the one of a kind that ships, or one in a file.

    Raises:
        UserError: if there is no such kind or file.
    """

    path = Path(name)
    return SpeechModel.load(path if path.suffix else default_speech_path(name))
