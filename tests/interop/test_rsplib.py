"""Our programs and RSPLIB's, each with the other's registrar, servers and users, over SCTP over UDP on a wire.

The originals run in the lab's guest on its kernel's SCTP, ours beside it in userland.
"""

import shlex
from contextlib import contextmanager

import pytest

from .helpers import wire_to_guest
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


def test_their_calcapp_server_works_for_our_client(our_registrar, there, here, tmp_path):
    files = ("-capvector=/tmp/pe.vec", "-capscalar=/tmp/pe.sca")
    with there("rspserver", "-calcapp", OURS, *files) as server:
        server.expect(IDENTIFIER, 30)
        mine = (f"-vector={tmp_path}/pu.vec", f"-scalar={tmp_path}/pu.sca")
        jobs = ("-jobinterval=0.5", "-jobsize=300000", "-runtime=8", "-keepalivetransmissioninterval=200")
        with here("calcappclient", *CALLING, OURS, *jobs, *mine) as client:
            assert client.popen.wait(40) == 0, client.output
        server.expect(r"Job .* is complete!", count=3)
    done = len(client.matches(r"Job #\d+ completed:"))
    assert done >= 3
    assert f'"CalcAppPU Total CalcAppCompletes"     {done}' in (tmp_path / "pu.sca").read_text()
    assert len((tmp_path / "pu.vec").read_text().splitlines()) == done + 1


def test_our_calcapp_server_works_for_their_client(their_registrar, here, there, tmp_path):
    files = (f"-capvector={tmp_path}/pe.vec", f"-capscalar={tmp_path}/pe.sca")
    quick = ("-capkeepalivetransmissioninterval=200", "-capcookiemaxtime=0.2")
    with here("rspserver", "-calcapp", *SERVING, THEIRS, *files, *quick) as server:
        server.expect(IDENTIFIER, 30)
        jobs = ("-jobinterval=1", "-jobsize=300000", "-keepalivetransmissioninterval=200")
        with there(
            "calcappclient", THEIRS, *jobs, "-vector=/tmp/pu.vec", "-scalar=/tmp/pu.sca", seconds=20
        ) as client:
            client.expect(r"Job #\d+ completed:", 30, count=3)
        assert server.end() == 0
    assert len((tmp_path / "pe.vec").read_text().splitlines()) >= 4
    assert "Total Jobs Accepted" in (tmp_path / "pe.sca").read_text()


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
