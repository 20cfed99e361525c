"""Parameters of the three networks at paper size, and how many numbers AdaIN takes."""

import argparse
from dataclasses import replace
from typing import Any

from talkinghead.portrait.networks.config import PAPER
from talkinghead.portrait.networks.head import FewShotHead


def add_options(parser: argparse.ArgumentParser) -> None:
    """--attention."""
    parser.add_argument("--attention", action="store_true", help="count self-attention too")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Count."""
    head = FewShotHead(replace(PAPER, attention=options.attention))
    networks = {name: getattr(head, name) for name in ("embedder", "generator", "discriminator")}
    counts = {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}
    return counts | {"adain": head.generator.num_adain_params}
