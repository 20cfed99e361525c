"""verify: what a picture or clip states of its origin, and whether that can be believed."""

import sys
from dataclasses import dataclass
from pathlib import Path

from talkinghead.commands.options import Verb
from talkinghead.errors import UserError

EXAMPLES = """
talkinghead verify anna_speaks.mp4
talkinghead verify photo_of_somebody_else.jpg   (any file that holds a C2PA statement)
"""


@dataclass(frozen=True, kw_only=True)
class Options:
    """Say what a file states of its origin (C2PA): who made it, of whom, with whose consent, and whether it was
    changed since. Ends with 0 if the statement is sound, else with 2."""

    file: Path
    """A picture or clip, of this program or of another."""


VERB = Verb("verify", Options, positional=("file",), examples=EXAMPLES)


def main(argv: list[str]) -> None:
    """Run the verb with the arguments that follow its name."""
    verify(*VERB.parse(argv))


def verify(options: Options) -> None:
    """Read, check, say.

    Raises:
        UserError: if there is no statement, or it was tampered with.
    """
    from talkinghead.media.files import refuse_unreadable
    from talkinghead.provenance.statement import statement

    path = options.file
    refuse_unreadable(path, give="a picture or a clip")
    found = statement(path)
    if found is None:
        raise UserError(f"{path} states nothing of its origin; it may never have, or it was taken out.")
    rows = {
        "made by": found.made_by,
        "by AI": "yes" if found.by_ai else "not stated",
        "avatar": found.avatar,
        "consent": found.consent,
        "made of": ", ".join(found.ingredients) or None,
        "signed by": f"{found.signer}, whom nobody vouches for but the signer"
        if "machine" in found.signer
        else found.signer,
        "unchanged since": "yes" if found.valid else "NO",
    }
    sys.stdout.write("".join(f"{name:<16} {value}\n" for name, value in rows.items() if value))
    if not found.valid:
        raise UserError(f"{path} is not what was signed: {'; '.join(found.problems)}")
