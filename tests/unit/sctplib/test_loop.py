"""The event loop: timers, descriptors, standard input, UDP sockets, locks and threads, exceptions."""

import os
import socket
import threading
import time

import pytest

from pysctplib.sctplib import constants as c
from pysctplib.sctplib import (
    sctp_abort,
    sctp_eventLoop,
    sctp_extendedEventLoop,
    sctp_getEvents,
    sctp_registerStdinCallback,
    sctp_registerUdpCallback,
    sctp_registerUserCallback,
    sctp_restartTimer,
    sctp_send,
    sctp_sendUdpData,
    sctp_startTimer,
    sctp_stopTimer,
    sctp_unregisterStdinCallback,
    sctp_unregisterUdpCallback,
    sctp_unregisterUserCallback,
)

from .world import LOCAL, User, pair, pump


@pytest.fixture
def pipe():
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    yield ends
    for end in ends:
        end.close()


# Timers


def test_timers_run_once_in_order_with_their_parameters(lib):
    log = []
    second = sctp_startTimer(0, 2000, lambda *args: log.append(args), "a", "b")
    first = sctp_startTimer(0, 1000, lambda *args: log.append(args), 1, 2)
    assert 0 < second < first
    pump(lambda: len(log) == 2)
    assert log == [(first, 1, 2), (second, "a", "b")]


def test_one_turn_runs_one_timer_and_counts_no_event(lib):
    log = []
    for _ in range(3):
        sctp_startTimer(0, 0, lambda *_: log.append(sctp_stopTimer(0)))
    assert sctp_eventLoop() == 0
    assert len(log) == 1


def test_stopped_timers_do_not_run(lib):
    log = []
    stopped = sctp_startTimer(0, 1000, lambda *_: log.append("stopped"))
    sctp_startTimer(0, 2000, lambda *_: log.append("ran"))
    assert sctp_stopTimer(stopped) == 0
    assert sctp_stopTimer(stopped) == 1
    pump(lambda: log)
    assert log == ["ran"]


def test_a_restarted_timer_has_a_new_name_and_time(lib):
    log = []
    timer = sctp_startTimer(3600, 0, lambda *args: log.append(args), "x")
    again = sctp_restartTimer(timer, 0, 1000)
    assert again != timer
    assert sctp_restartTimer(timer, 0, 1000) == 0
    pump(lambda: log)
    assert log == [(again, "x", None)]
    assert sctp_restartTimer(again, 0, 1) == 0


def test_a_timer_may_stop_and_restart_itself(lib):
    log = []

    def tick(timer, count, _):
        log.append((sctp_stopTimer(timer), count))
        if len(log) < 3:
            assert sctp_restartTimer(timer, 0, 1000) > timer

    sctp_startTimer(0, 1000, tick, "again")
    pump(lambda: len(log) == 3)
    assert log == [(0, "again")] * 3


def test_a_thousand_timers(lib):
    log = []
    for k in range(1000):
        delay = (k * 37) % 1000
        due = time.monotonic() + delay / 1e6
        sctp_startTimer(0, delay, lambda timer, due, _: log.append((timer, time.monotonic() - due)), due)
    pump(lambda: len(log) == 1000)
    assert len({timer for timer, _ in log}) == 1000
    assert min(late for _, late in log) >= 0


# Descriptors


def test_a_descriptor_of_the_user(lib, pipe):
    log = []

    def ready(fd, occurred, wanted, data):
        log.append((fd, occurred, wanted, data, pipe[0].recv(10)))

    assert sctp_registerUserCallback(pipe[0].fileno(), ready, "mine", c.POLLIN) == 0
    assert sctp_registerUserCallback(pipe[0].fileno(), ready, "mine", c.POLLIN) == -1
    assert sctp_getEvents() == 0
    pipe[1].send(b"!")
    assert sctp_eventLoop() == 1
    assert log == [(pipe[0].fileno(), c.POLLIN, c.POLLIN, "mine", b"!")]
    assert sctp_unregisterUserCallback(pipe[0].fileno()) == 0
    assert sctp_unregisterUserCallback(pipe[0].fileno()) == -1
    pipe[1].send(b"!")
    assert sctp_getEvents() == 0


def test_a_callback_may_change_the_events_it_wants(lib, pipe):
    log = []

    def ready(fd, occurred, wanted, data):
        log.append(occurred)
        if len(log) == 1:
            return c.POLLIN
        pipe[0].recv(10)
        return None

    sctp_registerUserCallback(pipe[0].fileno(), ready, None, c.POLLOUT)
    assert sctp_eventLoop() == 1
    assert sctp_getEvents() == 0  # no longer interested in writing
    pipe[1].send(b"!")
    assert sctp_eventLoop() == 1
    assert log == [c.POLLOUT, c.POLLIN]


def test_a_callback_may_unregister_itself(lib, pipe):
    def ready(fd, *_):
        assert sctp_unregisterUserCallback(fd) == 0
        return c.POLLOUT

    sctp_registerUserCallback(pipe[0].fileno(), ready, None, c.POLLOUT)
    assert sctp_eventLoop() == 1
    assert sctp_getEvents() == 0


def test_bad_descriptors(lib):
    assert sctp_registerUserCallback(-1, lambda *_: None, None, c.POLLIN) == -1
    assert sctp_registerUserCallback(12345, lambda *_: None, None, c.POLLIN) == -1


def test_more_descriptors_than_the_twenty_of_sctplib(lib):
    log = []
    pairs = [socket.socketpair() for _ in range(100)]
    for number, (left, right) in enumerate(pairs):

        def ready(fd, occurred, wanted, data, left=left):
            log.append((data, left.recv(1)))

        assert sctp_registerUserCallback(left.fileno(), ready, number, c.POLLIN) == 0
        right.send(b"!")
    pump(lambda: len(log) == 100)
    assert sorted(log) == [(number, b"!") for number in range(100)]
    for left, right in pairs:
        sctp_unregisterUserCallback(left.fileno())
        left.close()
        right.close()


def test_udp_sockets_of_the_application(lib):
    log = []
    fd = sctp_registerUdpCallback(LOCAL, 0, lambda *args: log.append(args))
    assert fd > 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((LOCAL, 0))
        other.settimeout(5)
        assert sctp_sendUdpData(fd, b"ping", LOCAL, other.getsockname()[1]) == 4
        data, source = other.recvfrom(100)
        assert data == b"ping"
        other.sendto(b"pong", source)
        pump(lambda: log)
        assert log == [(fd, b"pong", LOCAL, other.getsockname()[1])]
    assert sctp_unregisterUdpCallback(fd) == 0
    assert sctp_unregisterUdpCallback(fd) == -1
    assert sctp_sendUdpData(fd, b"ping", LOCAL, 9) == -1


def test_bad_udp_sockets(lib):
    assert sctp_registerUdpCallback("192.0.2.1", 0, lambda *_: None) == -1
    assert sctp_registerUdpCallback(LOCAL, 65536, lambda *_: None) == -1
    fd = sctp_registerUdpCallback(LOCAL, 0, lambda *_: None)
    assert sctp_sendUdpData(fd, b"x", "nowhere.invalid", 9) == -1


@pytest.fixture
def stdin(monkeypatch):
    """A pipe that is sys.stdin."""
    reading, writing = os.pipe()
    with open(reading, closefd=True) as file:
        monkeypatch.setattr("sys.stdin", file)
        yield writing
    os.close(writing)


def test_standard_input(lib, stdin):
    log = []
    assert sctp_registerStdinCallback(log.append, 5) == 0
    assert sctp_registerStdinCallback(log.append, 5) == -1
    os.write(stdin, b"some text")
    pump(lambda: len(log) == 2)
    assert log == [b"some ", b"text"]
    assert sctp_unregisterStdinCallback() == 0
    assert sctp_unregisterStdinCallback() == -1


def test_the_end_of_standard_input_is_told_once(lib, monkeypatch, tmp_path):
    """Also: a regular file works as standard input, though epoll refuses it."""
    path = tmp_path / "input"
    path.write_text("line\n")
    log = []
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert sctp_registerStdinCallback(log.append, 80) == 0
        pump(lambda: len(log) == 2)
        assert log == [b"line\n", b""]
        assert sctp_unregisterStdinCallback() == -1


# The loop


def test_get_events_neither_waits_nor_runs_timers(lib):
    log = []
    sctp_startTimer(0, 0, lambda *_: log.append("timer"))
    assert sctp_getEvents() == 0
    assert log == []
    server, client = User(), User()
    client.connect(server.port)
    pump(lambda: sctp_getEvents() or client.told("communicationUpNotif"))


def test_get_events_delivers(lib):
    _, _, client, there = pair()
    sctp_abort(there)
    assert sctp_getEvents() == 1
    assert len(client.told("communicationLostNotif")) == 1


def test_the_loop_counts_what_it_handled(with_peer):
    _, association, _ = with_peer
    sctp_send(association, 99, b"x")
    sctp_abort(association)
    assert sctp_eventLoop() == 2  # sendFailureNotif, communicationLostNotif


def test_the_loop_must_not_be_called_from_a_callback(lib):
    def inside(*_):
        sctp_eventLoop()

    sctp_startTimer(0, 0, inside)
    with pytest.raises(RuntimeError, match="callback"):
        sctp_eventLoop()
    assert sctp_getEvents() == 0  # and works afterwards


def test_only_one_thread_may_run_the_loop(lib):
    outcome = []

    def other():
        with pytest.raises(RuntimeError, match="another thread"):
            sctp_eventLoop()
        outcome.append("refused")

    def give(_):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    sctp_extendedEventLoop(lambda _: None, lambda _: outcome or give(_))
    assert outcome == ["refused"]


def test_an_exception_in_a_callback_reaches_the_caller_and_loses_nothing(lib):
    _, _, client, there = pair()

    def fail(*_):
        raise ZeroDivisionError

    client.replies["sendFailureNotif"] = fail
    sctp_send(there, 99, b"x")
    sctp_abort(there)
    with pytest.raises(ZeroDivisionError):
        sctp_eventLoop()
    assert client.told("communicationLostNotif") == []
    pump(lambda: client.told("communicationLostNotif"))


def test_calls_from_callbacks_are_sent_together(lib):
    server, here, client, there = pair()

    def reply(association, stream, *_):
        for _ in range(5):
            assert sctp_send(association, stream, b"part") == 0

    server.replies["dataArriveNotif"] = reply
    sctp_send(there, 0, b"?")
    pump(lambda: len(client.told("dataArriveNotif")) == 5)


def test_the_lock_is_held_but_for_the_wait(lib, pipe):
    log = []
    lock = threading.Lock()

    def take(data):
        lock.acquire()
        log.append(("lock", data))

    def give(data):
        log.append(("unlock", data))
        lock.release()

    def ready(*_):
        log.append(("callback", lock.locked()))
        pipe[0].recv(1)

    sctp_registerUserCallback(pipe[0].fileno(), ready, None, c.POLLIN)
    pipe[1].send(b"!")
    assert sctp_extendedEventLoop(take, give, "data") == 1
    held, free = ("lock", "data"), ("unlock", "data")
    assert log == [held, free, held, ("callback", True), free]


def test_the_lock_is_given_back_after_an_exception(lib):
    lock = threading.Lock()

    def fail(*_):
        raise ZeroDivisionError

    sctp_startTimer(0, 0, fail)
    with pytest.raises(ZeroDivisionError):
        sctp_extendedEventLoop(lambda _: lock.acquire(), lambda _: lock.release())
    assert not lock.locked()


def test_a_call_of_another_thread_ends_the_wait(lib):
    """A loop without anything to do waits for a second; calls of another thread must not wait for it."""
    server, here, client, there = pair()
    lock = threading.RLock()
    waiting = threading.Event()
    done = threading.Event()

    def give(_):
        lock.release()
        waiting.set()

    def other():
        waiting.wait(5)
        with lock:
            assert sctp_send(there, 0, b"from a thread") == 0
            sctp_startTimer(0, 0, lambda *_: done.set())

    thread = threading.Thread(target=other)
    thread.start()
    start = time.monotonic()
    while not (done.is_set() and server.told("dataArriveNotif")):
        assert time.monotonic() < start + 5
        sctp_extendedEventLoop(lambda _: lock.acquire(), give)
    thread.join()
    assert time.monotonic() - start < 0.9
