"""The server's side of CalcApp: jobs that share the capacity, progress cookies, keep-alives. Sans-IO.

    server.request(session, message, now)       one message of a session
    server.cookie_echo(session, cookie, now)    the progress that another server has made
    server.lost(session, now)                   the session has ended
    server.deadline(); server.expire(now)       timers; call `expire` also before reading the counters
    server.actions()                            drained; after any of the above

Computing is virtual: time passes, ``capacity`` calculations a second are shared equally by the jobs (RSPLIB's
model for measurements). ``now`` is in seconds of any monotonic clock; sessions are any hashable keys.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from .calcapp import (
    ACCEPT,
    COMPLETE,
    KEEP_ALIVE,
    KEEP_ALIVE_ACK,
    REJECT,
    REQUEST,
    Cookie,
    Message,
)

EPSILON = 1e-6  # calculations that floating point may leave over


@dataclass(slots=True)
class Settings:
    """RSPLIB's options; times in seconds, capacity in calculations per second."""

    capacity: float = 1e6
    max_jobs: int = 10
    keepalive_interval: float = 2.5
    keepalive_timeout: float = 2.5
    cookie_time: float = 5.0
    cookie_calculations: float = 5e6


@dataclass(slots=True)
class Job:
    """A job at work. ``completed`` in calculations."""

    session: Hashable
    number: int
    size: int
    completed: float
    keepalive_at: float  # when the next is due, or the answer to the last
    awaiting: bool = False
    cookie_at: float = 0.0  # when the next is due at the latest
    cookie_from: float = 0.0  # completed when the latest was sent


@dataclass(slots=True, frozen=True)
class Send:
    """A message for a session."""

    session: Hashable
    message: Message


@dataclass(slots=True, frozen=True)
class SendCookie:
    """A cookie for a session."""

    session: Hashable
    cookie: Cookie


@dataclass(slots=True, frozen=True)
class Drop:
    """A session whose pool user does not answer: to be aborted."""

    session: Hashable


@dataclass(slots=True, frozen=True)
class Note:
    """Something to tell: ``what`` is accepted, rejected, complete, removed."""

    what: str
    job: Job


Action = Send | SendCookie | Drop | Note


@dataclass(slots=True)
class Server:
    """All jobs of one pool element."""

    settings: Settings
    now: float
    jobs: dict[tuple[Hashable, int], Job] = field(default_factory=dict)
    accepted: int = 0
    rejected: int = 0
    used: float = 0.0  # calculations, of complete and incomplete jobs
    _actions: list[Action] = field(default_factory=list)

    @property
    def load(self) -> float:
        """Jobs in relation to the most that are taken, 0 to 1."""
        return len(self.jobs) / self.settings.max_jobs

    def actions(self) -> list[Action]:
        """What is to be done, in order."""
        taken, self._actions = self._actions, []
        return taken

    def request(self, session: Hashable, message: Message, now: float) -> None:
        """One message of a pool user; those for unknown jobs are ignored."""
        self._advance(now)
        if message.type == REQUEST:
            self._begin(session, message.job, message.size, 0)
            return
        job = self.jobs.get((session, message.job))
        if job is None:
            return
        if message.type == KEEP_ALIVE:
            self._actions.append(Send(session, Message(KEEP_ALIVE_ACK, job.number)))
        elif message.type == KEEP_ALIVE_ACK and job.awaiting:
            job.awaiting = False
            job.keepalive_at = now + self.settings.keepalive_interval

    def cookie_echo(self, session: Hashable, cookie: Cookie, now: float) -> None:
        """A request to go on where another server stopped."""
        self._advance(now)
        self._begin(session, cookie.job, cookie.size, cookie.completed)

    def lost(self, session: Hashable, now: float) -> None:
        """Forget a session's jobs."""
        self._advance(now)
        for key, job in list(self.jobs.items()):
            if job.session == session:
                self._remove(key)

    def finish(self, now: float) -> None:
        """Send the progress of all jobs, for the servers that will go on with them."""
        self._advance(now)
        for job in self.jobs.values():
            self._cookie(job)

    def deadline(self) -> float | None:
        """When `expire` is due."""
        if not self.jobs:
            return None
        jobs = self.jobs.values()
        rate = self.settings.capacity / len(jobs)
        return min(
            min(
                self.now + max(0.0, job.size - job.completed) / rate,
                job.keepalive_at,
                job.cookie_at,
                self.now + max(0.0, job.cookie_from + self.settings.cookie_calculations - job.completed) / rate,
            )
            for job in jobs
        )

    def expire(self, now: float) -> None:
        """Compute until ``now`` and run due timers."""
        self._advance(now)
        for key, job in list(self.jobs.items()):
            if job.keepalive_at <= now:
                if job.awaiting:
                    self._remove(key)
                    self._actions.append(Drop(job.session))
                    continue
                job.awaiting = True
                job.keepalive_at = now + self.settings.keepalive_timeout
                self._actions.append(Send(job.session, Message(KEEP_ALIVE, job.number)))
            due = job.cookie_from + self.settings.cookie_calculations
            if job.cookie_at <= now or job.completed >= due - EPSILON:
                self._cookie(job)

    def _begin(self, session: Hashable, number: int, size: int, completed: int) -> None:
        key = (session, number)
        settings, now = self.settings, self.now
        if len(self.jobs) >= settings.max_jobs and key not in self.jobs:
            self.rejected += 1
            self._actions.append(Send(session, Message(REJECT, number)))
            self._actions.append(Note("rejected", Job(session, number, size, completed, now)))
            return
        job = Job(session, number, size, completed, now + settings.keepalive_interval,
                  cookie_at=now + settings.cookie_time, cookie_from=completed)  # fmt: skip
        self.jobs[key] = job
        self.accepted += 1
        self._actions.append(Send(session, Message(ACCEPT, number)))
        self._actions.append(Note("accepted", job))

    def _remove(self, key: tuple[Hashable, int]) -> None:
        self._actions.append(Note("removed", self.jobs.pop(key)))

    def _cookie(self, job: Job) -> None:
        job.cookie_at = self.now + self.settings.cookie_time
        job.cookie_from = job.completed
        done = min(job.size, round(job.completed))
        self._actions.append(SendCookie(job.session, Cookie(job.number, job.size, done)))

    def _advance(self, now: float) -> None:
        """Compute until ``now``; a job that is complete on the way leaves its share to the others."""
        while self.jobs and now > self.now:
            rate = self.settings.capacity / len(self.jobs)
            least = min(job.size - job.completed for job in self.jobs.values())
            step = min(now - self.now, max(0.0, least) / rate)
            done = step * rate
            for job in self.jobs.values():
                job.completed += done
            self.used += done * len(self.jobs)
            self.now += step
            self._complete()
            if step <= 0 and least > EPSILON:
                break
        self.now = max(self.now, now)
        self._complete()

    def _complete(self) -> None:
        for key, job in list(self.jobs.items()):
            if job.completed >= job.size - EPSILON:
                del self.jobs[key]
                self._actions.append(Send(job.session, Message(COMPLETE, job.number, job.size, job.size)))
                self._actions.append(Note("complete", job))
