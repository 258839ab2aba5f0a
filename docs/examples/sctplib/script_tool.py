"""A test tool that runs scripts of API calls and checks the callbacks that follow.

One command per line, ``#`` begins a comment, values may be quoted:

    instance [port=N] [streams=N]           register an instance; the last one is used
    associate to=ADDRESS port=N [streams=N]
    send [stream=N] [ppid=N] [unordered=1] text=TEXT
    receive [stream=N] [length=N] text=TEXT read what arrived, at most length octets, and compare
    heartbeat [path=N]    primary [path=N]    shutdown    abort    delete
    expect up|data|path|lost|restart|peer-shutdown|complete|send-failure [name=value]...
                                            await a callback; other ones are passed over
    pause ms=N                              turn the loop for so long
    repeat n=N ... end                      run the lines between again

``expect`` compares what is named: up (status, paths, in, out), data (stream, length, ssn, ppid, unordered), path
(path, state), lost (status), send-failure (text). Exit status 0: all was as expected; 1: not; 2: the script has
errors.
"""

from __future__ import annotations

import shlex
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import common

from pysctplib.sctplib import (
    SCTP_ulpCallbacks,
    sctp_abort,
    sctp_associate,
    sctp_deleteAssociation,
    sctp_eventLoop,
    sctp_receive,
    sctp_registerInstance,
    sctp_requestHeartbeat,
    sctp_send,
    sctp_setAssocDefaults,
    sctp_setPrimary,
    sctp_shutdown,
    sctp_startTimer,
)

PATIENCE = 10.0  # seconds that ``expect`` waits

# Command -> names that it must have, names that it may have.
COMMANDS: dict[str, tuple[set[str], set[str]]] = {
    "instance": (set(), {"port", "streams"}),
    "associate": ({"to", "port"}, {"streams"}),
    "send": ({"text"}, {"stream", "ppid", "unordered"}),
    "receive": ({"text"}, {"stream", "length"}),
    "heartbeat": (set(), {"path"}),
    "primary": (set(), {"path"}),
    "shutdown": (set(), set()),
    "abort": (set(), set()),
    "delete": (set(), set()),
    "pause": ({"ms"}, set()),
    "repeat": ({"n"}, set()),
    "end": (set(), set()),
}
EVENTS: dict[str, tuple[str, ...]] = {
    "up": ("status", "paths", "in", "out"),
    "data": ("stream", "length", "ssn", "tsn", "ppid", "unordered"),
    "path": ("path", "state"),
    "lost": ("status",),
    "restart": (),
    "peer-shutdown": (),
    "complete": (),
    "send-failure": ("text",),
}
TEXTS = {"text", "to"}


class Wrong(Exception):
    """The script, or what happened, is not right."""


def parse(text: str) -> list[tuple[int, str, dict[str, Any]]]:
    """Return the script as (line, command, values); raise Wrong with all errors."""
    script: list[tuple[int, str, dict[str, Any]]] = []
    errors: list[str] = []
    depth = 0
    for number, source in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(source, comments=True)
            if words:
                script.append((number, *command(words)))
                depth += {"repeat": 1, "end": -1}.get(words[0], 0)
                if depth < 0:
                    raise Wrong("end without repeat")
        except (Wrong, ValueError) as error:
            errors.append(f"line {number}: {error}")
            depth = max(depth, 0)
    if depth:
        errors.append("repeat without end")
    if errors:
        raise Wrong("\n".join(errors))
    return script


def command(words: list[str]) -> tuple[str, dict[str, Any]]:
    """Return one command and its values; raise Wrong."""
    name, *rest = words
    if name == "expect":
        event, *rest = rest or [""]
        if event not in EVENTS:
            raise Wrong(f"expect what? {event}")
        name, required, optional = f"expect {event}", set[str](), set(EVENTS[event])
    elif name in COMMANDS:
        required, optional = COMMANDS[name]
    else:
        raise Wrong(f"no command {name}")
    values: dict[str, Any] = {}
    for word in rest:
        key, equals, value = word.partition("=")
        if not equals or key not in required | optional:
            raise Wrong(f"{name} does not take {word}")
        values[key] = value if key in TEXTS else int(value)
    if required - set(values):
        raise Wrong(f"{name} needs {', '.join(sorted(required - set(values)))}")
    return name, values


class Runner:
    """Runs a script; callbacks are written down in ``happened``, ``expect`` takes them from there."""

    def __init__(self, first_instance: Callable[[int, SCTP_ulpCallbacks, int], int]) -> None:
        self.first_instance = first_instance
        self.instance = 0
        self.association = 0
        self.happened: deque[tuple[str, tuple[Any, ...]]] = deque()
        self.callbacks = SCTP_ulpCallbacks(
            communicationUpNotif=self._up,
            dataArriveNotif=self._note("data"),
            networkStatusChangeNotif=self._note("path"),
            communicationLostNotif=self._note("lost"),
            restartNotif=self._note("restart"),
            peerShutdownReceivedNotif=self._note("peer-shutdown"),
            shutdownCompleteNotif=self._note("complete"),
            sendFailureNotif=lambda association, data, context, ulp: self.happened.append(
                ("send-failure", (data.decode(errors="replace"),))
            ),
        )

    def _note(self, event: str) -> Callable[..., None]:
        def callback(association: int, *rest: Any) -> None:
            self.happened.append((event, rest[:-1]))

        return callback

    def _up(self, association: int, *rest: Any) -> None:
        self.association = association
        self.happened.append(("up", rest[:-1]))

    def run(self, script: list[tuple[int, str, dict[str, Any]]]) -> None:
        """Run commands one after the other; raise Wrong where something is not as expected."""
        position = 0
        while position < len(script):
            number, name, values = script[position]
            if name == "repeat":
                stop = closing(script, position)
                for _ in range(values["n"]):
                    self.run(script[position + 1 : stop])
                position = stop
            elif name != "end":
                try:
                    self.step(name, values)
                except Wrong as error:
                    raise Wrong(f"line {number}: {error}") from None
            position += 1

    def step(self, name: str, values: dict[str, Any]) -> None:
        """Run one command."""
        if name.startswith("expect "):
            self.expect(name.removeprefix("expect "), values)
        elif name == "instance":
            port, streams = values.get("port", 0), values.get("streams", 100)
            self.instance = positive("instance", self.first_instance(port, self.callbacks, streams))
        elif name == "associate":
            streams = values.get("streams", 100)
            self.association = sctp_associate(self.instance, streams, values["to"], values["port"])
            positive("associate", self.association)
        elif name == "receive":
            code, data, _, _ = sctp_receive(self.association, values.get("stream", 0), values.get("length", 65536))
            if data != values["text"].encode():
                raise Wrong(f"receive: code {code}, {data!r}")
        elif name == "pause":
            over: list[int] = []
            sctp_startTimer(values["ms"] // 1000, values["ms"] % 1000 * 1000, lambda *_: over.append(1))
            while not over:
                sctp_eventLoop()
        else:
            code = CALLS[name](self.association, values)
            if code:
                raise Wrong(f"{name}: code {code}")

    def expect(self, event: str, values: dict[str, Any]) -> None:
        """Await a callback with these values."""
        limit = time.monotonic() + PATIENCE
        seen: list[str] = []
        while True:
            while self.happened:
                name, arguments = self.happened.popleft()
                found = dict(zip(EVENTS[name], arguments, strict=False))
                if name == event and all(found[key] == value for key, value in values.items()):
                    common.say("met:", event, *(f"{k}={v}" for k, v in found.items()))
                    return
                seen.append(f"{name} {found}")
            if time.monotonic() > limit:
                raise Wrong(f"{event} {values} did not come, but: {'; '.join(seen) or 'nothing'}")
            sctp_eventLoop()


CALLS: dict[str, Callable[[int, dict[str, Any]], int]] = {
    "send": lambda association, v: sctp_send(
        association,
        v.get("stream", 0),
        v["text"].encode(),
        v.get("ppid", 0),
        unorderedDelivery=v.get("unordered", 0),
    ),
    "heartbeat": lambda association, v: sctp_requestHeartbeat(association, v.get("path", -1)),
    "primary": lambda association, v: sctp_setPrimary(association, v.get("path", 0)),
    "shutdown": lambda association, v: sctp_shutdown(association),
    "abort": lambda association, v: sctp_abort(association),
    "delete": lambda association, v: sctp_deleteAssociation(association),
}


def closing(script: list[tuple[int, str, dict[str, Any]]], position: int) -> int:
    """Return where the ``end`` of a ``repeat`` is."""
    depth = 0
    for index in range(position, len(script)):
        depth += {"repeat": 1, "end": -1}.get(script[index][1], 0)
        if not depth:
            return index
    raise Wrong("repeat without end")


def positive(what: str, result: int) -> int:
    """Return a name or ID; raise Wrong if it is a code."""
    if result <= 0:
        raise Wrong(f"{what}: {result}")
    return result


def main(args: Sequence[str]) -> int:
    """Check a script, then run it."""
    parser = common.arguments("Runs scripts of API calls", 0)
    parser.add_argument("script", type=Path)
    parser.add_argument("--check", action="store_true", help="check the script only")
    options = parser.parse_args(args)
    try:
        script = parse(options.script.read_text())
    except Wrong as error:
        common.say(error)
        return 2
    if options.check:
        return 0
    started: list[int] = []

    def register(port: int, callbacks: SCTP_ulpCallbacks, streams: int) -> int:
        if not started:
            started.append(common.start(options, port, callbacks, streams=streams))
            return started[0]
        instance = sctp_registerInstance(port, streams, streams, options.source or ["0.0.0.0"], callbacks)
        if instance > 0:
            params = common.defaults(instance)
            params.remoteUdpPort = options.remote_udp_port
            sctp_setAssocDefaults(instance, params)
        return instance

    runner = Runner(register)
    try:
        runner.run(script)
    except Wrong as error:
        common.say(error)
        return 1
    finally:
        common.run(lambda: True)
    common.say("all as expected")
    return 0


if __name__ == "__main__":
    common.main(main)
