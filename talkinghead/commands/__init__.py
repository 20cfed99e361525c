"""One module a command, each with `main(argv)`."""

import argparse
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import typer

from talkinghead.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

log = logging.getLogger(__name__)


def run_command(command: Callable[..., None], argv: list[str], *, epilog: str = "") -> None:
    """Parse what follows a verb by the annotations of its function, call it, and exit.

    Exits with 2 for an option that does not exist, 130 when interrupted.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(epilog=epilog)(command)
    app(argv, prog_name="talkinghead " + command.__name__.replace("_", "-"))


def best_device(name: str) -> str:
    """The device by that name; "auto" is the GPU where there is one.

    Raises:
        UserError: if it is not on this machine.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device is {name!r}, which this machine does not have; give cpu or auto.") from error
    return name


def config_parser(verb: str, description: str) -> "ArgumentParser":
    """A parser for a command that learns: YAML files by --config, and dotted overrides."""
    from jsonargparse import ActionConfigFile, ArgumentParser, DefaultHelpFormatter, set_parsing_settings  # type: ignore[attr-defined]

    class ConfigFile(ActionConfigFile):
        """Looks at each file by itself, so that a complaint names the file."""

        def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
            try:
                super().__call__(parser, cfg, values, option_string)
                parser.validate(cfg, skip_required=True)
            except (argparse.ArgumentError, TypeError, KeyError) as error:
                raise argparse.ArgumentError(None, f"{values}: {error}") from error
            except UnicodeDecodeError as error:
                raise argparse.ArgumentError(None, f"{values} is no text ({error}); give a YAML file") from error

    class Formatter(argparse.RawDescriptionHelpFormatter, DefaultHelpFormatter):
        """Keeps the examples' lines."""

    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog=f"talkinghead {verb}", description=description, formatter_class=Formatter, exit_on_error=False
    )
    parser.add_argument("--config", action=ConfigFile, help="a YAML file; a later one overrides an earlier one")
    return parser


@contextmanager
def refusals(verb: str) -> Iterator[None]:
    """Turns what a parser complains of into one sentence.

    Raises:
        UserError: if an option is unknown, missing, or has a wrong value.
    """
    try:
        yield
    except argparse.ArgumentError as error:
        raise UserError(f"{verb}: {' '.join(str(error).split())}") from error


def plain_recipe(settings: "Namespace") -> dict[str, Any]:
    """The settings as plain values for a model's header: of a path only its name, since the rest is one machine's."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items() if key != "config"}
        if isinstance(value, list | tuple):
            return [plain(inner) for inner in value]
        return value.name if isinstance(value, PurePath) else value

    recipe: dict[str, Any] = plain(settings.as_dict())
    return recipe


def first_step(checkpoint: Path, steps: int) -> int:
    """The step at which a run goes on: what its checkpoint has learnt from, 0 where there is none.

    Raises:
        UserError: if the run has its steps already, or its checkpoint is damaged.
    """
    first = 0
    if checkpoint.is_file():
        import torch

        try:
            state = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
            first = int(state["steps_done"])
        except (OSError, EOFError, RuntimeError, UnpicklingError, LookupError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise UserError(f"{checkpoint} cannot be read ({reason}); move it away to begin anew.") from error
        log.info("going on from step %d of %s", first, checkpoint)
    if first >= steps:
        raise UserError(f"{checkpoint} has learnt from {first} steps already; raise --run.steps above that")
    return first
