"""A pool of CalcApp servers and their users in virtual time: the project's own handlespace, policies and server.

What is real: `rserpool.handlespace` selects as a registrar does, `rserpool.services.calcapp_server` computes and
rejects as `rspserver -calcapp` does, loads are re-registered when they change. What is modelled: the network (one
delay for every message), and the user, which generates jobs and works them off one at a time as `calcappclient`
does. Each run is the same for the same seed.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rserpool_apps.calcapp_job import PAUSE
from rserpool_apps.values import policy as policy_of

from rserpool.handlespace import Handlespace
from rserpool.services import calcapp
from rserpool.services.calcapp_server import Note, Send, Server, Settings
from rserpool.wire.policies import LAYOUTS
from rserpool.wire.types import SCTP, PoolElement, Transport

HANDLE = calcapp.POOL.encode()
NEVER = 1e12  # seconds: nobody dies here, so there is nothing to keep alive
FULL = 0xFFFFFFFF


@dataclass(frozen=True)
class Scenario:
    """What is simulated; times in seconds, capacities as multiples of the mean one."""

    policies: tuple[str, ...]  # of the servers, as for -policy=
    capacities: tuple[float, ...]  # of the servers; their mean is 1
    users: int
    load: float  # mean work that arrives, as a share of what the pool can do
    size: float = 10.0  # mean of what a job takes a server of capacity 1 that does nothing else
    delay: float = 0.0  # of each message
    duration: float = 2000.0  # measured, behind `warmup`
    warmup: float = 500.0
    max_jobs: int = 100  # of a server of capacity 1, of others in proportion
    seed: int = 1

    @property
    def interval(self) -> float:
        """Mean time between two jobs of a user, such that the load is reached."""
        return self.users * self.size / (self.load * sum(self.capacities))


@dataclass
class Result:
    """The sums of the jobs that were completed in the measured time."""

    jobs: int = 0
    size: float = 0.0
    queuing: float = 0.0
    startup: float = 0.0
    processing: float = 0.0
    rejected: int = 0
    utilization: float = 0.0  # of the servers

    @property
    def handling_speed(self) -> float:
        """Total size by total handling time, as a share of the mean capacity of a server."""
        return self.size / (self.queuing + self.startup + self.processing) if self.jobs else 0.0


@dataclass(slots=True)
class Job:
    """A job of a user."""

    size: float
    queued: float
    started: float = 0.0
    accepted: float = 0.0


@dataclass(slots=True)
class User:
    """A pool user: its queue, and the job at work."""

    number: int
    queue: deque[Job] = field(default_factory=deque)
    job: Job | None = None
    jobs: int = 0


class Pool:
    """One run."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.rng = random.Random(scenario.seed)
        self.now = 0.0
        self.result = Result()
        self._events: list[tuple[float, int, Callable[..., None], tuple[object, ...]]] = []
        self._count = 0
        self.space = Handlespace(random.Random(self.rng.random()))
        self.records: list[PoolElement] = []
        self.servers: list[Server] = []
        self._timers: list[int] = []  # number of the timer that counts, for each server
        for place, (words, capacity) in enumerate(zip(scenario.policies, scenario.capacities)):
            most = max(1, round(scenario.max_jobs * capacity))
            settings = Settings(capacity * calculations(scenario), most, NEVER, NEVER, NEVER, NEVER)
            self.servers.append(Server(settings, 0.0))
            self._timers.append(0)
            transport = Transport(SCTP, 1 + place, ("192.0.2.1",), True)
            asap = Transport(SCTP, 1 + place, ("192.0.2.1",))
            self.records.append(PoolElement(1 + place, 1, 0, transport, policy_of(words), asap))
            self.space.register(HANDLE, self.records[place], 0.0)
        self.users = [User(number) for number in range(scenario.users)]

    def run(self) -> Result:
        """Run to the end of the measured time."""
        scenario = self.scenario
        for user in self.users:
            self._later(self._pause(), self._arrive, user)
        self._later(scenario.warmup, self._used, -1)
        end = scenario.warmup + scenario.duration
        while self._events and self._events[0][0] <= end:
            self.now, _, call, words = heapq.heappop(self._events)
            call(*words)
        self.now = end
        self._used(1)
        self.result.rejected = sum(server.rejected for server in self.servers)
        capacity = scenario.duration * sum(scenario.capacities) * calculations(scenario)
        self.result.utilization /= capacity
        return self.result

    def _later(self, delay: float, call: Callable[..., None], *words: object) -> None:
        self._count += 1  # events of the same time stay in order
        heapq.heappush(self._events, (self.now + delay, self._count, call, words))

    def _pause(self) -> float:
        return self.rng.expovariate(1 / self.scenario.interval)

    def _used(self, sign: int) -> None:
        for place, server in enumerate(self.servers):
            server.expire(self.now)
            self._turn(place)
            self.result.utilization += sign * server.used

    # The user

    def _arrive(self, user: User) -> None:
        user.queue.append(Job(self.rng.expovariate(1 / self.scenario.size), self.now))
        self._later(self._pause(), self._arrive, user)
        if user.job is None:
            self._start(user)

    def _start(self, user: User) -> None:
        user.job = user.queue.popleft()
        user.job.started = self.now
        user.jobs += 1
        self._later(self.scenario.delay, self._resolve, user)

    def _resolve(self, user: User) -> None:
        """At the registrar. Its answer, the four messages of an association's setup, the request."""
        element = self.space.select(HANDLE, 1)[0]
        self._later(4 * self.scenario.delay, self._request, user, element.identifier - 1)

    def _accepted(self, user: User) -> None:
        if user.job is not None:
            user.job.accepted = self.now

    def _rejected(self, user: User) -> None:
        self._later(PAUSE + self.scenario.delay, self._resolve, user)

    def _complete(self, user: User) -> None:
        job, user.job = user.job, None
        if job is not None and self.now >= self.scenario.warmup:
            result = self.result
            result.jobs += 1
            result.size += job.size
            result.queuing += job.started - job.queued
            result.startup += job.accepted - job.started
            result.processing += self.now - job.accepted
        if user.queue:
            self._start(user)

    # The server

    def _request(self, user: User, place: int) -> None:
        if user.job is not None:
            size = max(1, round(user.job.size * calculations(self.scenario)))
            message = calcapp.Message(calcapp.REQUEST, user.jobs, size)
            self.servers[place].request(user.number, message, self.now)
            self._turn(place)

    def _turn(self, place: int) -> None:
        """Do what a server wants, tell the registrar its load, set its timer."""
        server = self.servers[place]
        for action in server.actions():
            if isinstance(action, Send):
                call = {
                    calcapp.ACCEPT: self._accepted,
                    calcapp.REJECT: self._rejected,
                    calcapp.COMPLETE: self._complete,
                }[action.message.type]
                self._later(self.scenario.delay, call, self.users[int(str(action.session))])
            elif not isinstance(action, Note):
                raise RuntimeError(f"unexpected {action}")
        record = self.records[place]
        load = round(server.load * FULL)
        if "load" in LAYOUTS[record.policy.type][1] and load != record.policy.load:
            self.records[place] = record = replace(record, policy=replace(record.policy, load=load))
            self._later(self.scenario.delay, self._registered, record)
        self._timers[place] += 1
        due = server.deadline()
        if due is not None:
            self._later(max(0.0, due - self.now), self._expire, place, self._timers[place])

    def _registered(self, record: PoolElement) -> None:
        self.space.register(HANDLE, record, self.now)

    def _expire(self, place: int, timer: int) -> None:
        if timer == self._timers[place]:
            self.servers[place].expire(self.now)
            self._turn(place)


def calculations(scenario: Scenario) -> float:
    """Calculations per second of a server of capacity 1: so many that a job's size is no small number."""
    return 1e6 / scenario.size


def run(scenario: Scenario) -> Result:
    """Simulate."""
    return Pool(scenario).run()
