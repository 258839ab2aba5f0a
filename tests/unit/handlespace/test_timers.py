"""The timer queue against a plain dictionary."""

import random

from rserpool.handlespace.timers import TimerQueue


def test_random_commands_agree_with_a_model():
    for seed in range(30):
        rng = random.Random(seed)
        queue, model, now = TimerQueue(), {}, 0.0
        for _ in range(600):
            key = rng.randrange(20)
            what = rng.random()
            if what < 0.6:
                model[key] = now + rng.choice((0.0, 1.0, 2.0, 50.0, 1000.0))
                queue.arm(key, model[key])
            elif what < 0.8:
                assert queue.cancel(key) == (model.pop(key, None) is not None)
            else:
                now += rng.choice((0.0, 0.5, 3.0))
                due = queue.due(now)
                expected = {k for k, at in model.items() if at <= now}
                assert set(due) == expected and len(due) == len(expected)
                assert [model[k] for k in due] == sorted(model[k] for k in due)
                for k in due:
                    del model[k]
            queue.verify()
            assert len(queue) == len(model)
            assert queue.deadline() == min(model.values(), default=None)
            assert all(queue.when(k) == at and k in queue for k, at in model.items())


def test_rearming_and_cancelling_does_not_grow_the_heap():
    queue = TimerQueue()
    for i in range(100_000):
        queue.arm(i % 100, float(i + 1000))
    assert len(queue._heap) == 100
    for i in range(10_000):
        queue.arm(("gone", i), 1e9)
        queue.cancel(("gone", i))
    assert len(queue._heap) < 500


def test_what_was_moved_away_is_due_in_the_order_of_its_new_deadlines():
    queue = TimerQueue()
    for key, at in (("a", 1.0), ("b", 2.0), ("c", 3.0)):
        queue.arm(key, at)
    queue.arm("a", 5.0)
    queue.arm("b", 4.0)
    queue.cancel("c")
    assert queue.due(6.0) == ["b", "a"]
    queue.verify()
    assert queue.deadline() is None and len(queue) == 0
