"""Scenario files of rspdemo (TOML): the programs that take part, and a script of what happens to them.

Read and checked before anything is started; a `ScenarioError` says what is wrong and where. The format is
described in docs/reference/scenarios.md; the scenarios that come with rspdemo are in the folder ``scenarios``.
"""

from __future__ import annotations

import importlib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from .options import Program, UsageError, Values, parse
from .servers import service_of

ROLES = {"registrar": "rspregistrar", "server": "rspserver", "user": ""}  # and their usual programs
PROGRAMS = {
    "registrar": ("rspregistrar",),
    "server": ("rspserver",),
    "user": ("pingpongclient", "fractalpooluser", "calcappclient", "rspterminal", "scriptingclient"),
}
DRAWN_HERE = "fractalpooluser"  # runs within rspdemo, so that its image can be seen
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MOST = 35  # components of a scenario: one key for each
IN_USE = " in use"
ACTIONS = ("start", "stop", "kill", "restart", "wait")
WAITS = {
    "registered": (),
    "completed": (),
    "failover": (),
    "answers": (),
    "replies": ("count",),
    "image": ("percent",),
}
WITHIN = 15.0  # seconds that a condition may take, if nothing else is said
LONG = ("image", "completed")  # these may take as long as the whole scenario


class ScenarioError(ValueError):
    """A scenario that cannot be played; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Member:
    """One program of a scenario: ``server B`` of the components ``server``."""

    name: str
    group: str
    role: str
    program: str
    options: tuple[str, ...]
    values: Values
    pool: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: an action on members (all of a group, one by its name, or "GROUP in use"), or a condition."""

    action: str
    target: str = ""
    amount: float = 0.0  # replies, percent, or seconds
    at: float | None = None  # seconds after the beginning, at the earliest
    within: float = WITHIN


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is to be played. ``limit``: seconds that it may take, None: as long as it likes."""

    title: str
    members: tuple[Member, ...]
    steps: tuple[Step, ...]
    limit: float | None

    def named(self, name: str) -> list[Member]:
        """The members of a group, or the one with this name; [] if there are none."""
        return [m for m in self.members if name in (m.name, m.group)]


def supplied() -> list[str]:
    """The names of the scenarios that come with the program."""
    return sorted(f.name.removesuffix(".toml") for f in _folder().iterdir() if f.name.endswith(".toml"))


def _folder() -> Any:
    return files(__package__) / "scenarios"


def source(name: str) -> str:
    """The text of a scenario: one of `supplied`, else a file. ScenarioError if there is none."""
    try:
        if name in supplied():
            return str((_folder() / f"{name}.toml").read_text("utf-8"))
        return Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise ScenarioError(
            f"{name} cannot be read: {why}; a file is needed, or one of {', '.join(supplied())}"
        ) from None


def load(text: str) -> Scenario:
    """Read a scenario. ScenarioError says what is wrong."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"no TOML: {error}") from None
    _only(document, "the scenario", {"title": str, "components": dict, "script": dict})
    script = document.get("script", {})
    _only(script, "script", {"limit": (int, float), "steps": list})
    members: list[Member] = []
    for group, table in document.get("components", {}).items():
        members += _members(group, table)
    if not members:
        raise ScenarioError("there are no components: a table [components.NAME] is needed for each")
    if len(members) > MOST:
        raise ScenarioError(f"{len(members)} components; at most {MOST} can be played")
    steps = tuple(_step(number, step, members) for number, step in enumerate(script.get("steps", []), 1))
    limit = script.get("limit")
    if limit is not None and not 1 <= limit <= 3600:
        raise ScenarioError("script: limit must be in 1..3600 (seconds)")
    return Scenario(document.get("title", "Reliable Server Pooling"), tuple(members), steps, limit)


def _only(table: Any, where: str, known: Mapping[str, Any]) -> None:
    if not isinstance(table, dict):
        raise ScenarioError(f"{where}: a table is needed")
    for key, value in table.items():
        if key not in known:
            raise ScenarioError(f"{where}: {key!r} is unknown; there are {', '.join(known)}")
        if not isinstance(value, known[key]) or isinstance(value, bool):
            raise ScenarioError(f"{where}: {key} = {value!r} is of the wrong type")


def _members(group: str, table: Any) -> list[Member]:
    where = f"components.{group}"
    _only(table, where, {"role": str, "program": str, "count": int, "options": list})
    role = table.get("role", group)
    if role not in ROLES:
        raise ScenarioError(f"{where}: role must be one of {', '.join(ROLES)}")
    program = table.get("program", ROLES[role])
    if program not in PROGRAMS[role]:
        raise ScenarioError(f"{where}: program of a {role} must be one of {', '.join(PROGRAMS[role])}")
    count = table.get("count", 1)
    if not 1 <= count <= len(LETTERS):
        raise ScenarioError(f"{where}: count must be in 1..{len(LETTERS)}")
    options = table.get("options", [])
    if not all(isinstance(o, str) for o in options):
        raise ScenarioError(f"{where}: options must be texts")
    try:
        values = parse(_table(program), options)
    except UsageError as error:
        raise ScenarioError(f"{where}: {error}") from None
    if program == DRAWN_HERE and count > 1:
        raise ScenarioError(f"{where}: there can be one {DRAWN_HERE} only, whose image is shown")
    names = [f"{group} {letter}" for letter in LETTERS[:count]] if count > 1 else [group]
    return [Member(n, group, role, program, tuple(options), values, _pool(program, values)) for n in names]


def _table(program: str) -> Program:
    found: Program = importlib.import_module(f".{program}", __package__).PROGRAM
    return found


def _pool(program: str, values: Values) -> str:
    pool = vars(values).get("poolhandle") or ""
    return pool or (service_of(values).pool if program == "rspserver" else "")


def _step(number: int, table: Any, members: list[Member]) -> Step:
    where = f"step {number}"
    texts = dict.fromkeys(ACTIONS, str)
    _only(table, where, {**texts, "wait": (str, int, float), "at": (int, float), "within": (int, float),
                         "count": int, "percent": (int, float)})  # fmt: skip
    actions = [a for a in ACTIONS if a in table]
    if len(actions) > 1 or (not actions and "at" not in table):
        raise ScenarioError(f"{where}: one of {', '.join(ACTIONS)} is needed")
    for key in ("at", "within", "count", "percent"):
        if table.get(key, 0) < 0:
            raise ScenarioError(f"{where}: {key} must not be negative")
    usual = math.inf if table.get("wait") in LONG else WITHIN
    at, within = table.get("at"), float(table.get("within", usual))
    if not actions:
        return Step("wait", "", 0.0, at, within)
    action, target = actions[0], table[actions[0]]
    wanted: tuple[str, ...] = ()
    amount = 0.0
    if action == "wait" and not isinstance(target, str):
        if target < 0:
            raise ScenarioError(f"{where}: seconds must not be negative")
        target, amount = "", float(target)
    elif action == "wait":
        if target not in WAITS:
            raise ScenarioError(f"{where}: wait for one of {', '.join(WAITS)}, or for a number of seconds")
        wanted = WAITS[target]
        _suits(where, target, members)
    else:
        _known(where, action, target, members)
    for key in ("count", "percent"):
        if (key in wanted) != (key in table):
            raise ScenarioError(f"{where}: {key} is {'needed' if key in wanted else 'not taken'} here")
    return Step(action, target, float(table[wanted[0]]) if wanted else amount, at, within)


def _suits(where: str, condition: str, members: list[Member]) -> None:
    """Whether a condition can come true at all."""
    programs = {m.program for m in members}
    needs = {"image": DRAWN_HERE, "replies": "pingpongclient", "answers": "pingpongclient"}.get(condition)
    if needs is not None and needs not in programs:
        raise ScenarioError(f"{where}: there is no {needs}, so {condition!r} never comes true")
    if condition == "failover" and not {DRAWN_HERE, "pingpongclient"} & programs:
        raise ScenarioError(f"{where}: failovers are seen of {DRAWN_HERE} and pingpongclient only")


def _known(where: str, action: str, target: str, members: list[Member]) -> None:
    name = target.removesuffix(IN_USE)
    if name != target and action == "start":
        raise ScenarioError(f"{where}: what is in use has been started")
    if not any(name in (m.name, m.group) for m in members):
        names = dict.fromkeys(n for m in members for n in (m.group, m.name))
        raise ScenarioError(f"{where}: there is no component {target!r}; there are {', '.join(names)}")
