"""The host's port space with real processes on loopback: shared ports, deaths, replacement, both ways."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pysctplib.carrier.udp import open_sockets
from pysctplib.driver import Stack, StackConfig
from pysctplib.host import hub as hub_module
from pysctplib.host import protocol
from pysctplib.host.client import PortSpace

ROOT = Path(__file__).parents[2]
SECONDS = 15.0
MODES = ["steer", "forward"] if sys.platform.startswith("linux") else ["forward"]


class Talker:
    """One process of `portspace_process`."""

    def __init__(self, *words: object) -> None:
        command = [sys.executable, "-m", "tests.interop.portspace_process", *map(str, words)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        self.pending = b""
        self.hub = 0

    def line(self, seconds: float = SECONDS) -> list[str]:
        """Return the next line's words; the test fails if none comes."""
        end = time.monotonic() + seconds
        while b"\n" not in self.pending:
            ready = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))[0]
            data = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            assert data, f"no line came, only {self.pending!r}"
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\n")
        return line.decode().split()

    def until(self, word: str) -> list[str]:
        while True:
            words = self.line()
            if words[0] == "hub":  # it may come before or after an echo
                self.hub = int(words[1])
            assert words[0] != "lost", f"the association was lost ({words[1]}) before {word!r}"
            if words[0] == word:
                return words

    def next_hub(self, before: int) -> int:
        """Return the hub that came after one."""
        while self.hub in (0, before):
            self.until("hub")
        return self.hub

    def talk(self, text: str) -> None:
        self.process.stdin.write(text.encode() + b"\n")
        assert self.until("echo") == ["echo", text]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.close()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def start():
    with contextlib.ExitStack() as stack:

        def begin(*words: object) -> Talker:
            talker = Talker(*words)
            stack.callback(talker.close)
            return talker

        yield begin


@pytest.fixture
def shared() -> int:
    """A UDP port that is free, for a hub of the test's own."""
    sockets = open_sockets(0)
    port = sockets[0].getsockname()[1]
    for sock in sockets:
        sock.close()
    return port


@pytest.fixture
def join():
    with contextlib.ExitStack() as stack:

        def enter(*arguments: object, **settings: object) -> PortSpace:
            space = PortSpace(*arguments, **settings)
            stack.callback(space.close)
            return space

        yield enter


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"


def wait_for(condition, seconds: float = SECONDS) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        select.select([], [], [], 0.01)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("mode", MODES)
def test_any_process_may_be_killed_and_the_others_go_on(start, shared, mode, host):
    """Four processes: two servers, two clients; then kill -9 of a server, a client, and the hub."""
    servers = [start("serve", shared, mode, port) for port in (2001, 2002)]
    for server in servers:
        assert server.line()[3] == ("steered" if mode == "steer" else "forwarded")
    clients = [start("talk", shared, mode, host, port) for port in (2001, 2002)]
    hub = 0
    for client in clients:
        hub = int(client.line()[2])
        assert client.until("up")
        client.talk("one")
    servers[0].kill()
    clients[1].talk("two")
    again = start("serve", shared, mode, 2001)  # its port is free again
    assert again.line()[:2] == ["ready", "2001"]
    clients[0].kill()
    clients[1].talk("three")
    os.kill(hub, signal.SIGKILL)
    clients[1].talk("four")
    fresh = clients[1].next_hub(hub)
    assert fresh != hub
    assert servers[1].next_hub(hub) == fresh
    for number in range(20):
        clients[1].talk(f"after {number}".replace(" ", "-"))
    newcomer = start("talk", shared, mode, host, 2001)
    assert int(newcomer.line()[2]) == fresh
    assert newcomer.until("up")
    newcomer.talk("hello")
    second = start("serve", shared, mode, 2002)
    assert second.line() == ["error", str(errno.EADDRINUSE)]  # the survivor still has it
    for talker in (*servers, *clients, again, newcomer, second):
        talker.close()
    wait_for(lambda: gone(fresh))  # the hub ends after the last


@pytest.mark.skipif(MODES == ["forward"], reason="no steering here")
def test_regression_whom_a_steering_hub_forwarded_to_could_not_replace_it(start, join, shared):
    """They hold copies of its sockets, and so the port was taken for the hub that they started."""
    steered = join(shared, "steer")
    server = start("serve", shared, "forward", 2001)
    assert server.line()[3] == "forwarded"
    # Only now: to an INIT for a port that nobody has claimed yet, the hub answers with ABORT.
    client = start("talk", shared, "forward", "127.0.0.1", 2001)
    hub = int(client.line()[2])
    assert client.until("up")
    client.talk("one")
    steered.close()
    os.kill(hub, signal.SIGKILL)
    client.talk("two")
    assert client.next_hub(hub) == server.next_hub(hub)
    client.talk("three")


def test_the_hub_at_the_real_port(start):
    """UDP 9899, if nobody else on this host has it."""
    with contextlib.ExitStack() as stack:
        try:
            for sock in open_sockets(9899):
                sock.close()
        except OSError:
            try:
                stack.callback(PortSpace(9899).close)  # a hub of ours is fine, too
            except OSError as error:
                pytest.skip(f"UDP port 9899: {error}")
        server = start("serve", 9899, "auto", 0)
        port = server.line()[1]
        client = start("talk", 9899, "auto", "127.0.0.1", port)
        assert client.until("up")
        client.talk("one")


@pytest.mark.parametrize("mode", MODES)
def test_ports_are_unique_and_come_back(join, shared, mode):
    one, other = join(shared, mode), join(shared, mode)
    assert one.claim(2000) == 2000
    with pytest.raises(OSError) as caught:
        other.claim(2000)
    assert caught.value.errno == errno.EADDRINUSE
    assert other.claim(0) >= 49152
    one.release(2000)
    assert other.claim(2000) == 2000
    other.close()
    wait_for(lambda: claims(one, 2000))
    with pytest.raises(OSError) as caught:
        one.claim(70000)
    assert caught.value.errno == errno.EINVAL


def claims(space: PortSpace, port: int) -> bool:
    try:
        return space.claim(port) == port
    except OSError as error:
        assert error.errno == errno.EADDRINUSE
        return False


@pytest.mark.skipif(os.getuid() != 0, reason="needs to become another user")
def test_another_user_joins_but_gets_no_port_below_1024(join, shared):
    space = join(shared)
    assert space.claim(1000) == 1000  # root may
    code = (
        "import os, sys\n"
        "from pysctplib.host.client import PortSpace\n"
        "os.setuid(65534)\n"
        f"space = PortSpace({shared})\n"
        "print(space.claim(3000))\n"
        "try: space.claim(900)\n"
        "except PermissionError as error: print(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["3000", str(errno.EACCES)], done.stderr


def test_a_udp_port_that_another_program_has(shared):
    blocker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    blocker.bind(("0.0.0.0", shared))
    with blocker, pytest.raises(OSError) as caught:
        PortSpace(shared)
    assert caught.value.errno == errno.EADDRINUSE
    assert "private" in caught.value.strerror


def test_a_stale_socket_file_is_replaced(join, shared, tmp_path, monkeypatch):
    monkeypatch.setenv(protocol.DIRECTORY, str(tmp_path))
    stale = socket.socket(socket.AF_UNIX, protocol.KIND)
    stale.bind(protocol.address(shared))
    stale.close()
    assert os.path.exists(protocol.address(shared))
    space = join(shared)
    assert space.claim(2000) == 2000
    pid = space.hub_pid
    space.close()
    wait_for(lambda: gone(pid))
    assert not os.path.exists(protocol.address(shared))


def test_who_is_not_the_hub_is_found_out(shared):
    """A program that has the name but not the UDP port."""
    listener = hub_module.take_name(shared)
    assert listener is not None
    listener.listen(1)
    code = (
        "from pysctplib.host.client import PortSpace\n"
        f"try: PortSpace({shared})\n"
        "except OSError as error: print(error.errno)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as process:
        control, _ = listener.accept()
        protocol.receive(control)
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        wrong = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        wrong.bind(("127.0.0.1", 0))
        answer = {"steered": True, "forwards": False, "lost": [], "pid": 1}
        protocol.send(control, answer, [there.fileno(), wrong.fileno()])
        assert process.communicate(timeout=30)[0].strip() == str(errno.EACCES).encode()
    for sock in (listener, control, here, there, wrong):
        sock.close()


@pytest.mark.skipif(MODES == ["forward"], reason="no steering here")
def test_a_full_group_forwards_to_the_next_process(join, shared):
    spaces = [join(shared, "auto", group=3) for _ in range(4)]
    assert [space.steered for space in spaces] == [True, True, False, False]
    for number, space in enumerate(spaces):
        space.claim(2000 + number)
    deliver(shared, spaces)


def deliver(shared: int, spaces: list[PortSpace]) -> None:
    """A packet for each space's port, 2000 and following, reaches it, by IPv4 and by IPv6."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            for number, space in enumerate(spaces):
                packet = b"\1\1" + (2000 + number).to_bytes(2, "big") + bytes(12)
                sender.sendto(packet, (host, shared))
                if space.steered:
                    sock = next(s for s in space.sockets if s.family == family)
                    assert select.select([sock], [], [], SECONDS)[0], number
                    assert sock.recv(100) == packet
                else:
                    assert select.select([space.relay], [], [], SECONDS)[0], number
                    data, path = protocol.unwrap(space.relay.recv(1000))
                    assert (data, path[0], path[1]) == (packet, host, sender.getsockname()[1])


@pytest.mark.skipif(MODES == ["forward"], reason="no steering here")
def test_a_process_may_be_forwarded_to_while_others_are_steered_to(join, shared):
    spaces = [join(shared, "steer"), join(shared, "forward"), join(shared, "auto")]
    assert [space.steered for space in spaces] == [True, False, True]
    for number, space in enumerate(spaces):
        space.claim(2000 + number)
    deliver(shared, spaces)


def test_steering_asked_for_where_the_hub_forwards(join, shared):
    join(shared, "forward")
    with pytest.raises(OSError) as caught:
        PortSpace(shared, "steer")
    assert caught.value.errno == errno.EOPNOTSUPP
    with pytest.raises(ValueError):
        PortSpace(shared, "none")


@pytest.mark.skipif(MODES == ["forward"], reason="no steering here")
def test_a_packet_for_anothers_port_reaches_its_owner_by_the_hub(join, shared):
    one, other = join(shared), join(shared)
    other.claim(2000)
    packet = b"\1\1" + (2000).to_bytes(2, "big") + bytes(12)
    one.foreign(packet, ("10.0.0.1", 9899, "10.0.0.2"))
    assert select.select([other.relay], [], [], SECONDS)[0]
    assert protocol.unwrap(other.relay.recv(1000)) == (packet, ("10.0.0.1", 9899, "10.0.0.2"))


@pytest.mark.parametrize("mode", MODES)
def test_out_of_the_blue_is_answered_by_the_hub_alone(join, shared, mode):
    """An INIT for a port that nobody has gets one ABORT with its tag."""
    join(shared, mode), join(shared, mode)
    stack = Stack(StackConfig(udp_port=0))
    endpoint = stack.open_endpoint(0)
    association = endpoint.connect(("127.0.0.1",), 2999, stack.now(), udp_port=shared)
    end = time.monotonic() + SECONDS
    while association.id in stack.engine.associations and time.monotonic() < end:
        stack.flush()
        for fd in select.select(stack.filenos(), [], [], 0.1)[0]:
            stack.readable(fd)
    assert association.id not in stack.engine.associations
    assert stack.engine.counters.in_packets == 1
    stack.close()


def test_many_processes_start_at_once_and_share_one_hub(shared):
    code = (
        "import sys\nfrom pysctplib.host.client import PortSpace\n"
        f"space = PortSpace({shared})\nprint(space.hub_pid, space.claim(0), flush=True)\nsys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, **pipes) for _ in range(6)]
    answers = [process.stdout.readline().split() for process in processes]
    for process in processes:
        process.communicate(timeout=30)
    assert len({hub for hub, _ in answers}) == 1
    assert len({port for _, port in answers}) == 6


def test_nonsense_does_not_harm_the_hub(join, shared):
    space = join(shared)
    for nonsense in (
        b"{",
        b'{"do":"claim"}',
        b'{"do":"nothing"}',
        b'{"do":"claim","port":"x"}',
        b"[]",
        b"[" * 30000,  # once ended the hub
        bytes(100),
    ):
        with socket.socket(socket.AF_UNIX, protocol.KIND) as bad:
            bad.connect(protocol.address(shared))
            bad.send(nonsense)
            bad.settimeout(SECONDS)
            bad.recv(1000)  # an error, or the end
    space.relay.send(b"short")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for size in (0, 1, 3, 11, 12, 100):
            sender.sendto(bytes(size), ("127.0.0.1", shared))
    assert space.claim(2000) == 2000


@pytest.mark.skipif(MODES == ["forward"], reason="no steering here")
def test_indices_are_learned_after_deaths_of_hub_and_processes(join, shared):
    """The hub dies, and one of the processes with it: the group closes its gaps, the survivors are found again."""
    spaces = [join(shared) for _ in range(5)]
    for number, space in enumerate(spaces):
        space.claim(2000 + number)
    pid = spaces[0].hub_pid
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: gone(pid))
    spaces[1].close()
    left = [space for number, space in enumerate(spaces) if number != 1]
    for space in left:
        space.check()
        assert space.retry_at is None
    # The processes read and report marks, as `Stack` does, until the kernel steers by the new indices.
    for number, space in ((n, s) for n, s in enumerate(spaces) if n != 1):
        wait_for(lambda: steered_to(shared, number, space, left))


def steered_to(shared: int, number: int, space: PortSpace, all_spaces: list[PortSpace]) -> bool:
    packet = b"\1\1" + (2000 + number).to_bytes(2, "big") + os.urandom(12)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(packet, ("127.0.0.1", shared))
    select.select([space.sockets[0]], [], [], 0.05)
    reached = False
    for other in all_spaces:
        for sock in other.sockets:
            with contextlib.suppress(BlockingIOError):
                sock.setblocking(False)
                while True:
                    data, source = sock.recvfrom(1000)[:2]
                    if data == packet and other is space:
                        reached = True
                    else:
                        other.foreign(data, (source[0], source[1], ""))
    return reached
