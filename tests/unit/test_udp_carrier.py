"""The UDP carrier and `Stack` on loopback: batches with and without offload, addresses, errors, captures."""

import errno
import select
import socket
import subprocess
import sys

import pytest

from pysctplib.carrier import routes
from pysctplib.carrier.udp import BACKLOG, UdpCarrier, open_sockets
from pysctplib.core import events
from pysctplib.driver import Stack, StackConfig, run, turn
from tests.interop.pcap_checks import complaints, count

HOSTS = ["127.0.0.1", "::1"]


@pytest.fixture
def carriers():
    made = [UdpCarrier(open_sockets(0)) for _ in range(2)]
    yield made
    for carrier in made:
        carrier.close()


def take(carrier, number, seconds=5.0):
    got = []
    while len(got) < number:
        ready = select.select(list(carrier.sockets), [], [], seconds)[0]
        assert ready, f"{len(got)} of {number} came"
        for fd in ready:
            carrier.readable(fd, lambda data, path, now: got.append((data, path)), 0.0)
    return got


@pytest.mark.parametrize("offload", [True, False])
@pytest.mark.parametrize("host", HOSTS)
def test_batches_arrive_whole_in_order_and_with_their_addresses(carriers, host, offload):
    one, two = carriers
    one._segments = one._segments and offload
    sizes = [100] * 70 + [100, 50, 200, 200, 199, 1400, 1400, 1, 65000] + [1200] * 130
    sent = [bytes([n & 255]) * size for n, size in enumerate(sizes)]
    one.send([(data, (host, two.port, "")) for data in sent])
    got = take(two, len(sent))
    assert [data for data, _ in got] == sent
    assert {path for _, path in got} == {(host, one.port, host if sys.platform.startswith("linux") else "")}
    assert one.counters.sent == two.counters.received == len(sent)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="all of 127/8 is loopback on Linux only")
def test_the_local_address_of_a_path_is_the_source(carriers):
    one, two = carriers
    one.send([(b"x" * 20, ("127.0.0.9", two.port, "127.0.0.7"))] * 2)
    assert [path for _, path in take(two, 2)] == [("127.0.0.7", one.port, "127.0.0.9")] * 2


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the destination is told on Linux only")
@pytest.mark.parametrize("group", ["127.255.255.255", "224.0.0.99"])
def test_regression_packets_to_many_hosts_were_taken(carriers, group):
    """RFC 9260 section 8.4 rule 1: else one packet has all hosts of a network answer."""
    _, two = carriers
    sock = two._by_family[False]
    if group.startswith("224"):
        sock.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton("127.0.0.1")
        )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
        sender.sendto(b"to many", (group, two.port))
        sender.sendto(b"to one", ("127.0.0.1", two.port))
    assert [data for data, _ in take(two, 1)] == [b"to one"]
    assert two.counters.not_unicast == 1


def test_errors_of_the_network_are_counted_never_raised(carriers):
    one, two = carriers
    port = two.port
    two.close()
    for path in (("127.0.0.1", port, ""), ("127.0.0.1", port, "192.0.2.1"), ("255.255.255.255", 9, "")):
        one.send([(b"x" * 20, path)])
        one.send([(b"x" * 20, path), (b"y" * 20, path)])
    one.send([(bytes(65530), ("127.0.0.1", port, ""))])
    assert one.counters.send_errors[errno.EMSGSIZE] == 1
    assert sum(one.counters.send_errors.values()) >= 6
    for fd in one.sockets:
        one.readable(fd, lambda *packet: pytest.fail("a packet came"), 0.0)


class Full:
    """A socket whose send buffer is full after some datagrams."""

    family = socket.AF_INET

    def __init__(self, room):
        self.room, self.sent = room, []

    def sendto(self, data, address):
        if not self.room:
            raise BlockingIOError
        self.room -= 1
        self.sent.append(data)


def test_what_does_not_fit_waits_in_order_and_within_bounds(carriers):
    one = carriers[0]
    full = Full(3)
    one._segments = False
    one._routes[("127.0.0.1", 9, "")] = (full, ("127.0.0.1", 9), [])
    one._routes_at = float("inf")
    numbered = [(n.to_bytes(4, "big"), ("127.0.0.1", 9, "")) for n in range(BACKLOG + 13)]
    one.send(numbered)
    assert one.backlog
    assert one.counters.sent_dropped == 10
    full.room = 10**6
    one.send([])
    assert not one.backlog
    assert full.sent == [data for data, _ in numbered[: BACKLOG + 3]]


def test_a_port_that_is_taken_and_any_port():
    sockets = open_sockets(0)
    port = sockets[0].getsockname()[1]
    assert {sock.getsockname()[1] for sock in sockets} == {port}
    with pytest.raises(OSError) as caught:
        open_sockets(port)
    assert caught.value.errno == errno.EADDRINUSE
    for sock in sockets:
        sock.close()


def test_routes():
    assert routes.source("127.0.0.1") == "127.0.0.1"
    assert routes.local_addresses("127.0.0.1") == ["127.0.0.1"]
    assert routes.local_addresses("::1") == ["::1"]
    assert 1500 <= routes.mtu("127.0.0.1") <= 65535
    assert routes.mtu("not an address") == 1500
    scopes = ("127.0.0.1", "::1", "169.254.1.1", "fe80::1", "10.1.1.1", "fd00::1", "8.8.8.8", "2a00::1")
    assert [routes.scope(address) for address in scopes] == [0, 0, 1, 1, 2, 2, 3, 3]


def test_addresses_for_a_peer_are_of_its_scope_or_wider(monkeypatch):
    monkeypatch.setattr(routes, "_sources", {})
    own = ("127.0.0.1", "::1", "10.0.0.1", "fe80::1", "8.8.8.8", "2a00::1")
    monkeypatch.setattr(routes, "own_addresses", lambda: own)
    monkeypatch.setattr(routes, "source", lambda remote, port=9: "8.8.8.8" if remote == "9.9.9.9" else "10.0.0.1")
    assert routes.local_addresses("10.0.0.2") == ["10.0.0.1", "8.8.8.8", "2a00::1"]
    assert routes.local_addresses("9.9.9.9") == ["8.8.8.8", "2a00::1"]


def talk(host, server_pcap=None, client_pcap=None, volume=30000):
    """Two stacks in one process: an echo, then a shutdown."""
    server, client = [Stack(StackConfig(udp_port=0, pcap=pcap)) for pcap in (server_pcap, client_pcap)]
    listening = server.open_endpoint(0)
    listening.listen(True)
    a = client.open_endpoint(0).connect((host,), listening.port, client.now(), udp_port=server.udp_port)
    got, ended = [], []

    def at_client(event):
        if isinstance(event, events.CommunicationUp):
            a.send(bytes(volume), 0, client.now(), ppid=0x7FFFFFFF)
        elif isinstance(event, events.Message):
            got.append(event.data)
            a.consumed(len(event.data), client.now())
            if sum(map(len, got)) == volume:
                a.shutdown(client.now())
        elif isinstance(event, events.ShutdownComplete):
            ended.append(event)

    def at_server():
        client.flush()
        for event in turn(server, 0.001):
            if isinstance(event, events.Message):
                event.association.consumed(len(event.data), server.now())
                event.association.send(event.data, 0, server.now(), ppid=0x7FFFFFFF)
        server.flush()
        return bool(ended)

    try:
        run(client, at_server, 10.0, at_client)
    finally:
        ports = server.udp_port, client.udp_port
        server.close()
        client.close()
    assert sum(map(len, got)) == volume
    return ports


@pytest.mark.parametrize("host", HOSTS)
def test_stacks_talk(host):
    talk(host)


@pytest.mark.tshark
@pytest.mark.parametrize("host", HOSTS)
def test_captures_of_stacks_decode_without_warning(tmp_path, host):
    one, other = tmp_path / "server.pcapng", tmp_path / "client.pcapng"
    ports = talk(host, str(one), str(other))
    for file in (one, other):
        assert complaints(file, udp_ports=ports) == []
        assert count(file, "sctp.chunk_type == 0", udp_ports=ports) > 0
        assert count(file, "sctp.chunk_type == 14", udp_ports=ports) == 1


@pytest.mark.tshark
def test_two_stacks_of_a_process_share_a_capture(tmp_path):
    file = tmp_path / "both.pcapng"
    ports = talk("127.0.0.1", str(file), str(file))
    assert complaints(file, udp_ports=ports) == []
    assert count(file, "sctp.chunk_type == 1", udp_ports=ports) == 2


def test_a_capture_that_cannot_be_written_is_an_error_and_leaves_nothing_open(tmp_path):
    with pytest.raises(FileNotFoundError):
        Stack(StackConfig(udp_port=0, pcap=str(tmp_path / "missing" / "file")))


def test_endpoints_of_a_private_port():
    stack = Stack(StackConfig(udp_port=0))
    endpoint = stack.open_endpoint(5000)
    with pytest.raises(OSError) as caught:
        stack.open_endpoint(5000)
    assert caught.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError) as caught:
        stack.open_endpoint(0, ("192.0.2.1",))
    assert caught.value.errno == errno.EADDRNOTAVAIL
    stack.close_endpoint(endpoint, stack.now())
    assert stack.open_endpoint(5000).port == 5000
    with pytest.raises(TimeoutError):
        run(stack, lambda: False, 0.0)
    stack.close()


def test_the_driver_needs_no_event_loop():
    code = "import sys, pysctplib.driver; print(*(m for m in ('asyncio', 'uvloop') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
