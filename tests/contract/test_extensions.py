"""Options and notifications of extensions, where a backend speaks them: RFC 4895, 5061, 6525, 7496, 7829, 8260."""

import errno
import socket

import pytest

from pysocketapi import constants as c
from pysocketapi import notifications as n
from pysocketapi import structures as s
from pysocketapi.options import OPTIONS

from .support import data_from, get, notification_from, sctp

FIRST, SECOND = "127.0.0.1", "127.0.0.2"
FEATURES = {
    "asconf": [c.SCTP_AUTO_ASCONF, c.SCTP_ASCONF_SUPPORTED],
    "auth": [c.SCTP_HMAC_IDENT, c.SCTP_AUTH_SUPPORTED],
    "ecn": [c.SCTP_ECN_SUPPORTED],
    "reconfig": [c.SCTP_RECONFIG_SUPPORTED, c.SCTP_ENABLE_STREAM_RESET],
    "interleaving": [c.SCTP_INTERLEAVING_SUPPORTED],
    "stream-scheduler": [c.SCTP_STREAM_SCHEDULER],
    "pf": [c.SCTP_EXPOSE_POTENTIALLY_FAILED_STATE, c.SCTP_PEER_ADDR_THLDS],
    "plpmtud": [c.SCTP_PLPMTUD_PROBE_INTERVAL],
    "reuse-port": [c.SCTP_REUSE_PORT],
}


@pytest.mark.parametrize(
    ("feature", "option"),
    [
        pytest.param(feature, option, marks=pytest.mark.feature(feature), id=OPTIONS[option].name)
        for feature, options in FEATURES.items()
        for option in options
    ],
)
def test_options_of_extensions(make4, feature, option):
    sock = make4.one()
    assert isinstance(get(sock, option), OPTIONS[option].type)


@pytest.mark.parametrize("option", [c.SCTP_ACCEPT_ZERO_CHECKSUM])
def test_options_that_no_backend_has(make4, option):
    with pytest.raises(OSError) as caught:
        get(make4.one(), option)
    assert caught.value.errno == errno.ENOPROTOOPT


@pytest.mark.feature("stream-scheduler")
@pytest.mark.parametrize("scheduler", [c.SCTP_SS_FCFS, c.SCTP_SS_PRIO, c.SCTP_SS_RR])
def test_stream_schedulers(make4, scheduler):
    client, _ = make4.pair()
    sctp(client, c.SCTP_STREAM_SCHEDULER, s.AssocValue(0, scheduler))
    assert get(client, c.SCTP_STREAM_SCHEDULER).value == scheduler


@pytest.mark.feature("stream-scheduler")
def test_the_priority_of_a_stream(make4):
    client, _ = make4.pair()
    sctp(client, c.SCTP_STREAM_SCHEDULER, s.AssocValue(0, c.SCTP_SS_PRIO))
    sctp(client, c.SCTP_STREAM_SCHEDULER_VALUE, s.StreamValue(0, 3, 7))
    got = get(client, c.SCTP_STREAM_SCHEDULER_VALUE, s.StreamValue(stream_id=3))
    assert (got.stream_id, got.stream_value) == (3, 7)


def _with_keys(sock):
    sctp(sock, c.SCTP_AUTH_CHUNK, s.AuthChunk(0))
    sctp(sock, c.SCTP_AUTH_KEY, s.AuthKey(0, 1, b"secret"))


@pytest.mark.feature("auth")
def test_authentication_keys(make4):
    client, _ = make4.pair(_with_keys)
    sctp(client, c.SCTP_AUTH_KEY, s.AuthKey(0, 2, b"another"))
    sctp(client, c.SCTP_AUTH_ACTIVE_KEY, s.AuthKeyId(0, 2))
    assert get(client, c.SCTP_AUTH_ACTIVE_KEY).keynumber == 2
    assert c.SCTP_AUTH_HMAC_ID_SHA1 in get(client, c.SCTP_HMAC_IDENT).idents
    assert 0 in get(client, c.SCTP_LOCAL_AUTH_CHUNKS).chunks


@pytest.mark.feature("auth")
def test_a_key_is_chosen_deactivated_and_deleted(make4):
    listener = make4.listener()
    _with_keys(listener)
    client = make4.one()
    _with_keys(client)
    client.connect(listener.getsockname())
    server = make4.accept(listener)
    assert 0 in get(client, c.SCTP_PEER_AUTH_CHUNKS).chunks
    client.sendv([b"signed"], info=s.SendvSpa(s.SndInfo(1), None, s.AuthInfo(1)))
    assert data_from(server).data == b"signed"
    client.sendmsg([b"again"], [(c.IPPROTO_SCTP, c.SCTP_AUTHINFO, s.AuthInfo(1))])
    assert data_from(server).data == b"again"
    client.subscribe(c.SCTP_AUTHENTICATION_EVENT)
    sctp(client, c.SCTP_AUTH_KEY, s.AuthKey(0, 2, b"another"))
    sctp(client, c.SCTP_AUTH_DEACTIVATE_KEY, s.AuthKeyId(0, 2))
    assert notification_from(client, n.AuthenticationEvent).keynumber == 2
    sctp(client, c.SCTP_AUTH_DELETE_KEY, s.AuthKeyId(0, 2))
    with pytest.raises(OSError):
        sctp(client, c.SCTP_AUTH_ACTIVE_KEY, s.AuthKeyId(0, 2))


def _reconfigurable(make):
    """Return a pair whose two ends allow all of RFC 6525."""
    enable = c.SCTP_ENABLE_RESET_STREAM_REQ | c.SCTP_ENABLE_RESET_ASSOC_REQ | c.SCTP_ENABLE_CHANGE_ASSOC_REQ
    listener, client = make.listener(), make.one()
    for sock in (listener, client):
        sctp(sock, c.SCTP_ENABLE_STREAM_RESET, s.AssocValue(0, enable))
    client.connect(listener.getsockname())
    return client, make.accept(listener)


@pytest.mark.feature("reconfig")
def test_streams_can_be_added(make4):
    client, server = _reconfigurable(make4)
    server.subscribe(c.SCTP_STREAM_CHANGE_EVENT)
    before = get(client, c.SCTP_STATUS).outstrms
    sctp(client, c.SCTP_ADD_STREAMS, s.AddStreams(0, 0, 5))
    assert notification_from(server, n.StreamChangeEvent)
    assert get(client, c.SCTP_STATUS).outstrms == before + 5


@pytest.mark.feature("reconfig")
def test_a_stream_can_be_reset(make4):
    client, server = _reconfigurable(make4)
    client.send_message(b"x", stream=2)
    assert data_from(server).ssn == 0
    server.subscribe(c.SCTP_STREAM_RESET_EVENT)
    sctp(client, c.SCTP_RESET_STREAMS, s.ResetStreams(0, c.SCTP_STREAM_RESET_OUTGOING, (2,)))
    event = notification_from(server, n.StreamResetEvent)
    assert event.flags & c.SCTP_STREAM_RESET_INCOMING_SSN and 2 in event.streams
    client.send_message(b"y", stream=2)
    assert data_from(server).ssn == 0


@pytest.mark.feature("reconfig")
def test_an_association_can_be_reset(make4):
    client, server = _reconfigurable(make4)
    server.subscribe(c.SCTP_ASSOC_RESET_EVENT)
    sctp(client, c.SCTP_RESET_ASSOC, 0)
    assert notification_from(server, n.AssocResetEvent)
    client.send(b"goes on")
    assert server.recv(100) == b"goes on"


def test_partial_reliability_is_agreed_upon_unless_switched_off(make4):
    client, server = make4.pair()
    assert get(client, c.SCTP_PR_SUPPORTED).value == get(server, c.SCTP_PR_SUPPORTED).value == 1
    client, server = make4.pair(lambda sock: sctp(sock, c.SCTP_PR_SUPPORTED, s.AssocValue(0, 0)))
    assert get(client, c.SCTP_PR_SUPPORTED).value == get(server, c.SCTP_PR_SUPPORTED).value == 0
    client.send_message(b"goes", lifetime=5.0)
    assert server.recv(100) == b"goes"


@pytest.mark.feature("pr-policies")
@pytest.mark.parametrize("policy", [c.SCTP_PR_SCTP_TTL, c.SCTP_PR_SCTP_RTX, c.SCTP_PR_SCTP_PRIO])
def test_messages_given_up_are_counted(make4, policy):
    client, server = make4.pair()
    client.sendv([b"kept"], info=s.PrInfo(policy, 5000))
    assert server.recv(100) == b"kept"
    for option in (c.SCTP_PR_ASSOC_STATUS, c.SCTP_PR_STREAM_STATUS):
        got = get(client, option, s.PrStatus(policy=policy))
        assert (got.policy, got.abandoned_sent, got.abandoned_unsent) == (policy, 0, 0)


@pytest.mark.feature("pf")
def test_thresholds_of_a_path(make4):
    client, _ = make4.pair()
    path = client.getpeername()
    sctp(client, c.SCTP_PEER_ADDR_THLDS, s.PaddrThlds(0, path, 6, 2))
    got = get(client, c.SCTP_PEER_ADDR_THLDS, s.PaddrThlds(address=path))
    assert (got.pathmaxrxt, got.pathpfthld, got.pathcpthld) == (6, 2, 65535)
    sctp(client, c.SCTP_PEER_ADDR_THLDS, s.PaddrThlds(0, path, 6, 2, 4))
    assert get(client, c.SCTP_PEER_ADDR_THLDS, s.PaddrThlds(address=path)).pathcpthld == 4


@pytest.mark.feature("asconf")
def test_addresses_come_and_go_while_there_is_an_association(make4):
    server = make4.listener(socket.SOCK_SEQPACKET)
    server.subscribe(c.SCTP_PEER_ADDR_CHANGE)
    client = make4.many()
    client.bind((FIRST, 0))
    port = client.getsockname()[1]
    assoc_id = client.connectx([server.getsockname()])
    client.send_message(b"x", assoc_id=assoc_id)
    server_id = data_from(server).assoc_id
    client.bindx([(SECOND, port)])
    assert notification_from(server, n.PeerAddrChange, state=c.SCTP_ADDR_ADDED).address == (SECOND, port)
    assert sorted(host for host, _ in server.getpaddrs(server_id)) == [FIRST, SECOND]
    sctp(client, c.SCTP_SET_PEER_PRIMARY_ADDR, s.SetPeerPrim(assoc_id, (SECOND, port)))
    notification_from(server, n.PeerAddrChange, state=c.SCTP_ADDR_MADE_PRIM)
    assert get(server, c.SCTP_PRIMARY_ADDR, s.SetPrim(server_id)).addr == (SECOND, port)
    client.bindx([(FIRST, port)], c.SCTP_BINDX_REM_ADDR)
    assert notification_from(server, n.PeerAddrChange, state=c.SCTP_ADDR_REMOVED).address == (FIRST, port)


@pytest.mark.feature("no-asconf")
def test_addresses_stay_while_there_is_an_association(make4):
    client, _ = make4.pair(lambda sock: sock.bind((FIRST, 0)))
    with pytest.raises(OSError) as caught:
        client.bindx([(SECOND, client.getsockname()[1])])
    assert caught.value.errno == errno.EOPNOTSUPP
