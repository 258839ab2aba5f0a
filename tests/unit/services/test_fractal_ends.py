"""Both ends of the fractal service without network: what they send when, and what becomes of failures."""

import asyncio
from collections import deque

import pytest

from rserpool.services import fractal, fractal_images
from rserpool.services.fractal_client import Drawing, Timeouts
from rserpool.services.fractal_server import Settings, serve
from rserpool.session import CookieEcho, Data, Failover
from rserpool.session.events import COMPLETE, NECESSARY

PARAMETER = fractal.Parameter(50, 40, 60, fractal.MANDELBROT, complex(-1.5, 1.5), complex(1.5, -1.5))
POINTS = [c for _, _, counts in fractal_images.points(PARAMETER) for c in counts]


class User:
    """A pool user as the server sees it: says what it was told to say, keeps what it gets."""

    id = 7

    def __init__(self, *events, slow=False):
        self.events = deque(events)
        self.got = []
        self.end = ""
        self.slow = slow
        self.enough = asyncio.Event()

    async def recv(self):
        return self.events.popleft() if self.events else None

    async def send(self, data, *, ppid, stream=0):
        assert (ppid, stream) == (fractal.PPID, 0)
        if self.slow:
            await asyncio.sleep(60)
        self.got.append(fractal.decode(data))
        self.enough.set()

    async def send_cookie(self, cookie):
        self.got.append(fractal.decode_cookie(cookie))

    def close(self):
        self.end = self.end or "closed"

    def abort(self, reason=b""):
        self.end = f"aborted: {reason.decode()}"

    async def wait_closed(self):
        pass


def asks(parameter=PARAMETER):
    return Data(fractal.encode(parameter), fractal.PPID, 0)


def served(user, **settings):
    said = []
    asyncio.run(serve(user, Settings(**settings), said.append))
    return said


def picture(messages, base=None):
    """The points of some messages, put at their places."""
    found = list(base or [None] * len(POINTS))
    for m in messages:
        if isinstance(m, fractal.Data) and not m.end:
            at = m.y * PARAMETER.width + m.x
            found[at : at + len(m.points)] = m.points
    return found


def test_an_image_begins_with_a_cookie_and_ends_with_the_mark():
    user = User(asks())
    said = served(user)
    assert user.got[0] == fractal.Cookie(PARAMETER, 0, 0)
    assert user.got[-1] == fractal.END_OF_IMAGE
    assert picture(user.got) == POINTS
    sizes = [len(m.points) for m in user.got if isinstance(m, fractal.Data)]
    assert sizes == [324] * 6 + [2000 - 6 * 324, 0]
    assert "w=50 h=40" in said[0]


def test_several_images_in_one_session():
    user = User(asks(), asks())
    served(user)
    assert user.got.count(fractal.END_OF_IMAGE) == 2


@pytest.mark.parametrize("packets", [1, 2, 3])
def test_cookies_come_after_so_many_packets_and_never_claim_what_was_not_sent(packets):
    user = User(asks())
    served(user, cookie_max_packets=packets)
    since = 0
    known = [None] * len(POINTS)
    for m in user.got:
        if isinstance(m, fractal.Cookie):
            assert None not in known[: m.y * PARAMETER.width + m.x]
            since = 0
        else:
            since += not m.end
            assert since <= packets
            known = picture([m], known)


def test_another_server_goes_on_at_any_cookie():
    first = User(asks())
    served(first, cookie_max_packets=1)
    for place, cookie in enumerate(first.got):
        if isinstance(cookie, fractal.Cookie):
            second = User(CookieEcho(fractal.encode_cookie(cookie)))
            served(second)
            assert picture(second.got, picture(first.got[:place])) == POINTS
            assert second.got[-1] == fractal.END_OF_IMAGE


def test_the_failure_test_sends_a_cookie_and_leaves():
    user = User(asks())
    said = served(user, failure_after=3)
    assert [type(m) for m in user.got] == [fractal.Cookie, *[fractal.Data] * 3, fractal.Cookie]
    assert user.got[-1] == fractal.Cookie(PARAMETER, 3 * 324 % 50, 3 * 324 // 50)
    assert user.end == "closed"
    assert "after 3 packets" in said[-1]


def test_test_mode_sends_the_pattern():
    user = User(asks())
    served(user, test_mode=True)
    assert picture(user.got) == [x * y % 256 for y in range(40) for x in range(50)]
    assert user.got[0].parameter.algorithm == fractal.MANDELBROT


@pytest.mark.parametrize(
    "events",
    [
        [Data(b"nonsense", fractal.PPID, 0)],
        [Data(fractal.encode(fractal.END_OF_IMAGE), fractal.PPID, 0)],
        [CookieEcho(b"<FG-TD1>")],
        [asks(), CookieEcho(fractal.encode_cookie(fractal.Cookie(PARAMETER, 0, 0)))],
    ],
)
def test_bad_messages_end_the_session(events):
    user = User(*events)
    assert "Aborting session 7" in served(user)[-1]
    assert user.end == "aborted: bad message"


def test_a_user_that_takes_nothing_is_left():
    user = User(asks(), slow=True)
    assert "takes no data for 0.01s" in served(user, transmit_timeout=0.01)[-1]
    assert user.end == "aborted: transmission timeout"


def test_a_server_that_ends_sends_what_it_has_and_its_state():
    user = User(asks(fractal.Parameter(50, 40, 1_000_000, fractal.MANDELBROT, 0j, 0.1 + 0.1j)))

    async def main():
        # Each point takes a piece of its own, so the server lets others run after each of them.
        task = asyncio.create_task(serve(user, Settings(data_max_time=0.0), lambda _: None))
        await user.enough.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    last = user.got[-1]
    assert isinstance(last, fractal.Cookie)
    assert last.y * 50 + last.x == sum(len(m.points) for m in user.got if isinstance(m, fractal.Data)) > 0


def test_computing_lets_others_run():
    async def main():
        turns = 0

        async def count():
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        other = asyncio.create_task(count())
        large = fractal.Parameter(80, 80, 1000, fractal.MANDELBROT, -1.5 + 1j, 1.5 - 1j)
        await serve(User(asks(large)), Settings(), lambda _: None)
        other.cancel()
        return turns

    assert asyncio.run(main()) > 5


# The pool user's side


class Pool:
    """A session as the pool user sees it: each server is a list of what it sends after its start."""

    def __init__(self, *servers):
        self.servers = deque(servers)
        self.cookie = None
        self.identifier = 0
        self.connected = True
        self.sent = []  # (server, parameters)
        self.reported = []
        self.events = deque()
        self._next()

    @property
    def has_cookie(self):
        return self.cookie is not None

    def _next(self):
        self.identifier += 1
        self.events = deque(self.servers.popleft())

    async def send(self, data, *, ppid):
        assert ppid == fractal.PPID
        self.sent.append((self.identifier, fractal.decode(data)))

    async def recv(self):
        while self.events:
            event = self.events.popleft()
            if isinstance(event, fractal.Cookie):
                self.cookie = event
            elif isinstance(event, fractal.Data):
                return Data(fractal.encode(event), fractal.PPID, 0)
            elif event == "silence":
                await asyncio.sleep(60)
            else:
                return event
        return Failover(NECESSARY, self.has_cookie, self.identifier)

    async def force_failover(self, unreachable=False):
        if unreachable:
            self.reported.append(self.identifier)
        if self.servers[0] is None:
            self.servers.popleft()
            return False
        self._next()
        self.events.appendleft(Failover(COMPLETE, self.has_cookie, self.identifier))
        return True


def data(start, stop):
    return fractal.Data(start % 50, start // 50, tuple(POINTS[start:stop]))


ALL = [data(at, min(at + 300, 2000)) for at in range(0, 2000, 300)]
COOKIE = fractal.Cookie(PARAMETER, 0, 6)


def drawn(pool, **timeouts):
    found = [None] * len(POINTS)
    said = []

    def take(offset, points):
        found[offset : offset + len(points)] = points

    drawing = Drawing(PARAMETER, take, said.append, Timeouts(**timeouts))
    asyncio.run(drawing.run(pool))
    assert found == POINTS
    assert drawing.missing == 0
    return drawing, said


def test_one_server_draws_all():
    pool = Pool(ALL)
    drawing, said = drawn(pool)
    assert pool.sent == [(1, PARAMETER)]
    assert (drawing.elements, drawing.failovers, said) == ([1], 0, [])


def test_after_a_failover_the_cookie_goes_on():
    pool = Pool([COOKIE, ALL[0]], ALL[1:])
    drawing, said = drawn(pool)
    assert pool.sent == [(1, PARAMETER)]
    assert (drawing.elements, drawing.failovers) == ([1, 2], 1)
    assert said == ["PE $00000001 has gone: failover", "PE $00000002 goes on by its cookie"]


def test_without_a_cookie_all_is_asked_for_again():
    pool = Pool(ALL[:2], ALL)
    drawn(pool)
    assert pool.sent == [(1, PARAMETER), (2, PARAMETER)]


def test_a_silent_server_is_reported_and_left():
    pool = Pool([COOKIE, ALL[0], "silence"], ALL[1:])
    drawing, said = drawn(pool, receive=0.01)
    assert pool.reported == [1]
    assert "silent for 0.01 s" in said[0]
    assert drawing.failovers == 1


def test_while_there_is_no_server_it_waits():
    pool = Pool([COOKIE, ALL[0]], None, None, ALL[1:])
    drawing, said = drawn(pool)
    assert drawing.failovers == 1
    assert len(said) == 2


def test_full_servers_are_not_asked_without_pause(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr("rserpool.services.fractal_client.asyncio.sleep", sleep)
    drawing, _ = drawn(Pool([], [], [], [], [], [], [], [], ALL[:1], [], ALL))
    assert drawing.failovers == 10
    longest = [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    # The first failover, and the first after points, are at once.
    assert len(slept) == 7 + 1
    assert all(most / 2 <= s <= most for s, most in zip(slept, [*longest, 0.05]))


@pytest.mark.parametrize(
    "bad",
    [
        Data(b"nonsense", fractal.PPID, 0),
        Data(fractal.encode(PARAMETER), fractal.PPID, 0),
        fractal.Data(50, 0, (1,)),
        fractal.Data(49, 39, (1, 2)),
        fractal.Data(0, 40, (1,)),
    ],
)
def test_a_server_that_sends_nonsense_is_left(bad):
    pool = Pool([COOKIE, ALL[0], bad], ALL[1:])
    _, said = drawn(pool)
    assert said[0].startswith("Bad message from PE $00000001")


def test_points_lost_with_a_server_whose_cookie_claims_them_are_asked_for():
    lossy = [*ALL[:2], *ALL[3:], fractal.END_OF_IMAGE, *ALL]
    pool = Pool(lossy)
    _, said = drawn(pool)
    assert pool.sent == [(1, PARAMETER), (1, PARAMETER)]
    assert said == ["300 points are missing: asking PE $00000001 for all"]
