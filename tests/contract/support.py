"""What the contract's cases need: sockets of the backend under test, bound to loopback, with a deadline."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Callable
from typing import Any

from pysocketapi import SctpSocket, SocketOptions, Transport
from pysocketapi import constants as c
from pysocketapi import structures as s
from pysocketapi.message import Message

BACKEND = os.environ.get("CONTRACT_BACKEND", "userland")
SECONDS = 20.0  # of any blocking call; nothing is expected to take long
HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}
FAMILIES = [
    p for p in (socket.AF_INET, socket.AF_INET6) if p == socket.AF_INET or os.path.exists("/proc/net/if_inet6")
]


def _free_udp_port(salt: int) -> int:
    """Return a UDP port below the system's ephemeral ones: those come and go while a case runs."""
    for port in random.Random(os.getpid() + salt).sample(range(12000, 30000), 100):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port
    raise OSError("no UDP port is free")


def _transport(salt: int) -> Transport:
    if BACKEND == "kernel":
        return Transport("kernel")
    if os.environ.get("CONTRACT_UDP") == "shared":  # the host's port 9899 through its hub
        return Transport("userland", hub=os.environ.get("CONTRACT_HUB", "auto"))
    return Transport("userland", udp_port=_free_udp_port(salt))


TRANSPORT = _transport(0)
UDP_PORT = TRANSPORT.udp_port or 9899
AIO_TRANSPORT = _transport(1 << 30)  # a private UDP port has one stack: threads and loops cannot share it


def options(**values: Any) -> SocketOptions:
    """Options for asyncio; userland peers are found at this process's own UDP port."""
    if BACKEND == "userland":
        values["remote_udp_port"] = AIO_TRANSPORT.udp_port or 9899
    return SocketOptions(**values)


class Maker:
    """Makes sockets and closes them in the end."""

    def __init__(self, family: int) -> None:
        self.family = family
        self.host = HOSTS[family]
        self.made: list[SctpSocket] = []

    def new(self, style: int = socket.SOCK_STREAM) -> SctpSocket:
        sock = SctpSocket(self.family, style, transport=TRANSPORT)
        sock.settimeout(SECONDS)
        if BACKEND == "userland":
            sock.setsockopt(c.IPPROTO_SCTP, c.SCTP_REMOTE_UDP_ENCAPS_PORT, s.UdpEncaps(port=UDP_PORT))
        self.made.append(sock)
        return sock

    def one(self) -> SctpSocket:
        return self.new(socket.SOCK_STREAM)

    def many(self) -> SctpSocket:
        return self.new(socket.SOCK_SEQPACKET)

    def listener(self, style: int = socket.SOCK_STREAM) -> SctpSocket:
        sock = self.new(style)
        sock.bind((self.host, 0))
        sock.listen(64)
        return sock

    def accept(self, listener: SctpSocket) -> SctpSocket:
        sock, _ = listener.accept()
        sock.settimeout(SECONDS)
        self.made.append(sock)
        return sock

    def pair(self, prepare: Callable[[SctpSocket], None] | None = None) -> tuple[SctpSocket, SctpSocket]:
        """Return (client, server): a connected pair of one-to-one sockets."""
        listener = self.listener()
        client = self.one()
        if prepare is not None:
            prepare(client)
        client.connect(listener.getsockname())
        return client, self.accept(listener)

    def many_pair(self) -> tuple[SctpSocket, SctpSocket, int, int]:
        """Return (client, server, client's id, server's id): one-to-many sockets with an association."""
        server = self.listener(socket.SOCK_SEQPACKET)
        client = self.many()
        client_id = client.connectx([server.getsockname()])
        server.subscribe(c.SCTP_ASSOC_CHANGE)
        client.send_message(b"hello", assoc_id=client_id)
        while not isinstance(message := server.recv_message(), Message):
            pass
        return client, server, client_id, message.assoc_id

    def close(self) -> None:
        for sock in self.made:
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (True, 0))
            except OSError:
                pass  # it was closed or detached by the case itself
            sock.close()


def data_from(sock: SctpSocket) -> Message:
    """Return the next message, skipping notifications."""
    while True:
        item = sock.recv_message()
        assert item is not None, "the association ended"
        if isinstance(item, Message):
            return item


def notification_from(sock: SctpSocket, kind: type[Any], **fields: Any) -> Any:
    """Return the next notification of a class with such fields, skipping everything else."""
    while True:
        item = sock.recv_message()
        assert item is not None, f"the association ended before {kind.__name__}"
        if isinstance(item, kind) and all(getattr(item, name) == value for name, value in fields.items()):
            return item


def sctp(sock: SctpSocket, option: int, value: Any) -> None:
    """Set an SCTP option."""
    sock.setsockopt(c.IPPROTO_SCTP, option, value)


def get(sock: SctpSocket, option: int, value: Any = None) -> Any:
    """Get an SCTP option."""
    return sock.getsockopt(c.IPPROTO_SCTP, option, value)
