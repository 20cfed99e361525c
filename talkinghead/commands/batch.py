"""batch: many avatars and clips in one run that goes on where it was stopped."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from talkinghead.commands.options import Verb
from talkinghead.commands.progress import bar
from talkinghead.errors import UserError

log = logging.getLogger(__name__)

ABOUT = """Make many avatars and clips: what a list of jobs says, or each avatar moved by each driver, or an
avatar of each person in a folder.

A job that fails is said at the end and stops no other. The same command again does what is not done yet, or
whose inputs have changed. Beside the list, or in the output folder, lie batch.json (what became of each job) and
batch.png (a picture of each)."""
EXAMPLES = """
talkinghead batch jobs.yaml                                  (a list; see docs/recipes.md)
talkinghead batch jobs.csv --retry-failed                    (columns: verb, output, and the verb's options)
talkinghead batch --avatars people --drivers clips -o out    (each avatar moved by each video)
talkinghead batch --people photos -o avatars                 (an avatar of each subfolder of photos)
"""
VERBS = ("fine-tune", "reenact", "speak")
AVATAR, DRIVERS = ".avatar.safetensors", (".mp4", ".mov", ".mkv", ".webm", ".avi", ".motion.safetensors", ".csv")
CHUNK = 1 << 20
"""Bytes of a file's beginning and end that it is known by, beside its size."""
THUMB = 192


@dataclass(frozen=True, kw_only=True)
class Options:
    jobs: Path | None = None
    """A .yaml with a list of jobs, or a .csv with one a row."""
    avatars: Path | None = None
    """A folder of avatars, each moved by each of --drivers."""
    drivers: Path | None = None
    """A folder of videos, motions and ARKit CSVs."""
    people: Path | None = None
    """A folder with a subfolder of photos for each person."""
    output: Path | None = None
    """Folder for what is made of folders."""
    consent: str | None = None
    """With --people: what they agreed to, kept in each avatar."""
    retry_failed: bool = False
    """Try jobs again that failed before."""

    def __post_init__(self) -> None:
        folders = self.people is not None or (self.avatars is not None and self.drivers is not None)
        if (self.jobs is None) == (not folders):
            raise UserError("batch takes a list of jobs, or --avatars and --drivers, or --people; see --help.")
        if folders and self.output is None:
            raise UserError("batch needs -o FOLDER for what it makes of folders.")

    @property
    def ledger(self) -> Path:
        """Where it is kept what became of each job."""
        if self.jobs is not None:
            return self.jobs.with_name(self.jobs.name + ".batch.json")
        assert self.output is not None
        return self.output / "batch.json"


VERB = Verb("batch", Options, about=ABOUT, positional=("jobs",), examples=EXAMPLES)


@dataclass(frozen=True)
class Job:
    """One command."""

    verb: str
    settings: dict[str, Any]

    @property
    def output(self) -> str:
        """What it makes."""
        return str(self.settings.get("output", ""))

    @property
    def key(self) -> str:
        """Changes with the settings and with what the files in them hold."""
        known = json.dumps([self.verb, self.settings, [_content(path) for path in self.files]], sort_keys=True)
        return sha256(known.encode()).hexdigest()[:24]

    @property
    def files(self) -> list[Path]:
        """Its settings that name files or folders, but for the output."""
        given = [value for name, value in self.settings.items() if name != "output"]
        flat = [one for value in given for one in (value if isinstance(value, list) else [value])]
        paths = [Path(one) for one in flat if isinstance(one, str) and len(one) < 4096]
        found = [path for path in paths if path.exists()]
        return [file for path in found for file in (sorted(path.iterdir()) if path.is_dir() else [path])]

    def words(self, *, overwrite: bool) -> list[str]:
        """As they are typed after the verb."""
        words: list[str] = []
        for name, value in self.settings.items():
            option = "--" + name.replace("_", "-")
            if name == "photos":
                words = [*map(str, value if isinstance(value, list) else [value]), *words]
            elif isinstance(value, bool):
                words.append(option if value else option.replace("--", "--no-", 1))
            elif value is not None:
                words += [option, str(value)]
        return words + (["--overwrite"] if overwrite else [])


@dataclass
class Fate:
    """What became of a job."""

    output: str
    status: Literal["done", "failed"]
    reason: str = ""
    seconds: float = 0.0
    key: str = field(default="", repr=False)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    batch(*VERB.parse(argv))


def batch(options: Options) -> None:
    """Do all jobs that are not done.

    Raises:
        UserError: if the list or a folder cannot be used, or a job failed.
    """
    from talkinghead.claims import claimed

    jobs = listed(options)
    options.ledger.parent.mkdir(parents=True, exist_ok=True)
    with claimed(options.ledger):
        before = read_ledger(options.ledger)
        fates = []
        with bar("jobs", "jobs") as report:
            for number, job in enumerate(jobs):
                report(number, len(jobs), job.output)
                fates.append(done_before(job, before, options) or attempted(job, overwrite=job.output in before))
                write_ledger(options.ledger, before | {fate.output: fate for fate in fates})
            report(len(jobs), len(jobs))
        show(fates, options.ledger)
    failed = sum(fate.status == "failed" for fate in fates)
    if failed:
        raise UserError(f"{failed} of {len(fates)} jobs failed (see above); --retry-failed tries them again.")


def listed(options: Options) -> list[Job]:
    """The jobs of a list or of folders.

    Raises:
        UserError: if there are none, one is no job, or two have one output.
    """
    if options.jobs is not None:
        jobs = read_jobs(options.jobs)
    elif options.people is not None:
        jobs = [
            Job("fine-tune", {"photos": [str(person)], "output": str(options.output / f"{person.name}{AVATAR}")}  # type: ignore[operator]
                | ({"consent": options.consent} if options.consent else {}))
            for person in inside(options.people, lambda path: path.is_dir())
        ]  # fmt: skip
    else:
        assert options.avatars is not None and options.drivers is not None and options.output is not None
        drivers = inside(options.drivers, lambda path: path.name.lower().endswith(DRIVERS))
        jobs = [
            Job("reenact", {"avatar": str(avatar), "driver": str(driver), "output": str(options.output / name)})
            for avatar in inside(options.avatars, lambda path: path.name.endswith(AVATAR))
            for driver in drivers
            for name in [f"{avatar.name.removesuffix(AVATAR)} {driver.name.split('.')[0]}.mp4"]
        ]
    outputs = [job.output for job in jobs]
    double = {output for output in outputs if outputs.count(output) > 1}
    if double:
        raise UserError(f"two jobs would write {sorted(double)[0]}; give each an output of its own.")
    return jobs


def inside(folder: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """What of a folder is wanted, sorted.

    Raises:
        UserError: if it is no folder or there is nothing.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give one.")
    found = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and wanted(path))
    if not found:
        raise UserError(f"{folder}: there is nothing in it that a job could use.")
    return found


def read_jobs(path: Path) -> list[Job]:
    """The jobs of a .yaml (a list under `jobs`, with `defaults` for all) or of a .csv.

    Raises:
        UserError: if one of them is no job.
    """
    from talkinghead.media.files import read_table
    from talkinghead.training.settings_file import read_settings

    if path.suffix.lower() == ".csv":
        rows: Any = [{name: value for name, value in row.items() if value} for row in read_table(path, "jobs")]
        defaults: Any = {}
    else:
        found = read_settings(path)
        rows, defaults = found.get("jobs"), found.get("defaults", {})
    if not isinstance(rows, list) or not rows or not isinstance(defaults, dict):
        raise UserError(f"{path}: it lists no jobs; give a list under `jobs`, as docs/recipes.md shows.")
    jobs = []
    for number, row in enumerate(rows, 1):
        settings = defaults | row if isinstance(row, dict) else {}
        verb = settings.pop("verb", None)
        if verb not in VERBS or not settings.get("output"):
            raise UserError(f"{path}: job {number} needs an output and a verb, one of {', '.join(VERBS)}.")
        jobs.append(Job(verb, {name.replace("-", "_"): value for name, value in settings.items()}))
    return jobs


def done_before(job: Job, before: dict[str, Fate], options: Options) -> Fate | None:
    """What became of a job in an earlier run, if that stands."""
    fate = before.get(job.output)
    if fate is None or fate.key != job.key:
        return None
    if fate.status == "done":
        return fate if Path(job.output).exists() else None
    return None if options.retry_failed else fate


def attempted(job: Job, *, overwrite: bool) -> Fate:
    """Do a job; whatever goes wrong is its fate, and the next one is done."""
    from importlib import import_module

    from talkinghead.stopping import Stopped

    began, fate = time.monotonic(), Fate(job.output, "done", key=job.key)
    try:
        Path(job.output).parent.mkdir(parents=True, exist_ok=True)
        import_module("talkinghead.commands." + job.verb.replace("-", "_")).main(job.words(overwrite=overwrite))
    except (KeyboardInterrupt, Stopped):
        raise
    except SystemExit as error:
        fate = replace(fate, status="failed", reason=f"it ended with {error.code}")
    except UserError as error:
        fate = replace(fate, status="failed", reason=str(error))
    except Exception as error:  # one job must not end the others
        log.debug("job", exc_info=True)
        fate = replace(fate, status="failed", reason=f"{type(error).__name__}: {error}")
    if fate.status == "failed":
        log.warning("%s: %s", job.output, fate.reason)
    return replace(fate, seconds=round(time.monotonic() - began, 1))


def read_ledger(path: Path) -> dict[str, Fate]:
    """What became of the jobs of earlier runs, by their outputs.

    Raises:
        UserError: if the file is something else.
    """
    from talkinghead.media.files import read_text

    if not path.exists():
        return {}
    try:
        return {one["output"]: Fate(**one) for one in json.loads(read_text(path))}
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path} is no list of what became of jobs; move it away.") from error


def write_ledger(path: Path, fates: dict[str, Fate]) -> None:
    """Keep what became of the jobs."""
    from talkinghead.media.files import atomic_path

    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps([asdict(fate) for fate in fates.values()], indent=1))


def show(fates: list[Fate], ledger: Path) -> None:
    """A table of all jobs, and a picture of what they made."""
    from rich.console import Console
    from rich.table import Table

    from talkinghead.media.image import sheet, write_image

    table = Table("output", "", "seconds", "why", box=None)
    for fate in fates:
        table.add_row(
            fate.output,
            "[green]done[/]" if fate.status == "done" else "[red]failed[/]",
            f"{fate.seconds:g}",
            fate.reason,
        )
    Console(stderr=True, highlight=False).print(table)
    pictures = [picture for fate in fates if fate.status == "done" for picture in thumbnail(Path(fate.output))]
    if pictures:
        rows = [pictures[first : first + 6] for first in range(0, len(pictures), 6)]
        picture = sheet(rows)
        write_image(ledger.with_suffix(".png"), picture, overwrite=True)
        log.info("%s and %s say and show what was made", ledger, ledger.with_suffix(".png"))


def thumbnail(path: Path) -> Iterator[Any]:
    """A small picture of the middle of a clip, or of an avatar's preview; none where there is neither."""
    from talkinghead.media.image import read_image, resize
    from talkinghead.media.video import probe, read_frames

    preview = path.with_name(path.name.removesuffix(AVATAR) + ".preview.png")
    try:
        if path.suffix == ".mp4":
            middle = (probe(path).frames or 0) // 2
            frame = next(frame for index, (_, frame) in enumerate(read_frames(path)) if index >= middle)
            side = min(frame.shape[:2])
            top, left = (frame.shape[0] - side) // 2, (frame.shape[1] - side) // 2
            yield resize(frame[top : top + side, left : left + side], THUMB)
        elif preview.is_file():
            frame = read_image(preview)
            yield resize(frame[-frame.shape[1] // 4 :, -frame.shape[1] // 4 :], THUMB)
    except (UserError, StopIteration, ValueError):
        return


def _content(path: Path) -> tuple[int, str]:
    """What a file is known by: its size, and a hash of its beginning and end."""
    if not path.is_file():
        return 0, path.name
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(CHUNK)
        file.seek(max(size - CHUNK, 0))
        return size, sha256(head + file.read(CHUNK)).hexdigest()
