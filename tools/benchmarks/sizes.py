"""Options that several figures share."""

import argparse
from dataclasses import replace

from talkinghead.portrait.networks.config import LIGHT, PAPER, PortraitConfig

_TINY = PortraitConfig(
    size=32, min_channels=8, max_channels=16, embedding_dim=16, down_blocks=2, embedder_blocks=3, residual_blocks=1
)
SIZES = {"paper": PAPER, "light": LIGHT, "light-256": replace(LIGHT, size=256), "tiny": _TINY}


def add_size_options(parser: argparse.ArgumentParser) -> None:
    """--size, --side, --no-attention."""
    parser.add_argument("--size", choices=SIZES, default="paper", help="widths of the networks")
    parser.add_argument("--side", type=int, help="of the frames, pixels (default: the size's own)")
    parser.add_argument("--no-attention", action="store_true", help="without self-attention")


def add_dtype_option(parser: argparse.ArgumentParser) -> None:
    """--dtype."""
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="fp32", help="of the arithmetic")


def chosen_config(options: argparse.Namespace, **changes: int) -> PortraitConfig:
    """The sizes that the options ask for, with some of them changed."""
    config = SIZES[options.size]
    attention = config.attention and not options.no_attention
    return replace(config, size=options.side or config.size, attention=attention, **changes)
