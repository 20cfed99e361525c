"""Who signs: the user's own certificate, or one that is made when it is first needed.

References:
    C2PA specification 2.1, section 14.5: what a certificate must say.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from talkinghead.errors import UserError

YEARS = 10
CERTIFICATE, KEY = "certificate.pem", "key.pem"


@dataclass(frozen=True)
class Signature:
    """What signs: both in PEM."""

    chain: bytes
    """The certificate, and the one that vouches for it."""
    key: bytes
    """The private key: P-256."""


def folder() -> Path:
    """Where certificate.pem and key.pem lie: $TALKINGHEAD_SIGNING, or a folder of the user's settings."""
    settings = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config"))
    return Path(os.environ.get("TALKINGHEAD_SIGNING", settings / "talkinghead"))


def signature() -> Signature:
    """The user's; made if there is none.

    Raises:
        UserError: if one of the two files is missing, or they cannot be written.
    """
    certificate, key = folder() / CERTIFICATE, folder() / KEY
    try:
        if not certificate.exists() and not key.exists():
            keep(made(), certificate, key)
        return Signature(certificate.read_bytes(), key.read_bytes())
    except OSError as error:
        raise UserError(
            f"{error.filename}: the certificate that signs clips cannot be used ({error.strerror}); "
            "mend it, or give --no-provenance."
        ) from error


def keep(signs: Signature, certificate: Path, key: Path) -> None:
    """Write both files, the key for its owner's eyes alone; another run's that came first stay."""
    certificate.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(signs.key)
        with os.fdopen(os.open(certificate, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(signs.chain)


def made() -> Signature:
    """A certificate for signing, with one of its own that vouches for it: nobody else does."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    root, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    vouching = _certificate("talkinghead: made on this machine", root, root, "talkinghead: made on this machine")
    signing = _certificate("talkinghead: clips of this machine", own, root, "talkinghead: made on this machine")
    pem = serialization.Encoding.PEM
    private = own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Signature(signing.public_bytes(pem) + vouching.public_bytes(pem), private)


def _certificate(name: str, key: Any, issuer_key: Any, issuer: str) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(text: str) -> Any:
        organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "self-signed")
        return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, text)])

    root, today = key is issuer_key, datetime.now(UTC)
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    built = (
        x509.CertificateBuilder(named(issuer), named(name), key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=not root, key_cert_sign=root, crl_sign=root, **usage), critical=True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if not root:
        built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return built.sign(issuer_key, hashes.SHA256())
