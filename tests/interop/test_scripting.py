"""The Scripting service with real processes: packages, servers that die, signatures, limits, the example."""

import asyncio
import io
import os
import random
import shutil
import signal
import subprocess
import tarfile
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from rserpool.services.scripting_client import Client, Files, Settings
from rserpool.session import Library, Session
from rserpool.settings import Settings as LibrarySettings

from .helpers import lacking, wait_until
from .pictures import QUICK, TRANSPORT
from .programs import ours, running


class Town:
    """A registrar; servers and users are added."""

    def __init__(self, stack):
        self._stack = stack
        self.port = random.randint(20000, 29999)
        self.common = (TRANSPORT, f"-asapannounce=239.0.0.50:{self.port}")
        self.start("rspregistrar", *QUICK).expect("Server ID:")

    def start(self, program, *options, **more):
        return self._stack.enter_context(running(ours(program, *self.common, *options), **more))

    def server(self, *options, **more):
        # Servers that are killed leave things behind.
        more.setdefault(
            "env", {"TMPDIR": self._stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))}
        )
        server = self.start("rspserver", "-scripting", *options, **more)
        server.expect(r"Identifier\s+= ")
        return server

    def client(self, folder, package, *options):
        work = folder / "work.tar"
        work.write_bytes(package)
        return self.start(
            "scriptingclient", f"-input={work}", f"-output={folder}/out", "-retrydelay=200", *options
        )


@pytest.fixture
def town():
    with ExitStack() as stack:
        yield Town(stack)


@pytest.fixture
def temporary(tmp_path):
    """The servers' temporary directory, which is empty when they have ended."""
    folder = tmp_path / "servers"
    folder.mkdir()
    return folder


def package(script, mode="w:gz"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:
        member = tarfile.TarInfo("ssrun")
        content = f"#!/bin/sh\n{script}\n".encode()
        member.size, member.mode = len(content), 0o644
        archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


@pytest.mark.parametrize("mode", ["w:", "w:gz", "w:bz2"])
def test_a_package_in_each_form_of_archive(town, tmp_path, temporary, mode):
    server = town.server(env={"TMPDIR": str(temporary)})
    client = town.client(tmp_path, package('echo result > "$1"; pwd >> "$1"', mode), "-runid=R")
    assert client.popen.wait(20) == 0, client.output
    result, where = (tmp_path / "out").read_text().split()
    assert result == "result"
    assert where.startswith(f"{temporary}/rspSS-Session-")
    for words in ("is ready!", "Upload complete.", "is processing ...", "Downloading ...", "Download completed!"):
        assert client.matches(rf"\[R@.*\] .*{words}")
    assert server.end() == 0
    assert list(temporary.iterdir()) == []


def test_fifty_packages_over_four_servers_two_of_which_are_killed(town, tmp_path):
    servers = [town.server("-ssmaxthreads=4") for _ in range(4)]
    results = {}
    done = asyncio.Event()

    async def one(number, library, gate):
        files = Files(tmp_path / f"in-{number}", tmp_path / f"out-{number}")
        files.input.write_bytes(package(f'sleep 0.2; echo result {number} > "$1"'))
        settings = Settings(max_trials=3, retry_delay=0.2, keep_alive_interval=1.0, keep_alive_timeout=1.5)
        async with gate, Session(library, "ScriptingPool") as session:
            status = await Client(files, settings, lambda _: None).run(session)
        results.setdefault(number, []).append((status, files.output.read_text()))
        if len(results) >= 8:
            done.set()

    async def main():
        gate = asyncio.Semaphore(8)
        settings = LibrarySettings(announce=("239.0.0.50", town.port), transport="userland")
        async with Library(settings) as library, asyncio.timeout(120), asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(one(number, library, gate))
            await done.wait()
            for server in servers[:2]:
                server.send_signal(signal.SIGKILL)

    asyncio.run(main())
    assert results == {n: [(0, f"result {n}\n")] for n in range(50)}
    assert sorted(p.name for p in tmp_path.glob("out-*")) == sorted(f"out-{n}" for n in range(50))


def test_an_environment_is_uploaded_once(town, tmp_path):
    server = town.server()
    environment = tmp_path / "environment"
    environment.write_bytes(os.urandom(100_000))
    work = package('cat "$2" > "$1"; echo spoiled > "$2"')
    for words in ("needs environment", "has cached environment"):
        client = town.client(tmp_path, work, f"-environment={environment}")
        assert client.popen.wait(20) == 0, client.output
        client.expect(words, 1)
        assert (tmp_path / "out").read_bytes() == environment.read_bytes()
    assert len(server.matches("Caching environment")) == 1


def test_a_package_that_fails_is_tried_so_often_and_its_output_fetched(town, tmp_path):
    town.server()
    client = town.client(tmp_path, package('echo why > "$1"; exit 3'), "-maxretry=2")
    assert client.popen.wait(30) == 1
    assert len(client.matches("Got exit status 1 from remote side!")) == 2
    assert client.matches("Maximum number of trials reached")
    assert (tmp_path / "out").read_text() == "why\n"


@pytest.mark.parametrize(
    "content", [b"", b"no archive", package("exit 0")[:60], b"x" * 20000], ids=["empty", "none", "short", "long"]
)
def test_what_is_no_package_fails_and_harms_nobody(town, tmp_path, content):
    server = town.server()
    client = town.client(tmp_path, content, "-maxretry=1")
    assert client.popen.wait(30) == 1, client.output
    assert client.matches("Got exit status 1 from remote side!")
    good = town.client(tmp_path, package('echo good > "$1"'))
    assert good.popen.wait(20) == 0, server.output


def alive(mark):
    """Processes that have a word in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if mark.encode() in words:
            found.append(int(path.parent.name))
    return found


def gone(mark, seconds):
    end = time.monotonic() + seconds
    while alive(mark) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(mark)


def naps():
    """A sleep of a length that nobody else sleeps."""
    return f"{random.randint(10**6, 10**7)}.{random.randint(1, 9)}"


def test_a_package_that_never_ends_or_fills_the_disk_is_stopped(town, tmp_path, temporary):
    server = town.server("-ssmaxtime=1", "-ssmaxdisk=4", env={"TMPDIR": str(temporary)})
    nap = naps()
    endless = f"setsid sleep {nap} & while true; do sleep {nap}; done"
    client = town.client(tmp_path, package(endless), "-maxretry=1")
    assert client.popen.wait(30) == 1
    server.expect(r"Stopping the work: it takes more than 1 s")
    assert gone(nap, 5)
    filler = "i=0; while true; do head -c 1000000 /dev/zero > file$i; i=$((i+1)); done"
    client = town.client(tmp_path, package(filler), "-maxretry=1")
    assert client.popen.wait(30) == 1
    server.expect(r"Stopping the work: (its directory has more than 4194304 bytes|it takes)")
    one_file = town.client(tmp_path, package("head -c 100000000 /dev/zero > file; exit 1"), "-maxretry=1")
    assert one_file.popen.wait(30) == 1
    assert list(temporary.glob("rspSS-Session-*")) == []


def test_when_the_user_goes_the_work_ends(town, tmp_path, temporary):
    server = town.server(env={"TMPDIR": str(temporary)})
    nap = naps()
    client = town.client(tmp_path, package(f"sleep {nap}"))
    server.expect("Starting work")
    assert client.end() == 0
    server.expect("SESSION_REMOVE")
    assert gone(nap, 5)
    assert list(temporary.glob("rspSS-Session-*")) == []


def test_when_the_server_ends_its_work_ends_and_another_does_it(town, tmp_path, temporary):
    server = town.server("-sssandbox=off", env={"TMPDIR": str(temporary)})
    nap = naps()
    script = f'if [ -e {tmp_path}/second ]; then echo done > "$1"; else touch {tmp_path}/second; sleep {nap}; fi'
    client = town.client(tmp_path, package(script))
    client.expect("is processing")
    wait_until(lambda: alive(nap), 10)
    assert server.end() == 0
    assert gone(nap, 1)
    assert list(temporary.iterdir()) == []
    town.server("-sssandbox=off")
    assert client.popen.wait(30) == 0, client.output
    assert client.matches("FAILOVER")
    assert (tmp_path / "out").read_text() == "done\n"


def test_when_the_server_is_killed_its_work_ends_too(town, tmp_path, temporary):
    server = town.server(env={"TMPDIR": str(temporary)})
    nap = naps()
    client = town.client(tmp_path, package(f"setsid sleep {nap} & sleep {nap}"))
    client.expect("is processing")
    wait_until(lambda: len(alive(nap)) == 2, 10)
    os.kill(server.popen.pid, signal.SIGKILL)
    assert gone(nap, 5)
    wait_until(lambda: not list(temporary.glob("rspSS-Session-*")), 5)


def test_a_full_server_says_so(town, tmp_path):
    server = town.server("-ssmaxthreads=1")
    server.expect(r"Load Degradation\s+= 100.000%", 1)
    nap = naps()
    first = town.client(tmp_path, package(f"sleep {nap}"))
    first.expect("is processing")
    (tmp_path / "b").mkdir()
    second = town.client(tmp_path / "b", package('echo > "$1"'))
    second.expect(r"is not ready \(reason 1\)")
    first.end()
    assert second.popen.wait(20) == 0, second.output


# Signatures


def gpg(home, *words, data=b""):
    command = ["gpg", "--homedir", str(home), "--batch", *words]
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def new_key(home, name):
    home.mkdir(mode=0o700)
    gpg(home, "--passphrase", "", "--pinentry-mode", "loopback", "--quick-generate-key", name, "ed25519", "sign")
    (fingerprint,) = (
        line.split(":")[9]
        for line in gpg(home, "--with-colons", "--list-keys").decode().splitlines()
        if line.startswith("fpr")
    )
    return fingerprint


@pytest.fixture
def keys(tmp_path):
    """A key that is trusted and one that is not; key ring and trust database of the server."""
    if shutil.which("gpg") is None:
        lacking("gpg is missing")
    good, other, server = tmp_path / "good", tmp_path / "other", tmp_path / "server"
    trusted, _ = new_key(good, "good@example.org"), new_key(other, "other@example.org")
    server.mkdir(mode=0o700)
    ring, trust = server / "ring.gpg", server / "trust.gpg"
    for home in (good, other):
        gpg(server, "--no-default-keyring", "--keyring", str(ring), "--import", data=gpg(home, "--export"))
    files = ("--no-default-keyring", "--keyring", str(ring), "--trustdb-name", str(trust))
    gpg(server, *files, "--import-ownertrust", data=f"{trusted}:6:\n".encode())
    yield good, other, ring, trust
    for home in (good, other, server):
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False, capture_output=True)


def signed(home, data):
    return gpg(home, "--pinentry-mode", "loopback", "--passphrase", "", "--sign", data=data)


def test_only_what_a_trusted_key_has_signed_is_run(town, tmp_path, keys):
    good, other, ring, trust = keys
    server = town.server(f"-sskeyring={ring}", f"-sstrustdb={trust}", "-sssandbox=off")
    before = (ring.read_bytes(), trust.read_bytes())
    work = package(f'touch {tmp_path}/ran; echo signed > "$1"; [ -z "$2" ] || head -c 9 "$2" >> "$1"')
    for refused in (work, signed(other, work), signed(good, work)[:-20]):
        client = town.client(tmp_path, refused, "-maxretry=1")
        assert client.popen.wait(30) == 1
        assert not (tmp_path / "ran").exists()
    assert len(server.matches("has no signature of a trusted key")) == 3
    client = town.client(tmp_path, signed(good, work))
    assert client.popen.wait(30) == 0, server.output
    assert (tmp_path / "out").read_text() == "signed\n"

    environment = tmp_path / "environment"
    environment.write_bytes(b"not signed")
    client = town.client(tmp_path, signed(good, work), f"-environment={environment}")
    server.expect("the environment was refused", 20)
    client.end()
    environment.write_bytes(signed(good, b"environment"))
    client = town.client(tmp_path, signed(good, work), f"-environment={environment}")
    assert client.popen.wait(30) == 0, server.output
    assert (ring.read_bytes(), trust.read_bytes()) == before


def test_half_a_set_of_keys_is_refused(town, tmp_path):
    ring = tmp_path / "ring"
    ring.write_bytes(b"")
    server = town.start("rspserver", "-scripting", f"-sskeyring={ring}")
    assert server.popen.wait(10) == 1
    server.expect("belong together", 1)


def test_the_example(town, tmp_path):
    town.server()
    words = ours("scriptingserviceexample", "77", str(tmp_path / "environment"), *town.common)
    (tmp_path / "environment").write_bytes(b"environment")
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'Results string is "THIS IS AN EXAMPLE INPUT FOR ID 77"' in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["environment"]
