"""Plays the script of a scenario: actions and conditions, one after the other."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from functools import partial

from .demo_stage import Stage
from .demo_story import ENDED
from .scenario import Step

Condition = Callable[[], object]


def _replies(stage: Stage, step: Step) -> Condition:
    enough = stage.story.last_reply + step.amount
    return lambda: stage.story.last_reply >= enough


def _failover(stage: Stage, step: Step) -> Condition:
    def moved() -> bool:
        moves = stage.image.moves if stage.image is not None else []
        return None not in [s.seconds for s in stage.story.switches] + [m.seconds for m in moves]

    return moved


def _image(stage: Stage, step: Step) -> Condition:
    def drawn() -> bool:
        job = stage.image.job if stage.image is not None else None
        return job is not None and 100 * job.done >= step.amount

    return drawn


def _completed(stage: Stage, step: Step) -> Condition:
    def done() -> bool:
        users = [a for a in stage.story.of_role("user") if a.pid or a.state != "not started"]
        return bool(users) and all(a.state == ENDED and a.completed for a in users)

    return done


CONDITIONS: dict[str, tuple[str, Callable[[Stage, Step], Condition]]] = {
    "registered": ("the registration of all", lambda stage, step: stage.ready),
    "completed": ("the end of the users' work", _completed),
    "replies": ("replies", _replies),
    "answers": ("the answers to all messages", lambda stage, step: lambda: stage.story.lost == 0),
    "image": ("so much of the image", _image),
    "failover": ("the failover", _failover),
}


async def play(stage: Stage) -> None:
    """Play a scenario; without steps, start everything. DemoError if it cannot go on."""
    scenario = stage.scenario
    limit = math.inf if scenario.limit is None else scenario.limit
    for step in scenario.steps or _everything(stage):
        if step.at is not None:
            await asyncio.sleep(max(0.0, step.at - stage.now()))
        if step.action != "wait":
            await stage.act(step.action, stage.chosen(step.target))
        elif step.target:
            what, make = CONDITIONS[step.target]
            await stage.until(make(stage, step), what, step.within, limit)
        else:
            end = stage.now() + step.amount
            await stage.until(partial(_past, stage, end), "the next step", math.inf, limit)


def _past(stage: Stage, end: float) -> bool:
    return stage.now() >= end


def _everything(stage: Stage) -> list[Step]:
    """The steps that start all members: registrars, then servers, then users."""
    steps: list[Step] = []
    for role in ("registrar", "server", "user"):
        steps += [Step("start", m.name) for m in stage.scenario.members if m.role == role]
        steps.append(Step("wait", "registered"))
    return steps
