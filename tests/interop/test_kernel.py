"""Our stack against the Linux kernel's SCTP on a wire to the lab's guest: over UDP (RFC 6951) and over bare IP."""

import itertools
import subprocess
from importlib.util import find_spec

import pytest

from .helpers import ROOT, finish, process, stack_command, wire_to_guest
from .pcap_checks import complaints
from .traffic import gave_up, skipped

pytestmark = pytest.mark.lab

UDP = 9899
EXCHANGE = {"count": 5000, "streams": 10}
WAYS = ["udp", "native"] if find_spec("pysctplib.carrier.raw") else ["udp"]


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """Where the wire is captured while this module's tests run."""
    return tmp_path_factory.mktemp("kernel") / "wire.pcap"


@pytest.fixture(scope="module")
def wire(capture):
    with wire_to_guest(pcap=capture, SCTP_UDP_PORT=str(UDP), SCTP_RECONF="1") as there:
        yield there


def ours(wire, mode, way, **options):
    """Return the command line of our stack in the wire's namespace."""
    ports = {"udp": UDP, "remote_udp": UDP} if way == "udp" else {"udp": 0, "remote_udp": 0}
    address = options.pop("address", wire.guest)
    local = options.pop("local", wire.host6 if ":" in address else wire.host)
    return wire.here(stack_command(mode, address=address, local=local, **ports, **options))


PORTS = itertools.count(5001)


def started(command):
    """Return the context of a server; ``ready`` is read before the block begins."""
    context = process(command, cwd=ROOT)
    server = context.__enter__()
    line = server.stdout.readline()
    if not line.startswith("ready"):
        rest = server.stdout.read()
        context.__exit__(None, None, None)
        pytest.fail(line + rest)
    return context, server


@pytest.fixture
def run(request):
    """Start servers that are ended with the test."""

    def start(command):
        context, server = started(command)
        request.addfinalizer(lambda: context.__exit__(None, None, None))
        return server

    return start


def said(command, seconds=60):
    """Run a client to its good end; return its output."""
    with process(command, cwd=ROOT) as client:
        return finish(client, seconds)


def exchanged(output):
    assert "sent 5000 " in output
    assert "received 5000 " in output
    assert "end shutdown" in output


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_our_client_and_the_kernels_server_exchange(wire, run, way, family):
    address = wire.guest if family == "IPv4" else wire.guest6
    port = next(PORTS)
    server = run(wire.kernel("listen exchange", port=port, local=address, seed=2, peer_seed=1, **EXCHANGE))
    exchanged(said(ours(wire, "connect exchange", way, address=address, port=port, **EXCHANGE)))
    exchanged(finish(server, 30))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", ["IPv4", "IPv6"])
def test_the_kernels_client_and_our_server_exchange(wire, run, way, family):
    wire.sysctl(encap_port=UDP if way == "udp" else 0)
    address = wire.host if family == "IPv4" else wire.host6
    port = next(PORTS)
    server = run(ours(wire, "listen exchange", way, local=address, port=port, seed=2, peer_seed=1, **EXCHANGE))
    exchanged(said(wire.kernel("connect exchange", address=address, port=port, **EXCHANGE)))
    exchanged(finish(server, 30))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("size", [1, 1452, 65536])
def test_echoes(wire, run, way, size):
    wire.sysctl(encap_port=UDP if way == "udp" else 0)
    options = {"size": size, "count": 20, "streams": 4}
    port = next(PORTS)
    server = run(wire.kernel("listen echo", port=port, streams=4))
    assert "echoed 20" in said(ours(wire, "connect ping", way, port=port, **options))
    assert "end shutdown" in finish(server, 30)
    port = next(PORTS)
    server = run(ours(wire, "listen echo", way, port=port, streams=4))
    assert "echoed 20" in said(wire.kernel("connect ping", address=wire.host, port=port, **options))
    assert "end shutdown" in finish(server, 30)


@pytest.mark.parametrize("way", WAYS)
def test_messages_whose_lifetime_ends_while_they_are_lost(wire, run, way):
    """FORWARD TSN in both directions (RFC 3758)."""
    wire.sysctl(encap_port=UDP if way == "udp" else 0)
    options = {"count": 1500, "streams": 5, "rto_min": 100, "lifetime": 2}
    port = next(PORTS)
    server = run(wire.kernel("listen sink", port=port, local=wire.guest, peer_seed=1, **options))
    output = said(ours(wire, "connect source", way, port=port, loss=0.1, **options))
    gave_up(output, finish(server, 30), options["count"])
    port = next(PORTS)
    server = run(ours(wire, "listen sink", way, port=port, peer_seed=1, loss=0.1, **options))
    assert "end shutdown" in said(wire.kernel("connect source", address=wire.host, port=port, **options))
    skipped(finish(server, 30), options["count"])


@pytest.mark.parametrize("way", WAYS)
def test_aborts_are_seen_by_the_other_side(wire, run, way):
    wire.sysctl(encap_port=UDP if way == "udp" else 0)
    port = next(PORTS)
    server = run(wire.kernel("listen echo", port=port))
    assert "end own-abort" in said(ours(wire, "connect ping", way, port=port, count=3, end="abort"))
    assert "end abort" in finish(server, 30)
    port = next(PORTS)
    server = run(ours(wire, "listen echo", way, port=port))
    assert "end own-abort" in said(wire.kernel("connect ping", address=wire.host, port=port, count=3, end="abort"))
    assert "end abort" in finish(server, 30)


@pytest.mark.parametrize("way", WAYS)
def test_nobody_listens(wire, way):
    """The kernel answers INIT with ABORT, and we answer the kernel's (RFC 9260 sections 5.1 and 8.4)."""
    wire.sysctl(encap_port=UDP if way == "udp" else 0)
    with process(ours(wire, "connect ping", way, port=5999), cwd=ROOT) as client:
        output, _ = client.communicate(timeout=30)
    assert "Errno 111" in output, output


@pytest.mark.parametrize("way", WAYS)
def test_our_restart_is_accepted_by_the_kernel(wire, run, way):
    """RFC 9260 section 5.2.4.1: the same ports and addresses come with new tags; the kernel's server goes on."""
    port = next(PORTS)
    server = run(wire.kernel("listen echo", port=port, streams=2))
    first = ours(wire, "connect ping", way, port=port, local_port=6001, count=5, streams=2, end="vanish")
    with process(first, cwd=ROOT) as client:
        client.communicate(timeout=30)
    second = ours(wire, "connect ping", way, port=port, local_port=6001, count=7, streams=2)
    assert "echoed 7" in said(second)
    output = finish(server, 30)
    assert "echoed 12" in output
    assert output.count("up") == 1


def test_both_families_in_one_association_survive_the_loss_of_one(wire, run):
    """RFC 9260 section 6.4: with IPv4 cut off in mid-air, the exchange goes on over IPv6."""
    options = {"count": 5000, "streams": 10, "rto_min": 100}
    local, port = f"{wire.guest},{wire.guest6}", next(PORTS)
    server = run(wire.kernel("listen exchange", port=port, local=local, seed=2, peer_seed=1, **options))
    command = ours(
        wire,
        "connect exchange",
        "udp",
        address=f"{wire.guest},{wire.guest6}",
        local=f"{wire.host},{wire.host6}",
        port=port,
        **options,
    )
    with process(command, cwd=ROOT) as client:
        assert client.stdout.readline() == "up\n"
        cut = ["ip", "route", "add", "blackhole", f"{wire.guest}/32"]
        subprocess.run(wire.here(cut), check=True)
        try:
            exchanged(finish(client, 60))
        finally:
            subprocess.run(wire.here(["ip", "route", "del", *cut[3:]]), check=True)
    wire.sysctl(encap_port=0)
    exchanged(finish(server, 60))


@pytest.mark.tshark
def test_zz_the_capture_of_all_this_has_no_malformed_packet(capture, wire):
    """Runs last in this module: every packet of both sides, as tshark sees it."""
    assert complaints(capture, lower=False) == []
