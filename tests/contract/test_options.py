"""Socket options: what is set is got, on the socket and on associations (RFC 6458 section 8)."""

import dataclasses
import errno
import socket

import pytest

from pysocketapi import constants as c
from pysocketapi import structures as s
from pysocketapi.options import OPTIONS

from .support import data_from, get, sctp

MANY = socket.SOCK_SEQPACKET

# Option, value to set, fields that must come back.
ROUND_TRIPS = [
    (c.SCTP_RTOINFO, s.RtoInfo(0, 800, 9000, 400), ("initial", "max", "min")),
    (c.SCTP_ASSOCINFO, s.AssocParams(0, 7, cookie_life=30000), ("asocmaxrxt", "cookie_life")),
    (
        c.SCTP_INITMSG,
        s.InitMsg(12, 34, 5, 6000),
        ("num_ostreams", "max_instreams", "max_attempts", "max_init_timeo"),
    ),
    (c.SCTP_ADAPTATION_LAYER, s.SetAdaptation(99), ("adaptation_ind",)),
    (c.SCTP_MAXSEG, s.AssocValue(0, 900), ("value",)),
    (c.SCTP_MAX_BURST, s.AssocValue(0, 9), ("value",)),
    (c.SCTP_CONTEXT, s.AssocValue(0, 12345), ("value",)),
    (c.SCTP_DELAYED_SACK, s.SackInfo(0, 120, 3), ("delay", "freq")),
    (c.SCTP_DEFAULT_SNDINFO, s.SndInfo(3, 0, 44, 5), ("sid", "ppid", "context")),
    (c.SCTP_DEFAULT_SEND_PARAM, s.SndRcvInfo(stream=3, ppid=44, context=5), ("stream", "ppid", "context")),
    (c.SCTP_DEFAULT_PRINFO, s.DefaultPrInfo(0, 700, c.SCTP_PR_SCTP_TTL), ("value", "policy")),
    (
        c.SCTP_PEER_ADDR_PARAMS,
        s.PaddrParams(hbinterval=4000, pathmaxrxt=3, flags=c.SPP_HB_ENABLE),
        ("hbinterval", "pathmaxrxt"),
    ),
    (c.SCTP_REMOTE_UDP_ENCAPS_PORT, s.UdpEncaps(port=9899), ("port",)),
]
PLAIN = [
    (c.SCTP_NODELAY, True),
    (c.SCTP_NODELAY, False),
    (c.SCTP_DISABLE_FRAGMENTS, True),
    (c.SCTP_FRAGMENT_INTERLEAVE, 0),
    (c.SCTP_FRAGMENT_INTERLEAVE, 1),
    (c.SCTP_PARTIAL_DELIVERY_POINT, 8000),
    (c.SCTP_I_WANT_MAPPED_V4_ADDR, True),
    (c.SCTP_RECVRCVINFO, True),
    (c.SCTP_RECVNXTINFO, True),
]
OF_ASSOCIATIONS = [
    row
    for row in ROUND_TRIPS
    if row[0] not in (c.SCTP_INITMSG, c.SCTP_ADAPTATION_LAYER) and hasattr(row[1], "assoc_id")
]


def name_of(value):
    return OPTIONS[value].name if isinstance(value, int) and value in OPTIONS else None


@pytest.mark.parametrize("style", [socket.SOCK_STREAM, MANY])
@pytest.mark.parametrize(("option", "value", "names"), ROUND_TRIPS, ids=name_of)
def test_what_is_set_is_got(make4, style, option, value, names):
    sock = make4.new(style)
    sctp(sock, option, value)
    got = get(sock, option)
    assert {name: getattr(got, name) for name in names} == {name: getattr(value, name) for name in names}


@pytest.mark.parametrize("style", [socket.SOCK_STREAM, MANY])
@pytest.mark.parametrize(("option", "value"), PLAIN)
def test_plain_options(make4, style, option, value):
    sock = make4.new(style)
    sctp(sock, option, value)
    assert get(sock, option) == value


@pytest.mark.parametrize(("option", "value", "names"), OF_ASSOCIATIONS, ids=name_of)
def test_options_of_one_association(make4, option, value, names):
    client, _, client_id, _ = make4.many_pair()
    sctp(client, option, dataclasses.replace(value, assoc_id=client_id))
    got = client.opt_info(client_id, option)
    assert {name: getattr(got, name) for name in names} == {name: getattr(value, name) for name in names}


@pytest.mark.parametrize("seconds", [0, 5])
def test_autoclose_is_for_one_to_many(make4, seconds):
    sock = make4.many()
    sctp(sock, c.SCTP_AUTOCLOSE, seconds)
    assert get(sock, c.SCTP_AUTOCLOSE) == seconds
    with pytest.raises(OSError) as caught:
        sctp(make4.one(), c.SCTP_AUTOCLOSE, seconds)
    assert caught.value.errno == errno.EOPNOTSUPP


def test_zeros_keep_values(make4):
    sock = make4.one()
    sctp(sock, c.SCTP_RTOINFO, s.RtoInfo(0, 0, 0, 500))
    sctp(sock, c.SCTP_RTOINFO, s.RtoInfo(0, 2000, 0, 0))
    info = get(sock, c.SCTP_RTOINFO)
    assert (info.initial, info.min, info.max) == (2000, 500, 60000)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (c.SCTP_RTOINFO, s.RtoInfo(0, 100, 50, 200)),
        (c.SCTP_PEER_ADDR_PARAMS, s.PaddrParams(flags=c.SPP_HB_ENABLE | c.SPP_HB_DISABLE)),
        (c.SCTP_DELAYED_SACK, s.SackInfo(0, 600, 2)),
        (c.SCTP_DEFAULT_PRINFO, s.DefaultPrInfo(0, 1, 0x70)),
        (c.SCTP_RTOINFO, s.RtoInfo(0, -1, 0, 0)),
    ],
)
def test_values_out_of_range(make4, option, value):
    with pytest.raises(OSError) as caught:
        sctp(make4.one(), option, value)
    assert caught.value.errno == errno.EINVAL


def test_accepted_sockets_inherit(make4):
    listener = make4.listener()
    sctp(listener, c.SCTP_RTOINFO, s.RtoInfo(0, 0, 0, 300))
    client = make4.one()
    client.connect(listener.getsockname())
    assert get(make4.accept(listener), c.SCTP_RTOINFO).min == 300


def test_set_before_the_set_up_counts(make4):
    client, _ = make4.pair(lambda sock: sctp(sock, c.SCTP_RTOINFO, s.RtoInfo(0, 1500, 7000, 600)))
    info = get(client, c.SCTP_RTOINFO)
    assert (info.initial, info.max, info.min) == (1500, 7000, 600)


def test_status(make):
    client, server = make.pair()
    status = get(client, c.SCTP_STATUS)
    assert status.state == c.SCTP_ESTABLISHED
    assert status.rwnd > 0 and status.unackdata == 0
    assert status.instrms == get(server, c.SCTP_STATUS).outstrms
    assert status.fragmentation_point >= 512
    assert status.primary.address == client.getpeername()


def test_information_about_a_peer_address(make):
    client, _ = make.pair()
    info = get(client, c.SCTP_GET_PEER_ADDR_INFO, s.PaddrInfo(address=client.getpeername()))
    assert info.state == c.SCTP_ACTIVE and info.mtu >= 1280 and info.rto >= 0


def test_information_about_a_foreign_address(make4):
    client, _ = make4.pair()
    with pytest.raises(OSError) as caught:
        get(client, c.SCTP_GET_PEER_ADDR_INFO, s.PaddrInfo(address=("192.0.2.9", 9)))
    assert caught.value.errno == errno.EINVAL


def test_primary_address(make):
    client, _ = make.pair()
    assert get(client, c.SCTP_PRIMARY_ADDR).addr == client.getpeername()
    sctp(client, c.SCTP_PRIMARY_ADDR, s.SetPrim(0, client.getpeername()))
    assert get(client, c.SCTP_PRIMARY_ADDR).addr == client.getpeername()


def test_primary_address_that_is_not_the_peers(make4):
    client, _ = make4.pair()
    with pytest.raises(OSError) as caught:
        sctp(client, c.SCTP_PRIMARY_ADDR, s.SetPrim(0, ("192.0.2.9", client.getpeername()[1])))
    assert caught.value.errno == errno.EINVAL


def test_heartbeats_of_one_path(make):
    client, _ = make.pair()
    path = client.getpeername()
    sctp(client, c.SCTP_PEER_ADDR_PARAMS, s.PaddrParams(0, path, 12000, 4, flags=c.SPP_HB_ENABLE))
    got = get(client, c.SCTP_PEER_ADDR_PARAMS, s.PaddrParams(address=path))
    assert (got.hbinterval, got.pathmaxrxt) == (12000, 4) and got.flags & c.SPP_HB_ENABLE
    sctp(client, c.SCTP_PEER_ADDR_PARAMS, s.PaddrParams(0, path, flags=c.SPP_HB_DISABLE))
    assert get(client, c.SCTP_PEER_ADDR_PARAMS, s.PaddrParams(address=path)).flags & c.SPP_HB_DISABLE


def test_a_heartbeat_on_demand(make4):
    client, server = make4.pair()
    sctp(client, c.SCTP_PEER_ADDR_PARAMS, s.PaddrParams(0, client.getpeername(), flags=c.SPP_HB_DEMAND))
    client.send(b"still fine")
    assert server.recv(100) == b"still fine"


@pytest.mark.parametrize("option", [socket.SO_SNDBUF, socket.SO_RCVBUF])
def test_buffers(make4, option):
    sock = make4.one()
    sock.setsockopt(socket.SOL_SOCKET, option, 50_000)
    assert sock.getsockopt(socket.SOL_SOCKET, option) >= 50_000


def test_general_options(make4):
    sock = make4.many()
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == MANY
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    assert (sock.family, sock.type, sock.proto) == (socket.AF_INET, MANY, 132)


def test_contexts_are_an_associations_own(make4):
    """Regression: userland had one context for all associations of a socket."""
    server = make4.listener(MANY)
    clients = [make4.one() for _ in range(2)]
    ids = []
    for client in clients:
        client.connect(server.getsockname())
        client.send(b"x")
        ids.append(data_from(server).assoc_id)
    sctp(server, c.SCTP_CONTEXT, s.AssocValue(ids[0], 11))
    sctp(server, c.SCTP_CONTEXT, s.AssocValue(c.SCTP_FUTURE_ASSOC, 22))
    assert [server.opt_info(i, c.SCTP_CONTEXT).value for i in (*ids, 0)] == [11, 0, 22]
    got = {}
    for client in clients:
        client.send(b"y")
        message = data_from(server)
        got[message.assoc_id] = message.context
    assert got == {ids[0]: 11, ids[1]: 0}
    late = make4.one()
    late.connect(server.getsockname())
    late.send(b"z")
    assert data_from(server).context == 22


@pytest.mark.parametrize(
    ("option", "value", "field"),
    [
        (c.SCTP_DEFAULT_SNDINFO, s.SndInfo(5), "sid"),
        (c.SCTP_DEFAULT_SEND_PARAM, s.SndRcvInfo(stream=5), "stream"),
        (c.SCTP_DEFAULT_PRINFO, s.DefaultPrInfo(0, 900, c.SCTP_PR_SCTP_TTL), "value"),
    ],
    ids=name_of,
)
def test_defaults_of_one_association_are_not_the_sockets(make4, option, value, field):
    """Regression: userland kept them for the whole socket."""
    client, _, client_id, _ = make4.many_pair()
    value.assoc_id = client_id
    sctp(client, option, value)
    assert getattr(client.opt_info(client_id, option), field) == getattr(value, field)
    assert getattr(client.opt_info(0, option), field) == 0


@pytest.mark.feature("udp-port")
def test_the_remote_udp_port_of_a_path(make4):
    from .support import UDP_PORT

    client, _ = make4.pair()
    got = get(client, c.SCTP_REMOTE_UDP_ENCAPS_PORT, s.UdpEncaps(0, client.getpeername()))
    assert got.port == UDP_PORT
