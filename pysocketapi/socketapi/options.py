"""SOCKETAPI's calls for options, its own option of lifetimes for streams, and fcntl."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass, replace
from typing import Any

from .. import constants as c
from .constants import F_GETFL, F_SETFL, O_NONBLOCK, SCTP_SET_STREAM_TIMEOUTS
from .descriptors import Ref, c_call, closing, lock, socket_of

stream_timeouts: dict[int, list[SetStrmTimeout]] = {}  # by descriptor


@dataclass(slots=True)
class SetStrmTimeout:
    """struct sctp_setstrm_timeout of SCTP_SET_STREAM_TIMEOUTS: lifetime in ms of messages on a range of streams.

    It is that of messages which are sent without one; 0: none. The newest setting of a stream counts.
    """

    ssto_assoc_id: int = 0
    ssto_timeout: int = 0
    ssto_streamid_start: int = 0
    ssto_streamid_end: int = 0


def _forget(fd: int) -> None:
    stream_timeouts.pop(fd, None)


closing.append(_forget)


@c_call
def ext_fcntl(fd: int, command: int, argument: int = 0) -> int:
    """F_GETFL and F_SETFL with O_NONBLOCK."""
    sock = socket_of(fd)
    if command == F_GETFL:
        return 0 if sock.getblocking() else O_NONBLOCK
    if command == F_SETFL:
        sock.setblocking(not argument & O_NONBLOCK)
        return 0
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


@c_call
def ext_ioctl(fd: int, request: int, argument: Any = None) -> int:
    """Nothing of it is there for SCTP: EOPNOTSUPP."""
    socket_of(fd)
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))


@c_call
def ext_getsockopt(fd: int, level: int, option: int, value: Ref) -> int:
    """Get an option; ``value.value`` may name the association or address that is asked about."""
    asked = None if level == socket.SOL_SOCKET else value.value
    value.value = socket_of(fd).getsockopt(level, option, asked)
    return 0


@c_call
def ext_setsockopt(fd: int, level: int, option: int, value: Any) -> int:
    """Set an option; SCTP_SET_STREAM_TIMEOUTS takes a `SetStrmTimeout`."""
    sock = socket_of(fd)
    if level == c.IPPROTO_SCTP and option == SCTP_SET_STREAM_TIMEOUTS:
        _set_stream_timeouts(fd, value)
    else:
        sock.setsockopt(level, option, value)
    return 0


def _set_stream_timeouts(fd: int, value: Any) -> None:
    if not isinstance(value, SetStrmTimeout):
        raise TypeError("SCTP_SET_STREAM_TIMEOUTS takes SetStrmTimeout")
    first, last = value.ssto_streamid_start, value.ssto_streamid_end
    if not 0 <= first <= last <= 65535 or not 0 <= value.ssto_timeout < 1 << 32:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    with lock:
        kept = stream_timeouts.setdefault(fd, [])
        # A setting that this one covers has no effect any more.
        kept[:] = [
            old
            for old in kept
            if old.ssto_assoc_id != value.ssto_assoc_id
            or old.ssto_streamid_start < first
            or old.ssto_streamid_end > last
        ]
        kept.append(replace(value))


def stream_timeout(fd: int, assoc_id: int, stream: int) -> int:
    """Return the lifetime in ms of a message without one; 0: none."""
    for kept in reversed(stream_timeouts.get(fd, ())):
        if kept.ssto_assoc_id in (0, assoc_id) and kept.ssto_streamid_start <= stream <= kept.ssto_streamid_end:
            return kept.ssto_timeout
    return 0


_SETS = (c.SCTP_PRIMARY_ADDR, c.SCTP_SET_PEER_PRIMARY_ADDR, c.SCTP_PEER_ADDR_PARAMS)


@c_call
def sctp_opt_info(fd: int, assoc_id: int, option: int, value: Ref) -> int:
    """Get an option of an association (section 8).

    As in SOCKETAPI, a filled structure for PRIMARY_ADDR, SET_PEER_PRIMARY_ADDR or PEER_ADDR_PARAMS is set instead.
    """
    sock = socket_of(fd)
    filled = value.value is not None and any(
        getattr(value.value, name, None) for name in ("addr", "flags", "hbinterval", "pathmaxrxt")
    )
    if option == SCTP_SET_STREAM_TIMEOUTS:
        if isinstance(value.value, SetStrmTimeout):
            value.value.ssto_assoc_id = assoc_id
        _set_stream_timeouts(fd, value.value)
    elif option in _SETS and filled:
        value.value.assoc_id = assoc_id
        sock.setsockopt(c.IPPROTO_SCTP, option, value.value)
    else:
        value.value = sock.opt_info(assoc_id, option, value.value)
    return 0
