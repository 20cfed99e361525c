"""speech-evaluate: speech models -> a table of how far their faces are from those of unseen speakers."""

import json
import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path

from talkinghead.commands.options import Verb
from talkinghead.errors import UserError

log = logging.getLogger(__name__)

EXAMPLES = """
talkinghead speech-evaluate voca pham --corpus corpus/talkers
talkinghead speech-evaluate runs/voca/voca.speech.safetensors voca --corpus corpus/talkers -o voca.json
"""
Folders = list[Path]
"""Option given more than once."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Measure speech models on the held-out speakers of corpora, beside the face of silence, the mean face, and the
    face of the training frame whose sound is most similar. docs/results/speech.md explains the columns."""

    models: list[str]
    """karras, voca, pham, or .speech.safetensors files."""
    corpus: Folders = field(default_factory=list)
    """A corpus that `prepare --speech` made; the baselines learn from its training part. May be given again."""
    output: Path | None = None
    """A .json for the figures."""
    overwrite: bool = False
    """Replace a file that exists."""

    def __post_init__(self) -> None:
        if not self.corpus:
            raise UserError("speech-evaluate needs --corpus FOLDER, which prepare --speech makes.")


VERB = Verb("speech-evaluate", Options, positional=("models",), examples=EXAMPLES)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    speech_evaluate(*VERB.parse(argv))


def speech_evaluate(options: Options) -> None:
    """Measure, print, keep.

    Raises:
        UserError: if a model or a corpus cannot be used, or nobody is held out.
    """
    from talkinghead.media.files import atomic_path, refuse_existing
    from talkinghead.speech.corpora.sequences import read_tracks
    from talkinghead.speech.evaluation.evaluation import Baselines, evaluate, table
    from talkinghead.speech.model import load_model

    if options.output is not None:
        refuse_existing(options.output, overwrite=options.overwrite, file=True)
    models = {name: load_model(name) for name in options.models}
    held_out = read_tracks(options.corpus, "val")
    if not held_out:
        raise UserError(
            f"{', '.join(map(str, options.corpus))}: nobody is held out, so there is nothing to measure on."
        )
    baselines = Baselines.of(read_tracks(options.corpus, "train"))
    figures: dict[str, dict[str, float]] = {}
    for name, model in models.items():
        found = evaluate(model, held_out, baselines, thorough=False)
        figures = (
            {name: found.pop(model.kind)} | found | figures if not figures else {**figures, name: found[model.kind]}
        )
    seconds, people = sum(track.seconds for track in held_out), {track.sequence.speaker for track in held_out}
    log.info("%d sequences, %.0f s, %d speakers", len(held_out), seconds, len(people))
    sys.stdout.write(table(figures) + "\n")
    if options.output is not None:
        with atomic_path(options.output, overwrite=options.overwrite) as temporary:
            temporary.write_text(json.dumps(figures, indent=1))
