"""The queue of requests to the registrar: pipelined, answered in order, given up after their trials.

RFC 5352 sections 3.1 to 3.3 and 4.2 (timers T1-ENRPrequest and the like), in RSPLIB's manner: all requests go
through one queue, and whatever is not the answer to the oldest one is an error of the registrar. Sans-IO.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rserpool.wire import asap, causes

RESPONSES: dict[type, type] = {
    asap.Registration: asap.RegistrationResponse,
    asap.Deregistration: asap.DeregistrationResponse,
    asap.HandleResolution: asap.HandleResolutionResponse,
}


@dataclass(slots=True, eq=False)
class Request:
    """One request. ``build`` makes the message for the registrar at hand; ``done`` gets the response.

    ``failed`` gets an error cause instead. ``response`` None: none is expected.
    """

    handle: bytes
    response: type | None
    build: Callable[[], bytes]
    done: Callable[[Any], None]
    failed: Callable[[int], None]
    trials: int = 0
    deadline: float = 0.0
    cancelled: bool = False


class RequestQueue:
    """``response_timeout`` in seconds; ``trials``: how often one request may be sent."""

    def __init__(self, response_timeout: float, trials: int) -> None:
        self._timeout = response_timeout
        self._trials = trials
        self._waiting: deque[Request] = deque()
        self._sent: deque[Request] = deque()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    def add(self, request: Request) -> None:
        """Queue a request."""
        self._waiting.append(request)

    def next(self) -> Request | None:
        """Return the request that is to be sent next; `sent` says that it was."""
        while self._waiting:
            if not self._waiting[0].cancelled:
                return self._waiting[0]
            self._waiting.popleft()
        return None

    def sent(self, now: float) -> None:
        """The request that `next` returned was sent."""
        request = self._waiting.popleft()
        if request.response is None:
            request.done(None)
            return
        request.trials += 1
        request.deadline = now + self._timeout
        self._sent.append(request)

    def drop_next(self, cause: int) -> None:
        """The request that `next` returned cannot be sent by any means."""
        self._waiting.popleft().failed(cause)

    def answered(self, message: Any) -> bool:
        """Give a response to the oldest request; False if it is not the answer to that."""
        if not self._sent:
            return False
        request = self._sent[0]
        if message.handle != request.handle or type(message) is not request.response:
            return False
        self._sent.popleft()
        if not request.cancelled:
            request.done(message)
        return True

    def unreadable(self, response: type | None, cause: int) -> bool:
        """The oldest request's answer does not parse; False if that may have been no answer to it."""
        if not self._sent or self._sent[0].response is not response:
            return False
        request = self._sent.popleft()
        if not request.cancelled:
            request.failed(cause)
        return True

    def lost(self, cause: int) -> None:
        """The association is gone: what was sent fails, or is sent again if it has trials left."""
        again: list[Request] = []
        failed: list[Request] = []
        for request in self._sent:
            if not request.cancelled:
                (again if request.trials < self._trials else failed).append(request)
        self._sent.clear()
        self._waiting.extendleft(reversed(again))
        for request in failed:
            request.failed(cause)

    def give_up(self, cause: int = causes.NO_REGISTRAR) -> None:
        """There is no registrar: everything fails."""
        requests = [*self._sent, *self._waiting]
        self._sent.clear()
        self._waiting.clear()
        for request in requests:
            if not request.cancelled:
                request.failed(cause)

    def registering(self) -> bool:
        """Whether there is a registration among what is queued."""
        return any(
            r.response is asap.RegistrationResponse and not r.cancelled for r in (*self._waiting, *self._sent)
        )

    def deadline(self) -> float | None:
        """When the oldest answer is overdue."""
        return self._sent[0].deadline if self._sent else None
