"""TLS sessions in memory: messages and their boundaries, who is let in, what is said of those who are not."""

import random
import ssl

import pytest

from rserpool.security import tls
from rserpool.security.authority import certificate_file, key_file
from rserpool.security.contexts import check, load
from rserpool.security.tls import TlsError, TlsSession, is_hello, outranks, records
from rserpool.wire import asap

HERE = ("127.0.0.1",)


def contexts(directory, name=None, authority=None):
    own = (str(certificate_file(directory, name)), str(key_file(directory, name))) if name else ()
    return load(str(certificate_file(authority or directory, "ca")), *own)


def pair(server, client, wants_registrar=False, version=None):
    if version is not None:
        client.client.maximum_version = version
    return (
        TlsSession(server.server, True, lambda der: check(der, wants_registrar, HERE)),
        TlsSession(client.client, False, lambda der: check(der, True, HERE)),
    )


def exchange(server, client):
    """Carry records to and fro until nobody says anything more; return errors (server's, client's)."""
    errors = [None, None]
    ends = (server, client)
    quiet = 0
    turn = 1
    while quiet < 2:
        flight = records(ends[turn].output())
        quiet = 0 if flight else quiet + 1
        for record in flight:
            if errors[1 - turn] is None:
                try:
                    assert ends[1 - turn].feed(record) == []
                except TlsError as error:
                    errors[1 - turn] = error
        turn = 1 - turn
    return errors


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(params=VERSIONS, ids=["1.2", "1.3"])
def version(request):
    return request.param


@pytest.fixture
def open_pair(files, version):
    ours, _ = files
    ends = pair(contexts(ours, "registrar"), contexts(ours, "element"), version=version)
    assert exchange(*ends) == [None, None]
    return ends


def message(length, seed=0):
    """An ASAP message of this length, with random contents."""
    return bytes([1, 0]) + length.to_bytes(2) + random.Random(seed).randbytes(length - 4)


def test_handshake_and_messages_in_both_directions(open_pair):
    server, client = open_pair
    assert server.established
    assert client.established
    hello = asap.encode(asap.HandleResolution(b"PingPongPool"))
    assert client.feed(server.wrap(hello)) == [hello]
    record = client.wrap(hello)
    assert b"PingPongPool" not in record
    assert server.feed(record) == [hello]


@pytest.mark.parametrize("length", [4, 5, 6, 7, 8, 1399, 16384, 16385, 40001, 65535])
def test_messages_keep_their_boundaries(open_pair, length):
    server, client = open_pair
    sent = [message(length, 1), message(12, 2), message(length, 3)]
    got = []
    for record in [r for m in sent for r in records(client.wrap(m))]:
        assert len(record) <= 2**14 + 2048 + 5  # RFC 3436 section 3.2
        got += server.feed(record)
    assert got == sent


def test_pieces_and_lumps_are_the_same_stream(open_pair):
    """SCTP may deliver a message in parts, and a peer may put more than one record into a message."""
    server, client = open_pair
    sent = [message(n, n) for n in (9, 4, 333, 20000)]
    data = b"".join(client.wrap(m) for m in sent)
    assert [m for at in range(0, len(data), 7) for m in server.feed(data[at : at + 7])] == sent
    data = b"".join(client.wrap(m) for m in sent)
    assert server.feed(data) == sent
    assert server.feed(b"") == []


def test_the_end_is_told_and_nothing_goes_after_it(open_pair):
    server, client = open_pair
    client.close()
    assert server.feed(client.output()) == []
    assert server.closed
    with pytest.raises(TlsError, match="not open"):
        server.wrap(message(8))


def test_nothing_is_sent_before_the_handshake(files):
    ours, _ = files
    server, client = pair(contexts(ours, "registrar"), contexts(ours, "element"))
    for end in (server, client):
        with pytest.raises(TlsError, match="not open"):
            end.wrap(message(8))
        assert not end.presume()


def test_a_client_is_not_done_before_the_server_has_seen_its_certificate(files):
    """Regression: in TLS 1.3 a client with a bad certificate would believe for a moment to be welcome."""
    ours, _ = files
    server, client = pair(contexts(ours, "registrar"), contexts(ours))
    for record in records(client.output()):
        server.feed(record)
    for record in records(server.output()):
        client.feed(record)
    assert not client.established
    assert client.presume()  # for servers that give no tickets


CASES = {
    # server's files, client's files, whether a registrar is wanted, reason at the server, at the client
    "no certificate": ("registrar", None, False, tls.NO_CERTIFICATE, tls.REFUSED),
    "expired": ("registrar", "expired", False, tls.EXPIRED, tls.REFUSED),
    "early": ("registrar", "early", False, tls.NOT_YET_VALID, tls.REFUSED),
    "other authority": ("registrar", "others:element", False, tls.UNKNOWN_AUTHORITY, tls.REFUSED),
    "expired registrar": ("expired-registrar", "element", False, tls.REFUSED, tls.EXPIRED),
    "registrar of another authority": ("others:registrar", "element", False, tls.REFUSED, tls.UNKNOWN_AUTHORITY),
    "registrar elsewhere": ("elsewhere", "element", False, None, tls.WRONG_ADDRESS),
    "element as registrar": ("element", "registrar", False, tls.REFUSED, tls.WRONG_ROLE),
    "element among registrars": ("registrar", "element", True, tls.WRONG_ROLE, None),
}


@pytest.mark.parametrize("case", CASES)
def test_strangers_are_refused_and_it_is_said_why(files, version, case):
    ours, others = files

    def of(name):
        if name is None or not name.startswith("others:"):
            return contexts(ours, name)
        return contexts(others, name.partition(":")[2], authority=ours)

    server, client, wants, at_server, at_client = CASES[case]
    ends = pair(of(server), of(client), wants, version)
    errors = exchange(*ends)
    assert errors[0] is None or at_server is None or errors[0].reason == at_server, errors
    assert (errors[0] is None) == (at_server is None), errors
    if at_client is not None:
        assert errors[1] is not None
        assert errors[1].reason == at_client, errors
    # Whoever refuses must not take messages; the other end learns it at the latest by the end of the association.
    refuser = ends[1] if at_client not in (None, tls.REFUSED) else ends[0]
    assert not refuser.established
    assert all(str(e) for e in errors if e)


def test_a_good_address_is_accepted_and_roles_hold_for_enrp(files, version):
    ours, _ = files
    ends = pair(contexts(ours, "here"), contexts(ours, "here"), True, version)
    assert exchange(*ends) == [None, None]
    assert all(end.established for end in ends)


@pytest.mark.parametrize(
    "data", [asap.encode(asap.HandleResolution(b"EchoPool")), b"\x16", b"\x16\x03", b"\x00" * 9]
)
def test_what_is_no_tls_is_recognised(files, data):
    ours, _ = files
    server, _ = pair(contexts(ours, "registrar"), contexts(ours, "element"))
    if data[0] == 0x16:
        assert server.feed(data) == []  # a beginning of it
    else:
        with pytest.raises(TlsError, match="does not speak TLS") as caught:
            server.feed(data)
        assert caught.value.reason == tls.NO_TLS


def test_old_versions_are_refused(files):
    ours, _ = files
    ends = pair(contexts(ours, "registrar"), contexts(ours, "element"))
    hello = bytearray(ends[1].output())
    at = hello.index(b"\x00\x2b", 43)  # the supported_versions extension: make it one that nobody knows
    hello[at + 1] = 0xFA
    hello[9:11] = b"\x03\x01"  # and offer TLS 1.0
    with pytest.raises(TlsError) as caught:
        ends[0].feed(bytes(hello))
    assert caught.value.reason == tls.VERSION


def test_changed_records_break_the_session(open_pair):
    server, client = open_pair
    data = bytearray(client.wrap(message(100)))
    data[-1] ^= 1
    with pytest.raises(TlsError) as caught:
        server.feed(bytes(data))
    assert caught.value.reason == tls.BROKEN


def test_records_cannot_be_replayed(open_pair):
    server, client = open_pair
    data = client.wrap(message(100))
    assert len(server.feed(data)) == 1
    with pytest.raises(TlsError):
        server.feed(data)


def test_a_message_of_impossible_length_ends_the_session(open_pair):
    server, client = open_pair
    with pytest.raises(TlsError, match="length 3"):
        server.feed(client.wrap(bytes([1, 0, 0, 3])))


def test_garbage_raises_nothing_else(files, open_pair):
    ours, _ = files
    rng = random.Random(6)
    hello = pair(contexts(ours, "registrar"), contexts(ours, "element"))[1].output()
    context = contexts(ours, "registrar")
    for _ in range(300):
        data = bytearray(hello)
        for _ in range(rng.randint(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        session = TlsSession(context.server, True, lambda der: None)
        try:
            session.feed(bytes(data[: rng.randint(1, len(data))]))
        except TlsError:
            pass
        assert not session.established


def test_of_two_clients_one_gives_way(files):
    ours, _ = files
    both = [TlsSession(contexts(ours, "registrar").client, False, lambda der: None).output() for _ in range(2)]
    assert all(is_hello(h) for h in both)
    assert outranks(*both) != outranks(both[1], both[0])
    assert not is_hello(b"\x16\x03\x01")
    assert not is_hello(asap.encode(asap.HandleResolution(b"x" * 32)))


def test_files_that_are_no_good_are_named(files, tmp_path):
    ours, _ = files
    authority, mine = str(certificate_file(ours, "ca")), str(certificate_file(ours, "element"))
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for arguments, words in (
        ((str(tmp_path / "none.pem"),), "none.pem.*No such file"),
        ((str(empty),), "empty.pem"),
        ((authority, mine), "needs its key"),
        ((authority, None, mine), "needs its key"),
        ((authority, mine, str(key_file(ours, "registrar"))), "key values mismatch"),
        ((authority, str(empty), mine), "empty.pem"),
    ):
        with pytest.raises(ValueError, match=words):
            load(*arguments)
