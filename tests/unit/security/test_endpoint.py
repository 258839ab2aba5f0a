"""Endpoints that speak TLS only, over a wire in memory: who becomes known when, who is refused, who gives way."""

import asyncio
import errno
import logging

import pytest

from pysocketapi import constants as c
from pysocketapi.aio import Message
from pysocketapi.notifications import AssocChange, ShutdownEvent
from rserpool.security import endpoint as module
from rserpool.security import tls
from rserpool.security.authority import certificate_file, key_file
from rserpool.security.contexts import load
from rserpool.security.endpoint import SecureEndpoint, Side
from rserpool.security.tls import TlsError
from rserpool.wire import asap, causes, enrp
from rserpool.wire.types import SCTP, Policy, PoolElement, Transport

from .wire import ASSOCIATION, wire

SECURITY = causes.REJECTED_FOR_SECURITY
HELLO = asap.encode(asap.HandleResolution(b"EchoPool"))


def context(directory, name, authority=None):
    own = (str(certificate_file(directory, name)), str(key_file(directory, name))) if name else ()
    return load(str(certificate_file(authority or directory, "ca")), *own)


def run(test):
    """Run a coroutine test with a deadline; ``files`` are passed on."""

    def runner(files):
        async def limited():
            async with asyncio.timeout(10):
                await test(files)

        asyncio.run(limited())

    runner.__name__, runner.__doc__ = test.__name__, test.__doc__
    return runner


def ends(files, registrar="registrar", client="element"):
    ours, others = files

    def of(name):
        if name and name.startswith("others:"):
            return context(others, name.partition(":")[2], ours)
        return context(ours, name)

    one, other = wire()
    return (
        SecureEndpoint(one, of(registrar), Side.REGISTRAR, asap.PPID),
        SecureEndpoint(other, of(client), Side.CLIENT, asap.PPID),
    )


def peers(files, one_name="registrar", other_name="here"):
    one, other = wire()
    return [
        SecureEndpoint(w, context(files[0], n), Side.PEER, enrp.PPID)
        for w, n in ((one, one_name), (other, other_name))
    ]


async def close(*endpoints):
    for endpoint in endpoints:
        await endpoint.close()
        assert endpoint.inner.closed


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


async def up(endpoint):
    item = await endpoint.recv()
    assert isinstance(item, AssocChange)
    assert item.state == c.SCTP_COMM_UP
    return item.assoc_id


@run
async def test_an_association_is_known_once_it_is_proven(files):
    registrar, client = ends(files)
    with pytest.raises(OSError, match="not connected"):
        client.send_nowait(HELLO, ASSOCIATION)
    association = await client.connect("127.0.0.1", 1000, timeout=5)
    assert await up(client) == await up(registrar) == association
    assert client.send_nowait(HELLO, association, ppid=asap.PPID)
    message = await registrar.recv()
    assert type(message) is Message
    assert (message.data, message.ppid, message.assoc_id, message.eor) == (HELLO, asap.PPID, association, True)
    assert await registrar.send(HELLO, association) == association
    assert (await client.recv()).data == HELLO
    assert not any(b"EchoPool" in data for end in (registrar, client) for data in end.inner.sent)
    assert (registrar.port, registrar.udp_port, registrar.peer_port(1), registrar.status(1)) == (
        1000,
        9899,
        2000,
        "status",
    )
    assert registrar.peer_addresses(1) == ["127.0.0.1"]
    client.shutdown(association)
    assert [await registrar.recv()] == [AssocChange(association, c.SCTP_COMM_LOST)]
    await close(registrar, client)
    with pytest.raises(OSError, match="closed"):
        while True:
            await client.recv()


@run
async def test_a_client_stays_the_tls_client_when_the_registrar_connects(files):
    registrar, client = ends(files)
    assert await registrar.send(HELLO, ("127.0.0.1", 2000)) == ASSOCIATION
    assert await up(client)
    assert (await client.recv()).data == HELLO
    assert await up(registrar)
    assert await registrar.send(HELLO, (["::ffff:127.0.0.1"], 2000)) == ASSOCIATION  # the same one
    assert (await client.recv()).data == HELLO
    await close(registrar, client)


@run
async def test_both_connect_at_once_and_one_gives_way(files):
    for _ in range(8):
        one, other = peers(files)
        sent = [enrp.encode(enrp.ListRequest(n, 3 - n)) for n in (1, 2)]
        await asyncio.gather(
            one.send(sent[0], ("127.0.0.1", 2000)), other.send(sent[1], ("127.0.0.1", 1000)),
            one.send(sent[0], ("127.0.0.1", 2000)),
        )  # fmt: skip
        assert await up(one) == await up(other)
        assert (await one.recv()).data == sent[1]
        assert [(await other.recv()).data for _ in range(2)] == [sent[0]] * 2
        assert not one.refusals
        assert not other.refusals
        await close(one, other)


REFUSED = {
    # the client's certificate: why the registrar refuses, what it logs
    None: (tls.NO_CERTIFICATE, "it presents no certificate"),
    "expired": (tls.EXPIRED, "certificate has expired"),
    "early": (tls.NOT_YET_VALID, "not yet valid"),
    "others:element": (tls.UNKNOWN_AUTHORITY, "its certificate is not accepted"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_strangers_are_refused_counted_and_logged(files, caplog, name):
    caplog.set_level(logging.WARNING, "rserpool.security")
    reason, words = REFUSED[name]

    @run
    async def test(files):
        registrar, client = ends(files, client=name)
        counted = []
        registrar.refused = counted.append
        with pytest.raises(TlsError, match="certificate") as caught:
            await client.connect("127.0.0.1", 1000, timeout=5)
        assert caught.value.reason == tls.REFUSED
        await until(lambda: registrar.refusals)
        assert registrar.refusals == {reason: 1}
        assert counted == [f"TLS: {reason}"]
        assert not registrar._ready  # its user never knew
        await close(registrar, client)

    test(files)
    lines = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len(lines) == 1
    assert "refused 127.0.0.1 port 2000" in lines[0]
    assert words in lines[0]
    mine = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(mine) == 1
    assert "no session with the registrar at 127.0.0.1 port 1000" in mine[0]


@pytest.mark.parametrize(
    ("registrar", "reason"),
    [
        ("expired-registrar", tls.EXPIRED),
        ("others:registrar", tls.UNKNOWN_AUTHORITY),
        ("elsewhere", tls.WRONG_ADDRESS),
        ("element", tls.WRONG_ROLE),
    ],
)
def test_clients_do_not_trust_everybody(files, registrar, reason):
    @run
    async def test(files):
        server, client = ends(files, registrar=registrar)
        with pytest.raises(TlsError) as caught:
            await client.connect("127.0.0.1", 1000, timeout=5)
        assert caught.value.reason == reason
        await until(lambda: server.refusals)  # by an alert, or because the client left
        assert not server._ready
        await close(server, client)

    test(files)


@run
async def test_a_pool_element_is_no_registrar(files):
    one, other = peers(files, other_name="element")
    with pytest.raises(OSError):
        await other.connect("127.0.0.1", 1000, timeout=5)
    assert one.refusals == {tls.WRONG_ROLE: 1}
    await close(one, other)


ELEMENT = PoolElement(9, 0, 60_000, Transport(SCTP, 5000, ("127.0.0.1",)), Policy(1))
IN_CLEAR = (
    (
        asap.Registration(b"Pool", ELEMENT),
        asap.RegistrationResponse(b"Pool", 9, True, SECURITY),
    ),
    (asap.Deregistration(b"Pool", 9), asap.DeregistrationResponse(b"Pool", 9, True, SECURITY)),
    (asap.HandleResolution(b"Pool"), asap.HandleResolutionResponse(b"Pool", elements=[], error=SECURITY)),
    (asap.EndpointUnreachable(b"Pool", 9), asap.Error(SECURITY)),
)


@pytest.mark.parametrize(("request_", "answer"), IN_CLEAR)
def test_who_speaks_in_clear_is_told_why_and_leaves_nothing(files, request_, answer):
    @run
    async def test(files):
        one, other = wire()
        registrar = SecureEndpoint(one, context(files[0], "registrar"), Side.REGISTRAR, asap.PPID)
        await other.connect("127.0.0.1", 1000)
        other.send_nowait(asap.encode(request_), ASSOCIATION, ppid=asap.PPID)
        await until(lambda: registrar.refusals)
        assert registrar.refusals == {tls.NO_TLS: 1}
        assert [asap.decode(data) for data in one.sent] == [answer]
        await until(lambda: not other.associations)
        assert not registrar._ready
        await close(registrar)

    test(files)


@pytest.mark.parametrize("data", [b"\x00", b"GET / HTTP/1.0\r\n", b"\x04\x00\x00"])
def test_nonsense_gets_no_answer(files, data):
    @run
    async def test(files):
        one, other = wire()
        registrar = SecureEndpoint(one, context(files[0], "registrar"), Side.REGISTRAR, asap.PPID)
        await other.connect("127.0.0.1", 1000)
        other.send_nowait(data, ASSOCIATION, ppid=asap.PPID)
        await until(lambda: registrar.refusals)
        assert not one.sent
        await close(registrar)

    test(files)


def test_who_says_nothing_is_refused_in_time(files, monkeypatch):
    monkeypatch.setattr(module, "HANDSHAKE", 0.01)

    @run
    async def test(files):
        one, other = wire()
        registrar = SecureEndpoint(one, context(files[0], "registrar"), Side.REGISTRAR, asap.PPID)
        await other.connect("127.0.0.1", 1000)
        await until(lambda: registrar.refusals)
        assert registrar.refusals == {tls.TIMEOUT: 1}
        await until(lambda: not other.associations)
        await close(registrar)

    test(files)


def test_a_refused_peer_that_stays_is_aborted(files, monkeypatch):
    monkeypatch.setattr(module, "FAREWELL", 0.01)

    @run
    async def test(files):
        one, other = wire()
        one.shutdown = lambda association: None  # a peer that never ends it
        registrar = SecureEndpoint(one, context(files[0], "registrar"), Side.REGISTRAR, asap.PPID)
        await other.connect("127.0.0.1", 1000)
        for _ in range(3):
            other.send_nowait(b"nonsense", ASSOCIATION)
        await until(lambda: one.aborted)
        assert registrar.refusals == {tls.NO_TLS: 1}
        assert not registrar._links
        await close(registrar)

    test(files)


@run
async def test_connecting_to_somebody_silent_ends_in_time(files):
    one, other = wire()
    client = SecureEndpoint(other, context(files[0], "element"), Side.CLIENT, asap.PPID)
    with pytest.raises(TlsError) as caught:
        await client.connect("127.0.0.1", 1000, timeout=0.02)
    assert caught.value.reason == tls.TIMEOUT
    assert other.aborted
    await close(client)


@run
async def test_records_that_have_no_room_go_later_and_in_order(files):
    registrar, client = ends(files)
    association = await client.connect("127.0.0.1", 1000, timeout=5)
    await up(registrar)
    client.inner.room = 1
    long = bytes([1, 0]) + (40_000).to_bytes(2) + bytes(39_996)  # three records
    assert client.send_nowait(long, association)
    assert not client.send_nowait(HELLO, association)  # nothing queued
    task = asyncio.create_task(client.send(HELLO, association))
    await asyncio.sleep(0)
    assert not task.done()
    client.inner.room = None
    assert [(await registrar.recv()).data for _ in range(2)] == [long, HELLO]
    await task
    await close(registrar, client)


@run
async def test_after_a_restart_all_is_proven_anew(files):
    registrar, client = ends(files)
    association = await client.connect("127.0.0.1", 1000, timeout=5)
    await up(registrar)
    registrar.inner.restart()
    assert await registrar.recv() == AssocChange(association, c.SCTP_COMM_LOST)
    with pytest.raises(OSError):
        registrar.send_nowait(HELLO, association)
    assert await up(client)
    client.inner.restart()  # its registrar is new as well: it greets again
    assert await client.recv() == AssocChange(association, c.SCTP_COMM_LOST)
    assert await up(client) == await up(registrar)
    assert client.send_nowait(HELLO, association)
    assert (await registrar.recv()).data == HELLO
    await close(registrar, client)


@run
async def test_a_broken_session_is_lost_to_its_user(files):
    registrar, client = ends(files)
    association = await client.connect("127.0.0.1", 1000, timeout=5)
    await up(registrar)
    client.inner.send_nowait(b"\x17\x03\x03\x00\x20" + bytes(32), association)
    assert await registrar.recv() == AssocChange(association, c.SCTP_COMM_LOST)
    assert registrar.refusals == {tls.BROKEN: 1}
    await close(registrar, client)


@run
async def test_only_the_ordered_stream_0_is_taken(files):
    registrar, client = ends(files)
    association = await client.connect("127.0.0.1", 1000, timeout=5)
    await up(registrar)
    client.inner.send_nowait(b"\x17\x03\x03\x00\x20" + bytes(32), association, stream=1)
    assert await registrar.recv() == AssocChange(association, c.SCTP_COMM_LOST)
    await close(registrar, client)


@run
async def test_notifications_are_those_of_proven_peers(files):
    registrar, client = ends(files)
    registrar.inner.items.put_nowait(ShutdownEvent(ASSOCIATION))
    await client.connect("127.0.0.1", 1000, timeout=5)
    await up(registrar)
    registrar.inner.items.put_nowait(ShutdownEvent(ASSOCIATION))
    assert await registrar.recv() == ShutdownEvent(ASSOCIATION)
    await close(registrar, client)


@run
async def test_the_endpoints_failure_is_the_users(files):
    registrar, client = ends(files)
    registrar.inner.items.put_nowait(OSError(5, "broken"))
    with pytest.raises(OSError, match="broken"):
        await registrar.recv()
    await close(registrar, client)


def test_who_tries_again_and_again_does_not_fill_the_log(files, caplog):
    caplog.set_level(logging.WARNING, "rserpool.security")

    @run
    async def test(files):
        one, other = wire()
        registrar = SecureEndpoint(one, context(files[0], "registrar"), Side.REGISTRAR, asap.PPID)
        for count in range(1, 6):
            await other.connect("127.0.0.1", 1000)
            other.send_nowait(b"nonsense", ASSOCIATION)
            await until(lambda: registrar.refusals[tls.NO_TLS] == count)
            await until(lambda: not registrar._links)
        await close(registrar)

    test(files)
    assert len(caplog.records) == 1


@run
async def test_who_cannot_be_reached_is_not_refused(files):
    """Regression: a message to a registrar that is gone was counted as a refusal of it."""
    one, other = wire()
    registrar = SecureEndpoint(one, context(files[0], "registrar"), Side.PEER, enrp.PPID)

    async def connect(addresses, port, **_):
        raise OSError(errno.EISCONN, "there is one")

    one.connect = connect
    one.associations.append(ASSOCIATION)  # being set up by somebody else
    task = asyncio.create_task(registrar.send(HELLO, ("127.0.0.1", 2000)))
    await until(lambda: one.sent)
    one._end(c.SCTP_CANT_STR_ASSOC)
    with pytest.raises(TlsError):
        await task
    assert not registrar.refusals
    await close(registrar)


@run
async def test_a_message_goes_though_nobody_waits_for_it(files):
    """Regression: a registrar gave up an association to an element as soon as it did not wait any longer."""
    registrar, client = ends(files)
    task = asyncio.create_task(registrar.send(HELLO, ("127.0.0.1", 2000)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await up(client)
    assert (await client.recv()).data == HELLO
    await close(registrar, client)
    assert not registrar._tasks


@run
async def test_regression_an_association_gone_before_its_last_flight_was_read_ended_the_endpoint(files):
    """One client that hung up in its handshake, and the registrar had no endpoint any more."""
    registrar, client = ends(files)

    def gone(association):
        raise OSError(errno.ENOTCONN, "no such association")

    registrar.inner.peer_addresses = gone
    with pytest.raises(TlsError):
        await client.connect("127.0.0.1", 1000, timeout=5)
    assert registrar.refusals == {tls.CLOSED: 1}
    await until(lambda: not registrar._links and not client._links)
    del registrar.inner.peer_addresses
    association = await client.connect("127.0.0.1", 1000, timeout=5)
    assert await up(registrar) == association
    await close(registrar, client)
