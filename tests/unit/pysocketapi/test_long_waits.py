"""Long waits of userland sockets on a stack that has no timer running."""

import threading
import time

import pytest

from pysocketapi import SctpSocket, Transport


def test_regression_a_timeout_of_months_was_more_than_poll_takes():
    listener = SctpSocket(transport=Transport("userland", udp_port=0))
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    listener.settimeout(1e7)
    errors = []

    def accept():
        with pytest.raises(OSError) as caught:
            listener.accept()
        errors.append(caught.value)

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    time.sleep(0.1)
    listener.close()
    thread.join(10)
    assert [str(error) for error in errors] == ["[Errno 9] Bad file descriptor"]
