"""A userland stack that nobody uses any more ends, and gives back what it opened."""

import os

import pytest

from pysocketapi import SctpSocket, Transport
from pysocketapi.backends import drive_threads
from pysocketapi.backends.pumps import pump_for


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="descriptors cannot be counted")
def test_regression_each_stack_left_the_two_ends_of_a_pipe(monkeypatch):
    monkeypatch.setattr(drive_threads, "KEEP", 0.0)
    before = set(os.listdir("/proc/self/fd"))
    for _ in range(3):
        sock = SctpSocket(transport=Transport("userland", udp_port=0))
        sock.bind(("127.0.0.1", 0))
        pump = sock._channel.pump
        sock.close()
        pump.driver._thread.join(20)
        with pytest.raises(OSError):
            pump.lock.__enter__()
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 2  # others of this process may come and go


def test_regression_a_socket_that_was_opened_while_its_stack_ended_was_dead():
    transport = Transport("userland", udp_port=0)
    ending = pump_for(transport, None)

    class Contended:
        """The lock, which the thread that ends the stack has, and leaves."""

        def __init__(self, lock):
            self.lock = lock

        def __enter__(self):
            self.lock.acquire()
            ending.driver._finish()

        def __exit__(self, *_):
            self.lock.release()

    ending.lock = Contended(ending.lock)
    with SctpSocket(transport=transport) as sock:
        sock.bind(("127.0.0.1", 0))
        assert sock._channel.pump is not ending
