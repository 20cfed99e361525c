"""One parser for all verbs: how words become dataclasses, and what is said when they cannot."""

import subprocess
import sys
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Literal

import pytest

from talkinghead import cli
from talkinghead.commands.help_page import page
from talkinghead.commands.options import Machine, Verb, config_from, ranged, rate_from
from talkinghead.errors import UserError


@dataclass(frozen=True)
class Milk:
    """What is added."""

    fat_content: float = 3.5
    """Per cent."""
    oat: bool = False
    """Not from a cow."""


@dataclass(frozen=True, kw_only=True)
class Tea(Machine):
    """Make tea.

    It is hot.
    """

    pot: Path
    """Where it is made."""
    output: Path
    """Where it goes."""
    cups: int = ranged(1, least=1, most=12)
    """How many."""
    kind: Literal["green", "black"] = "green"
    """Of the leaves."""
    note: str | None = None
    """On the saucer."""
    sugar: bool = True
    """Sweeten it."""
    steep_again: bool = False
    """Use the leaves twice."""
    spices: list[str] = field(default_factory=lambda: ["none"])
    """What else."""
    milk: Milk = Milk(fat_content=1.5)
    beakers: int | None = ranged(None, former=True)
    """The former name of cups."""


TEA = Verb("tea", Tea, positional=("pot",), config=True, examples="talkinghead tea pot -o cup")


def tea(*words: str) -> Tea:
    made: Tea = TEA.parse(list(words))[0]
    return made


def refused(*words: str) -> str:
    with pytest.raises(UserError) as error:
        tea(*words)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


def test_words_become_a_dataclass():
    made = tea("-o", "cup", "--cups", "3", "pot", "--kind=black", "--no-sugar", "--steep-again", "--milk.oat")
    assert made == Tea(
        pot=Path("pot"), output=Path("cup"), cups=3, kind="black", sugar=False, steep_again=True,
        milk=Milk(fat_content=1.5, oat=True),
    )  # fmt: skip


def test_what_is_not_given_has_the_default_of_the_dataclass():
    assert tea("pot", "-o", "cup") == Tea(pot=Path("pot"), output=Path("cup"))


@pytest.mark.parametrize(
    "words", [("--milk.fat-content", "2"), ("--milk.fat_content=2",), ("--milk", '{"fat_content": 2}')]
)
def test_underscores_and_hyphens_are_alike(words):
    assert tea("pot", "-o", "cup", *words).milk.fat_content == 2
    assert tea("pot", "-o", "cup", "--steep_again").steep_again


@pytest.mark.parametrize("note", ["-20,5,0", "a: [b]", "12", "{output} {x}", "0=0.5,1=0.5", ""])
def test_a_text_is_taken_as_it_is(note):
    words = ["--note", note] if note else ["--note="]
    assert tea("pot", "-o", "-", *words).note == note
    assert tea("pot", "-o", "-").output == Path("-")


def test_a_list_is_given_by_repeating_or_in_one():
    assert tea("--spices", "mint", "pot", "-o", "cup", "--spices", "ginger").spices == ["mint", "ginger"]
    greedy = Verb("tea", Tea, examples="")
    assert greedy.parse(["--pot=a", "--spices", "mint", "ginger", "-o", "cup"])[0].spices == ["mint", "ginger"]


def test_words_after_two_hyphens_are_no_options():
    assert tea("-o", "cup", "--", "--pot").pot == Path("--pot")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["pot", "-o", "cup", "--cupz", "3"], "tea has no option --cupz; did you mean --cups?"),
        (["pot", "-o", "cup", "--xyzzy"], "talkinghead tea --help lists"),
        (["pot", "-o", "cup", "-q"], "tea has no option -q"),
        (["pot", "-o", "cup", "--no-cups"], "tea has no option --no-cups"),
        (["pot", "-o", "cup", "--cups", "many"], "--cups is 'many'; give a whole number."),
        (["pot", "-o", "cup", "--cups", "0"], "--cups is 0; give 1 to 12."),
        (["pot", "-o", "cup", "--cups", "13"], "--cups is 13; give 1 to 12."),
        (["pot", "-o", "cup", "--milk.fat-content", "low"], "--milk.fat-content is 'low'; give a number."),
        (["pot", "-o", "cup", "--milk.oat=perhaps"], "--milk.oat is 'perhaps'; give true or false."),
        (["pot", "-o", "cup", "--kind", "white"], "--kind is 'white'; give green or black."),
        (["pot", "-o"], "-o is followed by no value"),
        (["pot", "-o", "--cups", "3"], "-o is followed by no value"),
        (["-o", "cup"], "tea needs POT;"),
        (["pot"], "tea needs --output;"),
        ([], "tea needs POT and --output;"),
        (["pot", "kettle", "-o", "cup"], "does not know what 'kettle' is for"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said_in_a_sentence(words, says):
    assert says in refused(*words)


def test_a_file_gives_options_and_the_command_line_wins(tmp_path):
    (tmp_path / "tea.yaml").write_text("cups: 4\nmilk: {oat: true}\n")
    made = tea("pot", "-o", "cup", "--config", str(tmp_path / "tea.yaml"), "--cups", "5")
    assert (made.cups, made.milk.oat, made.milk.fat_content) == (5, True, 1.5)
    (tmp_path / "tea.yaml").write_text("cups: some\n")
    assert "tea.yaml: " in refused("pot", "-o", "cup", "--config", str(tmp_path / "tea.yaml"))


def test_the_settings_that_are_printed_can_be_read_again(capsys, tmp_path):
    with pytest.raises(SystemExit):
        tea("pot", "-o", "cup", "--cups", "3", "--print-config")
    (tmp_path / "tea.yaml").write_text(capsys.readouterr().out)
    assert tea("--config", str(tmp_path / "tea.yaml")).cups == 3


def test_help_shows_usage_groups_defaults_and_examples_last(capsys):
    for words in (["--help"], ["pot", "-h"]):
        with pytest.raises(SystemExit) as ended:
            tea(*words)
        assert not ended.value.code
        page = capsys.readouterr().out
        assert page.startswith("usage: talkinghead tea POT -o PATH [OPTIONS]\n\nMake tea.\n\nIt is hot.\n")
        assert page.endswith("examples:\n  talkinghead tea pot -o cup\n")
        named = ("--kind green|black", "--sugar, --no-sugar", "--steep-again ", "-o, --output PATH")
        for line in (*named, "How many. (default: 1)", "The machine:", "milk: What is added:", "(default: 1.5)"):
            assert line in page
        assert "beakers" not in page


VERBS = [import_module("talkinghead.commands." + verb.replace("-", "_")).VERB for verb in cli.COMMANDS]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_option_has_a_text_and_the_page_has_examples(verb):
    assert verb.leaves and all(leaf.text for leaf in verb.leaves)
    shown = page(verb)
    assert f"  talkinghead {verb.name}" in shown[shown.index("examples:") :]
    assert max(map(len, shown[: shown.index("examples:")].splitlines())) <= 120


def test_the_same_option_is_the_same_word_everywhere():
    """What every verb has in common is spelt and typed alike."""
    kinds: dict[str, set[object]] = {}
    for leaf in (leaf for verb in VERBS for leaf in verb.leaves):
        if leaf.key in ("output", "overwrite", "device", "detector", "head", "avatar", "seed", "size", "steps"):
            kinds.setdefault(leaf.key, set()).add(leaf.field.type)
    assert (
        kinds["output"] <= {Path, Path | None}
        and kinds["overwrite"] == {bool}
        and kinds["device"] == kinds["detector"] == {str}
    )
    assert not any(
        "overwrite" not in {leaf.key for leaf in verb.leaves}
        for verb in VERBS
        if "output" in verb.kinds and verb.name not in ("demo", "batch")  # they go on with what is there
    )


def test_help_imports_no_torch():
    code = (
        "import sys\nfrom talkinghead import cli\n"
        f"for verb in {list(cli.COMMANDS)!r}:\n"
        "    try: cli.main([verb, '--help'])\n    except SystemExit: pass\n"
        "sys.exit(', '.join(name for name in ('torch', 'pytorch_lightning', 'typer') if name in sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.stderr.strip() == ""


def test_a_verb_has_the_name_that_it_is_called_by():
    assert [verb.name for verb in VERBS] == list(cli.COMMANDS)


def test_a_configuration_takes_the_options_of_its_names():
    @dataclass(frozen=True)
    class Brewing:
        cups: int = 0
        minutes: float = 4.0

    assert config_from(tea("pot", "-o", "cup", "--cups", "2"), Brewing) == Brewing(cups=2)


@pytest.mark.parametrize("text", ["0", "-1", "1/0", "x"])
def test_a_rate_is_a_positive_number(text):
    with pytest.raises(UserError, match="--fps is .*; give a positive number"):
        rate_from(text)
