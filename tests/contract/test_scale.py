"""Many associations at one socket, and nothing left of those that ended."""

import gc
import resource
import socket

import pytest

from pysocketapi import constants as c
from pysocketapi.message import Message

from .support import get

MANY = 2000


@pytest.fixture
def descriptors():
    """Let this process open enough of them, where each socket is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, MANY + 200)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_associations_on_one_socket_all_echoing(descriptors, make4):
    server = make4.new(socket.SOCK_SEQPACKET)
    server.bind((make4.host, 0))
    server.listen(MANY)
    address = server.getsockname()
    clients = [make4.one() for _ in range(MANY)]
    for client in clients:
        client.connect(address)
    for i, client in enumerate(clients):
        client.send(b"%d" % i)
    for _ in clients:
        while not isinstance(message := server.recv_message(), Message):
            pass
        server.send_message(b"re " + message.data, assoc_id=message.assoc_id)
    for i, client in enumerate(clients):
        assert client.recv(100) == b"re %d" % i
    assert get(server, c.SCTP_GET_ASSOC_NUMBER) == MANY


def cycle(make, listener, i):
    """Open and close an association in one of four ways."""
    client = make.one()
    client.connect(listener.getsockname())
    server = make.accept(listener)
    client.send(b"x")
    server.send(server.recv(10))
    assert client.recv(10) == b"x"
    if i % 4 == 0:
        client.abort()
    elif i % 4 == 1:
        client.shutdown(socket.SHUT_WR)
        assert server.recv(10) == b""
    elif i % 4 == 2:
        server.close()
        assert client.recv(10) == b""
    client.close()
    server.close()
    make.made = [listener]


@pytest.mark.feature("looks-inside")
def test_ended_associations_leave_nothing_behind(make4):
    listener = make4.listener()
    pump = listener._channel.pump
    stack = pump.stack
    for i in range(60):
        cycle(make4, listener, i)
    with pump.lock:
        assert pump.driver.wait(lambda: not stack.engine.associations, 20, listener._channel)
    gc.collect()
    engine = stack.engine
    assert not engine.by_tag and not engine.by_header and not engine.by_peer
    assert not pump.writers and not pump.closing
    assert len(engine.endpoints) == len(pump.bound) == len(pump.channels) == 1


def test_many_cycles(make4):
    listener = make4.listener()
    for i in range(20):
        cycle(make4, listener, i)
    cycle(make4, listener, 3)


@pytest.mark.filterwarnings("ignore:unclosed")
@pytest.mark.feature("looks-inside")
def test_sockets_that_are_dropped_are_closed(make4):
    """Regression: closing many of them at once went deeper and deeper."""
    listener = make4.listener()
    pump = listener._channel.pump
    clients = [make4.one() for _ in range(1200)]
    for client in clients:
        client.bind((make4.host, 0))
    make4.made = [listener]
    del client, clients
    gc.collect()
    make4.one().connect(listener.getsockname())
    with pump.lock:
        assert pump.driver.wait(lambda: len(pump.bound) <= 2, 20, listener._channel)


@pytest.mark.filterwarnings("ignore:unclosed")
def test_a_dropped_socket_tells_its_peer(make4):
    client, server = make4.pair()
    make4.made.remove(client)
    del client
    gc.collect()
    assert server.recv(10) == b""
