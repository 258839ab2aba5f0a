"""CalcApp, scripting, fractals: the captured messages of RSPLIB, limits, cookies, computed points."""

import random
from pathlib import Path

import pytest

from rserpool.services import calcapp, fractal, fractal_images, scripting
from rserpool.wire import asap
from rserpool.wire.types import DecodeError
from tests import pcaps

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.mark.parametrize(
    "protocol, name, kinds",
    [(calcapp, "08-calcapp", {1, 2, 5, 6, 7}), (scripting, "09-scripting", {1, 2, 3, 4, 5, 6, 7})],
    ids=["calcapp", "scripting"],
)
def test_captured_messages_round_trip(protocol, name, kinds):
    seen = set()
    for m in pcaps.user_messages(GOLDEN / f"{name}.pcap", (protocol.PPID,)):
        assert protocol.encode(protocol.decode(m.data)) == m.data
        seen.add(m.data[0])
    assert kinds <= seen


def test_captured_calcapp_cookies_round_trip():
    cookies = [asap.decode(m.data) for m in pcaps.user_messages(GOLDEN / "08-calcapp.pcap", (asap.PPID,))]
    cookies = [m.cookie for m in cookies if isinstance(m, asap.Cookie)]
    assert cookies
    for cookie in cookies:
        assert calcapp.encode_cookie(calcapp.decode_cookie(cookie)) == cookie


PARAMETER = fractal.Parameter(4, 3, 100, fractal.MANDELBROT, complex(-1.5, 1.5), complex(1.5, -1.5), 3.0)

GOOD = [
    (fractal, PARAMETER, 60),
    (fractal, fractal.Data(5, 6, (1, 2, 3)), 28),
    (fractal, fractal.Data(0, 0, tuple(range(324))), 16 + 4 * 324),
    (fractal, fractal.END_OF_IMAGE, 16),
    (calcapp, calcapp.Message(calcapp.REQUEST, 7, 1 << 40, 0), 24),
    (scripting, scripting.NotReady(scripting.FULLY_LOADED, "host"), 12),
    (scripting, scripting.Ready("host"), 8),
    (scripting, scripting.Upload(b"x" * 16384), 16388),
    (scripting, scripting.Download(), 4),
    (scripting, scripting.KeepAlive(), 4),
    (scripting, scripting.KeepAliveAck(), 4),
    (scripting, scripting.KeepAliveAck(0), 8),
    (scripting, scripting.Status(1), 8),
    (scripting, scripting.Environment(bytes(range(20)), True), 24),
]


@pytest.mark.parametrize("protocol, message, size", GOOD)
def test_messages_round_trip(protocol, message, size):
    data = protocol.encode(message)
    assert len(data) == size
    assert protocol.decode(data) == message


def test_fractal_layout():
    data = fractal.encode(PARAMETER)
    assert data[:20].hex() == "0100003c" + "00000004" + "00000003" + "00000064" + "00000001"
    assert data[20:28].hex() == "bff8000000000000" and data[52:].hex() == "4008000000000000"
    assert fractal.encode(fractal.END_OF_IMAGE).hex() == "02000010" + "ffffffff" * 2 + "00000000"
    cookie = fractal.encode_cookie(fractal.Cookie(PARAMETER, 1, 2))
    assert len(cookie) == 76 and cookie[:12].hex() == b"<FG-TD1>".hex() + "01000004"
    assert fractal.decode_cookie(cookie) == fractal.Cookie(PARAMETER, 1, 2)
    assert fractal.decode(fractal.encode(fractal.END_OF_IMAGE)).end


@pytest.mark.parametrize(
    "message",
    [
        fractal.Parameter(0, 1, 1, 1, 0j, 1j),
        fractal.Parameter(1, 65537, 1, 1, 0j, 1j),
        fractal.Parameter(1, 1, 1_000_001, 1, 0j, 1j),
        fractal.Data(0, 0, (0,) * 325),
        scripting.Upload(bytes(16385)),
        scripting.Environment(bytes(19)),
    ],
)
def test_limits(message):
    protocol = scripting if isinstance(message, scripting.Message) else fractal
    with pytest.raises(ValueError):
        protocol.encode(message)


def test_only_decode_errors_come_out():
    rng = random.Random(3)
    seeds = [(p, p.encode(m)[:200]) for p, m, _ in GOOD]
    refused = 0
    for _ in range(4000):
        protocol, data = rng.choice(seeds)
        data = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        data = bytes(data[: rng.randrange(len(data) + 1)])
        try:
            protocol.decode(data)
        except DecodeError:
            refused += 1
        for decode in (fractal.decode_cookie, calcapp.decode_cookie):
            try:
                decode(data)
            except DecodeError:
                pass
    assert refused > 2000


@pytest.mark.parametrize("change", [(0, b"x"), (8, b"\2"), (68, b"\xff")])
def test_bad_fractal_cookies(change):
    cookie = bytearray(fractal.encode_cookie(fractal.Cookie(PARAMETER, 1, 2)))
    cookie[change[0] : change[0] + 1] = change[1]
    with pytest.raises(DecodeError):
        fractal.decode_cookie(bytes(cookie))
    with pytest.raises(DecodeError):
        fractal.decode_cookie(bytes(cookie) + b"x")


def test_bad_calcapp_cookies():
    with pytest.raises(DecodeError):
        calcapp.decode_cookie(calcapp.encode_cookie(calcapp.Cookie(1, 5, 6)))


def image(parameter):
    return [count for _, _, counts in fractal_images.points(parameter) for count in counts]


def slow(parameter, n):
    """The same by the plain formula."""
    found = []
    p = parameter
    for y in range(p.height):
        for x in range(p.width):
            real = p.c1.real + x * ((p.c2.real - p.c1.real) / p.width)
            c = complex(real, p.c1.imag + y * (p.c2.imag - p.c1.imag) / p.height)
            z, i = 0j, 0
            while i < p.max_iterations:
                z = z**n - c
                if abs(z) ** 2 >= 2.0:
                    break
                i += 1
            found.append(i)
    return found


@pytest.mark.parametrize("algorithm, n", [(fractal.MANDELBROT, 2), (fractal.MANDELBROT_N, 3.0)])
def test_points(algorithm, n):
    p = fractal.Parameter(24, 18, 60, algorithm, complex(-1.5, 1.5), complex(1.5, -1.5), n)
    assert image(p) == slow(p, n)
    assert len(set(image(p))) > 5


def test_another_server_computes_the_same():
    p = fractal.Parameter(50, 20, 50, fractal.MANDELBROT, complex(-1.5, 1.5), complex(1.5, -1.5))
    whole = image(p)
    for x, y in ((0, 0), (7, 3), (49, 19), (0, 20)):
        rest = [c for _, _, counts in fractal_images.points(p, x, y) for c in counts]
        assert rest == whole[y * 50 + x :]


def test_the_pattern():
    p = fractal.Parameter(300, 2, 0, 99, 0j, 0j)
    assert image(p)[300:] == [x % 256 for x in range(300)]


def test_points_that_never_escape_or_cannot_be_computed():
    p = fractal.Parameter(1, 1, 10, fractal.MANDELBROT, 0j, 0j)
    assert image(p) == [10]
    p = fractal.Parameter(1, 1, 10, fractal.MANDELBROT_N, 0j, 0j, -1.0)
    assert image(p) == [0]
