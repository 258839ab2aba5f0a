"""The descriptor space: RSerPool sockets and mapped descriptors of the system, by number."""

from __future__ import annotations

import errno
import threading

from rserpool.blocking.runtime import Runtime
from rserpool.blocking.sockets import Mapped, RspSocket, fail
from rserpool.blocking.structures import SESSION_SETSIZE

FIRST = 3  # what rsp_socket gives out; 0 to 2 are stdin, stdout, stderr

lock = threading.Lock()
descriptors: dict[int, RspSocket | Mapped] = {}
running: Runtime | None = None


def runtime() -> Runtime:
    """Return the running library. OSError(EACCES) before rsp_initialize."""
    if running is None:
        raise OSError(errno.EACCES, "rsp_initialize was not called")
    return running


def insert(thing: RspSocket | Mapped, wanted: int = -1) -> int:
    """Give a thing a number: the one that is wanted, or the lowest free one. OSError: EMFILE, EINVAL."""
    with lock:
        if wanted >= 0:
            if wanted in descriptors or wanted >= SESSION_SETSIZE:
                raise fail(errno.EINVAL)
            descriptors[wanted] = thing
            return wanted
        for number in range(FIRST, SESSION_SETSIZE):
            if number not in descriptors:
                descriptors[number] = thing
                return number
    raise fail(errno.EMFILE)


def find(number: int) -> RspSocket | Mapped:
    """Return what a descriptor stands for. OSError(EBADF)."""
    found = descriptors.get(number)
    if found is None:
        raise fail(errno.EBADF)
    return found


def rsp(number: int) -> RspSocket:
    """Return the RSerPool socket of a descriptor. OSError(EBADF) for everything else."""
    found = find(number)
    if not isinstance(found, RspSocket):
        raise fail(errno.EBADF)
    return found


def remove(number: int) -> RspSocket | Mapped:
    """Free a descriptor. OSError(EBADF)."""
    with lock:
        try:
            return descriptors.pop(number)
        except KeyError:
            raise fail(errno.EBADF) from None
