"""Pham et al. 2017: from mel, MFCC and chroma to head rotation and 46 blendshape weights, causally.

Pham, Cheung, Pavlovic: Speech-driven 3D facial animation with implicit emotional awareness: a deep learning approach,
CVPR workshops 2017.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from scipy.spatial.transform import Rotation
from torch import Tensor, nn

from talkinghead.rig.rig import pose_of_rotation, rotation_of_pose
from talkinghead.speech.features import PHAM_CHUNK, PHAM_RATE, PHAM_SIZE, chunk_features

ROTATION = 3
State = tuple[Tensor, Tensor]
"""Hidden and cell state of the LSTM stack, each (layers, b, hidden)."""


@dataclass(frozen=True)
class PhamConfig:
    """Sizes of the network. Depth and width are not in the sources at hand: these are the authors' next ones.

    Raises:
        ValueError: if a size is not positive.
    """

    features: int = PHAM_SIZE
    hidden: int = 256
    layers: int = 3
    expressions: int = 46
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if min(self.features, self.hidden, self.layers, self.expressions) < 1:
            raise ValueError(f"sizes of the network must be positive: {self}")


class PhamNetwork(nn.Module):
    """Features of each video frame so far -> rotation and expression of that frame.

    The rotation is the vector part of a unit quaternion; expressions lie in 0..1. Features are standardised by the
    training set's mean and deviation, which are buffers.

    References:
        Pham et al. 2017, section 4.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: PhamConfig):
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.features))
        self.register_buffer("deviation", torch.ones(config.features))
        self.lstm = nn.LSTM(
            config.features,
            config.hidden,
            config.layers,
            batch_first=True,
            dropout=config.dropout * (config.layers > 1),
        )
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(config.hidden, ROTATION + config.expressions)

    def forward(
        self, features: Float[Tensor, "b t f"], state: State | None = None
    ) -> tuple[Float[Tensor, "b t 3"], Float[Tensor, "b t n"], State]:
        """Rotation, expressions, and the state to go on from."""
        standard = ((features - self.mean) / self.deviation).clamp(-10, 10)
        hidden, state = self.lstm(standard, state)
        rotation, expressions = self.output(self.dropout(hidden)).split([ROTATION, self.config.expressions], -1)
        return 0.5 * torch.tanh(rotation), torch.sigmoid(expressions), state

    @torch.no_grad()
    def start_from(
        self, features: Float[Tensor, "t f"], expressions: Float[Tensor, "t n"], rotation: Float[Tensor, "r 3"]
    ) -> None:
        """Standardise by the training set, and let the untrained network answer with its mean face."""
        self.mean.copy_(features.mean(0))
        self.deviation.copy_(features.std(0).clamp_min(1e-3))
        nn.init.uniform_(self.output.weight, -0.02, 0.02)
        mean = expressions.mean(0).clamp(0.01, 0.99)
        turned = (2 * rotation.mean(0)).clamp(-0.9, 0.9)
        self.output.bias.copy_(torch.cat([torch.atanh(turned), torch.logit(mean)]))


def expression_loss(
    predicted: Float[Tensor, "b t n"], truth: Float[Tensor, "b t n"], deviation: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Squared error of expression weights, each over its deviation in the training set.

    References:
        Pham et al. 2017, section 4, squared error; the authors' next code divides by fixed deviations.
    """
    return ((predicted - truth) / deviation).square().mean()


def rotation_loss(
    predicted: Float[Tensor, "b t 3"], truth: Float[Tensor, "b t 3"], deviation: Float[Tensor, " 3"]
) -> Float[Tensor, ""]:
    """Squared error of the quaternion's vector part, each over its deviation in the training set."""
    return ((predicted - truth) / deviation).square().mean()


def velocity_loss(
    predicted: Float[Tensor, "b t n"], truth: Float[Tensor, "b t n"], deviation: Float[Tensor, " n"]
) -> Float[Tensor, ""]:
    """Squared error of the change from frame to frame, over the same deviations. Not in the paper; off by default."""
    return ((predicted.diff(dim=1) - truth.diff(dim=1)) / deviation).square().mean()


def sparsity_loss(predicted: Float[Tensor, "b t n"]) -> Float[Tensor, ""]:
    """Mean expression weight: few of them should be in use (weight 0.1 in the authors' next code)."""
    return predicted.mean()


def to_quaternion(pose: Float[np.ndarray, "t 3"]) -> Float32[np.ndarray, "t 3"]:
    """Vector part of the unit quaternion of yaw, pitch, roll (radians, `rig.rig`), its real part not negative."""
    return np.asarray(rotation_of_pose(pose).as_quat(canonical=True)[:, :3], np.float32)


def from_quaternion(vector: Float[np.ndarray, "t 3"]) -> Float32[np.ndarray, "t 3"]:
    """Yaw, pitch, roll (radians) of the unit quaternion with this vector part: the inverse of `to_quaternion`."""
    real = np.sqrt(np.clip(1 - np.square(vector).sum(-1, keepdims=True), 0, None))
    return pose_of_rotation(Rotation.from_quat(np.concatenate([vector, real], -1)).as_matrix()).astype(np.float32)


class PhamStream:
    """Feed sound as it comes, get a frame as soon as its sound is there.

    A frame needs sound up to its own end and no later: the latency is one frame and the time to compute it.
    """

    def __init__(self, network: PhamNetwork, fps: float):
        """Start with silence behind.

        Args:
            network: in evaluation mode.
            fps: video frames a second.

        Raises:
            ValueError: if `fps` is not above 0.
        """
        if fps <= 0:
            raise ValueError(f"fps is {fps}; it must be above 0")
        self.network, self.fps = network.eval(), fps
        self.state: State | None = None
        self.frames = 0
        self._heard = np.zeros(PHAM_CHUNK, np.float32)
        self._first = -PHAM_CHUNK

    def feed(
        self, waveform: Float[np.ndarray, " s"]
    ) -> Iterable[tuple[Float32[np.ndarray, " 3"], Float32[np.ndarray, " n"]]]:
        """Rotation (quaternion's vector part) and expressions of each frame that the new sound completes.

        Args:
            waveform: the next samples at 44.1 kHz, any number of them.
        """
        self._heard = np.concatenate([self._heard, waveform.astype(np.float32)])
        end = int((self.frames + 1) * PHAM_RATE / self.fps)
        chunks = []
        while end - self._first <= len(self._heard):
            chunks.append(self._heard[end - self._first - PHAM_CHUNK : end - self._first])
            self.frames += 1
            end = int((self.frames + 1) * PHAM_RATE / self.fps)
        drop = min(end - PHAM_CHUNK - self._first, len(self._heard))
        self._heard, self._first = self._heard[drop:], self._first + drop
        if not chunks:
            return []
        with torch.inference_mode():
            features = torch.from_numpy(chunk_features(np.stack(chunks)))
            rotation, expressions, self.state = self.network(features[None], self.state)
        return list(zip(rotation[0].numpy(), expressions[0].numpy(), strict=True))
