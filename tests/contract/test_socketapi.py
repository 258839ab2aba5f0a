"""SOCKETAPI's names, used as a C program would use them."""

import errno
import os
import re
import select
import socket
from pathlib import Path

import pytest

from pysocketapi import SctpSocket, set_default_transport
from pysocketapi import constants as c
from pysocketapi import socketapi as api
from pysocketapi import structures as s
from pysocketapi.notifications import AssocChange

from .support import BACKEND, TRANSPORT, UDP_PORT

HOST = "127.0.0.1"
# Reference of the original, part B2.
NAMES = [
    "ext_socket",
    "ext_bind",
    "sctp_bindx",
    "ext_listen",
    "ext_accept",
    "ext_connect",
    "ext_connectx",
    "sctp_connectx",
    "sctp_peeloff",
    "ext_shutdown",
    "ext_close",
    "ext_getsockname",
    "ext_getpeername",
    "sctp_getpaddrs",
    "sctp_getladdrs",
    "sctp_freepaddrs",
    "sctp_freeladdrs",
    "ext_fcntl",
    "ext_ioctl",
    "ext_getsockopt",
    "ext_setsockopt",
    "sctp_opt_info",
    "ext_send",
    "ext_write",
    "ext_sendto",
    "ext_sendmsg",
    "sctp_send",
    "sctp_sendx",
    "sctp_sendmsg",
    "ext_recv",
    "ext_read",
    "ext_recvfrom",
    "ext_recvmsg",
    "ext_recvmsg2",
    "sctp_recvmsg",
    "ext_select",
    "ext_poll",
    "ext_open",
    "ext_creat",
    "ext_pipe",
    "sctp_isavailable",
    "sctp_enableOOTBHandling",
    "sctp_enableCRC32",
    "socketAPIGetVersion",
    "sctp_sendv",
    "sctp_recvv",
    "sctp_getaddrlen",
    "sctp_getassocid",
    "sctp_peeloff_flags",
]


@pytest.fixture
def descriptors():
    """A list of descriptors that are closed in the end."""
    set_default_transport(TRANSPORT)
    used = []
    yield used
    for fd in used:
        if fd >= 0:
            api.ext_setsockopt(fd, socket.SOL_SOCKET, socket.SO_LINGER, (True, 0))
            api.ext_close(fd)
    set_default_transport("auto")


def opened(used, style):
    fd = api.ext_socket(socket.AF_INET, style, c.IPPROTO_SCTP)
    assert fd > 0
    used.append(fd)
    if BACKEND == "userland":
        encaps = s.UdpEncaps(port=UDP_PORT)
        assert api.ext_setsockopt(fd, c.IPPROTO_SCTP, c.SCTP_REMOTE_UDP_ENCAPS_PORT, encaps) == 0
    api.socket_of(fd).settimeout(20)
    return fd


def listening(used, style=socket.SOCK_STREAM):
    fd = opened(used, style)
    assert api.ext_bind(fd, (HOST, 0)) == 0
    assert api.ext_listen(fd, 10) == 0
    address = api.Ref()
    assert api.ext_getsockname(fd, address) == 0
    return fd, address.value


def connected(used):
    server, address = listening(used)
    client = opened(used, socket.SOCK_STREAM)
    assert api.ext_connect(client, address) == 0
    peer = api.Ref()
    accepted = api.ext_accept(server, peer)
    assert accepted > 0 and peer.value[1] > 0
    used.append(accepted)
    return client, accepted


@pytest.mark.parametrize("name", NAMES)
def test_every_function_is_there(name):
    assert callable(getattr(api, name))


def test_descriptors_come_from_the_top_of_the_table(descriptors):
    first = opened(descriptors, socket.SOCK_STREAM)
    second = opened(descriptors, socket.SOCK_STREAM)
    assert first > second > 900


def test_send_and_receive(descriptors):
    client, server = connected(descriptors)
    assert api.ext_send(client, b"hello world", 5, 0) == 5
    buffer = bytearray(100)
    assert api.ext_recv(server, buffer, 100, 0) == 5 and buffer[:5] == b"hello"
    assert api.ext_write(server, b"back", 4) == 4
    assert api.ext_read(client, buffer, 100) == 4 and buffer[:4] == b"back"


def test_shutdown_gives_zero(descriptors):
    client, server = connected(descriptors)
    assert api.ext_shutdown(client, socket.SHUT_WR) == 0
    assert api.ext_recv(server, bytearray(10), 10) == 0


def test_abort_gives_econnreset(descriptors):
    client, server = connected(descriptors)
    assert api.sctp_sendmsg(client, b"bye", 3, None, 0, api.MSG_ABORT, 0, 0, 0) == 3
    assert api.ext_recv(server, bytearray(10), 10) == -1
    assert api.ext_errno() == errno.ECONNRESET


def test_sctp_sendmsg_and_sctp_recvmsg(descriptors):
    client, server = connected(descriptors)
    assert api.sctp_sendmsg(client, b"data", 4, None, 11, api.MSG_UNORDERED, 3, 0, 0) == 4
    buffer, address, info, flags = bytearray(10), api.Ref(), s.SndRcvInfo(), api.Ref(0)
    assert api.sctp_recvmsg(server, buffer, 10, address, info, flags) == 4
    assert buffer[:4] == b"data" and flags.value & api.MSG_EOR
    assert (info.stream, info.ppid, info.flags) == (3, 11, c.SCTP_UNORDERED)
    assert address.value[0] == HOST


def test_sctp_send_and_sctp_sendv(descriptors):
    client, server = connected(descriptors)
    assert api.sctp_send(client, b"one", 3, s.SndRcvInfo(stream=2, ppid=5), 0) == 3
    assert api.sctp_sendv(client, [b"two", b"!"], [], 0, s.SndInfo(4, 0, 6), 0) == 4
    info, flags = s.SndRcvInfo(), api.Ref(0)
    assert api.sctp_recvmsg(server, bytearray(10), 10, None, info, flags) == 3
    assert (info.stream, info.ppid) == (2, 5)
    assert api.ext_setsockopt(server, c.IPPROTO_SCTP, c.SCTP_RECVRCVINFO, 1) == 0
    address, rcv, kind, flags = api.Ref(), api.Ref(), api.Ref(), api.Ref(0)
    assert api.sctp_recvv(server, [bytearray(10)], address, rcv, kind, flags) == 4
    assert kind.value == c.SCTP_RECVV_RCVINFO and (rcv.value.sid, rcv.value.ppid) == (4, 6)


def test_one_to_many_with_notifications(descriptors):
    server, address = listening(descriptors, socket.SOCK_DGRAM)
    assert api.ext_setsockopt(server, c.IPPROTO_SCTP, c.SCTP_EVENTS, s.EventSubscribe(association=True)) == 0
    client = opened(descriptors, socket.SOCK_SEQPACKET)
    assert api.ext_sendto(client, b"hi", 2, 0, address) == 2
    message = api.MsgHdr(iov=[bytearray(1), bytearray(10)])
    assert api.ext_recvmsg(server, message, 0) == 1 and message.flags & api.MSG_NOTIFICATION
    assert isinstance(message.notification, AssocChange)
    assert api.ext_recvmsg(server, message, 0) == 2
    assert bytes(message.iov[0]) + bytes(message.iov[1][:1]) == b"hi"
    assert message.name[1] > 0


def test_recvmsg2_can_skip_notifications(descriptors):
    server, address = listening(descriptors, socket.SOCK_SEQPACKET)
    assert api.ext_setsockopt(server, c.IPPROTO_SCTP, c.SCTP_EVENTS, s.EventSubscribe(association=True)) == 0
    client = opened(descriptors, socket.SOCK_SEQPACKET)
    assert api.sctp_sendx(client, b"hi", 2, [address], 1, None, 0) == 2
    message = api.MsgHdr(iov=[bytearray(10)])
    assert api.ext_recvmsg2(server, message, 0, 0) == 2 and message.notification is None


def test_connectx_peeloff_and_identifiers(descriptors):
    server, address = listening(descriptors, socket.SOCK_SEQPACKET)
    client = opened(descriptors, socket.SOCK_SEQPACKET)
    assoc_id = api.Ref()
    assert api.sctp_connectx(client, [address], 1, assoc_id) == 0
    assert api.sctp_getassocid(client, address) == assoc_id.value
    peers = api.Ref()
    assert api.sctp_getpaddrs(client, assoc_id.value, peers) == len(peers.value) >= 1
    api.sctp_freepaddrs(peers)
    assert peers.value is None
    peeled = api.sctp_peeloff(client, assoc_id.value)
    descriptors.append(peeled)
    assert peeled > 0 and api.ext_send(peeled, b"x", 1) == 1
    assert api.ext_recv(server, bytearray(4), 4) == 1


def test_options(descriptors):
    fd = opened(descriptors, socket.SOCK_SEQPACKET)
    value = api.Ref()
    assert api.ext_getsockopt(fd, c.IPPROTO_SCTP, c.SCTP_INITMSG, value) == 0 and value.value.num_ostreams == 10
    value = api.Ref()
    assert api.sctp_opt_info(fd, 0, c.SCTP_RTOINFO, value) == 0 and value.value.max == 60000
    assert api.ext_setsockopt(fd, c.IPPROTO_SCTP, 4711, 1) == -1 and api.ext_errno() == errno.ENOPROTOOPT
    assert api.ext_fcntl(fd, api.F_SETFL, api.O_NONBLOCK) == 0
    assert api.ext_fcntl(fd, api.F_GETFL) == api.O_NONBLOCK
    assert api.ext_ioctl(fd, 1) == -1 and api.ext_errno() == errno.EOPNOTSUPP
    assert api.sctp_getaddrlen(socket.AF_INET) == 16 and api.sctp_getaddrlen(socket.AF_UNIX) == -1


def test_select_mixes_sctp_and_system_descriptors(descriptors):
    client, server = connected(descriptors)
    ends = api.Ref()
    assert api.ext_pipe(ends) == 0
    read, write = ends.value
    readable = {server, read}
    assert api.ext_select(api.FD_SETSIZE, readable, None, None, 0) == 0 and not readable
    assert api.ext_write(write, b"p", 1) == 1
    readable = {server, read}
    assert api.ext_select(api.FD_SETSIZE, readable, None, None, 20) == 1 and readable == {read}
    assert api.ext_send(client, b"s", 1) == 1
    entries = [api.PollFd(server, select.POLLIN), api.PollFd(client, select.POLLOUT)]
    assert api.ext_poll(entries, 2, 20_000) >= 1 and entries[1].revents == select.POLLOUT
    writable = {client}
    assert api.ext_select(api.FD_SETSIZE, None, writable, None, 1) == 1
    assert api.ext_close(read) == 0 == api.ext_close(write)


def test_files_are_wrapped(descriptors, tmp_path):
    name = str(tmp_path / "file")
    fd = api.ext_creat(name, 0o600)
    assert api.ext_write(fd, b"content", 7) == 7 and api.ext_close(fd) == 0
    fd = api.ext_open(name, os.O_RDONLY)
    buffer = bytearray(20)
    assert api.ext_read(fd, buffer, 20) == 7 and api.ext_close(fd) == 0


def test_bad_descriptors():
    assert api.ext_close(5000) == -1 and api.ext_errno() == errno.EBADF
    assert api.ext_send(5000, b"x", 1) == -1 and api.ext_errno() == errno.EBADF
    assert (
        api.ext_socket(socket.AF_INET, socket.SOCK_RAW, c.IPPROTO_SCTP) == -1 and api.ext_errno() == errno.EINVAL
    )
    entry = api.PollFd(5000, select.POLLIN)
    assert api.ext_poll([entry], 1, 0) == 1 and entry.revents == select.POLLNVAL


def test_extensions_of_its_own():
    assert api.sctp_isavailable() == 1
    assert api.socketAPIGetVersion() == 0x22200
    assert api.sctp_enableOOTBHandling(0) == 0
    assert api.sctp_enableCRC32(1) == 0 and api.sctp_enableCRC32(0) == -1


def test_the_documentation_names_every_function():
    text = (Path(__file__).parents[2] / "docs" / "reference" / "socketapi.md").read_text()
    assert set(NAMES) <= set(re.findall(r"`(\w+)`", text))


def test_lifetimes_of_ranges_of_streams(descriptors, monkeypatch):
    """SOCKETAPI's own option: the newest setting of a stream is the lifetime of messages without one."""
    client, server = connected(descriptors)
    lifetimes = []
    real = SctpSocket.sendv

    def sendv(self, buffers, addresses, info, flags):
        lifetimes.append(info.prinfo.value if info.prinfo else 0)
        return real(self, buffers, addresses, info, flags)

    monkeypatch.setattr(SctpSocket, "sendv", sendv)
    option = api.SCTP_SET_STREAM_TIMEOUTS
    for first, last, timeout in ((1, 5, 9000), (3, 3, 7000), (0, 0, 8000)):
        value = api.SetStrmTimeout(0, timeout, first, last)
        assert api.ext_setsockopt(client, c.IPPROTO_SCTP, option, value) == 0
    for stream in (0, 2, 3, 6):
        assert api.sctp_sendmsg(client, b"x", 1, None, 0, 0, stream, 0, 0) == 1
    assert api.sctp_sendmsg(client, b"x", 1, None, 0, 0, 2, 6000, 0) == 1
    assert api.ext_send(client, b"x", 1) == 1
    assert lifetimes == [8000, 9000, 7000, 0, 6000, 8000]
    assert api.sctp_opt_info(client, 0, option, api.Ref(api.SetStrmTimeout(0, 0, 0, 65535))) == 0
    assert api.sctp_sendmsg(client, b"x", 1, None, 0, 0, 3, 0, 0) == 1 and lifetimes[-1] == 0
    buffer = bytearray(10)
    assert [api.ext_recv(server, buffer, 10) for _ in range(7)] == [1] * 7


@pytest.mark.parametrize("value", [None, 5, api.SetStrmTimeout(0, 1, 5, 4), api.SetStrmTimeout(0, -1, 0, 0)])
def test_lifetimes_that_cannot_be(descriptors, value):
    client = opened(descriptors, socket.SOCK_STREAM)
    assert api.ext_setsockopt(client, c.IPPROTO_SCTP, api.SCTP_SET_STREAM_TIMEOUTS, value) == -1
    assert api.ext_errno() == errno.EINVAL


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("MSG_UNORDERED", c.SCTP_UNORDERED),
        ("MSG_ADDR_OVER", c.SCTP_ADDR_OVER),
        ("MSG_ABORT", c.SCTP_ABORT),
        ("MSG_EOF", c.SCTP_EOF),
        ("MSG_SHUTDOWN", c.SCTP_EOF),
        ("MSG_SEND_TO_ALL", c.SCTP_SENDALL),
        ("MSG_PR_SCTP_TTL", c.SCTP_PR_SCTP_TTL),
        ("MSG_UNBUNDLED", 0),
        ("MSG_NOTIFICATION", c.MSG_NOTIFICATION),
        ("MSG_EOR", c.MSG_EOR),
        ("SCTP_SET_DEFAULT_SEND_PARAM", c.SCTP_DEFAULT_SEND_PARAM),
    ],
)
def test_names_of_flags_and_options(name, meaning):
    assert getattr(api, name) == meaning


def test_poll_passes_over_negative_descriptors():
    """Regression: they were POLLNVAL, and nothing was waited for."""
    ends = api.Ref()
    assert api.ext_pipe(ends) == 0
    read, write = ends.value
    waiting = [api.PollFd(-1, select.POLLIN, 7), api.PollFd(read, select.POLLIN)]
    assert api.ext_poll(waiting, 2, 20) == 0
    assert api.ext_write(write, b"x", 1) == 1
    assert api.ext_poll(waiting, 2, 2000) == 1
    assert [one.revents for one in waiting] == [0, select.POLLIN]
    assert api.ext_close(read) == api.ext_close(write) == 0


def test_regression_what_found_no_place_in_the_table_stayed_open(monkeypatch, tmp_path):
    opened = []
    real = os.open
    monkeypatch.setattr("pysocketapi.socketapi.descriptors.FD_SETSIZE", 3)
    monkeypatch.setattr(os, "open", lambda *args: opened.append(real(*args)) or opened[0])
    assert api.ext_creat(str(tmp_path / "file"), 0o600) == -1
    assert api.ext_errno() == errno.EMFILE
    with pytest.raises(OSError):
        os.fstat(opened[0])
