"""One-to-many sockets: several associations at one socket (RFC 6458 section 3)."""

import errno
import socket

import pytest

from pysocketapi import constants as c
from pysocketapi import structures as s
from pysocketapi.notifications import AssocChange

from .support import data_from, get, notification_from, sctp

MANY = socket.SOCK_SEQPACKET


def test_implicit_set_up_by_sendto(make):
    server = make.listener(MANY)
    client = make.many()
    assert client.sendto(b"first", server.getsockname()) == 5
    message = data_from(server)
    assert message.data == b"first" and message.assoc_id >= c.FIRST_ASSOC_ID
    assert message.port == client.getsockname()[1]


def test_a_second_sendto_uses_the_same_association(make):
    server = make.listener(MANY)
    client = make.many()
    client.sendto(b"one", server.getsockname())
    client.sendto(b"two", server.getsockname())
    one, two = data_from(server), data_from(server)
    assert one.assoc_id == two.assoc_id


def test_answer_by_association(make):
    client, server, client_id, server_id = make.many_pair()
    server.send_message(b"answer", assoc_id=server_id)
    message = data_from(client)
    assert message.data == b"answer" and message.assoc_id == client_id


def test_answer_by_address(make):
    client, server, client_id, _ = make.many_pair()
    server.sendto(b"answer", (make.host, client.getsockname()[1]))
    assert data_from(client).assoc_id == client_id


def test_explicit_connect_and_identifiers(make):
    server = make.listener(MANY)
    client = make.many()
    assoc_id = client.connectx([server.getsockname()])
    assert assoc_id >= c.FIRST_ASSOC_ID
    assert get(client, c.SCTP_GET_ASSOC_ID_LIST).ids == (assoc_id,)
    assert get(client, c.SCTP_GET_ASSOC_NUMBER) == 1


def test_connecting_twice_is_refused(make):
    server = make.listener(MANY)
    client = make.many()
    client.connect(server.getsockname())
    with pytest.raises(OSError) as caught:
        client.connect(server.getsockname())
    assert caught.value.errno == errno.EISCONN


def test_connect_to_nobody(make):
    nobody = make.one()
    nobody.bind((make.host, 0))
    client = make.many()
    with pytest.raises(ConnectionRefusedError):
        client.connect(nobody.getsockname())


def test_many_clients_echo(make):
    server = make.listener(MANY)
    clients = [make.many() for _ in range(10)]
    for i, client in enumerate(clients):
        client.sendto(b"%d" % i, server.getsockname())
    for _ in clients:
        message = data_from(server)
        server.send_message(b"re:" + message.data, assoc_id=message.assoc_id)
    assert [data_from(client).data for client in clients] == [b"re:%d" % i for i in range(10)]
    assert get(server, c.SCTP_GET_ASSOC_NUMBER) == 10
    assert len(set(get(server, c.SCTP_GET_ASSOC_ID_LIST).ids)) == 10


def test_sendall_flag_reaches_everybody(make4):
    server = make4.listener(MANY)
    clients = [make4.many() for _ in range(4)]
    for client in clients:
        client.sendto(b"hi", server.getsockname())
    for _ in clients:
        data_from(server)
    server.send_message(b"to all", flags=c.SCTP_SENDALL)
    assert [data_from(client).data for client in clients] == [b"to all"] * 4


def test_eof_flag_ends_one_association(make):
    client, server, client_id, server_id = make.many_pair()
    client.subscribe(c.SCTP_ASSOC_CHANGE)
    client.send_message(b"", flags=c.SCTP_EOF, assoc_id=client_id)
    change = notification_from(server, AssocChange, state=c.SCTP_SHUTDOWN_COMP)
    assert change.assoc_id == server_id
    assert notification_from(client, AssocChange, state=c.SCTP_SHUTDOWN_COMP).assoc_id == client_id
    assert get(client, c.SCTP_GET_ASSOC_NUMBER) == 0


def test_abort_flag_loses_one_association(make):
    client, server, client_id, server_id = make.many_pair()
    client.send_message(b"why", flags=c.SCTP_ABORT, assoc_id=client_id)
    change = notification_from(server, AssocChange, state=c.SCTP_COMM_LOST)
    assert change.assoc_id == server_id and change.error == 12 and b"why" in change.info


def test_sending_to_an_association_that_is_gone(make4):
    client, server, client_id, server_id = make4.many_pair()
    client.abort(client_id)
    notification_from(server, AssocChange, state=c.SCTP_COMM_LOST)
    with pytest.raises(OSError) as caught:
        server.send_message(b"x", assoc_id=server_id)
    assert caught.value.errno in (errno.EPIPE, errno.EINVAL)


def test_peeloff_takes_the_association_along(make):
    client, server, client_id, server_id = make.many_pair()
    peeled = server.peeloff(server_id)
    make.made.append(peeled)
    peeled.settimeout(20)
    client.send_message(b"to the peeled one", assoc_id=client_id)
    assert peeled.recv(100) == b"to the peeled one"
    peeled.send(b"back")
    assert data_from(client).data == b"back"
    assert get(server, c.SCTP_GET_ASSOC_NUMBER) == 0


def test_peeloff_takes_what_was_received_already(make):
    client, server, client_id, server_id = make.many_pair()
    client.send_message(b"early", assoc_id=client_id)
    while server.recv(100, c.MSG_PEEK) != b"early":
        pass
    peeled = server.peeloff(server_id)
    make.made.append(peeled)
    peeled.settimeout(20)
    assert data_from(peeled).data == b"early"


def test_peeloff_leaves_the_others(make4):
    server = make4.listener(MANY)
    first, second = make4.many(), make4.many()
    first.sendto(b"first", server.getsockname())
    first_id = data_from(server).assoc_id
    second.sendto(b"second", server.getsockname())
    second_id = data_from(server).assoc_id
    peeled = server.peeloff(first_id)
    make4.made.append(peeled)
    assert get(server, c.SCTP_GET_ASSOC_ID_LIST).ids == (second_id,)
    assert len({first_id, second_id}) == 2


def test_peeloff_of_an_unknown_association(make):
    server = make.listener(MANY)
    with pytest.raises(OSError) as caught:
        server.peeloff(4711)
    assert caught.value.errno == errno.EINVAL


def test_peeloff_of_a_one_to_one_socket(make):
    client, _ = make.pair()
    with pytest.raises(OSError) as caught:
        client.peeloff(3)
    assert caught.value.errno == errno.EINVAL


def test_two_one_to_many_sockets_may_both_begin(make):
    left, right = make.listener(MANY), make.listener(MANY)
    left.sendto(b"from left", right.getsockname())
    assert data_from(right).data == b"from left"
    right.sendto(b"from right", left.getsockname())
    assert data_from(left).data == b"from right"
    assert get(left, c.SCTP_GET_ASSOC_NUMBER) == get(right, c.SCTP_GET_ASSOC_NUMBER) == 1


def test_a_one_to_one_client_at_a_one_to_many_server(make):
    server = make.listener(MANY)
    client = make.one()
    client.connect(server.getsockname())
    client.send(b"mixed")
    message = data_from(server)
    server.send_message(b"styles", assoc_id=message.assoc_id)
    assert client.recv(100) == b"styles"


def test_a_one_to_many_client_at_a_one_to_one_server(make):
    listener = make.listener()
    client = make.many()
    client.sendto(b"hello", listener.getsockname())
    server = make.accept(listener)
    assert server.recv(100) == b"hello"


def test_addresses_of_an_association(make):
    client, server, client_id, server_id = make.many_pair()
    assert (make.host, server.getsockname()[1]) in client.getpaddrs(client_id)
    assert server.getpaddrs(server_id)[0][1] == client.getsockname()[1]
    assert client.getladdrs(client_id)[0][1] == client.getsockname()[1]


def test_autoclose_ends_an_idle_association(make4):
    server = make4.listener(MANY)
    client = make4.many()
    client.subscribe(c.SCTP_ASSOC_CHANGE)
    sctp(client, c.SCTP_AUTOCLOSE, 1)
    client.sendto(b"x", server.getsockname())
    assert notification_from(client, AssocChange, state=c.SCTP_SHUTDOWN_COMP)


def test_status_of_an_association(make):
    client, server, client_id, _ = make.many_pair()
    status = client.opt_info(client_id, c.SCTP_STATUS)
    assert status.assoc_id == client_id and status.state == c.SCTP_ESTABLISHED
    assert status.primary.address == (make.host, server.getsockname()[1])
    assert status.primary.state == c.SCTP_ACTIVE


def test_info_of_a_peer_address(make):
    client, server, client_id, _ = make.many_pair()
    info = client.opt_info(
        client_id, c.SCTP_GET_PEER_ADDR_INFO, s.PaddrInfo(address=(make.host, server.getsockname()[1]))
    )
    assert info.state == c.SCTP_ACTIVE and info.cwnd > 0 and info.rto > 0 and info.mtu >= 512


@pytest.mark.feature("own-send-buffers")
def test_a_thread_that_sends_to_a_slow_peer_does_not_hold_up_another(make4):
    """Regression: a blocked sender waited for room at all associations, not at its own."""
    import threading

    listener = make4.listener()
    hub = make4.many()
    slow = hub.connectx([listener.getsockname()])
    quick = hub.connectx([make4.listener().getsockname()])
    server = make4.accept(listener)
    hub.setblocking(False)
    for assoc_id in (slow, quick):
        with pytest.raises(BlockingIOError):
            while True:
                hub.send_message(bytes(50_000), assoc_id=assoc_id)
    hub.settimeout(20)
    sent = threading.Event()

    def send():
        hub.send_message(b"at last", assoc_id=slow)
        sent.set()

    thread = threading.Thread(target=send)
    thread.start()
    while server.recv(100_000) != b"at last":
        pass
    assert sent.wait(20)
    thread.join()
