"""Both ends of the scripting service without network, and its cache and packages."""

import asyncio
import hashlib
import io
import os
import sys
import tarfile
import tempfile
from collections import deque

import pytest

from rserpool.services import scripting, scripting_work
from rserpool.services.scripting import (
    Download,
    Environment,
    KeepAlive,
    KeepAliveAck,
    NotReady,
    Ready,
    Status,
    Upload,
)
from rserpool.services.scripting_cache import Cache, sha1_of
from rserpool.services.scripting_client import Client, Files
from rserpool.services.scripting_client import Settings as UserSettings
from rserpool.services.scripting_server import Settings, serve
from rserpool.session import CookieEcho, Data, Failover
from rserpool.session.events import COMPLETE, NECESSARY

# Cache


def stored(cache, folder, content):
    path = folder / "file"
    path.write_bytes(content)
    digest = sha1_of(path)
    assert digest == hashlib.sha1(content).digest()
    cache.store(path, digest)
    return digest


def test_the_least_recently_used_file_leaves_the_cache(tmp_path):
    cache = Cache(tmp_path / "cache", 1000, 3)
    a, b, c = (stored(cache, tmp_path, x * 100) for x in (b"a", b"b", b"c"))
    assert cache.fetch(a, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"a" * 100
    d = stored(cache, tmp_path, b"d" * 100)
    assert [x in cache for x in (a, b, c, d)] == [True, False, True, True]
    assert (len(cache), cache.size) == (3, 300)
    e = stored(cache, tmp_path, b"e" * 950)
    assert [x in cache for x in (a, c, d, e)] == [False, False, False, True]
    assert [p.name for p in (tmp_path / "cache").iterdir()] == [f"{e.hex()}.data"]


def test_what_is_too_large_is_not_kept(tmp_path):
    cache = Cache(tmp_path / "cache", 100, 3)
    assert stored(cache, tmp_path, bytes(101)) not in cache


def test_a_prepared_directory_is_used_but_for_files_that_are_not_what_their_name_says(tmp_path):
    good = hashlib.sha1(b"good").digest()
    (tmp_path / f"{good.hex()}.data").write_bytes(b"good")
    (tmp_path / f"{bytes(20).hex()}.data").write_bytes(b"bad")
    (tmp_path / f"{'x' * 40}.data").write_bytes(b"bad")
    cache = Cache(tmp_path, 1000, 3)
    assert (good in cache, len(cache)) == (True, 1)


def test_a_file_that_has_vanished_is_not_in_the_cache(tmp_path):
    cache = Cache(tmp_path / "cache", 1000, 3)
    digest = stored(cache, tmp_path, b"a")
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
    assert not cache.fetch(digest, tmp_path / "copy")
    assert digest not in cache


# Packages


def archive(*members, mode="w:gz"):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as tar:
        for member, content in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def link(name, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


@pytest.mark.parametrize(
    "content",
    [
        archive(("../out", b"x")),
        archive(("/etc/out", b"x"), ("../../out", b"x")),
        archive((link("a", "/etc"), b"")),
        archive(("big", bytes(2000))),
        b"none",
    ],
    ids=["up", "root", "link", "large", "none"],
)
def test_packages_that_reach_outside_or_are_too_large_are_refused(tmp_path, content):
    folder = tmp_path / "session"
    folder.mkdir()
    (folder / "in").write_bytes(content)
    with pytest.raises(scripting_work.Refused):
        scripting_work.unpack(folder / "in", folder, 1500)
    assert [p.name for p in tmp_path.iterdir()] == ["session"]


def run(tmp_path, script):
    (tmp_path / "in").write_bytes(archive(("ssrun", script.encode())))
    return scripting_work.run(tmp_path, "in", "out", "env", "", "", 10**6)


def test_a_package_gets_its_arguments_and_little_of_the_servers_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "x")
    assert run(tmp_path, '#!/bin/sh\necho "$#" "$1" "$2" "$SECRET" "$HOME" > out\n') == 0
    assert (tmp_path / "out").read_text().split() == ["4", "out", "env", str(tmp_path)]


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 7\n", "#!/no/such\n", "#!/bin/sh\nkill -9 $$\n"])
def test_every_failure_is_status_1(tmp_path, script):
    assert run(tmp_path, script) == 1


def test_a_package_without_program_is_refused(tmp_path):
    (tmp_path / "in").write_bytes(archive(("other", b"")))
    assert scripting_work.run(tmp_path, "in", "out", "", "", "", 1000) == 1


def test_clearing_away(tmp_path):
    folder = tmp_path / "session"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_bytes(bytes(10_000))
    assert scripting_work.used(folder) >= 10_000
    assert scripting_work.cleanup(folder, 0, keep=True) == 0
    assert folder.exists()
    assert scripting_work.cleanup(folder, 0, keep=False) == 0
    assert not folder.exists()


# Server

CONTROL = """
import sys, time, pathlib
action, folder, *names = sys.argv[1:]
if action == "check-environment":
    sys.exit(pathlib.Path(folder, names[0]).read_bytes() == b"bad")
script = pathlib.Path(folder, names[0]).read_text()
out = pathlib.Path(folder, names[1])
env = pathlib.Path(folder, names[3]).read_bytes() if names[3] else b""
exec(script)
"""


class User:
    """A pool user as the server sees it. A number in ``events``: wait until so many messages have come."""

    id = 1

    def __init__(self, *events):
        self.events = deque(events)
        self.got = []
        self.end = ""
        self.news = asyncio.Event()

    async def recv(self):
        if not self.events:
            return None
        event = self.events[0]
        if isinstance(event, type):
            while not any(isinstance(m, event) for m in self.got):
                self.news.clear()
                await self.news.wait()
            self.events.popleft()
            return await self.recv()
        if event == "silence":
            await asyncio.sleep(60)
        self.events.popleft()
        return event if isinstance(event, CookieEcho) else Data(scripting.encode(event), scripting.PPID, 0)

    async def send(self, data, *, ppid):
        assert ppid == scripting.PPID
        self.got.append(scripting.decode(data))
        self.news.set()

    def close(self):
        self.end = self.end or "closed"

    def abort(self, reason=b""):
        self.end = "aborted"


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def served(place, user, **settings):
    said = []
    cache = Cache(place / "cache", 10**6, 4)

    async def main():
        control = (sys.executable, "-c", CONTROL)
        await serve(user, Settings(control, **settings), cache, said.append)

    asyncio.run(main())
    assert [p.name for p in place.iterdir()] == ["cache"]
    return said, cache


def test_a_session_from_upload_to_download(place):
    user = User(Upload(b"out.write_bytes"), Upload(b"(b'x' * 20000)"), Upload(), "silence")
    served(place, user)
    ready, status, *rest = user.got
    assert isinstance(ready, Ready)
    assert status == Status(0)
    assert [m for m in rest if not isinstance(m, KeepAlive)] == [
        Status(0),
        Download(b"x" * 16384),
        Download(b"x" * (20000 - 16384)),
        Download(),
    ]
    assert user.end == ""  # closed by the caller, gracefully


def test_environments_are_asked_for_once_and_kept_under_their_own_hash(place):
    digest = hashlib.sha1(b"env").digest()
    work = (Upload(b"out.write_bytes(env)"), Upload())
    user = User(Environment(digest), *work, Upload(b"env"), Upload(), "silence")
    _, cache = served(place, user)
    assert user.got[1] == Environment(digest, upload_needed=True)
    assert Download(b"env") in user.got
    assert digest in cache
    user = User(Environment(digest), *work, "silence")
    served(place, user)
    assert user.got[1] == Environment(digest, upload_needed=False)
    assert Download(b"env") in user.got


SHORT = 0.3  # seconds; only where the time is to run out, since a busy machine may need more for all else


@pytest.mark.parametrize(
    "events, why, short",
    [
        ([KeepAlive()], "KeepAlive in the middle of an upload", ""),
        ([Status(0)], "Status in the middle", ""),
        ([CookieEcho(b"x")], "this service has none", ""),
        (["silence"], "nothing was received in time", "transmit_timeout"),
        ([Upload(b"x" * 16000)] * 7, "more than 100000 bytes", ""),
        (
            [Environment(bytes(20)), Upload(b"x"), Upload(), Upload(b"bad"), Upload()],
            "environment was refused",
            "",
        ),
        ([Upload(b"out"), Upload(), "silence"], "has left no output", ""),
        ([Upload(b"time.sleep(9)"), Upload(), Status, Upload(b"x")], "Upload while working", ""),
        ([Upload(b"time.sleep(9)"), Upload(), "silence"], "no answer to a keep-alive", "keep_alive_timeout"),
    ],
)
def test_what_ends_a_session_by_abort(place, events, why, short):
    user = User(*events)
    times = {name: SHORT if name == short else 60.0 for name in ("transmit_timeout", "keep_alive_timeout")}
    times["keep_alive_interval"] = SHORT if short == "keep_alive_timeout" else 60.0
    said, _ = served(place, user, **times, max_disk=100_000)
    assert why in said[-1]
    assert user.end == "aborted"


def test_a_script_that_fails_without_output_ends_well_for_the_user(place):
    user = User(Upload(b"sys.exit(5)"), Upload(), "silence")
    served(place, user)
    assert user.got[-2:] == [Status(1), Download()]


def test_keep_alives_both_ways(place):
    user = User(Upload(b"time.sleep(0.4); out.write_text('')"), Upload(), KeepAlive, KeepAliveAck(), KeepAlive(),
                "silence")  # fmt: skip
    served(place, user, keep_alive_interval=9.0, keep_alive_timeout=5.0)
    assert user.got.count(KeepAlive()) == 1
    assert user.got.count(KeepAliveAck(0)) == 1
    assert user.got[-2:] == [Status(0), Download()]


def test_the_user_leaves(place):
    user = User(Upload(b"time.sleep(9)"), Upload(), Status)
    said, _ = served(place, user)
    assert said[-1].endswith("The user has gone")


def test_time_has_a_limit(place):
    user = User(Upload(b"time.sleep(9)"), Upload(), "silence")
    said, _ = served(place, user, max_time=0.1)
    assert any("Stopping the work: it takes more than 0.1 s" in words for words in said)
    assert user.got[-2:] == [Status(1), Download()]


# Client


class Servers:
    """A session as the pool user sees it: each server is a list of what it says; types: after it has got such."""

    def __init__(self, *servers):
        self.servers = deque(servers)
        self.identifier = 0
        self.connected = True
        self.got = []
        self.reported = []
        self.news = asyncio.Event()
        self._next()

    def _next(self):
        self.identifier += 1
        self.got.append([])
        self.events = deque(self.servers.popleft())

    async def send(self, data, *, ppid):
        assert ppid == scripting.PPID
        self.got[-1].append(scripting.decode(data))
        self.news.set()

    async def recv(self):
        while self.events:
            event = self.events[0]
            if isinstance(event, type):
                while not any(isinstance(m, event) for m in self.got[-1]):
                    self.news.clear()
                    await self.news.wait()
                self.events.popleft()
                continue
            if event == "silence":
                await asyncio.sleep(60)
            self.events.popleft()
            return event if isinstance(event, Failover) else Data(scripting.encode(event), scripting.PPID, 0)
        return Failover(NECESSARY, False, self.identifier)

    async def force_failover(self, unreachable=False):
        if unreachable:
            self.reported.append(self.identifier)
        self._next()
        self.events.appendleft(Failover(COMPLETE, False, self.identifier))
        return True


GOOD = [Ready("host"), Upload, Status(0), Status(0), Download(b"re"), Download(b"sult"), Download()]


@pytest.fixture
def files(tmp_path):
    (tmp_path / "in").write_bytes(os.urandom(40_000))
    (tmp_path / "env").write_bytes(b"environment")
    return Files(tmp_path / "in", tmp_path / "out")


def processed(servers, files, **settings):
    said = []
    quick = {"retry_delay": 0.0, "keep_alive_interval": 0.2, "keep_alive_timeout": 0.2, **settings}
    client = Client(files, UserSettings(**quick), said.append)
    status = asyncio.run(client.run(servers))
    assert not client.draft.exists()
    return status, said, client


def test_a_package_is_processed(files):
    servers = Servers(GOOD)
    status, said, client = processed(servers, files)
    assert (status, client.failovers, files.output.read_bytes()) == (0, 0, b"result")
    (got,) = servers.got
    assert b"".join(m.data for m in got) == files.input.read_bytes()
    assert got[-1] == Upload()
    assert said == ["Server host is ready!", "Uploading 40000 bytes ...", "Upload complete.",
                    "Server host is processing ...", "Downloading ...", "Download completed!"]  # fmt: skip


@pytest.mark.parametrize("needed", [True, False])
def test_an_environment_goes_along_where_it_is_needed(files, tmp_path, needed):
    files.environment = tmp_path / "env"
    digest = sha1_of(files.environment)
    ready, *rest = GOOD
    servers = Servers([ready, Upload, Environment(digest, needed), *rest])
    status, _, _ = processed(servers, files)
    (got,) = servers.got
    assert (status, got[0]) == (0, Environment(digest))
    assert (Upload(b"environment") in got) == needed


@pytest.mark.parametrize(
    "bad, reported",
    [
        ([], False),
        (["silence"], True),
        ([NotReady(1, "full")], False),
        ([Status(0)], False),
        ([Ready("a"), Upload, Status(1)], False),
        ([Ready("a"), Upload, Download(b"x")], False),
        ([Ready("a"), Upload, Status(0), Status(0), Download(b"half")], False),
        ([Ready("a"), Upload, Status(0), "silence"], True),
        ([Ready("a"), Upload, Status(0), Download(b"early")], False),
        ([Ready("a"), Upload, Status(0), Status(3)], False),
    ],
)
def test_a_server_that_fails_is_followed_by_another(files, bad, reported):
    servers = Servers(bad, GOOD)
    status, said, client = processed(servers, files, transmit_timeout=2.0)
    assert (status, client.failovers, files.output.read_bytes()) == (0, 1, b"result")
    assert servers.reported == ([1] if reported else [])
    assert "FAILOVER ..." in said


def test_a_program_that_always_fails_ends_after_so_many_trials(files):
    bad = [Ready("a"), Upload, Status(0), Status(3), Download(b"why"), Download()]
    status, said, client = processed(Servers(bad, bad, bad, []), files, max_trials=3)
    assert (status, client.trials, client.failovers) == (3, 3, 2)
    assert files.output.read_bytes() == b"why"
    assert said[-1] == "Download completed!"


@pytest.mark.parametrize(("reported", "returned"), [(0, 1), (3, 3)])
def test_regression_a_program_without_results_was_tried_for_ever(files, reported, returned):
    bad = [Ready("a"), Upload, Status(0), Status(reported)]
    status, said, client = processed(Servers(bad, bad, bad, GOOD), files, max_trials=3)
    assert (status, client.trials, client.failovers) == (returned, 3, 2)
    assert said[-1].startswith("No results. Maximum number of trials reached")
    assert not files.output.exists()


def test_keep_alives_are_sent_while_the_server_works_and_not_before(files):
    ready, accepted, *rest = [m for m in GOOD if not isinstance(m, type)]
    servers = Servers([ready, Upload, accepted, KeepAlive, KeepAliveAck(0), KeepAlive(), *rest])
    status, _, _ = processed(servers, files)
    (got,) = servers.got
    assert status == 0
    assert got.index(KeepAlive()) > got.index(Upload())
    assert KeepAliveAck() in got
