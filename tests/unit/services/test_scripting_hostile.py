"""The scripting service under stress: the cache used by many at once, full disks, packages that mean ill."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rserpool.services import scripting, scripting_sandbox, scripting_work
from rserpool.services.scripting import Download, Environment, NotReady, Upload
from rserpool.services.scripting_cache import Cache

from .test_scripting_ends import User, archive, served, stored
from .test_scripting_ends import place as place

needs_landlock = pytest.mark.skipif(not scripting_sandbox.version(), reason="this kernel has no Landlock")
needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc")


# Cache


def test_two_that_store_the_same_file_at_a_time_both_succeed(tmp_path, monkeypatch):
    """Regression: they shared one draft, and the second found that it was gone."""
    cache = Cache(tmp_path / "cache", 1000, 3)
    copy = shutil.copyfile
    other = tmp_path / "other"
    other.write_bytes(b"environment")

    def slowly(source, target):
        monkeypatch.setattr(shutil, "copyfile", copy)
        cache.store(other, digest)
        return copy(source, target)

    digest = hashlib.sha1(b"environment").digest()
    monkeypatch.setattr(shutil, "copyfile", slowly)
    assert stored(cache, tmp_path, b"environment") == digest
    assert (len(cache), cache.size) == (1, 11)
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [f"{digest.hex()}.data"]


def test_a_file_that_leaves_the_cache_while_it_is_fetched_is_fetched(tmp_path, monkeypatch):
    """Regression: KeyError."""
    cache = Cache(tmp_path / "cache", 1000, 1)
    first = stored(cache, tmp_path, b"first")
    copy = shutil.copyfileobj

    def slowly(source, target, size):
        monkeypatch.setattr(shutil, "copyfileobj", copy)
        stored(cache, tmp_path, b"second")
        copy(source, target, size)

    monkeypatch.setattr(shutil, "copyfileobj", slowly)
    assert cache.fetch(first, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"first"
    assert first not in cache


# Disks that are full


def test_an_environment_that_cannot_be_cached_is_used_nevertheless(place, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device", "cache")

    monkeypatch.setattr(Cache, "store", full)
    work = (Upload(b"out.write_bytes(env)"), Upload())
    user = User(Environment(bytes(20)), *work, Upload(b"env"), Upload(), "silence")
    said, _ = served(place, user)
    assert any("Cannot cache environment" in words and "No space left" in words for words in said)
    assert Download(b"env") in user.got


def test_a_server_without_room_for_the_package_says_why(place, monkeypatch):
    """Regression: the session just ended, and nobody said a word."""
    opened = Path.open

    def full(path, *words, **more):
        if path.name == "input.data":
            raise OSError(28, "No space left on device", str(path))
        return opened(path, *words, **more)

    monkeypatch.setattr(Path, "open", full)
    user = User(Upload(b"x"), Upload(), "silence")
    said, _ = served(place, user)
    assert "No space left on device" in said[-1]
    assert user.end == "aborted"


def test_a_server_without_temporary_directory_sends_users_away(place, monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device", "/tmp")

    monkeypatch.setattr("tempfile.mkdtemp", full)
    user = User(Upload(b"x"), Upload(), "silence")
    said, _ = served(place, user)
    assert isinstance(user.got[0], NotReady)
    assert user.got[0].reason == scripting.OUT_OF_RESOURCES
    assert "No space left on device" in said[-1]


# Packages


def run(folder, script, sandbox=scripting_work.AUTO):
    """Run a package as the server does, in a process of its own."""
    (folder / "in").write_bytes(archive(("ssrun", f"#!/bin/sh\n{script}\n".encode())))
    words = [sys.executable, "-m", "rserpool_apps", "scriptingcontrol", f"-sandbox={sandbox}", "run", str(folder)]
    return subprocess.run([*words, "in", "out", "status"], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def session(tmp_path):
    folder = tmp_path / "session"
    folder.mkdir()
    return folder


def alive(word):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in path.read_bytes().split(b"\0"):
                found.append(path)
        except OSError:
            continue
    return found


@needs_proc
def test_what_a_package_leaves_running_ends_with_it_even_without_its_mark(session):
    """Regression: with an environment and a process group of its own a program lived on."""
    nap = f"{random.randint(10**6, 10**7)}.5"
    done = run(session, f"env -i setsid sleep {nap} </dev/null >/dev/null 2>&1 & sleep 0.2")
    assert done.returncode == 0, done.stderr
    assert not alive(nap)


@needs_proc
def test_it_ends_with_the_session_too(session):
    nap = f"{random.randint(10**6, 10**7)}.5"
    (session / "in").write_bytes(archive(("ssrun", f"#!/bin/sh\nenv -i setsid sleep {nap} & sleep 60\n".encode())))
    words = [sys.executable, "-m", "rserpool_apps", "scriptingcontrol", "run", str(session), "in", "out", "status"]
    with subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL) as control:
        end = time.monotonic() + 30
        while not alive(nap) and time.monotonic() < end:
            time.sleep(0.02)
        assert alive(nap)
        scripting_work.kill(session, control.pid)
        assert control.wait(10) in (1, -signal.SIGKILL)
    assert not alive(nap)


@needs_proc
def test_files_without_names_count(tmp_path, monkeypatch):
    """Regression: who opened a file and removed it could fill the disk."""
    monkeypatch.setenv(scripting_work.MARK, str(tmp_path))
    code = f"import os; f = open({str(tmp_path / 'x')!r}, 'wb'); f.write(bytes(3000000)); f.flush()"
    code += "; os.remove(f.name)"
    command = [sys.executable, "-c", f"{code}\nprint('ready', flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout.readline() == "ready\n"
        assert list(tmp_path.iterdir()) == []
        assert scripting_work.used(tmp_path) >= 3_000_000
        one.communicate("\n")


@needs_landlock
def test_a_package_writes_below_its_directory_only(session, tmp_path):
    script = 'echo in > "$1"; echo null > /dev/null; echo temporary > "$TMPDIR/x"; mkdir sub; mv x sub; '
    script += f"cat /etc/passwd > passwd; cd {tmp_path}; echo out > out; mkdir dir; rm -rf precious; true"
    (tmp_path / "precious").write_text("precious")
    done = run(session, script)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["precious", "session"]
    assert (session / "out").read_text() == "in\n"
    assert (session / "passwd").read_bytes() == Path("/etc/passwd").read_bytes()
    assert (session / "sub" / "x").read_text() == "temporary\n"
    run(session, script, scripting_work.OFF)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dir", "out", "session"]


@pytest.mark.skipif(scripting_sandbox.version() < 6, reason="this kernel's Landlock does not know of signals")
def test_a_package_cannot_signal_others(session):
    with subprocess.Popen(["sleep", "60"]) as other:
        run(session, f"kill -9 {other.pid} {os.getpid()}; true")
        assert other.poll() is None
        other.kill()


def test_without_landlock_packages_run_only_where_that_is_allowed(session, monkeypatch, capfd):
    monkeypatch.setattr(scripting_sandbox, "version", lambda: 0)
    (session / "in").write_bytes(archive(("ssrun", b"#!/bin/sh\nexit 0\n")))

    def code(sandbox):
        return scripting_work.run(session, "in", "out", "", "", "", 10**6, sandbox)

    assert [code(x) for x in (scripting_work.AUTO, scripting_work.OFF, scripting_work.ON)] == [0, 0, 1]
    assert "no Landlock" in capfd.readouterr().err


def test_running_a_package_spares_what_others_have_started(session):
    with subprocess.Popen(["sleep", "60"]) as other:
        (session / "in").write_bytes(archive(("ssrun", b"#!/bin/sh\nexit 0\n")))
        assert scripting_work.run(session, "in", "out", "", "", "", 10**6) == 0
        assert other.poll() is None
        other.kill()
