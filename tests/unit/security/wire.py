"""Two SCTP endpoints in memory, as far as `SecureEndpoint` uses them: one association, in order, nothing lost."""

import asyncio
import errno

from pysocketapi import constants as c
from pysocketapi.aio import Message
from pysocketapi.notifications import AssocChange, ShutdownEvent

ASSOCIATION = 1


class Plain:
    """One end; ``room``: messages that it takes before `send_nowait` says that there is no more."""

    def __init__(self, port):
        self.port, self.udp_port = port, 9899
        self.other = None
        self.items = asyncio.Queue()
        self.room = None
        self.sent = []
        self.associations = []
        self.aborted = []
        self.closed = False

    def peer_addresses(self, association):
        self._known(association)
        return ["127.0.0.1"]

    def peer_port(self, association):
        self._known(association)
        return self.other.port

    def _known(self, association):
        if association not in self.associations:
            raise OSError(errno.ENOTCONN, "no such association")

    def status(self, association):
        self._known(association)
        return "status"

    async def recv(self):
        item = await self.items.get()
        if isinstance(item, OSError):
            raise item
        return item

    def send_nowait(self, data, association, *, stream=0, ppid=0):
        self._known(association)
        if self.room is not None:
            if not self.room:
                return False
            self.room -= 1
        self.sent.append(data)
        self.other.items.put_nowait(Message(data, stream=stream, ppid=ppid, assoc_id=association))
        return True

    def up(self):
        if not self.associations:
            self.associations.append(ASSOCIATION)
            self.items.put_nowait(AssocChange(ASSOCIATION, c.SCTP_COMM_UP))

    async def connect(self, addresses, port, *, remote_udp_port=None, timeout=None):
        await asyncio.sleep(0)
        self.up()
        self.other.up()
        return ASSOCIATION

    def _end(self, state):
        if self.associations:
            self.associations.clear()
            self.items.put_nowait(AssocChange(ASSOCIATION, state))

    def abort(self, association, reason=b""):
        self._known(association)
        self.aborted.append(reason)
        self._end(c.SCTP_COMM_LOST)
        self.other._end(c.SCTP_COMM_LOST)

    def shutdown(self, association):
        self._known(association)
        if self.other.associations:
            self.other.items.put_nowait(ShutdownEvent(ASSOCIATION))
        self._end(c.SCTP_SHUTDOWN_COMP)
        self.other._end(c.SCTP_SHUTDOWN_COMP)

    def restart(self):
        """The other program is a new one."""
        self.items.put_nowait(AssocChange(ASSOCIATION, c.SCTP_RESTART))

    async def close(self):
        self.closed = True


def wire():
    one, other = Plain(1000), Plain(2000)
    one.other, other.other = other, one
    return one, other
