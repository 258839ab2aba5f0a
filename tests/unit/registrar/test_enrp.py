"""ENRP at the registrar (RFC 5353 §3, RSPLIB's rules)."""

import pytest

from rserpool.handlespace import checksum_of
from rserpool.registrar.actions import ENRP, Multicast
from rserpool.registrar.config import StaticPeer
from rserpool.wire import asap, enrp
from rserpool.wire.types import Policy
from tests.unit.registrar.kit import OWN, Kit, element, information

POOL = b"EchoPool"
PEER, OTHER = 0x200, 0x300


@pytest.fixture
def kit():
    """A registrar in normal operation."""
    kit = Kit()
    kit.run(5.5)
    kit.sent()
    return kit


def foreign(identifier, home=PEER, **more):
    return element(identifier, home=home, asap_transport=True, **more)


def add(kit, identifier, home=PEER, association=50, action=0, suggested=False, handle=POOL, **more):
    record = foreign(identifier, home, **more)
    kit.enrp(association, enrp.HandleUpdate(home, 0, action, handle, record, suggested))


# Start


def test_the_first_registrar_heard_becomes_the_mentor():
    kit = Kit()
    kit.multicast("10.0.0.2", enrp.Presence(PEER, 0, 0xFFFF, information(PEER)))
    presence = kit.one(enrp.Presence, "10.0.0.2")
    assert presence.reply_required and presence.receiver == PEER
    kit.one(enrp.ListRequest, "10.0.0.2")
    assert not kit.one(enrp.HandleTableRequest, "10.0.0.2").own_only
    kit.multicast("10.0.0.3", enrp.Presence(OTHER, 0, 0xFFFF, information(OTHER)))
    assert kit.sent(enrp.HandleTableRequest) == []
    kit.up(50, ENRP, "10.0.0.2", 9901)
    kit.enrp(50, enrp.HandleTableResponse(PEER, OWN, [(POOL, foreign(1))], more=True))
    assert kit.registrar.starting
    assert not kit.one(enrp.HandleTableRequest, 50).own_only
    kit.enrp(50, enrp.HandleTableResponse(PEER, OWN, [(POOL, foreign(2, OTHER))]))
    kit.run(0)
    assert not kit.registrar.starting and kit.space.size == 2
    kit.one(asap.ServerAnnounce)


def test_without_a_mentor_the_start_ends_after_a_while():
    kit = Kit()
    kit.run(4.9)
    assert kit.registrar.starting and not kit.sent(enrp.Presence)
    kit.run(0.2)
    assert not kit.registrar.starting
    assert [where for where, _ in kit.sent(enrp.Presence)] == ["group"]


def test_after_a_rejection_another_mentor_is_taken():
    kit = Kit()
    kit.meet(PEER, 50)
    assert kit.sent(enrp.HandleTableRequest, 50)
    kit.enrp(50, enrp.HandleTableResponse(PEER, OWN, reject=True))
    kit.meet(PEER, 50)
    assert not any(not m.own_only for _, m in kit.sent(enrp.HandleTableRequest, 50))
    kit.meet(OTHER, 51, "10.0.0.3")
    assert not kit.one(enrp.HandleTableRequest, 51).own_only


def test_a_static_peer_with_our_address_and_port_but_another_udp_port_is_another_registrar():
    """Regression: with UDP ports of their own, two registrars of a host may both have ENRP's port for TLS."""
    kit = Kit(peers=(StaticPeer(("10.0.0.1",), 20000, 5000), StaticPeer(("10.0.0.1",), 20000)))
    assert [peer.udp_port for peer in kit.registrar.state.statics] == [5000]


def test_static_peers_are_asked_at_once_and_get_their_identifier():
    kit = Kit(peers=(StaticPeer(("10.0.0.2",)), StaticPeer(("10.0.0.1",), 20000)))
    assert kit.one(enrp.Presence, "10.0.0.2").reply_required  # the other one is ourselves
    assert len(kit.registrar.state.statics) == 1
    kit.meet(PEER)
    assert list(kit.peers) == [PEER] and not kit.registrar.state.statics
    kit.run(20)
    assert not kit.peers and len(kit.registrar.state.statics) == 1
    kit.sent()
    kit.run(3)
    assert kit.one(enrp.Presence, "10.0.0.2").receiver == 0
    kit.lost(50, ENRP)
    kit.meet(OTHER, 52)
    assert list(kit.peers) == [OTHER]


# Presence


def test_presence_names_our_endpoint_and_checksum(kit):
    kit.up(1)
    kit.register(1, POOL, 7)
    kit.meet(PEER)
    presence = kit.one(enrp.Presence, 50)
    assert presence.sender == OWN and presence.checksum == checksum_of([(POOL, 7)])
    server = presence.information
    assert (server.identifier, server.transport.port, server.transport.addresses) == (OWN, 20000, ("10.0.0.1",))


def test_only_own_elements_count_in_the_checksum(kit):
    kit.meet(PEER)
    add(kit, 5)
    kit.sent()
    kit.meet(PEER, reply=True, checksum=checksum_of([(POOL, 5)]))
    assert kit.one(enrp.Presence, 50).checksum == 0xFFFF
    assert kit.sent(enrp.HandleTableRequest) == []


@pytest.mark.parametrize("loopback", [False, True])
def test_elements_of_this_host_count_for_peers_of_this_host_only(kit, loopback):
    kit.up(1, address="127.0.0.1")
    kit.register(1, POOL, 7, address="127.0.0.1")
    address = "127.0.0.1" if loopback else "10.0.0.2"
    kit.meet(PEER, address=address)
    presence = kit.one(enrp.Presence, 50)
    assert presence.checksum == (checksum_of([(POOL, 7)]) if loopback else 0xFFFF)
    assert ("127.0.0.1" in presence.information.transport.addresses) == loopback
    kit.register(1, POOL, 8, address="127.0.0.1")
    assert bool(kit.sent(enrp.HandleUpdate, 50)) == loopback
    kit.enrp(50, enrp.HandleTableRequest(PEER, OWN))
    assert len(kit.one(enrp.HandleTableResponse, 50).entries) == (2 if loopback else 0)


def test_two_registrars_of_one_host_agree_on_what_they_tell_a_third():
    # A and B are on one host, C elsewhere. An element that only this host can reach is registered at A.
    a = Kit(identifier=0xA)
    a.run(6)
    a.up(1, address="127.0.0.1")
    a.register(1, POOL, 7, address="127.0.0.1")
    a.up(2)
    a.register(2, POOL, 8)
    b = Kit(identifier=0xB)
    b.run(6)
    for kit, other in ((a, 0xB), (b, 0xA)):
        kit.meet(other, 60, "127.0.0.1", 20001)
        kit.meet(0xC, 61, "10.0.0.3")
    b.sent()
    a.register(1, POOL, 9, address="127.0.0.1")
    for _, update in a.sent(enrp.HandleUpdate, 60):
        b.enrp(60, update)
    a.enrp(60, enrp.HandleTableRequest(0xB, 0xA, own_only=True))
    b.sent()
    b.registrar.state.peers[0xA].synchronisation = None
    b.meet(0xA, 60, "127.0.0.1", 20001, checksum=1)
    b.enrp(60, a.one(enrp.HandleTableResponse, 60))
    assert b.space.checksum(0xA) == a.space.checksum(0xA)
    assert b.space.checksum(0xA, public=True) == a.space.checksum(0xA, public=True) == checksum_of([(POOL, 8)])
    # B, asked by C for everything, tells what A would have told.
    b.enrp(61, enrp.HandleTableRequest(0xC, 0xB))
    assert [record.identifier for _, record in b.one(enrp.HandleTableResponse, 61).entries] == [8]


@pytest.mark.parametrize("address, port", [("10.0.0.77", 9901), ("10.0.0.2", 9902)])
def test_presence_with_an_endpoint_of_somebody_else_is_dropped(kit, address, port):
    kit.up(50, ENRP, "10.0.0.2", 9901)
    kit.enrp(50, enrp.Presence(PEER, OWN, 0xFFFF, information(PEER, address, port)))
    assert not kit.peers and kit.sent() == []


def test_presence_with_our_own_identifier_is_ignored(kit):
    kit.meet(OWN)
    kit.multicast("10.0.0.1", enrp.Presence(OWN, 0, 0xFFFF, information(OWN)))
    assert not kit.peers


def test_multicast_takes_nothing_but_presence(kit):
    kit.multicast("10.0.0.2", enrp.ListRequest(PEER, 0))
    kit.registrar.receive_multicast("10.0.0.2", b"\x01", kit.now)
    assert not kit.peers and kit.registrar.statistics.dropped.total() == 2


def test_presences_go_to_the_group_and_to_every_peer(kit):
    kit.meet(PEER)
    kit.meet(OTHER, 51, "10.0.0.3")
    kit.sent()
    kit.run(2.9)
    assert sorted(str(where) for where, _ in kit.sent(enrp.Presence)) == ["50", "51", "group"]


def test_the_group_gets_no_loopback_address(kit):
    kit.log.clear()
    kit.run(3)
    action = next(a for a in kit.log if isinstance(a, Multicast) and a.endpoint == ENRP)
    assert enrp.decode(action.public).information.transport.addresses == ("10.0.0.1",)
    assert "127.0.0.1" in enrp.decode(action.data).information.transport.addresses


def test_forged_presences_do_not_fill_the_memory(kit):
    for i in range(2000):
        kit.multicast("10.0.0.2", enrp.Presence(0x1000 + i, 0, 0xFFFF, information(0x1000 + i, port=1 + i)))
    assert len(kit.peers) == 512


# Peer list


def test_lists_are_asked_once_and_greeted(kit):
    kit.meet(PEER)
    kit.one(enrp.ListRequest, 50)
    kit.sent()
    servers = [information(0, "10.0.0.9"), information(OWN), information(PEER), information(OTHER, "10.0.0.3")]
    kit.enrp(50, enrp.ListResponse(PEER, OWN, servers))
    assert [where for where, _ in kit.sent()] == ["10.0.0.3"]
    assert set(kit.peers) == {PEER, OTHER}
    kit.run(1)
    kit.meet(PEER)
    assert kit.sent(enrp.ListRequest) == []


def test_a_lost_list_request_is_repeated(kit):
    kit.meet(PEER)
    kit.one(enrp.ListRequest)
    kit.run(4)
    kit.meet(PEER)
    assert kit.sent(enrp.ListRequest) == []
    kit.run(2)
    kit.meet(PEER)
    kit.one(enrp.ListRequest)


def test_the_list_has_no_loopback_for_other_hosts(kit):
    kit.meet(PEER, 50, "127.0.0.1")
    kit.meet(OTHER, 51, "10.0.0.3")
    kit.enrp(51, enrp.ListRequest(OTHER, OWN))
    assert [s.identifier for s in kit.one(enrp.ListResponse, 51).servers] == [OTHER]
    kit.enrp(50, enrp.ListRequest(PEER, OWN))
    assert [s.identifier for s in kit.one(enrp.ListResponse, 50).servers] == [PEER, OTHER]


# Handle tables and audits


def fill(kit, n, handle=POOL):
    kit.up(1)
    for i in range(1, n + 1):
        kit.register(1, handle, i)


def test_strangers_get_no_table(kit):
    kit.up(50, ENRP, "10.0.0.2", 9901)
    kit.enrp(50, enrp.HandleTableRequest(PEER, OWN))
    response = kit.one(enrp.HandleTableResponse, 50)
    assert response.reject and not response.entries


def test_tables_come_in_portions(kit):
    fill(kit, 100)
    kit.meet(PEER)
    seen = []
    for _ in range(100):
        kit.enrp(50, enrp.HandleTableRequest(PEER, OWN, own_only=True))
        (action,) = [a for a in kit.log if getattr(a, "data", b"")[:1] == b"\x03"]
        assert len(action.data) <= 1400
        response = kit.one(enrp.HandleTableResponse, 50)
        seen += [record.identifier for _, record in response.entries]
        if not response.more:
            break
    assert seen == list(range(1, 101))
    kit.enrp(50, enrp.HandleTableRequest(PEER, OWN, own_only=True))
    assert kit.one(enrp.HandleTableResponse, 50).entries[0][1].identifier == 1


def test_tables_respect_the_element_limit():
    kit = Kit(max_table_items=3)
    kit.run(6)
    fill(kit, 7)
    kit.meet(PEER)
    portions = []
    for _ in range(3):
        kit.enrp(50, enrp.HandleTableRequest(PEER, OWN))
        response = kit.one(enrp.HandleTableResponse, 50)
        portions.append((len(response.entries), response.more))
    assert portions == [(3, True), (3, True), (1, False)]


def test_an_interrupted_download_begins_anew(kit):
    fill(kit, 100)
    kit.meet(PEER)
    kit.enrp(50, enrp.HandleTableRequest(PEER, OWN))
    assert kit.one(enrp.HandleTableResponse).more
    kit.run(4)
    kit.enrp(50, enrp.HandleTableRequest(PEER, OWN))
    assert kit.one(enrp.HandleTableResponse).entries[0][1].identifier == 1
    kit.enrp(50, enrp.HandleTableRequest(PEER, OWN, own_only=True))
    assert kit.one(enrp.HandleTableResponse).entries[0][1].identifier == 1


def test_an_empty_table_is_twelve_bytes(kit):
    kit.meet(PEER)
    kit.sent()
    kit.enrp(50, enrp.HandleTableRequest(PEER, OWN))
    assert [len(a.data) for a in kit.log] == [12]


def test_a_differing_checksum_leads_to_synchronisation_and_purge(kit):
    kit.meet(PEER)
    for i in (1, 2, 3):
        add(kit, i)
    kit.sent()
    kit.meet(PEER, checksum=checksum_of([(POOL, 2), (POOL, 4)]))
    assert kit.one(enrp.HandleTableRequest, 50).own_only
    kit.meet(PEER, checksum=0x1234)
    assert kit.sent(enrp.HandleTableRequest) == []  # one at a time
    add(kit, 5)  # between request and response: must not be purged
    kit.enrp(50, enrp.HandleTableResponse(PEER, OWN, [(POOL, foreign(2))], more=True))
    assert kit.one(enrp.HandleTableRequest, 50).own_only
    assert kit.space.size == 4
    kit.enrp(50, enrp.HandleTableResponse(PEER, OWN, [(POOL, foreign(4))]))
    assert [e.identifier for e in kit.space.walk()] == [2, 4, 5]
    assert kit.registrar.statistics.synchronizations == 1


def test_a_silent_peer_is_asked_again_by_the_next_audit(kit):
    kit.meet(PEER, checksum=0x1111)
    kit.one(enrp.HandleTableRequest, 50)
    kit.run(4)
    kit.meet(PEER, checksum=0x1111)
    assert kit.sent(enrp.HandleTableRequest) == []
    kit.run(1.1)
    kit.meet(PEER, checksum=0x1111)
    kit.one(enrp.HandleTableRequest, 50)


def test_tables_that_nobody_asked_for_are_dropped(kit):
    kit.meet(PEER)
    kit.enrp(50, enrp.HandleTableResponse(PEER, OWN, [(POOL, foreign(1))]))
    assert kit.space.size == 0


def test_a_table_does_not_take_what_is_registered_here(kit):
    kit.up(1)
    kit.register(1, POOL, 7)
    kit.meet(PEER, checksum=0x1111)
    kit.enrp(50, enrp.HandleTableResponse(PEER, OWN, [(POOL, foreign(7)), (POOL, foreign(8, OWN))]))
    assert kit.space.find(POOL, 7).home == OWN and kit.space.size == 1


# Updates


def test_updates_of_peers_are_taken(kit):
    kit.meet(PEER)
    add(kit, 7, life=10_000)
    assert kit.space.find(POOL, 7).home == PEER
    add(kit, 7, address="10.0.0.10")
    assert kit.space.find(POOL, 7).record.user_transport.addresses == ("10.0.0.10",)
    add(kit, 7, action=1)
    assert kit.space.size == 0
    add(kit, 7, action=1)
    add(kit, 7, action=5)
    assert kit.space.size == 0


def test_elements_of_others_expire_silently(kit):
    kit.meet(PEER)
    add(kit, 7, life=10_000)
    kit.sent()
    kit.run(9.9)
    assert kit.space.size == 1
    kit.run(0.2)
    assert kit.space.size == 0 and kit.sent(enrp.HandleUpdate) == []


def test_an_update_about_our_own_element_is_ignored(kit):
    kit.up(1)
    kit.register(1, POOL, 7)
    kit.meet(PEER)
    kit.enrp(50, enrp.HandleUpdate(PEER, 0, 0, POOL, foreign(7, OWN, address="10.0.0.55")))
    assert kit.space.find(POOL, 7).record.user_transport.addresses == ("10.0.0.9",)


def test_an_element_that_registers_elsewhere_moves(kit):
    kit.up(1)
    kit.register(1, POOL, 7)
    kit.meet(PEER)
    kit.sent()
    add(kit, 7)
    assert kit.space.find(POOL, 7).home == PEER
    kit.lost(1)
    kit.run(9)
    assert kit.space.size == 1 and kit.sent(asap.EndpointKeepAlive) == [] and kit.sent(enrp.HandleUpdate) == []


def test_a_former_home_cannot_remove_what_has_moved(kit):
    kit.meet(PEER)
    kit.meet(OTHER, 51, "10.0.0.3")
    add(kit, 7, PEER)
    add(kit, 7, OTHER, 51)
    add(kit, 7, PEER, action=1)
    assert kit.space.find(POOL, 7).home == OTHER


def test_incompatible_elements_of_peers_are_counted(kit):
    kit.meet(PEER)
    add(kit, 7)
    add(kit, 8, policy=Policy(3))
    assert kit.space.size == 1
    assert kit.registrar.statistics.dropped["incompatible pool element of a peer"] == 1


def test_loopback_from_another_host_is_not_believed(kit):
    kit.meet(PEER)
    add(kit, 7, address="127.0.0.1")
    add(kit, 8, address=("127.0.0.1", "10.0.0.8"))
    assert kit.space.size == 1
    assert kit.space.find(POOL, 8).record.user_transport.addresses == ("10.0.0.8",)


def test_distance_of_the_way_from_the_peer_is_added(kit):
    kit.registrar.state.delay = lambda endpoint, association: (
        0.2 if (endpoint, association) == (ENRP, 50) else None
    )
    kit.meet(PEER)
    add(kit, 7, policy=Policy(0xB0002002, load_dpf=9, distance=150))
    assert kit.space.find(POOL, 7).policy.distance == 250


def test_takeover_is_suggested_to_the_farthest_registrar():
    kit = Kit(takeover_suggestion=True, identifier=0b0001)
    kit.run(6)
    kit.up(1)
    kit.meet(0b0100, 50)
    kit.meet(0b1000, 51, "10.0.0.3")
    kit.sent()
    kit.register(1, POOL, 0b0111)
    updates = kit.sent(enrp.HandleUpdate)
    assert [(where, m.takeover_suggested) for where, m in updates] == [(50, False), (51, False), (51, True)]
    kit.register(1, POOL, 0b1110)  # we are the farthest ourselves
    assert not any(m.takeover_suggested for _, m in kit.sent(enrp.HandleUpdate))


@pytest.mark.parametrize("support", [True, False])
def test_a_suggestion_is_followed_if_supported(support):
    kit = Kit(takeover_suggestion=support)
    kit.run(6)
    kit.meet(PEER)
    kit.sent()
    add(kit, 7, suggested=True)
    assert [(where, m.home) for where, m in kit.sent(asap.EndpointKeepAlive)] == [("10.0.0.9", True)] * support
    if support:
        kit.up(1)
        kit.asap(1, asap.EndpointKeepAliveAck(POOL, 7))
        assert kit.space.find(POOL, 7).home == OWN
        assert kit.one(enrp.HandleUpdate, 50).element.home == OWN


# Errors


def test_bad_messages_are_answered_or_counted(kit):
    kit.up(50, ENRP, "10.0.0.2", 9901)
    kit.enrp(50, bytes.fromhex("0100000c 00000200 00000100"))  # presence without anything
    error = kit.one(enrp.Error, 50)
    assert error.sender == OWN
    kit.enrp(50, bytes.fromhex("7700000c 00000200 00000100"))
    kit.enrp(50, error)
    kit.enrp(50, b"")
    kit.enrp(99, enrp.ListRequest(PEER, 0))
    assert kit.sent() == []
