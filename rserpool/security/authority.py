"""Makes a private authority, and certificates of registrars and their clients (RFC 5355 section 2.7).

What tells the two apart is described in `contexts`. Writing files is here; the command line is the program's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

REGISTRAR, CLIENT = "registrar", "client"
USAGES = {
    REGISTRAR: [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
    CLIENT: [ExtendedKeyUsageOID.CLIENT_AUTH],
}
CA = "ca"
SLACK = timedelta(minutes=5)  # clocks differ


def certificate_file(directory: Path, name: str) -> Path:
    """Return where a certificate is kept."""
    return directory / f"{name}.pem"


def key_file(directory: Path, name: str) -> Path:
    """Return where a key is kept."""
    return directory / f"{name}-key.pem"


def _names(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _write(directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = certificate.public_bytes(Encoding.PEM)
    made: list[Path] = []
    try:
        # Nobody else may read a key, not even between its creation and a chmod.
        for path, mode, data in (
            (key_file(directory, name), 0o600, private),
            (certificate_file(directory, name), 0o666, public),
        ):
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            made.append(path)
            with os.fdopen(file, "wb") as stream:
                stream.write(data)
    except BaseException:
        # Also if the user does not want to wait: one file without the other would only be in the way.
        for path in made:
            path.unlink(missing_ok=True)
        raise


def _build(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    life: timedelta,
    extensions: Sequence[tuple[x509.ExtensionType, bool]],
    now: datetime | None,
) -> x509.Certificate:
    now = now or datetime.now(UTC)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now + life)
    )
    for extension, critical in (*extensions, (own, False), (above, False)):
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, SHA256())


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def make_authority(
    directory: Path, name: str = "RSerPool authority", days: float = 3650, now: datetime | None = None
) -> Path:
    """Make an authority in a directory, which is made if need be; return its certificate's file.

    Raises FileExistsError if there is one: certificates that it has made would be worth nothing. ``now``: when its
    life of ``days`` begins; None: at once.
    """
    directory.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _names(name)
    extensions = ((x509.BasicConstraints(ca=True, path_length=0), True), (_usage(True), True))
    certificate = _build(subject, key, subject, key, timedelta(days=days), extensions, now)
    _write(directory, CA, certificate, key)
    return certificate_file(directory, CA)


def make_certificate(
    directory: Path,
    role: str,
    name: str,
    addresses: Sequence[str] = (),
    days: float = 365,
    now: datetime | None = None,
) -> Path:
    """Make a key and a certificate, signed by the directory's authority; return the certificate's file.

    ``name`` (a host name for a registrar) names the files, too. ``addresses``: where it is good, () anywhere.
    Raises ValueError for a bad role, name or address, FileNotFoundError without an authority, FileExistsError.
    """
    if role not in USAGES:
        raise ValueError(f"a certificate is for a {' or a '.join(USAGES)}, not for a {role!r}")
    if not name or name == CA or not all(c.isalnum() or c in "-_." for c in name) or name[0] in ".-":
        raise ValueError(f"{name!r} is no name: letters, digits, '-', '_' and '.' make one, except {CA!r}")
    issuer = x509.load_pem_x509_certificate(certificate_file(directory, CA).read_bytes())
    issuer_key = load_pem_private_key(key_file(directory, CA).read_bytes(), None)
    if not isinstance(issuer_key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{key_file(directory, CA)} has a key of another kind")
    key = ec.generate_private_key(ec.SECP256R1())
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(False), True),
        (x509.ExtendedKeyUsage(USAGES[role]), False),
    ]
    if addresses:
        named = [x509.IPAddress(ip_address(a)) for a in addresses]
        extensions.append((x509.SubjectAlternativeName(named), False))
    certificate = _build(_names(name), key, issuer.subject, issuer_key, timedelta(days=days), extensions, now)
    _write(directory, name, certificate, key)
    return certificate_file(directory, name)
