"""The monitor's knowledge and its texts, beside what RSPLIB's cspmonitor showed of the same reports."""

import asyncio
import io
import json
import re
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from rserpool_apps import components, cspmonitor
from rserpool_apps.components import Monitor, as_json
from rserpool_apps.csp_web import page_bytes, serve_page
from rserpool_apps.options import parse

from rserpool.wire import csp
from tests.pcaps import UDP, packets

GOLDEN = Path(__file__).parents[2] / "golden"
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def frames():
    """The screens of the original monitor: (time, lines)."""
    text = (GOLDEN / "transcripts" / "10-csp" / "cspmonitor.txt").read_text()
    for screen in text.split("\x1b[;H\x1b[2J\x1b[;H", 1)[1].split("\x1b[0J\x1b[;H"):
        lines = [x for x in COLOURS.sub("", screen).splitlines() if x.strip()]
        if match := re.match(r"(\d\d-\w{3}-\d{4} \d\d:\d\d:\d\d\.\d{4}): ", lines[0]):
            when = datetime.strptime(match[1] + "00", "%d-%b-%Y %H:%M:%S.%f").replace(tzinfo=UTC)
            yield when.timestamp(), [x for x in lines[1:] if "Terminated" not in x and not x.startswith("#")]


def test_the_same_reports_give_the_same_lines_as_the_original_monitor():
    values = parse(cspmonitor.PROGRAM, ["-full"])
    monitor = Monitor()
    found = [p for p in packets(GOLDEN / "10-csp.pcap") if p.ip_proto == UDP and p.dport == csp.PORT]
    reports = [(p.time, p.payload) for p in found]
    assert len(reports) > 200
    compared = 0
    for when, theirs in frames():
        while reports and reports[0][0] < when:
            monitor.receive(*reversed(reports.pop(0)))
        monitor.forget_silent(when)
        ours = cspmonitor.plain_lines(monitor, values, when)[1:]
        assert [_coarse(x) for x in ours] == [_coarse(x) for x in theirs]
        compared += len(theirs)
    assert monitor.dropped == 0
    assert compared > 50


def _coarse(line):
    """Without what depends on milliseconds, and on how long the original's screen was being written."""
    return re.sub(r"l=\d+\.\ds|\d+:\d\d:\d\d", "*", line).rstrip()


def report(group=csp.POOL_ELEMENT, identifier=0x1234, **fields):
    values = {"uptime": 5_000_000, "interval": 500_000, "location": "lab: 10.0.0.1:7", "status": "1 Session"}
    return csp.Report(csp.component(group, identifier), **{**values, **fields})


def test_components_fade_and_are_forgotten():
    monitor = Monitor(purge=30.0)
    monitor.receive(csp.encode(report()), 10.0)
    monitor.receive(b"nonsense", 10.0)
    (component,) = monitor.selected(10.0)
    assert (component.fading(11.2), component.fading(11.3)) == (False, True)
    monitor.forget_silent(14.9)
    assert len(monitor.components) == 1
    monitor.forget_silent(15.1)
    assert not monitor.components
    assert monitor.dropped == 1


def test_a_final_report_removes_a_component_at_once():
    monitor = Monitor()
    monitor.receive(csp.encode(report()), 1.0)
    monitor.receive(csp.encode(report(final=True, location="", status="", workload=0.0)), 1.1)
    assert not monitor.components


def test_order_and_filter():
    monitor = Monitor()
    monitor.receive(csp.encode(report(identifier=2, workload=0.25, uptime=1)), 1.0)
    monitor.receive(csp.encode(report(identifier=1, workload=0.5, uptime=3)), 2.0)
    monitor.receive(csp.encode(report(csp.REGISTRAR, identifier=9, uptime=2)), 3.0)
    names = lambda **how: [int(c.name[1:], 16) for c in monitor.selected(4.0, **how)]  # noqa: E731
    assert names() == [9, 1, 2]
    assert names(sort="load") == [1, 2, 9]
    assert names(sort="uptime") == [1, 9, 2]
    assert names(sort="age") == [2, 1, 9]
    assert names(words="pr") == [9]
    assert names(words="PE 00002") == [2]


def test_json_and_texts():
    monitor = Monitor()
    far = csp.Association(csp.component(csp.REGISTRAR, 0xABC), None, 132, 11)
    near = csp.Association(csp.component(csp.POOL_ELEMENT, 0xDEF), 61_000_000, 6, 4711)
    monitor.receive(
        csp.encode(report(csp.POOL_USER, 0x123456789ABCDE, workload=1.0, associations=[far, near])), 1.0
    )
    (shown,) = json.loads(json.dumps(as_json(monitor.selected(2.0), 2.0, monitor)))
    assert (shown["id"], shown["group"], shown["uptime"], shown["workload"]) == (
        "$123456789abcde",
        "pool user",
        6.0,
        1.0,
    )
    assert [a["protocol"] for a in shown["associations"]] == ["ASAP/SCTP", "$00001267/TCP"]
    assert [a["duration"] for a in shown["associations"]] == [None, 61.0]
    assert components.uptime_text(359999) == "99:59:59"
    assert components.uptime_text(360000) == "  4d 04h"
    assert components.cut("abcdefgh", 6) == "abc..."


def test_too_many_are_hidden_with_a_word():
    monitor = Monitor()
    for number in range(1, 8):
        monitor.receive(csp.encode(report(identifier=number)), 1.0)
    values = parse(cspmonitor.PROGRAM, ["-maxpe=3"])
    lines = cspmonitor.plain_lines(monitor, values, 1.0)
    assert len(lines) == 5
    assert lines[-1] == "(4 further PEs have been hidden)"


@pytest.mark.parametrize("words", [[], ["-full"]])
def test_the_table_fits_into_a_terminal(words):
    monitor = Monitor()
    link = csp.Association(csp.component(csp.REGISTRAR, 0xABC), 5, 132, 11)
    for number in range(1, 6):
        monitor.receive(
            csp.encode(report(identifier=number, workload=0.95, associations=[link], status="s" * 90)), 1.0
        )
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    console.print(cspmonitor.table(monitor, parse(cspmonitor.PROGRAM, words), 9.0))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "✖ 8.0s" in "\n".join(lines)


def test_the_pool_is_told_by_our_servers_status_the_service_by_what_users_speak():
    monitor = Monitor()
    monitor.receive(csp.encode(report(identifier=1, status="1 Session in pool Grüße")), 1.0)
    monitor.receive(csp.encode(report(identifier=2)), 1.0)
    session = csp.Association(csp.component(csp.POOL_ELEMENT, 2), 5, 132, 32)
    monitor.receive(csp.encode(report(csp.POOL_USER, 7, status="x in pool y", associations=[session])), 1.0)
    shown = {c["id"]: (c["pool"], c["service"]) for c in as_json(monitor.selected(1.0), 1.0, monitor)}
    assert shown == {
        "$00000001": ("Grüße", None),
        "$00000002": (None, "FractGen"),
        "$00000000000007": (None, None),
    }
    monitor.receive(csp.encode(report(identifier=2, final=True)), 1.1)
    assert not monitor.services


class Buttons:
    """What the page controls, in tests."""

    def __init__(self):
        self.done = []

    def state(self):
        return {"title": "T", "members": [], "events": []}

    def act(self, action, name):
        self.done.append((action, name))
        return "" if name == "server" else "There is no such component."


class Site:
    """A page that is served while the block lasts, and how to ask it."""

    def __init__(self, monitor, controls=None):
        self.monitor, self.controls = monitor, controls

    async def __aenter__(self):
        self.page = await serve_page(self.monitor, 0, self.controls)
        self.origin = self.page.url.rstrip("/")
        return self

    async def __aexit__(self, *_):
        await self.page.close()

    def _fetch(self, path, data, headers):
        request = urllib.request.Request(self.origin + path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.readline() if path == "/events" else answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    async def ask(self, path, data=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await asyncio.to_thread(self._fetch, path, data, named)


def token_of(page):
    return re.search(rb'name="token" content="([^"]*)"', page)[1].decode()


def test_the_page_is_served_to_this_host_only():
    async def run():
        monitor = Monitor()
        monitor.receive(csp.encode(report()), asyncio.get_running_loop().time())
        async with Site(monitor) as site:
            document = await site.ask("/")
            assert document == page_bytes(token_of(document))
            assert json.loads(await site.ask("/components"))[0]["id"] == "$00001234"
            event = await site.ask("/events")
            assert json.loads(event.removeprefix(b"data: "))["components"][0]["id"] == "$00001234"
            assert await site.ask("/", Host="evil.example:80") == 403
            assert await site.ask("/", Host="localhost.evil.example:80") == 403
            assert await site.ask("/nothing") == 404
            assert await site.ask("/", b"x") == 405

    asyncio.run(run())


def test_only_the_page_itself_may_control():
    async def run():
        controls = Buttons()
        async with Site(Monitor(), controls) as site:
            token = token_of(await site.ask("/"))
            assert len(token) >= 32
            wish = json.dumps({"action": "kill", "name": "server"}).encode()
            good = {"Origin": site.origin, "X_Token": token}
            for wrong in (
                {"X_Token": token},
                {"Origin": site.origin},
                {**good, "Origin": "http://evil.example"},
                {**good, "X_Token": "guessed"},
                {**good, "X_Token": ""},
                {**good, "Host": "evil.example:1"},
            ):
                assert await site.ask("/act", wish, **wrong) == 403
            assert await site.ask("/act", None, **good) == 405
            for body in b"", b"[]", b"{", b'{"action": "kill"}', b"[" * 1000:
                assert await site.ask("/act", body, **good) == 400
            assert await site.ask("/act", b" " * 2000, **good) == 413
            assert controls.done == []
            assert await site.ask("/act", wish, **good) == b"done\n"
            assert await site.ask("/act", wish.replace(b"server", b"nobody"), **good) == 409
            assert controls.done == [("kill", "server"), ("kill", "nobody")]
        async with Site(Monitor()) as site:
            good = {"Origin": site.origin, "X_Token": token_of(await site.ask("/"))}
            assert await site.ask("/act", wish, **good) == 409, "a monitor controls nothing"
            assert await site.ask("/", Host="127.0.0.1:1") != 403

    asyncio.run(run())
