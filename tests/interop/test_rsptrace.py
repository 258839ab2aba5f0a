"""rsptrace judged by tshark; on what our programs write while they run; the lab with every command in it."""

import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from rserpool_apps import pages
from rserpool_apps.start import PROGRAMS

from pysctplib.trace.pcapng import Writer
from pysctplib.wire import chunks, packet
from tests import pcaps

from .helpers import ROOT, free_udp_ports, wait_until
from .pcap_checks import tshark
from .programs import ours, running
from .test_walkthrough import QUICK

GOLDEN = ROOT / "tests" / "golden"
LAB = ROOT / "docs" / "labs" / "failover-and-takeover.md"


def numbered(text, first=1, before=""):
    """Names by their numbers."""
    return {number: f"{before}{name}" for number, name in enumerate(text.split(), first)}


ASAP = """REGISTRATION DEREGISTRATION REGISTRATION_RESPONSE DEREGISTRATION_RESPONSE HANDLE_RESOLUTION
HANDLE_RESOLUTION_RESPONSE ENDPOINT_KEEP_ALIVE ENDPOINT_KEEP_ALIVE_ACK ENDPOINT_UNREACHABLE SERVER_ANNOUNCE COOKIE
COOKIE_ECHO BUSINESS_CARD ERROR"""
ENRP = """PRESENCE HANDLE_TABLE_REQUEST HANDLE_TABLE_RESPONSE HANDLE_UPDATE LIST_REQUEST LIST_RESPONSE
INIT_TAKEOVER INIT_TAKEOVER_ACK TAKEOVER_SERVER ERROR"""
FIELDS = {  # tshark's field -> (our protocol, our names by number)
    "asap.message_type": ("ASAP", numbered(ASAP, before="ASAP_")),
    "enrp.message_type": ("ENRP", numbered(ENRP, before="ENRP_")),
    "pingpongprotocol.message_type": ("PingPong", numbered("Ping Pong")),
    "calcappprotocol.message_type": (
        "CalcApp", numbered("Request Accept Reject Abort Complete KeepAlive KeepAliveAck")),
    "ssp.message_type": (
        "Scripting", numbered("NotReady Ready Upload Download KeepAlive KeepAliveAck Status Environment", 0)),
    "componentstatusprotocol.message_type": ("CSP", {1: "CSP_REPORT"}),
    "sctp.chunk_type": ("SCTP", {1: "INIT", 2: "INIT ACK", 3: "SACK", 4: "HEARTBEAT", 5: "HEARTBEAT ACK",
                                 6: "ABORT", 7: "SHUTDOWN", 8: "SHUTDOWN ACK", 9: "ERROR", 10: "COOKIE ECHO",
                                 11: "COOKIE ACK", 14: "SHUTDOWN COMPLETE"}),
}  # fmt: skip
JUDGED = ("04b-takeover-complete", "06-pingpong-failover", "09-scripting", "10-csp", "12-udp-encap")


def events(*words):
    """What rsptrace tells of, as JSON objects."""
    command = ours("rsptrace", *map(str, words), "-json")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.tshark
@pytest.mark.parametrize("name", JUDGED)
def test_the_same_messages_as_tshark_counts(name):
    path = GOLDEN / f"{name}.pcap"
    columns = [word for field in FIELDS for word in ("-e", field)]
    theirs = Counter()
    udp = (10001, 10002, 11111, 12345, 23456)
    for line in tshark(path, "-Y", "not icmp", "-T", "fields", *columns, udp_ports=udp).splitlines():
        for (protocol, names), cell in zip(FIELDS.values(), line.split("\t")):
            numbers = [int(number, 0) for number in cell.split(",") if number]
            theirs.update((protocol, names[number]) for number in numbers if number in names)
    known = {protocol for protocol, _ in FIELDS.values()}
    found = Counter((e["protocol"], e["message"]) for e in events(path, "-only=all") if e["protocol"] in known)
    assert found == theirs and sum(found.values()) > 40


@pytest.mark.tshark
def test_the_same_retransmissions_as_tshark_finds(tmp_path):
    """DATA that is lost, or only its SACK, is sent again; tshark names the TSNs, too."""
    rng = random.Random(11)
    capture, times = tmp_path / "loss.pcapng", itertools.count()
    writer = Writer(capture)
    one, other = ("10.0.0.1", 9899), ("10.0.0.2", 9899)

    def send(forth, *parts, tag=None):
        ends, ports = ((one, other), (7, 8)) if forth else ((other, one), (8, 7))
        tag = (2 if forth else 1) if tag is None else tag
        writer.add(next(times) / 100, *ends, packet.pack(*ports, tag, [chunks.encode(c) for c in parts]))

    send(True, chunks.Init(1, 9000, 1, 1, 1000), tag=0)
    send(False, chunks.Init(2, 9000, 1, 1, 2000, [(7, b"cookie12")], ack=True))
    send(True, chunks.CookieEcho(b"cookie12"))
    send(False, chunks.Bare(chunks.COOKIE_ACK))
    expected = []
    for tsn in range(1000, 1100):
        send(True, chunks.Data(3, tsn, 0, tsn - 1000, 0, b"x" * 20))
        while rng.random() < 0.3:
            send(True, chunks.Data(3, tsn, 0, tsn - 1000, 0, b"x" * 20))
            expected.append(tsn)
        send(False, chunks.Sack(tsn, 9000))
    writer.close()
    output = tshark(capture, "-Y", "sctp.retransmission", "-T", "fields", "-e", "sctp.data_tsn_raw")
    ours_again = [e for e in events(capture, "-only=loss") if e["message"] == "DATA again"]
    assert len(expected) > 20
    assert [int(line) for line in output.split()] == expected
    assert [int(e["fields"]["TSN"]) for e in ours_again] == expected


class Place:
    """Programs with UDP ports of their own, each writing its packets."""

    def __init__(self, directory, stack):
        self.directory, self._stack = directory, stack
        self.udp = free_udp_ports(1)[0]

    def start(self, program, *options, name=None, **more):
        trace = f"-pcap={self.directory / (name or program)}.pcapng"
        common = ("-transport=userland", trace) if program != "scriptingserviceexample" else (trace,)
        return self._stack.enter_context(running(ours(program, *common, *options), **more))

    def registrar(self):
        made = self.start("rspregistrar", f"-udp-port={self.udp}", "-asap=127.0.0.1:3863", "-enrp=127.0.0.1:9901",
                          "-asapannounce=off", *QUICK)  # fmt: skip
        made.expect(r"Server ID:")
        return made

    def other(self, program, *options, **more):
        where = ("-udp-port=0", "-asapannounce=off", f"-registrar=127.0.0.1:3863/{self.udp}")
        return self.start(program, *where, *options, **more)


def ppids(path):
    """The PPIDs in a capture, read by the tests' own reader."""
    ports = tuple({port for p in pcaps.packets(path) for port in (p.sport, p.dport)})
    return {message.ppid for message in pcaps.user_messages(path, udp_ports=ports)}


def test_every_program_that_speaks_sctp_writes_its_packets(tmp_path):
    def written(name):
        path = tmp_path / f"{name}.pcapng"
        return ppids(path) if path.exists() else set()

    services = {"echo": {0}, "pingpong": {33}, "calcapp": {34}, "fractal": {32}, "scripting": {35}}
    work = tmp_path / "work"
    work.mkdir()
    with ExitStack() as stack:
        place = Place(tmp_path, stack)
        place.registrar()
        statistics = [f"-cap{kind}={work}/pe.{kind}" for kind in ("vector", "scalar")]
        servers = [place.other("rspserver", f"-{name}", *(statistics if name == "calcapp" else ()), name=name)
                   for name in services]  # fmt: skip
        for server in servers:
            server.expect(r"Identifier\s+=", 30)
        terminal = place.other("rspterminal", stdin=subprocess.PIPE)
        terminal.popen.stdin.write("hello\n")
        terminal.popen.stdin.close()
        users = [
            terminal,
            place.other("pingpongclient", "-count=2", "-interval=50"),
            place.other("calcappclient", "-runtime=2", "-jobinterval=0.1", "-jobsize=50000",
                        f"-vector={work}/pu.vec", f"-scalar={work}/pu.sca"),
            place.other("fractalpooluser", "-plain", "-images=1", "-width=64", "-height=64", f"-png={work}/x.png"),
            place.other("scriptingclient", "-retrydelay=100", f"-input={package(work)}", f"-output={work}/out"),
        ]  # fmt: skip
        for user in users:
            assert user.popen.wait(40) == 0, user.output
        tools = [
            place.start("hsdump", f"127.0.0.1:9901/{place.udp}", "-udp-port=0"),
            place.other("hrestest", "-poolhandle=EchoPool", "-maxruns=1"),
            place.other("attacker", "-type=handleresolution", "-count=1"),
        ]
        registrator = place.other("testregistrator", "-poolelements=2")
        wait_until(lambda: 11 in written("testregistrator"), 20)
        assert registrator.end() == 0
        for tool in tools:
            assert tool.popen.wait(20) == 0, tool.output
        for server in servers:
            assert server.end() == 0
    expected = {"rspregistrar": {11, 12}, "hsdump": {12}, **{name: {11} | own for name, own in services.items()},
                "hrestest": {11}, "attacker": {11}, "testregistrator": {11}, "rspterminal": {0, 11},
                "pingpongclient": {11, 33}, "calcappclient": {11, 34},
                "fractalpooluser": {11, 32}, "scriptingclient": {11, 35}}  # fmt: skip
    assert {path.stem for path in tmp_path.glob("*.pcapng")} == set(expected)
    assert {name: written(name) for name in expected} == expected
    with_option = {p.name for p in pages.programs() if any(o.name == "pcap" for o in p.options())}
    # What rspdemo's programs write is looked at in test_walkthrough.
    assert with_option - {"rspdemo"} == set(expected) - set(services) | {"rspserver"}
    # All of them together: who is who, and no packet twice.
    told = events(tmp_path, "-only=asap,enrp,service")
    assert Counter(e["message"] for e in told)["ASAP_REGISTRATION"] >= 5
    assert Counter(e["message"] for e in told if e["protocol"] == "PingPong") == {"Ping": 2, "Pong": 2}
    senders = {re.split(r" at | \$", e["sender"])[0] for e in told}
    assert senders == {"registrar", "pool element", "pool user"}
    # Sessions are joined with the questions of their users: there are no pool users but these.
    assert len({e["from"] for e in told if e["from"].startswith("PU")}) == len([*users, "hrestest", "attacker"])


def package(directory):
    """A work package for the scripting service."""
    import tarfile

    script = directory / "ssrun"
    script.write_text('#!/bin/sh\necho done > result\ntar cf "$1" result\n')
    script.chmod(0o755)
    with tarfile.open(directory / "work.tar", "w") as archive:
        archive.add(script, "ssrun")
    return directory / "work.tar"


def test_following_a_running_program(tmp_path):
    with ExitStack() as stack:
        place = Place(tmp_path, stack)
        place.registrar()
        server = place.other("rspserver", "-pingpong")
        server.expect(r"Identifier\s+=")
        place.other("pingpongclient", "-interval=100")
        wait_until(lambda: (tmp_path / "pingpongclient.pcapng").exists(), 15)
        command = ours("rsptrace", "-follow", f"{tmp_path}/pingpongclient.pcapng", f"{tmp_path}/rspserver.pcapng")
        trace = stack.enter_context(running([*command, "-svg", f"{tmp_path}/live.svg"]))
        plain = stack.enter_context(running([*command, "-only=pingpong,asap"]))
        plain.expect(r"PingPong Pong: answers message \d+", 15, count=10)
        plain.expect(r"PE1  pool element \$[0-9a-f]{8} of \"PingPongPool\"")
        began = time.monotonic()
        assert plain.end(signal.SIGTERM, 2.0) == 0 and trace.end(signal.SIGINT, 2.0) == 0
        assert time.monotonic() - began < 4
        assert "Traceback" not in plain.output + trace.output
    assert (tmp_path / "live.svg").read_text().endswith("</svg>\n")


def test_standard_input_as_tcpdump_writes_it():
    """Drawn as it comes, ended by its end."""
    data = (GOLDEN / "06-pingpong-failover.pcap").read_bytes()
    command = ours("rsptrace", "-follow", "-", "-plain", "-only=asap", "-hide=monitoring")
    with running(command, stdin=subprocess.PIPE) as trace:
        pipe = trace.popen.stdin.buffer
        pipe.write(data[:30000])
        pipe.flush()
        trace.expect("ASAP_HANDLE_RESOLUTION_RESPONSE: take PE")
        assert not trace.matches("ASAP_DEREGISTRATION")
        pipe.write(data[30000:])
        pipe.close()
        assert trace.popen.wait(10) == 0
        trace.expect("ASAP_DEREGISTRATION_RESPONSE")
    with running(command[:-3], stdin=subprocess.PIPE) as trace:
        trace.popen.stdin.buffer.write(data[:30000])
        trace.popen.stdin.flush()
        trace.expect("ASAP_HANDLE_RESOLUTION_RESPONSE:")
        assert trace.end(signal.SIGINT, 2.0) == 0


@pytest.mark.skipif(os.geteuid() != 0 or not hasattr(socket, "AF_PACKET"), reason="needs root and Linux")
def test_listening_on_loopback():
    with running(ours("rsptrace", "-interface=lo", "-plain", "-only=data")) as trace:
        port = free_udp_ports(1)[0]
        done = threading.Event()

        def talk():
            source = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with source:
                for tsn in itertools.count():
                    text = b"hello %d" % tsn
                    data = packet.pack(1, 2, 3, [chunks.encode(chunks.Data(3, tsn, 0, 0, 77, text))])
                    source.sendto(data, ("127.0.0.1", port))
                    if done.wait(0.05):
                        return

        talker = threading.Thread(target=talk)
        talker.start()
        try:
            trace.expect(r"Data: \d+ bytes: hello \d+", 15, count=5)
        finally:
            done.set()
            talker.join()
        seen = [int(m[1]) for m in trace.matches(r"hello (\d+)")]
        assert seen == list(range(seen[0], seen[0] + len(seen))), "each packet once"
        assert trace.end(signal.SIGINT, 2.0) == 0


STEP = re.compile(r"^```sh\n(.*?)^```$|until `(\S+)` has `([^`]+)`", re.DOTALL | re.MULTILINE)


def commands(directory: Path):
    """A folder with all programs under their names."""
    directory.mkdir()
    for name in PROGRAMS:
        path = directory / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rserpool_apps {name} "$@"\n')
        path.chmod(0o755)
    return directory


@pytest.mark.skipif(shutil.which("bash") is None, reason="the lab's commands are those of bash")
def test_the_lab(tmp_path):
    """All that the lab says is typed in, and what it says to wait for is waited for."""
    ports = {"23863": str(random.randint(20000, 24999)), "29901": str(random.randint(25000, 29999))}
    text = re.sub("|".join(ports), lambda m: ports[m[0]], LAB.read_text())
    path = f"{commands(tmp_path / 'bin')}:{os.environ['PATH']}"
    environment = {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "80"}
    with running(["bash"], stdin=subprocess.PIPE, env=environment) as shell:
        typed = shell.popen.stdin
        typed.write(f"cd {tmp_path}\n")
        for number, step in enumerate(STEP.finditer(text)):
            if step[2]:
                log, wanted = tmp_path / "lab" / step[2], step[3]
                wait_until(lambda: log.exists() and wanted in log.read_text(), 30, f"{step[2]} has {wanted}")
            else:
                typed.write(f"{step[1]}echo step {number} done: $?\n")
                typed.flush()
                shell.expect(rf"step {number} done: 0", 60)
        typed.close()
        assert shell.popen.wait(10) == 0
        output = shell.output
    summary = output[output.rindex("Messages") :]
    assert re.search(r"^Failovers: 1\n .*PU1: \$11111111 to \$22222222, \d\.\d+ s after", summary, re.MULTILINE)
    assert re.search(r"^Takeovers: 1\n .*\$bbbbbbbb from \$aaaaaaaa: 1 element", summary, re.MULTILINE)
    assert "* failover from pool element $11111111" in summary
    assert "RFC 5352 section 2.2.7" in summary
    assert "takeover" in (tmp_path / "lab" / "lab.svg").read_text()
