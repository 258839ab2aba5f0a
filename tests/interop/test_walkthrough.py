"""The walk-through with our programs as real processes on loopback, in each way to share or not share UDP ports.

Registrar, two servers, user, and the hub where there is one; each of them is killed (SIGKILL) once, and the others
go on.
"""

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from rserpool_apps import scenario

from pysctplib.host.client import PortSpace

from .helpers import ROOT, free_udp_ports
from .programs import ours, running

IDENTIFIER = r"Identifier\s+= \$([0-9a-f]{8})"
ACK = r"Ack #(\d+) from PE \$([0-9a-f]{8}) \(reply #(\d+)\)"
QUICK = ("-mentordiscoverytimeout=200", "-serverannouncecycle=200", "-enrpannounce=off",
         "-endpointkeepalivetransmissioninterval=500", "-endpointkeepalivetimeoutinterval=500")  # fmt: skip


class Town:
    """How the programs of one walk-through find each other."""

    def __init__(self, way):
        self.way = way
        announce = f"-asapannounce=239.0.0.50:{random.randint(20000, 29999)}"
        if way == "private":
            self.udp, self.port = free_udp_ports(1)[0], 3863
            self.registrar = (f"-udp-port={self.udp}", "-asap=127.0.0.1:3863", "-asapannounce=off")
            self.others = ("-udp-port=0", "-asapannounce=off", f"-registrar=127.0.0.1:3863/{self.udp}")
        else:
            self.udp, self.port = 9899, random.randint(10000, 19999)
            self.registrar = (f"-hub={way}", announce, "-asap=auto")
            self.others = (f"-hub={way}", announce)

    def start(self, program, *options):
        mine = self.registrar if program == "rspregistrar" else self.others
        return running(ours(program, "-transport=userland", "-loglevel=4", *mine, *options))

    @contextmanager
    def registrar_running(self):
        with self.start("rspregistrar", *QUICK) as registrar:
            registrar.expect(r"Server ID:")
            yield registrar

    @contextmanager
    def server(self, *options):
        with self.start("rspserver", *options) as server:
            server.identifier = server.expect(IDENTIFIER)[1]
            yield server


@pytest.fixture(params=["auto", "forward", "private"])
def town(request):
    return Town(request.param)


def replies(client):
    return [int(m[3]) for m in client.matches(ACK)]


def in_use(client):
    return client.matches(ACK)[-1][2]


def udp_ports_in_use():
    """The local UDP ports of this host's sockets."""
    found = set()
    for name in ("/proc/net/udp", "/proc/net/udp6"):
        with open(name, encoding="ascii") as table:
            next(table)
            found |= {int(line.split()[1].rpartition(":")[2], 16) for line in table}
    return found


def kill_the_hub(way):
    """Kill the hub of UDP port 9899; return once another one has taken over the processes of the one before."""
    with contextlib.closing(PortSpace(9899, way)) as space:
        os.kill(space.hub_pid, signal.SIGKILL)
        fallen = space.hub_pid
    with contextlib.closing(PortSpace(9899, way)) as space:
        assert space.hub_pid != fallen


def is_free(way, port):
    """Whether an SCTP port at UDP port 9899 can be had."""
    with contextlib.closing(PortSpace(9899, way)) as space:
        try:
            return space.claim(port) == port
        except OSError:
            return False


def test_the_walk_through_with_every_program_killed_once(town):
    with (
        town.registrar_running() as registrar,
        town.server("-pingpong") as one,
        town.server("-pingpong") as two,
        town.start("pingpongclient", "-interval=50", "-replytimeout=1000") as client,
    ):
        client.expect(ACK, count=5)
        assert town.udp in udp_ports_in_use()

        # The server in use: the session goes on at the other one, without a gap in its counter.
        first = in_use(client)
        victim, other = (one, two) if one.identifier == first else (two, one)
        victim.send_signal(signal.SIGKILL)
        client.expect(rf"Ack #\d+ from PE \${other.identifier}", 15, count=5)
        assert replies(client) == list(range(1, len(replies(client)) + 1))
        registrar.expect(rf"Removed PingPongPool/\${victim.identifier}", 15)

        # The hub: nobody notices.
        if town.way != "private":
            kill_the_hub(town.way)
            have = len(replies(client))
            client.expect(ACK, 15, count=have + 20)
            assert replies(client) == list(range(1, len(replies(client)) + 1))

        # The registrar: the session does not need it.
        registrar.send_signal(signal.SIGKILL)
        registrar.popen.wait(10)
        if town.way != "private":
            assert is_free(town.way, town.port)
        have = len(replies(client))
        client.expect(ACK, 10, count=have + 20)

        # A new registrar is found by the server, and another user by that.
        with town.registrar_running() as second:
            second.expect(rf"Registered PingPongPool/\${other.identifier}", 45)
            with town.start("pingpongclient", "-interval=50", "-count=5") as another:
                assert another.popen.wait(20) == 0, another.output

            # The user: the server serves the next one.
            client.send_signal(signal.SIGKILL)
            with town.start("pingpongclient", "-interval=50", "-count=5") as third:
                assert third.popen.wait(20) == 0, third.output
            assert other.end() == 0
            second.expect(rf"Removed PingPongPool/\${other.identifier}: deregistered", 5)
            assert second.end() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_programs_within_two_seconds_and_deregister(number):
    town = Town("private")
    with town.registrar_running() as registrar:
        with town.server("-echo") as server:
            with town.start("rspterminal") as terminal:  # its input is at its end, but it waits for the answers
                began = time.monotonic()
                assert server.end(number, 2.0) == 0
                registrar.expect(rf"Removed EchoPool/\${server.identifier}: deregistered", 2)
                assert time.monotonic() - began < 2.5
            assert "Traceback" not in terminal.output
            assert "Traceback" not in server.output
            assert "Terminated!" in server.output
        assert registrar.end(number, 2.0) == 0
        assert "Traceback" not in registrar.output


@pytest.mark.parametrize(
    ("program", "options"),
    [("rspserver", ["-echo"]), ("pingpongclient", []), ("rspterminal", ["-linger=60000"]), ("rspregistrar", [])],
)
def test_programs_end_at_once_also_while_they_look_for_a_registrar(program, options):
    silent = [f"-asapannounce=239.0.0.50:{random.randint(20000, 29999)}", "-udp-port=0", "-transport=userland"]
    with running(ours(program, *silent, *options)) as one:
        one.expect(r"=====")
        assert one.end(signal.SIGINT, 2.0) == 0
        assert "Traceback" not in one.output


def test_without_a_registrar_the_error_says_what_to_do():
    silent = ["-asapannounce=off", "-registrar=127.0.0.1:3863/9", "-udp-port=0", "-transport=userland"]
    quick = ["-registrarconnecttimeout=300", "-registrarrequesttimeout=300"]
    with running(ours("rspserver", "-echo", *silent, *quick)) as server:
        assert server.popen.wait(20) == 1
        server.expect(r"rspserver: no registrar answers at 127.0.0.1:3863")
    with running(ours("rspterminal", *silent, *quick)) as terminal:
        terminal.expect(r"no registrar answers at 127.0.0.1:3863", 20)


def test_services_one_by_one():
    town = Town("private")
    with town.registrar_running():
        with town.server("-daytime"), town.start("rspterminal", "-poolhandle=DaytimePool", "-linger=500") as user:
            user.expect(r"from PE \$[0-9a-f]{8}> \w+day, \d\d-\w+-\d{4} \d\d:\d\d:\d\d\.\d{6}$")
        with town.server("-chargen"), town.start("rspterminal", "-poolhandle=CharGenPool", "-linger=500") as user:
            user.expect(r"from PE \$[0-9a-f]{8}> .*!\"#\$%&'\(\)\*\+,-\./0123456789", count=20)
        with town.server("-discard") as server:
            command = ours("rspterminal", "-transport=userland", "-poolhandle=DiscardPool", *town.others)
            with running(["sh", "-c", f"echo away | {' '.join(command)}"]) as user:
                server.expect(r"Discard 5 bytes on session")
                assert user.popen.wait(15) == 0


def test_a_full_server_sends_users_away():
    town = Town("private")
    with town.registrar_running(), town.server("-pingpong", "-pppmaxthreads=1") as server:
        with town.start("pingpongclient", "-interval=50") as first:
            first.expect(ACK)
            with town.start("pingpongclient", "-interval=50", "-count=3") as second:
                server.expect("Rejected new session, since server is fully loaded")
                first.end()
                assert second.popen.wait(20) == 0, second.output


def test_run_time_and_background(tmp_path):
    town = Town("private")
    with town.registrar_running() as registrar:
        with town.start("rspserver", "-echo", "-runtime=500") as server:
            assert server.popen.wait(10) == 0
            server.expect("Auto-stop reached!")
        pid_file = tmp_path / "pid"
        with town.start("rspserver", "-discard", f"-daemonpidfile={pid_file}", "-runtime=5000") as parent:
            assert parent.popen.wait(10) == 0
            assert int(pid_file.read_text()) > 1
            registrar.expect(r"Registered DiscardPool")
            registrar.expect(r"Removed DiscardPool/.*: deregistered", 10)


def test_a_taken_port_is_an_error_with_advice():
    town = Town("private")
    with town.registrar_running():
        with running(ours("rspregistrar", "-transport=userland", *town.registrar)) as second:
            assert second.popen.wait(15) == 1
            second.expect(r"rspregistrar: .*in use")
            second.expect(r"-udp-port=PORT")


def patient(folder, text):
    """A scenario that has more time than the one that is shown to people, for busy machines; its file."""
    file = folder / "mine.toml"
    file.write_text(re.sub(r"(?m)^limit = \d+$", "limit = 90", text))
    return str(file)


@pytest.mark.parametrize("options", [[], ["-private"], ["-no-multicast"]])
def test_the_demo_draws_an_image_though_a_server_and_a_registrar_are_killed(options, tmp_path):
    image = tmp_path / "image.png"
    mine = patient(tmp_path, scenario.source("fractal"))
    with running(ours("rspdemo", "-plain", mine, f"-png={image}", f"-pcap={tmp_path}/packets", *options)) as demo:
        assert demo.popen.wait(110) == 0, demo.output
        demo.expect("What happened", 1)
        assert demo.matches(r"server \w +killed \(SIGKILL\)")
        assert demo.matches(r"registrar \w +killed \(SIGKILL\)")
        assert demo.matches(r"goes on at server \w after \d+\.\d\d s")
        assert demo.matches(r"The image of 480 x 240 points is complete")
    assert image.read_bytes().startswith(b"\x89PNG")
    trace = subprocess.run(
        ours("rsptrace", f"{tmp_path}/packets", "-summary"), cwd=ROOT, capture_output=True, text=True
    )
    assert "Fractal Data" in trace.stdout and int(re.search(r"Failovers: (\d+)", trace.stdout)[1]) > 0


@pytest.mark.parametrize(
    ("kills", "options"), [(1, ["-private"]), (2, ["-private"]), (1, ["-no-multicast"]), (1, [])]
)
def test_the_demo_shows_a_failover(kills, options, tmp_path):
    text = scenario.source("pingpong")
    first, again, last = text.partition('    { kill = "server in use" },\n')
    twice = first + again + last.partition('    { wait = "answers" },\n')[0] + again + last
    mine = patient(tmp_path, twice if kills == 2 else text)
    with running(ours("rspdemo", "-plain", mine, f"-pcap={tmp_path}/packets", *options)) as demo:
        status = demo.popen.wait(110)
        demo.expect("What happened", 1)
        assert status == 0, demo.output
        assert len(demo.matches(r"server \w +killed \(SIGKILL\) after reply")) == kills
        assert demo.matches(r"goes on at server \w after \d+\.\d\d s, with reply 11")
        assert demo.matches(r"none lost, no reply missing")
    trace = subprocess.run(
        ours("rsptrace", f"{tmp_path}/packets", "-summary"), cwd=ROOT, capture_output=True, text=True
    )
    assert f"\nFailovers: {kills}\n" in trace.stdout, trace.stdout + trace.stderr


def test_the_tutorials_server_works_as_printed(tmp_path):
    text = (ROOT / "docs" / "tutorial" / "first-pool.md").read_text()
    program = tmp_path / "upper.py"
    program.write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1])
    announce = f"-asapannounce=239.0.0.50:{random.randint(20000, 29999)}"
    changed = program.read_text().replace("Library()", "Library(SETTINGS)")
    group = ("239.0.0.50", int(announce.rpartition(":")[2]))
    settings = f"SETTINGS = Settings(announce={group}, transport='userland')"
    program.write_text(f"from rserpool.settings import Settings\n{settings}\n{changed}")
    with running(ours("rspregistrar", "-transport=userland", announce, *QUICK)) as registrar:
        registrar.expect("Server ID:")
        with running([sys.executable, str(program)]) as server:
            server.expect(r"registered as \$[0-9a-f]{8}")
            line = " ".join(ours("rspterminal", "-transport=userland", announce, "-poolhandle=UpperPool"))
            with running(["sh", "-c", f"echo hello | {line}"]) as terminal:
                terminal.expect(r"from PE \$[0-9a-f]{8}> HELLO")
