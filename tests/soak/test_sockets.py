"""Sockets that are opened and closed 100,000 times leave nothing behind, whichever way they end."""

import gc
import os
import socket
from pathlib import Path

import pytest

from pysocketapi import SctpSocket, Transport
from pysocketapi import constants as c
from pysocketapi import structures as s
from pysocketapi.message import Message

CYCLES = int(os.environ.get("SOAK_CYCLES", "100000"))
WARM = 2000  # cycles after which pools and caches have their size
SLACK = 4 << 20  # bytes; a leak of 100 bytes in each cycle would be more than twice that


def resident():
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


class World:
    """A one-to-one and a one-to-many listener, and clients at them, on one private UDP port."""

    def __init__(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.udp = probe.getsockname()[1]
        self.one = self.new(socket.SOCK_STREAM)
        self.many = self.new(socket.SOCK_SEQPACKET)
        for sock in (self.one, self.many):
            sock.bind(("127.0.0.1", 0))
            sock.listen(64)
        self.many.subscribe(c.SCTP_ASSOC_CHANGE)

    def new(self, style):
        sock = SctpSocket(socket.AF_INET, style, transport=Transport("userland", udp_port=self.udp))
        sock.settimeout(30)
        # Used cookies are remembered for their life: with 60 s of it for longer than WARM cycles last.
        sock.setsockopt(c.IPPROTO_SCTP, c.SCTP_ASSOCINFO, s.AssocParams(cookie_life=1000))
        # At once, else each graceful end would wait for a delayed SACK.
        sock.setsockopt(c.IPPROTO_SCTP, c.SCTP_DELAYED_SACK, s.SackInfo(freq=1))
        sock.setsockopt(c.IPPROTO_SCTP, c.SCTP_REMOTE_UDP_ENCAPS_PORT, s.UdpEncaps(port=self.udp))
        return sock

    def one_to_one(self, i):
        client = self.new(socket.SOCK_STREAM)
        client.connect(self.one.getsockname())
        server, _ = self.one.accept()
        server.settimeout(30)
        client.send(b"x")
        server.send(server.recv(10))
        assert client.recv(10) == b"x"
        if i % 3 == 0:
            client.abort()
        elif i % 3 == 1:
            server.close()
            assert client.recv(10) == b""
        client.close()
        server.close()

    def one_to_many(self):
        client = self.new(socket.SOCK_SEQPACKET)
        client.sendto(b"y", self.many.getsockname())
        while not isinstance(message := self.many.recv_message(), Message):
            pass
        self.many.send_message(b"z", assoc_id=message.assoc_id)
        assert client.recv(10) == b"z"
        client.close()

    def cycle(self, i):
        if i % 4 == 3:
            self.one_to_many()
        else:
            self.one_to_one(i)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_100_000_opened_and_closed():
    world = World()
    for i in range(WARM):
        world.cycle(i)
    before = resident()
    for i in range(CYCLES):
        world.cycle(i)
    pump = world.one._channel.pump
    engine = pump.stack.engine
    with pump.lock:
        assert pump.driver.wait(lambda: not engine.associations, 30, world.one._channel)
    assert not engine.by_tag and not engine.by_header and not engine.by_peer
    assert not pump.writers and not pump.closing
    assert len(engine.endpoints) == len(pump.bound) == len(pump.channels) == 2
    grown = resident() - before
    print(f"{CYCLES} cycles: {grown / CYCLES:+.1f} bytes each, {grown >> 10} KiB in all")
    assert grown < SLACK
    world.one.close()
    world.many.close()
