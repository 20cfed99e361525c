"""The help of a verb: usage, what it does, its options in groups, examples."""

import ast
import inspect
import shutil
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from itertools import groupby, pairwise
from pathlib import Path
from textwrap import dedent, fill
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

if TYPE_CHECKING:
    from talkinghead.commands.options import Verb

_NAMES = {Path: "PATH", int: "N", float: "X", str: "TEXT", bool: "true|false"}
_COLUMN = 28
_WIDEST = 110


@dataclass(frozen=True)
class Leaf:
    """A field of a dataclass, or of a dataclass in it."""

    key: str
    """Its name, after those of the dataclasses that hold it, with dots."""
    field: Field[Any]
    owner: type
    """The dataclass that names it."""
    default: Any
    """MISSING where it must be given."""

    @property
    def text(self) -> str:
        """Its docstring."""
        body = ast.parse(dedent(inspect.getsource(self.owner))).body[0].body  # type: ignore[attr-defined]
        for named, text in pairwise(body):
            if isinstance(named, ast.AnnAssign) and ast.unparse(named.target) == self.field.name:
                found = text.value.value if isinstance(text, ast.Expr) else ""  # type: ignore[attr-defined]
                return " ".join(found.split())
        return ""


def leaves(kind: type, prefix: str = "", whole: Any = MISSING) -> Iterator[Leaf]:
    """The fields of a dataclass, and of the dataclasses in it; `whole` is one that holds the defaults."""
    for one in fields(kind):
        default = one.default if one.default_factory is MISSING else one.default_factory()
        default = default if whole is MISSING else getattr(whole, one.name)
        if is_dataclass(one.type):
            yield from leaves(one.type, f"{prefix}{one.name}.", default)  # type: ignore[arg-type]
        else:
            owner = next(base for base in kind.__mro__ if one.name in inspect.get_annotations(base))
            yield Leaf(prefix + one.name, one, owner, default)


def is_list(kind: Any) -> bool:
    """Whether a type is a list of something."""
    return get_origin(kind) is list or any(is_list(part) for part in get_args(kind) if isinstance(kind, UnionType))


def spelling(key: str) -> str:
    """A field's name as it is written on the command line."""
    return "--" + key.replace("_", "-")


def page(verb: "Verb") -> str:
    """The text that --help shows."""
    width = min(_WIDEST, shutil.get_terminal_size((100, 24)).columns - 2)
    first = [leaf for leaf in verb.leaves if leaf.key in verb.positional]
    first += [leaf for leaf in verb.leaves if leaf.default is MISSING and leaf not in first and "." not in leaf.key]
    rest = [leaf for leaf in verb.leaves if leaf not in first and not leaf.field.metadata.get("former")]
    rest = sorted(rest, key=lambda leaf: _rank(verb, leaf))
    usage = " ".join(["usage: talkinghead", verb.name, *(_given(verb, leaf) for leaf in first), "[OPTIONS]"])
    parts = [usage, *(fill(" ".join(lines.split()), width) for lines in verb.about.split("\n\n"))]
    if first:
        parts.append(_group("to be given", [_entry(verb, leaf) for leaf in first], width))
    for title, group in groupby(rest, key=lambda leaf: _title(verb, leaf)):
        parts.append(_group(title, [_entry(verb, leaf) for leaf in group], width))
    if verb.fork:
        kinds = "Its kind; --model.help KIND lists the settings of one, which are given as --model.SETTING."
        title = f"{verb.fork}: {_first_line(verb.sections[verb.fork])}"
        parts.append(_group(title, [(f"--{verb.fork} KIND", kinds)], width))
    if verb.config:
        file = ("--config PATH", "A YAML file of options; a later one overrides an earlier one.")
        shown = ("--print-config", "Print all settings as YAML, and do nothing else.")
        parts.append(_group("settings in a file", [file, shown], width))
    return "\n\n".join([*parts, "examples:\n" + _indented(verb.examples)]) + "\n"


def _rank(verb: "Verb", leaf: Leaf) -> tuple[int, int]:
    """Sorts the options: the verb's own, those of what it is derived from, those with dots."""
    own = verb.options[0].__mro__ if verb.options else ()
    plain = "." not in leaf.key
    return leaf.key.count("."), own.index(leaf.owner) if plain and leaf.owner in own else len(own)


def _title(verb: "Verb", leaf: Leaf) -> str:
    """The title of the group that an option belongs to."""
    if verb.options and leaf.owner is verb.options[0]:
        return "options"
    section = leaf.key.rpartition(".")[0]
    line = _first_line(verb.sections.get(section, leaf.owner))
    return f"{section.replace('_', '-')}: {line}" if section else line


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _given(verb: "Verb", leaf: Leaf) -> str:
    """What must be given, as the usage shows it."""
    if leaf.key in verb.positional:
        return f"[{leaf.key.upper()} ...]" if is_list(leaf.field.type) else leaf.key.upper()
    return f"{'-o' if leaf.key == 'output' else spelling(leaf.key)} {_value(leaf.field.type)}"


def _entry(verb: "Verb", leaf: Leaf) -> tuple[str, str]:
    """An option with its value, and its text with the default."""
    default, kind, text = leaf.default, leaf.field.type, leaf.text
    if leaf.key in verb.positional:
        return _given(verb, leaf), text
    name = ("-o, " if leaf.key == "output" else "") + spelling(leaf.key)
    if kind is bool and "." not in leaf.key:
        return (f"{name}, {spelling('no_' + leaf.key)}", f"{text} (default: yes)") if default else (name, text)
    if default is MISSING and "." in leaf.key:
        text += " (required)"
    elif default not in (MISSING, None, []):
        shown = str(default).lower() if kind is bool else " ".join(default) if is_list(kind) else default
        text = f"{text} (default: {shown})".strip()
    return f"{name} {_value(kind)}", text


def _value(kind: Any) -> str:
    """What stands for an option's value."""
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if is_list(kind):
        inner = next(part for part in (kind, *get_args(kind)) if get_origin(part) is list)
        return f"{_value(get_args(inner)[0])} ..."
    return next((_NAMES[part] for part in (kind, *get_args(kind)) if part in _NAMES), "VALUE")


def _group(title: str, entries: list[tuple[str, str]], width: int) -> str:
    lines = [f"{title}:"]
    for name, text in entries:
        indent = " " * _COLUMN
        if len(name) + 4 > _COLUMN:
            lines.append(f"  {name}")
            name = ""
        lines.append(fill(text, width, initial_indent=f"  {name}".ljust(_COLUMN), subsequent_indent=indent).rstrip())
    return "\n".join(lines)


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in inspect.cleandoc(text).splitlines())
