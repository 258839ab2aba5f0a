"""getsockopt and setsockopt of `SctpSocket`: what is checked and kept by the socket layer itself.

The rest is the channel's affair. RFC 6458 section 8; of SOL_SOCKET what makes sense for SCTP (POSIX).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Any

from . import ancillary
from . import constants as c
from . import structures as s
from .backends.contract import Channel
from .options import OF_SOCKETS, OPTIONS, Option
from .shared import Shared, key_of

_LINGER = struct.Struct("@ii")
_INT = struct.Struct("@i")
_SO_DOMAIN = getattr(socket, "SO_DOMAIN", None)
_SO_PROTOCOL = getattr(socket, "SO_PROTOCOL", None)


def _unknown() -> OSError:
    return OSError(errno.ENOPROTOOPT, os.strerror(errno.ENOPROTOOPT))


def _known(level: int, option: int, what: str) -> Option:
    known = OPTIONS.get(option) if level == c.IPPROTO_SCTP else None
    if known is None or not getattr(known, what):
        raise _unknown()
    return known


def set_option(channel: Channel, kept: Shared, level: int, option: int, value: Any) -> None:
    """Set an option. Raises OSError(ENOPROTOOPT) for an unknown one, TypeError for a value of another type."""
    if level == socket.SOL_SOCKET:
        _set_general(channel, kept, option, value)
        return
    known = _known(level, option, "set")
    if known.type in (int, bool):
        if not isinstance(value, int):
            raise TypeError(f"{known.name} takes an int, not {type(value).__name__}")
        value = known.type(value)
    elif not isinstance(value, known.type):
        raise TypeError(f"{known.name} takes {known.type.__name__}, not {type(value).__name__}")
    if option in (c.SCTP_USE_EXT_RCVINFO, c.SCTP_RECVNXTINFO):
        other = kept.nxtinfo if option == c.SCTP_USE_EXT_RCVINFO else kept.extended
        channel.setopt(c.SCTP_RECVNXTINFO, value or other)  # both live on it
    elif option not in OF_SOCKETS:
        channel.setopt(option, value)
    else:
        channel.local_addresses()  # EBADF on a closed socket
    _note(channel, kept, option, value)


def _note(channel: Channel, kept: Shared, option: int, value: Any) -> None:
    """Keep what the socket layer needs itself."""
    if option == c.SCTP_RECVRCVINFO:
        kept.rcvinfo = bool(value)
    elif option == c.SCTP_RECVNXTINFO:
        kept.nxtinfo = bool(value)
    elif option == c.SCTP_USE_EXT_RCVINFO:
        kept.extended = bool(value)
    elif option == c.SCTP_EVENTS:
        kept.data_io = bool(value.data_io)
    elif option == c.SCTP_EXPLICIT_EOR:
        kept.explicit_eor = bool(value)
    elif option == c.SCTP_DEFAULT_SNDINFO:
        kept.defaults[key_of(channel.one_to_many, value.assoc_id)] = value
    elif option == c.SCTP_DEFAULT_SEND_PARAM:
        key = key_of(channel.one_to_many, value.assoc_id)
        sending = ancillary.Sending()
        ancillary.from_sndrcvinfo(value, sending)
        if sending.info is not None:
            kept.defaults[key] = sending.info
        if sending.prinfo is not None:
            kept.default_pr[key] = sending.prinfo
    elif option == c.SCTP_DEFAULT_PRINFO:
        key = key_of(channel.one_to_many, value.assoc_id)
        kept.default_pr[key] = s.PrInfo(value.policy, value.value)
    kept.special = bool(kept.defaults or kept.default_pr or kept.explicit_eor)


def get_option(channel: Channel, kept: Shared, level: int, option: int, value: Any = None) -> Any:
    """Get an option; value carries the association and address that are asked about, if any."""
    if level == socket.SOL_SOCKET:
        return _get_general(channel, kept, option, value)
    known = _known(level, option, "get")
    if value is not None and known.type not in (int, bool) and not isinstance(value, known.type):
        raise TypeError(f"{known.name} takes {known.type.__name__}, not {type(value).__name__}")
    mine = {
        c.SCTP_RECVRCVINFO: kept.rcvinfo,
        c.SCTP_RECVNXTINFO: kept.nxtinfo,
        c.SCTP_USE_EXT_RCVINFO: kept.extended,
        c.SCTP_EXPLICIT_EOR: kept.explicit_eor,
    }.get(option)
    if mine is not None:
        channel.local_addresses()  # EBADF on a closed socket
        return mine
    return channel.getopt(option, value)


def about(assoc_id: int, option: int, value: Any = None) -> Any:
    """Return the value for a question about one association (sctp_opt_info, RFC 6458 section 8)."""
    known = OPTIONS.get(option)
    if value is None and known is not None and hasattr(known.type, "assoc_id"):
        value = known.type()
    if value is not None and hasattr(value, "assoc_id"):
        value.assoc_id = assoc_id
    return value


def _number(value: Any) -> int:
    """Return the int of a value that is one, or C's bytes of one."""
    if isinstance(value, int):
        return int(value)
    if len(bytes(memoryview(value))) != _INT.size:
        raise OSError(errno.EINVAL, "an option that is an int takes an int or its bytes")
    return int(_INT.unpack(value)[0])


def _set_general(channel: Channel, kept: Shared, option: int, value: Any) -> None:
    if option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        channel.set_buffer(option, _number(value))
    elif option == socket.SO_LINGER:
        # C's structure, as for socket.socket, or a pair.
        on, seconds = value if isinstance(value, tuple | list) else _LINGER.unpack(value)
        channel.set_linger(bool(on), int(seconds))
        kept.linger = (int(bool(on)), int(seconds))
    elif option == socket.SO_REUSEADDR:
        channel.local_addresses()  # EBADF; a port is free again as soon as its associations have ended
    else:
        raise _unknown()


def _get_general(channel: Channel, kept: Shared, option: int, size: Any) -> Any:
    """Get an option of SOL_SOCKET; as with socket.socket, a size gives C's bytes."""
    number = _general(channel, kept, option)
    if not isinstance(size, int):
        return kept.linger if option == socket.SO_LINGER else number
    packed = _LINGER.pack(*kept.linger) if option == socket.SO_LINGER else _INT.pack(number)
    return packed[:size]


def _general(channel: Channel, kept: Shared, option: int) -> int:
    if option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
        return channel.get_buffer(option)
    if option == socket.SO_ERROR:
        return channel.error()
    channel.local_addresses()  # EBADF on a closed socket
    if option == socket.SO_TYPE:
        return int(socket.SOCK_SEQPACKET if channel.one_to_many else socket.SOCK_STREAM)
    if option in (socket.SO_REUSEADDR, socket.SO_LINGER):
        return 0
    if option == socket.SO_ACCEPTCONN:
        return int(kept.listening)
    if option is not None and option == _SO_DOMAIN:
        return channel.family
    if option is not None and option == _SO_PROTOCOL:
        return c.IPPROTO_SCTP
    raise _unknown()
