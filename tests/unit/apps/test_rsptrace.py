"""rsptrace on captures of the real programs: who is who, what happened, pictures, filters; bad files."""

import asyncio
import json
import re
import struct
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rserpool_apps import rsptrace
from rserpool_apps.trace_input import Once
from rserpool_apps.trace_lanes import ASCII, Cast, Lanes, Plain, present
from rserpool_apps.trace_names import USER, real
from rserpool_apps.trace_pictures import json_line, mermaid, svg
from rserpool_apps.trace_story import GROUPS, Story
from rserpool_apps.trace_summary import lines

from pysctplib.trace.pcapng import Writer
from pysctplib.trace.reader import CaptureError, Reader
from pysctplib.wire import chunks, packet
from rserpool.explain.csp import explain as explain_csp
from rserpool.services import scripting
from rserpool.wire import asap, csp
from rserpool.wire.types import SCTP, Policy, PoolElement, Transport

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests" / "golden"
FAILOVER, TAKEOVER = str(GOLDEN / "06-pingpong-failover.pcap"), str(GOLDEN / "04b-takeover-complete.pcap")


@pytest.fixture(autouse=True)
def width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture
def run(capsys):
    def call(*words, status=0):
        assert rsptrace.main([str(w) for w in words]) == status
        return capsys.readouterr()

    return call


def told(data):
    """The story of a capture and its events."""
    story, once, reader = Story(), Once((9899,)), Reader()
    events = [e for f in reader.feed(data) for d in once.datagrams(f) for e in story.packet(d)]
    reader.finish()
    return story, events


def drawn(story, events):
    """All pictures of a story."""
    begin = story.begin or 0.0
    cast = Cast()
    for view in (Lanes(cast, 80, ASCII, True), Plain(cast, True, True)):
        for line in [*view.begin(present(events)), *(line for e in events for line in view.event(e, begin))]:
            assert "\n" not in "".join(part for part, _ in line)
    ElementTree.fromstring(svg(events, cast, begin, "title"))
    check_mermaid(mermaid(events, cast))
    for event in events:
        json.loads(json_line(event, cast, begin))
    assert list(lines(story, cast, once_counts := Once(()).counts)) and not once_counts


NAME = r"(?:PR|PE|PU|CM|EP)\d+"
MERMAID = re.compile(
    rf"    (?:participant {NAME} as [^;#<>\n]+|{NAME}(?:->>|--x){NAME}: (?:[^;#<>%\n]|#(?:\d+|lt|gt);)+"
    rf"|Note over {NAME}(?:,{NAME})?: (?:[^;#<>%\n]|#(?:\d+|lt|gt);)+)"
)


def check_mermaid(text):
    head, *rest = text.splitlines()
    assert head == "sequenceDiagram"
    for line in rest:
        assert MERMAID.fullmatch(line), line


def blocks():
    """(command, output) in the reference and the lab: blocks that begin with `$ rsptrace`."""
    for page in ("docs/reference/rsptrace.md", "docs/labs/failover-and-takeover.md"):
        text = (ROOT / page).read_text()
        for block in re.findall(r"^```console\n(\$ rsptrace .*?)^```$", text, re.DOTALL | re.MULTILINE):
            command, _, output = block.partition("\n")
            yield pytest.param(command[2:].split()[1:], output, id=f"{Path(page).stem}: {command[11:60]}")


@pytest.mark.parametrize(("words", "output"), list(blocks()))
def test_the_documentation_shows_what_is_printed(run, monkeypatch, words, output):
    """A line of dots stands for lines that are left out."""
    monkeypatch.chdir(GOLDEN)
    pattern = re.escape(output).replace(re.escape("[...]\n"), r"(?:.*\n)+?")
    out = run(*words).out
    assert re.fullmatch(pattern, out), out


def test_who_is_who(run):
    legend = [line for line in run(FAILOVER, "-plain").out.splitlines() if line.startswith("#")]
    assert [line.split(" at ")[0] for line in legend] == [
        "# PR1  registrar $1ab8833f",
        '# PE1  pool element $22222222 of "PingPongPool"',
        '# PE2  pool element $11111111 of "PingPongPool"',
        '# PE3  pool element $33333333 of "PingPongPool"',
        "# PU1  pool user",
    ]


def test_failovers_are_those_that_the_program_told_of():
    """The real pingpongclient printed a line for each failover; the counter goes on over all of them."""
    story, events = told(Path(FAILOVER).read_bytes())
    transcript = (GOLDEN / "transcripts" / "06-pingpong-failover" / "pingpongclient.txt").read_text()
    assert len(story.failovers) == transcript.count("FAILOVER...\n") == 13
    servers = [(real(f.old).identifier, real(f.new).identifier) for f in story.failovers]
    assert servers[:3] == [(0x22222222, 0x11111111), (0x11111111, 0x33333333), (0x33333333, 0x22222222)]
    # The second server was killed later: nothing goes there any more.
    assert 0x22222222 not in {new for _, new in servers[6:]}
    (user,) = {real(f.user) for f in story.failovers}
    assert user.role == USER and user.sessions == {0x11111111, 0x22222222, 0x33333333}
    marks = [e for e in events if e.mark.startswith("failover")]
    assert [e.explanation.title for e in marks] == ["ASAP_COOKIE_ECHO"] * 13


def test_a_takeover_has_a_winner_a_loser_and_its_elements():
    story, _ = told(Path(TAKEOVER).read_bytes())
    lost, won = story.takeovers
    assert (lost.by, lost.target, lost.elements) == (0xCCCCCCCC, 0xAAAAAAAA, {})
    assert (won.by, won.target, won.agreed) == (0xBBBBBBBB, 0xAAAAAAAA, {0xCCCCCCCC})
    assert set(won.elements) == {0x11111111, 0x22222222}


def test_the_picture_fits_the_terminal(run, monkeypatch):
    for columns in (80, 120, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        for words in ((FAILOVER,), (TAKEOVER, "-verbose"), (TAKEOVER, "-clock")):
            out = run(*words, "-hide=monitoring").out
            assert max(map(len, out.splitlines())) <= columns
            assert "►" in out


def test_more_lanes_than_there_is_place_for_become_plain_lines(run):
    out = run(GOLDEN / "12-udp-encap.pcap").out.splitlines()
    assert out[0].startswith("# 23 lanes do not fit")
    assert any(re.search(r"EP1 > EP2 Data: 5 bytes: hello$", line) for line in out)


def test_ascii_where_the_terminal_has_nothing_else():
    story, events = told(Path(TAKEOVER).read_bytes())
    view = Lanes(Cast(), 80, ASCII)
    text = [line for e in events for line in view.event(e, story.begin)]
    assert any("|<---" in part for line in text for part, _ in line)


def test_pool_users_reports_are_joined_with_their_sessions():
    story, _ = told((GOLDEN / "10-csp.pcap").read_bytes())
    users = [c for c in story.names.components if c.role == USER]
    assert len(users) == 3 and all(c.identifier and c.ends and c.sessions for c in users)


@pytest.mark.parametrize("group", GROUPS)
def test_groups_choose(run, group):
    capture = GOLDEN / ("10-csp.pcap" if group in ("csp", "calcapp", "data") else "06-pingpong-failover.pcap")
    objects = [json.loads(line) for line in run(capture, f"-only={group}", "-json").out.splitlines()]
    rest = [json.loads(line) for line in run(capture, "-only=all", f"-hide={group}", "-json").out.splitlines()]
    everything = run(capture, "-only=all", "-json").out.splitlines()
    assert len(objects) + len(rest) == len(everything)
    assert group == "all" or all(group in o["groups"] for o in objects)
    missing = ("fractal", "calcapp", "scripting", "loss", "error", "data", "csp")
    assert objects or group in missing


def test_pool_element_and_time_choose(run):
    def chosen(*words):
        return [json.loads(line) for line in run(*words, "-json").out.splitlines()]

    capture = GOLDEN / "10-csp.pcap"
    echo = chosen(capture, "-pool=EchoPool", "-only=asap,data")
    assert {o["message"] for o in echo} >= {"ASAP_REGISTRATION", "ASAP_HANDLE_RESOLUTION", "Data"}
    assert not any("PingPongPool" in o["text"] for o in echo)
    one = chosen(FAILOVER, "-element=0x33333333", "-only=pingpong")
    assert one and all("pool element $33333333" in (o["sender"], o["receiver"]) for o in one)
    early = chosen(FAILOVER, "-from=7", "-to=8")
    assert early and all(7 <= o["time"] <= 8 for o in early)
    assert run(FAILOVER, "-pool=NoSuchPool").err.startswith("rsptrace: nothing to be shown among 664 packets")


def test_files_are_written(run, tmp_path):
    picture, diagram = tmp_path / "a.svg", tmp_path / "a.mmd"
    out = run(TAKEOVER, f"-svg={picture}", f"-mermaid={diagram}", "-hide=setup,teardown").out
    assert out == ""
    root = ElementTree.parse(picture).getroot()
    titles = [t.text for t in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any("home registrar of PE $22222222" in (t or "") and "RFC 5352 section 2.2.7" in t for t in titles)
    assert int(root.get("height")) > 100
    check_mermaid(diagram.read_text())
    assert "PR2->>PE1: ASAP_ENDPOINT_KEEP_ALIVE: with H bit" in diagram.read_text()
    assert run(TAKEOVER, "-mermaid=-", "-only=enrp", "-to=9").out.startswith("sequenceDiagram\n")
    assert "50000" in run(GOLDEN / "09-scripting.pcap", "-mermaid=-", "-only=all").err
    assert "No such file" in run(TAKEOVER, "-svg=/no/such/folder/x.svg", status=1).err


def test_names_from_the_network_cannot_break_a_picture():
    """A pool handle with everything that is special to terminals, XML and Mermaid."""
    handle = b'x\x1b[2J;#<end>%%&"]]>\n'
    element = PoolElement(7, 0, 1000, Transport(SCTP, 5, ("10.0.0.1",)), Policy(1))
    messages = [(11, asap.encode(asap.Registration(handle, element))),
                (35, scripting.encode(scripting.Ready("\x1b]0;title\x07")))]  # fmt: skip
    data = b"".join(chunks.encode(chunks.Data(3, t, 0, 0, ppid, m)) for t, (ppid, m) in enumerate(messages))
    story = Story()
    sctp = packet.pack(1000, 3863, 9, [data])
    events = list(story.packet(next(Once(()).datagrams(frame(sctp)))))
    drawn(story, events)
    text = svg(events, Cast(), 0.0, "t") + mermaid(events, Cast())
    assert "\x1b" not in text and "\x07" not in text


def frame(sctp):
    from pysctplib.trace.reader import Frame

    return Frame(0.0, 248, sctp)


def test_output_has_no_control_characters(run, tmp_path):
    writer = Writer(tmp_path / "x.pcapng")
    ready = scripting.encode(scripting.Ready("\x1b]0;title\x07"))
    data = packet.pack(1, 2, 3, [chunks.encode(chunks.Data(3, 1, 0, 0, 35, ready))])
    writer.add(0, ("10.0.0.1", 9899), ("10.0.0.2", 9899), data)
    writer.close()
    for words in ((), ("-plain",), ("-verbose",), ("-summary",)):
        out = run(tmp_path / "x.pcapng", *words).out
        assert out and all(c.isprintable() or c == "\n" for c in out)


def test_what_several_programs_wrote_counts_once(run, tmp_path):
    """The sender's file and the receiver's, with the same packets a little later, and a retransmission."""
    first, second = (Writer(tmp_path / f"{name}.pcapng") for name in "ab")
    one, other = ("10.0.0.1", 9899), ("10.0.0.2", 9899)
    same = packet.pack(1, 2, 3, [chunks.encode(chunks.Data(3, 7, 0, 0, 0, b"x"))])
    for time in (1.0, 2.0):
        first.add(time, one, other, same)
        second.add(time + 0.0001, one, other, same)
    second.add(3.0, other, one, packet.pack(2, 1, 4, [chunks.encode(chunks.Sack(7, 1500))]))
    for writer in (first, second):
        writer.close()
    summary = run(tmp_path, "-summary").out
    assert summary.startswith("3 packets in 2.000 s")
    assert "1 retransmissions" in summary and "2 packets that another file has, too" in summary
    plain = run(tmp_path / "b.pcapng", tmp_path / "a.pcapng", "-plain", "-only=all").out
    assert re.findall(r"EP\d > EP\d (\w+(?: \w+)?)", plain) == ["Data", "SCTP DATA", "SCTP SACK"]


def test_files_that_are_wrong(run, tmp_path):
    text, empty, cut = tmp_path / "text.pcap", tmp_path / "empty.pcap", tmp_path / "cut.pcap"
    text.write_text("this is not a capture")
    empty.write_bytes(b"")
    cut.write_bytes(Path(FAILOVER).read_bytes()[:20000])
    assert run(text, status=1).err == f"rsptrace: {text}: neither pcap nor pcapng\n"
    assert run(empty, status=1).err == f"rsptrace: {empty}: the file is empty\n"
    assert run(tmp_path / "none.pcap", status=1).err.endswith("none.pcap: No such file or directory\n")
    assert "1 last packet cut off" in run(cut, "-summary").out
    done = run(text, cut, "-plain", status=1)
    assert "ASAP_REGISTRATION" in done.out and "neither pcap nor pcapng" in done.err
    broken = tmp_path / "broken.pcap"
    broken.write_bytes(cut.read_bytes()[:-100] + b"\xff" * 200)
    assert "damaged at byte" in run(broken, "-summary", status=1).err
    (tmp_path / "folder").mkdir()
    assert "no capture is in this folder" in run(tmp_path / "folder", status=1).err


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "give captures to be read"),
        (["-interface=lo", FAILOVER], "not both"),
        ([FAILOVER, "-only=asap,nonsense"], "'nonsense' is none of asap, enrp"),
        ([FAILOVER, "-element=x"], "not an identifier"),
        (["-interface=nosuchif0"], "interface nosuchif0: No such device"),
    ],
)
def test_wrong_command_lines(run, words, error):
    if words == ["-interface=nosuchif0"]:
        from rserpool_apps.trace_input import InputError, open_interface

        with pytest.raises(InputError, match=r"No such device|needs root"):
            open_interface("nosuchif0")
        return
    assert error in run(*words, status=1).err


def test_following_files_that_begin_again(tmp_path, monkeypatch):
    """A program that is started again writes its file anew; of several files each packet is told once."""
    from rserpool_apps import trace_input

    monkeypatch.setattr(trace_input, "POLL", 0)
    one, other = ("10.0.0.1", 9899), ("10.0.0.2", 9899)

    def packets(*tsns):
        return [packet.pack(1, 2, 3, [chunks.encode(chunks.Data(3, tsn, 0, 0, 0, b"x"))]) for tsn in tsns]

    def write(name, datas, append=False):
        writer = Writer(tmp_path / name, append)
        for data in datas:
            writer.add(1.0, one, other, data)
        writer.close()

    write("a", packets(1, 2, 3))
    write("b", packets(1))
    found = []

    async def work(sources):
        async for datagram in trace_input.follow(sources, Once((9899,), 2)):
            found.append(datagram.data)
            if len(found) == 3:
                write("b", packets(4), append=True)
            elif len(found) == 4:
                write("a", packets(5))  # shorter than it was
            elif len(found) == 5:
                return

    with trace_input.open_sources([str(tmp_path / "a"), str(tmp_path / "b")], follow=True) as sources:
        asyncio.run(asyncio.wait_for(work(sources), 20))
    assert found == packets(1, 2, 3, 4, 5)
    assert all(source.file.closed for source in sources)


SMALL = [path.read_bytes()[:size] for path, size in (
    (Path(TAKEOVER), 24000), (Path(FAILOVER), 12000), (GOLDEN / "09-scripting.pcap", 30000),
    (GOLDEN / "10-csp.pcap", 24000), (GOLDEN / "12-udp-encap.pcap", 16000))]  # fmt: skip


def test_what_a_report_says_makes_no_lines_of_its_own():
    report = csp.Report(csp.component(csp.POOL_USER, 1), 0, 0, location="lab\n1", status="\x1b[2J\n2")
    data = csp.encode(report)
    story, events = told((GOLDEN / "10-csp.pcap").read_bytes())
    event = next(e for e in events if e.protocol == "CSP")
    drawn(story, [replace(event, explanation=explain_csp(csp.decode(data)))])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, len(SMALL) - 1),  # for captures themselves, Hypothesis warns of long texts and tells no fault
    st.lists(st.tuples(st.integers(24, 29999), st.binary(min_size=1, max_size=4)), max_size=40),
    st.integers(0, 30000),
)  # fmt: skip
def test_mutated_captures_never_crash(which, changes, size):
    noisy = bytearray(SMALL[which])
    for place, content in changes:
        noisy[place : place + len(content)] = content
    try:
        story, events = told(bytes(noisy[: max(size, 24)]))
    except CaptureError:
        return
    drawn(story, events[:200])


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([11, 12, 32, 33, 34, 35, 0]), st.binary(max_size=80), st.binary(max_size=60))
def test_messages_and_datagrams_of_noise_never_crash(ppid, message, other):
    data = struct.pack(">BBHLHHL", 0, 3, 16 + len(message), 1, 0, 0, ppid) + message
    story = Story()
    events = list(story.packet(next(Once(()).datagrams(frame(packet.pack(1, 2, 3, [data, other]))))))
    drawn(story, events)
