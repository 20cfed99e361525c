"""A few photos of a person and anything that moves become a talking head.

Anything that moves becomes a `Motion`; anybody with a few photos becomes an `Avatar`; an `Avatar` renders a `Motion`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from talkinghead.version import __version__

if TYPE_CHECKING:
    from talkinghead.errors import UserError
    from talkinghead.motion.motion import Motion
    from talkinghead.portrait.avatar.avatar import Avatar
    from talkinghead.portrait.avatar.reenactment import Clip, reenact
    from talkinghead.portrait.data.photos import Allow
    from talkinghead.portrait.training.fine_tuning import make_avatar

__all__ = ["Allow", "Avatar", "Clip", "Motion", "UserError", "__version__", "make_avatar", "reenact"]

_HOMES = {
    "Allow": "talkinghead.portrait.data.photos",
    "Avatar": "talkinghead.portrait.avatar.avatar",
    "Clip": "talkinghead.portrait.avatar.reenactment",
    "Motion": "talkinghead.motion.motion",
    "UserError": "talkinghead.errors",
    "make_avatar": "talkinghead.portrait.training.fine_tuning",
    "reenact": "talkinghead.portrait.avatar.reenactment",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import talkinghead` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'talkinghead' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
