"""Parts of messages: of explicit EOR, and of one that an association took with it when it was peeled off."""

from types import SimpleNamespace

import pytest

from pysctplib.core import events
from pysctplib.core.config import Config
from pysocketapi import Transport
from pysocketapi import constants as c
from pysocketapi import structures as s
from pysocketapi.ancillary import Sending
from pysocketapi.backends.contract import PENDING
from pysocketapi.backends.pumps import pump_for
from pysocketapi.backends.userland import UserChannel
from pysocketapi.shared import Shared
from pysocketapi.transmitting import transmit


def test_regression_a_part_that_an_exception_kept_from_being_sent_was_sent_twice():
    taken = []
    channel = SimpleNamespace(get_buffer=lambda option: 1000, send=lambda data, *how: bool(taken.append(data)))
    kept = Shared(explicit_eor=True)

    def interrupted(assoc_id):
        raise KeyboardInterrupt

    end = Sending(s.SndInfo(flags=c.SCTP_EOR))
    assert transmit(channel, kept, b"one ", Sending(), 0, None, interrupted) == 4
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            transmit(channel, kept, b"message", end, 0, None, interrupted)
    assert taken == [b"one message"] * 2


def test_regression_a_peeled_off_association_left_the_begun_message_behind():
    parent = UserChannel(pump_for(Transport("userland", udp_port=0), None), 2, True)
    association = SimpleNamespace(
        id=3,
        peer_port=7,
        primary=SimpleNamespace(address="10.0.0.1"),
        inbound=SimpleNamespace(sack_now=False),
        consumed=lambda n, now: None,
        config=Config(),
    )

    def message(data, eor):
        return events.new_message(association, 1, 0, 0, 1, 1, False, eor, data)

    try:
        parent.associations[3] = association
        parent.queue.append(message(b"begun, ", False))
        assert parent.recv() is PENDING
        child = parent.peeloff(3)
        child.queue.append(message(b"ended", True))
        assert child.recv().data == b"begun, ended"
        child.associations.clear()
        child.close()
    finally:
        parent.close()
