"""What else than PyTorch computes a person's network: OpenVINO and ONNX Runtime."""

import tempfile
import threading
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from talkinghead.errors import UserError
from talkinghead.portrait.avatar.avatar import Avatar
from talkinghead.portrait.avatar.layered_rendering import Network
from talkinghead.portrait.deployment.choice import Runtime
from talkinghead.portrait.deployment.person_network import INPUTS, OUTPUTS, need, openvino_model, write_onnx


def network_by(runtime: Runtime, avatar: Avatar) -> Network | None:
    """What computes an avatar's network: for `Avatar.network`.

    Args:
        runtime: torch gives None, which leaves it to PyTorch.
        avatar: the person; its network is converted, which takes some seconds.

    Raises:
        UserError: if the runtime is not installed, or the avatar moves no photo in layers.
    """
    if runtime == "torch":
        return None
    if runtime == "onnx":
        return OnnxNetwork(avatar)
    return OpenVinoNetwork(avatar, int8=runtime == "openvino-int8")


class OpenVinoNetwork:
    """A person's network in OpenVINO; threads may call it side by side, each computes on a core of its own.

    Args:
        avatar: the person.
        int8: compute with 8-bit numbers.
        exact: compute in single precision; else as the processor is quickest (bfloat16 where it has it).
    """

    def __init__(self, avatar: Avatar, *, int8: bool = False, exact: bool = False):
        cores = torch.get_num_threads()
        settings: dict[str, int | str] = {"INFERENCE_NUM_THREADS": cores, "NUM_STREAMS": cores}
        if exact:
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        self._compiled = need("openvino").Core().compile_model(openvino_model(avatar, int8=int8), "CPU", settings)
        self._local = threading.local()

    def __call__(self, drawn: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        given = zip(drawn.numpy(), warped.numpy(), strict=True)
        each = [self._one(self._local.request, one[None], other[None]) for one, other in given]
        raw, stays = (torch.from_numpy(np.concatenate(parts)) for parts in zip(*each, strict=True))
        return raw, stays

    def _one(self, request: Any, drawn: np.ndarray, warped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = request.infer((drawn, warped))
        raw, stays = (np.array(found[output]) for output in self._compiled.outputs)  # copies: the next frame overwrites
        return raw, stays


class OnnxNetwork:
    """A person's network in ONNX Runtime.

    Args:
        source: the person, or a file that `talkinghead export` made of one.

    Raises:
        UserError: if the file holds another network.
    """

    def __init__(self, source: Avatar | Path):
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads = 1  # batches of frames are computed side by side
        options.log_severity_level = 3
        with tempfile.TemporaryDirectory() as folder:
            path = source if isinstance(source, Path) else Path(folder) / "network.onnx"
            if not isinstance(source, Path):
                write_onnx(source, path)
            self._session = InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        if tuple(one.name for one in self._session.get_inputs()) != INPUTS:
            raise UserError(f"{source} holds another network; export the avatar again.")

    def __call__(self, drawn: Tensor, warped: Tensor) -> tuple[Tensor, Tensor]:
        given = dict(zip(INPUTS, (drawn.numpy(), warped.numpy()), strict=True))
        raw, stays = (torch.from_numpy(one) for one in self._session.run(list(OUTPUTS), given))
        return raw, stays
