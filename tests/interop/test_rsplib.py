"""Our programs and RSPLIB's, each with the other's registrar, servers and users, over SCTP over UDP on a wire.

The originals run in the lab's guest on its kernel's SCTP, ours beside it in userland.
"""

import re
import shlex
from contextlib import contextmanager

import pytest

from .helpers import wait_until, wire_to_guest
from .programs import ours, running

pytestmark = pytest.mark.lab

# A network namespace has UDP port 9899 free: one program of ours that is connected to takes it without a hub.
SERVING = ("-transport=userland", "-udp-port=9899")
CALLING = ("-transport=userland", "-udp-port=0")
OURS = "-registrar=198.51.100.1:3863"
THEIRS = "-registrar=198.51.100.2:3863"
IDENTIFIER = r"Identifier\s+= \$([0-9a-f]{8})"
SAY = "sleep 1; for i in 1 2 3; do echo Hello $i; sleep 0.2; done"


@pytest.fixture(scope="module")
def wire():
    with wire_to_guest(SCTP_UDP_PORT="9899", SCTP_ENCAP_PORT="9899") as there:
        yield there


@pytest.fixture
def here(wire):
    """Run one of our programs beside the guest, perhaps with input from a shell command."""

    @contextmanager
    def run(program, *options, say=None):
        command = ours(program, *options)
        if say is not None:
            command = ["sh", "-c", f"({say}) | {shlex.join(command)}"]
        # The wire reaches nobody but the guest, so announces may leave by it.
        with running(wire.here(command), env={"RSERPOOL_INTERFACES": ""}) as one:
            yield one

    return run


@pytest.fixture
def there(wire):
    """Run one of RSPLIB's programs in the guest, perhaps with input, perhaps ended after some seconds."""

    @contextmanager
    def run(*command, say=None, seconds=None):
        line = shlex.join(["stdbuf", "-oL", *command])
        if seconds is not None:
            line = f"timeout -s INT {seconds} {line}"
        if say is not None:
            line = f"({say}) | {line}"
        with running(wire.there(["sh", "-c", line])) as one:
            yield one

    return run


@pytest.fixture
def our_registrar(here):
    places = ("-asap=198.51.100.1:3863", "-enrp=198.51.100.1:9901")
    with here("rspregistrar", *SERVING, *places, "-mentordiscoverytimeout=500", "-loglevel=4") as registrar:
        registrar.expect(r"Server ID:")
        yield registrar


@pytest.fixture
def their_registrar(there):
    places = ("-asap=198.51.100.2:3863", "-enrp=198.51.100.2:9901")
    with there("rspregistrar", *places, "-loglevel=4", "-logcolor=off") as registrar:
        registrar.expect(r"Server ID:", 30)
        yield registrar


def test_their_echo_server_registers_here_and_our_terminal_uses_it(our_registrar, there, here):
    with there("rspserver", "-echo", OURS) as server:
        identifier = server.expect(IDENTIFIER, 30)[1]
        our_registrar.expect(rf"Registered EchoPool/\${identifier}")
        with here("rspterminal", *CALLING, OURS, say=SAY) as terminal:
            for i in 1, 2, 3:
                terminal.expect(rf"from PE \${identifier}> Hello {i}", 30)
            assert terminal.popen.wait(20) == 0
        server.expect(r"Echo 8 bytes on session", count=3)


def test_their_ping_pong_servers_register_here_and_fail_over_for_our_client(our_registrar, there, here):
    options = ("-pppfailureafter=3", OURS)
    with there("rspserver", "-pingpong", *options) as one, there("rspserver", "-pingpong", *options) as two:
        identifiers = {one.expect(IDENTIFIER, 30)[1], two.expect(IDENTIFIER, 30)[1]}
        with here("pingpongclient", *CALLING, OURS, "-interval=100", "-count=12") as client:
            assert client.popen.wait(60) == 0, client.output
        client.expect(r"answered")
        acks = client.matches(r"Ack #(\d+) from PE \$([0-9a-f]{8}) \(reply #(\d+)\)")
        assert [int(m[3]) for m in acks] == list(range(1, 13)), client.output
        assert {m[2] for m in acks} == identifiers
        assert len(client.matches(r"FAILOVER_COMPLETE, cookie=yes")) >= 3


def test_our_echo_server_registers_there_and_their_terminal_uses_it(their_registrar, here, there):
    with here("rspserver", "-echo", *SERVING, THEIRS) as server:
        identifier = server.expect(IDENTIFIER, 30)[1]
        with there("rspterminal", THEIRS, say=SAY + "; sleep 2", seconds=15) as terminal:
            for i in 1, 2, 3:
                terminal.expect(rf"from PE \${identifier}> Hello {i}", 30)
        server.expect(r"Echo 8 bytes on session", count=3)
        assert server.end() == 0
    their_registrar.expect("(?i)deregistration", 10)


def test_our_ping_pong_server_registers_there_and_their_client_uses_it(their_registrar, here, there):
    with here("rspserver", "-pingpong", *SERVING, THEIRS, "-pppfailureafter=4") as server:
        identifier = server.expect(IDENTIFIER, 30)[1]
        with there("pingpongclient", THEIRS, "-interval=100", seconds=20) as client:
            client.expect(r"Ack #\d+ from PE", 30, count=12)
            acks = client.matches(r"Ack #(\d+) from PE \$([0-9a-f]{8}) \(reply #(\d+)\)")[:12]
            assert [int(m[3]) for m in acks] == list(range(1, 13)), client.output
            assert {m[2] for m in acks} == {identifier}
            client.expect(r"FAILOVER_COMPLETE, cookie=yes")


def test_their_hsdump_sees_our_handlespace_and_breaks_nothing(our_registrar, there, here):
    with there("hsdump", "198.51.100.1:9901", seconds=30) as dump:
        dump.expect(r"Got 0 pools, 0 PEs", 30)
        assert dump.popen.wait(30) == 0, dump.output
    with there("rspserver", "-echo", OURS) as server:
        identifier = server.expect(IDENTIFIER, 30)[1]
        with there("hsdump", "198.51.100.1:9901", seconds=30) as dump:
            dump.expect(r"now having 1 pools, 1 PEs", 30)
            dump.expect(rf"\${identifier}")
            assert dump.popen.wait(30) == 0, dump.output
        with here("rspterminal", *CALLING, OURS, say=SAY) as terminal:
            terminal.expect(rf"from PE \${identifier}> Hello 3", 30)


def totals(text):
    """The numbers of a scalar file by name."""
    return dict(re.findall(r'" "CalcAppPU (.*?)" +(\d+)$', text, re.MULTILINE))


COOKIE = bytes.fromhex("0000000b 0b00001c")  # PPID and ASAP's header, for one of CalcApp
ALIVE = "-keepalivetransmissioninterval=200"
SMALL = ("-jobinterval=0.5", "-jobsize=300000", ALIVE)
HUGE = ("-jobinterval=1", "-jobsize=10000000000", ALIVE)  # hours, so that it is interrupted in any case
SERVE_JOBS = ("-calcapp", "-capkeepalivetransmissioninterval=200", "-capcookiemaxtime=0.2")


def test_their_calcapp_servers_work_for_our_client(our_registrar, there, here, tmp_path):
    theirs = ("rspserver", *SERVE_JOBS, OURS, "-capvector=/tmp/pe.vec", "-capscalar=/tmp/pe.sca")
    mine = (f"-vector={tmp_path}/pu.vec", f"-scalar={tmp_path}/pu.sca")
    with there(*theirs) as one, there(*theirs) as two:
        for server in one, two:
            server.expect(IDENTIFIER, 30)
        with here("calcappclient", *CALLING, OURS, *SMALL, *mine) as client:
            client.expect(r"Job #\d+ completed:", 30, count=3)
            assert client.end() == 0
        found = totals((tmp_path / "pu.sca").read_text())
        done = len(client.matches(r"Job #\d+ completed:"))
        assert int(found["Total CalcAppCompletes"]) == int(found["Total Jobs Completed"]) == done
        assert len((tmp_path / "pu.vec").read_text().splitlines()) == done + 1
        packets = tmp_path / "pu.pcap"
        with here("calcappclient", *CALLING, OURS, *HUGE, *mine, f"-pcap={packets}") as client:
            size = re.escape(client.expect(r"Request for job #1 \(job size (.*)\)", 20)[1])
            accepted = rf"Job .* of size {size}.* accepted"
            # Theirs sends none when it ends; the first comes after more than a second.
            wait_until(lambda: packets.exists() and COOKIE in packets.read_bytes(), 20, "a cookie")
            busy, other = (one, two) if one.matches(accepted) else (two, one)
            busy.end(seconds=10)
            client.expect(r"FAILOVER_COMPLETE.*cookie=yes", 20)
            # Regression: it looks at a cookie only when something comes behind it.
            other.expect(accepted + " from cookie echo", 10)
            client.expect(r"Job #1 accepted", 10, count=2)
            assert client.end() == 0
    found = totals((tmp_path / "pu.sca").read_text())
    # The second server was asked by the cookie, not by another request.
    assert (found["Total CalcAppRequests"], found["Total CalcAppAccepts"]) == ("1", "2")
    assert int(found["Total CalcAppKeepAlives"]) > 0 < int(found["Total CalcAppKeepAliveAcks"])


def test_our_calcapp_servers_work_for_their_client(their_registrar, here, there, tmp_path):
    mine = ("rspserver", *SERVE_JOBS, *SERVING, THEIRS, f"-capvector={tmp_path}/v", f"-capscalar={tmp_path}/s")
    theirs = ("calcappclient", THEIRS, "-vector=/tmp/pu.vec", "-scalar=/tmp/pu.sca")
    with here(*mine) as one:
        one.expect(IDENTIFIER, 30)
        with there(*theirs, *SMALL, seconds=20) as client:
            client.expect(r"Job #\d+ completed:", 30, count=3)
        one.expect(r"SESSION_REMOVE", 20)
        with there(*theirs, *HUGE, seconds=80) as client:
            client.expect("Job #1 accepted", 30)
            job = one.matches(r"Job .* of size (\S+) accepted")[-1][1]
            assert one.end() == 0
            assert len((tmp_path / "v").read_text().splitlines()) >= 4
            with here(*mine) as two:
                # The first client may not have gone yet.
                two.expect(rf"Job .* of size {re.escape(job)} accepted", 40)
                client.expect("Job #1 accepted", 10, count=2)
                assert two.end() == 0
            assert len(client.matches("Request for job #1")) == 1
    assert "Total Jobs Accepted" in (tmp_path / "s").read_text()


def test_their_programs_report_to_our_monitor(our_registrar, there, here):
    csp = ("-cspserver=198.51.100.1:2960", "-cspinterval=300")
    with here("cspmonitor", "-json", "-updateinterval=300") as monitor:
        # Without -identifier theirs reports under another identifier than it registers.
        with there("rspserver", "-pingpong", OURS, "-identifier=0x11223344", *csp) as server:
            identifier = server.expect(IDENTIFIER, 30)[1]
            monitor.expect(rf'"id": "\${identifier}", "group": "pool element".*"protocol": "ASAP/SCTP"', 20)
            with there("pingpongclient", OURS, "-interval=200", *csp, seconds=25) as client:
                client.expect(r"Ack #", 30)
                monitor.expect(rf'"group": "pool user".*"to": "\${identifier}".*"protocol": "PingPong/SCTP"', 20)


def test_our_programs_report_to_their_monitor(their_registrar, here, there):
    csp = ("-cspserver=198.51.100.2:2960", "-cspinterval=300")
    with there("cspmonitor", "-full", "-updateinterval=300") as monitor:
        with here("rspserver", "-echo", *SERVING, THEIRS, *csp) as server:
            identifier = server.expect(IDENTIFIER, 30)[1]
            monitor.expect(rf"PE \${identifier} \[.*198\.51\.100\.1:\d+.*A=1 .*0 Sessions", 20)
            monitor.expect(r"-> PR \$[0-9a-f]{8} ASAP/SCTP", 20)
            assert server.end() == 0
        monitor.expect(r"0 PEs", 10)


def test_our_hsdump_shows_their_handlespace(their_registrar, there, here):
    with there("rspserver", "-echo", THEIRS, "-policy=WeightedRandom:5") as server:
        identifier = server.expect(IDENTIFIER, 30)[1]
        with here("hsdump", *CALLING, "198.51.100.2:9901") as dump:
            assert dump.popen.wait(30) == 0, dump.output
            dump.expect(r"now having 1 pools, 1 PEs", 1)
            dump.expect(rf"idx:#0001: \${identifier}", 1)
            dump.expect(r'Pool "EchoPool", Policy "WeightedRandom", Protocol SCTP, CtrlCh=yes', 1)
        server.end()  # ends it there, too


def test_programs_find_each_others_registrars_by_multicast(our_registrar, there):
    with there("rspserver", "-discard") as server:
        server.expect(IDENTIFIER, 40)
    our_registrar.expect(r"Registered DiscardPool")


def test_our_programs_find_their_registrar_by_multicast(their_registrar, here):
    with here("rspserver", "-discard", *SERVING) as server:
        server.expect(IDENTIFIER, 40)
        assert server.end() == 0


def test_our_test_tools_at_their_registrar(their_registrar, here):
    with here("testregistrator", *CALLING, THEIRS, "-poolelements=20", "-pools=2", "-policy=wrand") as registrator:
        registrator.expect(r"^20 pool elements are registered", 30)
        pool = ("-poolhandle=TestPool-0002", "-items=3", "-maxruns=4", "-printresults")
        with here("hrestest", *CALLING, THEIRS, *pool) as resolver:
            assert resolver.popen.wait(30) == 0, resolver.output
        resolver.expect(r"^4 resolutions, 12 items, 0 failures")
        attack = ("-type=handleresolution", "-poolhandle=TestPool-0002", "-reportunreachableprobability=1")
        with here("attacker", *CALLING, THEIRS, *attack, "-count=1") as attacker:
            assert attacker.popen.wait(30) == 1
        assert "is of another host; if it is yours, say so: -remote" in attacker.output
        with here("attacker", *CALLING, THEIRS, *attack, "-interval=0.02", "-count=60", "-remote") as attacker:
            assert attacker.popen.wait(30) == 0, attacker.output
        # Three reports are the end of an element there (its -maxbadpereports), until its registration is renewed.
        attacker.expect("Selected 0 items: unknown pool handle")
        assert registrator.end() == 0
    options = ("-interval=0.05", "-count=5", "-poolhandle=Strange", "-remote")
    with here("attacker", *CALLING, THEIRS, *options) as attacker:
        assert attacker.popen.wait(30) == 0, attacker.output
    assert len(attacker.matches(r"\(Re-\)Registration successful")) == 5
