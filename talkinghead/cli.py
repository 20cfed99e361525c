"""The table of contents: one line a command.

Nothing heavy is imported here, so that `talkinghead --help` answers at once; a command's module is imported when the
command is called.
"""

import errno
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

from talkinghead.errors import UserError
from talkinghead.stopping import Stopped, end_children, listening, seen
from talkinghead.version import __version__

COMMANDS = {
    "prepare": "videos -> shards: track, crop and store the faces of a folder of videos",
    "meta-train": "shards -> a few-shot head: meta-learning on many people",
    "fine-tune": "photos -> an avatar: tune the head to one person",
    "reenact": "avatar + driving video -> clip: a video moves the person, its sound is kept",
    "speak": "a voice or a text -> clip: an avatar, or a shaded head, says it",
    "batch": "many avatars and clips in one run: a list of jobs, or folders",
    "live": "a microphone or a stream -> frames while it is spoken",
    "app": "the web page: photos, avatars and clips in a browser on this machine",
    "speech-train": "speech corpora -> a model that speaks: Karras 2017, Pham 2017 or VOCA 2019",
    "speech-evaluate": "speech models -> a table of how far they are from unseen speakers' faces",
    "export": "a motion -> ARKit CSV, glTF or meshes; an avatar's network -> ONNX or OpenVINO",
    "faces": "a picture or video -> the faces in it, numbered, for --face",
    "verify": "what a clip states of its origin: made by AI, of whom, with whose consent",
    "evaluate": "the paper's protocol on people unseen in training, with baselines",
    "demo": "the main job on what is installed: a portrait, tuned and moved",
    "doctor": "what is installed, what is missing, and the command that fixes it",
}

USAGE_ERROR = 2
READER_GONE = 141

REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG, errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system refuses because of a path or a disk, not because of the program."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit: 0 done, 2 the user can mend it, 128 + the signal that stopped it."""
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
    sys.stderr = Lossy(sys.stderr)
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    # Read once, when NumPy and SciPy are imported. Their matrices are small here: BLAS threads would spin in wait for
    # one another and take the cores from PyTorch (a rendered frame took twice as long).
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        with listening():
            command = import_module("talkinghead.commands." + verb.replace("-", "_"))
            command.main(arguments[1:])
    except UserError as error:
        fail(str(error))
    except BrokenPipeError:  # whoever read the output has gone
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  the exit flushes it
        sys.exit(READER_GONE)
    except OSError as error:
        if error.errno not in REFUSED:
            raise
        fail(f"{error.filename or verb}: {error.strerror}; mend that, or give another path.")
    except KeyboardInterrupt:
        end(Stopped(signal.SIGINT))
    except Stopped as stop:
        end(stop)
    except Exception:
        if (number := seen()) is None:
            raise
        end(Stopped(number))  # a library made something else of it: a worker that died, an import that failed


class Lossy:
    """The terminal, or the file that stands for it: what it cannot take (a full disk) is dropped.

    A clip that took an hour does not fail because nobody can be told how far it is.
    """

    def __init__(self, stream: Any):
        self._stream = stream

    def write(self, text: str) -> int:
        """All of it, or nothing."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """As far as that goes."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


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


def end(stop: Stopped) -> NoReturn:
    """Say what stopped the command and what it leaves, and exit with the status of that signal."""
    end_children()
    sys.stderr.write(f"{stop}\n")
    sys.exit(stop.status)


def fail(message: str) -> None:
    """Say what is wrong on stderr and exit with 2."""
    sys.stderr.write(f"error: {message}\n")
    sys.exit(USAGE_ERROR)
