"""A person's network as one graph with the person inside, and its files: ONNX and OpenVINO's."""

import warnings
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from talkinghead.errors import UserError
from talkinghead.face.draw import draw_landmarks
from talkinghead.media.files import atomic_path
from talkinghead.media.image import frame_to_tensor
from talkinghead.motion.motion import Motion
from talkinghead.portrait.avatar.avatar import Avatar
from talkinghead.portrait.avatar.retargeting import ReenactmentConfig
from talkinghead.portrait.networks.compositing import CompositingGenerator
from talkinghead.weights.shipped import shipped

OPSET = 17
"""Of ONNX."""
INPUTS = ("landmark_image", "warped_source")
OUTPUTS = ("raw_frame", "stays")
CALIBRATION_FRAMES = 32
"""Frames of the shipped motion by which the ranges of 8-bit numbers are found."""


class PersonNetwork(nn.Module):
    """What an avatar's network computes of pictures, with the person's AdaIN parameters inside.

    Args:
        avatar: whose.

    Raises:
        UserError: if the avatar moves no photo in layers.
    """

    adain_params: Tensor

    def __init__(self, avatar: Avatar):
        super().__init__()
        generator, adain_params, _ = avatar.ready("cpu", torch.float32)
        if not avatar.in_layers or not isinstance(generator, CompositingGenerator):
            raise UserError("the avatar was made by a head without layers, which runs in PyTorch alone; make it again.")
        self.generator, self.size = generator, avatar.config.size
        self.register_buffer("adain_params", adain_params)

    def forward(
        self, landmark_image: Float[Tensor, "b 3 n n"], warped_source: Float[Tensor, "b 6 n n"]
    ) -> tuple[Float[Tensor, "b 3 n n"], Float[Tensor, "b 1 n n"]]:
        """The raw frame, -1..1, and where the warped source stays, 0..1; both inputs are in -1..1."""
        return self.generator.raw_and_mask(landmark_image, self.adain_params, warped_source)

    def example(self) -> tuple[Tensor, Tensor]:
        """Inputs of one frame, to trace by."""
        return torch.zeros(1, 3, self.size, self.size), torch.zeros(1, 6, self.size, self.size)


def write_onnx(avatar: Avatar, path: Path, *, overwrite: bool = False) -> None:
    """Write a person's network as ONNX, for any number of frames at once.

    Raises:
        UserError: if the file exists, or the avatar moves no photo in layers.
    """
    need("onnx")
    network = PersonNetwork(avatar)
    with atomic_path(path, overwrite=overwrite) as temporary, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's: shapes and kernels are constants here
        torch.onnx.export(
            network,
            network.example(),
            str(temporary),
            dynamo=False,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "frames"} for name in (*INPUTS, *OUTPUTS)},
        )


def openvino_model(avatar: Avatar, *, int8: bool = False) -> Any:
    """A person's network as OpenVINO's model, for one frame.

    Args:
        avatar: whose.
        int8: convolve 8-bit numbers, whose ranges are found on frames of the shipped motion.

    Raises:
        UserError: if OpenVINO is not installed (for 8 bits: nncf), or the avatar moves no photo in layers.
    """
    openvino = need("openvino")
    network = PersonNetwork(avatar)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = network.example()
        traced = torch.jit.trace(network, example, check_trace=False)
        model = openvino.convert_model(traced, example_input=example, input=[list(one.shape) for one in example])
    for port, name in zip([*model.inputs, *model.outputs], [*INPUTS, *OUTPUTS], strict=True):
        port.get_tensor().set_names({name})
    if not int8:
        return model
    nncf = need("nncf")
    frames = list(calibration(avatar))
    with redirect_stdout(StringIO()):  # its progress bars
        return nncf.quantize(model, nncf.Dataset(frames), subset_size=len(frames), preset=nncf.QuantizationPreset.MIXED)


def write_openvino(avatar: Avatar, path: Path, *, int8: bool = False, overwrite: bool = False) -> None:
    """Write a person's network as OpenVINO's pair of files, the .xml at the path and the .bin beside it.

    Raises:
        UserError: as `openvino_model`, or if a file exists.
    """
    openvino = need("openvino")
    model = openvino_model(avatar, int8=int8)
    weights = path.with_suffix(".bin")
    with atomic_path(weights, overwrite=overwrite) as temporary, atomic_path(path, overwrite=overwrite) as graph:
        serialized = graph.with_suffix(".xml")
        openvino.save_model(model, str(serialized), compress_to_fp16=not int8)
        serialized.with_suffix(".bin").replace(temporary)
        if serialized != graph:
            serialized.replace(graph)


def calibration(avatar: Avatar) -> Iterator[tuple[Float32[np.ndarray, "1 3 n n"], Float32[np.ndarray, "1 6 n n"]]]:
    """What the network sees of its person while the shipped motion moves it."""
    motion = Motion.load(shipped("demo.motion.safetensors"))
    animation = avatar.animate(motion, ReenactmentConfig(view="head"))
    sources = avatar.source_photos
    states = animation.states
    assert states is not None and sources is not None
    for index in np.linspace(0, len(animation) - 1, CALIBRATION_FRAMES).astype(int):
        state, points = states.part(slice(index, index + 1)), animation.landmarks[index]
        moved = sources.to(points, state, avatar.side, background=animation.background)  # type: ignore[union-attr]
        seen = draw_landmarks(points, avatar.config.size), moved.sized(avatar.config.size)
        drawn, warped = (frame_to_tensor(one[None]).numpy() for one in seen)
        yield drawn, warped


def need(package: str) -> Any:
    """A package of the [export] extra.

    Raises:
        UserError: if it is not installed.
    """
    from importlib import import_module

    try:
        return import_module(package)
    except ImportError as error:
        raise UserError(f"{package} is not installed: pip install 'talkinghead[export]'") from error
