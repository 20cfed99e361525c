"""A second opinion on likeness: an identity network that no loss of this project has seen.

dlib's face network judges likeness and is in the losses as well, so a head may learn to please it. facenet-pytorch's
InceptionResnetV1 is in none; its weights (VGGFace2, research use) are a download, and nothing is measured without them.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.hub import get_dir

from talkinghead.face.identity import face_chips

CSIM_SECOND = "csim_facenet"
FACENET_WEIGHTS = "20180402-114759-vggface2.pt"
"""In torch's hub cache, where facenet-pytorch puts it."""

ABSENT = (
    "csim_facenet is not measured: the weights of facenet-pytorch's InceptionResnetV1 are not in "
    f"torch's cache (checkpoints/{FACENET_WEIGHTS}; `InceptionResnetV1(pretrained='vggface2')` downloads them). "
    "The only CSIM here is by dlib's face network, which is in the losses, too."
)
CHIP_SIDE = 160


def load_facenet(device: torch.device) -> nn.Module | None:
    """The network, if its weights were downloaded to torch's cache and facenet-pytorch is installed."""
    path = Path(get_dir()) / "checkpoints" / FACENET_WEIGHTS
    if not path.is_file():
        return None
    try:
        from facenet_pytorch import InceptionResnetV1
    except ImportError:
        return None
    network = InceptionResnetV1(pretrained=None)
    weights = torch.load(path, map_location="cpu", weights_only=True)
    network.load_state_dict({name: value for name, value in weights.items() if not name.startswith("logits.")})
    return network.eval().requires_grad_(False).to(device)


def embed_second(
    network: nn.Module, frames: Float[Tensor, "n 3 s s"], landmarks: Float[Tensor, "n 68 2"]
) -> Float[Tensor, "n 512"]:
    """Embeddings of faces in frames in -1..1, aligned as dlib's are; of length 1."""
    chips = face_chips(frames, landmarks, side=CHIP_SIDE)
    return F.normalize(network(chips * (127.5 / 128)))


def csim_second(first: Float[Tensor, "n 512"], second: Float[Tensor, "n 512"]) -> Float[Tensor, " n"]:
    """Cosine similarity around zero, where strangers lie."""
    return F.cosine_similarity(first, second)
