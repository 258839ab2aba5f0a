"""What happens in the demo, told by the lines that its programs print. No processes, no terminal, no clock.

`Story.line` takes a line of a program, `Story.killed` and `Story.ended` what became of one; times are seconds
since the demo's start. What is shown of it is in `demo_view`, who does what when in `rspdemo`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

OFF, STARTING, READY, IN_USE, KILLED, ENDED = "not started", "starting", "ready", "in use", "killed", "ended"
ALIVE = (STARTING, READY, IN_USE)

_REGISTRAR = re.compile(r"Server ID:\s+\$([0-9a-f]{8})")
_SERVER = re.compile(r"\s+Identifier\s+= \$([0-9a-f]{8})")
_SENT = re.compile(r"Message #(\d+) sent( again)?")
_ACK = re.compile(r".*Ack #(\d+) from PE \$([0-9a-f]{8}) \(reply #(\d+)\)")
_GAP = re.compile(r".*Detected gap of (-?\d+)!")


@dataclass(slots=True)
class Actor:
    """One program of the demo."""

    name: str
    role: str  # registrar, server, user
    pid: int = 0
    identifier: int = 0
    state: str = STARTING
    replies: int = 0
    last: str = ""  # what it printed last
    leaving: bool = False  # it has been told to end
    completed: bool = False  # it has done what it had to do, and ended by itself
    pool: str = ""


@dataclass(slots=True)
class Event:
    """A thing worth telling; ``kind`` chooses its colour."""

    time: float
    actor: str
    text: str
    kind: str = "note"  # note, start, reply, kill, failover, error


@dataclass(slots=True)
class Switch:
    """A server that was killed, and how the session went on."""

    killed_at: float
    server: str
    last_reply: int
    next_server: str = ""
    next_reply: int = 0
    seconds: float | None = None


@dataclass(slots=True)
class Story:
    """All that has happened."""

    actors: dict[str, Actor] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)  # for each reply in order, the server that gave it
    sent: int = 0
    again: int = 0
    answered: set[int] = field(default_factory=set)
    last_reply: int = 0
    gaps: int = 0
    _again_from: int = 0  # the first of the messages that the latest failover sends again
    switches: list[Switch] = field(default_factory=list)
    killed_registrars: list[str] = field(default_factory=list)
    current: str = ""  # the server in use

    def expect(self, name: str, role: str, pool: str = "") -> None:
        """A program belongs to the story, but has not been started yet."""
        self.actors[name] = Actor(name, role, state=OFF, pool=pool)

    def add(self, name: str, role: str, pid: int, time: float) -> None:
        """A program has been started (process 0: it runs in this one), perhaps once more."""
        before = self.actors.get(name) or Actor(name, role)
        self.actors[name] = Actor(name, role, pid, replies=before.replies, pool=before.pool)
        self.tell(time, name, f"started, process {pid}" if pid else "started", "start")

    def line(self, time: float, name: str, text: str) -> None:
        """A program has printed a line."""
        actor = self.actors[name]
        if text.strip():
            actor.last = text.strip()
        if actor.state in (KILLED, ENDED):
            return
        {"registrar": self._of_registrar, "server": self._of_server, "user": self._of_user}[actor.role](
            time, actor, text
        )

    def killed(self, time: float, name: str) -> None:
        """A program has been killed."""
        actor = self.actors[name]
        actor.state = KILLED
        if actor.role == "registrar":
            self.killed_registrars.append(name)
        if actor.role != "server" or name != self.current:
            self.tell(time, name, "killed (SIGKILL)", "kill")
            return
        self.switches.append(Switch(time, name, self.last_reply))
        self.tell(time, name, f"killed (SIGKILL) after reply {self.last_reply}", "kill")

    def ended(self, time: float, name: str, status: int) -> None:
        """A program has ended."""
        actor = self.actors[name]
        if actor.state == KILLED:
            return
        actor.state = ENDED
        if status:
            self.tell(time, name, f"ended with status {status}: {actor.last}", "error")
        elif actor.leaving:
            self.tell(time, name, "has ended")
        else:
            actor.completed = True
            self.tell(time, name, "has done its work")

    def of_role(self, role: str) -> list[Actor]:
        """The programs of a role, in order of their start."""
        return [a for a in self.actors.values() if a.role == role]

    def servers(self) -> list[Actor]:
        """The servers, in order of their start."""
        return self.of_role("server")

    @property
    def failure(self) -> str:
        """Words about a program that ended though it should not have; "" if there is none."""
        ends = (e for e in self.events if e.kind == "error" and "ended with status" in e.text)
        return next((f"{e.actor} {e.text}" for e in ends), "")

    @property
    def lost(self) -> int:
        """Messages without an answer."""
        return self.sent - len(self.answered)

    def tell(self, time: float, actor: str, text: str, kind: str = "note") -> None:
        """Something worth telling has happened."""
        self.events.append(Event(time, actor, text, kind))

    def _of_registrar(self, time: float, actor: Actor, text: str) -> None:
        found = _REGISTRAR.match(text)
        if found:
            actor.identifier, actor.state = int(found[1], 16), READY
            self.tell(time, actor.name, f"${actor.identifier:08x} is ready")

    def _of_server(self, time: float, actor: Actor, text: str) -> None:
        found = _SERVER.match(text)
        if found:
            actor.identifier, actor.state = int(found[1], 16), READY
            self.tell(time, actor.name, f"${actor.identifier:08x} has registered")

    def _of_user(self, time: float, actor: Actor, text: str) -> None:
        if found := _ACK.match(text):
            self._reply(time, actor, int(found[1]), int(found[2], 16), int(found[3]))
        elif found := _SENT.match(text):
            actor.state = READY
            if found[2]:
                self.again += 1
                self._sent_again(time, actor, int(found[1]))
            else:
                self.sent = max(self.sent, int(found[1]))
        elif text.startswith("FAILOVER"):
            self.tell(time, actor.name, "lost its server, looks for another", "failover")
        elif found := _GAP.match(text):
            self.gaps += 1
            self.tell(time, actor.name, f"missed {found[1]} replies", "error")

    def _sent_again(self, time: float, actor: Actor, number: int) -> None:
        latest = self.events[-1]
        if latest.text.startswith("sends again"):
            latest.text = f"sends again messages {self._again_from} to {number}, which were not answered"
        else:
            self._again_from = number
            self.tell(time, actor.name, f"sends again message {number}, which was not answered", "failover")

    def _reply(self, time: float, actor: Actor, number: int, identifier: int, reply: int) -> None:
        server = next((a for a in self.servers() if a.identifier == identifier), None)
        name = server.name if server else f"${identifier:08x}"
        if server is not None and server.state != KILLED and name != self.current:
            for other in self.servers():
                if other.state == IN_USE:
                    other.state = READY
            server.state = IN_USE
        if server is not None:
            server.replies += 1
        if name != self.current and self.switches and self.switches[-1].seconds is None:
            switch = self.switches[-1]
            switch.next_server, switch.next_reply = name, reply
            switch.seconds = time - switch.killed_at
            self.tell(time, actor.name, f"goes on at {name} after {switch.seconds:.2f} s, with reply {reply}",
                       "failover")  # fmt: skip
        self.current = name
        self.answered.add(number)
        self.replies.append(name)
        self.last_reply = reply
        self.tell(time, actor.name, f"message {number}: reply {reply} from {name}", "reply")


def summary(story: Story) -> list[str]:
    """What happened, in a few sentences."""
    lines = []
    for switch in story.switches:
        identifier = story.actors[switch.server].identifier
        lines.append(f"{switch.server} (${identifier:08x}) was killed after reply {switch.last_reply}.")
        if switch.seconds is None:
            lines.append("The session did not go on.")
        else:
            lines.append(
                f"{switch.next_server} went on with reply {switch.next_reply}: failover in {switch.seconds:.2f} s."
            )
    if not story.sent:
        return lines
    lost = "none lost" if story.lost == 0 else f"{story.lost} lost"
    again = f", {story.again} sent twice" if story.again else ""
    gaps = "no reply missing" if story.gaps == 0 else f"{story.gaps} gaps in the replies"
    lines.append(f"{story.sent} messages sent{again}, {len(story.answered)} answered, {lost}, {gaps}.")
    return lines


def succeeded(story: Story) -> bool:
    """Whether all sessions went on, and nothing was lost."""
    return all(s.seconds is not None for s in story.switches) and story.lost == 0 and story.gaps == 0
