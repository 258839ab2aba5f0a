"""A CalcApp job at servers that accept, reject, fall silent, talk of another job, or die."""

import asyncio
from types import SimpleNamespace

import pytest
from rserpool_apps import calcapp_job
from rserpool_apps.calcapp_job import Counters, Job, Timers, work_off

from rserpool.services import calcapp
from rserpool.services.calcapp import ACCEPT, COMPLETE, KEEP_ALIVE, KEEP_ALIVE_ACK, REJECT, REQUEST, Message
from rserpool.session import Data, Failover

QUICK = Timers(0.02, 0.05)
PATIENT = Timers(1000.0, 1000.0)


class Pool:
    """Servers one after the other; each is a function of the message that it gets: what it answers.

    A server may answer with "dies" or "gives a cookie" instead of a message's type.
    """

    def __init__(self, *servers):
        self.servers = list(servers)
        self.reports = []  # of failovers: whether they said that the server is unreachable
        self.asked = []  # types of the messages to each server

    def __call__(self, library, handle):
        return self

    async def __aenter__(self):
        self.events = asyncio.Queue()
        self.has_cookie, self.connected, self.failovers, self.identifier = False, True, 0, 1
        self.asked.append([])
        return self

    async def __aexit__(self, *_):
        pass

    async def send(self, data, ppid):
        assert ppid == calcapp.PPID
        message = calcapp.decode(data)
        self.asked[-1].append(message.type)
        for answer in self.servers[0](message.type):
            if answer == "gives a cookie":
                self.has_cookie = True
            elif answer == "dies":
                self.connected = False
                self.events.put_nowait(Failover(1, self.has_cookie, 1))
            else:
                kind, number = answer if isinstance(answer, tuple) else (answer, message.job)
                self.events.put_nowait(Data(calcapp.encode(Message(kind, number)), calcapp.PPID, 0, 1))

    async def recv(self):
        return await self.events.get()

    async def force_failover(self, unreachable=False):
        self.reports.append(unreachable)
        self.servers.pop(0)
        self.asked.append([])
        self.connected = True
        self.failovers += 1
        while not self.events.empty():
            self.events.get_nowait()
        self.events.put_nowait(Failover(2, self.has_cookie, 1))


def good(kind):
    """Accepts and completes, whether it is asked by a request or (with a keep-alive behind it) by a cookie."""
    return [ACCEPT, COMPLETE]


def work(monkeypatch, *servers, timers=PATIENT):
    pool, counters, lines = Pool(*servers), Counters(), []
    monkeypatch.setattr(calcapp_job, "Session", pool)
    monkeypatch.setattr(calcapp_job, "PAUSE", 0.0)
    job = Job(7, 1000, 1.0)
    values = SimpleNamespace(poolhandle="CalcAppPool", quiet=False, registrar=[], asapannounce="auto")
    library = SimpleNamespace(registrar=object())
    out = SimpleNamespace(line=lambda text, code="": lines.append(text), stamped=lines.append)

    async def limited():
        async with asyncio.timeout(20):
            await work_off(job, library, values, timers, counters, out)

    asyncio.run(limited())
    assert job.completed >= job.accepted > 0
    return pool, counters, lines


def test_a_job_that_is_accepted_and_completed(monkeypatch):
    pool, counters, lines = work(monkeypatch, good)
    assert (pool.asked, pool.reports) == ([[REQUEST]], [])
    assert (counters.requests, counters.accepts, counters.completes) == (1, 1, 1)
    assert lines == ["Request for job #7 (job size 1000)", "Job #7 accepted"]


def test_a_rejected_job_goes_to_another_server_without_a_report(monkeypatch):
    pool, counters, lines = work(monkeypatch, lambda kind: [REJECT], lambda kind: [REJECT], good)
    assert (pool.asked, pool.reports) == ([[REQUEST]] * 3, [False, False])
    assert (counters.requests, counters.rejects) == (3, 2)
    assert lines.count("Job #7 rejected") == 2


def test_a_server_that_does_not_answer_is_reported(monkeypatch):
    pool, counters, _ = work(monkeypatch, lambda kind: [], good, timers=Timers(1000.0, 0.05))
    assert (pool.asked, pool.reports) == ([[REQUEST]] * 2, [True])
    assert counters.requests == 2


def test_a_server_that_falls_silent_is_asked_for_a_keep_alive_and_reported(monkeypatch):
    pool, counters, lines = work(monkeypatch, lambda kind: [ACCEPT] if kind == REQUEST else [], good, timers=QUICK)
    assert (pool.asked, pool.reports) == ([[REQUEST, KEEP_ALIVE], [REQUEST]], [True])
    assert counters.keepalives == 1
    assert "PE $00000001 does not answer" in lines


def test_keep_alives_of_both_sides_are_answered(monkeypatch):
    replies = iter([[KEEP_ALIVE_ACK], [KEEP_ALIVE_ACK, KEEP_ALIVE], [COMPLETE]])

    def server(kind):
        return {REQUEST: [ACCEPT], KEEP_ALIVE_ACK: []}[kind] if kind != KEEP_ALIVE else next(replies)

    pool, counters, _ = work(monkeypatch, server, timers=Timers(0.01, 1000.0))
    assert pool.reports == []
    assert pool.asked[0].count(KEEP_ALIVE_ACK) == counters.keepalive_acks == 1
    assert counters.keepalives == 3


def test_the_cookie_asks_the_next_server_and_a_keep_alive_wakes_it(monkeypatch):
    """Regression: RSPLIB's server looks at a cookie only when another message comes."""
    dying = [ACCEPT, "gives a cookie", "dies"]
    pool, counters, lines = work(monkeypatch, lambda kind: dying, good)
    assert (pool.asked, pool.reports) == ([[REQUEST], [KEEP_ALIVE]], [False])
    assert (counters.requests, counters.accepts, counters.keepalives) == (1, 2, 1)
    assert "FAILOVER..." in lines


def test_a_server_that_dies_before_a_cookie_is_followed_by_another_request(monkeypatch):
    pool, counters, _ = work(monkeypatch, lambda kind: [ACCEPT, "dies"], good)
    assert (pool.asked, pool.reports) == ([[REQUEST], [REQUEST]], [False])
    assert counters.requests == 2


@pytest.mark.parametrize("kind", [ACCEPT, REJECT, COMPLETE, KEEP_ALIVE])
def test_a_server_that_talks_of_another_job_is_left(monkeypatch, kind):
    pool, counters, _ = work(monkeypatch, lambda _: [(kind, 8)], good)
    assert (pool.asked, pool.reports) == ([[REQUEST], [REQUEST]], [False])
    assert (counters.accepts, counters.completes) == (1, 1)
