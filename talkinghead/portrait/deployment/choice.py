"""The names of what computes a person's network. No PyTorch here, so that --help is quick."""

from typing import Literal

Runtime = Literal["torch", "openvino", "openvino-int8", "onnx"]
"""PyTorch, OpenVINO (also with 8-bit numbers) or ONNX Runtime."""
