"""Sending and receiving: streams, pieces, peeking, queues, what is left over at the end."""

import pytest

from pysctplib.sctplib import (
    SCTP_LibraryParameters,
    sctp_abort,
    sctp_getAssocStatus,
    sctp_receive,
    sctp_receivefrom,
    sctp_receiveUnacked,
    sctp_receiveUnsent,
    sctp_send,
    sctp_send_private,
    sctp_setAssocStatus,
    sctp_setLibraryParameters,
    sctp_shutdown,
)
from pysctplib.sctplib import constants as c
from pysctplib.wire.chunks import BEGIN, END, UNORDERED

from .world import User, pair, pump


def arrived(user, count=1):
    return lambda: len(user.told("dataArriveNotif")) >= count


def test_a_message_arrives_with_all_that_is_said_about_it(lib):
    server, here, client, there = pair()
    assert sctp_send(there, 3, b"hello", 0xDEADBEEF, c.SCTP_USE_PRIMARY) == c.SCTP_SUCCESS
    pump(arrived(server))
    ((association, stream, length, ssn, tsn, ppid, unordered, ulp_data),) = server.told("dataArriveNotif")
    assert (association, stream, length, ssn, ppid, unordered) == (here, 3, 5, 0, 0xDEADBEEF, 0)
    assert 0 <= tsn <= 0xFFFFFFFF
    assert sctp_receivefrom(here, 3, 100) == (c.SCTP_SUCCESS, b"hello", ssn, tsn, 0)
    assert sctp_receivefrom(here, 3, 100) == (c.SCTP_NO_CHUNKS_IN_QUEUE, b"", 0, 0, 0)


def test_sctp_send_private_is_sctp_send(lib):
    server, here, client, there = pair()
    assert sctp_send_private(there, 0, b"x", 5) == c.SCTP_SUCCESS
    pump(arrived(server))
    assert sctp_receive(here, 0, 1)[:2] == (c.SCTP_SUCCESS, b"x")


def test_each_stream_has_its_own_queue(lib):
    server, here, client, there = pair()
    for stream, data in (1, b"a"), (2, b"b"), (1, b"c"):
        assert sctp_send(there, stream, data) == c.SCTP_SUCCESS
    pump(arrived(server, 3))
    assert [entry[1:4] for entry in server.told("dataArriveNotif")] == [(1, 1, 0), (2, 1, 0), (1, 1, 1)]
    assert sctp_receive(here, 2, 10)[1] == b"b"
    assert sctp_receive(here, 1, 10)[1:3] == (b"a", 0)
    assert sctp_receive(here, 1, 10)[1:3] == (b"c", 1)


def test_a_message_can_be_read_piece_by_piece_and_peeked(lib):
    server, here, client, there = pair()
    sctp_send(there, 0, b"abcdefg")
    sctp_send(there, 0, b"next")
    pump(arrived(server, 2))
    assert sctp_receive(here, 0, 3, c.SCTP_MSG_PEEK)[:2] == (0, b"abc")
    assert sctp_receive(here, 0, 100, c.SCTP_MSG_PEEK)[:2] == (0, b"abcdefg")
    assert sctp_receive(here, 0, 3)[:2] == (0, b"abc")
    assert sctp_receive(here, 0, 3)[:2] == (0, b"def")
    assert sctp_receive(here, 0, 3)[:2] == (0, b"g")  # never beyond the end of a message
    assert sctp_receive(here, 0, 3)[:2] == (0, b"nex")


@pytest.mark.parametrize("size", [1, 1399, 1400, 1401, 20_000, 300_000])
def test_sizes(lib, size):
    server, here, client, there = pair()
    data = bytes(k * 7 & 255 for k in range(size))
    assert sctp_send(there, 0, data) == c.SCTP_SUCCESS
    pump(arrived(server))
    assert server.told("dataArriveNotif")[0][2] == size
    assert sctp_receive(here, 0, size)[1] == data


def test_a_message_above_the_receive_window_arrives_whole(lib):
    server, client = User(myRwnd=100_000), User()
    server, here, client, there = pair(server, client)
    data = bytes(k * 11 & 255 for k in range(400_000))
    assert sctp_send(there, 0, data) == c.SCTP_SUCCESS
    assert sctp_send(there, 1, b"after") == c.SCTP_SUCCESS
    pump(arrived(server, 2))
    assert [entry[1:3] for entry in server.told("dataArriveNotif")] == [(0, 400_000), (1, 5)]
    assert sctp_receive(here, 0, 500_000)[1] == data
    assert sctp_receive(here, 1, 500_000)[1] == b"after"


def test_the_window_opens_as_the_user_reads(lib):
    server, client = User(myRwnd=20_000), User()
    server, here, client, there = pair(server, client)
    for number in range(30):
        assert sctp_send(there, 0, bytes([number]) * 1000) == c.SCTP_SUCCESS
    pump(lambda: sctp_getAssocStatus(there)[1].currentReceiverWindowSize < 2000)
    before = len(server.told("dataArriveNotif"))
    assert before < 30
    read = []

    def all_read():
        while (result := sctp_receive(here, 0, 10_000))[0] == c.SCTP_SUCCESS:
            read.append(result[1])
        return len(read) == 30

    pump(all_read)
    assert read == [bytes([number]) * 1000 for number in range(30)]


def test_unordered_unbundled_and_limited(lib):
    server, here, client, there = pair()
    unordered, alone = c.SCTP_UNORDERED_DELIVERY, c.SCTP_BUNDLING_DISABLED
    assert sctp_send(there, 0, b"u", 1, 0, c.SCTP_NO_CONTEXT, 5000, unordered, alone) == c.SCTP_SUCCESS
    assert sctp_send(there, 0, b"o", 1, 0, None, c.SCTP_NO_RETRANSMISSION) == c.SCTP_SUCCESS
    pump(arrived(server, 2))
    assert [entry[6] for entry in server.told("dataArriveNotif")] == [1, 0]


def test_a_stream_that_does_not_exist(lib):
    server, here, client, there = pair()
    context = object()
    assert sctp_send(there, 10, b"lost", 0, -1, context) == c.SCTP_PARAMETER_PROBLEM
    assert client.told("sendFailureNotif") == []
    pump(lambda: client.told("sendFailureNotif"))
    assert client.told("sendFailureNotif") == [(there, b"lost", context, "client")]


@pytest.mark.parametrize(
    "arguments", [(0, b""), (0, b"x", -1), (0, b"x", 1 << 32), (0, b"x", 0, 1), (0, b"x", 0, -2)]
)
def test_refused_arguments(lib, arguments):
    _, _, _, there = pair()
    assert sctp_send(there, *arguments) == c.SCTP_PARAMETER_PROBLEM


def test_buffers_of_any_kind_but_no_numbers(lib):
    server, here, client, there = pair()
    for buffer in b"abc", bytearray(b"abc"), memoryview(b"xabcx")[1:4]:
        assert sctp_send(there, 0, buffer) == c.SCTP_SUCCESS
    with pytest.raises(TypeError):
        sctp_send(there, 0, 5)  # bytes(5) would be five zeros
    pump(arrived(server, 3))
    assert [sctp_receive(here, 0, 10)[1] for _ in range(3)] == [b"abc"] * 3


def test_sending_in_the_wrong_state(lib, make_peer):
    silent = make_peer()
    user = User(remoteUdpPort=silent.udp_port)
    association = user.connect(silent.port)
    assert sctp_send(association, 0, b"x") == c.SCTP_MODULE_NOT_FOUND
    assert sctp_receive(association, 0, 1)[0] == c.SCTP_MODULE_NOT_FOUND
    server, here, client, there = pair()
    sctp_shutdown(there)
    assert sctp_send(there, 0, b"x") == c.SCTP_SPECIFIC_FUNCTION_ERROR
    assert sctp_send(99, 0, b"x") == c.SCTP_ASSOC_NOT_FOUND


@pytest.mark.parametrize("arguments", [(10, 1), (-1, 1), (0, 0), (0, -5), (0, 1, 4)])
def test_refused_reads(lib, arguments):
    _, here, _, _ = pair()
    assert sctp_receive(here, *arguments) == (c.SCTP_PARAMETER_PROBLEM, b"", 0, 0)
    assert sctp_receive(99, 0, 1)[0] == c.SCTP_ASSOC_NOT_FOUND


def test_what_arrived_can_be_read_after_the_end(lib):
    server, here, client, there = pair()
    sctp_send(there, 0, b"last words")
    sctp_shutdown(there)
    pump(lambda: server.told("shutdownCompleteNotif"))
    assert sctp_receive(here, 0, 4)[:2] == (0, b"last")
    assert sctp_receive(here, 0, 40)[:2] == (0, b" words")


def test_the_send_queue_has_a_limit_that_is_told(with_peer):
    user, association, peer = with_peer
    _, status = sctp_getAssocStatus(association)
    status.maxSendQueue = 3
    assert sctp_setAssocStatus(association, status) == c.SCTP_SUCCESS
    codes = [sctp_send(association, 0, bytes(1000)) for _ in range(500)]  # the peer does not answer
    accepted = codes.index(c.SCTP_QUEUE_EXCEEDED)
    assert set(codes[:accepted]) == {c.SCTP_SUCCESS}
    assert set(codes[accepted:]) == {c.SCTP_QUEUE_EXCEEDED}
    assert sctp_getAssocStatus(association)[1].noOfChunksInSendQueue == 3
    pump(lambda: len(user.told("queueStatusChangeNotif")) == 2, peer=peer)
    full, free = user.told("queueStatusChangeNotif")
    assert full[:4] == (association, c.SCTP_SEND_QUEUE, 0, 3)
    assert free[:3] == (association, c.SCTP_SEND_QUEUE, 0)
    assert free[3] < 3
    assert sctp_send(association, 0, b"again") == c.SCTP_SUCCESS


def test_all_messages_whose_lifetime_ends_are_told(with_peer):
    """With PR-SCTP also those that were sent; then there is nothing to fetch back."""
    user, association, _ = with_peer
    for number in range(400):
        assert sctp_send(association, 0, bytes(1000), 0, -1, number, 1) == c.SCTP_SUCCESS
    pump(lambda: user.told("communicationLostNotif"))
    assert sorted(context for _, _, context, _ in user.told("sendFailureNotif")) == list(range(400))
    assert sctp_receiveUnacked(association, 1000)[0] == c.SCTP_NO_CHUNKS_IN_QUEUE
    assert sctp_receiveUnsent(association, 1000)[0] == c.SCTP_NO_CHUNKS_IN_QUEUE


@pytest.fixture
def without_pr(lib):
    assert sctp_setLibraryParameters(SCTP_LibraryParameters(supportPRSCTP=0)) == c.SCTP_SUCCESS


def test_a_lifetime_ends_and_is_told(without_pr, with_peer):
    user, association, _ = with_peer
    for number in range(400):  # more than the first window; the peer does not answer
        assert sctp_send(association, 0, bytes(1000), 0, -1, number, 1) == c.SCTP_SUCCESS
    pump(lambda: user.told("communicationLostNotif"))
    failed = [context for _, _, context, _ in user.told("sendFailureNotif")]
    sent = 400 - len(failed)
    assert 0 < sent < 400
    assert failed == list(range(sent, 400))
    assert sctp_receiveUnacked(association, 1000)[0] == sent - 1
    assert sctp_receiveUnsent(association, 1000)[0] == c.SCTP_NO_CHUNKS_IN_QUEUE


def test_what_was_not_delivered_can_be_fetched_back(with_peer):
    user, association, _ = with_peer
    assert sctp_receiveUnsent(association, 10)[0] == c.SCTP_WRONG_STATE
    assert sctp_receiveUnacked(association, 10)[0] == c.SCTP_WRONG_STATE
    context = object()
    for number in range(400):  # more than the first window
        assert sctp_send(association, 1, bytes([number % 256]) * 1000, 42, -1, context) == c.SCTP_SUCCESS
    sctp_abort(association)
    pump(lambda: user.told("communicationLostNotif"))
    assert user.told("sendFailureNotif") == []
    assert sctp_receiveUnacked(association, 999)[0] == c.SCTP_BUFFER_TOO_SMALL
    found = []
    for fetch, sent in (sctp_receiveUnacked, True), (sctp_receiveUnsent, False):
        left = 1
        tsns = []
        while left:
            left, data, tsn, stream, ssn, ppid, flags, same = fetch(association, 1000)
            assert left >= 0
            assert (stream, ppid, flags, same is context) == (1, 42, BEGIN | END, True)
            assert ssn == (len(found) if sent else 0)
            found.append(data)
            tsns.append(tsn)
        assert tsns == [(tsns[0] + k) & 0xFFFFFFFF for k in range(len(tsns))] if sent else set(tsns) == {0}
        assert fetch(association, 1000)[0] == c.SCTP_NO_CHUNKS_IN_QUEUE
    assert found == [bytes([number % 256]) * 1000 for number in range(400)]
    assert sctp_receiveUnsent(99, 1)[0] == c.SCTP_ASSOC_NOT_FOUND
    assert sctp_receiveUnacked(99, 1)[0] == c.SCTP_ASSOC_NOT_FOUND


def test_the_rest_of_a_partly_sent_message_comes_back_with_its_flags(with_peer):
    user, association, peer = with_peer
    data = bytes(k & 255 for k in range(200_000))
    assert sctp_send(association, 0, data, 9, -1, None, c.SCTP_INFINITE_LIFETIME, 1) == c.SCTP_SUCCESS
    sctp_abort(association)
    pump(lambda: user.told("communicationLostNotif"))
    pieces = []
    left = 1
    while left:
        left, piece, _, _, _, _, flags, _ = sctp_receiveUnacked(association, 70_000)
        assert flags == UNORDERED | (0 if pieces else BEGIN)
        pieces.append(piece)
    left, rest, _, _, _, _, flags, _ = sctp_receiveUnsent(association, 200_000)
    assert (left, flags) == (0, UNORDERED | END)
    assert b"".join(pieces) + rest == data
