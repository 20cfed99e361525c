"""The adversarial losses of the few-shot head.

References:
    Zakharov et al. 2019, section 3.2, equations 4 to 9; weights of the ICCV version.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from talkinghead.portrait.networks.discriminator import Discriminator


def hinge_discriminator(real: Float[Tensor, " b"], fake: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """Equation 9: zero once real scores exceed 1 and fake scores fall below -1."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_generator(fake: Float[Tensor, " b"]) -> Float[Tensor, ""]:
    """Equation 6: the score itself, negated."""
    return -fake.mean()


def feature_matching(fake: list[Tensor], real: list[Tensor]) -> Float[Tensor, ""]:
    """L1 distance of the discriminator's maps, averaged over its blocks; the real maps get no gradient."""
    terms = [(ours - theirs.detach()).abs().mean(dtype=torch.float32) for ours, theirs in zip(fake, real, strict=True)]
    return torch.stack(terms).mean()


def adversarial_terms(
    discriminator: Discriminator,
    fake: Float[Tensor, "b 3 h w"],
    frame: Float[Tensor, "b 3 h w"],
    landmark_image: Float[Tensor, "b 3 h w"],
    column: Float[Tensor, "b e"] | None = None,
) -> dict[str, Float[Tensor, ""]]:
    """What the discriminator tells the generator; the real frame's maps are found without a graph."""
    with torch.no_grad():
        _, real_maps = discriminator(frame, landmark_image, column)
    realism, fake_maps = discriminator(fake, landmark_image, column)
    return {"adversarial": hinge_generator(realism), "feature_matching": feature_matching(fake_maps, real_maps)}


def tell_apart(
    discriminator: Discriminator,
    fake: Float[Tensor, "b 3 h w"],
    frame: Float[Tensor, "b 3 h w"],
    landmark_image: Float[Tensor, "b 3 h w"],
    column: Float[Tensor, "b e"] | None = None,
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """The discriminator's loss on real and fake frames in one pass, and what is logged of it."""
    columns = None if column is None else torch.cat([column, column])
    realism, _ = discriminator(torch.cat([frame, fake]), torch.cat([landmark_image, landmark_image]), columns)
    real, false = realism.split(len(fake))
    loss = hinge_discriminator(real, false)
    return loss, {
        "discriminator": loss.detach(),
        "realism_real": real.detach().mean(),
        "realism_fake": false.detach().mean(),
    }


def matching(embeddings: Float[Tensor, "b k e"], columns: Float[Tensor, "b e"]) -> Float[Tensor, ""]:
    """L1 distance of each source frame's embedding to its video's column, which gets no gradient from it."""
    return (embeddings - columns.detach()[:, None]).abs().mean()
