"""A process's share of the host's port space: joins the hub (and starts it), claims ports, survives the hub.

The sockets and ports outlive a hub: when its connection breaks, the process starts or finds the next one and
brings its sockets and ports along. Requests block for the time that the hub, a local process, takes to answer.
Nothing is known here of engines. RFC 6951 section 4.1.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from . import protocol

PathKey = protocol.PathKey

PATIENCE = 5.0  # seconds to wait for the hub
RETRY = 1.0  # seconds between attempts to find a hub again
SUCCESSION = 2.0  # seconds within which the processes of a hub that died bring up the next one
RELAYS = 64


class PortSpace:
    """The shared port space at one UDP port. ``sockets``: for UDP; read them only if ``steered``."""

    def __init__(self, udp_port: int, mode: str = "auto", group: int | None = None) -> None:
        """Join. ``mode``: auto, steer, forward; ``group``: size of the group if this starts the hub.

        OSError: EADDRINUSE if another program has the UDP port, EOPNOTSUPP if the mode cannot be had, ETIMEDOUT.
        """
        if mode not in ("auto", "steer", "forward"):
            raise ValueError(f"hub mode {mode!r}")
        self.udp_port = udp_port
        self.mode = mode
        self.steered = False
        self.retry_at: float | None = None
        """When `rejoin` is due again, on the monotonic clock; None: the hub is there."""
        self.epoch = 0
        """Grows whenever descriptors were closed or opened: a new one may have the number of an old one."""
        self.hub_pid = 0
        self.ports: dict[bytes, int] = {}
        """The ports of this process, by their two bytes in a packet."""
        self.sockets: list[socket.socket] = []
        self.relay: socket.socket | None = None
        self.control: socket.socket | None = None
        self._forwards = False  # the hub has no group at all
        self._group = group
        self._join()

    # ---- ports

    def claim(self, port: int) -> int:
        """Claim an SCTP port (0: a free one) and return it. OSError EADDRINUSE, EACCES."""
        end = monotonic() + PATIENCE
        while True:
            try:
                claimed = int(self._request({"do": "claim", "port": port})["port"])
                break
            except BlockingIOError:  # a new hub waits for the processes of the old one
                if monotonic() > end:
                    raise OSError(errno.ETIMEDOUT, "the hub is not ready") from None
                sleep(0.02)
        self.ports[claimed.to_bytes(2, "big")] = claimed
        return claimed

    def release(self, port: int) -> None:
        """Give a port back."""
        if self.ports.pop(port.to_bytes(2, "big"), None) is not None:
            with contextlib.suppress(OSError):  # a hub that is gone knows it from our next joining
                self._request({"do": "release", "port": port})

    # ---- packets

    def filenos(self) -> list[int]:
        """Return the descriptors to watch beside the UDP sockets."""
        return [sock.fileno() for sock in (self.control, self.relay) if sock is not None]

    def relayed(self, receive: Callable[[bytes, PathKey, float], None], now: float) -> None:
        """Hand on the packets that the hub has relayed."""
        for _ in range(RELAYS):
            if self.relay is None:
                return
            try:
                data, path = protocol.unwrap(self.relay.recv(131072))
            except (OSError, ValueError):
                return
            receive(data, path, now)

    def foreign(self, data: bytes, path: PathKey) -> None:
        """Hand a packet for somebody else's port to the hub; without one it is lost, as in any network."""
        if self.relay is not None:
            with contextlib.suppress(OSError):
                self.relay.send(protocol.wrap(data, path))

    # ---- the hub

    def check(self) -> bool:
        """The control connection is readable: the hub has gone. Join the next; True if the sockets changed."""
        if self.control is not None:
            try:
                # Not MSG_DONTWAIT: Python waits first where a socket has a timeout. There may be nothing to read,
                # if another thread took the answer to its request between our poll and here.
                self.control.setblocking(False)
                if self.control.recv(protocol.LARGEST):  # nothing is said without being asked
                    return False
            except BlockingIOError:
                return False
            except OSError:
                pass
            finally:
                self.control.settimeout(PATIENCE)
        return self.rejoin()

    def rejoin(self) -> bool:
        """Find or start a hub again; True if the UDP sockets have changed. Never raises: it is tried again."""
        before = self.sockets
        self._disconnect()
        try:
            self._join()
        except OSError:
            self.retry_at = monotonic() + RETRY
        return self.sockets is not before

    def close(self) -> None:
        """Leave."""
        self._disconnect()
        for sock in self.sockets:
            sock.close()
        self.sockets = []

    def _disconnect(self) -> None:
        for sock in (self.control, self.relay):
            if sock is not None:
                sock.close()
        self.control = self.relay = None
        self.epoch += 1

    def _request(self, message: dict[str, Any]) -> dict[str, Any]:
        if self.control is None:
            raise OSError(errno.ENOTCONN, "there is no hub at the moment")
        try:
            return _ask(self.control, message, [])[0]
        except ConnectionError:
            self._disconnect()
            self._join()
            if self.control is None:
                raise
            return _ask(self.control, message, [])[0]

    def _join(self) -> None:
        end = monotonic() + PATIENCE
        taken: OSError | None = None
        while True:
            control = socket.socket(socket.AF_UNIX, protocol.KIND)
            control.settimeout(PATIENCE)
            try:
                control.connect(protocol.address(self.udp_port))
                self._enter(control)
                return
            except (FileNotFoundError, ConnectionError):
                control.close()
                if monotonic() > end:
                    raise taken or OSError(
                        errno.ETIMEDOUT, f"no hub for UDP port {self.udp_port} came up"
                    ) from None
                if taken is None:
                    try:
                        self._start_hub()
                    except OSError as error:
                        if error.errno != errno.EADDRINUSE:
                            raise
                        # Another program has the port; or those to whom a hub that just died had forwarded.
                        taken, end = error, monotonic() + SUCCESSION
                sleep(0.005)
            except BaseException:
                control.close()
                raise

    def _enter(self, control: socket.socket) -> None:
        mine = self.sockets if self.steered else []
        request = {"do": "join", "mode": self.mode, "ports": list(self.ports.values())}
        answer, descriptors = _ask(control, request, [sock.fileno() for sock in mine])
        received = [socket.socket(fileno=d) for d in descriptors]
        relay, sockets = received[0] if received else None, received[1:]
        if relay is None or not sockets or any(sock.getsockname()[1] != self.udp_port for sock in sockets):
            for sock in received:
                sock.close()
            raise OSError(errno.EACCES, f"what answers as the hub does not own UDP port {self.udp_port}")
        relay.setblocking(False)
        if mine and answer["steered"]:
            for sock in sockets:  # the same that we have
                sock.close()
        else:
            for sock in self.sockets:
                sock.close()
            self.sockets = sockets
        self.control, self.relay = control, relay
        self.epoch += 1
        self.steered = bool(answer["steered"])
        self._forwards = bool(answer["forwards"])
        self.hub_pid = int(answer["pid"])
        for port in answer["lost"]:
            self.ports.pop(int(port).to_bytes(2, "big"), None)
        self.retry_at = None

    def _start_hub(self) -> None:
        """Start a hub process; return when it is there, or raise the OSError that it met."""
        command = [sys.executable, "-m", "pysctplib.host.hub", "--port", str(self.udp_port), "--mode", self.mode]
        if self._group is not None:
            command += ["--group", str(self._group)]
        # A forwarding hub cannot bind to the port while those that were forwarded to have copies of its sockets.
        forwarded = self._forwards or (self.mode == "forward" and not self.steered)
        inherited = [sock.fileno() for sock in self.sockets] if forwarded else []
        if inherited:
            command += ["--inherit", ",".join(map(str, inherited))]
        root = str(Path(__file__).resolve().parents[2])
        paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=inherited,
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        ) as process:
            try:
                code = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                raise OSError(errno.ETIMEDOUT, "the hub does not start") from None
        if code == errno.EADDRINUSE:
            text = f"UDP port {self.udp_port} is taken by another program; a private one (0) needs no hub"
            raise OSError(code, text)
        if code > 0:
            raise OSError(code, f"the hub for UDP port {self.udp_port} could not start: {os.strerror(code)}")
        # Below 0: a signal ended it; the next attempt starts another.


def _ask(
    control: socket.socket, message: dict[str, Any], descriptors: list[int]
) -> tuple[dict[str, Any], list[int]]:
    """Send a request; return the answer. OSError as the hub says, ConnectionError if it has gone."""
    try:
        protocol.send(control, message, descriptors)
        answer, received = protocol.receive(control)
    except TimeoutError:
        raise OSError(errno.ETIMEDOUT, "the hub does not answer") from None
    except ValueError as error:
        raise OSError(errno.EPROTO, f"the hub's answer makes no sense: {error}") from None
    if "errno" in answer:
        for descriptor in received:
            os.close(descriptor)
        raise OSError(int(answer["errno"]), str(answer.get("text", "the hub refuses")))
    return answer, received
