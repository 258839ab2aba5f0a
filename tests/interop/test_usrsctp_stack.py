"""Our stack against libusrsctp over UDP on loopback: 100,000 messages each way, byte for byte, also with loss."""

import pytest

from .helpers import finish, free_udp_ports, process, relay, relay_counts, stack_command, usrsctp_command
from .traffic import gave_up, skipped

pytestmark = pytest.mark.usrsctp

COUNT = 100_000
EXCHANGE = {"count": COUNT, "streams": 10, "rto_min": 50}
OURS = {**EXCHANGE, "path_mtu": 1500}  # many packets, as on a real wire; loopback's MTU has the other tests


def stack_server(mode, **options):
    """Start our peer as server; the block gets (process, SCTP port, UDP port)."""
    return process(stack_command(f"listen {mode}", **options))


def ports_of(server):
    line = server.stdout.readline()
    assert line.startswith("ready "), line + server.stdout.read()
    return [int(word) for word in line.split()[1:]]


def check(output, count):
    assert f"sent {count} " in output
    assert f"received {count} " in output
    assert "end shutdown" in output


@pytest.mark.parametrize("loss", [0.0, 0.05], ids=["clean", "lossy"])
def test_exchange_our_client_usrsctp_server(usrsctp_peer, loss):
    (port,) = free_udp_ports(1)
    with process(
        usrsctp_command(usrsctp_peer, "listen exchange", port, 9, seed=2, peer_seed=1, **EXCHANGE)
    ) as server:
        assert server.stdout.readline() == "ready\n"
        with relay(port, loss) as (wire, front):
            target = front if loss else port
            with process(stack_command("connect exchange", remote_udp=target, port=5001, **OURS)) as client:
                check(finish(client, 150), COUNT)
            check(finish(server, 30), COUNT)
            dropped = relay_counts(wire)[1]
    assert (dropped > 1000) == bool(loss)


@pytest.mark.parametrize("loss", [0.0, 0.05], ids=["clean", "lossy"])
def test_exchange_usrsctp_client_our_server(usrsctp_peer, loss):
    (port,) = free_udp_ports(1)
    with stack_server("exchange", seed=2, peer_seed=1, **OURS) as server:
        sctp, udp = ports_of(server)
        with relay(udp, loss) as (wire, front):
            command = usrsctp_command(
                usrsctp_peer, "connect exchange", port, front if loss else udp, port=sctp, **EXCHANGE
            )
            with process(command) as client:
                check(finish(client, 150), COUNT)
            check(finish(server, 30), COUNT)
            dropped = relay_counts(wire)[1]
    assert (dropped > 1000) == bool(loss)


@pytest.mark.parametrize("size", [1, 64, 1452, 65536])
def test_echo_both_ways(usrsctp_peer, size):
    a, b = free_udp_ports(2)
    with process(usrsctp_command(usrsctp_peer, "listen echo", a, 9, streams=4)) as server:
        assert server.stdout.readline() == "ready\n"
        command = stack_command("connect ping", remote_udp=a, port=5001, size=size, count=200, streams=4)
        with process(command) as client:
            assert "echoed 200" in finish(client, 30)
        assert "end shutdown" in finish(server, 30)
    with stack_server("echo", streams=4) as server:
        sctp, udp = ports_of(server)
        command = usrsctp_command(usrsctp_peer, "connect ping", b, udp, port=sctp, size=size, count=200, streams=4)
        with process(command) as client:
            assert "echoed 200" in finish(client, 30)
        assert "end shutdown" in finish(server, 30)


PARTLY = {"count": 2000, "streams": 5, "rto_min": 100, "lifetime": 2, "path_mtu": 1500}


def test_messages_whose_lifetime_ends_while_they_are_lost(usrsctp_peer):
    """FORWARD TSN in both directions (RFC 3758)."""
    theirs = {name: value for name, value in PARTLY.items() if name != "path_mtu"}
    (port,) = free_udp_ports(1)
    with process(usrsctp_command(usrsctp_peer, "listen sink", port, 9, peer_seed=1, **theirs)) as server:
        assert server.stdout.readline() == "ready\n"
        command = stack_command("connect source", remote_udp=port, port=5001, loss=0.1, **PARTLY)
        with process(command) as client:
            output = finish(client, 60)
        gave_up(output, finish(server, 30), PARTLY["count"])
    with stack_server("sink", loss=0.1, **PARTLY, peer_seed=1) as server:
        sctp, udp = ports_of(server)
        with process(usrsctp_command(usrsctp_peer, "connect source", port, udp, port=sctp, **theirs)) as client:
            assert "end shutdown" in finish(client, 60)
        skipped(finish(server, 30), PARTLY["count"])


def test_aborts_are_seen_by_the_other_side(usrsctp_peer):
    a, b = free_udp_ports(2)
    with process(usrsctp_command(usrsctp_peer, "listen echo", a, 9)) as server:
        assert server.stdout.readline() == "ready\n"
        with process(stack_command("connect ping", remote_udp=a, port=5001, count=3, end="abort")) as client:
            assert "end own-abort" in finish(client, 30)
        assert "end abort" in finish(server, 30)
    with stack_server("echo") as server:
        sctp, udp = ports_of(server)
        with process(usrsctp_command(usrsctp_peer, "connect ping", b, udp, port=sctp, count=3, abort=1)) as client:
            assert "end own-abort" in finish(client, 30)
        assert "end abort" in finish(server, 30)


def test_our_stack_against_itself():
    with stack_server("exchange", seed=2, peer_seed=1, **EXCHANGE) as server:
        sctp, udp = ports_of(server)
        with process(stack_command("connect exchange", remote_udp=udp, port=sctp, **EXCHANGE)) as client:
            check(finish(client, 150), COUNT)
        check(finish(server, 30), COUNT)


def test_our_stack_against_itself_over_the_lossy_relay():
    options = {**OURS, "count": 20_000}
    with stack_server("exchange", seed=2, peer_seed=1, **options) as server:
        sctp, udp = ports_of(server)
        with relay(udp) as (wire, front):
            with process(stack_command("connect exchange", remote_udp=front, port=sctp, **options)) as client:
                check(finish(client, 150), 20_000)
            check(finish(server, 30), 20_000)
            assert relay_counts(wire)[1] > 100
