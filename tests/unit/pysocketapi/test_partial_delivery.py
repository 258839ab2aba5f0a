"""Messages larger than the receive buffer come in parts; what becomes of the parts when the rest never comes."""

from types import SimpleNamespace

import pytest

from pysctplib.core import events
from pysocketapi import Transport
from pysocketapi import constants as c
from pysocketapi.backends.contract import PENDING
from pysocketapi.backends.pumps import pump_for
from pysocketapi.backends.userland import UserChannel
from pysocketapi.notifications import PartialDeliveryEvent


@pytest.mark.parametrize("subscribed", [True, False])
def test_regression_a_message_after_a_restart_got_the_parts_of_an_unfinished_one(subscribed):
    channel = UserChannel(pump_for(Transport("userland", udp_port=0), None), 2, True)
    try:
        if subscribed:
            channel.subscribe(c.SCTP_PARTIAL_DELIVERY_EVENT, True)
        association = SimpleNamespace(
            id=3,
            peer_port=7,
            primary=SimpleNamespace(address="10.0.0.1"),
            inbound=SimpleNamespace(sack_now=False),
            consumed=lambda n, now: None,
        )

        def message(data, eor, ssn):
            return events.new_message(association, 1, ssn, 0, 1, 1, False, eor, data)

        channel.queue.append(message(b"unfinished", False, 0))
        assert channel.recv() is PENDING
        channel.on_event(events.PartialDeliveryAborted(association, 1, 0))
        channel.queue.append(message(b"whole", True, 0))
        if subscribed:
            assert channel.recv() == PartialDeliveryEvent(3, c.SCTP_PARTIAL_DELIVERY_ABORTED, 1, 0)
        assert channel.recv().data == b"whole"
    finally:
        channel.close()


def test_peeking_does_not_tell_what_was_not_asked_for():
    channel = UserChannel(pump_for(Transport("userland", udp_port=0), None), 2, True)
    try:
        association = SimpleNamespace(id=3, peer_port=7, primary=SimpleNamespace(address="10.0.0.1"))
        channel.on_event(events.PartialDeliveryAborted(association, 1, 0))
        assert channel.recv(10, peek=True) is PENDING
    finally:
        channel.close()
