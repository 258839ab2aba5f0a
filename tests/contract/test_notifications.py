"""Notifications in the order of what happened (RFC 6458 section 6)."""

import errno
import socket

import pytest

from pysocketapi import constants as c
from pysocketapi import notifications as n
from pysocketapi import structures as s

from .support import data_from, get, notification_from, sctp

MANY = socket.SOCK_SEQPACKET


def test_every_notification_has_a_class_and_a_number():
    assert len(n.BY_TYPE) == len(n.ALL) == 14
    assert all(cls.type == number for number, cls in n.BY_TYPE.items())


def test_association_up_at_both_ends(make):
    server, client = make.listener(MANY), make.many()
    server.subscribe(c.SCTP_ASSOC_CHANGE)
    client.subscribe(c.SCTP_ASSOC_CHANGE)
    assoc_id = client.connectx([server.getsockname()])
    up = notification_from(client, n.AssocChange)
    assert (up.assoc_id, up.state, up.error) == (assoc_id, c.SCTP_COMM_UP, 0)
    other = notification_from(server, n.AssocChange)
    assert other.state == c.SCTP_COMM_UP
    assert (up.outbound_streams, up.inbound_streams) == (other.inbound_streams, other.outbound_streams)


def test_up_comes_before_data_and_the_end_after_it(make):
    server, client = make.listener(MANY), make.many()
    server.subscribe(c.SCTP_ASSOC_CHANGE)
    assoc_id = client.connectx([server.getsockname()])
    client.send_message(b"data", assoc_id=assoc_id)
    client.send_message(b"", flags=c.SCTP_EOF, assoc_id=assoc_id)
    items = [server.recv_message() for _ in range(3)]
    assert [getattr(item, "state", None) for item in items] == [c.SCTP_COMM_UP, None, c.SCTP_SHUTDOWN_COMP]
    assert items[1].data == b"data"


def test_shutdown_event(make):
    client, server, client_id, server_id = make.many_pair()
    server.subscribe(c.SCTP_SHUTDOWN_EVENT)
    client.send_message(b"", flags=c.SCTP_EOF, assoc_id=client_id)
    assert notification_from(server, n.ShutdownEvent).assoc_id == server_id


def test_set_up_that_fails(make):
    nobody = make.one()
    nobody.bind((make.host, 0))
    client = make.many()
    client.subscribe(c.SCTP_ASSOC_CHANGE)
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        client.connect(nobody.getsockname())
    client.settimeout(20)
    assert notification_from(client, n.AssocChange).state == c.SCTP_CANT_STR_ASSOC


def test_loss_by_abort(make):
    client, server, client_id, server_id = make.many_pair()
    client.abort(client_id, b"reason")
    lost = notification_from(server, n.AssocChange, state=c.SCTP_COMM_LOST)
    assert lost.assoc_id == server_id and lost.error == 12 and lost.info.endswith(b"reason")


def test_a_subscription_can_be_ended(make4):
    client, server, client_id, server_id = make4.many_pair()
    server.subscribe(c.SCTP_SHUTDOWN_EVENT)
    server.subscribe(c.SCTP_SHUTDOWN_EVENT, on=False)
    client.send_message(b"", flags=c.SCTP_EOF, assoc_id=client_id)
    while not isinstance(item := server.recv_message(), n.AssocChange) or item.state == c.SCTP_COMM_UP:
        assert not isinstance(item, n.ShutdownEvent)


def test_sender_dry_is_said_at_once_when_there_is_nothing_to_send(make4):
    client, _ = make4.pair()
    client.subscribe(c.SCTP_SENDER_DRY_EVENT)
    assert notification_from(client, n.SenderDryEvent)


def test_sender_dry_after_sending(make4):
    client, server = make4.pair()
    client.subscribe(c.SCTP_SENDER_DRY_EVENT)
    notification_from(client, n.SenderDryEvent)
    client.send(b"x" * 5000)
    assert len(data_from(server).data) == 5000
    assert notification_from(client, n.SenderDryEvent)


def _fill(client):
    client.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            client.send_message(bytes(5000), stream=3, ppid=33, context=333)
    client.settimeout(20)


def test_send_failed_event(make4):
    client, server = make4.pair()
    client.subscribe(c.SCTP_SEND_FAILED_EVENT)
    _fill(client)
    server.abort()
    failed = notification_from(client, n.SendFailedEvent)
    assert (failed.info.sid, failed.info.ppid, failed.info.context) == (3, 33, 333)
    assert len(failed.data) == 5000 and failed.flags in (c.SCTP_DATA_SENT, c.SCTP_DATA_UNSENT)


def test_send_failed_in_its_deprecated_form(make4):
    client, server = make4.pair()
    client.subscribe(c.SCTP_SEND_FAILED)
    _fill(client)
    server.abort()
    failed = notification_from(client, n.SendFailedOld)
    assert (failed.info.stream, failed.info.ppid, failed.info.context) == (3, 33, 333)


def test_adaptation_indication(make4):
    server = make4.listener(MANY)
    server.subscribe(c.SCTP_ADAPTATION_INDICATION)
    client = make4.many()
    sctp(client, c.SCTP_ADAPTATION_LAYER, s.SetAdaptation(0x12345678))
    client.sendto(b"x", server.getsockname())
    assert notification_from(server, n.AdaptationEvent).adaptation_ind == 0x12345678


def test_peeled_off_sockets_keep_the_subscriptions(make4):
    client, server, client_id, server_id = make4.many_pair()
    server.subscribe(c.SCTP_SHUTDOWN_EVENT)
    peeled = server.peeloff(server_id)
    peeled.settimeout(20)
    make4.made.append(peeled)
    client.send_message(b"", flags=c.SCTP_EOF, assoc_id=client_id)
    seen = []
    while (item := peeled.recv_message()) is not None:
        seen.append(type(item))
    assert n.ShutdownEvent in seen


def test_one_association_can_be_left_out(make4):
    """Regression: userland's subscriptions were for all associations of a socket."""
    server = make4.listener(MANY)
    server.subscribe(c.SCTP_SHUTDOWN_EVENT)
    clients = [make4.one() for _ in range(3)]
    ids = []
    for client in clients:
        client.connect(server.getsockname())
        client.send(b"x")
        ids.append(data_from(server).assoc_id)
    sctp(server, c.SCTP_EVENT, s.Event(ids[1], c.SCTP_SHUTDOWN_EVENT, False))
    on = [get(server, c.SCTP_EVENT, s.Event(i, c.SCTP_SHUTDOWN_EVENT)).on for i in (*ids, 0)]
    assert on == [True, False, True, True]
    for client, assoc_id in zip(clients, ids):
        client.shutdown(socket.SHUT_WR)
        if assoc_id != ids[1]:
            assert notification_from(server, n.ShutdownEvent).assoc_id == assoc_id
        assert client.recv(10) == b""


def test_one_association_can_be_chosen(make4):
    client, server, client_id, server_id = make4.many_pair()
    sctp(server, c.SCTP_EVENT, s.Event(server_id, c.SCTP_SHUTDOWN_EVENT, True))
    assert not get(server, c.SCTP_EVENT, s.Event(0, c.SCTP_SHUTDOWN_EVENT)).on
    client.send_message(b"", flags=c.SCTP_EOF, assoc_id=client_id)
    assert notification_from(server, n.ShutdownEvent).assoc_id == server_id
    with pytest.raises(OSError) as caught:
        sctp(server, c.SCTP_EVENT, s.Event(4711, c.SCTP_SHUTDOWN_EVENT, True))
    assert caught.value.errno == errno.EINVAL


def test_accepted_sockets_keep_the_subscriptions(make4):
    """Regression: the kernel's accepted sockets hid the end that they had asked for."""
    listener = make4.listener()
    listener.subscribe(c.SCTP_ASSOC_CHANGE)
    client = make4.one()
    client.connect(listener.getsockname())
    server = make4.accept(listener)
    server.shutdown(socket.SHUT_WR)
    assert notification_from(server, n.AssocChange, state=c.SCTP_SHUTDOWN_COMP)


EVENTS = [
    c.SCTP_ASSOC_CHANGE,
    c.SCTP_PEER_ADDR_CHANGE,
    c.SCTP_SEND_FAILED,
    c.SCTP_REMOTE_ERROR,
    c.SCTP_SHUTDOWN_EVENT,
    c.SCTP_PARTIAL_DELIVERY_EVENT,
    c.SCTP_ADAPTATION_INDICATION,
    c.SCTP_AUTHENTICATION_EVENT,
    c.SCTP_SENDER_DRY_EVENT,
    c.SCTP_SEND_FAILED_EVENT,
]


@pytest.mark.parametrize("type_", EVENTS)
def test_each_subscription_by_option(make4, type_):
    sock = make4.many()
    assert not get(sock, c.SCTP_EVENT, s.Event(0, type_)).on
    sctp(sock, c.SCTP_EVENT, s.Event(c.SCTP_FUTURE_ASSOC, type_, True))
    assert get(sock, c.SCTP_EVENT, s.Event(0, type_)).on
    sctp(sock, c.SCTP_EVENT, s.Event(c.SCTP_FUTURE_ASSOC, type_, False))
    assert not get(sock, c.SCTP_EVENT, s.Event(0, type_)).on


def test_the_deprecated_subscription(make4):
    sock = make4.many()
    sctp(sock, c.SCTP_EVENTS, s.EventSubscribe(association=True, shutdown=True))
    events = get(sock, c.SCTP_EVENTS)
    assert events.association and events.shutdown and not events.address
    assert get(sock, c.SCTP_EVENT, s.Event(0, c.SCTP_SHUTDOWN_EVENT)).on


def test_an_unknown_subscription(make4):
    with pytest.raises(OSError):
        sctp(make4.many(), c.SCTP_EVENT, s.Event(0, 0x7777, True))
