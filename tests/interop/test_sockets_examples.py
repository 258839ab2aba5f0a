"""The examples on sockets: on each backend, against each other, userland against kernel over UDP in the lab."""

import itertools
import os
import re
import subprocess
import sys

import pytest

from .helpers import ROOT, finish, free_udp_ports, lab_or_skip, process, usrsctp_command, wire_to_guest

EXAMPLES = ROOT / "docs" / "examples" / "sockets"
UDP = 9899
BASES = itertools.count(20_000 + os.getpid() % 300 * 100, 50)
UDP_PORTS = itertools.count(14_000 + os.getpid() % 400 * 20, 2)


def example(name, *words):
    return [sys.executable, str(EXAMPLES / name), *map(str, words)]


def ready(context):
    server = context.__enter__()
    line = server.stdout.readline()
    if line != "ready\n":
        rest = server.stdout.read()
        context.__exit__(None, None, None)
        pytest.fail(line + rest)
    return server


@pytest.fixture
def start(request):
    """Start a server that is ended with the test."""

    def starter(command):
        context = process(command, cwd=ROOT)
        server = ready(context)
        request.addfinalizer(lambda: context.__exit__(None, None, None))
        return server

    return starter


def talk(command, text):
    run = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("servers", ["one_to_one_servers.py", "one_to_many_servers.py"])
def test_combined_servers_and_the_terminal(start, servers):
    udp, base = next(UDP_PORTS), next(BASES)
    start(example(servers, "--transport", "userland", "--udp-port", udp, "--base-port", base))
    client = ["--transport", "userland", "--udp-port", 0, "--remote-udp-port", udp]

    def terminal(offset, wait, text):
        return talk(example("terminal.py", *client, "--wait-for", wait, "127.0.0.1", base + offset), text)

    assert terminal(0, 3, "one\ntwo\nthree\n") == "one\ntwo\nthree\n"
    assert terminal(2, 0, "nobody answers\n") == ""
    assert "20" in terminal(6, 1, "what time is it?\n")
    assert len(terminal(12, 2, "a\nbb\n").splitlines()) == 2


def test_the_terminal_says_what_is_wrong(start):
    udp, base = next(UDP_PORTS), next(BASES)
    start(example("one_to_one_servers.py", "--transport", "userland", "--udp-port", udp, "--base-port", base))
    client = ["--transport", "userland", "--udp-port", 0, "--remote-udp-port", udp]
    command = example("terminal.py", *client, "127.0.0.1", base + 1)
    run = subprocess.run(command, input="", capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1 and "Connection refused" in run.stderr


def test_the_throughput_tool(start):
    udp, port = next(UDP_PORTS), next(BASES)
    server = start(example("throughput.py", "--transport", "userland", "--udp-port", udp, "-p", port, "-1"))
    client = example(
        "throughput.py", "--transport", "userland", "--udp-port", 0, "--remote-udp-port", udp, "-p", port,
        "-n", 2000, "-l", 1000, "127.0.0.1",
    )  # fmt: skip
    assert "sent: 2000 messages of 1000 bytes" in talk(client, "")
    assert "received: 2000 messages of 1000 bytes" in finish(server, 30)


def test_a_program_for_tcp_streams_moved_to_sctp():
    udp = next(UDP_PORTS)
    command = example("streams_echo.py", "--transport", "userland", "--udp-port", udp, "--remote-udp-port", udp)
    assert talk(command, "") == "echoed 3 lines\n"


def patched(program, differences):
    """Apply a diff without line numbers: each line to be removed is in the program once."""
    lines = program.splitlines()
    at = 0
    for mark, text in ((line[0], line[1:]) for line in differences.splitlines()):
        if mark == "+":
            lines.insert(at, text)
            at += 1
        else:
            assert lines.count(text) == 1, text
            at = lines.index(text) + (mark == " ")
            if mark == "-":
                del lines[at]
    return "\n".join(lines) + "\n"


PAGE = (ROOT / "docs" / "how-to" / "from-tcp.md").read_text()
PAIRS = re.findall(
    r"^```python\n(import asyncio\n.*?)^```\n\n```diff\n(.*?)^```\n", PAGE, re.DOTALL | re.MULTILINE
)


@pytest.mark.parametrize(("at", "words"), [(0, "echoed: three"), (1, "300000 bytes,")], ids=["echo", "files"])
def test_the_programs_of_the_how_to_move_by_what_it_prints(at, words, tmp_path):
    assert len(PAIRS) == 2
    over_tcp, differences = PAIRS[at]
    changed = [line for line in differences.splitlines() if line[0] == "-"]
    assert len(changed) == 2, "the import and two lines"
    over_sctp = patched(over_tcp, differences)
    (tmp_path / "data.bin").write_bytes(os.urandom(300_000))
    said = []
    for program in over_tcp, over_sctp:
        run = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, "data.bin"],
            capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False,
            env={**os.environ, "RSERPOOL_TRANSPORT": "userland", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert run.returncode == 0 and not run.stderr, run.stdout + run.stderr
        said.append(run.stdout)
    assert words in said[0] and said[0] == said[1]


def test_a_file_server_moved_to_sctp(start, tmp_path):
    udp, port = next(UDP_PORTS), next(BASES)
    content = os.urandom(700_000)
    (tmp_path / "data.bin").write_bytes(content)
    where = ["--transport", "userland", "--port", port]
    start(example("streams_files.py", *where, "--udp-port", udp, "--directory", tmp_path))
    fetch = example("streams_files.py", *where, "--udp-port", 0, "--remote-udp-port", udp)
    got = subprocess.run([*fetch, "data.bin"], capture_output=True, timeout=60, check=False)
    assert got.returncode == 0 and got.stdout == content, got.stderr
    missing = subprocess.run([*fetch, "../../etc/passwd"], capture_output=True, timeout=60, check=False)
    assert missing.returncode == 1 and missing.stdout == b""


@pytest.fixture(scope="module")
def wire():
    lab_or_skip()
    with wire_to_guest(SCTP_UDP_PORT=str(UDP)) as there:
        there.sysctl(encap_port=UDP)
        yield there


USERLAND = ["--transport", "userland", "--udp-port", UDP]
KERNEL = ["--transport", "kernel"]


@pytest.mark.lab
@pytest.mark.parametrize("servers", ["one_to_one_servers.py", "one_to_many_servers.py"])
def test_a_userland_client_at_the_kernels_servers(wire, start, servers):
    base = next(BASES)
    start(wire.there(example(servers, *KERNEL, "--host", wire.guest, "--base-port", base)))
    client = wire.here(example("terminal.py", *USERLAND, "--wait-for", 2, wire.guest, base))
    assert talk(client, "to the kernel\nand back\n") == "to the kernel\nand back\n"


@pytest.mark.lab
@pytest.mark.parametrize("servers", ["one_to_one_servers.py", "one_to_many_servers.py"])
def test_a_kernel_client_at_userland_servers(wire, start, servers):
    base = next(BASES)
    start(wire.here(example(servers, *USERLAND, "--host", wire.host, "--base-port", base)))
    command = wire.there(
        ["sh", "-c", f"printf 'from the kernel\\n' | {sys.executable} {EXAMPLES}/terminal.py"
         f" --transport kernel --wait-for 1 {wire.host} {base}"]
    )  # fmt: skip
    assert talk(command, "") == "from the kernel\n"


@pytest.mark.lab
@pytest.mark.parametrize("sender", ["userland", "kernel"])
def test_throughput_between_userland_and_kernel(wire, start, sender):
    port = next(BASES)
    serve = ["throughput.py", "-p", port, "-1"]
    send = ["throughput.py", "-p", port, "-n", 1000, "-l", 1400]
    if sender == "userland":
        server = start(wire.there(example(*serve, *KERNEL, "-L", wire.guest)))
        output = talk(wire.here(example(*send, *USERLAND, wire.guest)), "")
    else:
        server = start(wire.here(example(*serve, *USERLAND, "-L", wire.host)))
        output = talk(wire.there(example(*send, *KERNEL, wire.host)), "")
    assert "sent: 1000 messages of 1400 bytes" in output
    assert "received: 1000 messages of 1400 bytes" in finish(server, 60)


@pytest.mark.usrsctp
@pytest.mark.parametrize("servers", ["one_to_one_servers.py", "one_to_many_servers.py"])
def test_a_client_on_libusrsctp_at_our_servers(usrsctp_peer, start, servers):
    udp, base = next(UDP_PORTS), next(BASES)
    (own,) = free_udp_ports(1)
    start(example(servers, "--transport", "userland", "--udp-port", udp, "--base-port", base))
    command = usrsctp_command(usrsctp_peer, "connect ping", own, udp, port=base, size=500, count=100, streams=4)
    assert "echoed 100" in talk(command, "")


@pytest.mark.usrsctp
def test_our_terminal_at_a_server_on_libusrsctp(usrsctp_peer, start):
    (udp,) = free_udp_ports(1)
    start(usrsctp_command(usrsctp_peer, "listen echo", udp, 9))
    client = ["--transport", "userland", "--udp-port", 0, "--remote-udp-port", udp, "--wait-for", 2]
    assert talk(example("terminal.py", *client, "127.0.0.1", 5001), "one\ntwo\n") == "one\ntwo\n"
