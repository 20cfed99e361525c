"""What a clip says of how it was made, written into it when it is finished.

References:
    C2PA specification 2.1; IPTC's digital source types.
"""

import logging
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from talkinghead.errors import UserError
from talkinghead.provenance.certificate import signature
from talkinghead.version import __version__

SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
LABEL = "talkinghead.origin"
"""The name of our own part of a statement."""
KINDS = {".mp4": "video/mp4", ".mov": "video/quicktime", ".m4v": "video/x-m4v", ".avi": "video/avi"}
"""Files that can hold a statement, by suffix."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Origin:
    """What a clip says of how it was made."""

    avatar: str | None = None
    """SHA-256 of the avatar's file; None for a shaded head or an avatar that was never saved."""
    consent: str = "none stated"
    """What the person agreed to, as the avatar holds it."""
    driver: Path | None = None
    """What moved it: what that file states of its own origin is taken along."""

    @property
    def line(self) -> str:
        """The same as a line, which any player's file information shows."""
        who = f"; avatar {self.avatar[:16]}" if self.avatar else ""
        return f"Made by AI: talkinghead {__version__}{who}; consent: {self.consent}"

    def sign(self, path: Path) -> None:
        """Write a signed statement into a finished mp4. Without the [provenance] extra the line alone has to do.

        Raises:
            UserError: if the certificate cannot be used.
        """
        if find_spec("c2pa") is None or find_spec("cryptography") is None:
            return
        import c2pa

        signs, target = signature(), path.with_name(path.name + ".signed")
        information = c2pa.C2paSignerInfo(b"es256", signs.chain, signs.key, None)
        try:
            with c2pa.Signer.from_info(information) as signer, c2pa.Builder(self._manifest(path.name)) as builder:
                self._add_driver(builder)
                with path.open("rb") as source, target.open("w+b") as signed:
                    builder.sign(signer, KINDS[".mp4"], source, signed)
        except c2pa.C2paError as error:
            raise UserError(
                f"{path.name} cannot be signed ({error}); mend the certificate, or give --no-provenance."
            ) from error
        target.replace(path)

    def _manifest(self, title: str) -> dict[str, Any]:
        agent = {"name": "talkinghead", "version": __version__}
        action = {"action": "c2pa.created", "digitalSourceType": SOURCE, "softwareAgent": agent}
        about = {"avatar_sha256": self.avatar or "none", "consent": self.consent}
        return {
            "claim_generator_info": [agent],
            "title": title,
            "assertions": [
                {"label": "c2pa.actions", "data": {"actions": [action]}},
                {"label": LABEL, "data": about},
            ],
        }

    def _add_driver(self, builder: Any) -> None:
        """Take along what the driver states of its own origin, if it states anything."""
        import c2pa

        kind = None if self.driver is None else KINDS.get(self.driver.suffix.lower())
        if kind is None or self.driver is None or not self.driver.is_file():
            return
        with self.driver.open("rb") as stream:
            if c2pa.Reader.try_create(kind, stream) is None:
                return
            stream.seek(0)
            builder.add_ingredient_from_stream({"title": self.driver.name, "relationship": "inputTo"}, kind, stream)
