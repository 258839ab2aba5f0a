"""libusrsctp against itself: proves the peer program and the lossy relay before our stack is judged by them."""

import pytest

from . import traffic
from .helpers import finish, free_udp_ports, process, relay, relay_counts, usrsctp_command

pytestmark = pytest.mark.usrsctp


def test_both_generators_make_messages_of_the_same_sizes(usrsctp_peer):
    """Their contents are compared where our stack talks to the peer."""
    count = 2000
    total = sum(len(traffic.message(i, 7)) for i in range(count))
    a, b = free_udp_ports(2)
    with process(usrsctp_command(usrsctp_peer, "listen sink", b, a, count=count, peer_seed=7)) as sink:
        assert sink.stdout.readline() == "ready\n"
        with process(usrsctp_command(usrsctp_peer, "connect source", a, b, count=count, seed=7)) as source:
            assert f"sent {count} {total}" in finish(source, 30)
        assert "end shutdown" in finish(sink, 30)


def test_a_wrong_byte_is_seen(usrsctp_peer):
    """The check can fail: with another seed on one side the contents differ."""
    a, b = free_udp_ports(2)
    with process(usrsctp_command(usrsctp_peer, "listen sink", b, a, count=10, peer_seed=8)) as sink:
        assert sink.stdout.readline() == "ready\n"
        with process(usrsctp_command(usrsctp_peer, "connect source", a, b, count=10, seed=7)):
            output, _ = sink.communicate(timeout=30)
    assert sink.returncode == 1
    assert "message 0" in output


def test_exchange_over_the_lossy_relay(usrsctp_peer):
    a, b = free_udp_ports(2)
    common = {"count": 5000, "streams": 10, "rto_min": 20}
    with process(usrsctp_command(usrsctp_peer, "listen exchange", b, a, seed=2, peer_seed=1, **common)) as server:
        assert server.stdout.readline() == "ready\n"
        with relay(b) as (wire, port):
            command = usrsctp_command(usrsctp_peer, "connect exchange", a, port, seed=1, peer_seed=2, **common)
            with process(command) as client:
                assert "received 5000" in finish(client, 60)
            assert "received 5000" in finish(server, 60)
            forwarded, dropped = relay_counts(wire)
    assert forwarded > 1000
    assert 0.03 < dropped / (forwarded + dropped) < 0.07
