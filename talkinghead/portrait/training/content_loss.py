"""Content losses: how far a frame is from the truth, as networks see it.

Two choices: `paper` (VGG19 and VGGFace, as published) and `offline` (a face network that is always installed, joined by
MobileNetV2 where its weights are present).
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from talkinghead.errors import UserError
from talkinghead.face.identity import DlibFaceResNet, face_centre, face_chips
from talkinghead.portrait.networks.vgg import (
    VGG19_LAYERS,
    VGG19_MEAN_BGR,
    VGG19_WIDTHS,
    VGGFACE_LAYERS,
    VGGFACE_MEAN_RGB,
    VGGFACE_WIDTHS,
    CaffeVGG,
)
from talkinghead.weights.downloads import find_mobilenet, read_weights

log = logging.getLogger(__name__)

VGG19_WEIGHT = 1.5e-1
VGGFACE_WEIGHT = 2.5e-2


class PaperContent(nn.Module):
    """The published content loss: L1 over five layers of VGG19 and five of VGGFace.

    Raises:
        UserError: if the weights are missing.

    References:
        Zakharov et al. 2019, section 4; layers and weights of the ICCV version.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vgg19 = CaffeVGG(VGG19_WIDTHS, VGG19_LAYERS, VGG19_MEAN_BGR).load(read_weights("vgg19_caffe.pth"))
        face = CaffeVGG(VGGFACE_WIDTHS, VGGFACE_LAYERS, VGGFACE_MEAN_RGB, order="RGB")
        self.vggface = face.load(read_weights("vgg_face_dag.pth"))

    def forward(
        self,
        fake: Float[Tensor, "b 3 h w"],
        real: Float[Tensor, "b 3 h w"],
        landmarks: Float[Tensor, "b 68 2"],
    ) -> Float[Tensor, ""]:
        total = fake.new_zeros(())
        for network, weight in ((self.vgg19, VGG19_WEIGHT), (self.vggface, VGGFACE_WEIGHT)):
            total = total + weight * differentiated_at_once(partial(_distance, network, real), fake)
        return total


def _distance(network: CaffeVGG, real: Tensor, fake: Tensor) -> Float[Tensor, ""]:
    """L1 over the network's taps."""
    with torch.no_grad():
        truth = network(real)
    return torch.stack([_l1(a, b) for a, b in zip(network(fake), truth, strict=True)]).sum()


class _AtOnce(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, judge: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
        with torch.enable_grad():
            seen = frames.detach().requires_grad_()
            value = judge(seen)
            (gradient,) = torch.autograd.grad(value, seen)
        ctx.save_for_backward(gradient)
        return value.detach()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[None, Tensor]:  # type: ignore[override]
        (gradient,) = ctx.saved_tensors
        return None, outer[0] * gradient


def differentiated_at_once(
    judge: Callable[[Tensor], Float[Tensor, ""]], frames: Float[Tensor, "b 3 h w"]
) -> Float[Tensor, ""]:
    """What the judge says of frames; its maps are forgotten at once, because the gradient is found along with it.

    The same numbers in the same time, but the judges' maps need not wait together for the way back.
    """
    value: Tensor = _AtOnce.apply(judge, frames) if torch.is_grad_enabled() else judge(frames)
    return value


def _l1(fake: Tensor, real: Tensor) -> Float[Tensor, ""]:
    return (fake - real).abs().mean(dtype=torch.float32)


def _relative_l1(fake: Tensor, real: Tensor) -> Float[Tensor, ""]:
    """L1 distance over the mean size of the real map, so that no layer needs a weight of its own.

    Each sample has its own size: a batch is worth the mean of its parts, however many processes share it.
    """
    size = real.abs().mean((1, 2, 3), dtype=torch.float32).clamp_min(1e-6)
    return ((fake - real).abs().mean((1, 2, 3), dtype=torch.float32) / size).mean()


def region_weights(landmarks: Float[Tensor, "b 68 2"], size: int, *, gain: float) -> Float[Tensor, "b 1 h w"]:
    """1 everywhere, rising to 1 + gain over the eyes and the mouth, in soft discs sized by the face."""
    centres = torch.stack(
        [landmarks[:, part].mean(1) for part in (slice(36, 42), slice(42, 48), slice(48, 68))], 1
    )  # (b, 3, 2)
    span = (landmarks[:, 36] - landmarks[:, 45]).norm(dim=-1).clamp_min(0.05)
    radius = torch.stack([0.22 * span, 0.22 * span, 0.38 * span], 1)
    axis = (torch.arange(size, device=landmarks.device) + 0.5) / size
    dx = axis[None, None, None, :] - centres[:, :, 0, None, None]
    dy = axis[None, None, :, None] - centres[:, :, 1, None, None]
    discs = torch.exp(-0.5 * (dx.square() + dy.square()) / radius[..., None, None].square())
    return 1 + gain * discs.amax(1, keepdim=True)


class OfflineContent(nn.Module):
    """A content loss from what PyPI packages contain: pixels, the face network on aligned chips, MobileNetV2.

    Every term is relative to the size of the real maps, so that the loss starts near the paper's. The last term is one
    less the centred similarity (CSIM) of the face network's embeddings: what VGGFace's deep layers say in the paper.

    Args:
        pixel: weight of the L1 distance of pixels, with the eyes and the mouth counting ``region_gain`` more.
        face: weight of the face network's layers.
        image: weight of MobileNetV2's layers, or of the face network on whole frames where MobileNetV2 is absent.
        identity: weight of the distance of identity embeddings.
        region_gain: how much more the eyes and the mouth count.
    """

    mean: Tensor
    std: Tensor

    centre: Tensor

    FACE_BLOCKS = (0, 3, 7, 10)
    """Maps of the face network that are compared: the stem and the ends of three stages."""
    IMAGE_LAYERS = (1, 3, 6, 10)
    CHIP = 112

    def __init__(
        self,
        *,
        pixel: float = 10.0,
        face: float = 2.0,
        image: float = 2.0,
        identity: float = 1.0,
        region_gain: float = 3.0,
    ):
        super().__init__()
        self.pixel, self.face, self.image, self.identity, self.region_gain = pixel, face, image, identity, region_gain
        self.face_network = DlibFaceResNet()
        path = find_mobilenet()
        self.image_layers: nn.ModuleList | None = None
        if path is None:
            log.info("MobileNetV2 weights are absent: the offline content loss uses the face network alone")
        else:
            network = mobilenet_v2()
            network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
            self.image_layers = nn.ModuleList(network.features[: self.IMAGE_LAYERS[-1] + 1])
            self.image_layers.requires_grad_(False).eval()
            self.image_layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1))
        self.register_buffer("centre", face_centre().clone())

    def train(self, mode: bool = True) -> "OfflineContent":
        """Stays in evaluation mode: its batch statistics are part of its weights."""
        return super().train(False)

    def _face_maps(self, frames: Tensor, landmarks: Tensor) -> tuple[list[Tensor], Tensor]:
        """The compared maps and the direction of the embedding from the centre of all faces."""
        chips = (face_chips(frames, landmarks, side=self.CHIP) + 1) * 127.5
        maps = self.face_network.features(chips)
        direction = F.normalize(self.face_network.embedding(maps[-1]) - self.centre)
        return [maps[index] for index in self.FACE_BLOCKS], direction

    def _image_maps(self, frames: Tensor) -> list[Tensor]:
        if self.image_layers is None:
            return self.face_network.features((frames + 1) * 127.5, blocks=self.FACE_BLOCKS[2])[::3]
        x = (((frames + 1) / 2 - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        maps = []
        for index, layer in enumerate(self.image_layers):
            x = layer(x)
            if index in self.IMAGE_LAYERS:
                maps.append(x)
        return maps

    def terms(self, fake: Tensor, real: Tensor, landmarks: Tensor) -> dict[str, Tensor]:
        """The weighted parts by name."""
        with torch.no_grad():
            (face_truth, true_direction), image_truth = self._face_maps(real, landmarks), self._image_maps(real)
            weights = region_weights(landmarks, fake.shape[-1], gain=self.region_gain)
        pixels = ((fake - real).abs() * weights).mean()
        face_maps, direction = self._face_maps(fake, landmarks)
        face = torch.stack([_relative_l1(a, b) for a, b in zip(face_maps, face_truth, strict=True)]).mean()
        identity = 0.5 * (direction - true_direction).square().sum(1).mean()  # 1 - cosine, exactly 0 for the truth
        image = torch.stack(
            [_relative_l1(a, b) for a, b in zip(self._image_maps(fake), image_truth, strict=True)]
        ).mean()
        return {
            "pixel": self.pixel * pixels,
            "face": self.face * face,
            "image": self.image * image,
            "identity": self.identity * identity,
        }

    def forward(
        self,
        fake: Float[Tensor, "b 3 h w"],
        real: Float[Tensor, "b 3 h w"],
        landmarks: Float[Tensor, "b 68 2"],
    ) -> Float[Tensor, ""]:
        return torch.stack(list(self.terms(fake, real, landmarks).values())).sum()


def make_content_loss(name: str) -> PaperContent | OfflineContent:
    """The content loss of that name: ``paper`` or ``offline``. What PyTorch draws next does not depend on it.

    Raises:
        UserError: if the name is unknown, or the weights it needs are missing.
    """
    known: dict[str, type[PaperContent] | type[OfflineContent]] = {"paper": PaperContent, "offline": OfflineContent}
    if name not in known:
        raise UserError(f"perceptual is {name!r}; choose 'paper' or 'offline'")
    with torch.random.fork_rng(devices=[]):  # its networks are filled at random before their weights are read
        return known[name]()
