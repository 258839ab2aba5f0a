"""The peer of usrsctp/peer.c made of ``pysctplib.driver.Stack``: same modes, same messages, same output.

    python -m tests.interop.stackpeer listen|connect echo|exchange|source|sink|ping [name=value]...

udp (own UDP port, 0: any), remote-udp (0: plain SCTP over IP), address and local (comma lists), port (SCTP),
local-port (SCTP), count, seed, peer-seed, streams, rto-min (ms), lifetime (ms, of every second message; source,
sink), loss (chance that a packet is lost, either way), path-mtu (0: the interface's), assocs, size, pcap
(a file), seconds (how long at most), end (shutdown, abort, vanish without a word; peer: await the peer's). Prints
"ready SCTP-PORT UDP-PORT", "up", "sent N B", "received N B", "end ...". A server serves associations at the same
time and ends with the ``assocs``-th end.
"""

from __future__ import annotations

import errno
import os
import random
import sys
from typing import Any

from pysctplib.core import events
from pysctplib.core.config import Config
from pysctplib.driver import Stack, StackConfig
from pysctplib.wire.chunks import FORWARD_TSN, SHUTDOWN_COMPLETE
from pysctplib.wire.packet import walk

from ..stackloop import Loop, offer
from . import traffic

DEFAULTS: dict[str, str] = {
    "udp": "0",
    "remote-udp": "9899",
    "address": "127.0.0.1",
    "local": "127.0.0.1",
    "port": "0",
    "count": "1000",
    "seed": "1",
    "peer-seed": "2",
    "streams": "1",
    "rto-min": "1000",
    "lifetime": "0",
    "loss": "0",
    "path-mtu": "0",
    "assocs": "1",
    "size": "64",
    "pcap": "",
    "seconds": "120",
    "end": "shutdown",
    "local-port": "0",
}
SENDING = {"exchange", "source", "ping"}
CHECKING = {"exchange", "sink"}
SHORT_QUEUE = 16384


def say(*words: object) -> None:
    print(*words, flush=True)


class Talk:
    """What one association has to do in its mode, and how far it is."""

    def __init__(self, mode: str, client: bool, options: dict[str, str], association: Any) -> None:
        self.mode, self.client, self.options, self.association = mode, client, options, association
        self.count, self.streams = int(options["count"]), int(options["streams"])
        self.to_send = self.count if mode in SENDING else 0
        self.sent = self.sent_bytes = self.echoed = self.failed = 0
        self.lifetime = int(options["lifetime"]) / 1000
        self.checker = traffic.Checker(
            self.count, int(options["peer-seed"]), self.streams, gaps=bool(self.lifetime)
        )
        self.partial: dict[tuple[int, bool], list[bytes]] = {}
        self.backlog: list[tuple[bytes, int, int]] = []
        self.ending = False

    def work(self, now: float) -> None:
        """Send as much as there is room for; end the association when all is done."""
        association, seed = self.association, int(self.options["seed"])
        if self.mode == "echo":
            while self.backlog and offer(association, *self.backlog[0], now):
                self.backlog.pop(0)
                self.echoed += 1
            return
        if self.mode == "ping":
            if self.sent < self.count and self.sent == self.echoed:
                association.send(
                    self.ping(self.sent), self.sent % self.streams, now, ppid=traffic.PPID + self.sent
                )
                self.sent += 1
        else:
            # What waits for long in the queue would be given up without having been sent.
            while self.sent < self.to_send and not (self.lifetime and association.buffered > SHORT_QUEUE):
                data = traffic.message(self.sent, seed)
                life = self.lifetime if self.lifetime and traffic.expires(self.sent) else None
                if not offer(association, data, self.sent % self.streams, traffic.PPID + self.sent, now, life):
                    break
                self.sent += 1
                self.sent_bytes += len(data)
                if self.sent == self.to_send:
                    say("sent", self.sent, self.sent_bytes)
        if self.client and not self.ending and self.done() and self.options["end"] != "peer":
            self.ending = True
            if self.options["end"] == "vanish":
                os._exit(0)
            if self.options["end"] == "abort":
                association.abort(now, b"the test wants it")
            else:
                association.shutdown(now)

    def ping(self, index: int) -> bytes:
        size = int(self.options["size"])
        return bytes((index + k) & 255 for k in range(size))

    def done(self) -> bool:
        """Whether all has been sent and received."""
        received = self.mode not in CHECKING or self.checker.complete
        return received and self.sent == self.to_send and (self.mode != "ping" or self.echoed == self.count)

    def take(self, event: events.Message, now: float) -> None:
        """Take in one message or part of one."""
        data = event.data
        self.association.consumed(len(data), now)
        key = (event.stream, event.unordered)
        if not event.eor or key in self.partial:
            self.partial.setdefault(key, []).append(data)
            if not event.eor:
                return
            data = b"".join(self.partial.pop(key))
        if self.mode == "echo":
            self.backlog.append((data, event.stream, event.ppid))
        elif self.mode == "ping":
            if data != self.ping(self.echoed):
                raise ValueError(f"echo {self.echoed} differs")
            self.echoed += 1
        elif self.mode in CHECKING:
            self.checker.add(event.stream, event.ppid, data)
            if self.checker.complete and not self.checker.gaps:
                say("received", self.checker.received, self.checker.bytes)
        else:
            raise ValueError(f"a message of {len(data)} bytes that nobody wants")


def lose(stack: Stack, chance: float, seed: int) -> list[int]:
    """Lose packets either way, but for SHUTDOWN COMPLETE, as in relay.py; count the FORWARD TSN meanwhile."""
    rng, output, receive = random.Random(seed), stack.engine.output, stack.engine.receive
    forwards = [0]
    if not chance:
        return forwards

    def kept(data: bytes) -> bool:
        return rng.random() >= chance or data[12] == SHUTDOWN_COMPLETE

    def some_output(now: float) -> list[Any]:
        return [datagram for datagram in output(now) if kept(datagram[0])]

    def receive_some(data: bytes, path: Any, now: float) -> None:
        if kept(data):
            forwards[0] += any(kind == FORWARD_TSN for kind, _, _ in walk(data))
            receive(data, path, now)

    stack.engine.output = some_output  # type: ignore[method-assign]
    stack._deliver = stack._receive = receive_some
    return forwards


def run(role: str, mode: str, options: dict[str, str]) -> int:
    """Play the role; 0 if everything was as expected."""
    client = role == "connect"
    raw = options["remote-udp"] == "0"
    stack = Stack(StackConfig(udp_port=int(options["udp"]), pcap=options["pcap"] or None, raw=raw))
    rto = int(options["rto-min"]) / 1000
    config = Config(
        outbound_streams=int(options["streams"]),
        rto_min=rto,
        rto_initial=max(rto, min(1.0, rto * 3)),
        rto_max=10 * rto if options["lifetime"] != "0" else 60.0,  # the network loses much then
        nodelay=True,
        path_mtu=int(options["path-mtu"]),
        remote_udp_port=int(options["remote-udp"]),
    )
    forwards = lose(stack, float(options["loss"]), int(options["seed"]))
    loop = Loop(stack)
    local = tuple(filter(None, options["local"].split(",")))
    endpoint = stack.open_endpoint(int(options["local-port" if client else "port"]), local, config)
    talks: dict[Any, Talk] = {}
    ended: list[str] = []
    if not client:
        endpoint.listen(True)
        say("ready", endpoint.port, stack.udp_port)
    else:
        addresses = tuple(options["address"].split(","))
        endpoint.connect(addresses, int(options["port"]), stack.now(), udp_port=int(options["remote-udp"]))

    def handle(event: Any) -> None:
        now = stack.now()
        association = getattr(event, "association", None)
        if isinstance(event, events.Message):
            talks[association].take(event, now)
        elif isinstance(event, events.CommunicationUp):
            say("up")
            talks[association] = Talk(mode, client, options, association)
        elif isinstance(event, events.Restarted):
            say("restarted")
            talks[association] = Talk(mode, client, options, association)
        elif isinstance(event, events.ShutdownComplete):
            finish(association, "shutdown")
        elif isinstance(event, events.CommunicationLost):
            aborted = {errno.ECONNRESET: "abort", errno.ECONNABORTED: "own-abort"}
            finish(association, aborted.get(event.error, errno.errorcode.get(event.error, str(event.error))))
        elif isinstance(event, events.PartialDeliveryAborted):
            talks[association].partial.clear()  # there is one at a time
        elif isinstance(event, events.SendFailed):
            talks[association].failed += 1
        elif isinstance(event, events.CannotStart):
            raise OSError(event.error, f"cannot start: {event}")

    failures: list[str] = []

    def finish(association: Any, how: str) -> None:
        ended.append(how)
        talk = talks.pop(association)
        if mode in ("echo", "ping"):
            say("echoed", talk.echoed)
        if talk.lifetime:
            say("abandoned", stack.engine.counters.abandoned_messages, "of", talk.failed, "failed")
            say("forwarded", forwards[0])
            say("received", talk.checker.received, talk.checker.bytes)
        if not talk.done():
            failures.append(f"ended after {talk.sent} sent, {talk.checker.received} received")
        say("end", how)

    end = stack.now() + float(options["seconds"])
    while len(ended) < int(options["assocs"]):
        if stack.now() > end:
            raise TimeoutError(f"not done after {options['seconds']} s: {[vars(t) for t in talks.values()]}")
        for event in loop.turn():
            handle(event)
        now = stack.now()
        for talk in tuple(talks.values()):
            talk.work(now)
    stack.flush()
    loop.close()
    for failure in failures:
        print("stackpeer:", failure, file=sys.stderr)
    return bool(failures)


def main(arguments: list[str]) -> int:
    options = dict(DEFAULTS)
    for word in arguments[2:]:
        name, equals, value = word.partition("=")
        if name not in options or not equals:
            raise SystemExit(f"stackpeer: {word} is not one of {', '.join(DEFAULTS)}=value")
        options[name] = value
    return run(arguments[0], arguments[1], options)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
