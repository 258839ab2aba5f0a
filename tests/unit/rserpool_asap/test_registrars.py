"""The table of registrars: announces live and die, static ones stay; order; several addresses."""

import random

from rserpool.asap.registrars import MAX_ANNOUNCED, RegistrarTable
from rserpool.settings import StaticRegistrar
from rserpool.wire.asap import ServerAnnounce
from rserpool.wire.types import SCTP, Transport


def table(*statics):
    return RegistrarTable(statics, 5.0, random.Random(1))


def test_announces_expire():
    t = table()
    assert t.heard(ServerAnnounce(1), "10.0.0.1", 4711, now=0.0)
    assert not t.heard(ServerAnnounce(1), "10.0.0.1", 4711, now=3.0)
    assert [k.identifier for k in t.candidates(7.9)] == [1]
    assert t.knows(1, 7.9) and not t.knows(1, 8.0)
    assert t.candidates(8.0) == []


def test_static_registrars_stay():
    t = table(StaticRegistrar(("10.0.0.9",), 3863, 9900))
    (known,) = t.candidates(1e9)
    assert (known.identifier, known.addresses, known.port, known.udp_port) == (0, ("10.0.0.9",), 3863, 9900)


def test_addresses_of_several_interfaces_are_one_registrar():
    t = table()
    t.heard(ServerAnnounce(1), "10.0.0.1", 4711, 0.0)
    assert not t.heard(ServerAnnounce(1), "192.168.0.1", 4711, 0.0)
    (known,) = t.candidates(1.0)
    assert known.addresses == ("10.0.0.1", "192.168.0.1")
    assert t.identifier_of(["192.168.0.1"], 4711) == 1
    assert t.identifier_of(["192.168.0.1"], 4712) == 0


def test_a_restarted_registrar_has_another_port():
    t = table()
    t.heard(ServerAnnounce(1), "10.0.0.1", 4711, 0.0)
    assert t.heard(ServerAnnounce(1), "10.0.0.2", 4712, 1.0)
    (known,) = t.candidates(1.0)
    assert (known.addresses, known.port) == (("10.0.0.2",), 4712)


def test_transport_and_udp_port_in_the_announce_count():
    t = table()
    t.heard(ServerAnnounce(1, [Transport(SCTP, 99, ("10.0.0.7", "10.0.0.8"))], 9900), "10.0.0.1", 4711, 0.0)
    (known,) = t.candidates(0.0)
    assert (known.addresses, known.port, known.udp_port) == (("10.0.0.7", "10.0.0.8"), 99, 9900)


def test_order_begins_anywhere():
    t = table(*(StaticRegistrar((f"10.0.0.{i}",), 1) for i in range(4)))
    firsts = {t.candidates(0.0)[0].addresses for _ in range(100)}
    assert len(firsts) == 4
    order = [k.addresses[0][-1] for k in t.candidates(0.0)]
    assert "".join(order) in "01230123"


def test_those_that_refused_wait():
    t = table(StaticRegistrar(("10.0.0.1",), 1), StaticRegistrar(("10.0.0.2",), 1))
    first, second = t.candidates(0.0)
    first.not_before = 3.0
    assert t.candidates(1.0) == [second]
    assert t.candidates(1.0, {id(second)}) == []
    assert t.retry_at() == 0.0
    assert len(t.candidates(3.0)) == 2


def test_a_flood_of_announces_is_bounded():
    t = table()
    for i in range(1, 2 * MAX_ANNOUNCED):
        t.heard(ServerAnnounce(i), "10.0.0.1", i, 0.0)
    assert len(t.candidates(0.0)) == MAX_ANNOUNCED
