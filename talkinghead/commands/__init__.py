"""One module a command, each with `main(argv)`."""

from collections.abc import Callable

import typer


def run_command(command: Callable[..., None], argv: list[str], *, epilog: str = "") -> None:
    """Parse what follows a verb by the annotations of its function, call it, and exit.

    Exits with 2 for an option that does not exist, 130 when interrupted.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(epilog=epilog)(command)
    app(argv, prog_name="talkinghead " + command.__name__.replace("_", "-"))
