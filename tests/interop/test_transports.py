"""Registrar, servers and users with -transport=kernel: among themselves, with RSPLIB's, with ours in userland.

A guest of the lab has the kernel's SCTP, over UDP (RFC 6951), and runs RSPLIB's programs (O) and ours (K); ours in
userland (U) run beside it on the other end of a wire.
"""

import itertools
import shlex
from contextlib import ExitStack

import pytest

from .helpers import wire_to_guest
from .programs import ours, running

pytestmark = pytest.mark.lab

WORDS = {"K": "kernel SCTP: asked for", "U": "userland SCTP over UDP port 9899"}
HOSTS = {"K": "198.51.100.2", "O": "198.51.100.2", "U": "198.51.100.1"}
IDENTIFIER = r"Identifier\s+= \$([0-9a-f]{8})"
PORTS = itertools.count(3900, 2)
SAY = "sleep 1; for i in 1 2 3; do echo Hello $i; sleep 0.2; done; sleep 2"


@pytest.fixture(scope="module")
def wire():
    with wire_to_guest(SCTP_UDP_PORT="9899", SCTP_ENCAP_PORT="9899") as there:
        yield there


@pytest.fixture
def start(wire):
    """Start programs of each kind, which end with the test."""
    with ExitStack() as stack:

        def starter(kind, program, *options, say=None):
            if kind == "O":
                command = ["stdbuf", "-oL", program, *options]
            else:
                command = ours(program, f"-transport={'userland' if kind == 'U' else 'kernel'}", *options)
            if say is not None:
                command = ["sh", "-c", f"({say}) | exec {shlex.join(command)}"]
            # The wire reaches nobody but the guest, so announces may leave by it.
            there = {"PYTHONUNBUFFERED": "1", "RSERPOOL_INTERFACES": ""}
            place = wire.here(command) if kind == "U" else wire.there(command, **there)
            return stack.enter_context(running(place, env={"RSERPOOL_INTERFACES": ""}))

        yield starter


@pytest.mark.parametrize("mixture", ["K-K-K", "K-O-K", "O-K-O", "O-K-K", "K-U-K", "U-K-U"])
def test_echo_and_ping_pong_with_registrar_servers_and_users(start, mixture):
    registrar, server, user = mixture.split("-")
    host = HOSTS[registrar]
    # In the guest, programs end a little after the test: ports and pools are this mixture's own.
    asap = next(PORTS)
    places = (f"-asap={host}:{asap}", f"-enrp={host}:{asap + 1}")
    home = start(registrar, "rspregistrar", *places, "-loglevel=4")
    home.expect(r"Server ID:", 30)
    at = f"-registrar={host}:{asap}"
    echo_pool, pong_pool = f"-poolhandle=Echo-{mixture}", f"-poolhandle=PingPong-{mixture}"
    echo = start(server, "rspserver", "-echo", at, echo_pool)
    pong = start(server, "rspserver", "-pingpong", at, pong_pool, "-pppfailureafter=4")
    echoes, pongs = echo.expect(IDENTIFIER, 30)[1], pong.expect(IDENTIFIER, 30)[1]
    terminal = start(user, "rspterminal", at, echo_pool, say=SAY)
    ping = start(user, "pingpongclient", at, pong_pool, "-interval=100")
    for i in 1, 2, 3:
        terminal.expect(rf"from PE \${echoes}> Hello {i}", 30)
    ping.expect(r"Ack #\d+ from PE", 30, count=10)
    acks = ping.matches(r"Ack #(\d+) from PE \$([0-9a-f]{8}) \(reply #(\d+)\)")[:10]
    assert {m[2] for m in acks} == {pongs}
    assert [int(m[3]) for m in acks] == list(range(1, 11)), ping.output
    ping.expect(r"FAILOVER_COMPLETE, cookie=yes", 30)
    echo.expect(r"Echo 8 bytes on session", count=3)
    for kind, program in (registrar, home), (server, echo), (user, ping):
        if kind in WORDS:
            program.expect(rf"Transport\s*[=:]\s+{WORDS[kind]}")
