"""Associations: set-up, end, restart, loss, deletion, and their callbacks."""

import pytest

from pysctplib.core import events
from pysctplib.sctplib import (
    SCTP_ulpCallbacks,
    sctp_abort,
    sctp_associate,
    sctp_associatex,
    sctp_changeHeartBeat,
    sctp_deleteAssociation,
    sctp_getAssocStatus,
    sctp_getInstanceID,
    sctp_getInstancePort,
    sctp_getLocalAddress,
    sctp_getNumberOfLocalAddresses,
    sctp_getPathStatus,
    sctp_getPrimary,
    sctp_getSrttReport,
    sctp_getUdpPort,
    sctp_receive,
    sctp_registerInstance,
    sctp_requestHeartbeat,
    sctp_send,
    sctp_sendRawData,
    sctp_setFailureThreshold,
    sctp_setPrimary,
    sctp_shutdown,
    sctp_unregisterInstance,
)
from pysctplib.sctplib import constants as c
from pysctplib.sctplib.library import library
from pysctplib.wire import chunks, packet

from .world import LOCAL, User, pair, pump


def test_up_on_both_sides(lib):
    server, client = User(in_streams=5, out_streams=6), User(in_streams=4)
    server.replies["communicationUpNotif"] = lambda *args: "server's"
    there = sctp_associate(client.instance, 3, LOCAL, server.port, "client's")
    assert (there, client.log) == (1, [])  # nothing is called from within a call
    pump(lambda: server.told("communicationUpNotif") and client.told("communicationUpNotif"))
    here = server.told("communicationUpNotif")[0][0]
    assert here == 2
    # id, status, paths, streams in and out, PR-SCTP, ulp_data
    assert client.told("communicationUpNotif") == [(1, c.SCTP_COMM_UP_RECEIVED_COOKIE_ACK, 1, 4, 3, 0, "client's")]
    assert server.told("communicationUpNotif") == [(2, c.SCTP_COMM_UP_RECEIVED_VALID_COOKIE, 1, 3, 4, 0, None)]
    assert client.told("networkStatusChangeNotif") == [(1, 0, c.SCTP_PATH_OK, "client's")]
    assert server.told("networkStatusChangeNotif") == [(2, 0, c.SCTP_PATH_OK, "server's")]
    assert sctp_getInstanceID(here) == (0, server.instance)
    assert sctp_getInstanceID(99) == (1, 0)


@pytest.mark.parametrize(
    ("address", "port", "streams"),
    [(LOCAL, 0, 1), (LOCAL, 65536, 1), ("nowhere", 7, 1), (LOCAL, 7, 0), ("", 7, 1)],
)
def test_associate_refuses(lib, address, port, streams):
    assert sctp_associate(User().instance, streams, address, port, None) == 0


def test_associate_needs_an_instance_and_addresses(lib):
    assert sctp_associate(77, 1, LOCAL, 7, None) == 0
    assert sctp_associatex(User().instance, 1, [], 1, 7, None) == 0


def test_only_one_association_with_a_peer(lib):
    server, _, client, _ = pair()
    assert sctp_associate(client.instance, 1, LOCAL, server.port, None) == 0


def test_several_addresses_make_several_paths(lib, make_peer):
    user = User(addresses=("0.0.0.0",))
    server = User(addresses=("0.0.0.0",))
    association = sctp_associatex(user.instance, 2, [LOCAL, "127.0.0.2"], 2, server.port, None)
    pump(lambda: user.told("communicationUpNotif"))
    code, status = sctp_getAssocStatus(association)
    assert (code, status.primaryDestinationAddress, sctp_getPrimary(association)) == (0, LOCAL, 0)


def test_graceful_shutdown_is_told_to_both(lib):
    server, here, client, there = pair()
    assert sctp_shutdown(there) == c.SCTP_SUCCESS
    pump(lambda: server.told("shutdownCompleteNotif") and client.told("shutdownCompleteNotif"))
    assert server.told("peerShutdownReceivedNotif") == [(here, None)]
    assert client.told("shutdownCompleteNotif") == [(there, "client")]
    assert client.told("communicationLostNotif") == []
    assert sctp_shutdown(there) == c.SCTP_ASSOC_NOT_FOUND


def test_shutdown_before_it_is_up_aborts(lib, make_peer):
    silent = make_peer()
    user = User(remoteUdpPort=silent.udp_port)
    association = user.connect(silent.port)
    assert sctp_shutdown(association) == c.SCTP_SUCCESS
    pump(lambda: user.told("communicationLostNotif"))
    assert user.told("communicationLostNotif") == [(association, c.SCTP_COMM_LOST_ABORTED, None)]


def test_abort_is_told_from_the_loop(lib):
    server, here, client, there = pair()
    assert sctp_abort(there) == c.SCTP_SUCCESS
    assert client.told("communicationLostNotif") == []
    pump(lambda: server.told("communicationLostNotif") and client.told("communicationLostNotif"))
    assert client.told("communicationLostNotif") == [(there, c.SCTP_COMM_LOST_ABORTED, "client")]
    assert server.told("communicationLostNotif") == [(here, c.SCTP_COMM_LOST_ABORTED, None)]
    assert sctp_abort(there) == c.SCTP_ASSOC_NOT_FOUND


def test_an_ended_association_lives_until_it_is_deleted(lib):
    server, here, client, there = pair()
    assert sctp_deleteAssociation(there) == c.SCTP_SPECIFIC_FUNCTION_ERROR
    sctp_abort(there)
    assert sctp_deleteAssociation(there) == c.SCTP_SPECIFIC_FUNCTION_ERROR  # its end was not told yet
    pump(lambda: client.told("communicationLostNotif"))
    assert sctp_getInstanceID(there) == (0, client.instance)
    assert sctp_send(there, 0, b"x") == c.SCTP_ASSOC_NOT_FOUND
    assert sctp_deleteAssociation(there) == c.SCTP_SUCCESS
    assert sctp_deleteAssociation(there) == c.SCTP_ASSOC_NOT_FOUND
    assert sctp_getInstanceID(there) == (1, 0)


def test_names_of_deleted_associations_are_not_used_again(lib):
    server, here, client, there = pair()
    client.replies["communicationLostNotif"] = lambda association, *_: sctp_deleteAssociation(association)
    sctp_abort(there)
    pump(lambda: client.told("communicationLostNotif") and server.told("communicationLostNotif"))
    assert client.connect(server.port) == max(here, there) + 1


def test_a_peer_without_listener_refuses(lib, make_peer):
    peer = make_peer()
    user = User(remoteUdpPort=peer.udp_port)
    association = user.connect(peer.port % 65535 + 1)
    pump(lambda: user.told("communicationLostNotif"), peer=peer)
    assert user.told("communicationLostNotif") == [(association, c.SCTP_COMM_LOST_ABORTED, None)]


def test_a_silent_peer_is_given_up(lib, make_peer):
    peer = make_peer()
    user = User(remoteUdpPort=peer.udp_port, rtoInitial=10, rtoMin=5, rtoMax=20, maxInitRetransmits=2)
    association = user.connect(peer.port)
    pump(lambda: user.told("communicationLostNotif"))
    expected = [(association, c.SCTP_COMM_LOST_EXCEEDED_RETRANSMISSIONS, None)]
    assert user.told("communicationLostNotif") == expected


def test_a_peer_that_falls_silent_is_lost(with_peer):
    user, association, _ = with_peer
    assert sctp_send(association, 0, b"is anybody there?") == c.SCTP_SUCCESS
    pump(lambda: user.told("communicationLostNotif"))
    assert user.told("communicationLostNotif")[0][1] == c.SCTP_COMM_LOST_EXCEEDED_RETRANSMISSIONS


def test_a_peer_whose_paths_all_failed_is_unreachable(with_peer):
    user, association, _ = with_peer
    assert sctp_setFailureThreshold(association, 1) == c.SCTP_SUCCESS
    assert sctp_send(association, 0, b"is anybody there?") == c.SCTP_SUCCESS
    pump(lambda: user.told("communicationLostNotif"))
    assert user.told("networkStatusChangeNotif")[-1][:3] == (association, 0, c.SCTP_PATH_UNREACHABLE)
    assert user.told("communicationLostNotif")[0][1] == c.SCTP_COMM_LOST_ENDPOINT_UNREACHABLE


def test_a_peers_restart(lib, make_peer):
    server = User()
    peer = make_peer()
    peer.connect(server.port, sctp_getUdpPort())
    pump(lambda: server.told("communicationUpNotif"), peer=peer)
    association = server.told("communicationUpNotif")[0][0]
    peer.close()
    again = make_peer(sctp_port=peer.port, udp_port=peer.udp_port)
    server.replies["communicationUpNotif"] = lambda *args: "new"
    again.connect(server.port, sctp_getUdpPort())
    pump(lambda: again.seen(events.CommunicationUp), peer=again)
    assert server.told("restartNotif") == [(association, None)]
    last = server.told("communicationUpNotif")[-1]
    assert last[:2] == (association, c.SCTP_COMM_UP_RECEIVED_COOKIE_RESTART)
    sctp_shutdown(association)
    pump(lambda: server.told("shutdownCompleteNotif"), peer=again)
    assert server.told("shutdownCompleteNotif") == [(association, "new")]


def test_callbacks_are_optional(lib):
    client = User()
    bare = sctp_registerInstance(0, 10, 10, [LOCAL], SCTP_ulpCallbacks())
    association = client.connect(sctp_getInstancePort(bare))
    pump(lambda: client.told("communicationUpNotif"))
    assert sctp_send(association, 0, b"nobody listens") == 0
    assert sctp_send(association, 99, b"nobody listens") == c.SCTP_PARAMETER_PROBLEM
    sctp_shutdown(association)
    pump(lambda: client.told("shutdownCompleteNotif"))


def test_error_chunks_of_the_peer_are_told(with_peer):
    user, association, peer = with_peer
    bad = packet.chunk(chunks.ERROR, 0, b"\0\1\0\10\0\7\0\0")  # invalid stream identifier 7
    peer.association.control.append(bad)
    peer.association.touch()
    pump(lambda: user.told("communicationErrorNotif"), peer=peer)
    assert user.told("communicationErrorNotif") == [(association, 1, None)]


def test_many_instances_and_associations_in_one_process(lib):
    """Every client instance with every server instance; all echo, all end, nothing is left."""
    servers, clients = [User() for _ in range(10)], [User() for _ in range(20)]

    def echo(association, stream, length, ssn, tsn, ppid, *_):
        assert sctp_send(association, stream, sctp_receive(association, stream, length)[1], ppid) == 0

    def ask(association, *rest):
        assert sctp_send(association, association % 10, b"%d" % association, association) == 0
        return rest[-1]

    def compare(association, stream, length, ssn, tsn, ppid, unordered, ulp_data):
        data = sctp_receive(association, stream, length)[1]
        assert (data, stream, ppid) == (b"%d" % association, association % 10, association)
        sctp_shutdown(association)

    for user in servers:
        user.replies["dataArriveNotif"] = echo
    for user in clients:
        user.replies["communicationUpNotif"] = ask
        user.replies["dataArriveNotif"] = compare
    for user in (*servers, *clients):
        user.replies["shutdownCompleteNotif"] = lambda association, *_: sctp_deleteAssociation(association)
    names = [client.connect(server.port) for client in clients for server in servers]
    assert len(set(names)) == 200
    everybody = (*servers, *clients)
    pump(lambda: sum(len(user.told("shutdownCompleteNotif")) for user in everybody) == 400, 30)
    assert [sctp_unregisterInstance(user.instance) for user in everybody] == [0] * 30


# Paths


def test_primary_path(lib):
    _, _, _, there = pair()
    assert sctp_getPrimary(there) == 0
    assert sctp_setPrimary(there, 0) == c.SCTP_SUCCESS
    assert sctp_setPrimary(there, 1) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_setPrimary(there, -2) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_setPrimary(99, 0) == sctp_getPrimary(99) == c.SCTP_ASSOC_NOT_FOUND


def test_primary_path_needs_an_established_association(lib, make_peer):
    silent = make_peer()
    user = User(remoteUdpPort=silent.udp_port)
    assert sctp_setPrimary(user.connect(silent.port), 0) == c.SCTP_SPECIFIC_FUNCTION_ERROR


def test_a_requested_heartbeat_measures_the_rtt(with_peer):
    _, association, peer = with_peer
    before = len(peer.events)
    assert sctp_requestHeartbeat(association, c.SCTP_USE_PRIMARY) == c.SCTP_SUCCESS
    path = peer.association.engine.counters.in_packets
    pump(lambda: peer.association.engine.counters.in_packets > path, peer=peer)
    pump(
        lambda: sctp_getPathStatus(association, 0)[1].srtt > 0 or sctp_getSrttReport(association, 0) == 0,
        peer=peer,
    )
    assert sctp_getSrttReport(association, 0) == sctp_getPathStatus(association, 0)[1].srtt >= 0
    assert len(peer.events) == before
    assert sctp_requestHeartbeat(association, 5) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_getSrttReport(association, 5) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_requestHeartbeat(99, 0) == sctp_getSrttReport(99, 0) == c.SCTP_ASSOC_NOT_FOUND


def test_heartbeats_can_be_turned_on_and_off(with_peer):
    user, association, peer = with_peer
    assert sctp_changeHeartBeat(association, 0, c.SCTP_HEARTBEAT_ON, 10) == c.SCTP_SUCCESS
    counters = peer.stack.engine.counters
    start = counters.in_packets
    pump(lambda: counters.in_packets >= start + 3, peer=peer)
    assert sctp_getPathStatus(association, 0)[1].heartbeatIntervall == 10
    assert sctp_changeHeartBeat(association, 0, c.SCTP_HEARTBEAT_OFF, 10) == c.SCTP_SUCCESS
    assert sctp_getPathStatus(association, 0)[1].heartbeatIntervall == 0
    assert sctp_changeHeartBeat(association, 0, 7, 10) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_changeHeartBeat(association, 3, c.SCTP_HEARTBEAT_ON, 10) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_changeHeartBeat(99, 0, c.SCTP_HEARTBEAT_ON, 10) == c.SCTP_ASSOC_NOT_FOUND


def test_heartbeats_need_an_association_that_is_up(lib, make_peer):
    silent = make_peer()
    user = User(remoteUdpPort=silent.udp_port)
    association = user.connect(silent.port)
    assert sctp_changeHeartBeat(association, 0, c.SCTP_HEARTBEAT_ON, 10) == c.SCTP_MODULE_NOT_FOUND
    assert sctp_requestHeartbeat(association, 0) == c.SCTP_MODULE_NOT_FOUND


def test_failure_threshold(lib):
    _, _, _, there = pair()
    assert sctp_setFailureThreshold(there, 3) == c.SCTP_SUCCESS
    assert sctp_getAssocStatus(there)[1].pathMaxRetransmits == 3
    assert sctp_setFailureThreshold(there, -1) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_setFailureThreshold(99, 3) == c.SCTP_ASSOC_NOT_FOUND


def test_local_addresses(lib):
    _, _, _, there = pair()
    assert sctp_getNumberOfLocalAddresses(there) == 1
    assert sctp_getLocalAddress(there, 0) == LOCAL
    assert sctp_getLocalAddress(there, 1) is None
    assert sctp_getLocalAddress(99, 0) is None
    assert sctp_getNumberOfLocalAddresses(99) == c.SCTP_ASSOC_NOT_FOUND


def test_local_addresses_of_a_wildcard_instance(lib):
    server, client = User(addresses=("0.0.0.0",)), User(addresses=("::",))
    _, _, _, there = pair(server, client)
    known = [sctp_getLocalAddress(there, k) for k in range(sctp_getNumberOfLocalAddresses(there))]
    assert LOCAL in known


def test_nothing_is_left_after_many_associations(lib):
    server, client = User(), User()
    for user in server, client:
        user.replies["communicationLostNotif"] = lambda association, *_: sctp_deleteAssociation(association)
    for count in range(1, 101):
        association = client.connect(server.port)
        pump(lambda: len(server.told("communicationUpNotif")) == count)
        sctp_abort(association)
        pump(lambda: len(server.told("communicationLostNotif")) == count)
    pump(lambda: len(client.told("communicationLostNotif")) == 100)
    assert association == 199
    state = library()
    assert (state.records, state.stack.engine.associations, len(state.pending)) == ({}, {}, 0)


def test_raw_packets(with_peer):
    _, association, peer = with_peer
    abort = packet.chunk(chunks.ABORT, 0, b"")
    assert sctp_sendRawData(association, 0, bytes(12)) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_sendRawData(association, 4, bytes(12) + abort) == c.SCTP_PARAMETER_PROBLEM
    assert sctp_sendRawData(99, 0, bytes(12) + abort) == c.SCTP_ASSOC_NOT_FOUND
    assert sctp_sendRawData(association, 0, bytes(12) + abort) == c.SCTP_SUCCESS
    pump(lambda: peer.seen(events.CommunicationLost), peer=peer)
