"""The meta-learned head: three networks, saved as one file."""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import nn

from talkinghead.errors import UserError
from talkinghead.media.files import atomic_path
from talkinghead.media.tensors import read_tensors, refuse_misfit, words_of
from talkinghead.portrait.networks.compositing import make_generator
from talkinghead.portrait.networks.config import PortraitConfig
from talkinghead.portrait.networks.discriminator import Discriminator
from talkinghead.portrait.networks.embedder import Embedder
from talkinghead.portrait.networks.layers import SpectralWeight
from talkinghead.weights.shipped import shipped

FORMAT = "talkinghead.head.1"
_FOLD_ITERATIONS = 50

Network = TypeVar("Network", bound=nn.Module)


class FewShotHead(nn.Module):
    """Embedder, generator and discriminator of one size.

    Args:
        config: sizes.
        spectral: spectral normalisation; off for folded weights.
    """

    def __init__(self, config: PortraitConfig, *, spectral: bool = True):
        super().__init__()
        self.config = config
        self.embedder = Embedder(config, spectral=spectral)
        self.generator = make_generator(config, spectral=spectral)
        self.discriminator = Discriminator(config, spectral=spectral)

    def save(self, path: str | Path, provenance: dict[str, Any], *, overwrite: bool = False) -> None:
        """Write the folded networks in half precision, with sizes and provenance in the file's header.

        Raises:
            UserError: if the file exists and ``overwrite`` is off.
        """
        tensors = {name: value.half().contiguous() for name, value in folded(self).state_dict().items()}
        header = {
            "format": FORMAT,
            "portrait": json.dumps(self.config.to_dict()),
            "provenance": json.dumps(provenance),
        }
        with atomic_path(Path(path), overwrite=overwrite) as temporary:
            save_file(tensors, temporary, metadata=header)

    @classmethod
    def load(cls, path: str | Path) -> tuple["FewShotHead", dict[str, Any]]:
        """The folded head in single precision and evaluation mode, and its provenance.

        Raises:
            UserError: if the file is missing, is not a head, or does not fit its own sizes.
        """
        path = Path(path)
        tensors, header = read_safetensors(path, FORMAT, "a meta-learned head")
        config = PortraitConfig.from_dict(json.loads(header["portrait"]))
        try:
            head = filled(partial(cls, config, spectral=False), tensors)
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{path} lacks tensors that its sizes ask for; download it or train it again") from error
        return head.eval(), json.loads(header["provenance"])


def filled(make: Callable[[], Network], tensors: Mapping[str, torch.Tensor]) -> Network:
    """The network that `make` makes, with these weights in single precision; no start values are drawn.

    Raises:
        ValueError: if the tensors are not those of the network, before any memory is taken for it.
    """
    with torch.device("meta"):
        network = make()
    refuse_misfit(network, tensors)
    kept = {}
    for name, value in tensors.items():
        layout = torch.channels_last if value.ndim == 4 else torch.contiguous_format
        kept[name] = value.float().contiguous(memory_format=layout)
    network.load_state_dict(kept, assign=True)
    return network.requires_grad_(True)


def widened(head: FewShotHead, config: PortraitConfig) -> FewShotHead:
    """The folded head at other sizes that only add compositing to its own.

    What is new starts without a say: the frame is painted as before, and half of the warped source is laid over it.

    Raises:
        UserError: if the sizes differ in anything else.
    """
    own, wanted = head.config.compositing, config.compositing
    adds = wanted is not None and (own is None or replace(own, layers=wanted.layers or own.layers) == wanted)
    if replace(head.config, compositing=wanted) != config or not (adds or own == wanted):
        raise UserError(f"the head to start from has the sizes {head.config.to_dict()}, not {config.to_dict()}")
    wider = FewShotHead(config, spectral=False)
    known = head.state_dict()
    with torch.no_grad():
        for name, value in wider.state_dict().items():
            if name in known:
                value.zero_()[tuple(map(slice, known[name].shape))] = known[name]
    return wider


def read_safetensors(
    path: Path, expected: str | tuple[str, ...], what: str
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and header of a head or an avatar; no code in the file can run.

    Raises:
        UserError: if the file is missing, unreadable, of another format, or does not say its sizes and provenance.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist; give the path of {what}")
    try:
        tensors, header = read_tensors(path, expected, framework="pt")
        for name in ("portrait", "provenance"):
            words_of(header, name)
        return tensors, header
    except ValueError as error:
        raise UserError(f"{path} cannot be used: {error}; give the path of {what}") from error


def default_head_path() -> Path:
    """The head that ships with the package.

    Raises:
        UserError: if this installation holds none.
    """
    path = shipped("light-128.head.safetensors")
    if not path.is_file():
        raise UserError(f"{path} is missing; reinstall talkinghead, or give a head with --head FILE")
    return path


def folded(network: Network) -> Network:
    """A copy whose weights are already divided by their largest singular values: the same function, fewer steps."""
    twin = copy.deepcopy(network)
    with torch.no_grad():
        for module in twin.modules():
            if isinstance(module, SpectralWeight) and module.spectral:
                module.iterate(_FOLD_ITERATIONS)
                module.weight.copy_(module.effective())
                module.spectral = False
                del module.u, module.v
    return twin


def respectral(network: Network) -> Network:
    """A copy with spectral normalisation switched on again, for training to go on from folded weights."""
    twin = copy.deepcopy(network)
    for module in twin.modules():
        if isinstance(module, SpectralWeight) and not module.spectral:
            module.add_spectral()
            module.iterate(_FOLD_ITERATIONS)
    return twin
