"""One parser for all verbs: options are the fields of dataclasses."""

import inspect
import json
import re
import sys
from argparse import ArgumentError
from collections import deque
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from fractions import Fraction
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin

from talkinghead.commands.help_page import Leaf, is_list, leaves, page, spelling
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser, Namespace

Config = TypeVar("Config")

_OPTION = re.compile(r"--?[A-Za-z][^\s=]*(=.*)?", re.DOTALL)
"""Not -20,5 and not -, which are values."""
_SHORT = {"o": "output"}
_WANTED = {int: "a whole number", float: "a number", bool: "true or false"}


def ranged(
    default: Any = MISSING, *, least: float | None = None, most: float | None = None, former: bool = False
) -> Any:
    """A field whose number must lie in a range; `former` for a name of before, which is read and not shown."""
    return field(default=default, metadata={"least": least, "most": most, "former": former})


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The machine."""

    device: str = "auto"
    """auto, cpu or cuda."""

    @property
    def place(self) -> str:
        """The device by that name; "auto" is the GPU where there is one.

        Raises:
            UserError: if it is not on this machine.
        """
        import torch

        if self.device == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        try:
            torch.zeros(1, device=self.device).item()
        except (RuntimeError, AssertionError) as error:
            raise UserError(
                f"--device is {self.device!r}, which this machine does not have; give cpu or auto."
            ) from error
        return self.device


@dataclass(frozen=True, kw_only=True)
class Tracking(Machine):
    """Finding faces in videos."""

    detector: str = "auto"
    """auto, dlib, face-alignment or mtcnn."""


class Verb:
    """A verb's command line.

    Args:
        name: of the verb.
        options: dataclasses whose fields are options by their own names; the first one's docstring is the verb's.
        examples: end the help.
        about: begins it, in place of the docstring of the first dataclass.
        positional: fields that are given without a name; a list takes all that is left.
        config: whether --config FILE reads options from YAML.
        sections: dataclasses whose fields are options with a dot, such as --run.steps.
        fork: one of the sections that stands for its subclasses, which are chosen by name.
        links: options that are no options, because each takes the value of another.
    """

    def __init__(
        self,
        name: str,
        *options: type,
        examples: str,
        about: str = "",
        positional: tuple[str, ...] = (),
        config: bool = False,
        sections: dict[str, type] | None = None,
        fork: str = "",
        links: dict[str, str] | None = None,
    ):
        self.name, self.options, self.examples = name, options, examples
        self.positional, self.config, self.sections, self.fork = positional, config, sections or {}, fork
        self.links = links or {}
        self.about = about or inspect.cleandoc(options[0].__doc__ or "")
        self.leaves: list[Leaf] = [leaf for group in options for leaf in leaves(group)]
        for section, kind in self.sections.items():
            found = leaves(kind, section + ".") if section != fork else ()
            self.leaves += [leaf for leaf in found if leaf.key not in self.links]
        self.kinds = {leaf.key: leaf.field.type for leaf in self.leaves}
        self.kinds |= ({fork: str} if fork else {}) | ({"config": Path} if config else {})

    def parse(self, argv: list[str]) -> tuple[Any, ...]:
        """What was given: each dataclass of the options, then of the sections. After --help it exits.

        Raises:
            UserError: if an option is unknown, missing, or has a wrong value.
        """
        return self.make(self.settings(argv))

    def settings(self, argv: list[str]) -> "Namespace":
        """What was given, as jsonargparse keeps it."""
        if {"-h", "--help"} & set(argv):
            sys.stdout.write(page(self))
            sys.exit()
        try:
            return self.parser.parse_args(_Words(self, argv).spelt_out())
        except ArgumentError as error:
            raise UserError(self._sentence(str(error))) from error

    def make(self, settings: "Namespace") -> tuple[Any, ...]:
        """The dataclasses of the settings."""
        made = self.parser.instantiate(settings)
        for leaf in self.leaves:
            refuse_outside(spelling(leaf.key), made.get(leaf.key), leaf.field.metadata)
        flat = [group(**{one.name: made[one.name] for one in fields(group)}) for group in self.options]
        return (*flat, *(made[section] for section in self.sections))

    @cached_property
    def parser(self) -> "ArgumentParser":
        """jsonargparse's parser of the same fields, which reads YAML, and values by their types."""
        from jsonargparse import ArgumentParser, set_parsing_settings

        parser = ArgumentParser(prog=f"talkinghead {self.name}", exit_on_error=False)
        if self.config:
            parser.add_argument("--config", action=_config_action())
        for group in self.options:
            parser.add_class_arguments(group)
        for section, kind in self.sections.items():
            if section == self.fork:
                set_parsing_settings(subclasses_enabled=[kind])  # dataclasses are plain settings to it otherwise
                parser.add_argument(f"--{section}", type=kind, required=True)
            else:
                parser.add_class_arguments(kind, section)
        for target, source in self.links.items():
            parser.link_arguments(source, target)
        return parser

    def dump(self, settings: "Namespace") -> str:
        """All settings as YAML that --config reads."""
        return self.parser.dump(settings, skip_link_targets=False)

    def unknown(self, name: str) -> UserError:
        """The error for an option that does not exist."""
        near = get_close_matches(name, [spelling(key) for key in self.kinds], n=1)
        hint = f"did you mean {near[0]}?" if near else f"talkinghead {self.name} --help lists those that it has."
        return UserError(f"{self.name} has no option {name}; {hint}")

    def _sentence(self, complaint: str) -> str:
        """jsonargparse's complaint as one sentence that names option, value and fix."""
        words = " ".join(complaint.split())
        if missing := re.search(r"arguments are required: (.*)", words):
            keys = missing[1].split(", ")
            names = [key.upper() if key in self.positional else spelling(key) for key in keys]
            return f"{self.name} needs {' and '.join(names)}; talkinghead {self.name} --help has examples."
        wrong = re.search(r'Parser key "([^"]+)".*(?:Got|Given) value: (.*)$', words)
        if wrong and wrong[1] in self.kinds:
            kinds = get_args(self.kinds[wrong[1]]) or (self.kinds[wrong[1]],)
            literal = get_origin(self.kinds[wrong[1]]) is Literal
            wanted = kinds if literal else [_WANTED[kind] for kind in kinds if kind in _WANTED]
            if wanted and "yaml: " not in words:
                return f"{spelling(wrong[1])} is {wrong[2]!r}; give {' or '.join(wanted)}."
        return f"{self.name}: {words}"


class _Words:
    """The words after a verb, read from left to right."""

    def __init__(self, verb: Verb, argv: list[str]):
        self.verb, self.words = verb, deque(argv)
        self.loose: list[str] = []
        self.found: list[str] = []
        self.lists: dict[str, list[str]] = {}

    def spelt_out(self) -> list[str]:
        """All as --name=value, with underscores, as jsonargparse reads them.

        Raises:
            UserError: if an option is unknown or has no value, or something is left over.
        """
        while self.words:
            word = self.words.popleft()
            if word == "--":
                self.loose += self.words
                break
            if _OPTION.fullmatch(word):
                self._take(word)
            else:
                self.loose.append(word)
        for key in self.verb.positional:
            if self.loose and is_list(self.verb.kinds[key]):
                self.lists[key], self.loose = self.loose, []
            elif self.loose:
                self.found.append(f"--{key}={self.loose.pop(0)}")
        if self.loose:
            name = self.verb.name
            raise UserError(f"{name} does not know what {self.loose[0]!r} is for; see talkinghead {name} --help.")
        return self.found + [f"--{key}={json.dumps(values)}" for key, values in self.lists.items()]

    def _take(self, word: str) -> None:
        """An option, with the words that are its value."""
        name, has_value, value = word.partition("=")
        key, kinds = self._key(name), self.verb.kinds
        if key == "print_config":
            self.found.append("--" + key + has_value + value)
        elif kinds.get(key) is bool:
            spelt = "." in key and bool(self.words) and self.words[0] in ("true", "false")
            self.found.append(f"--{key}={value or (self.words.popleft() if spelt else 'true')}")
        elif key not in kinds and kinds.get(key.removeprefix("no_")) is bool:
            self.found.append(f"--{key.removeprefix('no_')}=false")
        elif is_list(kinds.get(key)) and "." not in key:
            values = self.lists.setdefault(key, [])
            values.append(value if has_value else self._value(name))
            while not self.verb.positional and self.words and not _OPTION.fullmatch(self.words[0]):
                values.append(self.words.popleft())
        else:
            self.found.append(f"--{key}={value if has_value else self._value(name)}")

    def _key(self, name: str) -> str:
        """The field that an option stands for."""
        key = name.lstrip("-").replace("-", "_")
        if not name.startswith("--"):
            key = _SHORT.get(key, "")
        known = key in self.verb.kinds or self.verb.kinds.get(key.removeprefix("no_")) is bool
        # --augment FILE, and parts of what may be none or stands for its subclasses
        near = any(other.startswith(key + ".") or key.startswith(other + ".") for other in self.verb.kinds)
        if not (known or near or (self.verb.config and key == "print_config")):
            raise self.verb.unknown(name)
        return key

    def _value(self, name: str) -> str:
        if not self.words or _OPTION.fullmatch(self.words[0]):
            raise UserError(f"{name} is followed by no value; give one, as talkinghead {self.verb.name} --help shows.")
        return self.words.popleft()


def refuse_outside(name: str, value: Any, limits: Mapping[str, Any]) -> None:
    """Raise UserError if a number lies outside its range, or is none."""
    least, most = limits.get("least"), limits.get("most")
    if value is None or (least is None and most is None):
        return
    if not (least is None or value >= least) or not (most is None or value <= most):
        wanted = f"{least} or more" if most is None else f"{most} or less" if least is None else f"{least} to {most}"
        raise UserError(f"{name} is {value}; give {wanted}.")


def _config_action() -> type:
    """What reads --config: each file by itself, so that a complaint names the file."""
    from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]

    from talkinghead.training.settings_file import empty_names, read_settings, settings_path

    class ConfigFile(ActionConfigFile):
        def __call__(self, parser: Any, cfg: Any, values: Any, option_string: str | None = None) -> None:
            values = str(settings_path(Path(values)))
            given = read_settings(Path(values))
            try:
                super().__call__(parser, cfg, values, option_string)
                parser.validate(cfg, skip_required=True)
            except (ArgumentError, TypeError, KeyError, UnicodeDecodeError) as error:
                raise ArgumentError(None, f"{values}: {error}") from error
            defaults = {action.dest: action.default for action in parser._actions}
            for name in empty_names(given):
                if defaults.get(name) is not None:
                    raise UserError(f"{values}: {name} is null; give a value, such as {defaults[name]}.")

    return ConfigFile


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


def config_from(options: Any, kind: type[Config], **more: Any) -> Config:
    """A configuration that takes its values from the options of the same names, but for those that are given."""
    given = {one.name: getattr(options, one.name) for one in fields(kind) if hasattr(options, one.name)}  # type: ignore[arg-type]
    return kind(**(given | more))


def rate_from(text: str) -> Fraction:
    """Frames a second as written on the command line.

    Raises:
        UserError: if it is no positive number.
    """
    from talkinghead.media.tensors import frame_rate

    try:
        return frame_rate(text)
    except ValueError as error:
        raise UserError(
            f"--fps is {text!r}; give a positive number from 1 to 1000, such as 25, 12.5 or 30000/1001."
        ) from error
