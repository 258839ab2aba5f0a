"""SOCKETAPI's descriptors and C's way to fail: a table of sockets, an errno for each thread, results by `Ref`."""

from __future__ import annotations

import errno
import functools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec

from ..sctpsocket import SctpSocket

FD_SETSIZE = 1024
_P = ParamSpec("_P")
_local = threading.local()
table: dict[int, SctpSocket | int] = {}
closing: list[Callable[[int], None]] = []  # called with a descriptor that is closed; the lock is held
lock = threading.Lock()


@dataclass(slots=True)
class Ref:
    """What C calls a pointer to a result."""

    value: Any = None


def ext_errno() -> int:
    """Return the errno of this thread's last call that returned -1."""
    return getattr(_local, "errno", 0)


def c_call(function: Callable[_P, int]) -> Callable[_P, int]:
    """Give a function C's way to fail."""

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> int:
        try:
            return function(*args, **kwargs)
        except BlockingIOError as error:
            _local.errno = error.errno or errno.EAGAIN
        except TimeoutError as error:
            _local.errno = error.errno or errno.ETIMEDOUT
        except OSError as error:
            _local.errno = error.errno or errno.EIO
        except (ValueError, TypeError, OverflowError):
            _local.errno = errno.EINVAL
        return -1

    return call


def enter(item: SctpSocket | int) -> int:
    """Return a descriptor for a socket or a descriptor of the system. Raises OSError(EMFILE), having closed it."""
    with lock:
        for fd in range(FD_SETSIZE - 1, 2, -1):
            if fd not in table:
                table[fd] = item
                return fd
    if isinstance(item, int):
        os.close(item)
    else:
        item.close()
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def entry(fd: int) -> SctpSocket | int:
    """Return what is behind a descriptor. Raises OSError(EBADF)."""
    found = table.get(fd)
    if found is None:
        if fd in (0, 1, 2):
            return fd
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return found


def socket_of(fd: int) -> SctpSocket:
    """Return the SctpSocket behind a descriptor. Raises OSError(EBADF, EOPNOTSUPP)."""
    found = entry(fd)
    if isinstance(found, int):
        raise OSError(errno.EOPNOTSUPP, "not an SCTP descriptor")
    return found
