"""The demo's story, told by what programs really print, and how it is shown."""

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rserpool_apps import demo_fractal, fractal_files
from rserpool_apps.demo_story import IN_USE, KILLED, READY, Story, succeeded, summary
from rserpool_apps.demo_view import PlainView, TerminalView, picture
from rserpool_apps.fractal_job import Job, Marks
from rserpool_apps.options import parse
from rserpool_apps.rspdemo import PROGRAM, choose_place

TRANSCRIPTS = Path(__file__).parents[2] / "golden" / "transcripts"


def begun():
    story = Story()
    story.add("registrar", "registrar", 100, 0.0)
    story.line(0.5, "registrar", "Server ID:              $0000aaaa")
    for place, name in enumerate("ABC"):
        story.add(f"server {name}", "server", 101 + place, 0.5)
        story.line(1.0, f"server {name}", f"   Identifier              = ${0x11111111 * (place + 1):08x}")
    story.add("user", "user", 104, 1.1)
    return story


def talk(story, numbers, identifier, begin, reply=None):
    for number in numbers:
        story.line(begin, "user", f"Message #{number} sent")
        story.line(
            begin, "user", f"23-Nov-2026 09:55:51.2536: Ack #{number} from PE ${identifier} (reply #{number})"
        )


def test_a_failover_is_told():
    story = begun()
    assert [a.state for a in story.actors.values()] == [READY] * 4 + ["starting"]
    talk(story, range(1, 6), "22222222", 2.0)
    assert (story.current, story.actors["server B"].state, story.last_reply) == ("server B", IN_USE, 5)
    story.killed(3.0, "server B")
    story.line(3.1, "user", "Message #6 sent")
    story.line(3.2, "user", "Message #7 sent")
    story.line(3.3, "user", "FAILOVER...")
    assert not succeeded(story)
    story.line(3.4, "user", "Message #6 sent again")
    story.line(3.4, "user", "Message #7 sent again")
    talk(story, [6, 7], "33333333", 3.5)
    assert story.actors["server B"].state == KILLED
    assert story.actors["server C"].state == IN_USE
    assert succeeded(story)
    assert summary(story) == [
        "server B ($22222222) was killed after reply 5.",
        "server C went on with reply 6: failover in 0.50 s.",
        "7 messages sent, 2 sent twice, 7 answered, none lost, no reply missing.",
    ]
    assert [e.text for e in story.events if e.kind == "failover"] == [
        "lost its server, looks for another",
        "sends again messages 6 to 7, which were not answered",
        "goes on at server C after 0.50 s, with reply 6",
    ]


def test_losses_gaps_and_failures_are_not_success():
    story = begun()
    talk(story, [1], "22222222", 2.0)
    story.killed(3.0, "server B")
    talk(story, [3], "33333333", 3.5)
    assert succeeded(story) is False, "message 2 is missing"
    assert "2 lost" in summary(story)[-1] or "1 lost" in summary(story)[-1]
    story.line(4.0, "user", "23-Nov-2026 09:55:51.2536: *** Detected gap of 1! ***")
    assert "1 gaps in the replies" in summary(story)[-1]
    story.ended(5.0, "server C", 1)
    assert story.events[-1].kind == "error"


def test_the_original_programs_output_tells_the_same_story():
    """06-pingpong-failover: RSPLIB's client, whose servers fail after five replies each."""
    story = begun()
    for line in (TRANSCRIPTS / "06-pingpong-failover" / "pingpongclient.txt").read_text().splitlines():
        story.line(1.0, "user", re.sub(r"\x1b\[[0-9;]*m", "", line))
    assert story.sent == 69
    assert story.replies[:6] == ["server B"] * 5 + ["server A"]
    assert sum(e.text.startswith("lost its server") for e in story.events) == 13
    assert story.last_reply == 69
    assert story.gaps == 0


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_picture_fits_into_the_terminal(width):
    story = begun()
    talk(story, range(1, 200), "22222222", 2.0)
    story.killed(3.0, "server B")
    for number in range(20):
        story.line(3.1, "user", f"FAILOVER... {number} " + "x" * 300)
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(picture(story, 12.3, width))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= 19, "with the summary's box it is to fit into 24 lines"
    text = "\n".join(lines)
    for word in ("server A", "server B", "killed", "$22222222", "199 messages"):
        assert word in text


@pytest.mark.parametrize("width", [80, 200])
def test_the_image_fits_into_the_terminal(width):
    parameter, _ = fractal_files.read(fractal_files.SAMPLES / demo_fractal.SAMPLE)
    job = Job(0, "x", replace(parameter, width=64, height=32), 4, Marks(), demo_fractal.TIMEOUTS)
    drawn = demo_fractal.Drawn(job)
    story = begun()
    story.killed(2.0, "server B")
    job.log.append("  1.00 s  session 1: PE $22222222 has gone: failover")
    demo_fractal.tell_job(story, drawn, 2.1)
    assert (story.events[-1].actor, story.events[-1].text) == (
        "user",
        "session 1: PE $22222222 has gone: failover",
    )
    console = Console(file=io.StringIO(), width=width, height=24, force_terminal=True, color_system=None)
    console.print(demo_fractal.picture(story, drawn, 12.3, console))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert len(lines) <= demo_fractal.LINES
    assert lines[0].startswith("Reliable Server Pooling   registrars ●r   servers ●A ✖B ●C   12.3 s")
    assert not demo_fractal.succeeded(drawn), "nothing has been drawn"
    assert "is not complete: 0 %" in demo_fractal.summary(story, drawn)[-1]


def test_a_terminal_gets_the_picture_and_the_summary_once_more_at_the_end():
    story = begun()
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    view = TerminalView(console, lambda now: picture(story, now, 80))
    view.start()
    view.update(1.0)
    view.finish(2.0, ["It worked."], True)
    assert "It worked." in console.file.getvalue()


def test_plain_lines_where_there_is_no_terminal():
    story = begun()
    console = Console(file=io.StringIO(), force_terminal=False)
    view = PlainView(console, story)
    view.start()
    view.update(1.0)
    view.finish(2.0, ["It worked."], True)
    text = console.file.getvalue()
    assert "\x1b" not in text
    assert text.startswith("  0.00 s  registrar   started, process 100\n")
    assert text.endswith("What happened\n  It worked.\n")


async def _place(*words):
    return await choose_place(parse(PROGRAM, words))


def test_with_ports_of_their_own_programs_are_told_the_registrars_address():
    import asyncio

    place = asyncio.run(_place("-private"))
    assert "-udp-port=0" in place.others
    assert any(o.startswith("-registrar=127.0.0.1:3863/") for o in place.others)
    assert place.words
