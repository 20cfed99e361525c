"""What ships with the package."""

import re
import tomllib
from importlib.resources import files
from pathlib import Path

import pytest
from packaging.requirements import Requirement

WEIGHTS = Path(str(files("talkinghead") / "weights"))
ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("path", sorted(WEIGHTS.glob("*.safetensors")), ids=lambda path: path.name)
def test_each_shipped_file_has_a_card_that_says_where_it_comes_from(path):
    headings = [card.read_text().splitlines()[0] for card in WEIGHTS.glob("*.md")]
    assert any(path.name in heading for heading in headings)


def test_nothing_ships_that_could_run_code_when_it_is_read():
    assert {path.suffix for path in WEIGHTS.iterdir() if path.suffix != ".py" and path.is_file()} <= {
        ".safetensors",
        ".md",
        ".csv",
    }


def test_the_extras_are_those_that_the_documentation_names():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras) == {"app", "export", "provenance", "speech", "live", "test", "dev"}


def test_every_optional_package_is_asked_for_by_name_somewhere():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    code = "".join(path.read_text() for path in (ROOT / "talkinghead").rglob("*.py"))
    for requirement in extras["speech"] + extras["live"] + extras["app"] + extras["export"] + extras["provenance"]:
        module = Requirement(requirement).name.replace("-", "_").removesuffix("_python")
        assert f'"{module}"' in code or f"from {module} import" in code or f"import {module} as" in code, requirement


def test_no_dependency_brings_a_second_opencv():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    everything = [*declared["dependencies"], *sum(declared["optional-dependencies"].values(), [])]
    assert not any(requirement.startswith("opencv-python-headless") for requirement in everything)


@pytest.mark.parametrize("room", sorted((ROOT / "talkinghead").rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_a_rooms_first_page_lists_what_is_in_it(room):
    if room.parent.name in ("talkinghead", "commands"):
        return
    listed = re.findall(r"^\* ([\w/]+):", room.read_text(), re.M)
    files = sorted(path.stem for path in room.parent.glob("*.py") if path != room)
    rooms = sorted(path.parent.name + "/" for path in room.parent.glob("*/__init__.py"))
    assert listed == files + rooms
    assert len(files) <= 9
