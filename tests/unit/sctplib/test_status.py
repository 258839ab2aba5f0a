"""Status of associations and paths, and setting it."""

import pytest

from pysctplib.sctplib import (
    SCTP_AssociationStatus,
    SCTP_PathStatus,
    sctp_getAssocStatus,
    sctp_getPathStatus,
    sctp_send,
    sctp_setAssocStatus,
    sctp_setPathStatus,
    sctp_shutdown,
)
from pysctplib.sctplib import constants as c

from .world import LOCAL, User, pair, pump


def test_status_of_an_association(lib):
    server, client = User(in_streams=6, myRwnd=50_000), User(in_streams=7)
    server, here, client, there = pair(server, client)
    code, status = sctp_getAssocStatus(there)
    assert code == c.SCTP_SUCCESS
    assert (status.state, status.numberOfAddresses) == (c.SCTP_ESTABLISHED, 1)
    assert (status.primaryDestinationAddress, status.primaryAddressIndex) == (LOCAL, 0)
    assert (status.sourcePort, status.destPort) == (client.port, server.port)
    assert (status.outStreams, status.inStreams) == (6, 7)
    assert status.currentReceiverWindowSize == 50_000
    assert (status.rtoInitial, status.rtoMin, status.rtoMax, status.delay) == (1000, 1000, 60000, 200)
    sctp_send(here, 0, b"unread")
    pump(lambda: client.told("dataArriveNotif"))
    assert sctp_getAssocStatus(there)[1].noOfChunksInReceptionQueue == 1


def test_status_of_unacknowledged_data(with_peer):
    _, association, _ = with_peer
    sctp_send(association, 0, bytes(100))
    _, status = sctp_getAssocStatus(association)
    assert (status.noOfChunksInRetransmissionQueue, status.outstandingBytes) == (1, 116)


def test_states(lib, make_peer):
    silent = make_peer()
    user = User(remoteUdpPort=silent.udp_port)
    association = user.connect(silent.port)
    assert sctp_getAssocStatus(association)[1].state == c.SCTP_COOKIE_WAIT
    _, _, _, there = pair()
    sctp_shutdown(there)
    assert sctp_getAssocStatus(there)[1].state == c.SCTP_SHUTDOWN_SENT
    assert sctp_getAssocStatus(99) == (c.SCTP_ASSOC_NOT_FOUND, None)


def test_read_change_write_back(lib):
    _, _, _, there = pair()
    _, status = sctp_getAssocStatus(there)
    status.rtoInitial, status.rtoMin, status.rtoMax = 300, 200, 900
    status.assocMaxRetransmits, status.pathMaxRetransmits, status.maxInitRetransmits = 4, 2, 3
    status.validCookieLife, status.myRwnd, status.delay, status.maxSendQueue = 7000, 100_000, 50, 9
    assert sctp_setAssocStatus(there, status) == c.SCTP_SUCCESS
    assert sctp_getAssocStatus(there) == (c.SCTP_SUCCESS, status)


@pytest.mark.parametrize(
    "values",
    [{"rtoMin": 70_000}, {"primaryAddressIndex": 1}, {"maxSendQueue": -1}, {"delay": 600}, {"myRwnd": 0}],
)
def test_bad_values_change_nothing(lib, values):
    _, _, _, there = pair()
    _, status = sctp_getAssocStatus(there)
    for name, value in values.items():
        setattr(status, name, value)
    status.assocMaxRetransmits = 3
    assert sctp_setAssocStatus(there, status) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_getAssocStatus(there)[1].assocMaxRetransmits == 10
    assert sctp_setAssocStatus(99, SCTP_AssociationStatus()) == c.SCTP_ASSOC_NOT_FOUND


def test_the_retransmission_timeout_obeys_a_new_minimum(lib):
    server, here, client, there = pair(User(delay=1))
    _, status = sctp_getAssocStatus(there)
    status.rtoMin = status.rtoInitial = 300
    sctp_setAssocStatus(there, status)
    sctp_send(there, 0, b"x")
    pump(lambda: sctp_getAssocStatus(there)[1].noOfChunksInRetransmissionQueue == 0)
    assert sctp_getPathStatus(there, 0)[1].rto == 300


def test_status_of_a_path(lib):
    _, _, _, there = pair()
    code, status = sctp_getPathStatus(there, c.SCTP_USE_PRIMARY)
    assert code == c.SCTP_SUCCESS
    assert (status.destinationAddress, status.state, status.cwnd2) == (LOCAL, c.SCTP_PATH_OK, 0)
    assert status.heartbeatIntervall == 30_000
    assert status.mtu >= 1280
    assert status.cwnd >= status.mtu - 100
    assert status.outstandingBytesPerAddress == 0
    assert sctp_getPathStatus(there, 1) == (c.SCTP_PARAMETER_PROBLEM, None)
    assert sctp_getPathStatus(99, 0) == (c.SCTP_ASSOC_NOT_FOUND, None)


def test_no_path_status_before_it_is_up(lib, make_peer):
    silent = make_peer()
    user = User(remoteUdpPort=silent.udp_port)
    assert sctp_getPathStatus(user.connect(silent.port), 0) == (c.SCTP_ASSOC_NOT_FOUND, None)


def test_path_status_cannot_be_set(lib):
    _, _, _, there = pair()
    assert sctp_setPathStatus(there, 0, SCTP_PathStatus()) == c.SCTP_UNSPECIFIED_ERROR
    assert sctp_setPathStatus(there, 1, SCTP_PathStatus()) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_setPathStatus(99, 0, SCTP_PathStatus()) == c.SCTP_ASSOC_NOT_FOUND
