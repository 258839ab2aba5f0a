"""Who may talk: TLS contexts made of files, and whether a proven certificate fits its owner's role.

RFC 5352 section 9.2 and RFC 5355 sections 2.1 to 2.7: registrars and pool elements authenticate each other, pool
users the registrar. All trust comes from a private authority. What a certificate is good for stands in its
extended key usage: registrars have serverAuth (and clientAuth, for ENRP), all others only clientAuth. A
registrar's certificate that names IP addresses is good only at one of them.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from rserpool.security.tls import BAD_CERTIFICATE, WRONG_ADDRESS, WRONG_ROLE, Tls, TlsError

MINIMUM = ssl.TLSVersion.TLSv1_2


def load(authority: str, certificate: str | None = None, key: str | None = None) -> Tls:
    """Make the contexts of PEM files: the authority's certificate, one's own, its key.

    Without an own certificate, registrars that ask for one refuse us. Raises ValueError with a text for people.
    """
    if (certificate is None) != (key is None):
        raise ValueError("a certificate needs its key, and a key its certificate")
    files = None if certificate is None or key is None else (certificate, key)
    server = _context(ssl.PROTOCOL_TLS_SERVER, authority, files)
    return Tls(server, _context(ssl.PROTOCOL_TLS_CLIENT, authority, files), check, files is not None)


def parse(text: str) -> Tls:
    """Return the contexts of ``authority.pem`` or ``authority.pem,certificate.pem,key.pem``, as options have them.

    Raises ValueError with a text for people.
    """
    names = text.split(",")
    if len(names) not in (1, 3) or not all(names):
        raise ValueError("files are wanted: AUTHORITY.pem or AUTHORITY.pem,CERTIFICATE.pem,KEY.pem")
    return load(*names)


def _context(protocol: int, authority: str, files: tuple[str, str] | None) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = MINIMUM
    context.check_hostname = False  # registrars are known by addresses, which `check` compares
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    _trust(context, authority)
    if files is not None:
        _own(context, *files)
    return context


def _trust(context: ssl.SSLContext, authority: str) -> None:
    try:
        context.load_verify_locations(authority)
    except OSError as error:  # ssl.SSLError is one
        raise ValueError(f"{authority}: no certificate of an authority: {_why(error)}") from None


def _own(context: ssl.SSLContext, certificate: str, key: str) -> None:
    try:
        context.load_cert_chain(certificate, key, password="")  # never ask at the terminal
    except OSError as error:
        raise ValueError(f"{certificate} with {key}: no certificate and its key: {_why(error)}") from None


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "not in PEM form").lower().replace("_", " ")
    return error.strerror or str(error)


def check(certificate: bytes, registrar: bool, addresses: Collection[str]) -> None:
    """Raise TlsError if a certificate (DER) is not one of a registrar, or else of a client of one.

    ``addresses``: the peer's, of which a registrar's certificate must have one if it names any.
    """
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        extensions = parsed.extensions
        subject = parsed.subject.rfc4514_string()
    except ValueError as error:
        raise TlsError(BAD_CERTIFICATE, f"its certificate does not parse: {error}") from None
    wanted = ExtendedKeyUsageOID.SERVER_AUTH if registrar else ExtendedKeyUsageOID.CLIENT_AUTH
    try:
        usages = list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        usages = []
    if wanted not in usages:
        role = "registrars" if registrar else "pool elements and users"
        raise TlsError(WRONG_ROLE, f"its certificate ({subject}) is not for {role}")
    if not registrar:
        return
    try:
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    named = set(names.get_values_for_type(x509.IPAddress))
    if named and not named & {plain(a) for a in addresses}:
        places = ", ".join(sorted(map(str, named)))
        raise TlsError(WRONG_ADDRESS, f"its certificate ({subject}) is only for {places}")


def plain(address: str) -> IPv4Address | IPv6Address:
    """Return an address without zone, an IPv4 one as such. Raises ValueError."""
    found = ip_address(address.partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found
