"""The queue of requests: pipelined, matched in order, sent again as often as allowed."""

import pytest

from rserpool.asap.requests import RESPONSES, Request, RequestQueue
from rserpool.wire import asap, causes

A, B = b"A", b"B"


class Log:
    def __init__(self, trials=1):
        self.queue = RequestQueue(3.0, trials)
        self.ends = []

    def add(self, handle, kind=asap.HandleResolution):
        request = Request(
            handle,
            RESPONSES.get(kind),
            lambda: b"data of " + handle,
            lambda message: self.ends.append((handle, message)),
            lambda cause: self.ends.append((handle, cause)),
        )
        self.queue.add(request)
        return request

    def send(self, now=0.0):
        sent = []
        while (request := self.queue.next()) is not None:
            sent.append(request.handle)
            self.queue.sent(now)
        return sent


def response(handle):
    return asap.HandleResolutionResponse(handle, error=9)


def test_pipelined_and_answered_in_order():
    log = Log()
    log.add(A), log.add(B)
    assert log.send(1.0) == [A, B]
    assert log.queue.deadline() == 4.0
    assert log.queue.answered(response(A))
    assert log.queue.answered(response(B))
    assert log.ends == [(A, response(A)), (B, response(B))]
    assert log.queue.deadline() is None and len(log.queue) == 0


@pytest.mark.parametrize(
    "wrong", [response(B), asap.RegistrationResponse(A, 1), asap.DeregistrationResponse(A, 1)]
)
def test_what_does_not_fit_the_oldest_is_wrong(wrong):
    log = Log()
    log.add(A), log.add(B)
    log.send()
    assert not log.queue.answered(wrong)
    assert log.ends == []


def test_an_answer_to_nothing_is_wrong():
    log = Log()
    log.add(A)  # not sent yet
    assert not log.queue.answered(response(A))


def test_reports_expect_no_answer():
    log = Log()
    log.add(A, asap.EndpointUnreachable)
    log.send()
    assert log.ends == [(A, None)] and len(log.queue) == 0


def test_lost_association_ends_what_was_sent():
    log = Log()
    log.add(A)
    log.send()
    log.add(B)
    log.queue.lost(causes.TIMEOUT)
    assert log.ends == [(A, causes.TIMEOUT)]
    assert log.send() == [B]  # had not been sent yet: its trials are not used up


def test_more_trials_send_again_in_the_old_order():
    log = Log(trials=2)
    log.add(A), log.add(B)
    log.send()
    log.add(b"C")
    log.queue.lost(causes.TIMEOUT)
    assert log.ends == []
    assert log.send() == [A, B, b"C"]
    log.queue.lost(causes.TIMEOUT)
    assert log.ends == [(A, causes.TIMEOUT), (B, causes.TIMEOUT)]
    assert log.send() == [b"C"]


def test_cancelled_requests_are_not_sent_but_their_answers_are_awaited():
    log = Log()
    first, second = log.add(A), log.add(B)
    first.cancelled = True
    assert log.send() == [B]
    second.cancelled = True
    assert log.queue.answered(response(B))
    assert log.ends == []


def test_unreadable_answer_ends_its_request_only():
    log = Log()
    log.add(A), log.add(B)
    log.send()
    assert not log.queue.unreadable(asap.RegistrationResponse, 0x10)
    assert log.queue.unreadable(asap.HandleResolutionResponse, 0x11)
    assert log.ends == [(A, 0x11)]
    assert log.queue.answered(response(B))


def test_giving_up_ends_everything():
    log = Log()
    log.add(A)
    log.send()
    log.add(B)
    log.queue.give_up()
    assert log.ends == [(A, causes.NO_REGISTRAR), (B, causes.NO_REGISTRAR)]
    assert len(log.queue) == 0


def test_what_cannot_be_sent_is_dropped():
    log = Log()
    log.add(A), log.add(B)
    assert log.queue.next().handle == A
    log.queue.drop_next(causes.INVALID_VALUE)
    assert log.ends == [(A, causes.INVALID_VALUE)]
    assert log.send() == [B]
