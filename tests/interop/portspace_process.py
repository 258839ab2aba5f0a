"""A process of the port space tests: an echo server or a client that says what happens, a line each.

portspace_process.py serve SHARED_PORT MODE SCTP_PORT
portspace_process.py talk SHARED_PORT MODE HOST SCTP_PORT      sends a message for each line on standard input
"""

from __future__ import annotations

import os
import selectors
import sys
from typing import Any

from pysctplib.core import events
from pysctplib.driver import Stack, StackConfig


def say(*words: object) -> None:
    print(*words, flush=True)


def main(role: str, shared: str, mode: str, *rest: str) -> None:
    stack = Stack(StackConfig(shared_port=int(shared), hub=mode))
    client = role == "talk"
    try:
        endpoint = stack.open_endpoint(0 if client else int(rest[0]))
    except OSError as error:
        say("error", error.errno)
        return
    association: Any = None
    if client:
        association = endpoint.connect((rest[0],), int(rest[1]), stack.now(), udp_port=int(shared))
    else:
        endpoint.listen(True)
    space = stack._space
    assert space is not None
    say("ready", endpoint.port, space.hub_pid, "steered" if space.steered else "forwarded")
    hub = space.hub_pid
    while True:
        stack.flush()
        with selectors.DefaultSelector() as selector:
            for fd in stack.filenos():
                selector.register(fd, selectors.EVENT_READ)
            if client:
                selector.register(0, selectors.EVENT_READ)
            deadline = stack.deadline()
            wait = 1.0 if deadline is None else max(0.0, min(1.0, deadline - stack.now()))
            ready = [key.fd for key, _ in selector.select(wait)]
        for fd in ready:
            if fd == 0:
                line = os.read(0, 1000)
                if not line:
                    association.abort(stack.now())
                    stack.flush()
                    stack.close()
                    return
                association.send(line.strip(), 0, stack.now())
            else:
                stack.readable(fd)
        deadline = stack.deadline()
        if deadline is not None and deadline <= stack.now():
            stack.expire()
        for event in stack.events():
            if isinstance(event, events.Message):
                event.association.consumed(len(event.data), stack.now())
                if client:
                    say("echo", event.data.decode())
                else:
                    event.association.send(event.data, 0, stack.now())
            elif isinstance(event, events.CommunicationUp):
                say("up")
            elif isinstance(event, events.CommunicationLost | events.CannotStart):
                say("lost", event.error)
        if space.hub_pid != hub:
            hub = space.hub_pid
            say("hub", hub)


if __name__ == "__main__":
    main(*sys.argv[1:])
