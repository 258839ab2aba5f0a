"""One-to-one sockets: set-up, messages, ends (RFC 6458 section 4)."""

import errno
import socket

import pytest

from pysocketapi import SctpSocket
from pysocketapi import constants as c
from pysocketapi import structures as s

from .support import TRANSPORT, data_from, get, sctp

SIZES = [1, 2, 3, 4, 5, 63, 64, 1000, 1024, 1451, 1452, 1453, 4096, 16384, 40000, 65535]


@pytest.mark.parametrize("size", SIZES)
def test_a_message_arrives_whole_and_unchanged(make, size):
    client, server = make.pair()
    data = bytes(i * 7 & 255 for i in range(size))
    assert client.send(data) == size
    assert data_from(server).data == data


def test_boundaries_and_order_are_kept(make):
    client, server = make.pair()
    for i in range(50):
        client.send(b"%d" % i * (i + 1))
    assert [data_from(server).data for _ in range(50)] == [b"%d" % i * (i + 1) for i in range(50)]


def test_both_directions(make):
    client, server = make.pair()
    for i in range(20):
        client.send(b"ping%d" % i)
        assert server.recv(100) == b"ping%d" % i
        server.send(b"pong%d" % i)
        assert client.recv(100) == b"pong%d" % i


def test_addresses_of_both_ends(make):
    listener = make.listener()
    client = make.one()
    client.connect(listener.getsockname())
    server, address = listener.accept()
    make.made.append(server)
    assert client.getpeername() == listener.getsockname()
    assert address[1] == client.getsockname()[1]
    assert server.getpeername()[1] == client.getsockname()[1]
    assert (make.host, client.getpeername()[1]) in client.getpaddrs()


def test_shutdown_gives_the_peer_an_end_after_the_data(make):
    client, server = make.pair()
    client.send(b"last words")
    client.shutdown(socket.SHUT_WR)
    assert server.recv(100) == b"last words"
    assert server.recv(100) == b""
    assert client.recv(100) == b""


def test_close_delivers_what_was_sent(make):
    client, server = make.pair()
    for i in range(100):
        client.send(b"%d" % i)
    client.close()
    assert [server.recv(10) for _ in range(100)] == [b"%d" % i for i in range(100)]
    assert server.recv(10) == b""


def test_eof_flag_ends_gracefully(make):
    client, server = make.pair()
    client.send_message(b"bye", flags=c.SCTP_EOF)
    assert server.recv(10) == b"bye"
    assert server.recv(10) == b""


def test_abort_flag_resets_the_peer(make):
    client, server = make.pair()
    client.send_message(b"because", flags=c.SCTP_ABORT)
    with pytest.raises(ConnectionResetError):
        server.recv(10)


def test_linger_of_zero_seconds_aborts_on_close(make):
    client, server = make.pair()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (True, 0))
    client.close()
    with pytest.raises(ConnectionResetError):
        server.recv(10)


def test_after_the_reset_there_is_an_end(make):
    client, server = make.pair()
    client.abort()
    with pytest.raises(ConnectionResetError):
        server.recv(10)
    assert server.recv(10) == b""


def test_data_before_an_abort_can_still_be_read_or_is_cut_off_by_the_reset(make):
    client, server = make.pair()
    client.send(b"one")
    assert server.recv(10) == b"one"
    client.abort(reason=b"enough")
    with pytest.raises(ConnectionResetError):
        server.recv(10)


def test_a_long_message_is_read_in_parts(make):
    client, server = make.pair()
    data = bytes(range(256)) * 20
    client.send(data)
    parts, flags = [], 0
    while not flags & c.MSG_EOR:
        part, _, flags, _ = server.recvmsg(1000)
        assert len(part) <= 1000
        parts.append(part)
    assert b"".join(parts) == data and len(parts) == 6


def test_peek_leaves_the_message(make):
    client, server = make.pair()
    client.send(b"look")
    assert server.recv(2, c.MSG_PEEK) == b"lo"
    assert server.recv(10, c.MSG_PEEK) == b"look"
    assert server.recv(10) == b"look"


def test_recv_into_and_recvfrom_into(make):
    client, server = make.pair()
    client.send(b"abc")
    client.send(b"defg")
    buffer = bytearray(10)
    assert server.recv_into(buffer) == 3 and buffer[:3] == b"abc"
    count, address = server.recvfrom_into(buffer, 4)
    assert count == 4 and buffer[:4] == b"defg" and address[1] == client.getsockname()[1]


def test_several_clients_at_one_listener(make):
    listener = make.listener()
    clients = []
    for i in range(8):
        client = make.one()
        client.connect(listener.getsockname())
        client.send(b"%d" % i)
        clients.append(client)
    servers = [make.accept(listener) for _ in clients]
    assert sorted(server.recv(10) for server in servers) == [b"%d" % i for i in range(8)]


def test_accepted_sockets_outlive_the_listener(make):
    listener = make.listener()
    client = make.one()
    client.connect(listener.getsockname())
    server = make.accept(listener)
    listener.close()
    client.send(b"still there")
    assert server.recv(100) == b"still there"


def test_a_port_can_be_listened_at_again_after_close(make):
    listener = make.listener()
    address = listener.getsockname()
    listener.close()
    again = make.one()
    again.bind(address)
    again.listen()
    client = make.one()
    client.connect(address)
    assert make.accept(again).getsockname()[1] == address[1]


def test_a_bound_client_keeps_its_port(make):
    listener = make.listener()
    client = make.one()
    client.bind((make.host, 0))
    port = client.getsockname()[1]
    client.connect(listener.getsockname())
    assert make.accept(listener).getpeername()[1] == port


def test_context_manager_closes(make):
    listener = make.listener()
    with SctpSocket(make.family, transport=TRANSPORT) as sock:
        assert sock.fileno() >= 0
    assert sock.fileno() == -1
    assert listener.fileno() >= 0


def test_closing_twice_is_harmless(make):
    sock = make.one()
    sock.close()
    sock.close()


def test_streams_are_negotiated(make4):
    def streams(sock):
        sctp(sock, c.SCTP_INITMSG, s.InitMsg(num_ostreams=7, max_instreams=5))

    client, server = make4.pair(streams)
    assert get(client, c.SCTP_STATUS).outstrms == 7
    assert get(server, c.SCTP_STATUS).instrms == 7
    assert get(client, c.SCTP_STATUS).instrms <= 5


@pytest.mark.parametrize("stream", [0, 1, 9])
@pytest.mark.parametrize("ppid", [0, 11, 0x12345678, 0xFFFFFFFF])
def test_stream_and_ppid_arrive_in_host_order(make4, stream, ppid):
    client, server = make4.pair()
    client.send_message(b"x", stream=stream, ppid=ppid)
    message = data_from(server)
    assert (message.stream, message.ppid, message.unordered) == (stream, ppid, False)


@pytest.mark.parametrize("unordered", [False, True])
def test_the_unordered_flag_arrives(make, unordered):
    client, server = make.pair()
    client.send_message(b"x", unordered=unordered)
    assert data_from(server).unordered is unordered


def test_sequence_numbers_count_per_stream(make4):
    client, server = make4.pair()
    for stream in (1, 2, 1, 2, 1):
        client.send_message(b"x", stream=stream)
    got = [data_from(server) for _ in range(5)]
    assert [(m.stream, m.ssn) for m in got] == [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2)]
    assert [(m.tsn - got[0].tsn) & 0xFFFFFFFF for m in got] == [0, 1, 2, 3, 4]


def test_a_lifetime_does_no_harm_when_there_is_no_loss(make4):
    client, server = make4.pair()
    client.send_message(b"soon", lifetime=5.0)
    assert data_from(server).data == b"soon"


def test_many_megabytes_with_back_pressure(make4):
    import threading

    client, server = make4.pair()
    data = bytes(range(256)) * 64
    total = 300

    def feed():
        for _ in range(total):
            client.send(data)
        client.shutdown(socket.SHUT_WR)

    feeder = threading.Thread(target=feed)
    feeder.start()
    got = 0
    while (message := server.recv_message()) is not None:
        assert message.data == data
        got += 1
    feeder.join()
    assert got == total


@pytest.mark.feature("unread-data-close")
def test_unread_data_is_no_reason_to_abort(make4):
    client, server = make4.pair()
    client.send(b"never read")
    server.send(b"answer")
    assert client.recv(10) == b"answer"
    server.close()
    assert client.recv(10) == b""


def test_explicit_end_of_record(make):
    client, server = make.pair()
    sctp(client, c.SCTP_EXPLICIT_EOR, True)
    client.send(b"one ")
    client.send(b"two ")
    client.send(b"three", c.MSG_EOR)
    assert data_from(server).data == b"one two three"
    client.sendv([b"four"], info=s.SndInfo(flags=c.SCTP_EOR))
    assert data_from(server).data == b"four"


def test_the_last_part_of_a_record_can_be_sent_again(make4):
    """Regression: a last part for which there was no room took the parts before it along."""
    client, server = make4.pair()
    client.setblocking(False)
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            client.send(bytes(5000))
            sent += 1
    sctp(client, c.SCTP_EXPLICIT_EOR, True)
    client.send_message(b"one ", stream=1)
    with pytest.raises(BlockingIOError):
        client.send_message(b"t" * 5000, stream=1, flags=c.SCTP_EOR)
    for _ in range(sent):
        assert server.recv(5000)
    client.settimeout(20)
    client.send_message(b"two", stream=1, flags=c.SCTP_EOR)
    assert data_from(server).data == b"one two"


def test_parts_of_a_record_fit_into_the_send_buffer(make4):
    client, _ = make4.pair()
    sctp(client, c.SCTP_EXPLICIT_EOR, True)
    size = client.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
    client.send(bytes(size))
    with pytest.raises(OSError) as caught:
        client.send(b"x")
    assert caught.value.errno == errno.EMSGSIZE


def test_records_to_several_peers_do_not_mix(make4):
    """Regression: parts were told apart by stream only where peers were given by address."""
    servers = [make4.listener(socket.SOCK_SEQPACKET) for _ in range(2)]
    client = make4.many()
    sctp(client, c.SCTP_EXPLICIT_EOR, True)
    for i, flags in ((0, 0), (1, 0), (0, c.MSG_EOR), (1, c.MSG_EOR)):
        client.sendto(b"for %d " % i, flags, servers[i].getsockname())
    assert [data_from(server).data for server in servers] == [b"for 0 for 0 ", b"for 1 for 1 "]


@pytest.mark.feature("detach")
def test_detach_gives_the_descriptor_away(make4):
    import os

    sock = make4.one()
    fd = sock.detach()
    assert fd >= 0 and sock.fileno() == -1
    os.close(fd)


@pytest.mark.feature("no-detach")
def test_detach_says_that_it_cannot(make4):
    sock = make4.one()
    with pytest.raises(OSError) as caught:
        sock.detach()
    assert caught.value.errno == errno.EOPNOTSUPP
