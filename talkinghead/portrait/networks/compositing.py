"""What the shipped head adds to the paper's generator: it paints over a warped source, where the warp is wrong.

The generator also sees a photo warped to the target's landmarks (the warped source), hands fine maps past its
bottleneck, and gives a mask beside its frame: where the source stays, and where the frame covers it. Training must
start with a frame that is worth as much as the source, as on people whom it knows; next to a poor one the mask closes
over the source, and nothing learns to paint.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from talkinghead.portrait.networks.config import PortraitConfig
from talkinghead.portrait.networks.generator import Generator
from talkinghead.portrait.networks.layers import Conv


class CompositingGenerator(Generator):
    """The paper's generator with a second picture in and a mask out, by which its frame is laid over that picture.

    Args:
        config: sizes, with `compositing`.
        spectral: spectral normalisation; off for folded weights.
        projection: as for `Generator`.
    """

    OUTPUTS = 4
    """Channels of a frame and its mask."""

    def extend(self, config: PortraitConfig, *, spectral: bool) -> None:
        """Add the bridges, from the coarsest up."""
        self.bridges = nn.ModuleList()
        if config.compositing is not None and config.compositing.bridges:
            widths = [config.channels(level) for level in reversed(range(config.down_blocks))]
            self.bridges.extend(
                Bridge(passed, outputs, spectral=spectral)
                for passed, outputs in zip(widths[1:], widths[:-1], strict=True)
            )

    def forward(  # type: ignore[override]
        self,
        landmark_image: Float[Tensor, "b 3 h w"],
        adain_params: Float[Tensor, "b n"],
        warped_source: Float[Tensor, "b c h w"],
        *,
        mask_dropout: int = 0,
    ) -> Float[Tensor, "b 3 h w"]:
        """A frame for each landmark image, composited over its warped source.

        Args:
            landmark_image: drawn from the target's landmarks.
            adain_params: of the person.
            warped_source: photos of the person, warped to the target's landmarks; more channels are masks.
            mask_dropout: how many of the first frames stay raw: nothing of the source shows through.
        """
        raw, stays = self.raw_and_mask(landmark_image, adain_params, warped_source)
        blended = raw.lerp(warped_source[:, :3].float(), stays)
        return torch.cat([raw[:mask_dropout], blended[mask_dropout:]]) if mask_dropout else blended

    def raw_and_mask(
        self,
        landmark_image: Float[Tensor, "b 3 h w"],
        adain_params: Float[Tensor, "b n"],
        warped_source: Float[Tensor, "b c h w"],
    ) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b 1 h w"]]:
        """The raw frames, and where the warped source stays, 0..1; the arguments are those of `forward`."""
        painted = self.paint(torch.cat([landmark_image, warped_source], 1), adain_params)
        return torch.tanh(painted[:, :3]), torch.sigmoid(painted[:, 3:])

    def after_up(self, level: int, x: Float[Tensor, "b c h2 w2"], passed: list[Tensor]) -> Float[Tensor, "b c h2 w2"]:
        """Self-attention as in the paper, then the bridge from the map of the same size."""
        x = super().after_up(level, x, passed)
        return self.bridges[level](x, passed[-2 - level]) if level < len(self.bridges) else x


class Bridge(nn.Module):
    """Adds a map from the way down to one from the way up, with a weight for each channel that starts at zero.

    References:
        Ronneberger et al. 2015, U-Net.
    """

    def __init__(self, inputs: int, outputs: int, *, spectral: bool = True):
        super().__init__()
        self.conv = Conv(inputs, outputs, kernel=1, bias=False, spectral=spectral)
        self.gain = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "b o h w"], passed: Float[Tensor, "b i h w"]) -> Float[Tensor, "b o h w"]:
        return torch.addcmul(x, self.gain.to(x.dtype)[:, None, None], self.conv(passed).to(x.dtype))


def make_generator(config: PortraitConfig, *, spectral: bool = True, projection: bool = True) -> Generator:
    """The generator of these sizes: the paper's, or the one that composites."""
    kind = Generator if config.compositing is None else CompositingGenerator
    return kind(config, spectral=spectral, projection=projection)


def generate(
    generator: Generator,
    landmark_image: Float[Tensor, "b 3 h w"],
    adain_params: Float[Tensor, "b n"],
    warped_source: Float[Tensor, "b c h w"] | None = None,
    *,
    mask_dropout: int = 0,
) -> Float[Tensor, "b 3 h w"]:
    """Frames from either generator; the arguments are those of `CompositingGenerator`.

    Raises:
        ValueError: if a warped source is missing, or given to a generator that takes none.
    """
    takes_source = isinstance(generator, CompositingGenerator)
    if (warped_source is not None) != takes_source:
        raise ValueError(f"this generator takes {'a' if takes_source else 'no'} warped source")
    if warped_source is None:
        return generator(landmark_image, adain_params)
    return generator(landmark_image, adain_params, warped_source, mask_dropout=mask_dropout)
