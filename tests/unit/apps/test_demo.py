"""The demo: scenarios, the story told by what programs really print, how it is shown, keys."""

import asyncio
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rserpool_apps import demo_image, fractal_files, rspdemo
from rserpool_apps.demo_image import ImageUser, Move
from rserpool_apps.demo_keys import Keyboard
from rserpool_apps.demo_place import choose_place
from rserpool_apps.demo_script import play
from rserpool_apps.demo_stage import DemoError, Stage
from rserpool_apps.demo_story import ENDED, IN_USE, KILLED, READY, STARTING, Story, succeeded, summary
from rserpool_apps.demo_view import PlainView, Scene, TerminalView, event_line, picture
from rserpool_apps.fractal_job import Job, Marks
from rserpool_apps.options import parse
from rserpool_apps.rspdemo import PROGRAM
from rserpool_apps.scenario import ScenarioError, load, source, supplied

from rserpool.services.fractal_client import Timeouts

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
    assert [a.state for a in story.actors.values()] == [READY] * 4 + [STARTING]
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
    assert story.failure.startswith("server C ended with status 1")


def test_a_program_that_was_killed_may_begin_again():
    story = begun()
    talk(story, [1, 2], "22222222", 2.0)
    story.killed(3.0, "server B")
    story.ended(3.1, "server B", -9)
    assert story.actors["server B"].state == KILLED
    story.add("server B", "server", 200, 4.0)
    assert (story.actors["server B"].state, story.actors["server B"].replies) == (STARTING, 2)
    story.line(5.0, "server B", "   Identifier              = $44444444")
    assert (story.actors["server B"].state, story.actors["server B"].identifier) == (READY, 0x44444444)
    story.killed(6.0, "registrar")
    assert story.killed_registrars == ["registrar"]
    story.actors["user"].leaving = True
    story.ended(7.0, "user", 0)
    assert (story.actors["user"].state, story.actors["user"].completed) == (ENDED, False)


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


# What is shown


def drawn(story):
    """An image user whose server B has been killed."""
    parameter, _ = fractal_files.read(fractal_files.SAMPLES / "07-double-spiral.fsf")
    user = ImageUser("user")
    user.job = Job(0, "x", replace(parameter, width=64, height=32), 4, Marks(), Timeouts(1.0, 1.0))
    user.moves.append(Move("server B", 0x22222222, 2.0, []))
    user.job.log.append("  1.00 s  session 1: PE $22222222 has gone: failover")
    user.observe(story, 2.5)
    return user


def lines_of(scene, width, height):
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    console.print(picture(scene, 12.3, width, height))
    return console.file.getvalue().splitlines()


@pytest.mark.parametrize("foot", ["", "k kill"])
@pytest.mark.parametrize("image", [False, True])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (80, 12), (40, 10), (120, 17), (30, 8)])
def test_the_picture_fits_into_the_terminal(width, height, image, foot):
    story = begun()
    talk(story, range(1, 200), "22222222", 2.0)
    story.killed(3.0, "server B")
    for number in range(20):
        story.line(3.1, "user", f"FAILOVER... {number} " + "x" * 300)
    scene = Scene(story, "A title that is rather long for a small terminal", foot=foot)
    if image:
        scene.image = drawn(story)
    lines = lines_of(scene, width, height)
    assert max(map(len, lines)) <= width
    assert len(lines) <= height
    text = "\n".join(lines)
    assert foot in lines[-1]
    if image:
        assert "▀" * 10 in text
    if width >= 80 and not image:
        words = ("server A", "server B", "killed", "$22222222")
        assert all(w in text for w in words), text


def test_the_pictures_tell_who_is_there():
    story = begun()
    story.killed(2.0, "server B")
    scene = Scene(story, "Title", drawn(story))
    assert lines_of(scene, 80, 24)[0].startswith(" 12.3 s  registrar ●   servers ●A ✖B ●C   user …   Title")
    events = [(e.actor, e.text) for e in story.events[-2:]]
    assert events == [
        ("user", "session 1: PE $22222222 has gone: failover"),
        ("user", "goes on after 0.50 s"),
    ]
    for number in range(20):
        story.expect(f"extra {number}", "server", "SomePool")
    scene.image = None
    lines = lines_of(scene, 80, 24)
    assert len(lines) <= 24
    assert any("extra 3" in x and "not started" in x and "SomePool" in x for x in lines), "too many for boxes"


def test_only_the_time_of_an_event_is_dim():
    story = begun()
    story.killed(2.0, "server B")
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(event_line(story, story.events[-1], 80))
    assert console.file.getvalue().startswith("\x1b[2m  ")
    assert console.file.getvalue().count("\x1b[2") == 1


def test_an_image_that_is_not_complete_is_no_success():
    story = begun()
    user = drawn(story)
    assert "is not complete: 0 %" in demo_image.summary(user, story)[-1]
    assert demo_image.succeeded(user, story), "nobody waited for its end"
    story.actors["user"].completed = True
    assert not demo_image.succeeded(user, story)
    user.saved = "x.png"
    assert demo_image.succeeded(user, story)
    user.moves.append(Move("server C", 1, 3.0, []))
    assert not demo_image.succeeded(user, story), "a part did not go on"


def test_a_terminal_gets_the_last_picture_and_the_summary_at_the_end():
    story = begun()
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    view = TerminalView(console, Scene(story, "Title"))
    view.start()
    view.update(1.0)
    view.finish(2.0, ["It worked."], True)
    live, _, rest = console.file.getvalue().partition("\x1b[?1049l")
    assert live.startswith("\x1b[?1049h")
    assert "It worked." in rest
    assert rest.count("\n") < 24, "picture, summary and prompt fit into the terminal"


def test_plain_lines_where_there_is_no_terminal():
    story = begun()
    console = Console(file=io.StringIO(), force_terminal=False)
    view = PlainView(console, Scene(story, "Title"))
    view.start()
    view.update(1.0)
    view.finish(2.0, ["It worked."], True)
    text = console.file.getvalue()
    assert "\x1b" not in text
    assert text.startswith("  0.00 s  registrar   started, process 100\n")
    assert text.endswith("What happened\n  It worked.\n")


# Keys


def test_keys():
    done = []
    keyboard = Keyboard(
        {"1": "server A", "2": "user"}, lambda a, n: done.append((a, n)), lambda: done.append("end")
    )
    for key in "k1s2kqqx3r2zz1":
        keyboard.press(key)
    assert done == [("kill", "server A"), ("start", "user"), "end", ("restart", "user")]
    keyboard.press("k")
    assert keyboard.words == "kill which? 1 server A  2 user"
    keyboard.press("\x1b")
    assert keyboard.words == "s start  x stop  k kill  r restart  q end"


# Scenarios

SMALL = """
[components.registrar]
[components.server]
count = 2
options = ["-echo"]
[components.user]
program = "pingpongclient"
[script]
steps = [{ start = "server" }, { at = 2.5 }, { wait = 1 }, { wait = "replies", count = 3, within = 4 },
         { kill = "server in use" }, { stop = "server B", at = 3 }]
"""


def test_a_scenario_is_read():
    scenario = load(SMALL)
    assert [(m.name, m.role, m.program, m.pool) for m in scenario.members] == [
        ("registrar", "registrar", "rspregistrar", ""),
        ("server A", "server", "rspserver", "EchoPool"),
        ("server B", "server", "rspserver", "EchoPool"),
        ("user", "user", "pingpongclient", "PingPongPool"),
    ]
    assert [(s.action, s.target, s.amount, s.at) for s in scenario.steps] == [
        ("start", "server", 0.0, None),
        ("wait", "", 0.0, 2.5),
        ("wait", "", 1.0, None),
        ("wait", "replies", 3.0, None),
        ("kill", "server in use", 0.0, None),
        ("stop", "server B", 0.0, 3),
    ]
    assert scenario.limit is None
    assert scenario.steps[3].within == 4


@pytest.mark.parametrize("name", supplied())
def test_those_that_come_with_the_program(name):
    scenario = load(source(name))
    assert scenario.limit is not None
    assert scenario.limit < 30
    assert {m.role for m in scenario.members} == {"registrar", "server", "user"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("[script]", "[skript]"), "'skript' is unknown; there are title, components, script"),
        (("[script]", "[script"), "no TOML"),
        (("count = 2", "count = 0"), "components.server: count must be in 1..26"),
        (("count = 2", 'count = "2"'), "components.server: count = '2' is of the wrong type"),
        (("count = 2", "count = true"), "count = True is of the wrong type"),
        (("-echo", "-eco"), "components.server: unknown option -eco; did you mean -echo?"),
        (('["-echo"]', "[1]"), "options must be texts"),
        (('"pingpongclient"', '"rm"'), "program of a user must be one of pingpongclient"),
        (("[components.user]", "[components.you]"), "components.you: role must be one of registrar, server, user"),
        (
            ('start = "server"', 'start = "sever"'),
            "step 1: there is no component 'sever'; there are registrar, server",
        ),
        (('start = "server"', 'strat = "server"'), "step 1: 'strat' is unknown"),
        (('start = "server"', 'start = "server", kill = "server"'), "step 1: one of start, stop, kill"),
        (('start = "server"', 'start = "server in use"'), "what is in use has been started"),
        (('start = "server"', 'wait = "image", percent = 5'), "there is no fractalpooluser, so 'image' never"),
        (('start = "server"', 'wait = "rain"'), "wait for one of registered, completed"),
        (("count = 3", "percent = 3"), "step 4: count is needed here"),
        (('start = "server"', 'start = "server", count = 3'), "step 1: count is not taken here"),
        (("wait = 1 ", "wait = -1 "), "must not be negative"),
        (("steps =", "limit = 0\nsteps ="), "limit must be in 1..3600"),
    ],
)
def test_a_wrong_scenario_is_refused_with_words(change, words):
    assert change[0] in SMALL
    with pytest.raises(ScenarioError) as caught:
        load(SMALL.replace(*change))
    assert words in str(caught.value)


def test_a_file_that_is_missing_and_one_that_is_wrong(tmp_path, capsys):
    assert rspdemo.main([str(tmp_path / "none.toml")]) == 1
    assert (
        "cannot be read: No such file or directory; a file is needed, or one of fractal" in capsys.readouterr().err
    )
    (tmp_path / "bad.toml").write_bytes(b"\xff")
    assert rspdemo.main([f"-scenario={tmp_path}/bad.toml"]) == 1
    assert "it is no UTF-8 text" in capsys.readouterr().err
    (tmp_path / "empty.toml").write_text("")
    assert rspdemo.main([str(tmp_path / "empty.toml")]) == 1
    assert "there are no components" in capsys.readouterr().err
    assert rspdemo.main(["-print", "pingpong"]) == 0
    assert load(capsys.readouterr().out).members


def staged(text):
    scenario = load(text)
    place = asyncio.run(choose_place(parse(PROGRAM, ["-private"]), 1))
    return Stage(scenario, Story(), place, ("-cspinterval=250",), None)


def test_what_a_target_means_and_how_programs_are_called():
    stage = staged(SMALL)
    assert stage.chosen("server") == ["server A", "server B"]
    with pytest.raises(DemoError, match="no server is in use"):
        stage.chosen("server in use")
    stage.story.actors["server B"].state = IN_USE
    assert stage.chosen("server in use") == ["server B"]
    assert stage.keys == {"1": "registrar", "2": "server A", "3": "server B", "4": "user"}
    for member in stage.scenario.members:
        command = stage._command(member)
        assert "-transport=userland" in command
        assert "-cspinterval=250" in command
        assert ("-echo" in command) == (member.role == "server")
    assert stage._command(stage.members["registrar"])[1] == "-asapannounce=off"


def test_each_start_of_a_program_has_a_capture_of_its_own(tmp_path, capsys):
    stage = staged(SMALL)
    assert not any(o.startswith("-pcap") for o in stage._command(stage.members["server A"]))
    stage._packets = tmp_path
    names = [stage._command(stage.members[n]) for n in ("server A", "server A", "user")]
    expected = ("server-A.pcapng", "server-A-2.pcapng", "user.pcapng")
    assert [next(o for o in c if o.startswith("-pcap=")) for c in names] == [
        f"-pcap={tmp_path}/{n}" for n in expected
    ]
    (tmp_path / "old.pcapng").write_bytes(b"")
    assert rspdemo.main(["pingpong", f"-pcap={tmp_path}"]) == 1
    assert "is not empty" in capsys.readouterr().err


def test_a_condition_that_does_not_come_ends_the_script():
    stage = staged(SMALL.replace('{ start = "server" }, ', "").replace("within = 4", "within = 0"))
    stage._begin -= 100  # nothing to wait for
    with pytest.raises(DemoError, match="replies did not come"):
        asyncio.run(play(stage))


def test_with_ports_of_their_own_programs_are_told_the_registrars_addresses():
    place = asyncio.run(choose_place(parse(PROGRAM, ["-private"]), 3))
    assert "-udp-port=0" in place.others
    assert sum(o.startswith("-registrar=127.0.0.1:386") for o in place.others) == 3
    assert len(place.registrars) == 3
    for options in place.registrars:
        assert sum(o.startswith("-peer=") for o in options) == 2
    assert place.words
    assert asyncio.run(choose_place(parse(PROGRAM, ["-private"]), 0)).registrars == ()
