"""How networks learn: the settings of meta-learning and of fine-tuning. No PyTorch here, so that --help is quick."""

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from talkinghead.errors import UserError, refuse_low
from talkinghead.portrait.data.augment import AugmentConfig
from talkinghead.portrait.networks.config import PortraitConfig

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class LossWeights:
    """Weight of each term; the names are also the logged names."""

    content: float = 1.0
    """Perceptual distance; its own layers carry the paper's 1.5e-1 and 2.5e-2."""
    adversarial: float = 1.0
    """How real the discriminator finds the frame."""
    feature_matching: float = 10.0
    """Distance of the discriminator's maps of the frame from those of the truth."""
    match: float = 10.0
    """Embeddings against the video's column: 10 to fine-tune afterwards (FT), 0 to go without (FF)."""

    def total(self, terms: dict[str, "Tensor"]) -> "Tensor":
        """The weighted sum.

        Raises:
            KeyError: if a term has no weight of its name.
        """
        unknown = set(terms) - set(self.__dataclass_fields__)
        if unknown:
            raise KeyError(f"no weight is named {', '.join(sorted(unknown))}")
        return sum(getattr(self, name) * value for name, value in terms.items())  # type: ignore[return-value]


@dataclass(frozen=True)
class MetaLearningConfig:
    """How a head is meta-learned.

    Raises:
        UserError: if a number is out of range.

    References:
        Zakharov et al. 2019, section 3.2 and 4: 5e-5 and 2e-4, two discriminator steps; beta1 0, eps and EMA as in
        the co-author's published code.
    """

    portrait: PortraitConfig = field(default_factory=PortraitConfig)
    """Sizes of the networks."""
    loss_weights: LossWeights = field(default_factory=LossWeights)
    """Weight of each term."""
    perceptual: str = "paper"
    """Content loss: paper or offline."""
    generator_lr: float = 5e-5
    """Learning rate of embedder and generator."""
    discriminator_lr: float = 2e-4
    """Learning rate of the discriminator."""
    columns_lr: float = 0.0
    """Learning rate of W; 0 takes the discriminator's. A video's column moves only when the video is drawn, so that a
    short run on few videos needs more."""
    discriminator_steps: int = 2
    """For each generator step."""
    ema: float = 0.999
    """Decay of the averaged embedder and generator, which are what is shipped."""
    clip: float = 10.0
    """Largest gradient norm of each optimiser."""
    warm_up: int = 0
    """Steps with the content term alone."""
    decay_from: int = 0
    """Step at which the learning rates start to fall linearly."""
    decay_to: int = 0
    """Step at which they reach a hundredth; 0 for never."""

    def __post_init__(self) -> None:
        refuse_low(vars(self), generator_lr=0, discriminator_lr=0, columns_lr=0, discriminator_steps=0, warm_up=0)


def refuse_scaled(precision: str, name: str = "precision") -> None:
    """Refuse arithmetic that needs scaled losses.

    Raises:
        UserError: for 16-mixed and 16-true, whose scale the adversarial steps would clip their gradients at.
    """
    if precision.startswith("16"):
        raise UserError(
            f"{name} is {precision!r}, which two optimisers in one step cannot use; take bf16-mixed or 32-true"
        )


@dataclass(frozen=True)
class Hardware:
    """What computes, and how precisely."""

    accelerator: str = "auto"
    """Lightning's name of the device: auto, cpu, gpu."""
    precision: str = "auto"
    """Lightning's name of the arithmetic; "auto" is "bf16-mixed" where that is fast, else "32-true"."""

    def __post_init__(self) -> None:
        refuse_scaled(self.precision)


@dataclass(frozen=True)
class FineTuningConfig:
    """How a person is learnt.

    The defaults suit the head that ships, on a few photos and a CPU: they were chosen on people unseen in training.
    There the discriminator costs a third of the time and every measure but sharpness, so it has no say unless its
    weights are raised; configs/paper_avatar.yaml is the paper's fine-tuning.

    Raises:
        UserError: if a count or rate makes no sense.
    """

    epochs: int = 20
    """Passes over the photos; 40 in the paper."""
    least_steps: int = 200
    """Steps that few photos get at least; one photo would be done with in 20."""
    steps: int | None = None
    """Generator steps, instead of epochs; 0 gives the feed-forward avatar."""
    batch_size: int = 2
    """Photos a step."""
    generator_lr: float = 5e-4
    """Of the generator's weights."""
    adain_lr: float = 3e-3
    """Of psi', the person's AdaIN parameters."""
    discriminator_lr: float = 2e-4
    """Of the discriminator's weights."""
    discriminator_steps: int = 2
    """For each generator step, if the discriminator's terms have weight."""
    ema: float = 0.972
    """Decay of the averaged generator, which is what is kept; 0 keeps the last one."""
    decay: float = 0.1
    """The rates fall to this fraction of themselves by the last step, along a cosine."""
    clip: float = 10.0
    """Largest gradient norm."""
    pull: float = 0.1
    """How far each step draws the weights back to the meta-learned ones, 0..1, at the first rate and for one photo.

    Without it a face that one photo shows with open eyes forgets how to close them. It falls with the rates, and as
    the number of photos grows, because more photos show more of the face.
    """
    mask_dropout: float = 0.5
    """Share of the frames that stay raw, 0..1, where the head composites over a warped source.

    There all of the face is learnt, also what the mask would leave to the source.
    """
    loss_weights: LossWeights = field(
        default_factory=lambda: LossWeights(adversarial=0.0, feature_matching=0.0, match=0.0)
    )
    perceptual: str = "offline"
    """Content loss: offline or paper."""
    augment: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(shape=0.9, warp=0.02, rotation=6.0, colour=0.0)
    )
    """Changes drawn for each photo at each step. Colour stays: it belongs to the person."""
    hold_out: int = 0
    """Photos kept back to stop by: the weights with the smallest content loss on them are kept."""
    patience: int = 20
    """Steps without improvement on the held-out photos before stopping."""
    seed: int = 0
    """Of the changes and the order of the photos."""

    def __post_init__(self) -> None:
        refuse_low(
            vars(self), epochs=1, least_steps=1, batch_size=1, patience=1, discriminator_steps=1, hold_out=0, seed=0
        )
        if self.steps is not None:
            refuse_low(vars(self), steps=0)
        for name in ("generator_lr", "adain_lr", "discriminator_lr", "clip"):
            if not getattr(self, name) > 0:
                raise UserError(f"{name} is {getattr(self, name)}; it must be greater than 0")
        for name in ("ema", "pull", "decay", "mask_dropout"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"{name} is {getattr(self, name)}; it must lie in 0..1")

    def steps_for(self, photos: int) -> int:
        """Generator steps on this many photos."""
        passes = self.epochs * math.ceil(photos / self.batch_size)
        return max(passes, self.least_steps) if self.steps is None else self.steps
