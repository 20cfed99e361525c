"""The neural face detectors: MTCNN's boxes, FAN's landmarks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.error import URLError

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from talkinghead.errors import UserError
from talkinghead.face.detection.detector import Box, Face, fit_detected, upright_patch
from talkinghead.face.detection.dlib import DlibDetector

DLIB_BOX = (0.93, 0.06)
"""dlib's box over MTCNN's: side over the mean of width and height, and how much lower its centre lies, in the same
unit. Medians of 247 faces that both find."""

FAN_FILE = "2DFAN4-11f355bf06.pth.tar"
FAN_SIDE = 256
FAN_MARGIN = 2.05
"""Side of the picture that FAN sees over the side of the face box (200/195 for half the sum of width and height)."""

FAN_SURE_PEAK = 0.2
"""Mean peak of the heatmaps at which landmarks are as often wrong as right."""


class MtcnnDetector:
    """MTCNN's face boxes (facenet-pytorch, weights in its wheel) and dlib's landmarks."""

    colour: Literal["rgb", "grey"] = "rgb"
    batch = 1

    def __init__(self, *, device: str = "cpu") -> None:
        """Load the models.

        Raises:
            UserError: if facenet-pytorch is not installed.
        """
        try:
            from facenet_pytorch import MTCNN
        except ImportError as error:
            raise UserError("the mtcnn detector needs facenet-pytorch: pip install 'facenet-pytorch<2.6'.") from error
        self._boxes: Any = MTCNN(keep_all=True, post_process=False, device=torch.device(device))
        self._landmarks = DlibDetector()

    def detect(self, frame: UInt8[np.ndarray, "h w *c"], *, min_face: float = 64) -> list[Face]:
        """The faces in a frame at least about `min_face` pixels wide, surest first, as dlib would draw their boxes."""
        rgb = frame if frame.ndim == 3 else np.repeat(frame[:, :, None], 3, 2)
        if min(rgb.shape[:2]) < min_face:
            return []
        self._boxes.min_face_size = min_face
        boxes, scores = self._boxes.detect(rgb)
        if boxes is None:
            return []
        faces = [Face(_as_dlib(*map(float, box)), float(score)) for box, score in zip(boxes, scores, strict=True)]
        return sorted(faces, key=lambda face: -face.score)

    def fit(
        self, frames: Sequence[UInt8[np.ndarray, "h w *c"]], boxes: Sequence[Box], rolls: Sequence[float]
    ) -> tuple[Float[np.ndarray, "n 68 2"], Float[np.ndarray, " n"]]:
        """dlib's landmarks."""
        return self._landmarks.fit(frames, boxes, rolls)

    def landmarks(self, frame: UInt8[np.ndarray, "h w *c"], box: Box) -> Float[np.ndarray, "68 2"]:
        """The landmarks, pixels, of the face in a detected box."""
        return fit_detected(self, frame, box)[0]


def _as_dlib(left: float, top: float, right: float, bottom: float) -> Box:
    size = (right - left + bottom - top) / 2
    x, y, half = (left + right) / 2, (top + bottom) / 2 + DLIB_BOX[1] * size, DLIB_BOX[0] * size / 2
    return x - half, y - half, x + half, y + half


class FanDetector:
    """The paper's landmarks: FAN (face-alignment), many frames at once; boxes from MTCNN."""

    colour: Literal["rgb", "grey"] = "rgb"
    batch = 8

    def __init__(self, *, device: str = "cpu", network: torch.nn.Module | None = None) -> None:
        """Load the models; FAN's weights are downloaded once, with a checksum.

        Args:
            device: where the networks run.
            network: used in FAN's stead: (n, 3, 256, 256) RGB 0..1 -> heatmaps (n, 68, 64, 64).

        Raises:
            UserError: if face-alignment is not installed, or its weights are not here and cannot be downloaded.
        """
        self._boxes = MtcnnDetector(device=device)
        self._device = torch.device(device)
        self._network = (network or _load_fan()).to(self._device).eval()

    def detect(self, frame: UInt8[np.ndarray, "h w *c"], *, min_face: float = 64) -> list[Face]:
        """MTCNN's faces."""
        return self._boxes.detect(frame, min_face=min_face)

    @torch.inference_mode()
    def fit(
        self, frames: Sequence[UInt8[np.ndarray, "h w *c"]], boxes: Sequence[Box], rolls: Sequence[float]
    ) -> tuple[Float[np.ndarray, "n 68 2"], Float[np.ndarray, " n"]]:
        """Landmarks, pixels, of one face in each frame, and how sure they are, 0..1."""
        if not frames:
            return np.zeros((0, 68, 2), np.float32), np.zeros(0, np.float32)
        patches, turns, offsets = zip(
            *(
                upright_patch(frame, box, roll, size=FAN_SIDE, margin=FAN_MARGIN)
                for frame, box, roll in zip(frames, boxes, rolls, strict=True)
            ),
            strict=True,
        )
        pictures = np.stack([p if p.ndim == 3 else np.repeat(p[:, :, None], 3, 2) for p in patches])
        batch = torch.from_numpy(pictures).to(self._device).permute(0, 3, 1, 2).float() / 255
        output = self._network(batch)
        heatmaps = output[-1] if isinstance(output, (list, tuple)) else output
        points, peaks = decode_heatmaps(heatmaps.float())
        scale = FAN_SIDE / heatmaps.shape[-1]
        pixels = (points.cpu().numpy() + 0.5) * scale - 0.5
        landmarks = np.stack([p @ turn.T + offset for p, turn, offset in zip(pixels, turns, offsets, strict=True)])
        odds = (np.maximum(peaks.cpu().numpy(), 1e-6) / FAN_SURE_PEAK) ** 3
        return landmarks.astype(np.float32), (odds / (1 + odds)).astype(np.float32)

    def landmarks(self, frame: UInt8[np.ndarray, "h w *c"], box: Box) -> Float[np.ndarray, "68 2"]:
        """The landmarks, pixels, of the face in a detected box."""
        return fit_detected(self, frame, box)[0]


def decode_heatmaps(heatmaps: Float[Tensor, "n 68 h w"]) -> tuple[Float[Tensor, "n 68 2"], Float[Tensor, " n"]]:
    """Heatmaps -> points (x, y in heatmap pixels) and the mean height of their peaks.

    Each point is the peak, moved a quarter of a pixel towards the higher of its neighbours on either axis, as FAN's
    authors decode it.
    """
    width = heatmaps.shape[-1]
    peaks, where = heatmaps.flatten(2).max(-1)
    x, y = where % width, where // width
    ends = torch.nn.functional.pad(heatmaps, (1, 1, 1, 1), mode="replicate")
    flat = ends.flatten(2)
    at = (y + 1) * (width + 2) + x + 1

    def step(towards: int) -> Tensor:
        return (flat.gather(2, (at + towards)[..., None]) - flat.gather(2, (at - towards)[..., None]))[..., 0].sign()

    points = torch.stack([x + 0.25 * step(1), y + 0.25 * step(width + 2)], -1)
    return points, peaks.mean(-1)


def fan_weights_present() -> bool:
    """Whether FAN can be used without a download."""
    return (Path(torch.hub.get_dir()) / "checkpoints" / FAN_FILE).is_file()


def _load_fan() -> torch.nn.Module:
    try:
        from face_alignment.api import models_urls
        from face_alignment.models import FAN
        from face_alignment.utils import load_file_from_url
    except ImportError as error:
        raise UserError("the face-alignment detector needs its package: pip install face-alignment.") from error
    try:
        path = load_file_from_url(models_urls["2DFAN-4"], check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        raise UserError(
            f"face-alignment's weights ({FAN_FILE}) are not on this machine and could not be downloaded ({error}); "
            "connect once, or choose the dlib or mtcnn detector."
        ) from error
    network = FAN(4)
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network
