"""The examples on SCTPLIB's API as programs: against each other and against libusrsctp, over UDP on loopback."""

from __future__ import annotations

import re
import signal
import sys
from contextlib import contextmanager

import pytest

from .helpers import ROOT, finish, free_udp_ports, process, usrsctp_command

EXAMPLES = ROOT / "docs" / "examples" / "sctplib"
LOCAL = "127.0.0.1"


def example(name, *options):
    return [sys.executable, str(EXAMPLES / f"{name}.py"), "-s", LOCAL, "--udp-port", "0", *map(str, options)]


@contextmanager
def server(name, *options):
    """Run a server on ports of its own; yields (process, options with which a client finds it, SCTP, UDP port)."""
    with process(example(name, "-p", 0, *options)) as running:
        words = running.stdout.readline().split()
        assert words[:2] == ["ready", "port"], words + running.stdout.read().split()
        sctp, udp = int(words[2]), int(words[5])
        yield running, ("-p", sctp, "--remote-udp-port", udp), sctp, udp


def interrupt(running):
    """End a server by Ctrl-C; it must end well. Returns its output."""
    running.send_signal(signal.SIGINT)
    return finish(running, 20)


def terminal(where, text, answers, tmp_path):
    """Run the terminal with a text as its input and return its output."""
    typed = tmp_path / "typed"
    typed.write_text(text)
    with typed.open() as stdin:
        with process(example("terminal", *where, "-d", LOCAL, "--answers", answers), stdin=stdin) as running:
            return finish(running, 30)


def test_terminal_and_echo_server(tmp_path):
    with server("echo_server") as (running, where, _, _):
        output = terminal(where, "one\ntwo\nthree", 3, tmp_path)
        assert output.endswith("connected: 1 paths, 100 streams in, 100 out\none\ntwo\nthree\n")
        assert running.stdout.readline() == "association 1 ended, 3 messages echoed\n"
        assert interrupt(running) == ""


def test_several_terminals_at_once(tmp_path):
    with server("echo_server") as (running, where, _, _):
        typed = tmp_path / "typed"
        typed.write_text("hello\n" * 50)
        with typed.open() as a, typed.open() as b:
            command = example("terminal", *where, "-d", LOCAL, "--answers", 50)
            with process(command, stdin=a) as first, process(command, stdin=b) as second:
                assert finish(first, 30).count("hello\n") == 50
                assert finish(second, 30).count("hello\n") == 50
        ends = {running.stdout.readline() for _ in range(2)}
        assert ends == {f"association {n} ended, 50 messages echoed\n" for n in (1, 2)}


def test_discard_server(tmp_path):
    with server("discard_server") as (running, where, _, _):
        terminal(where, "x" * 5000 + "\n" + "y\n", 0, tmp_path)
        line = running.stdout.readline()
        assert line == "association 1 ended, 2 messages with 5003 octets discarded\n"
        interrupt(running)


def test_chargen_server(tmp_path):
    with server("chargen_server", "-v") as (running, where, _, _):
        output = terminal(where, "", 500, tmp_path)
        lines = [line for line in output.splitlines() if len(line) == 72]
        assert len(lines) >= 500
        assert lines[0] == "".join(map(chr, range(32, 104)))
        assert lines[1] == "".join(map(chr, range(33, 105)))
        assert lines[95] == lines[0]
        assert running.stdout.readline() == "association 1: path 0 is in state 0\n"
        assert re.match(r"association 1 ended, \d{3,} lines sent\n", running.stdout.readline())
        interrupt(running)


def test_daytime_server(tmp_path):
    with server("daytime_server") as (running, where, _, _):
        output = terminal(where, "", 2, tmp_path)  # the server ends it
        assert re.search(r"^\w+day, \w+ \d\d, 20\d\d \d\d:\d\d:\d\d-", output, re.MULTILINE)
        assert running.stdout.readline() == "association 1 ended\n"
        interrupt(running)


def test_monitor(tmp_path):
    capture = tmp_path / "capture"
    with server("echo_server") as (_, where, _, _):
        with process(example("monitor", *where, "-d", LOCAL, "-i", 20, "-n", 3, "--pcap", capture)) as running:
            output = finish(running, 30)
    assert capture.read_bytes().startswith(bytes.fromhex("0a0d0d0a"))  # pcapng
    reports = re.findall(rf"^\*{LOCAL} reachable srtt \d+ ms rto 1000 ms cwnd \d+ mtu \d+$", output, re.MULTILINE)
    assert len(reports) == 3
    assert "path 0 is reachable\n" in output


def test_terminal_says_when_nobody_is_there(tmp_path):
    with server("echo_server") as (_, where, sctp, udp):
        typed = tmp_path / "typed"
        typed.write_text("")
        nobody = ("-p", sctp % 65535 + 1, "--remote-udp-port", udp)
        with typed.open() as stdin, process(example("terminal", *nobody, "-d", LOCAL), stdin=stdin) as running:
            output, _ = running.communicate(timeout=30)
        assert running.returncode == 1
        assert "communication lost, status 1\n" in output


def test_script_tool_and_its_example(tmp_path):
    with server("echo_server") as (_, where, sctp, udp):
        script = (EXAMPLES / "echo.script").read_text().replace("port=7", f"port={sctp}")
        (tmp_path / "script").write_text(script)
        command = example("script_tool", "--remote-udp-port", udp, tmp_path / "script")
        with process(command) as running:
            output = finish(running, 30)
    assert output.count("met: data stream=5 length=12") == 3
    assert output.endswith("all as expected\n")


def test_script_tool_both_sides(tmp_path):
    """Server side of the script tool: instance, expectations about what a terminal does."""
    commands = (
        "instance",
        "expect up status=1",
        "expect data stream=0 length=6",
        "receive length=5 text=hello",
        "send text=bye",
        "send stream=5000 text=lost",  # there is no such stream
    )
    (tmp_path / "script").write_text("\n".join(commands))
    with process(example("script_tool", tmp_path / "script")) as running:
        words = running.stdout.readline().split()
        where = ("-p", words[2], "--remote-udp-port", words[5])
        typed = tmp_path / "typed"
        typed.write_text("hello\n")
        with typed.open() as stdin:
            command = example("terminal", *where, "-d", LOCAL, "--answers", 1)
            with process(command, stdin=stdin) as other:
                output, _ = running.communicate(timeout=30)
                other.communicate(timeout=30)
    assert running.returncode == 1
    assert output.endswith("line 6: send: code -4\n")


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("jump", "line 1: no command jump"),
        ("send", "line 1: send needs text"),
        ("send text=x colour=red", "line 1: send does not take colour=red"),
        ("expect rain", "line 1: expect what? rain"),
        ("expect data status=1", "line 1: expect data does not take status=1"),
        ("instance\nrepeat n=2\ninstance", "repeat without end"),
        ("end", "line 1: end without repeat"),
        ("pause ms=soon", "line 1: invalid literal for int() with base 10: 'soon'"),
    ],
)
def test_script_tool_checks_before_it_runs(tmp_path, script, error):
    (tmp_path / "script").write_text(script)
    with process(example("script_tool", tmp_path / "script")) as running:
        output, _ = running.communicate(timeout=30)
    assert (running.returncode, output) == (2, error + "\n")


# libusrsctp


@pytest.mark.usrsctp
@pytest.mark.parametrize("size", [1, 1452, 60_000])
def test_usrsctp_client_and_our_echo_server(usrsctp_peer, size):
    (udp,) = free_udp_ports(1)
    with server("echo_server") as (running, _, sctp, ours):
        command = usrsctp_command(
            usrsctp_peer, "connect ping", udp, ours, port=sctp, count=200, size=size, streams=4
        )
        with process(command) as client:
            output = finish(client, 60)
        assert "echoed 200\n" in output
        assert "end shutdown\n" in output
        assert running.stdout.readline() == "association 1 ended, 200 messages echoed\n"
        interrupt(running)


@pytest.mark.usrsctp
def test_usrsctp_client_aborts(usrsctp_peer):
    (udp,) = free_udp_ports(1)
    with server("echo_server") as (running, _, sctp, ours):
        command = usrsctp_command(usrsctp_peer, "connect ping", udp, ours, port=sctp, count=3, abort=1)
        with process(command) as client:
            assert "end own-abort\n" in finish(client, 60)
        assert running.stdout.readline() == "association 1 ended, 3 messages echoed\n"


@pytest.mark.usrsctp
def test_our_terminal_and_usrsctp_echo_server(usrsctp_peer, tmp_path):
    (udp,) = free_udp_ports(1)
    with process(usrsctp_command(usrsctp_peer, "listen echo", udp, 9, port=5001, streams=100)) as running:
        assert running.stdout.readline() == "ready\n"
        output = terminal(("-p", 5001, "--remote-udp-port", udp), "hello\nusrsctp\n", 2, tmp_path)
        assert output.endswith("hello\nusrsctp\n")
        assert "end shutdown\n" in finish(running, 30)


@pytest.mark.usrsctp
def test_our_script_and_usrsctp_echo_server(usrsctp_peer, tmp_path):
    (udp,) = free_udp_ports(1)
    with process(usrsctp_command(usrsctp_peer, "listen echo", udp, 9, port=5001, streams=20)) as peer:
        assert peer.stdout.readline() == "ready\n"
        (tmp_path / "script").write_text(
            "instance\nassociate to=127.0.0.1 port=5001 streams=20\nexpect up status=2 out=20\n"
            "repeat n=100\nsend stream=7 ppid=7 text=hello\nexpect data stream=7 ppid=7 length=5\n"
            "receive stream=7 text=hello\nend\nshutdown\nexpect complete\ndelete\n"
        )
        with process(example("script_tool", "--remote-udp-port", udp, tmp_path / "script")) as running:
            assert finish(running, 60).endswith("all as expected\n")
        assert "echoed 100\nend shutdown\n" in finish(peer, 30)
