"""What README, docs and cards say of commands, options, code, settings and files is true."""

import ast
import io
import re
import shlex
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest

import talkinghead
from talkinghead import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    page
    for folder, pattern in (("", "*.md"), ("docs", "*.md"), ("docs/results", "*.md"), ("talkinghead/weights", "*.md"))
    for page in (ROOT / folder).glob(pattern)
)
OPTION = re.compile(r"(?<![\w-])--?[a-zA-Z][\w.-]*")
CODE = re.compile(r"`((?:[\w.-]+/)+\w+\.py)(?::([\w.]+))?`")


@pytest.fixture(scope="module")
def options_of():
    """The options that each verb's help lists."""

    @cache
    def listed(verb: str) -> set[str]:
        text = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("COLUMNS", "400")
            for arguments in [[verb]] if verb != "prepare" else [[verb], [verb, "--speech"]]:
                with redirect_stdout(text), pytest.raises(SystemExit):
                    cli.main([*arguments, "--help"])
        return set(OPTION.findall(text.getvalue()))

    return listed


def commands(page: Path) -> list[tuple[str, list[str]]]:
    """(verb, arguments) of each line of a page's shell examples."""
    found = []
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL):
        for line in block.splitlines():
            for part in line.split(" | "):
                words = shlex.split(part, comments=True)
                if words[:1] == ["talkinghead"]:
                    found.append((words[1], words[2:]))
    return found


def spans(page: Path) -> list[tuple[str, list[str]]]:
    """(verb, options) of the code spans that begin with a verb."""
    texts = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", page.read_text())
    split = [text.removeprefix("talkinghead ").split() for text in texts]
    return [(words[0], words[1:]) for words in split if len(words) > 1 and words[0] in cli.COMMANDS]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_options_exist(page, options_of):
    for verb, words in commands(page) + spans(page):
        assert verb in cli.COMMANDS, f"{page.name}: talkinghead {verb}"
        for option in {word.split("=")[0] for word in words if OPTION.fullmatch(word.split("=")[0])}:
            assert option in options_of(verb), f"{page.name}: {verb} has no {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_code_that_is_named_exists(page):
    for path, name in CODE.findall(page.read_text()):
        file = next((root / path for root in (ROOT, ROOT / "talkinghead") if (root / path).is_file()), None)
        assert file is not None, f"{page.name}: {path}"
        assert not name or name in defined(file), f"{page.name}: {path} has no {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_that_are_linked_or_named_exist(page):
    text = page.read_text()
    links = [link for link in re.findall(r'(?:\]\(|src=")([^)"#]+)', text) if not link.startswith("http")]
    for link in links:
        assert (page.parent / link).exists(), f"{page.name}: {link}"
    for named in re.findall(r"(?<![\w/])(?:configs|tools)/[\w.]+\w", text):
        assert (ROOT / named).exists(), f"{page.name}: {named}"


def test_the_python_example_calls_what_exists():
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert code is not None
    called = re.findall(r"\b(avatar|Motion)\.(\w+)\(", code[1])
    assert {owner for owner, _ in called} == {"avatar", "Motion"}
    for owner, name in called:
        assert hasattr({"avatar": talkinghead.Avatar, "Motion": talkinghead.Motion}[owner], name)
    for names in re.findall(r"from talkinghead import (.+)", code[1]):
        assert set(names.split(", ")) <= set(talkinghead.__all__)
    compile(code[1], "README.md", "exec")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_words_are_those_of_the_field(page):
    """docs/house.md has the list."""
    private = (
        r"painted alone|paints? over|warped photo|held back there|far third|\bfate\b|\btaught by\b|examiner|\bjudges\b"
    )
    assert not re.findall(private, page.read_text(), re.IGNORECASE)


@cache
def defined(file: Path) -> set[str]:
    """Names of a module's functions and classes, and of classes' methods."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
    return names
