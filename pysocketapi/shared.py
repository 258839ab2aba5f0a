"""What a socket and its duplicates share: how many they are, and what the socket layer itself keeps of options.

The channel is shared too; it is closed with the last of them.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from . import constants as c
from . import structures as s


@dataclass(slots=True)
class Shared:
    """The state of one socket, whatever the number of its duplicates."""

    defaults: dict[int, s.SndInfo] = field(default_factory=dict)  # SCTP_DEFAULT_SNDINFO by association
    default_pr: dict[int, s.PrInfo] = field(default_factory=dict)
    rcvinfo: bool = False
    nxtinfo: bool = False
    data_io: bool = False  # SCTP_SNDRCV or SCTP_EXTRCV comes with each message
    extended: bool = False
    explicit_eor: bool = False
    special: bool = False  # a send must look at the defaults or at explicit_eor
    linger: tuple[int, int] = (0, 0)
    listening: bool = False
    parts: dict[tuple[int, s.Address | None, int], bytearray] = field(default_factory=dict)  # explicit EOR
    users: list[None] = field(default_factory=lambda: [None])

    def join(self) -> None:
        """One duplicate more."""
        self.users.append(None)

    def leave(self) -> bool:
        """One less; True: it was the last. The garbage collector may call it, so it takes no lock."""
        self.users.pop()
        return not self.users

    def inherited(self) -> Shared:
        """Return what an accepted or peeled off socket begins with."""
        return Shared(
            {0: self.defaults[0]} if 0 in self.defaults else {},
            dict(self.default_pr),
            self.rcvinfo,
            self.nxtinfo,
            self.data_io,
            self.extended,
            self.explicit_eor,
            self.special,
            self.linger,
        )


class ClosedChannel:
    """Stands for the channel of a closed socket, which its duplicates may still use: all calls fail with EBADF."""

    own_descriptor = False

    def __init__(self, family: int, one_to_many: bool) -> None:
        self.family = family
        self.one_to_many = one_to_many

    def fileno(self) -> int:
        """Return -1, as for any closed file."""
        return -1

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return _bad_descriptor


def _bad_descriptor(*_: Any, **__: Any) -> Any:
    raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def style_of(type_: int) -> tuple[int, bool]:
    """Return (SOCK_STREAM or SOCK_SEQPACKET, whether it blocks). Raises OSError(ESOCKTNOSUPPORT)."""
    nonblock, cloexec = getattr(socket, "SOCK_NONBLOCK", 0), getattr(socket, "SOCK_CLOEXEC", 0)
    style = type_ & ~(nonblock | cloexec)
    if style not in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
        raise OSError(errno.ESOCKTNOSUPPORT, "SCTP has SOCK_STREAM and SOCK_SEQPACKET")
    return style, not type_ & nonblock


def key_of(one_to_many: bool, assoc_id: int) -> int:
    """Return under which association defaults are kept; 0: the socket's own."""
    return assoc_id if one_to_many and assoc_id >= c.FIRST_ASSOC_ID else 0
