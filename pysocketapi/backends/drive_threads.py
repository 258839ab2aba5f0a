"""Drives a pump by the threads that use its sockets: leader and followers, no thread switch in a ping-pong.

The thread that has to wait leads: it selects over the stack's descriptors, moves datagrams and hands on events.
Others that wait meanwhile follow: they sleep until their socket has something, or until they are to lead. When
nobody has led for REST seconds a background thread does, for timers, heartbeats and sockets being closed; it
sleeps in select, so an idle process costs nothing. A thread that wants to lead wakes it by a pipe.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..transport import Transport
from . import waking
from .pumps import EXIT_TIME, Closed, Pump

if TYPE_CHECKING:
    from .userland import UserChannel

REST = 0.015  # seconds without a leader before the background thread takes over
KEEP = 1.0  # seconds that a stack without sockets is kept
BATCH = 32768  # bytes that bulk senders collect before they are put into packets
LONGEST = 3600.0  # seconds of one sleep; poll could not take months
_NEVER = float("inf")


class _Follower:
    """A thread that sleeps while another one leads."""

    __slots__ = ("gate",)

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()

    def wake(self) -> None:
        """Let it look again; waking it twice is harmless."""
        with contextlib.suppress(RuntimeError):
            self.gate.release()


class ThreadDriver:
    """See `pumps.Driver`. What may wait does so until there is a batch of it, or somebody waits for input."""

    gathers = False

    def __init__(self, pump: Pump, gone: Callable[[], Any]) -> None:
        self._pump = pump
        self._stack = pump.stack
        self._gone = gone
        self._led = False  # a thread is in _step
        self._background_leads = False
        self._until = _NEVER  # when the leader's select ends at the latest
        self._followers: deque[_Follower] = deque()
        self._steps = 0
        self._unsent = 0
        self._thread: threading.Thread | None = None
        self._deep = False
        self._rest = threading.Event()
        self._wake_in, self._wake_out = os.pipe()
        os.set_blocking(self._wake_in, False)
        os.set_blocking(self._wake_out, False)
        self._poll = select.poll()
        self._poll.register(self._wake_in, select.POLLIN)
        self._polled: list[int] = []
        self._ended = False

    # -- leading -----------------------------------------------------------------------------------------------

    def _step(self, until: float) -> None:
        """Lead once: flush, sleep until input, a deadline or ``until``, take it in, hand on the events.

        The lock is held at both ends and free in between.
        """
        pump, stack = self._pump, self._stack
        if self._unsent:
            self._unsent = 0
            stack.flush()
        fds = stack.filenos()
        if fds != self._polled:
            for fd in self._polled:
                with contextlib.suppress(KeyError, OSError):
                    self._poll.unregister(fd)
            for fd in fds:
                self._poll.register(fd, select.POLLIN)
            self._polled = list(fds)
        deadline = stack.deadline()
        if deadline is not None and deadline < until:
            until = deadline
        wait = min(until - stack.now(), LONGEST)
        self._until = until
        self._led = True
        self._steps += 1
        lock = pump.lock
        try:
            lock.release()
            try:
                # Rounded up: waking too early would only mean to sleep again.
                ready = self._poll.poll(0 if wait <= 0 else int(wait * 1000) + 1)
            finally:
                lock.acquire()
            for fd, _ in () if self._ended else ready:
                if fd == self._wake_in:
                    with contextlib.suppress(BlockingIOError):
                        os.read(fd, 64)
                else:
                    stack.readable(fd)
            if deadline is not None and stack.now() >= deadline:
                stack.expire()
            stack.flush()
        finally:
            self._led = False
            self._until = _NEVER
        pump.dispatch()

    def _take_in(self) -> None:
        """A bulk sender's turn at leading: take in what has come, without sleeping."""
        self._step(0.0)
        self._hand_over()

    def _hand_over(self) -> None:
        """Leaving the lead: a follower may take it, or the background thread after a while."""
        if self._followers:
            self._followers.popleft().wake()
        elif self._deep:
            self._deep = False
            self._rest.set()

    def wait(self, ready: Callable[[], bool], timeout: float | None, channel: UserChannel) -> bool:
        """See `pumps.Driver`."""
        try:
            return self._wait(ready, timeout, channel)
        except BaseException:  # a signal handler may raise anything, and the others must not sleep on
            if not self._led:
                self._hand_over()
            raise

    def _wait(self, ready: Callable[[], bool], timeout: float | None, channel: UserChannel | None) -> bool:
        end = _NEVER if timeout is None else self._stack.now() + timeout
        looked = False
        while not ready():
            if looked and end != _NEVER and self._stack.now() >= end:
                break
            looked = True
            if not self._led:
                self._step(end)
            else:
                self._follow(end, channel)
            if self._ended:
                raise OSError(errno.EBADF, "the SCTP stack was closed")
        else:
            if not self._led:
                self._hand_over()
            return True
        if not self._led:
            self._hand_over()
        return False

    def _follow(self, end: float, channel: UserChannel | None) -> None:
        """Sleep until the channel has something, the lead is free, or the time is over."""
        follower = _Follower()
        self._followers.append(follower)
        if channel is not None:
            channel.sleepers.append(follower.wake)
            waking.arm(channel)
        if self._background_leads:
            self._kick()
        lock = self._pump.lock
        lock.release()
        try:
            follower.gate.acquire(timeout=-1 if end == _NEVER else max(0.0, end - self._stack.now()))
        finally:
            lock.acquire()
            with contextlib.suppress(ValueError):
                self._followers.remove(follower)
            if channel is not None:
                channel.sleepers.remove(follower.wake)

    def _kick(self) -> None:
        with contextlib.suppress(OSError):  # it is full, or the stack has ended
            os.write(self._wake_out, b"w")

    def touched(self, size: int) -> None:
        """See `pumps.Driver`."""
        if size:
            self._unsent += size
            if self._unsent < BATCH:
                return
            if not self._led:
                self._take_in()
                return
        self._unsent = 0
        self._stack.flush()
        self._pump.dispatch()
        if self._led:
            if self._background_leads and size:
                self._kick()  # bulk: the sender itself will do the rest
                return
            deadline = self._stack.deadline()
            if deadline is not None and deadline < self._until:
                self._kick()

    # -- the background thread ---------------------------------------------------------------------------------

    def opened(self) -> None:
        """See `pumps.Driver`."""
        if self._background_leads:
            self._kick()
        if self._thread is None:
            self._thread = threading.Thread(target=self._background, name="pysocketapi-background", daemon=True)
            self._thread.start()

    def _background(self) -> None:
        pump = self._pump
        steps = -1
        idle = 0.0
        while True:
            time.sleep(REST)
            try:
                with pump.lock:
                    if self._ended:
                        return
                    idle = idle + REST if pump.idle() else 0.0
                    if idle >= KEEP:
                        self._finish()
                        return
                    if not self._led and self._steps == steps:
                        self._background_leads = True
                        try:
                            self._lead_idle()
                        finally:
                            self._background_leads = False
                            self._hand_over()
                    elif self._led and self._steps == steps:
                        self._deep = True  # a caller sleeps in the lead: nothing to do until it leaves
                        self._rest.clear()
                    steps = self._steps
            except OSError:
                return  # closed, or in a child process
            if self._deep:
                self._rest.wait()

    def _lead_idle(self) -> None:
        """Lead until a caller wants to, or nothing is left to do."""
        while not self._followers and not self._ended and not self._pump.idle():
            before = self._steps
            self._step(_NEVER)
            if self._steps != before + 1:
                return

    # -- the end -----------------------------------------------------------------------------------------------

    def unused(self) -> None:
        """See `pumps.Driver`. The stack is kept a while, so that short-lived sockets share one."""
        if self._background_leads:
            self._kick()

    def nudge(self) -> None:
        """See `pumps.Driver`. The leader itself does not lead any more while it hands on events."""
        if self._led:
            self._kick()

    def kick(self) -> None:
        """See `pumps.Driver`."""
        self._kick()

    def dismiss(self) -> None:
        """See `pumps.Driver`."""
        self._ended = True

    def end(self, seconds: float) -> None:
        """End the stack: graceful shutdowns within the time (seconds), then aborts."""
        pump = self._pump
        with pump.lock:
            for channel in pump.all_channels():
                channel.close_locked()
            associations = self._stack.engine.associations
            self._wait(lambda: not associations, seconds, None)
            for channel in pump.all_channels():
                channel.abort_all()
            self._stack.flush()
            self._finish()

    def _finish(self) -> None:
        """Close the stack; the lock is held."""
        self._ended = True
        self._gone()
        self._kick()
        self._rest.set()
        self._pump.lock = Closed("the SCTP stack was closed")
        self._stack.close()
        ends, self._wake_in, self._wake_out = (self._wake_in, self._wake_out), -1, -1
        for fd in ends:
            os.close(fd)


_drivers: weakref.WeakSet[ThreadDriver] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    for driver in list(_drivers):
        with contextlib.suppress(OSError, RuntimeError):
            driver.end(EXIT_TIME)


def start(transport: Transport, gone: Callable[[], Any]) -> Pump:
    """Return a pump driven by the threads that use it. Raises OSError."""
    pump = Pump(transport, threading.Lock())
    driver = ThreadDriver(pump, gone)
    pump.driver = driver
    _drivers.add(driver)
    return pump
