"""runtimes: what each of them gives of the same frames beside PyTorch in single precision, and how long it takes."""

import argparse
import time
from typing import Any

import numpy as np
import torch

from talkinghead.portrait.avatar.avatar import feed_forward
from talkinghead.portrait.avatar.layered_rendering import TorchNetwork
from talkinghead.portrait.data.photos import read_photos
from talkinghead.portrait.deployment.person_network import calibration
from talkinghead.portrait.deployment.runtimes import OnnxNetwork, OpenVinoNetwork
from talkinghead.portrait.networks.head import FewShotHead, default_head_path
from talkinghead.weights.shipped import astronaut


def add_options(parser: argparse.ArgumentParser) -> None:
    """How often."""
    parser.add_argument("--repeats", type=int, default=5, help="rounds, in which each takes its turn")


@torch.inference_mode()
def run(options: argparse.Namespace) -> dict[str, Any]:
    """The shipped head's avatar of the shipped photo, moved by the shipped motion: one frame at a time."""
    head, _ = FewShotHead.load(default_head_path())
    person = feed_forward(head, read_photos([astronaut()]))
    inputs = [tuple(map(torch.from_numpy, pair)) for pair in calibration(person)]
    networks: dict[str, Any] = {
        "pytorch": TorchNetwork(*person.ready("cpu", torch.float32)),  # type: ignore[arg-type]
        "pytorch, bfloat16": TorchNetwork(*person_again(person).ready("cpu", torch.bfloat16)),  # type: ignore[arg-type]
        "onnx": OnnxNetwork(person),
        "openvino, single": OpenVinoNetwork(person, exact=True),
        "openvino": OpenVinoNetwork(person),
        "openvino-int8": OpenVinoNetwork(person, int8=True),
    }
    truth = [composited(networks["pytorch"](*pair), pair[1]) for pair in inputs]
    spent: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(options.repeats):
        for name, network in networks.items():
            began = time.process_time()
            for pair in inputs:
                network(*pair)
            spent[name].append(1000 * (time.process_time() - began) / len(inputs))
    return {
        name: {"cpu_ms_a_frame": round(float(np.median(spent[name])), 1)}
        | differences([composited(network(*pair), pair[1]) for pair in inputs], truth)
        for name, network in networks.items()
    }


def person_again(person: Any) -> Any:
    """The same avatar; each keeps one kind of kernels ready."""
    twin = type(person).__new__(type(person))
    vars(twin).update(vars(person), _renderer=None)
    return twin


def composited(painted: tuple[torch.Tensor, torch.Tensor], warped: torch.Tensor) -> np.ndarray:
    """The frame, 0..255: what is painted, over the warped source where that does not stay."""
    raw, stays = painted
    return ((raw.lerp(warped[:, :3], stays) + 1) * 127.5).numpy()


def differences(ours: list[np.ndarray], truth: list[np.ndarray]) -> dict[str, float]:
    """Largest and mean difference in levels of 255, and PSNR."""
    apart = np.abs(np.stack(ours) - np.stack(truth))
    squared = float((apart**2).mean())
    return {
        "max": round(float(apart.max()), 2),
        "mean": round(float(apart.mean()), 3),
        "psnr": round(10 * float(np.log10(255**2 / squared)), 1) if squared else float("inf"),
    }
