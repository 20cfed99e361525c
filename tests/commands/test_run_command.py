"""How a command meets its arguments, errors and interrupts."""

from typing import Annotated

import pytest
import typer

from talkinghead.commands import run_command
from talkinghead.errors import UserError


def make_tea(cups: Annotated[int, typer.Option(help="How many.")] = 1) -> None:
    """Make tea."""
    if cups < 1:
        raise UserError(f"--cups is {cups}; give 1 or more")
    if cups > 1000:
        raise KeyboardInterrupt
    if cups == 13:
        raise typer.Exit(1)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [([], 0), (["--cups", "13"], 1), (["--cup", "2"], 2), (["--cups", "many"], 2), (["--cups", "1001"], 130)],
)
def test_exit_codes(arguments, code):
    with pytest.raises(SystemExit) as exit_info:
        run_command(make_tea, arguments)
    assert exit_info.value.code == code


def test_a_user_error_is_left_to_the_command_line():
    with pytest.raises(UserError, match="--cups is 0"):
        run_command(make_tea, ["--cups", "0"])


def test_help_names_the_verb_and_the_example(capsys):
    with pytest.raises(SystemExit):
        run_command(make_tea, ["--help"], epilog="Example: talkinghead make-tea --cups 2")
    page = capsys.readouterr().out
    assert "Usage: talkinghead make-tea" in page
    assert "Example: talkinghead make-tea --cups 2" in page
