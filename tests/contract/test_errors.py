"""Each errno of RFC 6458 and POSIX, the same on both backends."""

import errno
import select
import selectors
import socket

import pytest

from pysocketapi import SctpSocket, Transport
from pysocketapi import constants as c
from pysocketapi import structures as s

from .support import BACKEND, TRANSPORT, get, sctp

STYLES = [socket.SOCK_STREAM, socket.SOCK_SEQPACKET]


def number_of(call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    return caught.value.errno


def test_connect_to_nobody(make):
    nobody = make.one()
    nobody.bind((make.host, 0))
    assert number_of(make.one().connect, nobody.getsockname()) == errno.ECONNREFUSED


@pytest.mark.feature("connect-error")
def test_set_ups_that_nobody_answers_time_out(make4):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind((make4.host, 0))
        client = make4.many()
        sctp(client, c.SCTP_RTOINFO, s.RtoInfo(0, 50, 60000, 50))
        sctp(client, c.SCTP_INITMSG, s.InitMsg(max_attempts=1))
        client.subscribe(c.SCTP_ASSOC_CHANGE)
        with pytest.raises(TimeoutError) as caught:
            client.connectx([(make4.host, 9)], udp_port=silent.getsockname()[1])
    assert caught.value.errno == errno.ETIMEDOUT
    change = client.recv_message()
    assert (change.state, change.errno) == (c.SCTP_CANT_STR_ASSOC, errno.ETIMEDOUT)


def test_connect_ex_gives_the_number(make):
    nobody = make.one()
    nobody.bind((make.host, 0))
    assert make.one().connect_ex(nobody.getsockname()) == errno.ECONNREFUSED
    assert make.one().connect_ex(make.listener().getsockname()) == 0


@pytest.mark.parametrize("style", STYLES)
def test_bind_in_use(make, style):
    first = make.listener(style)
    assert number_of(make.new(style).bind, first.getsockname()) == errno.EADDRINUSE


def test_bind_twice(make):
    sock = make.one()
    sock.bind((make.host, 0))
    assert number_of(sock.bind, (make.host, 0)) == errno.EINVAL


def test_bind_to_a_foreign_address(make4):
    assert number_of(make4.one().bind, ("192.0.2.77", 0)) == errno.EADDRNOTAVAIL


def test_connect_when_connected(make):
    client, server = make.pair()
    assert number_of(client.connect, client.getpeername()) == errno.EISCONN


def test_connect_of_a_listener(make):
    listener = make.listener()
    assert number_of(listener.connect, make.listener().getsockname()) == errno.EOPNOTSUPP


def test_connect_again_after_a_failure(make4):
    """Regression: userland said EALREADY once the failure of a non-blocking connect had been read."""
    nobody = make4.one()
    nobody.bind((make4.host, 0))
    client = make4.one()
    assert client.connect_ex(nobody.getsockname()) == errno.ECONNREFUSED
    client.setblocking(False)
    assert client.connect_ex(nobody.getsockname()) == errno.EINPROGRESS
    assert select.select([client], [], [], 20)[0]
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    client.settimeout(20)
    client.connect(make4.listener().getsockname())


def test_listen_when_connected(make4):
    assert number_of(make4.pair()[0].listen) == errno.EINVAL


def test_send_without_association(make):
    assert number_of(make.one().send, b"x") == errno.ENOTCONN


def test_send_of_a_one_to_many_socket_to_nobody(make):
    client = make.many()
    client.bind((make.host, 0))
    assert number_of(client.send, b"x") == errno.ENOTCONN


def test_send_to_an_association_that_is_not_there(make):
    client, *_ = make.many_pair()
    with pytest.raises(BrokenPipeError):
        client.send_message(b"x", assoc_id=4711)


@pytest.mark.parametrize("call", ["getpaddrs", "getladdrs", "peeloff"])
def test_questions_about_an_association_that_is_not_there(make, call):
    client, *_ = make.many_pair()
    assert number_of(getattr(client, call), 4711) == errno.EINVAL


def test_recv_without_association(make):
    assert number_of(make.one().recv, 10) == errno.ENOTCONN


def test_getpeername_without_association(make):
    assert number_of(make.one().getpeername) == errno.ENOTCONN


def test_getpeername_of_a_one_to_many_socket(make):
    client, *_ = make.many_pair()
    assert number_of(client.getpeername) == errno.ENOTCONN


def test_shutdown_without_association(make):
    assert number_of(make.one().shutdown, socket.SHUT_WR) == errno.ENOTCONN


def test_shutdown_of_a_one_to_many_socket(make):
    client, *_ = make.many_pair()
    assert number_of(client.shutdown, socket.SHUT_WR) == errno.EOPNOTSUPP


def test_shutdown_in_no_direction(make4):
    client, _ = make4.pair()
    assert number_of(client.shutdown, 77) == errno.EINVAL


def test_send_after_shutdown(make):
    client, server = make.pair()
    client.shutdown(socket.SHUT_WR)
    assert number_of(client.send, b"x") == errno.EPIPE


def test_send_after_the_peer_closed(make):
    client, server = make.pair()
    server.close()
    assert client.recv(10) == b""
    assert number_of(client.send, b"x") == errno.EPIPE


def test_send_after_a_reset(make):
    client, server = make.pair()
    server.abort()
    with pytest.raises(ConnectionResetError):
        client.recv(10)
    assert number_of(client.send, b"x") == errno.EPIPE


@pytest.mark.parametrize("stream", [10, 11, 65535])
def test_bad_stream(make4, stream):
    client, _ = make4.pair()
    with pytest.raises(OSError) as caught:
        client.send_message(b"x", stream=stream)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("stream", [-1, 65536])
def test_impossible_stream(make4, stream):
    client, _ = make4.pair()
    with pytest.raises(OSError) as caught:
        client.send_message(b"x", stream=stream)
    assert caught.value.errno == errno.EINVAL


def test_a_message_that_may_not_be_fragmented(make4):
    client, _ = make4.pair()
    sctp(client, c.SCTP_MAXSEG, s.AssocValue(0, 1000))
    sctp(client, c.SCTP_DISABLE_FRAGMENTS, True)
    assert number_of(client.send, bytes(2000)) == errno.EMSGSIZE
    assert client.send(bytes(900)) == 900


def test_a_message_larger_than_the_send_buffer(make4):
    client, _ = make4.pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    size = client.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) + 1
    client.setblocking(False)
    assert number_of(client.send, bytes(size)) == errno.EMSGSIZE


@pytest.mark.parametrize("style", STYLES)
def test_non_blocking_receive(make, style):
    if style == socket.SOCK_STREAM:
        sock, _ = make.pair()
    else:
        sock, *_ = make.many_pair()
    sock.setblocking(False)
    with pytest.raises(BlockingIOError) as caught:
        sock.recv(10)
    assert caught.value.errno == errno.EAGAIN


def test_dontwait_on_a_blocking_socket(make):
    client, _ = make.pair()
    assert number_of(client.recv, 10, c.MSG_DONTWAIT) == errno.EAGAIN


def test_non_blocking_accept(make):
    listener = make.listener()
    listener.setblocking(False)
    assert number_of(listener.accept) == errno.EAGAIN


def test_non_blocking_connect(make):
    listener = make.listener()
    client = make.one()
    client.setblocking(False)
    with pytest.raises(BlockingIOError) as caught:
        client.connectx([listener.getsockname()])
    assert caught.value.errno == errno.EINPROGRESS
    server = make.accept(listener)
    server.send(b"welcome")
    client.settimeout(20)
    assert client.recv(10) == b"welcome"
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def test_the_end_of_a_non_blocking_connect_is_told_by_writability(make4):
    """Regression: userland's descriptor was always writable."""
    listener, client = make4.listener(), make4.one()
    client.setblocking(False)
    assert client.connect_ex(listener.getsockname()) == errno.EINPROGRESS
    assert select.select([], [client], [], 20)[1]
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    assert client.getpeername() == listener.getsockname()


def test_a_failed_non_blocking_connect_is_told_by_writability(make4):
    nobody = make4.one()
    nobody.bind((make4.host, 0))
    client = make4.one()
    client.setblocking(False)
    assert client.connect_ex(nobody.getsockname()) == errno.EINPROGRESS
    assert select.select([], [client], [], 20)[1]
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_room_to_send_is_told_by_writability(make4):
    """Regression: userland's descriptor was always writable."""
    client, server = make4.pair()
    assert select.select([], [client], [], 20)[1]
    client.setblocking(False)
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            client.send(bytes(2000))
            sent += 1
    assert not select.select([], [client], [], 0)[1]
    for _ in range(sent):
        assert len(server.recv(2000)) == 2000
    assert select.select([], [client], [], 20)[1]
    client.send(b"again")
    assert server.recv(100) == b"again"


def test_selectors_tell_both_directions(make4):
    client, server = make4.pair()
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE)
        assert selector.select(20)[0][1] == selectors.EVENT_WRITE
        server.send(b"x")
        selector.modify(client, selectors.EVENT_READ)
        assert selector.select(20)[0][1] == selectors.EVENT_READ
        assert client.recv(10) == b"x"
        assert not selector.select(0)


def test_failed_non_blocking_connect_is_told_by_so_error(make4):
    nobody = make4.one()
    nobody.bind((make4.host, 0))
    client = make4.one()
    client.setblocking(False)
    assert client.connect_ex(nobody.getsockname()) == errno.EINPROGRESS
    assert select.select([client], [], [], 20)[0]
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED


def test_timeout_of_receive(make):
    client, _ = make.pair()
    client.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.recv(10)


def test_timeout_of_accept(make):
    listener = make.listener()
    listener.settimeout(0.05)
    with pytest.raises(TimeoutError):
        listener.accept()


def test_timeout_of_connect(make4):
    client = make4.one()
    client.settimeout(0.1)
    with pytest.raises((TimeoutError, OSError)) as caught:
        client.connect(("192.0.2.1", 9))  # nobody is there (RFC 5737)
    assert isinstance(caught.value, TimeoutError) or caught.value.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH)


def test_timeout_of_send_when_the_peer_takes_nothing(make4):
    client, server = make4.pair()
    client.settimeout(0.2)
    with pytest.raises(TimeoutError):
        for _ in range(100_000):
            client.send(bytes(1000))
    # What went out before is delivered whole.
    assert server.recv(2000) == bytes(1000)


def test_accept_without_listening(make):
    sock = make.one()
    sock.bind((make.host, 0))
    assert number_of(sock.accept) == errno.EINVAL


def test_accept_of_a_one_to_many_socket(make):
    assert number_of(make.listener(socket.SOCK_SEQPACKET).accept) == errno.EOPNOTSUPP


@pytest.mark.parametrize("call", ["recv", "send", "listen", "accept", "bind", "getsockname", "getpeername"])
def test_everything_fails_on_a_closed_socket(make4, call):
    args = {"recv": (1,), "send": (b"x",), "bind": (("127.0.0.1", 0),)}.get(call, ())
    sock = make4.one()
    sock.close()
    assert number_of(getattr(sock, call), *args) == errno.EBADF


def test_name_resolution(make4):
    with pytest.raises(socket.gaierror):
        make4.one().connect(("no-such-host.invalid", 9))


def test_localhost_is_resolved(make4):
    client = make4.one()
    client.connect(("localhost", make4.listener().getsockname()[1]))
    assert client.getpeername()[0] == "127.0.0.1"


def test_wrong_style():
    with pytest.raises(OSError) as caught:
        SctpSocket(socket.AF_INET, socket.SOCK_RAW, transport=TRANSPORT)
    assert caught.value.errno == errno.ESOCKTNOSUPPORT


def test_wrong_family():
    with pytest.raises(ValueError):
        SctpSocket(socket.AF_UNIX, socket.SOCK_STREAM, transport=TRANSPORT)


@pytest.mark.parametrize("address", ["127.0.0.1", ("127.0.0.1",), (1, 2), ("127.0.0.1", "9"), None])
def test_what_is_no_address(make4, address):
    with pytest.raises(TypeError):
        make4.one().connect(address)


@pytest.mark.parametrize("port", [-1, 65536])
def test_ports_out_of_range(make4, port):
    with pytest.raises(OverflowError):
        make4.one().connect(("127.0.0.1", port))


def test_ipv6_address_on_an_ipv4_socket(make4):
    assert number_of(make4.one().bind, ("::1", 0)) == errno.EAFNOSUPPORT


def test_connectx_with_different_ports(make4):
    assert number_of(make4.one().connectx, [("127.0.0.1", 1), ("127.0.0.1", 2)]) == errno.EINVAL


def test_connectx_with_nobody(make4):
    assert number_of(make4.one().connectx, []) == errno.EINVAL


@pytest.mark.parametrize("option", [4711, 999])
def test_unknown_options(make4, option):
    assert number_of(make4.one().getsockopt, c.IPPROTO_SCTP, option) == errno.ENOPROTOOPT
    assert number_of(make4.one().setsockopt, c.IPPROTO_SCTP, option, 1) == errno.ENOPROTOOPT


def test_unknown_general_option(make4):
    assert number_of(make4.one().setsockopt, socket.SOL_SOCKET, 4711, 1) == errno.ENOPROTOOPT


def test_read_only_option(make4):
    assert number_of(make4.one().setsockopt, c.IPPROTO_SCTP, c.SCTP_STATUS, s.Status()) == errno.ENOPROTOOPT


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (c.SCTP_RTOINFO, 1),
        (c.SCTP_NODELAY, "yes"),
        (c.SCTP_INITMSG, s.RtoInfo()),
        (c.SCTP_EVENT, 7),
        (c.SCTP_AUTOCLOSE, 1.5),
    ],
)
def test_values_of_the_wrong_type(make4, option, value):
    with pytest.raises(TypeError):
        make4.one().setsockopt(c.IPPROTO_SCTP, option, value)


def test_status_without_association(make4):
    assert number_of(get, make4.one(), c.SCTP_STATUS) == errno.EINVAL


def test_options_of_an_unknown_association(make4):
    sock = make4.many()
    sock.bind((make4.host, 0))
    assert number_of(sock.opt_info, 4711, c.SCTP_STATUS) == errno.EINVAL
    assert number_of(sock.opt_info, 4711, c.SCTP_RTOINFO) == errno.EINVAL


def test_negative_timeout(make4):
    with pytest.raises(ValueError):
        make4.one().settimeout(-1)


def test_negative_size(make4):
    client, _ = make4.pair()
    with pytest.raises(ValueError):
        client.recv(-1)


def test_bad_transport():
    with pytest.raises(ValueError):
        Transport("carrier-pigeon")
    with pytest.raises(ValueError):
        Transport(udp_port=70000)
    with pytest.raises(ValueError):
        Transport(hub="none")


def test_the_suite_runs_on_the_backend_it_says():
    assert TRANSPORT.kind == BACKEND
