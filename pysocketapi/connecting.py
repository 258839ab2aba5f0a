"""`socket.create_connection` and `socket.create_server` for SCTP: names, both families, options in one call.

RFC 6458 section 4 (one-to-one style). For asyncio see `aio`.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from typing import Any

from . import constants as c
from .addresses import family_of, resolve_every
from .options import SocketOptions, as_structures
from .sctpsocket import SctpSocket
from .transport import Transport

_DEFAULT: Any = object()


def _prepare(sock: SctpSocket, options: SocketOptions | None) -> None:
    if options is None:
        return
    for option, value in as_structures(options):
        sock.setsockopt(c.IPPROTO_SCTP, option, value)
    for name, size in ((socket.SO_SNDBUF, options.send_buffer), (socket.SO_RCVBUF, options.receive_buffer)):
        if size is not None:
            sock.setsockopt(socket.SOL_SOCKET, name, size)


def create_connection(
    address: tuple[str, int],
    timeout: float | None = _DEFAULT,
    source_address: tuple[str, int] | None = None,
    *,
    transport: Transport | str | None = None,
    options: SocketOptions | None = None,
    remote_udp_port: int | None = None,
) -> SctpSocket:
    """Return a connected one-to-one socket; a name is tried at all its addresses, one after the other.

    timeout in seconds, for each try, and of the socket afterwards. remote_udp_port: RFC 6951. Raises OSError, the
    first one if all tries failed; `SctpSocket.connectx` is for one peer with several addresses.
    """
    host, port = address
    first: OSError | None = None
    for numeric in resolve_every(host):
        sock = SctpSocket(family_of([numeric]), socket.SOCK_STREAM, transport=transport)
        try:
            if timeout is not _DEFAULT:
                sock.settimeout(timeout)
            _prepare(sock, options)
            if source_address is not None:
                sock.bind(source_address)
            sock.connectx([(numeric, port)], udp_port=remote_udp_port)
        except OSError as error:
            sock.close()
            first = first or error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise first or OSError(errno.EADDRNOTAVAIL, f"{host} has no address")


def create_server(
    address: tuple[str, int],
    *,
    family: int | None = None,
    backlog: int = 128,
    addresses: Sequence[str] = (),
    transport: Transport | str | None = None,
    options: SocketOptions | None = None,
) -> SctpSocket:
    """Return a listening one-to-one socket; "" is any address. ``addresses``: more of them, at the same port.

    family: None takes that of the addresses, IPv4 for "". Raises OSError: EADDRINUSE, EADDRNOTAVAIL, EACCES.
    """
    host, port = address
    hosts = [host, *addresses]
    if family is None:
        family = family_of(numeric for name in hosts for numeric in resolve_every(name)[:1])
    sock = SctpSocket(family, socket.SOCK_STREAM, transport=transport)
    try:
        _prepare(sock, options)
        sock.bindx([(name, port) for name in hosts])
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock
