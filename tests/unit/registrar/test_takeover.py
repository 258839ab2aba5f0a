"""Takeover of a dead registrar (RFC 5353 §3.5)."""

import pytest

from rserpool.registrar.actions import ENRP
from rserpool.wire import asap, enrp
from tests.unit.registrar.kit import OWN, Kit, element

POOL = b"EchoPool"
DEAD, OTHER, THIRD = 0x200, 0x300, 0x080
TARGET = "10.0.0.2"


def add(kit, identifier, home=DEAD, association=50):
    record = element(identifier, f"10.0.1.{identifier}", home=home, asap_transport=True)
    kit.enrp(association, enrp.HandleUpdate(home, 0, 0, POOL, record))


@pytest.fixture
def kit():
    """A registrar with a peer that owns elements 1 and 2."""
    kit = Kit()
    kit.run(6)
    kit.meet(DEAD)
    add(kit, 1)
    add(kit, 2)
    kit.sent()
    return kit


def others(kit, *identifiers):
    for at, identifier in enumerate(identifiers, 51):
        kit.meet(identifier, at, f"10.0.0.{at}")
    kit.sent()


def alive(kit, seconds, *identifiers):
    """Let time pass while these peers go on sending presences."""
    for _ in range(int(seconds * 2)):
        kit.run(0.5)
        for at, identifier in enumerate(identifiers, 51):
            kit.meet(identifier, at, f"10.0.0.{at}", checksum=kit.space.checksum(identifier))


def test_a_silent_peer_is_asked_before_it_counts_as_dead(kit):
    kit.run(5.1)
    assert [m.reply_required for _, m in kit.sent(enrp.Presence, 50)][-1]
    assert kit.peers
    kit.meet(DEAD, checksum=kit.space.checksum(DEAD))
    kit.run(9)
    assert kit.peers and kit.sent(enrp.InitTakeover) == []


def test_a_dead_peer_without_elements_is_forgotten():
    kit = Kit()
    kit.run(6)
    kit.meet(DEAD)
    kit.run(10.1)
    assert not kit.peers and kit.sent(enrp.InitTakeover) == []


def test_a_lone_survivor_completes(kit):
    kit.run(10.1)
    assert not kit.peers
    assert {e.home for e in kit.space.walk()} == {OWN}
    calls = kit.sent(asap.EndpointKeepAlive)
    assert [(where, m.identifier, m.home) for where, m in calls] == [("10.0.1.1", 1, True), ("10.0.1.2", 2, True)]
    kit.up(1, address="10.0.1.1")
    kit.asap(1, asap.EndpointKeepAliveAck(POOL, 1))
    assert kit.space.find(POOL, 1).connection == 1
    kit.run(5.1)  # the other one has not answered
    assert [e.identifier for e in kit.space.walk()] == [1]
    kit.lost(1)
    assert kit.space.size == 0


def test_all_others_must_acknowledge(kit):
    others(kit, OTHER, THIRD)
    alive(kit, 10.5, OTHER, THIRD)
    assert sorted(where for where, m in kit.sent(enrp.InitTakeover) if m.target == DEAD)[:3] == [50, 51, 52]
    kit.enrp(51, enrp.InitTakeoverAck(OTHER, OWN, DEAD))
    assert kit.space.count(OWN) == 0
    kit.enrp(52, enrp.InitTakeoverAck(THIRD, OWN, DEAD))
    assert kit.space.count(OWN) == 2
    # TAKEOVER_SERVER reaches the living peers.
    assert [(where, m.target) for where, m in kit.sent(enrp.TakeoverServer)] == [(51, DEAD), (52, DEAD)]
    assert set(kit.peers) == {OTHER, THIRD}
    kit.enrp(52, enrp.InitTakeoverAck(THIRD, OWN, DEAD))
    assert kit.registrar.statistics.takeovers == 1


def test_who_does_not_acknowledge_is_asked_again_and_then_passed_over(kit):
    others(kit, OTHER)
    alive(kit, 10.5, OTHER)
    kit.sent(enrp.InitTakeover)
    alive(kit, 4, OTHER)
    assert [where for where, _ in kit.sent(enrp.InitTakeover)] == [51, 51]
    assert kit.space.count(OWN) == 0
    alive(kit, 1, OTHER)
    assert kit.space.count(OWN) == 2


def test_a_peer_that_dies_meanwhile_need_not_acknowledge(kit):
    others(kit, OTHER)
    kit.run(10.2)
    assert kit.space.count(OWN) == 2 and not kit.peers


def test_the_target_may_speak_up(kit):
    others(kit, OTHER)
    alive(kit, 10.5, OTHER)
    kit.meet(DEAD, checksum=kit.space.checksum(DEAD))
    kit.enrp(51, enrp.InitTakeoverAck(OTHER, OWN, DEAD))
    assert kit.space.count(OWN) == 0 and kit.registrar.statistics.takeovers_aborted == 1


def test_the_lower_identifier_wins(kit):
    others(kit, OTHER, THIRD)
    alive(kit, 10.5, OTHER, THIRD)
    kit.sent()
    kit.enrp(51, enrp.InitTakeover(OTHER, OWN, DEAD))  # higher: ignored
    assert kit.sent() == []
    kit.enrp(52, enrp.InitTakeover(THIRD, OWN, DEAD))  # lower: ours is over
    assert kit.one(enrp.InitTakeoverAck, 52).target == DEAD
    alive(kit, 3, OTHER, THIRD)
    assert kit.sent(enrp.InitTakeover) == []
    kit.enrp(52, enrp.TakeoverServer(THIRD, OWN, DEAD))
    assert kit.space.count(THIRD) == 2 and DEAD not in kit.peers


def test_takeovers_of_others_are_acknowledged(kit):
    others(kit, OTHER)
    kit.enrp(51, enrp.InitTakeover(OTHER, OWN, DEAD))
    assert kit.one(enrp.InitTakeoverAck, 51).target == DEAD
    kit.enrp(51, enrp.InitTakeover(OTHER, OWN, 0x999))  # nobody we know
    assert kit.one(enrp.InitTakeoverAck, 51).target == 0x999


def test_an_announced_takeover_that_does_not_come_is_ours(kit):
    others(kit, OTHER)
    kit.enrp(51, enrp.InitTakeover(OTHER, OWN, DEAD))
    kit.sent()
    alive(kit, 10.5, OTHER)
    assert kit.sent(enrp.InitTakeover) == []
    alive(kit, 10.5, OTHER)
    assert kit.sent(enrp.InitTakeover)


def test_taken_for_dead_we_protest(kit):
    others(kit, OTHER)
    kit.enrp(51, enrp.InitTakeover(OTHER, OWN, OWN))
    assert sorted(str(where) for where, _ in kit.sent(enrp.Presence)) == ["50", "51", "group"]
    assert kit.sent(enrp.InitTakeoverAck) == []


def test_what_is_registered_here_survives_our_own_takeover(kit):
    others(kit, OTHER)
    kit.up(1)
    kit.register(1, POOL, 7)
    kit.enrp(51, enrp.TakeoverServer(OTHER, OWN, OWN))
    assert kit.space.find(POOL, 7).home == OWN
    kit.enrp(51, enrp.TakeoverServer(OTHER, OWN, DEAD))
    assert kit.space.count(OTHER) == 2


def test_whoever_acknowledges_has_us_as_its_home(kit):
    """Regression: a claim by another registrar before the answer left the element homeless."""
    kit.run(10.1)
    kit.sent()
    kit.meet(OTHER, 51, "10.0.0.51")
    add(kit, 1, OTHER, 51)
    kit.up(1, address="10.0.1.1")
    kit.asap(1, asap.EndpointKeepAliveAck(POOL, 1))
    assert kit.space.find(POOL, 1).home == OWN
    assert kit.one(enrp.HandleUpdate, 51).element.home == OWN
    kit.up(2, address="10.9.9.9")
    add(kit, 2, OTHER, 51)
    kit.asap(2, asap.EndpointKeepAliveAck(POOL, 2))  # not the element's address
    assert kit.space.find(POOL, 2).home == OTHER


def test_whoever_is_not_registered_is_told_by_an_abort(kit):
    kit.up(1)
    kit.asap(1, asap.EndpointKeepAliveAck(POOL, 99))
    assert kit.aborted() == [1]


def test_an_unacknowledged_element_loses_its_association(kit):
    """Regression: it had made us its home, its answer was lost, and nobody told it that it was removed."""
    kit.run(10.1)
    kit.up(1, address="10.0.1.1")
    kit.run(5.1)
    assert kit.space.size == 0 and kit.aborted() == [1]


def test_a_lost_enrp_association_is_replaced(kit):
    kit.lost(50, ENRP)
    kit.run(3)
    assert TARGET in {where for where, _ in kit.sent(enrp.Presence)}
    kit.up(60, ENRP, TARGET, 9901)
    kit.run(1.9)
    kit.meet(DEAD, 60, checksum=kit.space.checksum(DEAD))
    kit.run(3)
    assert 60 in {where for where, _ in kit.sent(enrp.Presence)}


@pytest.mark.parametrize("answers", [True, False])
def test_registration_elsewhere_that_was_given_up_again(kit, answers):
    """Regression: an element registers at a peer just when our takeover reaches it, and follows us.

    The peer's late "added" and "removed" must not leave it nowhere.
    """
    kit.run(10.1)
    kit.meet(OTHER, 51, "10.0.0.51")
    kit.up(1, address="10.0.1.1")
    kit.asap(1, asap.EndpointKeepAliveAck(POOL, 1))
    add(kit, 1, OTHER, 51)
    assert kit.space.find(POOL, 1).home == OTHER
    kit.sent()
    kit.enrp(51, enrp.HandleUpdate(OTHER, 0, 1, POOL, element(1, "10.0.1.1", home=OTHER, asap_transport=True)))
    assert kit.space.find(POOL, 1).home == OWN
    assert kit.one(enrp.HandleUpdate, 51).action == 0
    assert not kit.one(asap.EndpointKeepAlive, 1).home
    if answers:
        kit.asap(1, asap.EndpointKeepAliveAck(POOL, 1))
    kit.run(5.1)
    assert (kit.space.find(POOL, 1) is not None) == answers
    assert kit.aborted() == ([] if answers else [1])


def test_an_element_that_did_not_move_after_all_is_ours_again(kit):
    kit.run(10.1)
    kit.meet(OTHER, 51, "10.0.0.51")
    kit.up(1, address="10.0.1.1")
    kit.asap(1, asap.EndpointKeepAliveAck(POOL, 1))
    add(kit, 1, OTHER, 51)
    kit.sent()
    kit.run(5.7)
    kit.one(asap.EndpointKeepAlive, 1)
    kit.sent()
    kit.asap(1, asap.EndpointKeepAliveAck(POOL, 1))
    assert kit.space.find(POOL, 1).home == OWN
    assert kit.one(enrp.HandleUpdate, 51).element.home == OWN


def test_an_element_that_moved_is_not_removed_for_its_silence(kit):
    kit.run(10.1)
    kit.meet(OTHER, 51, "10.0.0.51")
    kit.up(1, address="10.0.1.1")
    kit.asap(1, asap.EndpointKeepAliveAck(POOL, 1))
    add(kit, 1, OTHER, 51)
    alive(kit, 11, OTHER)
    assert kit.space.find(POOL, 1).connection is None and kit.aborted() == []


@pytest.mark.parametrize("removed", [True, False])
def test_an_element_claimed_while_our_takeover_reaches_it_is_not_left_alone(kit, removed):
    """Regression: claimed by another before its answer, which was lost: nobody told it that it was nowhere."""
    kit.run(10.1)
    kit.meet(OTHER, 51, "10.0.0.51")
    kit.up(1, address="10.0.1.1")
    add(kit, 1, OTHER, 51)
    if removed:
        kit.enrp(51, enrp.HandleUpdate(OTHER, 0, 1, POOL, element(1, "10.0.1.1", home=OTHER, asap_transport=True)))
    else:
        kit.run(5.1)
    assert kit.aborted() == [1]


def test_many_elements_are_called_one_after_the_other(kit, monkeypatch):
    monkeypatch.setattr("rserpool.registrar.takeover.BURST", 2)
    monkeypatch.setattr("rserpool.registrar.takeover.PACE", 10.0)
    for i in range(3, 23):
        add(kit, i)
    kit.run(10.01)
    counts = []
    for _ in range(5):
        counts.append(len([m for _, m in kit.sent(asap.EndpointKeepAlive) if m.home]))
        kit.run(0.5)
    assert counts[0] in (2, 3) and sum(counts) == 22 and max(counts) <= 6
    assert kit.space.count(OWN) == 22
