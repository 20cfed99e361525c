"""evaluate: the paper's protocol on people unseen in training, beside two baselines."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from talkinghead.commands.options import Tracking, Verb, ranged
from talkinghead.commands.progress import bar
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from fractions import Fraction

    from talkinghead.portrait.evaluation.measures import Judges
    from talkinghead.portrait.evaluation.methods import Case
    from talkinghead.portrait.evaluation.one_video import Examiner
    from talkinghead.portrait.evaluation.protocol import Protocol
    from talkinghead.portrait.evaluation.report.records import Record
    from talkinghead.portrait.evaluation.report.tables import Results
    from talkinghead.portrait.networks.config import PortraitConfig
    from talkinghead.portrait.networks.head import FewShotHead
    from talkinghead.portrait.training.config import FineTuningConfig

log = logging.getLogger(__name__)

EXAMPLES = """
talkinghead evaluate --shards data/val -o results
talkinghead evaluate --videos clips/val -o results --shots 1 8 --people 3 --steps 20
talkinghead evaluate --shards data/val -o results --head layers.head.safetensors --against shipped --size 256
talkinghead evaluate --shards data/val -o results --baselines-only
talkinghead evaluate --shards data/val --tasks tasks
talkinghead evaluate --tasks tasks --rendered clips/liveportrait --rendered clips/fomm -o results
"""


@dataclass(frozen=True, kw_only=True)
class Options(Tracking):
    """Make avatars from T frames of each video and compare them with held-out frames of it.

    Beside the head's results, feed-forward and fine-tuned, stand baselines that need no training: the nearest source
    frame copied, that frame warped flat, and the source frames warped in layers by a head in three dimensions. An
    interrupted evaluation goes on where it stopped: what was measured stays in the output folder, and counts again
    while heads, settings and frames are the same.
    """

    output: Path | None = None
    """Folder for results.json, table.md, sheets, records."""
    shards: Path | None = None
    """Prepared shards of people unseen in training."""
    videos: Path | None = None
    """A folder of videos, to be prepared first."""
    head: Path | None = None
    """A meta-learned head; the one that ships if not given."""
    against: list[str] = field(default_factory=list)
    """Other heads, each a row of the same tables; "shipped" is the one that ships."""
    shots: list[str] = field(default_factory=lambda: ["1", "8", "32"])
    """T, the numbers of source frames: an evaluation each."""
    steps: int | None = ranged(None, least=0)
    """Fine-tuning steps, instead of epochs; 0 for feed-forward alone."""
    fine_tuning: Path | None = None
    """A YAML file of fine-tuning settings, such as configs/paper_avatar.yaml."""
    baselines_only: bool = False
    """Evaluate no head."""
    people: int | None = ranged(None, least=1)
    """Only the first so many people."""
    size: int | None = ranged(None, least=32)
    """Side at which frames are compared; if not given the head's, or the frames' own if it takes photos of any size."""
    cross: int = ranged(8, least=0)
    """T at which a stranger drives as well; 0 for none."""
    held_out: int = 32
    """Held-out frames of each video, 8 or more."""
    seed: int = ranged(0, least=0)
    """Of the choice of frames."""
    tasks: Path | None = None
    """A folder to write the photos and drivers to, as a list of tasks for any program; with --rendered it is read."""
    rendered: list[Path] = field(default_factory=list)
    """A folder of clips that another program made of --tasks: measured beside the baselines, and --head if given."""
    overwrite: bool = False
    """Write results over earlier ones; what was measured is kept and used."""


VERB = Verb("evaluate", Options, examples=EXAMPLES)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    evaluate(*VERB.parse(argv))


def evaluate(options: Options) -> None:
    """Measure, write, show; or write a list of tasks.

    Raises:
        UserError: if there are results already, or nothing to evaluate.
    """
    from talkinghead.face.detection.choice import make_detector
    from talkinghead.media.files import refuse_existing, run_folder
    from talkinghead.portrait.evaluation.all_videos import RESULTS
    from talkinghead.portrait.evaluation.measures import Judges

    check_inputs(options)
    if options.tasks is not None and not options.rendered:
        return write_list(options, options.tasks)
    if options.output is None:
        raise UserError("evaluate needs --output; talkinghead evaluate --help has examples.")
    refuse_existing(options.output / RESULTS, overwrite=options.overwrite)
    protocol = make_protocol(options.shots, held_out=options.held_out, seed=options.seed)
    place = options.place
    judges = Judges(make_detector(options.detector, place), device=place)
    without = options.baselines_only or (options.rendered and options.head is None)
    heads = {} if without else load_heads(options.head, options.against)
    tuning = None if options.steps == 0 or not heads else read_tuning(options.fine_tuning, options.steps)
    with run_folder(options.output):
        source = Rendered(options) if options.rendered else Held(options, protocol)
        results = examine(options, source, judges, heads=heads, tuning=tuning)
    show(results, options.output)


def check_inputs(options: Options) -> None:
    """Raise UserError unless frames come from one place."""
    if options.rendered:
        if options.tasks is None:
            raise UserError("--rendered needs --tasks, the list that the clips were made of")
        if options.shards is not None or options.videos is not None:
            raise UserError("--rendered takes its frames from --tasks; leave --shards and --videos out")
    elif (options.shards is None) == (options.videos is None):
        raise UserError("evaluate takes its frames from --shards or from --videos; give one of the two")


def make_protocol(shots: list[str], *, held_out: int, seed: int) -> "Protocol":
    """The protocol of the options.

    Raises:
        UserError: if the shots are not numbers.
    """
    from talkinghead.portrait.evaluation.protocol import Protocol

    try:
        numbers = sorted({int(word) for word in " ".join(shots).replace(",", " ").split()})
    except ValueError as error:
        raise UserError(f"--shots is {' '.join(shots)!r}; give whole numbers, such as --shots 1 8 32") from error
    return Protocol(shots=tuple(numbers), held_out=held_out, seed=seed)


def prepare_videos(videos: Path, output: Path) -> Path:
    """Shards of a folder of videos, made inside the output folder unless they lie there already.

    Raises:
        UserError: if the shards that lie there are of other videos.
    """
    from talkinghead.commands import prepare
    from talkinghead.portrait.data.preparation.prepare import REPORT, find_clips
    from talkinghead.portrait.data.preparation.settings import PrepareSettings
    from talkinghead.portrait.data.shards import INDEX

    shards = output / "shards"
    if not (shards / INDEX).is_file():
        prepare.run(videos, shards, PrepareSettings(), identities=None, workers=os.cpu_count() or 1, overwrite=False)
        return shards
    known = {clip["video"] for clip in json.loads((shards / REPORT).read_text())["clips"]}
    if known != {clip.video for clip in find_clips(videos)}:
        raise UserError(f"{shards} was made of other videos than {videos} holds; give another output")
    return shards


def load_heads(path: Path | None, against: Sequence[str]) -> "dict[str, tuple[Path, FewShotHead]]":
    """Heads by name: the one given, or the one that ships, without a name; others by those of their files.

    Raises:
        UserError: if a head cannot be read, or two have one name.
    """
    from talkinghead.portrait.evaluation.methods import head_name
    from talkinghead.portrait.networks.head import FewShotHead, default_head_path

    heads = {"": default_head_path() if path is None else path}
    for other in against:
        file = default_head_path() if other == "shipped" else Path(other)
        if head_name(file) in heads:
            raise UserError(f"--against names two heads {head_name(file)}; rename the file {file}, or its folder")
        heads[head_name(file)] = file
    return {name: (file, FewShotHead.load(file)[0]) for name, file in heads.items()}


def read_tuning(path: Path | None, steps: int | None) -> "FineTuningConfig":
    """Fine-tuning settings from a YAML file, if there is one, with the steps of the command line.

    Raises:
        UserError: if the file cannot be read or holds a setting that does not exist.
    """
    from talkinghead.portrait.training.config import FineTuningConfig

    config = FineTuningConfig()
    if path is not None:
        try:
            (config,) = Verb("evaluate", FineTuningConfig, examples="", config=True).parse(["--config", str(path)])
        except UserError as error:
            raise UserError(f"{path} holds no fine-tuning settings: {error}") from error
    return config if steps is None else replace(config, steps=steps)


def write_list(options: Options, folder: Path) -> None:
    """Write the list of tasks.

    Raises:
        UserError: if the folder exists, or the shards hold no video that is long enough.
    """
    from talkinghead.media.files import refuse_existing
    from talkinghead.portrait.evaluation.all_videos import listed_cases
    from talkinghead.portrait.evaluation.tasks import LIST, write_tasks

    refuse_existing(folder, overwrite=False)
    protocol = make_protocol(options.shots, held_out=options.held_out, seed=options.seed)
    held = Held(options, protocol)
    with bar("writing tasks", unit="") as report:

        def counted() -> "Iterator[tuple[str, Fraction, Case]]":
            for done, one in enumerate(listed_cases(held.tasks, held.shards), 1):
                yield one
                report(done, len(held.tasks), one[0])

        count = write_tasks(folder, counted(), protocol)
    log.info("%s: %d tasks; %s says how they are rendered", folder, count, folder / LIST)


class Held:
    """Frames of shards or videos."""

    def __init__(self, options: Options, protocol: "Protocol"):
        """Plan the tasks.

        Raises:
            UserError: if the shards hold no video that is long enough.
        """
        from talkinghead.portrait.data.shards import Shards
        from talkinghead.portrait.evaluation.all_videos import plan

        self.protocol = protocol
        folder = options.output or options.tasks
        self.shards = Shards(options.shards or prepare_videos(options.videos, folder))  # type: ignore[arg-type]
        self.tasks, self.left_out = plan(self.shards, protocol, people=options.people)
        if not self.tasks:
            raise UserError(
                f"{self.shards.path}: no video is long enough to evaluate ({len(self.left_out)} looked at); "
                "give longer ones"
            )
        self.sides = [self.shards[task.track].side for task in self.tasks]
        self.about: dict[str, str] = {}

    def weights(self, tuning: "FineTuningConfig | None") -> list[int]:
        """Work of each task."""
        return [task.weight(tuning.steps_for(task.shots) if tuning else 0) for task in self.tasks]

    def records(self, examiner: "Examiner", output: Path, settings: dict[str, Any]) -> "Iterator[Record]":
        """The record of each task."""
        from talkinghead.portrait.evaluation.all_videos import run

        return run(self.tasks, self.shards, examiner, output, settings=settings)


class Rendered:
    """Frames of a list of tasks, and what other programs made of it."""

    def __init__(self, options: Options):
        """Read the list.

        Raises:
            UserError: if it or a folder of clips is missing.
        """
        from talkinghead.portrait.evaluation.tasks import program_names, read_tasks

        assert options.tasks is not None
        self.programs = program_names(options.rendered)
        self.tasks, self.protocol = read_tasks(options.tasks)
        people = sorted({task.entry["person"] for task in self.tasks})[: options.people]
        self.tasks = [task for task in self.tasks if task.entry["person"] in people]
        self.sides = [task.entry["side"] for task in self.tasks]
        self.left_out: dict[str, str] = {}
        self.about = {name: f"clips of another program, from {folder.name}" for name, folder in self.programs.items()}

    def weights(self, tuning: "FineTuningConfig | None") -> list[int]:
        """Work of each task."""
        return [2 * task.entry["frames"] for task in self.tasks]

    def records(self, examiner: "Examiner", output: Path, settings: dict[str, Any]) -> "Iterator[Record]":
        """The record of each task."""
        from talkinghead.portrait.evaluation.all_videos import run_rendered

        return run_rendered(self.tasks, self.programs, examiner, output, settings=settings)


def examine(
    options: Options,
    source: Held | Rendered,
    judges: "Judges",
    *,
    heads: "dict[str, tuple[Path, FewShotHead]]",
    tuning: "FineTuningConfig | None",
) -> "Results":
    """Evaluate all tasks with a progress bar, and write what came out."""
    from talkinghead.portrait.data.photos import sha256
    from talkinghead.portrait.evaluation.all_videos import run_settings, write_results
    from talkinghead.portrait.evaluation.one_video import Examiner, Settings
    from talkinghead.portrait.evaluation.report.tables import summarise
    from talkinghead.portrait.evaluation.second_identity import ABSENT

    assert options.output is not None
    place = str(judges.device)
    size = options.size or default_size([network.config for _, network in heads.values()], max(source.sides))
    settings = Settings(size=size, fine_tuning=tuning, cross_shots=options.cross)
    networks = {name: network for name, (_, network) in heads.items()}
    examiner = Examiner(judges, settings, heads=networks, accelerator="gpu" if place.startswith("cuda") else place)
    hashes = {name: sha256(path) for name, (path, _) in heads.items()}
    made = source.records(examiner, options.output, run_settings(examiner, hashes, options.detector))
    records = list(with_progress(made, source.weights(tuning)))
    sides = sorted(set(source.sides))
    about = {
        "head": head_in_words(*heads[""], hashes[""]) if heads else "none",
        **{name: head_in_words(*head, hashes[name]) for name, head in heads.items() if name},
        **source.about,
        "compared at": f"{size} px; the frames' own side is {' or '.join(map(str, sides))} px",
        "fine-tuning": "none" if tuning is None else tuning_in_words(tuning),
        "landmarks found by": options.detector if options.detector != "auto" else "the default detector",
        "device": place,
        **({} if judges.facenet else {"second identity network": ABSENT}),
    }
    results = summarise(records, judges.names, source.protocol, about=about, left_out=source.left_out)
    write_results(options.output, results)
    return results


def default_size(heads: "Sequence[PortraitConfig]", side: int) -> int:
    """Side at which frames are compared: that of the largest head, where one in layers is as large as its photos."""
    return max((config.photo_side or side for config in heads), default=side)


def head_in_words(path: Path, head: "FewShotHead", hashed: str) -> str:
    """Which head, and what it paints over."""
    compositing = head.config.compositing
    over = "an empty canvas, as in the paper" if compositing is None else "a flat warp of the nearest photos"
    over = "photos warped in 3-D layers" if compositing is not None and compositing.layers else over
    return f"{path.name}, sha256 {hashed[:12]}; {head.config.size} px, over {over}"


def tuning_in_words(tuning: "FineTuningConfig") -> str:
    """How long a person was fine-tuned on."""
    if tuning.steps is not None:
        return f"{tuning.steps} steps"
    return f"{tuning.epochs} epochs, at least {tuning.least_steps} steps"


def with_progress(records: Iterator["Record"], weights: Sequence[int]) -> Iterator["Record"]:
    """The same records, with a bar of the work done."""
    with bar("evaluating", unit="") as report:
        for record, done in zip(records, accumulate(weights), strict=True):
            report(done, sum(weights), f"{record.video} T={record.shots}")
            yield record


def show(results: "Results", output: Path) -> None:
    """The means on the terminal, and where the rest is."""
    from rich.console import Console
    from rich.table import Table

    from talkinghead.portrait.evaluation.all_videos import SHEETS, TABLE
    from talkinghead.portrait.evaluation.report.tables import arrow, number

    console = Console()
    for shots, rows in results["means"].items():
        table = Table(f"T = {shots}", *rows)
        for name in next(iter(rows.values())):
            table.add_row(f"{name} {arrow(name)}", *(number(values[name], name) for values in rows.values()))
        console.print(table)
    console.print(f"{output / TABLE}: all tables; {output / SHEETS}: pictures", highlight=False, soft_wrap=True)
