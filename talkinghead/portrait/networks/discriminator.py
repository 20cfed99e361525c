"""D: whether a frame is real, fits its landmarks and shows the person of its video."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from talkinghead.portrait.networks.blocks import ResBlock, down_stack
from talkinghead.portrait.networks.config import LARGEST_DOWN_ATTENTION, PortraitConfig
from talkinghead.portrait.networks.embedder import attention_level, pair
from talkinghead.portrait.networks.layers import Linear


class Discriminator(nn.Module):
    """Projection discriminator: realism = V(x, y) . (W_i + w0) + b.

    The columns W_i live outside (`VideoColumns`), so that this network is the same for any number of videos.

    Args:
        config: sizes.
        spectral: spectral normalisation; off for folded weights.

    References:
        Zakharov et al. 2019, section 3.1, equation 7; Miyato and Koyama 2018.
    """

    def __init__(self, config: PortraitConfig, *, spectral: bool = True):
        super().__init__()
        widths = [config.channels(level) for level in range(config.embedder_blocks)]
        widths[-1] = config.embedding_dim
        level = attention_level(config.size, LARGEST_DOWN_ATTENTION, config.attention)
        self.blocks = down_stack(6, widths, attention_after=level, spectral=spectral)
        self.blocks.append(ResBlock(widths[-1], widths[-1], spectral=spectral))
        self.bias_and_w0 = Linear(config.embedding_dim, 1, spectral=spectral)

    def forward(
        self,
        frame: Float[Tensor, "b 3 h w"],
        landmark_image: Float[Tensor, "b 3 h w"],
        video_column: Float[Tensor, "b e"] | None,
    ) -> tuple[Float[Tensor, " b"], list[Tensor]]:
        """Realism (no bound, no sigmoid) and the map after each block."""
        x = pair(frame, landmark_image)
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        pooled = F.relu(x).sum((2, 3), dtype=torch.float32)
        realism = self.bias_and_w0(pooled)[:, 0]
        if video_column is not None:
            realism = realism + (pooled * video_column).sum(1)
        return realism, features


class VideoColumns(nn.Module):
    """W: one column for each training video, read and updated a few rows at a time.

    Held as a plain buffer with Adam moments of its own: neither a step's time nor its gradients grow with the
    number of videos. Absent from every shipped file.

    Two things differ from the authors' published code. W is not divided by its largest singular value: with 145,569
    videos that is 23 at the start, made of the random start alone, so that the term of the person would be 23 times
    smaller than that of w0 (|W_i| 1.3, |w0| 1), and it depends on the size of the collection, which a person's
    fine-tuning, w0 + e, knows nothing of. And the moments of a column rest while its video is not drawn. The authors'
    Adam lets them fade: a video drawn every few thousand steps moves by lr / sqrt(1 - beta2) = 32 lr each time, here
    by lr. A rate 32 times the discriminator's makes up for it (`MetaLearningConfig.columns_lr`).

    Args:
        videos: names of the training videos.
        dim: length of a column.
        bound: initial values are uniform within this bound.

    References:
        Zakharov et al. 2019, section 3.1; initial range as in the authors' published code.
    """

    table: Tensor
    second_moment: Tensor
    steps: Tensor

    def __init__(self, videos: Sequence[str], dim: int, *, bound: float = 0.1):
        super().__init__()
        self.videos = videos
        self.register_buffer("table", torch.empty(len(videos), dim).uniform_(-bound, bound))
        self.register_buffer("second_moment", torch.zeros(len(videos), dim))
        self.register_buffer("steps", torch.zeros(len(videos), dtype=torch.int32))

    def matched(self, columns: Mapping[str, Tensor], videos: Sequence[str]) -> dict[str, Tensor]:
        """The buffers with the columns of another set of videos, by name; videos that are not in it start anew."""
        places = {video: place for place, video in enumerate(videos)}
        known = [(row, places[video]) for row, video in enumerate(self.videos) if video in places]
        here, there = torch.tensor(known, dtype=torch.int64).view(-1, 2).unbind(1)
        taken = {}
        for name, value in self.state_dict().items():
            taken[name] = value.detach().cpu().clone()
            taken[name][here] = columns[name].cpu()[there]
        return taken

    def rows(self, index: Int[Tensor, " b"]) -> Float[Tensor, "b e"]:
        """The columns of these videos, as a leaf that collects a gradient for `update`."""
        return self.table[index].requires_grad_()

    @torch.no_grad()
    def update(
        self,
        index: Int[Tensor, " b"],
        gradient: Float[Tensor, "b e"],
        *,
        lr: float,
        beta2: float = 0.999,
        eps: float = 1e-5,
    ) -> None:
        """One Adam step (beta1 = 0) on the rows that were read; rows read twice get the sum of their gradients.

        Nothing happens if a gradient is not finite. The host does not wait: no size depends on what is in the tensors.

        Args:
            index: the videos, as given to `rows`.
            gradient: of the rows.
            lr: learning rate.
            beta2: decay of the second moment.
            eps: keeps the division finite.
        """
        fine = torch.isfinite(gradient).all()
        gradient = torch.where(fine, gradient.to(self.table.dtype), 0)
        same = index[:, None] == index  # a video that is drawn twice has two rows, which come to the same
        total = (same[..., None] * gradient).sum(1)
        steps = self.steps[index] + 1
        moment = beta2 * self.second_moment[index] + (1 - beta2) * total.square()
        corrected = moment / (1 - beta2 ** steps[:, None].to(moment.dtype))
        new = (self.table[index] - lr * total / (corrected.sqrt() + eps), moment, steps)
        for buffer, values in zip((self.table, self.second_moment, self.steps), new, strict=True):
            buffer[index] = torch.where(fine, values, buffer[index])
