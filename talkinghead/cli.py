"""The table of contents: one line a command.

Nothing heavy is imported here, so that `talkinghead --help` answers at once; a command's module is imported when the
command is called.
"""

import errno
import logging
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

from talkinghead.errors import UserError
from talkinghead.version import __version__

COMMANDS = {
    "prepare": "videos -> shards: track, crop and store the faces of a folder of videos",
    "meta-train": "shards -> a few-shot head: meta-learning on many people",
    "fine-tune": "photos -> an avatar: tune the head to one person",
    "reenact": "avatar + driving video -> clip: a video moves the person, its sound is kept",
    "speak": "a voice or a text -> clip: an avatar, or a shaded head, says it",
    "live": "a microphone or a stream -> frames while it is spoken",
    "speech-train": "speech corpora -> a model that speaks: Karras 2017, Pham 2017 or VOCA 2019",
    "export": "a motion -> ARKit CSV, glTF with morph targets, or a mesh a frame, for other programs",
    "evaluate": "the paper's protocol on people unseen in training, with baselines",
    "demo": "the main job on what is installed: a portrait, tuned and moved",
    "doctor": "what is installed, what is missing, and the command that fixes it",
}

USAGE_ERROR = 2
INTERRUPTED = 130

REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOSPC, errno.EDQUOT)
"""What the system refuses because of a path or a disk, not because of the program."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 2 the user can mend it, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb = arguments[0] if arguments else "--help"
    if verb in ("-h", "--help", "help"):
        sys.stdout.write(help_text())
        return
    if verb in ("-V", "--version"):
        sys.stdout.write(f"talkinghead {__version__}\n")
        return
    if verb not in COMMANDS:
        fail(unknown_verb(verb))
    if verb == "speak" and "--live" in arguments:
        sys.stderr.write("speak --live is a verb of its own now: talkinghead live\n")
        verb, arguments = "live", [argument for argument in arguments if argument != "--live"]
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    # Read once, when NumPy and SciPy are imported. Their matrices are small here: BLAS threads would spin in wait for
    # one another and take the cores from PyTorch (a rendered frame took twice as long).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        command = import_module("talkinghead.commands." + verb.replace("-", "_"))
        command.main(arguments[1:])
    except UserError as error:
        fail(str(error))
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        fail(f"{error.filename or verb}: {error.strerror}; mend that, or give another path.")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)


def help_text() -> str:
    """The page that `talkinghead --help` shows."""
    width = max(map(len, COMMANDS))
    lines = "\n".join(f"  {verb:<{width}}  {line}" for verb, line in COMMANDS.items())
    return (
        "usage: talkinghead VERB [OPTIONS]\n\n"
        "A few photos of a person and anything that moves become a talking head.\n\n"
        f"{lines}\n\n"
        "talkinghead VERB --help   options and examples of one command\n"
        "talkinghead --version     the version\n"
    )


def unknown_verb(verb: str) -> str:
    """One sentence about a verb that does not exist, with the nearest one that does."""
    near = get_close_matches(verb, COMMANDS, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"the verbs are {', '.join(COMMANDS)}."
    return f"there is no verb {verb!r}; {hint}"


def fail(message: str) -> None:
    """Say what is wrong on stderr and exit with 2."""
    sys.stderr.write(f"error: {message}\n")
    sys.exit(USAGE_ERROR)
