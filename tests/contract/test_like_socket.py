"""`SctpSocket` in the hands of programs for `socket.socket`: duplicates, files, socketserver, asyncio's loop."""

import array
import asyncio
import copy
import errno
import gc
import http.client
import http.server
import io
import os
import pickle
import select
import selectors
import socket
import socketserver
import struct
import threading

import pytest

from pysocketapi import SctpSocket
from pysocketapi import constants as c
from pysocketapi.notifications import AssocChange

from .support import TRANSPORT, data_from, sctp

# Public attributes of socket.socket that an SCTP socket has no use for.
OTHERS = {"sendmsg_afalg"}  # of the kernel's crypto sockets (AF_ALG) only


def number_of(call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    return caught.value.errno


def test_every_public_attribute_is_there():
    public = {name for name in dir(socket.socket) if not name.startswith("_")}
    assert public - set(dir(SctpSocket)) == OTHERS & public


def test_family_type_and_protocol(make):
    sock = make.one()
    assert (sock.family, sock.type, sock.proto) == (make.family, socket.SOCK_STREAM, c.IPPROTO_SCTP)
    assert isinstance(sock.family, socket.AddressFamily) and isinstance(sock.type, socket.SocketKind)


def test_flags_in_the_type():
    flags = getattr(socket, "SOCK_NONBLOCK", 0) | getattr(socket, "SOCK_CLOEXEC", 0)
    with SctpSocket(socket.AF_INET, socket.SOCK_STREAM | flags, transport=TRANSPORT) as sock:
        assert sock.type == socket.SOCK_STREAM and sock.gettimeout() == (0 if flags else None)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_socket_is_not_copied(make4, how):
    """Regression: a copy shared the channel and closed it under the original."""
    with pytest.raises(TypeError):
        how(make4.one())


# -- duplicates


def test_a_duplicate_sends_and_receives(make):
    client, server = make.pair()
    with client.dup() as other:
        assert (other.family, other.type, other.gettimeout()) == (client.family, client.type, client.gettimeout())
        assert other.getsockname() == client.getsockname()
        other.send(b"from the duplicate")
        assert server.recv(100) == b"from the duplicate"
        server.send(b"answer")
        assert other.recv(100) == b"answer"


def test_the_association_ends_with_the_last_duplicate(make4):
    client, server = make4.pair()
    other = client.dup()
    client.close()
    assert client.fileno() == -1
    assert number_of(client.send, b"x") == errno.EBADF
    assert number_of(client.dup) == errno.EBADF
    other.send(b"still here")
    assert server.recv(100) == b"still here"
    other.close()
    assert server.recv(100) == b""


def test_a_duplicate_that_is_closed_leaves_the_original(make4):
    client, server = make4.pair()
    other = client.dup()
    other.close()
    other.close()
    assert number_of(other.recv, 10) == errno.EBADF
    client.send(b"still here")
    assert server.recv(100) == b"still here"


def test_a_dropped_duplicate_leaves_the_original(make4):
    client, server = make4.pair()
    other = client.dup()
    fd = other.fileno()
    with pytest.warns(ResourceWarning):
        del other
        gc.collect()
    assert number_of(os.fstat, fd) == errno.EBADF
    client.send(b"still here")
    assert server.recv(100) == b"still here"


def test_duplicates_of_a_listener_both_accept(make4):
    listener = make4.listener()
    with listener.dup() as other:
        for acceptor in (listener, other):
            client = make4.one()
            client.connect(listener.getsockname())
            make4.accept(acceptor).send(b"welcome")
            assert client.recv(100) == b"welcome"


def test_a_duplicate_made_before_connect_is_connected_too(make4):
    client = make4.one()
    with client.dup() as other:
        client.connect(make4.listener().getsockname())
        assert other.getpeername() == client.getpeername()
        other.settimeout(0)
        assert number_of(other.recv, 10) == errno.EAGAIN


def test_duplicates_share_options(make4):
    client, server = make4.pair()
    with server.dup() as other:
        sctp(other, c.SCTP_RECVRCVINFO, True)
        client.send_message(b"x", ppid=7)
        (_, _, info), *_ = server.recvmsg(10)[1]
        assert info.ppid == 7


def test_a_selector_takes_a_socket_and_its_duplicate(make4):
    client, server = make4.pair()
    with server.dup() as other, selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ, "original")
        selector.register(other, selectors.EVENT_READ, "duplicate")
        assert not selector.select(0)
        client.send(b"x")
        assert select.select([server], [], [], 20)[0] and select.select([other], [], [], 20)[0]
        assert {key.data for key, _ in selector.select(20)} == {"original", "duplicate"}
        assert other.recv(10) == b"x"
        assert not selector.select(0)


@pytest.mark.feature("detach")
def test_a_duplicate_is_detached_alone(make4):
    client, server = make4.pair()
    fds = [client.dup().detach()]
    with client.dup() as other:
        fds.append(client.detach())
        other.send(b"still here")
        assert server.recv(100) == b"still here"
    for fd in fds:
        os.close(fd)
    assert server.recv(100) == b""


def test_nothing_is_inherited(make):
    """Regression: the kernel's descriptor of a peeled off association was inherited (PEP 446)."""
    client, server, _, server_id = make.many_pair()
    peeled = server.peeloff(server_id)
    make.made.append(peeled)
    with client.dup() as other:
        for sock in (client, server, peeled, other):
            assert sock.get_inheritable() is False
            sock.set_inheritable(False)
    sock = make.one()
    sock.close()
    assert number_of(sock.get_inheritable) == number_of(sock.set_inheritable, True) == errno.EBADF


@pytest.mark.feature("inherit")
def test_a_socket_can_be_inherited(make4):
    sock = make4.one()
    sock.set_inheritable(True)
    assert sock.get_inheritable() is True


@pytest.mark.feature("no-inherit")
def test_a_userland_socket_cannot_be_inherited(make4):
    assert number_of(make4.one().set_inheritable, True) == errno.EOPNOTSUPP


# -- files


def test_lines_by_makefile(make):
    client, server = make.pair()
    with (
        client.makefile("w", encoding="utf-8", newline="\n") as out,
        server.makefile("r", encoding="utf-8") as lines,
    ):
        assert out.mode == "w"
        print("one", "grüße", sep="\n", file=out, flush=True)
        assert [lines.readline(), lines.readline()] == ["one\n", "grüße\n"]
        client.send(b"two messages, ")
        client.send(b"one line\n")
        assert lines.readline() == "two messages, one line\n"


def test_a_file_in_both_directions(make4):
    client, server = make4.pair()
    with client.makefile("rwb") as ours, server.makefile("rwb") as theirs:
        ours.write(b"ping\n")
        ours.flush()
        assert theirs.readline() == b"ping\n"
        theirs.write(b"pong\n")
        theirs.flush()
        assert ours.readline() == b"pong\n"


def test_a_write_that_is_passed_on_is_a_message(make4):
    client, server = make4.pair()
    with client.makefile("wb") as out:
        out.write(b"a")
        out.write(b"b")
        out.flush()
        out.write(b"c")
    assert [server.recv(10), server.recv(10)] == [b"ab", b"c"]
    with client.makefile("wb", buffering=0) as out:
        assert out.write(b"") == 0
        assert out.write(b"now") == 3
    assert server.recv(10) == b"now"


def test_more_than_the_send_buffer_through_a_file(make4):
    client, server = make4.pair()
    data = os.urandom(1 << 20)

    def send():
        with client.makefile("wb") as out:
            out.write(data)
        client.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    with server.makefile("rb") as back:
        assert back.read() == data
    sender.join(20)


def test_a_file_keeps_the_socket_open(make4):
    client, server = make4.pair()
    out = client.makefile("wb")
    client.close()
    out.write(b"after close")
    out.close()
    out.close()
    assert client.fileno() == -1
    assert server.recv(100) == b"after close"
    assert server.recv(100) == b""


def test_a_file_that_is_closed_leaves_the_socket(make4):
    client, server = make4.pair()
    client.makefile("rb").close()
    client.send(b"still here")
    assert server.recv(100) == b"still here"


def test_a_file_after_a_timeout(make4):
    client, _ = make4.pair()
    client.settimeout(0.05)
    with client.makefile("rb") as back:
        with pytest.raises(TimeoutError):
            back.read(1)
        with pytest.raises(OSError, match="timed out object"):
            back.read(1)


def test_a_file_of_a_non_blocking_socket(make4):
    client, server = make4.pair()
    client.settimeout(0)
    with client.makefile("rb", buffering=0) as back:
        assert back.read(10) is None
        server.send(b"x")
        assert select.select([back], [], [], 20)[0]
        assert back.read(10) == b"x"


def test_what_a_file_cannot_do(make4):
    client, _ = make4.pair()
    with client.makefile("rb", buffering=0) as back:
        assert (back.readable(), back.writable(), back.seekable(), back.mode) == (True, False, False, "rb")
        assert back.fileno() == back.name == client.fileno()
        with pytest.raises(io.UnsupportedOperation):
            back.write(b"x")
    with pytest.raises(ValueError):
        back.readable()
    with pytest.raises(ValueError):
        client.makefile("x")
    with pytest.raises(ValueError):
        client.makefile("r", buffering=0)
    assert number_of(make4.many().makefile) == errno.EOPNOTSUPP


@pytest.mark.parametrize(("offset", "count"), [(0, None), (100, None), (0, 40000), (100, 40000), (0, 10**6)])
def test_sendfile(make4, tmp_path, offset, count):
    client, server = make4.pair()
    data = os.urandom(100_000)
    (tmp_path / "file").write_bytes(data)
    wanted = data[offset:] if count is None else data[offset : offset + count]
    with open(tmp_path / "file", "rb") as file:
        assert client.sendfile(file, offset, count) == len(wanted)
        assert file.tell() == offset + len(wanted)
    client.shutdown(socket.SHUT_WR)
    with server.makefile("rb") as back:
        assert back.read() == wanted


def test_what_sendfile_refuses(make4, tmp_path):
    client, _ = make4.pair()
    (tmp_path / "file").write_text("text")
    with open(tmp_path / "file") as text, open(tmp_path / "file", "rb") as file:
        for sock, source, count in ((client, text, None), (client, file, 0), (make4.many(), file, None)):
            with pytest.raises(ValueError):
                sock.sendfile(source, 0, count)
        with pytest.raises(TypeError):
            client.sendfile(file, 0, "all")
        client.setblocking(False)
        with pytest.raises(ValueError):
            client.sendfile(file)


# -- buffers


def test_recvmsg_into_fills_buffers(make):
    client, server = make.pair()
    client.send(b"0123456789")
    one, two = bytearray(4), bytearray(10)
    size, ancillary, flags, address = server.recvmsg_into([one, memoryview(two)[2:]])
    assert (size, ancillary, flags, address) == (10, [], c.MSG_EOR, server.getpeername())
    assert (bytes(one), bytes(two)) == (b"0123", b"\0\x00456789\0\0")


def test_recvmsg_into_gives_the_rest_next(make4):
    client, server = make4.pair()
    client.send(b"0123456789")
    room = bytearray(6)
    assert server.recvmsg_into([room])[::2] == (6, 0)
    assert server.recvmsg_into([room])[::2] == (4, c.MSG_EOR)
    assert room == b"678945"


def test_recvmsg_into_gives_a_notification_as_ancillary_data(make4):
    listener = make4.listener()
    listener.subscribe(c.SCTP_ASSOC_CHANGE)
    client = make4.one()
    client.connect(listener.getsockname())
    server = make4.accept(listener)
    client.shutdown(socket.SHUT_WR)
    size, ((level, type_, change),), flags, address = server.recvmsg_into([bytearray(100)])
    assert (size, level, type_, address) == (0, c.IPPROTO_SCTP, c.SCTP_ASSOC_CHANGE, None)
    assert flags & c.MSG_NOTIFICATION and isinstance(change, AssocChange)


def test_regression_what_does_not_fit_a_buffer_is_refused_before_it_is_received(make4):
    client, server = make4.pair()
    client.send(b"12345678")
    for call in (server.recv_into, server.recvfrom_into):
        with pytest.raises(ValueError):
            call(bytearray(2), 8)
        with pytest.raises(ValueError):
            call(bytearray(2), -1)
        with pytest.raises(TypeError):
            call(bytes(8))
    with pytest.raises(TypeError):
        server.recv(4.0)
    with pytest.raises(TypeError):
        server.recvmsg_into([bytearray(4), bytes(4)])
    with pytest.raises(ValueError):
        server.recvmsg_into([bytearray()])
    assert server.recv_into(bytearray()) == 0
    assert server.recvfrom_into(bytearray()) == (0, None)
    assert server.recvfrom(0) == (b"", None)
    assert server.recvmsg(0)[0] == b""
    assert server.recv(100) == b"12345678"


def test_any_buffer_can_be_sent(make4):
    """Regression: the size of an array was told, and counted, in items."""
    client, server = make4.pair()
    numbers = array.array("I", [1, 2, 3])
    for data in (bytearray(b"abc"), memoryview(b"abcdef")[::2], numbers, memoryview(numbers)):
        raw = memoryview(data).tobytes()
        assert client.send(data) == client.send_message(data) == client.sendmsg([data]) == len(raw)
        assert [server.recv(100) for _ in range(3)] == [raw] * 3


@pytest.mark.parametrize("data", ["text", 7, None])
def test_what_is_no_buffer_is_not_sent(make4, data):
    client, _ = make4.pair()
    for call in (client.send, client.sendall, client.send_message, lambda data: client.sendmsg([data])):
        with pytest.raises(TypeError, match="bytes-like"):
            call(data)


@pytest.mark.parametrize("field", ["ppid", "context"])
@pytest.mark.parametrize("value", [-1, 1 << 32])
def test_regression_a_ppid_or_context_of_more_than_32_bits(make4, field, value):
    """It went into the queue and broke every later send of the whole process."""
    client, server = make4.pair()
    with pytest.raises(OSError) as caught:
        client.send_message(b"x", **{field: value})
    assert caught.value.errno == errno.EINVAL
    client.send_message(b"y", ppid=0xFFFFFFFF)
    message = data_from(server)
    assert (message.data, message.ppid) == (b"y", 0xFFFFFFFF)


@pytest.mark.parametrize("lifetime", [-1, float("nan"), 1e10])
def test_impossible_lifetimes(make4, lifetime):
    with pytest.raises(ValueError):
        make4.pair()[0].send_message(b"x", lifetime=lifetime)


# -- timeouts and options


@pytest.mark.parametrize(("value", "error"), [(-1, ValueError), (float("nan"), ValueError), (1e30, OverflowError)])
def test_impossible_timeouts(make4, value, error):
    with pytest.raises(error):
        make4.one().settimeout(value)


def test_regression_a_timeout_of_months(make4):
    client, server = make4.pair()
    server.settimeout(1e7)  # more milliseconds than poll can take
    sender = threading.Timer(0.1, client.send, (b"x",))
    sender.start()
    assert server.recv(10) == b"x"
    sender.join()


def test_connect_ex_as_with_socket(make4):
    """Regression: the number of a resolver's error looked like an errno; a timeout was ETIMEDOUT."""
    with pytest.raises(socket.gaierror):
        make4.one().connect_ex(("no-such-host.invalid", 9))
    client = make4.one()
    client.settimeout(0.1)
    assert client.connect_ex(("192.0.2.1", 9)) in (errno.EAGAIN, errno.ENETUNREACH, errno.EHOSTUNREACH)


def test_general_options(make4):
    sock = make4.listener()
    domain, protocol = getattr(socket, "SO_DOMAIN", None), getattr(socket, "SO_PROTOCOL", None)
    for option, value in (
        (socket.SO_TYPE, socket.SOCK_STREAM),
        (socket.SO_ACCEPTCONN, 1),
        (domain, socket.AF_INET),
        (protocol, c.IPPROTO_SCTP),
    ):
        if option is not None:
            assert sock.getsockopt(socket.SOL_SOCKET, option) == value
            assert struct.unpack("@i", sock.getsockopt(socket.SOL_SOCKET, option, 4)) == (value,)
    assert make4.one().getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 0
    sock.close()
    assert number_of(sock.getsockopt, socket.SOL_SOCKET, socket.SO_TYPE) == errno.EBADF


def test_linger_in_the_form_of_c(make4):
    """Regression: only a pair was taken, and it could not be asked for."""
    client, server = make4.pair()
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER) == (0, 0)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER) == (1, 0)
    assert client.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("@ii", 1, 0)
    client.close()
    with pytest.raises(ConnectionResetError):
        server.recv(10)


def test_linger_is_inherited_by_accepted_sockets(make4):
    """Regression: userland forgot it."""
    listener, client = make4.listener(), make4.one()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1, 0))
    client.connect(listener.getsockname())
    server = make4.accept(listener)
    assert server.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER) == (1, 0)
    server.close()
    with pytest.raises(ConnectionResetError):
        client.recv(10)


def test_a_buffer_size_in_the_form_of_c(make4):
    sock = make4.one()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, struct.pack("@i", 50000))
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 50000
    assert number_of(sock.setsockopt, socket.SOL_SOCKET, socket.SO_RCVBUF, b"12") == errno.EINVAL


# -- programs for socket.socket


class _Server(socketserver.ThreadingMixIn, socketserver.BaseServer):
    """socketserver over a socket that is there already, by the methods that TCPServer has for it."""

    daemon_threads = True
    request_queue_size = 5
    get_request = socketserver.TCPServer.get_request
    fileno = socketserver.TCPServer.fileno
    server_close = socketserver.TCPServer.server_close
    shutdown_request = socketserver.TCPServer.shutdown_request
    close_request = socketserver.TCPServer.close_request

    def __init__(self, sock, handler):
        super().__init__(sock.getsockname(), handler)
        self.socket = sock


def serving(sock, handler):
    server = _Server(sock, handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    return server, thread


class Upper(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(line.upper())


def test_socketserver(make):
    server, thread = serving(make.listener(), Upper)
    clients = [make.one() for _ in range(3)]
    for client in clients:
        client.connect(server.server_address)
    for i, client in enumerate(clients):
        with client.makefile("rw", encoding="ascii", newline="\n") as file:
            file.write(f"client {i}\n")
            file.flush()
            assert file.readline() == f"CLIENT {i}\n"
        client.close()
    server.shutdown()
    thread.join(20)
    server.server_close()


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, *args):
        pass


def test_http_over_sctp(make4):
    server, thread = serving(make4.listener(), Page)
    connection = http.client.HTTPConnection("localhost")
    connection.sock = make4.one()
    connection.sock.connect(server.server_address)
    for body in (b"hello", bytes(range(256)) * 100):
        connection.request("POST", "/", body)
        assert connection.getresponse().read() == body[::-1]
    connection.close()
    server.shutdown()
    thread.join(20)
    server.server_close()


def test_the_sock_methods_of_asyncios_loop(make4):
    listener, client = make4.listener(), make4.one()
    listener.setblocking(False)
    client.setblocking(False)

    async def talk():
        loop = asyncio.get_running_loop()
        accepting = loop.create_task(loop.sock_accept(listener))
        await loop.sock_connect(client, listener.getsockname())
        server, _ = await accepting
        make4.made.append(server)
        server.setblocking(False)
        answer = loop.create_task(loop.sock_recv(client, 100))
        await loop.sock_sendall(client, b"ping")
        assert await loop.sock_recv(server, 100) == b"ping"
        buffer = bytearray(10)
        await loop.sock_sendall(server, b"pong")
        assert await answer == b"pong"
        await loop.sock_sendall(server, b"again")
        assert await loop.sock_recv_into(client, buffer) == 5 and buffer[:5] == b"again"

    asyncio.run(asyncio.wait_for(talk(), 20))
