"""evaluate: the paper's protocol on people unseen in training, beside two baselines."""

import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from talkinghead.commands.options import Tracking, Verb, ranged
from talkinghead.commands.progress import bar
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from talkinghead.portrait.data.shards import Shards
    from talkinghead.portrait.evaluation.all_videos import Task
    from talkinghead.portrait.evaluation.measures import Judges
    from talkinghead.portrait.evaluation.protocol import Protocol
    from talkinghead.portrait.evaluation.records import Record
    from talkinghead.portrait.evaluation.tables import Results
    from talkinghead.portrait.networks.config import PortraitConfig
    from talkinghead.portrait.networks.head import FewShotHead
    from talkinghead.portrait.training.config import FineTuningConfig

EXAMPLES = """
talkinghead evaluate --shards data/val -o results
talkinghead evaluate --videos clips/val -o results --shots 1 8 --people 3 --steps 20
talkinghead evaluate --shards data/val -o results --head layers.head.safetensors --against shipped --size 256
talkinghead evaluate --shards data/val -o results --baselines-only
"""


@dataclass(frozen=True, kw_only=True)
class Options(Tracking):
    """Make avatars from T frames of each video and compare them with held-out frames of it.

    Beside the head's results, feed-forward and fine-tuned, stand baselines that need no training: the nearest source
    frame copied, that frame warped flat, and the source frames warped in layers by a head in three dimensions. An
    interrupted evaluation goes on where it stopped: what was measured stays in the output folder, and counts again
    while heads, settings and frames are the same.
    """

    output: Path
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
    overwrite: bool = False
    """Write results over earlier ones; what was measured is kept and used."""


VERB = Verb("evaluate", Options, examples=EXAMPLES)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    evaluate(*VERB.parse(argv))


def evaluate(options: Options) -> None:
    """Measure, write, show.

    Raises:
        UserError: if there are results already, or nothing to evaluate.
    """
    from talkinghead.face.detection.choice import make_detector
    from talkinghead.media.files import refuse_existing
    from talkinghead.portrait.evaluation.all_videos import RESULTS
    from talkinghead.portrait.evaluation.measures import Judges

    refuse_existing(options.output / RESULTS, overwrite=options.overwrite)
    if (options.shards is None) == (options.videos is None):
        raise UserError("evaluate takes its frames from --shards or from --videos; give one of the two")
    protocol = make_protocol(options.shots, held_out=options.held_out, seed=options.seed)
    place = options.place
    judges = Judges(make_detector(options.detector, place), device=place)
    heads = {} if options.baselines_only else load_heads(options.head, options.against)
    tuning = None if options.steps == 0 or not heads else read_tuning(options.fine_tuning, options.steps)
    results = examine(options, protocol, judges, heads=heads, tuning=tuning)
    show(results, options.output)


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


def examine(
    options: Options,
    protocol: "Protocol",
    judges: "Judges",
    *,
    heads: "dict[str, tuple[Path, FewShotHead]]",
    tuning: "FineTuningConfig | None",
) -> "Results":
    """Evaluate all videos with a progress bar, and write what came out.

    Raises:
        UserError: if the shards hold no video that is long enough.
    """
    from talkinghead.portrait.data.photos import sha256
    from talkinghead.portrait.data.shards import Shards
    from talkinghead.portrait.evaluation.all_videos import plan, run, run_settings, write_results
    from talkinghead.portrait.evaluation.one_video import Examiner, Settings
    from talkinghead.portrait.evaluation.tables import summarise

    shards = Shards(options.shards or prepare_videos(options.videos, options.output))  # type: ignore[arg-type]
    tasks, left_out = plan(shards, protocol, people=options.people)
    if not tasks:
        raise UserError(
            f"{shards.path}: no video is long enough to evaluate ({len(left_out)} looked at); give longer ones"
        )
    place = str(judges.device)
    size = options.size or default_size([network.config for _, network in heads.values()], shards[tasks[0].track].side)
    settings = Settings(size=size, fine_tuning=tuning, cross_shots=options.cross)
    networks = {name: network for name, (_, network) in heads.items()}
    examiner = Examiner(judges, settings, heads=networks, accelerator="gpu" if place.startswith("cuda") else place)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # it would announce itself for every person
    hashes = {name: sha256(path) for name, (path, _) in heads.items()}
    kept = run_settings(examiner, hashes, options.detector)
    weights = [task.weight(tuning.steps_for(task.shots) if tuning else 0) for task in tasks]
    records = list(with_progress(run(tasks, shards, examiner, options.output, settings=kept), weights))
    about = {
        "head": head_in_words(*heads[""], hashes[""]) if heads else "none",
        **{name: head_in_words(*head, hashes[name]) for name, head in heads.items() if name},
        "compared at": f"{size} px; the frames' own side is {own_sides(shards, tasks)} px",
        "fine-tuning": "none" if tuning is None else tuning_in_words(tuning),
        "landmarks found by": options.detector if options.detector != "auto" else "the default detector",
        "device": place,
    }
    results = summarise(records, judges.names, protocol, about=about, left_out=left_out)
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


def own_sides(shards: "Shards", tasks: "Sequence[Task]") -> str:
    """Sides of the frames as they are stored."""
    sides = sorted({shards[task.track].side for task in tasks})
    return str(sides[0]) if len(sides) == 1 else f"{sides[0]} to {sides[-1]}"


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
    from talkinghead.portrait.evaluation.tables import arrow, number

    console = Console()
    for shots, rows in results["means"].items():
        table = Table(f"T = {shots}", *rows)
        for name in next(iter(rows.values())):
            table.add_row(f"{name} {arrow(name)}", *(number(values[name], name) for values in rows.values()))
        console.print(table)
    console.print(f"{output / TABLE}: all tables; {output / SHEETS}: pictures", highlight=False, soft_wrap=True)
