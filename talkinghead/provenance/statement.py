"""What a file states of its origin, read and checked."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from talkinghead.errors import UserError
from talkinghead.provenance.origin import LABEL, SOURCE

OURS = "signingCredential.untrusted"
"""What is said of every certificate that no list of trust holds: those made on a machine, too."""


@dataclass(frozen=True)
class Statement:
    """What a file states, and whether that can be believed."""

    valid: bool
    """Nothing in the file was changed since it was signed."""
    made_by: str
    """The program."""
    signer: str
    by_ai: bool
    """Whether it says that a trained model made it."""
    avatar: str | None = None
    consent: str | None = None
    ingredients: tuple[str, ...] = ()
    """What it was made of, as far as that is stated."""
    problems: tuple[str, ...] = field(default=())
    """Why it cannot be believed."""


def statement(path: Path) -> Statement | None:
    """What a picture or clip states of its origin; None if nothing.

    Raises:
        UserError: if the [provenance] extra is not installed, or the file is of a kind that cannot hold a statement.
    """
    try:
        import c2pa
    except ImportError as error:
        raise UserError("c2pa is not installed: pip install 'talkinghead[provenance]'") from error
    try:
        reader = c2pa.Reader.try_create(str(path))
    except c2pa.C2paError as error:
        raise UserError(f"{path}: its statement of origin cannot be read ({error}).") from error
    if reader is None:
        return None
    with reader:
        return _read(json.loads(reader.json()))


def _read(store: dict[str, Any]) -> Statement:
    manifest = store["manifests"][store["active_manifest"]]
    parts = {one["label"]: one.get("data", {}) for one in manifest.get("assertions", [])}
    actions = [
        action for label, data in parts.items() if label.startswith("c2pa.actions") for action in data["actions"]
    ]
    agents = manifest.get("claim_generator_info") or [{"name": manifest.get("claim_generator", "unknown")}]
    problems = [one for one in store.get("validation_status", []) if one["code"] != OURS]
    signed = manifest.get("signature_info", {})
    own = parts.get(LABEL, {})
    return Statement(
        valid=not problems,
        made_by=" ".join(str(agents[0].get(part, "")) for part in ("name", "version")).strip(),
        signer=str(signed.get("common_name") or signed.get("issuer") or "unknown"),
        by_ai=any(action.get("digitalSourceType") == SOURCE for action in actions),
        avatar=own.get("avatar_sha256"),
        consent=own.get("consent"),
        ingredients=tuple(str(one.get("title", "unnamed")) for one in manifest.get("ingredients", [])),
        problems=tuple(f"{one['code']}: {one.get('explanation', '')}" for one in problems),
    )
