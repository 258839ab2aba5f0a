"""Runs commands in the lab's guest for a test on the host, over TCP on the lab's wire.

    python -m tests.interop.agent serve ADDRESS                      in the guest
    python -m tests.interop.agent call ADDRESS [NAME=VALUE]... -- COMMAND...    in the host's namespace

``call`` behaves like the command itself: its output (stdout and stderr in one), its exit status; when ``call`` is
ended, so is the command. The namespace has no other wire, so nobody else can reach the agent.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress

PORT = 7000
STATUS = b"\0status "


def serve(address: str) -> None:
    """Run each connection's command until it ends or the connection does."""
    with socket.create_server((address, PORT)) as listener:
        print("agent ready", flush=True)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=run, args=(connection,), daemon=True).start()


def run(connection: socket.socket) -> None:
    """Run one command; its output, then its status, go to the connection."""
    with connection:
        with connection.makefile("rb") as lines:
            request = json.loads(lines.readline())
        process = subprocess.Popen(
            request["command"],
            env={**os.environ, **request["environment"]},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert process.stdout is not None
        with process.stdout as output:
            try:
                ended = copy(output.fileno(), connection)
            except OSError:  # reset: the caller was ended before it had read all
                ended = False
        if ended:
            connection.sendall(STATUS + str(process.wait()).encode())
        else:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def copy(output: int, connection: socket.socket) -> bool:
    """Send what a command prints; tell whether it has ended, and not the connection."""
    while True:
        ready, _, _ = select.select([output, connection], [], [])
        if connection in ready and not connection.recv(1):
            return False
        if output in ready:
            data = os.read(output, 65536)
            if not data:
                return True
            connection.sendall(data)


def call(address: str, words: list[str]) -> int:
    """Have a command run in the guest; return its status."""
    split = words.index("--")
    environment = dict(word.split("=", 1) for word in words[:split])
    deadline = time.monotonic() + 30
    while True:
        try:
            connection = socket.create_connection((address, PORT), 5)
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    connection.settimeout(None)
    with connection:
        connection.sendall(
            json.dumps({"command": words[split + 1 :], "environment": environment}).encode() + b"\n"
        )
        held = b""
        while data := connection.recv(65536):
            held += data
            text, mark, status = held.partition(STATUS[:1])
            sys.stdout.buffer.write(text)
            sys.stdout.buffer.flush()
            held = mark + status
    if not held.startswith(STATUS):
        print("agent: the connection broke", file=sys.stderr)
        return 125
    status = int(held[len(STATUS) :])
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    else:
        sys.exit(call(sys.argv[2], sys.argv[3:]))
