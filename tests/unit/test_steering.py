"""Steering programs: every port finds its socket, near and far jumps, limits; the kernel agrees."""

import random
import socket
import sys

import pytest

from pysctplib.host import protocol
from pysctplib.host.steering import MAX_INSTRUCTIONS, attach_ports, program, run


def packet(port):
    return b"\x12\x34" + port.to_bytes(2, "big") + bytes(12)


@pytest.mark.parametrize("count", [0, 1, 2, 17, 300, 900])
def test_every_port_finds_its_socket(count):
    rng = random.Random(count)
    ports = rng.sample(range(65536), count)
    owners = {port: rng.randrange(1, 6) for port in ports} | {0: 3, 65535: 4, 100: 2, 101: 2, 102: 1}
    made = program(owners, 7)
    assert len(made) <= MAX_INSTRUCTIONS
    assert all(0 <= i[1] < 256 and 0 <= i[2] < 256 for i in made)
    for port in range(65536) if count < 20 else [p + d for p in owners for d in (-1, 0, 1)]:
        if 0 <= port < 65536:
            assert run(made, packet(port)) == owners.get(port, 7), port


def test_consecutive_ports_of_one_owner_are_one_range():
    assert len(program(dict.fromkeys(range(1000, 9000), 1), 0)) == 6


def test_a_short_datagram_gets_the_first_socket_as_in_the_kernel():
    assert run(program({7: 1}, 2), b"abc") == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="SO_ATTACH_REUSEPORT_CBPF is Linux's")
@pytest.mark.parametrize("family, host", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_the_kernel_steers(family, host):
    group = []
    for _ in range(3):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, group[0].getsockname()[1] if group else 0))
        sock.settimeout(2)
        group.append(sock)
    sender = socket.socket(family, socket.SOCK_DGRAM)
    assert attach_ports(group[0], {5: 1, 6: 2}, 0) == 2
    for port, index in ((5, 1), (6, 2), (7, 0), (5, 1)):
        sender.sendto(packet(port), group[0].getsockname())
        assert group[index].recv(100) == packet(port)
    many = {port: port % 3 for port in range(1, 40000, 2)}
    fitted = attach_ports(group[0], many, 0)
    assert 100 < fitted < len(many)  # the rest gets the default
    for port, index in ((7, 1), (11, 2), (39999, 0)):
        sender.sendto(packet(port), group[0].getsockname())
        assert group[index].recv(100) == packet(port)
    for sock in (*group, sender):
        sock.close()


def test_relayed_packets_keep_their_addresses():
    for path in (("10.0.0.1", 9899, "10.0.0.2"), ("::1", 1, "fe80::1"), ("1.2.3.4", 65535, "")):
        assert protocol.unwrap(protocol.wrap(b"data", path)) == (b"data", path)
    with pytest.raises(ValueError):
        protocol.unwrap(b"short")


def test_requests_carry_descriptors_and_nonsense_is_refused():
    one, other = socket.socketpair(socket.AF_UNIX, protocol.KIND)
    protocol.send(one, {"do": "x"}, [one.fileno(), other.fileno()])
    message, descriptors = protocol.receive(other)
    assert message == {"do": "x"}
    assert len(descriptors) == 2
    for descriptor in descriptors:
        socket.socket(fileno=descriptor).close()
    for nonsense in (b"{", b"[]", b"\xff"):
        one.send(nonsense)
        with pytest.raises(ValueError):
            protocol.receive(other)
    one.close()
    with pytest.raises(ConnectionResetError):
        protocol.receive(other)
    other.close()
