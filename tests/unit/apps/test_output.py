"""What the programs print at the start, line by line beside what RSPLIB's programs printed."""

import re
from pathlib import Path

import pytest
from rserpool_apps import logs, rspregistrar, rspserver, rspterminal, servers
from rserpool_apps.options import parse

TRANSCRIPTS = Path(__file__).parents[2] / "golden" / "transcripts"


def printed(name, first, last):
    """The lines of a transcript from one to another, without those of the log."""
    lines = (TRANSCRIPTS / name).read_text().splitlines()
    lines = [x for x in lines if not re.match(r"\d\d-\w{3}-\d{4} ", x)]
    begin = next(i for i, x in enumerate(lines) if x.startswith(first))
    end = next(i for i, x in enumerate(lines) if x.startswith(last))
    return lines[begin : end + 1]


def test_rspserver_begins_like_the_original():
    values = parse(rspserver.PROGRAM, ["-echo"])
    ours = rspserver.start_text(servers.service_of(values), values, "anything")
    assert [x for x in ours if "Transport" not in x] == printed(
        "01-asap-basic/pe-echo.txt", "Echo Server", "      Weight DPF"
    )


def test_rspregistrar_begins_like_the_original():
    words = ["-endpointkeepalivetransmissioninterval=2000", "-endpointkeepalivetimeoutinterval=2000"]
    config = rspregistrar.config_of(parse(rspregistrar.PROGRAM, words))
    ours = rspregistrar.start_text(config, 0x9272B40C, 46445, 24584, "anything", False)[3:-1]
    theirs = printed("01-asap-basic/registrar.txt", "Server ID", "   Max Endpoint Unreachable Rate")
    differences = [
        ("Min Address Scope:      site-local", "Min Address Scope:      site-local; loopback within this host"),
        ("Daemon Mode:            off", "Daemon Mode:            off\nTransport:              anything"),
        ("Cylce", "Cycle"),
        # Ours has no timer of that kind: keep-alives do it.
        ("   Endpoint Monitoring SCTP Heartbeat Interval: 1000ms\n", ""),
    ]  # fmt: skip
    expected = "\n".join(theirs) + "\n"
    for old, new in differences:
        assert old in expected
        expected = expected.replace(old, new)
    assert "\n".join(ours) + "\n" == expected


def test_time_stamps(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert logs.stamp(1795427130.7346) == "23-Nov-2026 09:45:30.7346: "
    assert logs.stamp(0.00009999) == "01-Jan-1970 00:00:00.0000: "


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Hello 1\n", "Hello 1"),
        (b"a\x07b\x00\r\n", "a.b"),
        ("Grüße\n".encode(), "Grüße"),
        (b"\xff\n", "\ufffd"),
        (b"\n", ""),
    ],
)
def test_messages_are_made_printable(data, text):
    assert rspterminal.printable(data) == text


def test_the_character_generator_sends_the_originals_pattern():
    data = servers.pattern()
    assert len(data) == 1024
    assert data[:4] == bytes([30, 31, 32, 33])
    assert data[97:99] == bytes([127, 30])


def test_registrar_options_reach_the_settings():
    words = (
        "-identifier=0x12345678 -asap=127.0.0.1:3863 -enrp=127.0.0.1:9901 -asapannounce=off -peer=127.0.0.2 "
        "-peer=127.0.0.3:99/20000 -maxhresitems=7 -maxhrrate=2.5 -serverannouncecycle=200 -autoclosetimeout=60 "
        "-supporttakeoversuggestion -profile=fast-lab -announcettl=3"
    )
    config = rspregistrar.config_of(parse(rspregistrar.PROGRAM, words.split()))
    config.validate()
    assert (config.identifier, config.asap_port, config.asap_announce, config.announce_ttl) == (
        0x12345678,
        3863,
        None,
        3,
    )
    assert [(p.addresses, p.port, p.udp_port) for p in config.peers] == [
        (("127.0.0.2",), 9901, 9899),
        (("127.0.0.3",), 99, 20000),
    ]
    assert (config.max_answer_items, config.max_resolution_rate, config.autoclose) == (7, 2.5, 60)
    assert (config.server_announce_cycle, config.heartbeat_cycle) == (0.2, 0.25), "by name, and by profile"
    assert config.takeover_suggestion


def test_every_setting_has_the_originals_default():
    config = rspregistrar.config_of(parse(rspregistrar.PROGRAM, []))
    assert config == type(config)()
    for option, field in rspregistrar.FIELDS.items():
        assert getattr(parse(rspregistrar.PROGRAM, []), option) == getattr(config, field), option


@pytest.mark.parametrize("name", ["rspregistrar", "rspserver", "rspterminal", "pingpongclient", "rspdemo"])
def test_help_of_every_program(name):
    import importlib

    from rserpool_apps.options import help_text

    program = importlib.import_module(f"rserpool_apps.{name}").PROGRAM
    names = [o.name for o in program.options()]
    assert len(names) == len(set(names)), "an option stands twice"
    text = help_text(program, 80)
    assert max(map(len, text.splitlines())) <= 80
    for option in program.options():
        assert f"-{option.name}" in text
