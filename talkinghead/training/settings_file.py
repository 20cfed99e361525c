"""YAML files of settings, which anybody may have written: looked at before they are made into values."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from talkinghead.errors import UserError
from talkinghead.media.files import read_text

LARGEST = 1_000_000
"""Bytes."""

DEEPEST = 32
"""Lists in lists, and so on."""

MOST_VALUES = 20_000
"""With those that a file names once and repeats by aliases."""


def settings_path(given: Path) -> Path:
    """The file that is meant: the one given, or, where there is none, the one of that name that ships.

    `small`, `small.yaml` and `configs/small.yaml` name the same one, so that documented commands work in any folder.
    """
    name = given.name if given.suffix else f"{given.name}.yaml"
    ships = Path(str(files("talkinghead") / "configs" / name))
    by_name = given.parent in (Path(), Path("configs"))
    return ships if by_name and not given.exists() and ships.is_file() else given


def read_settings(path: Path) -> dict[str, Any]:
    """Names and values of a YAML file.

    Raises:
        UserError: if it is no file or no YAML, too large, too deep, or grows too large when its aliases are followed.
    """
    text = read_text(Path(path), most=LARGEST, give="a YAML file of settings")
    try:
        _refuse_bomb(path, text)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{path}: not a YAML file of settings ({' '.join(str(error).split())}).") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: it holds no names and values; give a YAML file of settings.")
    return values


def empty_names(values: dict[str, Any], *, within: str = "") -> Iterator[str]:
    """The dotted names whose value is null."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from empty_names(value, within=f"{within}{name}.")
        elif value is None:
            yield f"{within}{name}"


def _refuse_bomb(path: Path, text: str) -> None:
    """Count the values that a file stands for, without making them."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # anchor, and how many values were before it
    count = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            count += sizes.get(str(event.anchor), MOST_VALUES)  # of a node that holds itself, there is no end
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, count))
            count += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = count - before
        elif isinstance(event, yaml.ScalarEvent):
            count += 1
            if event.anchor:
                sizes[event.anchor] = 1
        if len(open_nodes) > DEEPEST:
            raise UserError(f"{path}: its lists lie more than {DEEPEST} deep in each other; no settings do.")
        if count > MOST_VALUES:
            raise UserError(f"{path}: it stands for more than {MOST_VALUES} values; no settings have as many.")
