"""The hub process: gives SCTP ports and UDP sockets to the processes of a host, and answers for nobody's ports.

    python -m pysctplib.host.hub --port 9899 [--mode auto|steer|forward] [--inherit FD,FD] [--group N]

Started by the first process that needs it (``client``), ends after the last has left. Exit code 0: a hub is there
(this one, in the background, or another); else an errno. RFC 6951 section 4.1 (one UDP port for a host), RFC 9260
section 8.4 (out of the blue). See docs/reference/host.md.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import selectors
import signal
import socket
import sys
from time import monotonic
from typing import Any

from ..carrier.udp import UdpCarrier, open_sockets
from . import protocol
from .group import Group, Member
from .ports import Ports

LINGER = 1.0  # seconds that the hub stays after the last process has left
GRACE = 1.5  # seconds that a new hub waits for the processes of the one before: no answers, no new ports
RELEARN = 1.0  # seconds between two learnings of the indices at least
GROUP = 4096  # sockets of each IP version at most
RELAYS = 64  # relayed packets read at one wake-up

PathKey = protocol.PathKey


class Process:
    """A process that shares the port space."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.uid = protocol.uid_of(control)
        self.members: list[Member] = []  # steered: its sockets, one of each group
        self.relay: socket.socket | None = None
        self.passing: socket.socket | None = None  # the relay's other end, until the process has it


class Hub:
    """All state of the hub process."""

    def __init__(self, port: int, mode: str, inherited: list[socket.socket], limit: int = GROUP) -> None:
        """Take the UDP port. OSError if that fails."""
        self.port = port
        self.limit = limit
        self.ports = Ports()
        self.groups: list[Group] = []
        self.free: list[list[Member]] = []  # sockets in the groups that nobody has at the moment
        self.processes: set[Process] = set()
        self.selector = selectors.DefaultSelector()
        self.grace_until = 0.0
        self.idle_since = monotonic()
        self._learned_at = 0.0
        self._engine: Any = None
        if mode != "forward":
            try:
                self._make_groups()
            except OSError as error:
                if mode == "steer" or error.errno == errno.EADDRINUSE:
                    raise
                self._close_groups()
        self.steering = bool(self.groups)
        if self.steering:
            own = [group.own.sock for group in self.groups]
        else:
            own = inherited or open_sockets(port)
        if inherited or any(group.found_others for group in self.groups):
            self.grace_until = monotonic() + GRACE
        self.carrier = UdpCarrier(own)
        for fd in self.carrier.sockets:
            self.selector.register(fd, selectors.EVENT_READ, self._on_udp)
        self.steer()

    def _make_groups(self) -> None:
        self.groups.append(Group(socket.AF_INET, self.port))
        try:
            self.groups.append(Group(socket.AF_INET6, self.port))
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise

    def _close_groups(self) -> None:
        for group in self.groups:
            group.own.sock.close()
        self.groups = []

    # ---- the loop

    def serve(self, listener: socket.socket) -> None:
        """Work until all processes have left."""
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ, lambda _: self._on_connection(listener))
        while self.processes or monotonic() < max(self.idle_since + LINGER, self.grace_until):
            for key, _ in self.selector.select(LINGER / 4 if not self.processes else 60.0):
                key.data(key.fd)

    def _on_connection(self, listener: socket.socket) -> None:
        try:
            control, _ = listener.accept()
        except OSError:
            return
        control.setblocking(False)
        process = Process(control)
        self.processes.add(process)
        self.selector.register(control, selectors.EVENT_READ, lambda _: self._on_request(process))

    def _on_request(self, process: Process) -> None:
        try:
            message, descriptors = protocol.receive(process.control)
        except BlockingIOError:
            return
        except (OSError, ValueError):
            self.leave(process)
            return
        taken: list[int] = []
        try:
            handler = _REQUESTS[str(message.get("do"))]
            answer, passed = handler(self, process, message, descriptors, taken)
        except OSError as error:
            answer, passed = {"errno": error.errno or errno.EIO, "text": error.strerror or str(error)}, []
        except (KeyError, TypeError, ValueError) as error:
            answer, passed = {"errno": errno.EINVAL, "text": f"request not understood: {error}"}, []
        finally:
            for descriptor in descriptors:
                if descriptor not in taken:
                    os.close(descriptor)
        try:
            protocol.send(process.control, answer, passed)
        except OSError:
            self.leave(process)
        if process.passing is not None:
            process.passing.close()
            process.passing = None

    def leave(self, process: Process) -> None:
        """A process has gone, in whatever way: its ports and sockets are free again."""
        if process not in self.processes:
            return
        self.processes.discard(process)
        self.selector.unregister(process.control)
        process.control.close()
        if process.relay is not None:
            self.selector.unregister(process.relay)
            process.relay.close()
        self.ports.forget(process)
        if process.members:
            self.free.append(process.members)
        self.steer()
        if not self.processes:
            self.idle_since = monotonic()

    # ---- requests

    def join(
        self, process: Process, message: dict[str, Any], descriptors: list[int], taken: list[int]
    ) -> tuple[dict[str, Any], list[int]]:
        """A process joins, perhaps again after a hub has died: then with its ports and its UDP sockets."""
        if process.relay is not None:
            raise OSError(errno.EALREADY, "joined already")
        wish = message.get("mode", "auto")
        if wish == "steer" and not self.steering:
            raise OSError(errno.EOPNOTSUPP, "the hub of this host forwards; end its users, or use forwarding")
        steered = self.steering and wish != "forward"
        if steered:
            if descriptors:
                taken.extend(descriptors)
                process.members = self._adopt([socket.socket(fileno=d) for d in descriptors])
            else:
                process.members = self._sockets()
            steered = bool(process.members)
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        here.setblocking(False)
        for end in (here, there):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        process.relay = here
        self.selector.register(here, selectors.EVENT_READ, lambda _: self._on_relay(process))
        lost = []
        for port in message.get("ports", []):
            try:
                self.ports.claim(process, port, privileged=True)  # it had them before
            except OSError:
                lost.append(port)
        if process.members and descriptors:
            self.relearn(force=True)
        self.steer()
        sockets = [m.sock for m in process.members] or list(self.carrier.sockets.values())
        process.passing = there
        answer = {"steered": steered, "forwards": not self.steering, "lost": lost, "pid": os.getpid()}
        return answer, [there.fileno(), *(sock.fileno() for sock in sockets)]

    def claim(
        self, process: Process, message: dict[str, Any], descriptors: list[int], taken: list[int]
    ) -> tuple[dict[str, Any], list[int]]:
        """A process wants a port."""
        if monotonic() < self.grace_until:
            raise OSError(errno.EAGAIN, "the hub is being replaced")
        port = self.ports.claim(process, message["port"], privileged=process.uid == 0)
        self.steer()
        return {"port": port}, []

    def release(
        self, process: Process, message: dict[str, Any], descriptors: list[int], taken: list[int]
    ) -> tuple[dict[str, Any], list[int]]:
        """A process gives a port back."""
        self.ports.release(process, message["port"])
        self.steer()
        return {"ok": True}, []

    # ---- sockets

    def _sockets(self) -> list[Member]:
        """Return sockets for a process, one of each group; none if there are no more: then it is forwarded to."""
        if self.free:
            return self.free.pop()
        if len(self.groups[0].members) >= self.limit:
            return []
        made: list[Member] = []
        try:
            for group in self.groups:
                made.append(group.add())
        except OSError:
            return []
        return made

    def _adopt(self, sockets: list[socket.socket]) -> list[Member]:
        members = []
        for group in self.groups:
            for sock in sockets:
                if sock.family == group.family and sock.getsockname()[1] == self.port:
                    members.append(group.adopt(sock))
                    break
            else:
                return []
        return members

    def relearn(self, force: bool = False) -> None:
        """Learn the indices of all sockets again, not too often."""
        now = monotonic()
        if not self.steering or (not force and now < self._learned_at + RELEARN):
            return
        self._learned_at = now
        silent = [member for members in self.free for member in members]
        for group in self.groups:
            group.learn([m for m in silent if m in group.members])

    def steer(self) -> None:
        """Have the kernel steer by what is known."""
        for number, group in enumerate(self.groups):
            owners = {
                port: process.members[number]
                for port, process in self.ports.owners.items()
                if isinstance(process, Process) and process.members
            }
            with contextlib.suppress(OSError):
                group.steer(owners)

    # ---- packets

    def _on_udp(self, fd: int) -> None:
        self.carrier.readable(fd, self._from_network, monotonic())

    def _from_network(self, data: bytes, path: PathKey, now: float) -> None:
        if any(group.note(group.own, data) for group in self.groups):
            return
        self.route(None, data, path, now)

    def _on_relay(self, process: Process) -> None:
        for _ in range(RELAYS):
            if process.relay is None:
                return
            try:
                data, path = protocol.unwrap(process.relay.recv(131072))
            except BlockingIOError:
                return
            except (OSError, ValueError):
                return  # its control connection tells when it has gone
            for number, group in enumerate(self.groups):
                if process.members and group.note(process.members[number], data):
                    self.steer()
                    break
            else:
                self.route(process, data, path, monotonic())

    def route(self, via: Process | None, data: bytes, path: PathKey, now: float) -> None:
        """Bring a packet to its port's owner, or answer it by the rules of RFC 9260 section 8.4."""
        if len(data) < 12 or any(group.is_mark(data) for group in self.groups):
            return
        owner = self.ports.owners.get(int.from_bytes(data[2:4], "big"))
        if isinstance(owner, Process):
            if owner is not via and owner.relay is not None:
                if via is not None and owner.members:
                    self.relearn()  # the kernel has steered it to a wrong process
                    self.steer()
                with contextlib.suppress(OSError):  # it does not read: lost, as in any network
                    owner.relay.send(protocol.wrap(data, path))
            return
        if now < self.grace_until:
            return  # its owner may still come back
        if self._engine is None:
            from ..core.engine import Engine  # late: a hub has to start quickly

            self._engine = Engine(now=now)
        self._engine.receive(data, path, now)
        self._engine.events()
        self.carrier.send(self._engine.output(now))


_REQUESTS = {"join": Hub.join, "claim": Hub.claim, "release": Hub.release}


def take_name(port: int) -> socket.socket | None:
    """Return the bound control socket, None if there is a hub. A file that a dead hub has left is replaced."""
    sock = socket.socket(socket.AF_UNIX, protocol.KIND)
    name = protocol.address(port)
    for _ in range(2):
        try:
            sock.bind(name)
            if not name.startswith("\0"):
                os.chmod(name, 0o666)  # the ports are the host's, as a kernel's would be
            return sock
        except OSError as error:
            if error.errno != errno.EADDRINUSE or name.startswith("\0"):
                break
        with socket.socket(socket.AF_UNIX, protocol.KIND) as probe:
            try:
                probe.connect(name)
                break
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(name)
    sock.close()
    return None


def main(arguments: list[str]) -> int:
    """Become the hub, in the background; return when that is settled, in the background when it has ended."""
    parser = argparse.ArgumentParser(prog="pysctplib.host.hub", description="shares one UDP port for SCTP")
    parser.add_argument("--port", type=int, default=9899)
    parser.add_argument("--mode", choices=("auto", "steer", "forward"), default="auto")
    parser.add_argument("--inherit", default="", help="descriptors of UDP sockets to take over")
    parser.add_argument("--group", type=int, default=GROUP, help="sockets in the group at most")
    options = parser.parse_args(arguments)
    listener = take_name(options.port)
    if listener is None:
        return 0
    inherited = [socket.socket(fileno=int(fd)) for fd in options.inherit.split(",") if fd]
    try:
        hub = Hub(options.port, options.mode, inherited, options.group)
    except OSError as error:
        _remove(listener)
        return error.errno or errno.EIO
    listener.listen(64)
    if os.fork():
        os._exit(0)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    try:
        import resource

        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ImportError, ValueError, OSError):
        pass
    hub.serve(listener)
    _remove(listener)
    return 0


def _remove(listener: socket.socket) -> None:
    name = listener.getsockname()
    listener.close()
    if isinstance(name, str) and not name.startswith("\0"):
        with contextlib.suppress(OSError):
            os.unlink(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
