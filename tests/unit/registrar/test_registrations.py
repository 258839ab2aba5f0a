"""ASAP at the registrar (RFC 5352 §3, RSPLIB's rules)."""

from dataclasses import replace

import pytest

from rserpool.registrar.actions import ASAP, Multicast
from rserpool.wire import asap, enrp
from rserpool.wire.types import INFINITE_LIFE, OPAQUE, Policy, Transport
from tests.unit.registrar.kit import OWN, Kit, element

POOL = b"EchoPool"


@pytest.fixture
def kit():
    kit = Kit()
    kit.up(1)
    return kit


def test_registration_keeps_only_the_associations_addresses_and_makes_us_home(kit):
    response = kit.register(1, POOL, 7, address=("10.0.0.9", "10.9.9.9", "127.0.0.1"), home=99)
    assert not response.reject and (response.handle, response.identifier) == (POOL, 7)
    record = kit.space.find(POOL, 7).record
    assert record.user_transport.addresses == ("10.0.0.9",)
    assert record.home == OWN
    assert record.asap_transport.addresses == ("10.0.0.9",) and record.asap_transport.port == 6000


@pytest.mark.parametrize(
    "peer, more, cause",
    [
        ("10.0.0.9", {"address": "10.9.9.9"}, 0xF008),
        ("127.0.0.2", {"address": "10.0.0.9"}, 0xF008),
        ("169.254.0.1", {}, 0xF007),
        ("10.0.0.9", {"policy": Policy(3)}, 5),
    ],
)
def test_refusals(peer, more, cause):
    kit = Kit()
    kit.up(1)
    kit.register(1, POOL, 7)
    kit.up(2, address=peer)
    kit.asap(2, asap.Registration(POOL, element(8, **more)))
    response = kit.one(asap.RegistrationResponse, 2)
    assert response.reject and response.error == cause
    assert kit.space.size == 1


def test_loopback_counts_only_over_loopback():
    kit = Kit()
    kit.up(1, address="127.0.0.1")
    assert not kit.register(1, POOL, 7, address="127.0.0.1").reject
    strict = Kit(min_address_scope="sitelocal")
    strict.up(1, address="127.0.0.1")
    assert strict.register(1, POOL, 7, address="127.0.0.1").reject


def test_others_are_not_told_of_loopback_elements():
    kit = Kit()
    kit.up(1, address="127.0.0.1")
    kit.up(2, address="10.0.0.77")
    kit.up(3, address="10.0.0.1")  # on this host, but not over loopback
    kit.register(1, POOL, 7, address="127.0.0.1")
    assert kit.resolve(3, POOL) == [7]
    assert kit.resolve(2, POOL).error == 9
    kit.up(4, address="10.0.0.9")
    kit.register(4, POOL, 8)
    assert kit.resolve(2, POOL, 1) == [8] == kit.resolve(2, POOL, 1)


def test_deregistration_of_anything_succeeds(kit):
    kit.register(1, POOL, 7)
    for _ in range(2):
        kit.asap(1, asap.Deregistration(POOL, 7))
        response = kit.one(asap.DeregistrationResponse)
        assert (response.handle, response.identifier) == (POOL, 7)
    assert kit.space.size == 0 and kit.registrar.statistics.deregistrations == 1


def test_resolution_goes_round_with_the_default_number_of_items(kit):
    for i in range(1, 6):
        kit.register(1, POOL, i)
    assert [kit.resolve(1, POOL) for _ in range(3)] == [[1, 2, 3], [2, 3, 4], [3, 4, 5]]
    assert kit.resolve(1, POOL, 1) == [4]
    assert kit.resolve(1, POOL, 0) == [5, 1, 2]
    assert len(kit.resolve(1, POOL, 0xFFFFFFFF)) == 5


def test_no_answer_names_more_than_128(kit):
    for i in range(1, 201):
        kit.register(1, POOL, i)
    assert len(kit.resolve(1, POOL, 0xFFFFFFFF)) == 128


def test_resolution_of_an_unknown_pool(kit):
    response = kit.resolve(1, b"Nothing")
    assert response.handle == b"Nothing" and response.error == 9


def test_a_pool_of_weightless_elements_answers_like_an_unknown_one(kit):
    kit.register(1, POOL, 1, policy=Policy(4, weight=0))
    assert kit.resolve(1, POOL).error == 9


def test_an_opaque_transport_is_understood_and_refused(kit):
    """Nobody could check whose it is."""
    kit.up(1)
    record = element(7)
    record = replace(record, user_transport=Transport(OPAQUE, 0, (), opaque=b"x"))
    kit.asap(1, asap.Registration(POOL, record))
    response = kit.one(asap.RegistrationResponse, 1)
    assert response.reject and response.error == 0xF008 and kit.space.size == 0


def test_rate_limits():
    kit = Kit(max_resolution_rate=1.0, max_report_rate=1.0, max_bad_reports=2)
    kit.up(1)
    kit.up(2)
    kit.register(1, POOL, 7)
    assert kit.resolve(1, POOL) == [7]
    assert kit.resolve(1, POOL).error == 9
    assert kit.resolve(2, POOL) == [7]  # another pool user
    for _ in range(5):
        kit.asap(2, asap.EndpointUnreachable(POOL, 7))
    assert kit.space.size == 1
    assert kit.registrar.statistics.dropped["unreachability report rate"] == 4


def test_keepalives_follow_registration_and_acknowledgement(kit):
    kit.register(1, POOL, 7)
    kit.run(4.3)
    assert kit.sent(asap.EndpointKeepAlive) == []
    kit.run(1.4)
    message = kit.one(asap.EndpointKeepAlive, 1)
    assert (message.registrar, message.handle, message.identifier, message.home) == (OWN, POOL, 7, False)
    kit.run(1)
    kit.asap(1, asap.EndpointKeepAliveAck(POOL, 7))
    kit.run(4.3)
    assert kit.sent(asap.EndpointKeepAlive) == []
    kit.run(1.4)
    kit.one(asap.EndpointKeepAlive, 1)
    kit.run(2)
    kit.register(1, POOL, 7)  # a re-registration is a sign of life as well
    kit.run(4.3)
    assert kit.space.size == 1


def test_keepalives_are_distributed_over_time(kit):
    """RFC 5352 §3.5: no bursts, however many elements were registered at once."""
    for number in range(1, 201):
        kit.register(1, POOL, number)
    kit.sent()
    kit.run(4.3)
    asked = []  # how many, in each twentieth of a second
    for _ in range(28):
        kit.run(0.05)
        asked.append(len(kit.sent(asap.EndpointKeepAlive)))
    assert sum(asked) == 200
    assert max(asked) < 25


def test_a_reported_element_is_asked_at_once_and_goes_if_it_is_silent(kit):
    """RFC 5352 §3.5: a report leads to a keep-alive at once; it was only counted, a dead element found late."""
    kit.up(2)
    kit.register(1, POOL, 7)
    kit.run(1)
    kit.asap(2, asap.EndpointUnreachable(POOL, 7))
    message = kit.one(asap.EndpointKeepAlive, 1)
    assert (message.identifier, message.home) == (7, False)
    kit.asap(2, asap.EndpointUnreachable(POOL, 7))
    assert kit.sent(asap.EndpointKeepAlive) == []  # it is being asked already
    kit.run(5.1)
    assert kit.space.size == 0 and kit.aborted() == [1]


def test_a_reported_element_that_answers_stays_but_its_reports_count(kit):
    kit.up(2)
    kit.register(1, POOL, 7)
    for _ in range(2):
        kit.asap(2, asap.EndpointUnreachable(POOL, 7))
        kit.one(asap.EndpointKeepAlive, 1)
        kit.asap(1, asap.EndpointKeepAliveAck(POOL, 7))
        kit.run(2.0)
        assert kit.space.size == 1 and not kit.aborted()
    kit.asap(2, asap.EndpointUnreachable(POOL, 7))
    assert kit.space.size == 0
    assert kit.sent(asap.EndpointKeepAlive) == []


def test_the_answer_of_an_element_that_was_reported_away_does_not_bring_it_back(kit):
    """Its late answer was taken for a stranger's: it was aborted, and so registered again at once."""
    kit.up(2)
    kit.register(1, POOL, 7)
    for _ in range(3):
        kit.asap(2, asap.EndpointUnreachable(POOL, 7))
    assert kit.space.size == 0
    kit.asap(1, asap.EndpointKeepAliveAck(POOL, 7))
    assert not kit.aborted() and kit.space.size == 0
    kit.asap(1, asap.EndpointKeepAliveAck(POOL, 7))  # only one answer was awaited
    assert kit.aborted() == [1]


def test_an_element_that_was_reported_away_may_register_again(kit):
    kit.up(2)
    kit.register(1, POOL, 7)
    for _ in range(3):
        kit.asap(2, asap.EndpointUnreachable(POOL, 7))
    kit.register(1, POOL, 7)
    assert kit.space.size == 1 and kit.space.find(POOL, 7).reports == 0
    assert len(kit.registrar.state.awaited) == 0
    kit.sent()
    kit.run(5.7)
    kit.one(asap.EndpointKeepAlive, 1)


def test_an_answer_that_never_comes_is_not_awaited_for_ever(kit):
    kit.up(2)
    kit.register(1, POOL, 7)
    for _ in range(3):
        kit.asap(2, asap.EndpointUnreachable(POOL, 7))
    assert len(kit.registrar.state.awaited) == 1
    kit.run(10)
    assert len(kit.registrar.state.awaited) == 0


def test_the_element_of_another_registrar_is_not_asked(kit):
    """It would answer its home, and be taken for silent."""
    kit.meet(0x200)
    record = element(9, home=0x200, asap_transport=True)
    kit.enrp(50, enrp.HandleUpdate(0x200, OWN, 0, POOL, record))
    kit.sent()
    kit.asap(1, asap.EndpointUnreachable(POOL, 9))
    assert kit.sent() == [] and kit.space.size == 1


def test_who_does_not_acknowledge_is_aborted_and_removed(kit):
    kit.register(1, POOL, 7)
    kit.up(2)
    kit.run(5.1)
    kit.asap(2, asap.EndpointKeepAliveAck(POOL, 7))  # by another association
    kit.run(5)
    assert kit.space.size == 0 and kit.aborted() == [1]


def test_life_ends_without_reregistration(kit):
    kit.register(1, POOL, 7, life=12_000)
    kit.register(1, POOL, 8, life=INFINITE_LIFE)
    for _ in range(11):
        kit.run(1)
        for i in (7, 8):
            kit.asap(1, asap.EndpointKeepAliveAck(POOL, i))
    assert kit.space.size == 2
    kit.run(1.1)
    assert [e.identifier for e in kit.space.walk()] == [8]


def test_a_lost_association_takes_its_elements_along(kit):
    kit.up(2)
    kit.register(1, POOL, 7)
    kit.register(1, b"Other", 7)
    kit.register(2, POOL, 8)
    kit.lost(1)
    assert [e.identifier for e in kit.space.walk()] == [8]
    kit.lost(1)


def test_an_element_that_moved_to_another_association_survives_the_old_one(kit):
    kit.up(2)
    kit.register(1, POOL, 7)
    kit.register(2, POOL, 7)
    kit.lost(1)
    assert kit.space.size == 1


def test_three_reports_remove_an_element(kit):
    kit.up(2)
    kit.register(1, POOL, 7)
    for left in (1, 1, 0):
        kit.asap(2, asap.EndpointUnreachable(POOL, 7))
        kit.register(1, POOL, 9)
        assert (kit.space.find(POOL, 7) is not None) == bool(left)
    kit.asap(2, asap.EndpointUnreachable(POOL, 7))
    assert kit.registrar.statistics.failure_reports == 4


def test_a_report_does_not_outlive_nothing(kit):
    kit.register(1, POOL, 7)
    for _ in range(2):
        kit.asap(1, asap.EndpointUnreachable(POOL, 7))
    kit.register(1, POOL, 7)  # RSPLIB: re-registration does not forgive
    kit.asap(1, asap.EndpointUnreachable(POOL, 7))
    assert kit.space.size == 0


def test_bad_messages_are_answered_or_counted(kit):
    kit.asap(1, bytes.fromhex("01000008 00090004"))  # registration with an empty handle
    assert len(kit.sent(asap.Error, 1)) <= 1
    kit.asap(1, bytes.fromhex("77000004"))
    assert kit.sent() == []
    kit.asap(1, asap.RegistrationResponse(POOL, 1))  # not for registrars
    kit.asap(99, asap.Deregistration(POOL, 1))  # association unknown
    assert kit.sent() == []
    assert kit.registrar.statistics.dropped.total() == 4


def test_announces_begin_when_the_start_is_over(kit):
    kit.register(1, POOL, 7)  # served before that
    kit.run(4.9)
    assert kit.sent(asap.ServerAnnounce) == []
    kit.run(0.2)
    assert [where for where, _ in kit.sent(asap.ServerAnnounce)] == ["group"]
    kit.run(100)
    kit.asap(1, asap.EndpointKeepAliveAck(POOL, 7))
    announces = [m for _, m in kit.sent(asap.ServerAnnounce)]
    assert 88 <= len(announces) <= 115 and {m.registrar for m in announces} == {OWN}


def test_announces_can_be_off():
    kit = Kit(asap_announce=None, enrp_announce=None)
    kit.run(30)
    assert not [a for a in kit.log if isinstance(a, Multicast)]


def test_distance_is_set_by_the_home(kit):
    kit.registrar.state.delay = lambda endpoint, association: 0.3 if (endpoint, association) == (ASAP, 1) else None
    kit.register(1, POOL, 7, policy=Policy(0xB0002002, load=5, load_dpf=9, distance=4444))
    assert kit.space.find(POOL, 7).policy.distance == 150


def test_every_change_is_told_to_the_peers_before_the_answer(kit):
    kit.meet(0x200)
    kit.sent()
    kit.asap(1, asap.Registration(POOL, element(7)))
    (_, update), (_, response) = kit.sent()
    assert isinstance(update, enrp.HandleUpdate) and isinstance(response, asap.RegistrationResponse)
    assert update.action == 0 and update.element.home == OWN and update.element.asap_transport is not None
    kit.asap(1, asap.Deregistration(POOL, 7))
    assert kit.one(enrp.HandleUpdate).action == 1
