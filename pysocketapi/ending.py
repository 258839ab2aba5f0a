"""The end in time: associations that do not end gracefully are aborted, so that their peers are told at least.

For programs that have so long to end, and not until the last peer has answered. Only userland associations of
event loops are meant; the kernel goes on with its own ones, whatever becomes of the process.
"""

from __future__ import annotations

import asyncio
import sys
from types import ModuleType

_PUMPS = f"{__package__}.backends.pumps"


def _pumps() -> ModuleType | None:
    # Not imported: without it there is no association, and loading the engine takes longer than ending does.
    return sys.modules.get(_PUMPS)


def abort_associations(loop: asyncio.AbstractEventLoop) -> None:
    """Abort (RFC 9260 section 9.1) all associations of a loop, also those whose sockets are closed already.

    To be called in that loop's thread. Sockets that are open see what they see when a peer aborts.
    """
    if pumps := _pumps():
        pumps.abort_associations(loop)


def end_associations(seconds: float) -> None:
    """End the associations of closed loops: gracefully (RFC 9260 section 9.2) within ``seconds``, then by ABORT.

    Else this comes at the end of the interpreter, with 2 s. Blocks that long at most.
    """
    if pumps := _pumps():
        pumps.end_associations(seconds)
