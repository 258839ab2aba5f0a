"""Several addresses: bindx, connectx, getladdrs, getpaddrs, both families (RFC 6458 section 9)."""

import errno
import socket

import pytest

from pysocketapi import constants as c

from .support import FAMILIES, Maker, data_from

MANY = socket.SOCK_SEQPACKET
FIRST, SECOND, THIRD = "127.0.0.1", "127.0.0.2", "127.0.0.3"


@pytest.fixture
def make6():
    maker = Maker(FAMILIES[-1])
    yield maker
    maker.close()


@pytest.mark.parametrize("style", [socket.SOCK_STREAM, MANY])
def test_bindx_binds_all_addresses_to_one_port(make4, style):
    sock = make4.new(style)
    sock.bindx([(FIRST, 0), (SECOND, 0)])
    addresses = sock.getladdrs()
    assert sorted(host for host, _ in addresses) == [FIRST, SECOND]
    assert len({port for _, port in addresses}) == 1 and addresses[0][1] > 0


def test_bindx_adds_and_removes(make4):
    sock = make4.one()
    sock.bind((FIRST, 0))
    port = sock.getsockname()[1]
    sock.bindx([(SECOND, port), (THIRD, port)])
    assert sorted(host for host, _ in sock.getladdrs()) == [FIRST, SECOND, THIRD]
    sock.bindx([(SECOND, port)], c.SCTP_BINDX_REM_ADDR)
    assert sorted(host for host, _ in sock.getladdrs()) == [FIRST, THIRD]
    assert {port} == {p for _, p in sock.getladdrs()}


def test_the_last_address_cannot_be_removed(make4):
    sock = make4.one()
    sock.bind((FIRST, 0))
    with pytest.raises(OSError) as caught:
        sock.bindx([sock.getsockname()], c.SCTP_BINDX_REM_ADDR)
    assert caught.value.errno == errno.EBUSY


def test_bindx_with_bad_flags(make4):
    with pytest.raises(OSError) as caught:
        make4.one().bindx([(FIRST, 0)], 77)
    assert caught.value.errno == errno.EINVAL


def test_bindx_with_a_foreign_address(make4):
    with pytest.raises(OSError) as caught:
        make4.one().bindx([("192.0.2.77", 0)])
    assert caught.value.errno == errno.EADDRNOTAVAIL


def test_peers_learn_all_addresses(make4):
    server = make4.new(MANY)
    server.bindx([(FIRST, 0), (SECOND, 0)])
    server.listen()
    client = make4.many()
    client.bindx([(FIRST, 0), (THIRD, 0)])
    assoc_id = client.connectx([server.getladdrs()[0]])
    client.send_message(b"x", assoc_id=assoc_id)
    message = data_from(server)
    assert sorted(host for host, _ in client.getpaddrs(assoc_id)) == [FIRST, SECOND]
    assert sorted(host for host, _ in server.getpaddrs(message.assoc_id)) == [FIRST, THIRD]


def test_connectx_with_all_addresses(make4):
    listener = make4.new()
    listener.bindx([(FIRST, 0), (SECOND, 0)])
    listener.listen()
    client = make4.one()
    client.connectx(listener.getladdrs())
    server = make4.accept(listener)
    client.send(b"over one of them")
    assert server.recv(100) == b"over one of them"
    assert sorted(host for host, _ in client.getpaddrs()) == [FIRST, SECOND]


def test_a_message_to_a_chosen_address(make4):
    listener = make4.new()
    listener.bindx([(FIRST, 0), (SECOND, 0)])
    listener.listen()
    client = make4.one()
    client.connectx(listener.getladdrs())
    server = make4.accept(listener)
    port = server.getsockname()[1]
    client.send_message(b"there", flags=c.SCTP_ADDR_OVER, address=(FIRST, port))
    assert server.recv(100) == b"there"


def test_wildcards(make):
    sock = make.one()
    sock.bind(("", 0))
    host, port = sock.getsockname()
    assert port > 0 and host in ("0.0.0.0", "::")
    sock.listen()
    client = make.one()
    client.connect((make.host, port))
    client.send(b"x")
    assert make.accept(sock).recv(10) == b"x"


def test_an_ipv6_socket_serves_ipv4_too(make4, make6):
    listener = make6.one()
    listener.bind(("", 0))
    listener.listen()
    client = make4.one()
    client.connect((FIRST, listener.getsockname()[1]))
    client.send(b"four to six")
    server = make6.accept(listener)
    assert server.recv(100) == b"four to six"
    assert FIRST in [host for host, _ in server.getpaddrs()]


def test_an_ipv6_socket_connects_to_ipv4(make4, make6):
    listener = make4.listener()
    client = make6.one()
    client.connect(listener.getsockname())
    client.send(b"six to four")
    assert make4.accept(listener).recv(100) == b"six to four"


def test_longer_address_tuples_are_taken(make6):
    listener = make6.one()
    listener.bind((make6.host, 0, 0, 0))
    listener.listen()
    client = make6.one()
    client.connect((make6.host, listener.getsockname()[1], 0, 0))
    assert client.getpeername() == listener.getsockname()


def test_addresses_of_nobody(make4):
    with pytest.raises(OSError) as caught:
        make4.one().getpaddrs()
    assert caught.value.errno == errno.ENOTCONN
