"""CalcApp's server in virtual time: sharing the capacity, cookies, keep-alives, limits."""

import random

import pytest

from rserpool.services.calcapp import (
    ACCEPT,
    COMPLETE,
    KEEP_ALIVE,
    KEEP_ALIVE_ACK,
    REJECT,
    REQUEST,
    Cookie,
    Message,
)
from rserpool.services.calcapp_server import Drop, Note, Send, SendCookie, Server, Settings


class Bench:
    """A server whose clock jumps from deadline to deadline."""

    def __init__(self, **settings):
        self.server = Server(Settings(**settings), 100.0)
        self.now = 100.0
        self.seen = []  # (time, action)

    def take(self):
        actions = self.server.actions()
        self.seen += [(self.now, a) for a in actions if not isinstance(a, Note)]
        for action in actions:
            if isinstance(action, Send) and action.message.type == KEEP_ALIVE:
                self.server.request(action.session, Message(KEEP_ALIVE_ACK, action.message.job), self.now)

    def request(self, session, number, size):
        self.server.request(session, Message(REQUEST, number, size), self.now)
        self.take()

    def run(self, until):
        while (due := self.server.deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.server.expire(self.now)
            self.take()
        self.now = until
        self.server.expire(until)
        self.take()

    def times(self, kind):
        return [
            (a.session, round(t - 100, 6)) for t, a in self.seen if isinstance(a, Send) and a.message.type == kind
        ]


def test_one_job_gets_the_whole_capacity():
    bench = Bench(capacity=1e6)
    bench.request("a", 1, 3_000_000)
    assert bench.times(ACCEPT) == [("a", 0.0)]
    bench.run(110.0)
    assert bench.times(COMPLETE) == [("a", 3.0)]
    assert bench.server.jobs == {}
    assert bench.server.used == pytest.approx(3e6)
    assert bench.seen[-1][1].message == Message(COMPLETE, 1, 3_000_000, 3_000_000)


def test_jobs_share_the_capacity_and_leave_it_to_the_rest():
    bench = Bench(capacity=1e6)
    bench.request("a", 1, 3_000_000)
    bench.run(101.0)
    bench.request("b", 7, 1_000_000)
    assert bench.server.load == 0.2
    bench.run(120.0)
    # a: 1 s alone, 2 s with half the capacity, then 1 s alone; b: 2 s with half of it.
    assert bench.times(COMPLETE) == [("b", 3.0), ("a", 4.0)]


def test_a_jump_over_several_completions_gives_each_its_share():
    bench = Bench(capacity=1e6)
    bench.request("a", 1, 1_000_000)
    bench.request("b", 1, 2_000_000)
    bench.server.expire(110.0)
    assert bench.server.used == pytest.approx(3e6)
    assert not bench.server.jobs


def test_too_many_jobs_are_rejected():
    bench = Bench(max_jobs=2)
    for session in "abc":
        bench.request(session, 1, 10**9)
    assert bench.times(ACCEPT) == [("a", 0.0), ("b", 0.0)]
    assert bench.times(REJECT) == [("c", 0.0)]
    assert (bench.server.accepted, bench.server.rejected, bench.server.load) == (2, 1, 1.0)
    bench.server.lost("a", bench.now)
    bench.request("c", 1, 10**9)
    assert bench.times(ACCEPT)[-1] == ("c", 0.0)


def test_cookies_by_time_and_by_progress():
    bench = Bench(capacity=1e6, cookie_time=2.0, cookie_calculations=1e12, keepalive_interval=1e9)
    bench.request("a", 5, 5_000_000)
    bench.run(110.0)
    cookies = [(round(t - 100, 6), a.cookie) for t, a in bench.seen if isinstance(a, SendCookie)]
    assert cookies == [(2.0, Cookie(5, 5_000_000, 2_000_000)), (4.0, Cookie(5, 5_000_000, 4_000_000))]
    bench = Bench(capacity=1e6, cookie_time=1e9, cookie_calculations=1.5e6, keepalive_interval=1e9)
    bench.request("a", 5, 5_000_000)
    bench.run(110.0)
    assert [a.cookie.completed for _, a in bench.seen if isinstance(a, SendCookie)] == [
        1_500_000,
        3_000_000,
        4_500_000,
    ]


def test_another_server_goes_on_where_the_first_stopped():
    first, second = Bench(), Bench()
    first.request("a", 5, 5_000_000)
    first.run(101.25)
    first.server.finish(first.now)
    first.take()
    cookie = first.seen[-1][1].cookie
    assert cookie == Cookie(5, 5_000_000, 1_250_000)
    second.server.cookie_echo("x", cookie, 100.0)
    second.take()
    second.run(110.0)
    assert second.times(ACCEPT) == [("x", 0.0)]
    assert second.times(COMPLETE) == [("x", 3.75)]
    assert second.server.used == pytest.approx(3_750_000)


def test_a_pool_user_that_does_not_answer_is_dropped_with_its_job():
    server = Server(Settings(keepalive_interval=2.5, keepalive_timeout=1.0), 0.0)
    server.request("a", Message(REQUEST, 1, 10**12), 0.0)
    server.actions()
    server.expire(server.deadline())
    assert server.now == 2.5
    assert server.actions() == [Send("a", Message(KEEP_ALIVE, 1))]
    assert server.deadline() == 3.5
    server.expire(3.5)
    assert Drop("a") in server.actions()
    assert not server.jobs


def test_keep_alives_are_answered_for_known_jobs_only():
    bench = Bench()
    bench.request("a", 1, 10**9)
    bench.server.request("a", Message(KEEP_ALIVE, 1), bench.now)
    bench.server.request("a", Message(KEEP_ALIVE, 2), bench.now)
    bench.server.request("b", Message(KEEP_ALIVE, 1), bench.now)
    bench.take()
    assert bench.times(KEEP_ALIVE_ACK) == [("a", 0.0)]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_comes_all_accepted_work_is_done_exactly(seed):
    rng = random.Random(seed)
    bench = Bench(capacity=1e6, max_jobs=5)
    wanted, number = 0, 0
    for _ in range(60):
        bench.run(bench.now + rng.expovariate(2.0))
        number += 1
        size = rng.randrange(0, 2_000_000)
        before = bench.server.accepted
        bench.request(number, number, size)
        wanted += size * (bench.server.accepted - before)
    bench.run(bench.now + 100)
    assert not bench.server.jobs
    assert bench.server.used == pytest.approx(wanted, abs=60)
    assert len(bench.times(COMPLETE)) == bench.server.accepted
    assert bench.server.accepted + bench.server.rejected == number
