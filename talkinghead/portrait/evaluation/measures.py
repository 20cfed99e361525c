"""What looks at results: a detector, the face network, and LPIPS and Inception where their weights are on this machine.

A measure is named after its network. Only the published networks with the published weights are called LPIPS and FID;
what stands in for them has a name of its own.
"""

import copy
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor, nn
from torch.hub import get_dir
from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

from talkinghead.face.detection.detector import FaceDetector, box_around
from talkinghead.face.identity import csim, face_centre, face_chips, face_network
from talkinghead.face.track import overlap
from talkinghead.portrait.evaluation.metrics import (
    REGIONS,
    feature_distance,
    l1,
    landmark_error,
    psnr,
    sharpness,
    ssim,
)
from talkinghead.portrait.evaluation.rig_distance import AED, APD
from talkinghead.portrait.evaluation.second_identity import CSIM_SECOND, csim_second, embed_second, load_facenet

CSIM, PERCEPTUAL, FRECHET = "csim_dlib_centred", "perceptual_dlib", "frechet_dlib"
LPIPS, FID = "lpips_alex", "fid"
ALEXNET_WEIGHTS = "alexnet-owt-7be5be79.pth"
INCEPTION_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
"""In torch's hub cache: torchvision's AlexNet, under torchmetrics' LPIPS; and the network that FID is defined by."""

FACE_LAYERS = (0, 3, 7, 10)
"""Maps of the face network that are compared: the stem and the last of three stages, down to 1/16 of the side."""

SMALLEST_FACE = 0.3
"""Width of the smallest face looked for, as a fraction of the crop; by its framing it is about 0.5."""

SAME_FACE = 0.2
"""Overlap with the place of the wanted face below which a detection is something else."""

Scores = dict[str, np.ndarray]
"""Name -> one value a frame; `embedding`, `inception` and `landmarks` hold more than one."""


class Judges:
    """Measures frames against the truth.

    Args:
        detector: finds the landmarks of results.
        centre: what embeddings are compared around; the one that ships if None.
        device: of the networks.
    """

    def __init__(
        self, detector: FaceDetector, *, centre: Float[Tensor, " 128"] | None = None, device: torch.device | str = "cpu"
    ):
        self.detector = detector
        self.device = torch.device(device)
        self.centre = (face_centre() if centre is None else centre).to(self.device)
        self.network = copy.deepcopy(face_network()).to(self.device)
        self.lpips, self.inception = load_lpips(self.device), load_inception(self.device)
        self.facenet = load_facenet(self.device)

    @property
    def names(self) -> list[str]:
        """The measures that have one value a frame, in the order of tables."""
        second = [CSIM_SECOND] if self.facenet else []
        lpips = [LPIPS] if self.lpips else []
        sharp = [f"sharp_{name}" for name in REGIONS]
        return ["ssim", "psnr", "l1", CSIM, *second, "landmark_error", AED, APD, *sharp, PERCEPTUAL, *lpips]

    @torch.inference_mode()
    def measure(
        self,
        result: UInt8[np.ndarray, "n s s 3"],
        truth: UInt8[np.ndarray, "n s s 3"],
        wanted: Float[np.ndarray, "n 68 2"],
        *,
        true_embedding: Float[Tensor, "n 128"],
        source_embedding: Float[Tensor, " 128"],
        true_found: Float[np.ndarray, "n 68 2"] | None = None,
        found: Float[np.ndarray, "n 68 2"] | None = None,
    ) -> Scores:
        """Every measure of every frame but those by the rig.

        Args:
            result: frames to judge.
            truth: what they should be.
            wanted: landmarks that they should have, fractions of the side.
            true_embedding: of the true frames, from `embed`.
            source_embedding: mean of the source photos'.
            true_found: landmarks of the true frames; None takes those wanted.
            found: landmarks of the result, if they are known already.
        """
        frames, true_frames = to_tensor(result, self.device), to_tensor(truth, self.device)
        scores = self.look(result, wanted, source_embedding=source_embedding, found=found)
        embedding = torch.from_numpy(scores["embedding"]).to(self.device)
        maps = [self._maps(batch) for batch in (frames, true_frames)]
        measured = {
            "ssim": ssim(frames, true_frames),
            "psnr": psnr(frames, true_frames),
            "l1": l1(frames, true_frames),
            CSIM: csim(embedding, true_embedding, self.centre),
            PERCEPTUAL: feature_distance(*maps),
        }
        if self.lpips is not None:
            measured[LPIPS] = self.lpips(frames, true_frames)
        if self.facenet is not None:
            pairs = (frames, scores["landmarks"]), (true_frames, wanted if true_found is None else true_found)
            places = [torch.from_numpy(known(one, wanted)).to(self.device) for _, one in pairs]
            seen = [embed_second(self.facenet, pair[0], place) for pair, place in zip(pairs, places, strict=True)]
            measured[CSIM_SECOND] = csim_second(*seen)
        return (
            scores
            | sharpness(result, truth, wanted)
            | {name: value.cpu().numpy().astype(np.float32) for name, value in measured.items()}
        )

    @torch.inference_mode()
    def look(
        self,
        result: UInt8[np.ndarray, "n s s 3"],
        wanted: Float[np.ndarray, "n 68 2"],
        *,
        source_embedding: Float[Tensor, " 128"],
        found: Float[np.ndarray, "n 68 2"] | None = None,
    ) -> Scores:
        """What needs no true frame: landmarks, embedding, `csim_sources` (to the source photos)."""
        found = self.find_landmarks(result, wanted) if found is None else found
        embedding = self.embed(result, known(found, wanted))
        scores = {
            "landmarks": found,
            "landmark_error": landmark_error(found, wanted).astype(np.float32),
            "embedding": embedding.cpu().numpy(),
            "csim_sources": csim(embedding, source_embedding[None].expand_as(embedding), self.centre).cpu().numpy(),
        }
        if self.inception is not None:
            pixels = torch.from_numpy(result).permute(0, 3, 1, 2).to(self.device)
            scores["inception"] = self.inception(pixels)[0].cpu().numpy()
        return scores

    def find_landmarks(
        self, frames: UInt8[np.ndarray, "n s s 3"], wanted: Float[np.ndarray, "n 68 2"]
    ) -> Float[np.ndarray, "n 68 2"]:
        """Landmarks, fractions of the side, that the detector finds; nan where it finds no face in the wanted place."""
        side = frames.shape[1]
        found = np.full(wanted.shape, np.nan, np.float32)
        for index, frame in enumerate(frames):
            place, _ = box_around((wanted[index] * side - 0.5).astype(np.float32))
            faces = self.detector.detect(frame, min_face=SMALLEST_FACE * side)
            face = max(faces, key=lambda one: overlap(one.box, place), default=None)
            if face is None or overlap(face.box, place) < SAME_FACE:
                continue
            found[index] = (self.detector.landmarks(frame, face.box) + 0.5) / side
        return found

    @torch.inference_mode()
    def embed(
        self, frames: UInt8[np.ndarray, "n s s 3"], landmarks: Float[np.ndarray, "n 68 2"]
    ) -> Float[Tensor, "n 128"]:
        """Identity embeddings."""
        chips = face_chips(to_tensor(frames, self.device), torch.from_numpy(landmarks).to(self.device))
        return self.network((chips + 1) * 127.5)

    def _maps(self, frames: Float[Tensor, "n 3 s s"]) -> list[Tensor]:
        maps = self.network.features((frames + 1) * 127.5, blocks=FACE_LAYERS[-1])
        return [maps[index] for index in FACE_LAYERS]


def known(found: Float[np.ndarray, "n 68 2"], wanted: Float[np.ndarray, "n 68 2"]) -> Float32[np.ndarray, "n 68 2"]:
    """The landmarks found, and those wanted where no face was."""
    return np.where(np.isfinite(found), found, wanted).astype(np.float32)


def to_tensor(frames: UInt8[np.ndarray, "n s s 3"], device: torch.device | str = "cpu") -> Float[Tensor, "n 3 s s"]:
    """Frames in -1..1."""
    return torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def load_lpips(device: torch.device) -> nn.Module | None:
    """LPIPS with AlexNet, if the network's weights were downloaded to torch's cache; gives one value a frame."""
    if not (Path(get_dir()) / "checkpoints" / ALEXNET_WEIGHTS).is_file():
        return None
    return LearnedPerceptualImagePatchSimilarity(net_type="alex", reduction="none").to(device)


def load_inception(device: torch.device) -> nn.Module | None:
    """The Inception network of FID, if the package torch-fidelity is installed and its weights are in torch's cache."""
    path = Path(get_dir()) / "checkpoints" / INCEPTION_WEIGHTS
    if find_spec("torch_fidelity") is None or not path.is_file():
        return None
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path))
    return network.eval().to(device)
