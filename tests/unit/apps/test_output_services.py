"""What the Fractal and Scripting programs print, line by line beside what RSPLIB's programs printed."""

import asyncio
import hashlib
import io
import re

import pytest
from rich.console import Console
from rserpool_apps import fractalpooluser, rspserver, scriptingclient, servers
from rserpool_apps.options import parse
from rserpool_apps.scripting_service import prepared

from rserpool.services import scripting
from rserpool.services.scripting_client import Client, Files, Settings
from tests.unit.services.test_scripting_ends import Servers

from .test_output import TRANSCRIPTS, printed


def server_text(*words):
    values = parse(rspserver.PROGRAM, list(words))
    service = servers.service_of(values)
    with service.prepared(values):
        return [x for x in rspserver.start_text(service, values, "anything") if "Transport  " not in x]


def test_the_fractal_server_begins_like_the_original():
    words = ("-fgpfailureafter=40", "-fgpcookiemaxpackets=10", "-fgpcookiemaxtime=500")
    theirs = printed("07-fractal/pe1.txt", "Fractal Generator Server", "   Test Mode")
    assert server_text("-fractal", *words) == theirs


def test_the_scripting_server_begins_like_the_original():
    theirs = printed("09-scripting/pe1.txt", "Scripting Server", "   Trust DB")
    ours = server_text("-scripting", "-ssmaxthreads=1")
    limits = [x for x in ours if x.startswith("   Max ") and "Threads" not in x]
    limits += [x for x in ours if x.startswith("   Sandbox ")]
    assert len(limits) == 4  # ours only
    assert [x for x in ours if x not in limits] == theirs


def test_fractalpooluser_begins_like_the_original():
    words = ["-configdir=/usr/share/fgpconfig", "-width=160", "-height=120", "-threads=2", "-interimagetime=1",
             "-recvtimeout=4000", "-imagestorageprefix=/tmp/img/img"]  # fmt: skip
    ours = fractalpooluser.start_text(parse(fractalpooluser.PROGRAM, words), "anything")
    assert [x for x in ours if "Transport" not in x] == printed(
        "07-fractal/fractalpooluser.txt", "Pool Handle", "Threads"
    )


def test_scriptingclient_begins_and_reports_like_the_original(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "env.data").write_bytes(bytes(50_000))
    (tmp_path / "ssIN-2001.tar.gz").write_bytes(bytes(3225))
    words = ["-input=ssIN-2001.tar.gz", "-output=ssOUT-2001.tar.gz", "-environment=env.data"]
    ours = scriptingclient.start_text(parse(scriptingclient.PROGRAM, words))
    theirs = printed("09-scripting/example-env-1.txt", "Pool Handle", "Keep-Alive Timeout")
    digest = hashlib.sha1(bytes(50_000)).hexdigest()
    assert ours == [x.replace("d92756f3bd1091d9c7c41f020e6059a1459f3247", digest) for x in theirs]

    files = Files(tmp_path / "ssIN-2001.tar.gz", tmp_path / "ssOUT-2001.tar.gz", tmp_path / "env.data")
    needed = scripting.Environment(bytes.fromhex(digest), True)
    server = [scripting.Ready("lab"), scripting.Upload, needed, scripting.Status(0), scripting.Status(0)]
    said = []
    client = Client(files, Settings(), said.append)
    assert asyncio.run(client.run(Servers([*server, scripting.Download()]))) == 0
    lines = (TRANSCRIPTS / "09-scripting" / "example-env-1.txt").read_text().splitlines()
    assert said == [m[1] for x in lines if (m := re.search(r"\[Example ID=2001@lab\] (.*)", x))]


def test_a_scripting_server_checks_its_files_at_the_start(tmp_path):
    for words in (["-sskeyring=/no/such", "-sstrustdb=/no/such"], ["-sskeyring=/no/such"]):
        with pytest.raises((OSError, ValueError)):
            with prepared(parse(rspserver.PROGRAM, ["-scripting", *words])):
                pass


def test_progress_bars_come_and_go_on_a_terminal_only():
    def shown(terminal):
        out = io.StringIO()
        bars = scriptingclient.Bars(Console(file=out, force_terminal=terminal, width=80))
        bars.show("upload", 1000, 10_000)
        bars.show("upload", 10_000, 10_000)
        bars.show("download", 900, 0)
        bars.clear()
        bars.clear()
        return out.getvalue()

    assert shown(False) == ""
    text = shown(True)
    assert "10.0/10.0 kB" in text
    assert "900/? bytes" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
