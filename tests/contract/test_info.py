"""How messages are described on both sides: structures, ancillary data, sendv, recvv (RFC 6458 sections 5, 9)."""

import errno
import socket
import time

import pytest

from pysocketapi import constants as c
from pysocketapi import structures as s
from pysocketapi.notifications import AssocChange, Notification

from .support import data_from, get, sctp

SCTP = c.IPPROTO_SCTP


def test_sendmsg_joins_buffers(make):
    client, server = make.pair()
    assert client.sendmsg([b"one ", b"two ", b"three"]) == 13
    assert server.recv(100) == b"one two three"


@pytest.mark.parametrize("stream", [0, 5])
def test_sendmsg_with_sndinfo(make4, stream):
    client, server = make4.pair()
    info = s.SndInfo(stream, c.SCTP_UNORDERED, 77, 0, 0)
    client.sendmsg([b"x"], [(SCTP, c.SCTP_SNDINFO, info)])
    message = data_from(server)
    assert (message.stream, message.ppid, message.unordered) == (stream, 77, True)


def test_sendmsg_with_the_deprecated_structure(make4):
    client, server = make4.pair()
    client.sendmsg([b"x"], [(SCTP, c.SCTP_SNDRCV, s.SndRcvInfo(stream=4, ppid=9, timetolive=5000))])
    message = data_from(server)
    assert (message.stream, message.ppid) == (4, 9)


def test_sendmsg_with_partial_reliability(make4):
    client, server = make4.pair()
    items = [(SCTP, c.SCTP_SNDINFO, s.SndInfo(1)), (SCTP, c.SCTP_PRINFO, s.PrInfo(c.SCTP_PR_SCTP_TTL, 5000))]
    client.sendmsg([b"x"], items)
    assert data_from(server).stream == 1


def test_sendmsg_to_an_address(make):
    server = make.listener(socket.SOCK_SEQPACKET)
    client = make.many()
    client.sendmsg([b"hello"], [], 0, server.getsockname())
    assert data_from(server).data == b"hello"


def test_sendmsg_with_init_parameters(make4):
    server = make4.listener(socket.SOCK_SEQPACKET)
    client = make4.many()
    client.sendmsg([b"x"], [(SCTP, c.SCTP_INIT, s.InitMsg(num_ostreams=21))], 0, server.getsockname())
    message = data_from(server)
    assert server.opt_info(message.assoc_id, c.SCTP_STATUS).instrms == 21


def arrived(client):
    """Wait until all that was sent has arrived."""
    while get(client, c.SCTP_STATUS).unackdata:
        time.sleep(0.01)


def test_init_parameters_of_a_message_are_for_its_association_only(make4):
    """Regression: they stayed with the socket."""
    server, client = make4.listener(socket.SOCK_SEQPACKET), make4.many()
    before = get(client, c.SCTP_INITMSG)
    client.sendmsg([b"x"], [(SCTP, c.SCTP_INIT, s.InitMsg(num_ostreams=21))], 0, server.getsockname())
    assert get(client, c.SCTP_INITMSG) == before


def test_accepted_sockets_tell_the_next_message(make4):
    """Regression: the kernel's accepted sockets did not, though their listener was asked to."""
    listener = make4.listener()
    sctp(listener, c.SCTP_RECVNXTINFO, True)
    client = make4.one()
    client.connect(listener.getsockname())
    server = make4.accept(listener)
    client.send(b"a")
    client.send_message(b"bb", stream=1, ppid=7)
    arrived(client)
    _, found, _, _ = server.recvmsg(100)
    ((_, type_, following),) = found
    assert type_ == c.SCTP_NXTINFO
    assert (following.sid, following.ppid, following.length) == (1, 7, 2)


@pytest.mark.parametrize("extended", [False, True])
def test_deprecated_descriptions_of_messages(make4, extended):
    """SCTP_SNDRCV, and SCTP_EXTRCV with the next message (sections 5.3.2 and 5.3.3)."""
    client, server = make4.pair()
    assert get(server, c.SCTP_USE_EXT_RCVINFO) is False
    sctp(server, c.SCTP_EVENTS, s.EventSubscribe(data_io=True))
    sctp(server, c.SCTP_USE_EXT_RCVINFO, extended)
    assert get(server, c.SCTP_USE_EXT_RCVINFO) is extended and get(server, c.SCTP_RECVNXTINFO) is False
    client.send_message(b"first", stream=1, ppid=5)
    client.send_message(b"second", stream=2, ppid=6, unordered=True)
    arrived(client)
    data, [(_, type_, info)], flags, _ = server.recvmsg(100)
    assert data == b"first" and (info.stream, info.ppid) == (1, 5)
    assert type_ == (c.SCTP_EXTRCV if extended else c.SCTP_SNDRCV)
    if extended:
        known = c.SCTP_NEXT_MSG_AVAIL | c.SCTP_NEXT_MSG_IS_UNORDERED
        assert info.next_flags & ~c.SCTP_NEXT_MSG_ISCOMPLETE == known
        assert (info.next_stream, info.next_ppid, info.next_length) == (2, 6, 6)
    _, [(_, _, info)], _, _ = server.recvmsg(100)
    assert (info.stream, info.flags & c.SCTP_UNORDERED) == (2, c.SCTP_UNORDERED)
    assert not extended or info.next_flags == 0


@pytest.mark.parametrize(
    ("item", "error"),
    [
        ((SCTP, c.SCTP_SNDINFO, s.PrInfo()), TypeError),
        ((SCTP, c.SCTP_PRINFO, 5), TypeError),
        ((SCTP, c.SCTP_RCVINFO, s.RcvInfo()), ValueError),
        ((socket.SOL_SOCKET, 1, b""), ValueError),
        ((SCTP, 99, b""), ValueError),
    ],
)
def test_ancillary_data_that_cannot_be_sent(make4, item, error):
    client, _ = make4.pair()
    with pytest.raises(error):
        client.sendmsg([b"x"], [item])


@pytest.mark.parametrize(
    "info",
    [
        None,
        s.SndInfo(3, 0, 5),
        s.PrInfo(c.SCTP_PR_SCTP_TTL, 5000),
        s.SendvSpa(s.SndInfo(3, 0, 5), s.PrInfo(c.SCTP_PR_SCTP_TTL, 5000)),
    ],
)
def test_sendv(make4, info):
    client, server = make4.pair()
    assert client.sendv([b"a", b"b"], info=info) == 2
    message = data_from(server)
    assert message.data == b"ab"
    if not isinstance(info, s.PrInfo) and info is not None:
        assert (message.stream, message.ppid) == (3, 5)


def test_sendv_sets_up_with_addresses(make):
    server = make.listener(socket.SOCK_SEQPACKET)
    client = make.many()
    client.sendv([b"via sendv"], [server.getsockname()], s.SndInfo(2))
    message = data_from(server)
    assert message.data == b"via sendv" and message.stream == 2


def test_sendv_of_something_else(make4):
    client, _ = make4.pair()
    with pytest.raises(TypeError):
        client.sendv([b"x"], info=s.RtoInfo())


def test_recvmsg_without_options_gives_no_information(make):
    client, server = make.pair()
    client.send(b"x")
    data, ancillary, flags, address = server.recvmsg(100)
    assert (data, ancillary, flags & c.MSG_EOR) == (b"x", [], c.MSG_EOR)
    assert address[1] == client.getsockname()[1]


def test_recvmsg_with_rcvinfo(make4):
    client, server = make4.pair()
    sctp(server, c.SCTP_RECVRCVINFO, True)
    client.send_message(b"x", stream=6, ppid=66, unordered=True)
    _, [(level, type_, info)], _, _ = server.recvmsg(100)
    assert (level, type_) == (SCTP, c.SCTP_RCVINFO)
    assert (info.sid, info.ppid, info.flags & c.SCTP_UNORDERED) == (6, 66, c.SCTP_UNORDERED)
    assert info.tsn and info.assoc_id


def test_recvv_without_options(make4):
    client, server = make4.pair()
    client.send(b"x")
    result = server.recvv(100)
    assert (result.data, result.info, result.infotype) == (b"x", None, c.SCTP_RECVV_NOINFO)


def test_recvv_with_rcvinfo(make4):
    client, server = make4.pair()
    sctp(server, c.SCTP_RECVRCVINFO, True)
    client.send_message(b"x", stream=1)
    result = server.recvv(100)
    assert result.infotype == c.SCTP_RECVV_RCVINFO and result.info.sid == 1


def _two_waiting(make4, server, client):
    client.send_message(b"first", stream=1, ppid=1)
    client.send_message(b"second one", stream=2, ppid=2)
    client.send_message(b"third", stream=3, ppid=3)
    client.shutdown(socket.SHUT_WR)
    assert client.recv(10) == b""  # by then everything has arrived


def test_recvv_with_the_next_message(make4):
    client, server = make4.pair()
    sctp(server, c.SCTP_RECVNXTINFO, True)
    _two_waiting(make4, server, client)
    result = server.recvv(100)
    assert result.infotype == c.SCTP_RECVV_NXTINFO
    assert (result.info.sid, result.info.ppid, result.info.length) == (2, 2, 10)


def test_recvv_with_both(make4):
    client, server = make4.pair()
    sctp(server, c.SCTP_RECVRCVINFO, True)
    sctp(server, c.SCTP_RECVNXTINFO, True)
    _two_waiting(make4, server, client)
    result = server.recvv(100)
    assert result.infotype == c.SCTP_RECVV_RN
    assert (result.info.rcvinfo.sid, result.info.nxtinfo.sid) == (1, 2)


def test_default_parameters_of_sending(make4):
    client, server = make4.pair()
    sctp(client, c.SCTP_DEFAULT_SNDINFO, s.SndInfo(7, c.SCTP_UNORDERED, 70))
    assert get(client, c.SCTP_DEFAULT_SNDINFO).sid == 7
    client.send(b"by default")
    message = data_from(server)
    assert (message.stream, message.ppid, message.unordered) == (7, 70, True)


def test_explicit_parameters_win_over_defaults(make4):
    client, server = make4.pair()
    sctp(client, c.SCTP_DEFAULT_SNDINFO, s.SndInfo(7, 0, 70))
    client.sendv([b"x"], info=s.SndInfo(1, 0, 10))
    assert data_from(server).stream == 1


def test_the_deprecated_default(make4):
    client, server = make4.pair()
    sctp(client, c.SCTP_DEFAULT_SEND_PARAM, s.SndRcvInfo(stream=8, ppid=80))
    assert get(client, c.SCTP_DEFAULT_SEND_PARAM).stream == 8
    client.send(b"x")
    assert (data_from(server).stream) == 8


def test_a_default_for_a_stream_that_is_not_there(make4):
    client, _ = make4.pair()
    sctp(client, c.SCTP_DEFAULT_SNDINFO, s.SndInfo(999))
    with pytest.raises(OSError) as caught:
        client.send(b"x")
    assert caught.value.errno == errno.EINVAL


def test_default_lifetime(make4):
    client, server = make4.pair()
    sctp(client, c.SCTP_DEFAULT_PRINFO, s.DefaultPrInfo(0, 5000, c.SCTP_PR_SCTP_TTL))
    assert get(client, c.SCTP_DEFAULT_PRINFO).value == 5000
    client.send(b"x")
    assert data_from(server).data == b"x"


def test_notifications_come_through_recvmsg(make4):
    server = make4.listener(socket.SOCK_SEQPACKET)
    server.subscribe(c.SCTP_ASSOC_CHANGE)
    client = make4.many()
    client.sendto(b"x", server.getsockname())
    data, _, flags, _ = server.recvmsg(1000)
    assert flags & c.MSG_NOTIFICATION and isinstance(data, AssocChange)


def test_recv_skips_notifications(make4):
    server = make4.listener(socket.SOCK_SEQPACKET)
    server.subscribe(c.SCTP_ASSOC_CHANGE, c.SCTP_PEER_ADDR_CHANGE)
    client = make4.many()
    client.sendto(b"x", server.getsockname())
    assert server.recv(100) == b"x"
    client.sendto(b"y", server.getsockname())
    assert server.recvfrom(100)[0] == b"y"


def test_recv_message_gives_notifications(make4):
    server = make4.listener(socket.SOCK_SEQPACKET)
    server.subscribe(c.SCTP_ASSOC_CHANGE)
    client = make4.many()
    client.sendto(b"x", server.getsockname())
    assert isinstance(server.recv_message(), Notification)
