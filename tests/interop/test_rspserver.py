"""rspserver's options: each has an effect that the registrar, a pool user or the file system sees."""

import json
import os
import random
import subprocess
import sys
from contextlib import ExitStack

import pytest
from rserpool_apps.values import POLICIES

from .helpers import wait_until
from .pictures import TRANSPORT
from .programs import ours, running
from .test_scripting import package

IDENTIFIER = r"Identifier\s+= \$([0-9a-f]{8})"


class Town:
    """A registrar that tells what it does, and others of its announce group."""

    def __init__(self, stack):
        self.stack = stack
        self.common = (TRANSPORT, f"-asapannounce=239.0.0.50:{random.randint(20000, 29999)}")
        self.registrar = self.start("rspregistrar", "-mentordiscoverytimeout=200", "-serverannouncecycle=200",
                                    "-enrpannounce=off", "-loglevel=4")  # fmt: skip
        self.port = self.registrar.expect(r"ENRP Address:.* (\d+)/SCTP", 30)[1]

    def start(self, program, *options, **more):
        return self.stack.enter_context(running(ours(program, *self.common, *options), **more))

    def dump(self):
        """The pool elements that the registrar knows, by identifier."""
        line = ours("hsdump", TRANSPORT, f"127.0.0.1:{self.port}", "-json")
        done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=60)
        pools = json.loads(done.stdout)["pools"]
        return {e["id"]: e for p in pools for e in p["elements"]}


@pytest.fixture
def town():
    with ExitStack() as stack:
        yield Town(stack)


def test_options_of_pool_elements(town, tmp_path):
    often = town.start("rspserver", "-echo", "-poolhandle=Often", "-rereginterval=150", "-identifier=0x00c0ffee",
                       "-local=127.0.0.1:4711")  # fmt: skip
    cycles = town.start("rspserver", "-discard", "-poolhandle=Cycles", "-uptime=0.3", "-downtime=0.1")
    quiet = town.start("rspserver", "-daytime", "-poolhandle=Quiet", "-quiet", "-runtime=1500", "-logquiet")
    loaded = town.start("rspserver", "-chargen", "-poolhandle=Loaded", "-policy=LeastUsed", "-chargenmaxthreads=2")
    assert often.expect(IDENTIFIER, 30)[1] == "00c0ffee"
    often.expect(r"Local Addresses\s+= \{ 127\.0\.0\.1 \} port 4711")
    identifier = loaded.expect(IDENTIFIER, 30)[1]
    town.registrar.expect(r"Re-registered Often/\$00c0ffee", 30, count=3)
    town.registrar.expect(r"Registered Cycles/", 30, count=2)
    town.registrar.expect(r"Removed Cycles/.*: deregistered", 30, count=2)
    assert len(cycles.matches(IDENTIFIER)) >= 2
    town.registrar.expect(r"Registered Quiet/", 30)
    town.registrar.expect(r"Removed Quiet/.*: deregistered", 30)
    assert (quiet.popen.wait(10), quiet.output) == (0, "")
    found = town.dump()
    user = found["$00c0ffee"]["user"]
    assert (user["addresses"], user["port"], found["$00c0ffee"]["life"]) == (["127.0.0.1"], 4711, 450)

    # The load of a server with one of two sessions is half of what it can have.
    town.start("rspterminal", "-poolhandle=Loaded", stdin=subprocess.PIPE).expect("from PE", 30)
    town.registrar.expect(rf"Re-registered Loaded/\${identifier}", 30)
    assert town.dump()[f"${identifier}"]["policy"]["load"] == pytest.approx(0.5, abs=0.001)
    assert cycles.end() == 0


def test_a_server_without_registrar_says_so_and_ends():
    words = ours("rspserver", "-scripting", TRANSPORT, "-asapannounce=off", "-registrar=127.0.0.1:9",
                 "-registrarconnecttimeout=500")  # fmt: skip
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "no registrar answers at 127.0.0.1:9" in done.stderr


def test_every_policy_is_registered_with_its_parameters(town):
    """By one process: what a server's -policy= becomes is not a matter of processes."""
    program = """
import asyncio, sys
from rserpool.session import Library, PoolElement
from rserpool.settings import Settings
from rserpool_apps.values import policy
async def main():
    async with Library(Settings(announce=("239.0.0.50", int(sys.argv[1])), transport="userland")) as library:
        for number, text in enumerate(sys.argv[2:], 1):
            await PoolElement(library, f"P{number}", policy=policy(text), identifier=number).start()
        print("all", flush=True)
        sys.stdin.read()
asyncio.run(main())
"""
    numbers = {
        "weight": "7",
        "priority": "9",
        "weight_dpf": "0.25",
        "load_dpf": "0.5",
        "load_degradation": "0.125",
    }
    texts = [":".join([name, *(numbers[field] for field in fields)]) for name, fields in POLICIES.items()]
    port = town.common[1].rpartition(":")[2]
    words = [sys.executable, "-c", program, port, *texts]
    with running(words, stdin=subprocess.PIPE) as one:
        one.expect("^all$", 60)
        found = town.dump()
        one.popen.stdin.close()
    assert len(found) == len(texts) == 18
    for number, (name, fields) in enumerate(POLICIES.items(), 1):
        policy = found[f"${number:08x}"]["policy"]
        assert policy["type"] == name
        for field in fields:
            assert policy[field] == pytest.approx(float(numbers[field]), abs=1e-6), (name, field)


def test_options_of_the_scripting_service(town, tmp_path):
    kept, cache = tmp_path / "kept", tmp_path / "cache"
    kept.mkdir()
    options = ("-sskeeptempdirs", "-ssverbose", f"-sscachedirectory={cache}", "-sscachemaxentries=1")
    server = town.start(
        "rspserver", "-scripting", "-poolhandle=S", "-ssmaxmemory=500", *options, env={"TMPDIR": str(kept)}
    )
    server.expect(IDENTIFIER, 30)
    for number in 1, 2:
        (tmp_path / "package").write_bytes(package('ulimit -v > "$1"; cat "$2" >> "$1"'))
        (tmp_path / "environment").write_bytes(b"%d" % number)
        files = (f"-input={tmp_path}/package", f"-output={tmp_path}/out", f"-environment={tmp_path}/environment")
        client = town.start("scriptingclient", "-poolhandle=S", *files)
        assert client.popen.wait(30) == 0, client.output + server.output
        assert (tmp_path / "out").read_text() == f"{500 << 10}\n{number}"
    server.expect(r"^\.+|\.$", 5)
    assert server.end() == 0
    assert len(list(kept.glob("rspSS-Session-*/output.data"))) == 2
    assert len(list(cache.iterdir())) == 1, "of one entry; a directory that was named stays"
    wait_until(lambda: not os.path.exists(f"/proc/{server.popen.pid}"), 5)
