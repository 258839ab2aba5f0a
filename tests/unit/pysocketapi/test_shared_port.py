"""Threads and the shared port: what one of them takes off the hub's connection another may have been woken for."""

import socket
import time

from pysctplib.host.client import PortSpace


def test_looking_at_a_hub_that_says_nothing_does_not_wait():
    """Regression: the look waited for the connection's timeout, ten seconds, with the stack's lock held."""
    ours, hubs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, hubs:
        ours.settimeout(10)
        space = PortSpace.__new__(PortSpace)
        space.control, space.relay = ours, None
        began = time.monotonic()
        assert space.check() is False
        assert time.monotonic() - began < 5
        assert ours.gettimeout()
        hubs.send(b"unasked")
        assert space.check() is False
