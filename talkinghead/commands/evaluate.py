"""evaluate: the paper's protocol on people unseen in training, beside two baselines."""

import json
import logging
import os
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkinghead.commands import best_device, run_command
from talkinghead.errors import UserError

if TYPE_CHECKING:
    from talkinghead.portrait.evaluation.measures import Judges
    from talkinghead.portrait.evaluation.protocol import Protocol
    from talkinghead.portrait.evaluation.records import Record
    from talkinghead.portrait.evaluation.tables import Results
    from talkinghead.portrait.networks.head import FewShotHead
    from talkinghead.portrait.training.fine_tuning_config import FineTuningConfig

_EPILOG = """Examples:

talkinghead evaluate --shards data/val -o results

talkinghead evaluate --videos clips/val -o results --shots 1 8 --people 3 --steps 20

talkinghead evaluate --shards data/val -o results --baselines-only
"""


def evaluate(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for results.json, table.md, sheets, records.")],
    shards: Annotated[Path | None, typer.Option(help="Prepared shards of people unseen in training.")] = None,
    videos: Annotated[Path | None, typer.Option(help="A folder of videos, to be prepared first.")] = None,
    head: Annotated[Path | None, typer.Option(help="A meta-learned head; the one that ships if not given.")] = None,
    shots: Annotated[
        str, typer.Option(help="T, the numbers of source frames: an evaluation each.", metavar="T...")
    ] = "1 8 32",
    steps: Annotated[
        int | None, typer.Option(min=0, help="Fine-tuning steps, instead of epochs; 0 for feed-forward alone.")
    ] = None,
    fine_tuning: Annotated[
        Path | None, typer.Option(help="A YAML file of fine-tuning settings, such as configs/paper_avatar.yaml.")
    ] = None,
    baselines_only: Annotated[bool, typer.Option("--baselines-only", help="Evaluate no head.")] = False,
    people: Annotated[int | None, typer.Option(min=1, help="Only the first so many people.")] = None,
    size: Annotated[
        int | None, typer.Option(min=32, help="Side at which frames are compared; the head's if not given.")
    ] = None,
    cross: Annotated[int, typer.Option(min=0, help="T at which a stranger drives as well; 0 for none.")] = 8,
    held_out: Annotated[int, typer.Option(help="Held-out frames of each video, 8 or more.")] = 32,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of frames.")] = 0,
    detector: Annotated[str, typer.Option(help="auto, dlib, face-alignment or mtcnn.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write results over earlier ones; what was measured is kept and used.")
    ] = False,
) -> None:
    """Make avatars from T frames of each video and compare them with held-out frames of it.

    Beside the head's results, feed-forward and fine-tuned, stand two baselines: the nearest source frame copied, and
    that frame warped to the target's landmarks. An interrupted evaluation goes on where it stopped: what was measured
    stays in the output folder, and counts again while head, settings and frames are the same.
    """
    from talkinghead.face.detection.choice import make_detector
    from talkinghead.media.files import refuse_existing
    from talkinghead.portrait.evaluation.all_videos import RESULTS
    from talkinghead.portrait.evaluation.measures import Judges

    refuse_existing(output / RESULTS, overwrite=overwrite)
    if (shards is None) == (videos is None):
        raise UserError("evaluate takes its frames from --shards or from --videos; give one of the two")
    protocol = make_protocol(shots, held_out=held_out, seed=seed)
    place = best_device(device)
    judges = Judges(make_detector(detector, place), device=place)
    path, network = (None, None) if baselines_only else load_head(head)
    tuning = None if steps == 0 or network is None else read_tuning(fine_tuning, steps)
    side = size or (network.config.photo_side or 256 if network is not None else 128)
    source = shards if shards is not None else prepare_videos(videos, output)  # type: ignore[arg-type]
    results = examine(
        source, protocol, judges, output=output, head=(path, network), tuning=tuning, size=side, cross=cross,
        people=people, detector=detector,
    )  # fmt: skip
    show(results, output)


def main(argv: list[str]) -> None:
    """Run the command with the arguments that follow its name."""
    run_command(evaluate, gathered(argv, "--shots"), epilog=_EPILOG)


def gathered(argv: list[str], option: str) -> list[str]:
    """The arguments with the numbers after an option joined into one: `--shots 1 8` becomes `--shots "1 8"`."""
    if option not in argv:
        return argv
    first = argv.index(option) + 1
    last = first
    while last < len(argv) and not argv[last].startswith("-"):
        last += 1
    return [*argv[:first], " ".join(argv[first:last]), *argv[last:]]


def make_protocol(shots: str, *, held_out: int, seed: int) -> "Protocol":
    """The protocol of the options.

    Raises:
        UserError: if the shots are not numbers.
    """
    from talkinghead.portrait.evaluation.protocol import Protocol

    try:
        numbers = sorted({int(word) for word in shots.replace(",", " ").split()})
    except ValueError as error:
        raise UserError(f"--shots is {shots!r}; give whole numbers, such as --shots 1 8 32") from error
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


def load_head(path: Path | None) -> tuple[Path, "FewShotHead"]:
    """The head given, or the one that ships."""
    from talkinghead.portrait.networks.head import FewShotHead, default_head_path

    path = default_head_path() if path is None else path
    return path, FewShotHead.load(path)[0]


def read_tuning(path: Path | None, steps: int | None) -> "FineTuningConfig":
    """Fine-tuning settings from a YAML file, if there is one, with the steps of the command line.

    Raises:
        UserError: if the file cannot be read or holds a setting that does not exist.
    """
    import yaml
    from jsonargparse import ArgumentParser

    from talkinghead.portrait.training.fine_tuning_config import FineTuningConfig

    config = FineTuningConfig()
    if path is not None:
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(FineTuningConfig, "tuning")
        try:
            settings = yaml.safe_load(path.read_text())
            if not isinstance(settings, dict):
                raise TypeError("it is no list of names and values")
            config = parser.instantiate(parser.parse_object({"tuning": settings})).tuning
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ArgumentError, TypeError) as error:
            raise UserError(f"{path} holds no fine-tuning settings: {' '.join(str(error).split())}") from error
    return config if steps is None else replace(config, steps=steps)


def examine(
    source: Path,
    protocol: "Protocol",
    judges: "Judges",
    *,
    output: Path,
    head: tuple[Path | None, "FewShotHead | None"],
    tuning: "FineTuningConfig | None",
    size: int,
    cross: int,
    people: int | None,
    detector: str,
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

    shards = Shards(source)
    tasks, left_out = plan(shards, protocol, people=people)
    if not tasks:
        raise UserError(f"{source}: no video is long enough to evaluate ({len(left_out)} looked at); give longer ones")
    place = str(judges.device)
    path, network = head
    settings = Settings(size=size, fine_tuning=tuning, cross_shots=cross)
    examiner = Examiner(judges, settings, head=network, accelerator="gpu" if place.startswith("cuda") else place)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)  # it would announce itself for every person
    hashed = None if path is None else sha256(path)
    kept = run_settings(examiner, hashed, detector)
    weights = [task.weight(tuning.steps_for(task.shots) if tuning else 0) for task in tasks]
    records = list(with_progress(run(tasks, shards, examiner, output, settings=kept), weights))
    about = {
        "head": "none" if path is None or hashed is None else f"{path.name}, sha256 {hashed[:12]}",
        "compared at": f"{size} px",
        "fine-tuning": "none" if tuning is None else tuning_in_words(tuning),
        "landmarks found by": detector if detector != "auto" else "the default detector",
        "device": place,
    }
    results = summarise(records, judges.names, protocol, about=about, left_out=left_out)
    write_results(output, results)
    return results


def tuning_in_words(tuning: "FineTuningConfig") -> str:
    """How long a person was fine-tuned on."""
    if tuning.steps is not None:
        return f"{tuning.steps} steps"
    return f"{tuning.epochs} epochs, at least {tuning.least_steps} steps"


def with_progress(records: Iterator["Record"], weights: Sequence[int]) -> Iterator["Record"]:
    """The same records, with a bar of the work done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeElapsedColumn(),
        TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("starting", total=sum(weights))
        for record, weight in zip(records, weights, strict=True):
            progress.update(bar, advance=weight, description=f"{record.video} T={record.shots}")
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
