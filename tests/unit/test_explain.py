"""Every message of every protocol is explained, with its section; what is wrong is called malformed."""

import random
from dataclasses import fields

import pytest

from pysctplib.trace import explain as chunk_words
from pysctplib.wire import causes, chunks
from rserpool.explain import explain_datagram, explain_user_message
from rserpool.explain.values import text_of
from rserpool.services import calcapp, fractal, pingpong, scripting
from rserpool.wire import asap, csp, enrp
from tests.unit.rserpool_wire.vectors import ASAP, ENRP, PE_ID


def told(ppid, data):
    found = explain_user_message(ppid, data)
    assert not found.malformed, found.explanation
    return found.explanation


@pytest.mark.parametrize("name", ASAP)
def test_asap(name):
    message, _ = ASAP[name]
    words = told(asap.PPID, asap.encode(message))
    title = "".join(f"_{c}" if c.isupper() else c for c in type(message).__name__).upper()
    assert words.title == f"ASAP{title}"
    assert words.section.startswith("RFC 5352 section 2.2.") and words.text
    assert [n for n, _ in words.fields if not n.startswith(" ")] >= [
        f.name.replace("_", " ") for f in fields(message)
    ]


@pytest.mark.parametrize("name", ENRP)
def test_enrp(name):
    message, _ = ENRP[name]
    words = told(enrp.PPID, enrp.encode(message))
    assert words.title.startswith("ENRP_") and words.section.startswith("RFC 5353 section 2.")
    assert ("sender", "$aabbccdd") in words.fields


def test_the_tables_have_every_message_once():
    for protocol, module in (("asap", asap), ("enrp", enrp)):
        tellers = __import__(f"rserpool.explain.{protocol}", fromlist=["x"])._TELLERS
        assert set(tellers) == set(module._ENCODERS)
        sections = [section for _, section, _, _ in tellers.values()]
        assert len(set(sections)) == len(sections)


def test_the_home_registrar_changes():
    keep_alive = asap.EndpointKeepAlive(0xBBBBBBBB, b"EchoPool", PE_ID, home=True)
    words = told(asap.PPID, asap.encode(keep_alive))
    assert words.title == "ASAP_ENDPOINT_KEEP_ALIVE" and words.section.startswith("RFC 5352 section 2.2.7")
    for part in ("H bit", "registrar $bbbbbbbb is the home registrar of PE $12345678", '"EchoPool"'):
        assert part in words.text
    assert ("home", "yes") in words.fields


def test_a_refusal_says_why():
    message = asap.RegistrationResponse(b"EchoPool", PE_ID, reject=True, error=5)
    assert 'refused in pool "EchoPool": incompatible pool policy' in told(11, asap.encode(message)).text


@pytest.mark.parametrize(
    ("cookie", "words"),
    [
        (pingpong.encode_cookie(7), "the next reply is number 7"),
        (calcapp.encode_cookie(calcapp.Cookie(1, 100, 50)), "job 1: 50 of 100 calculations are done"),
        (fractal.encode_cookie(fractal.Cookie(fractal.Parameter(8, 6, 9, 1, 0j, 1j), 2, 3)), "(2, 3) of 8 x 6"),
        (b"something else", "14 bytes: something else"),
    ],
)
def test_cookies_of_the_services_are_read(cookie, words):
    assert words in told(asap.PPID, asap.encode(asap.Cookie(cookie))).text
    assert words in told(asap.PPID, asap.encode(asap.CookieEcho(cookie))).text


@pytest.mark.parametrize(
    ("ppid", "data", "title", "words"),
    [
        (33, pingpong.encode(pingpong.Ping(3)), "Ping", "message 3"),
        (33, pingpong.encode(pingpong.Pong(3, 9)), "Pong", "reply 9"),
        (32, fractal.encode(fractal.Parameter(8, 6, 99, 1, 0j, 1j)), "Parameter", "8 x 6 points of Mandelbrot"),
        (32, fractal.encode(fractal.Data(1, 2, [3, 4])), "Data", "2 points from (1, 2)"),
        (32, fractal.encode(fractal.END_OF_IMAGE), "Data", "complete"),
        *((34, calcapp.encode(calcapp.Message(n, 5, 70, 60)), name, "job 5") for n, name in calcapp.NAMES.items()),
        (35, scripting.encode(scripting.NotReady(1, "host")), "NotReady", "fully loaded, host"),
        (35, scripting.encode(scripting.Ready("host")), "Ready", "host"),
        (35, scripting.encode(scripting.Upload(b"abc")), "Upload", "3 bytes"),
        (35, scripting.encode(scripting.Download()), "Download", "complete"),
        (35, scripting.encode(scripting.KeepAlive()), "KeepAlive", "still there"),
        (35, scripting.encode(scripting.KeepAliveAck(4)), "KeepAliveAck", "status 4"),
        (35, scripting.encode(scripting.Status(3)), "Status", "status 3"),
        (35, scripting.encode(scripting.Environment(bytes(20), True)), "Environment", "send it"),
        (0, b"hello", "Data", "5 bytes: hello"),
        (36, b"\x00\xff", "Data", r"2 bytes: \x00\xff"),
    ],
)  # fmt: skip
def test_services(ppid, data, title, words):
    found = explain_user_message(ppid, data)
    assert found.explanation.title == title and words in found.explanation.text


def test_what_only_says_that_all_is_well_is_marked():
    quiet = [
        asap.encode(asap.EndpointKeepAlive(1, b"x", 2)), asap.encode(asap.EndpointKeepAliveAck(b"x", 2)),
        asap.encode(asap.Cookie(b"x")),
    ]  # fmt: skip
    loud = [asap.encode(asap.EndpointKeepAlive(1, b"x", 2, home=True)), asap.encode(asap.CookieEcho(b"x"))]
    assert [explain_user_message(11, data).monitoring for data in quiet + loud] == [True] * 3 + [False] * 2


def test_reports_and_announces_by_udp():
    report = csp.Report(csp.component(csp.POOL_USER, 5), 1000000, 500000, "here", "1 Session", 0.5,
                        [csp.Association(csp.component(csp.POOL_ELEMENT, 9), 1000, 132, 33)])  # fmt: skip
    for port in (csp.PORT, 12345):
        found = explain_datagram(40000, port, csp.encode(report))
        assert found.protocol == "CSP" and "pool user $00000005: 1 Session, workload 50%" in found.explanation.text
        assert found.monitoring and "pool element $00000009" in dict(found.explanation.fields)["association"]
    announce = asap.encode(asap.ServerAnnounce(0xAABBCCDD))
    assert explain_datagram(1, 2, announce).message == asap.ServerAnnounce(0xAABBCCDD, [], None)
    presence = next(enrp.encode(m) for m, _ in ENRP.values() if isinstance(m, enrp.Presence))
    assert explain_datagram(1, 2, presence).protocol == "ENRP"
    assert explain_datagram(53, 40000, b"\x12\x34 a question of somebody else") is None


def test_malformed_messages_are_told():
    for ppid, protocol in ((11, "ASAP"), (12, "ENRP"), (32, "Fractal"), (33, "PingPong"), (34, "CalcApp"),
                           (35, "Scripting")):  # fmt: skip
        found = explain_user_message(ppid, b"\x01\0\0\x63x")
        assert found.malformed and found.protocol == protocol and found.explanation.title == "malformed message"
    assert explain_datagram(1, csp.PORT, b"x").malformed
    assert explain_datagram(1, asap.PORT, b"x").malformed
    assert explain_datagram(1, enrp.PORT, b"x").malformed


def test_tls_records_are_not_called_malformed():
    found = explain_user_message(11, b"\x16\x03\x01\x00\x05hello")
    assert found.protocol == "TLS" and not found.malformed


def test_chunks():
    reason = [(causes.USER_ABORT, b"because")]
    for chunk, words in (
        (chunks.Init(0x11, 1500, 2, 3, 4), "asks for an association"),
        (chunks.Init(0x11, 1500, 2, 3, 4, ack=True), "signed cookie"),
        (chunks.Data(3, 7, 1, 2, 11, b"abc"), "whole message of 3 bytes"),
        (chunks.Sack(7, 1500), "up to TSN 7"),
        (chunks.Heartbeat([(1, b"x")]), "path"),
        (chunks.Abort(reason), "User-Initiated Abort: because"),
        (chunks.Error([(causes.STALE_COOKIE, bytes(4))]), "Stale Cookie"),
        (chunks.Shutdown(1), "wants to end"),
        (chunks.CookieEcho(b"x"), "cookie back"),
        (chunks.Bare(chunks.COOKIE_ACK), "is up"),
        (chunks.Bare(chunks.SHUTDOWN_ACK), "nothing more"),
        (chunks.Bare(chunks.SHUTDOWN_COMPLETE), "gone"),
    ):
        data = chunks.encode(chunk)
        size = int.from_bytes(data[2:4], "big")
        found = chunk_words.explain(data[0], data[1], data[4:size])
        assert words in found.text and found.section.startswith("RFC 9260 section 3.3.")
        assert found.title == chunks.NAMES[data[0]]


def test_text_from_the_network_has_no_control_characters():
    assert text_of(b"\x1b[31mred") == r"\x1b[31mred"
    assert text_of("grün".encode()) == "grün"


def test_noise_never_crashes():
    rng = random.Random(5)
    known = [(11, asap.encode(m)) for m, _ in ASAP.values()] + [(12, enrp.encode(m)) for m, _ in ENRP.values()]
    for _ in range(2000):
        ppid, data = rng.choice(known)
        noisy = bytearray(data)
        for _ in range(rng.randrange(5)):
            noisy[rng.randrange(len(noisy))] = rng.randrange(256)
        explain_user_message(rng.choice((ppid, 0, 32, 33, 34, 35)), bytes(noisy))
        explain_datagram(rng.choice((1, 2960)), rng.choice((1, 3863, 9901, 2960)), bytes(noisy))
