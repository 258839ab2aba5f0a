"""One TLS session over the messages of one SCTP stream, sans-IO (RFC 3436 sections 3 to 6).

TLS sees a stream of bytes and keeps no message boundaries. ASAP and ENRP messages tell their length (RFC 5354
section 2), so they are cut out of the stream again here; each begins at a multiple of four bytes. Contexts are
`contexts`' work, associations `endpoint`'s.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Collection
from dataclasses import dataclass
from struct import Struct

RECORD = Struct(">BHH")  # RFC 3436 section 3.2: one record for each SCTP message
_HANDSHAKE, _FIRST_TYPE, _LAST_TYPE = 22, 20, 23
_CLIENT_HELLO = 1
_RANDOM = slice(11, 43)  # the random bytes of a ClientHello that begins a record
_CHUNK = 65536

NO_TLS = "no TLS"
NO_CERTIFICATE = "no certificate"
UNKNOWN_AUTHORITY = "unknown authority"
EXPIRED = "expired certificate"
NOT_YET_VALID = "certificate not yet valid"
WRONG_ROLE = "certificate of the wrong role"
WRONG_ADDRESS = "certificate of another address"
BAD_CERTIFICATE = "bad certificate"
REFUSED = "our certificate refused"
VERSION = "TLS version"
CLOSED = "closed"
TIMEOUT = "handshake timeout"
BROKEN = "TLS error"


class TlsError(ConnectionError):
    """A TLS session that cannot begin or go on. ``reason``: one of a few, to count by; the text says more."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Tls:
    """A program's contexts for both ends of a session; `contexts.load` makes them of files.

    ``check`` (certificate, whether it should be a registrar's, the peer's addresses) raises TlsError if a proven
    certificate will not do.
    """

    server: ssl.SSLContext
    client: ssl.SSLContext
    check: Callable[[bytes, bool, Collection[str]], None]
    certified: bool  # we have a certificate of our own


# OpenSSL's reasons, of which a part is enough; the first that fits.
_REASONS: tuple[tuple[str, str, str], ...] = (
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", NO_CERTIFICATE, "it presents no certificate"),
    ("ALERT_CERTIFICATE_REQUIRED", REFUSED, "it asks for a certificate, and we have none"),
    ("ALERT_UNKNOWN_CA", REFUSED, "it does not trust the authority of our certificate"),
    ("ALERT_CERTIFICATE_EXPIRED", REFUSED, "it refuses our certificate: expired"),
    ("ALERT_CERTIFICATE_REVOKED", REFUSED, "it refuses our certificate: revoked"),
    ("ALERT_CERTIFICATE_UNKNOWN", REFUSED, "it refuses our certificate"),
    ("ALERT_BAD_CERTIFICATE", REFUSED, "it refuses our certificate: bad"),
    ("ALERT_UNSUPPORTED_CERTIFICATE", REFUSED, "it refuses our certificate: not for this purpose"),
    (
        "ALERT_HANDSHAKE_FAILURE",
        REFUSED,
        "it breaks off the handshake: no common cipher, or we have no certificate",
    ),
    ("ALERT_PROTOCOL_VERSION", VERSION, "it wants another version of TLS"),
    ("UNSUPPORTED_PROTOCOL", VERSION, "it offers no TLS 1.2 or later"),
    ("WRONG_VERSION_NUMBER", NO_TLS, "it does not speak TLS"),
)
# OpenSSL's X509_V_ERR_... codes.
_CERTIFICATE: dict[int, str] = {
    2: UNKNOWN_AUTHORITY,
    9: NOT_YET_VALID,
    10: EXPIRED,
    18: UNKNOWN_AUTHORITY,
    19: UNKNOWN_AUTHORITY,
    20: UNKNOWN_AUTHORITY,
    21: UNKNOWN_AUTHORITY,
    26: WRONG_ROLE,
    30: UNKNOWN_AUTHORITY,  # the issuer has the name of our authority, but another key
}


def _explain(error: ssl.SSLError) -> TlsError:
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = _CERTIFICATE.get(error.verify_code, BAD_CERTIFICATE)
        return TlsError(reason, f"its certificate is not accepted: {error.verify_message}")
    name = error.reason or ""
    for part, reason, text in _REASONS:
        if part in name:
            return TlsError(reason, text)
    return TlsError(BROKEN, f"TLS error: {name.lower().replace('_', ' ') or error}")


def is_hello(data: bytes) -> bool:
    """Whether an SCTP message begins with a ClientHello (RFC 8446 section 4)."""
    return len(data) >= _RANDOM.stop and data[0] == _HANDSHAKE and data[5] == _CLIENT_HELLO


def outranks(hello: bytes, other: bytes) -> bool:
    """Decide who is the client where both have sent a ClientHello: the one with the greater random bytes."""
    return hello[_RANDOM] > other[_RANDOM]


def records(data: bytes) -> list[bytes]:
    """Cut what TLS wants to send into its records; each becomes one SCTP message (RFC 3436 section 3.2)."""
    found = []
    at = 0
    while at < len(data):
        _, _, length = RECORD.unpack_from(data, at)
        found.append(data[at : at + RECORD.size + length])
        at += RECORD.size + length
    return found


class TlsSession:
    """``check`` gets the peer's certificate (DER) once it is proven, and raises TlsError if it will not do.

    `feed` what comes, send what `output` gives after every call. ``established``: messages may be exchanged; on a
    client not before the server has shown that it took our certificate, or `presume` is called.
    """

    __slots__ = ("_buffer", "_check", "_handshaken", "_incoming", "_outgoing", "_seen", "_ssl", "closed",
                 "established", "server")  # fmt: skip

    def __init__(self, context: ssl.SSLContext, server: bool, check: Callable[[bytes], None]) -> None:
        self.server = server
        self.established = False
        self.closed = False  # the peer has ended the session
        self._check = check
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=server)
        self._buffer = bytearray()
        self._handshaken = False
        self._seen = False
        if not server:
            self._handshake()  # cannot fail before anything has come

    def output(self) -> bytes:
        """Return the records to be sent, and forget them."""
        return self._outgoing.read()

    def feed(self, data: bytes) -> list[bytes]:
        """Take one SCTP message; return the ASAP or ENRP messages that are complete by it.

        Raises TlsError; then the session is over, but what `output` gives tells the peer why.
        """
        if not data:
            return []
        if not self._seen:
            self._seen = True
            if not _FIRST_TYPE <= data[0] <= _LAST_TYPE or (len(data) > 1 and data[1] != 3):
                raise TlsError(NO_TLS, "it does not speak TLS")
        self._incoming.write(data)
        try:
            if not self._handshaken:
                self._handshake()
            if self._handshaken and self._incoming.pending:
                self._read()
                # TLS 1.3: a client is through before the server has seen its certificate. What comes next, a
                # session ticket or an alert, tells what became of it.
                self.established = True
        except ssl.SSLError as error:
            raise _explain(error) from None
        return self._cut()

    def presume(self) -> bool:
        """Take a handshake for accepted that is over on our side; False if it is not."""
        self.established = self.established or self._handshaken
        return self.established

    def wrap(self, message: bytes) -> bytes:
        """Return the records that carry a message. Raises TlsError if the session is not established or over."""
        if not self.established or self.closed:
            raise TlsError(CLOSED, "the TLS session is not open")
        try:
            self._ssl.write(message + bytes(-len(message) % 4))
        except ssl.SSLError as error:
            raise _explain(error) from None
        return self._outgoing.read()

    def close(self) -> None:
        """Tell the peer that nothing more will come (close_notify)."""
        if self._handshaken:
            try:
                self._ssl.unwrap()
            except ssl.SSLError:
                pass  # we do not wait for the peer's

    def _handshake(self) -> None:
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            return
        self._handshaken = True
        certificate = self._ssl.getpeercert(binary_form=True)
        if not certificate:
            raise TlsError(NO_CERTIFICATE, "it presents no certificate")
        try:
            self._check(certificate)
        except TlsError:
            # What waits to be sent would tell the peer that all is well.
            self._outgoing.read()
            raise
        self.established = self.server or self._ssl.version() != "TLSv1.3"

    def _read(self) -> None:
        while not self.closed:
            try:
                data = self._ssl.read(_CHUNK)
            except ssl.SSLWantReadError:
                return
            except ssl.SSLZeroReturnError:
                self.closed = True
                return
            self._buffer += data
            self.closed = not data

    def _cut(self) -> list[bytes]:
        found = []
        buffer = self._buffer
        while len(buffer) >= 4:
            length = int.from_bytes(buffer[2:4])
            if length < 4:
                raise TlsError(BROKEN, f"a message of length {length}")
            padded = length + -length % 4
            if len(buffer) < padded:
                break
            found.append(bytes(buffer[:length]))
            del buffer[:padded]
        return found
