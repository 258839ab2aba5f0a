"""The option layer: spellings, defaults, errors, help."""

import os
import subprocess
import sys

import pytest
from rserpool_apps.options import Argument, Group, Option, Program, UsageError, command_line, help_text, parse
from rserpool_apps.values import integer, milliseconds, text

PROGRAM = Program(
    "rspthing",
    "Does things.",
    (
        Group(
            "Things",
            (
                Option("interval", "time between things", milliseconds(10), "500", "MS"),
                Option("poolhandle", "the pool", text, "EchoPool"),
                Option("peer", "another thing", text, repeat=True, metavar="ADDRESS"),
                Option("quiet", "no text"),
                Option("compact", "short lines", dest="form", value="compact"),
                Option("full", "long lines", dest="form", value="full"),
                Option("max-rate", "limit", integer(-1, 10), "-1", "N", old=("maxrate",)),
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    "words",
    [
        ["-interval=20"],
        ["--interval=20"],
        ["--interval", "20"],
        ["-interval", "20"],
        ["-interval=10", "-interval=20"],
    ],
)
def test_every_spelling_of_an_option_with_a_value(words):
    assert parse(PROGRAM, words).interval == 0.02


def test_defaults_are_parsed_like_what_users_write():
    values = parse(PROGRAM, [])
    assert (values.interval, values.poolhandle, values.peer, values.quiet, values.form, values.max_rate) == (
        0.5, "EchoPool", [], False, None, -1,
    )  # fmt: skip
    assert values.given == set()


def test_flags_repeated_options_shared_targets_and_former_names():
    values = parse(PROGRAM, ["-quiet", "-peer=a", "--peer", "b", "--compact", "-full", "-maxrate=3"])
    assert (values.quiet, values.peer, values.form, values.max_rate) == (True, ["a", "b"], "full", 3)
    assert values.given == {"quiet", "peer", "compact", "full", "max-rate"}


def test_negative_numbers_are_values_not_options():
    assert parse(PROGRAM, ["--max-rate", "-1"]).max_rate == -1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-intervall=5"], "did you mean -interval?"),
        (["-nonsense"], "unknown option -nonsense"),
        (["-interval=5"], "option -interval=5: must be at least 10"),
        (["-interval=soon"], "not a number"),
        (["-interval"], "needs a value: -interval=MS"),
        (["--interval", "-quiet"], "needs a value"),
        (["-quiet=yes"], "takes no value"),
        (["-poolhandle="], "must not be empty"),
        (["word"], "unexpected argument 'word'"),
    ],
)
def test_errors_say_what_is_wrong(words, text):
    with pytest.raises(UsageError) as error:
        parse(PROGRAM, words)
    assert text in str(error.value)


def test_errors_end_with_status_1_and_usage(capsys):
    assert command_line(PROGRAM, ["-what"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[:2] == ["rspthing: unknown option -what", "Usage: rspthing [-option=value] ..."]


@pytest.mark.parametrize("word", ["-help", "--help", "-h"])
def test_help_shows_groups_and_defaults(word, capsys):
    assert command_line(PROGRAM, ["-quiet", word]) == 0
    out = capsys.readouterr().out
    assert "Things:\n" in out
    assert "-interval=MS" in out
    assert "[500]" in out
    assert "(repeatable)" in out


@pytest.mark.parametrize("width", [60, 80, 100])
def test_help_keeps_to_the_terminals_width(width):
    assert max(map(len, help_text(PROGRAM, width).splitlines())) <= width


def test_version(capsys):
    assert command_line(PROGRAM, ["--version"]) == 0
    assert capsys.readouterr().out.startswith("rspthing (pyrserpool ")


def test_arguments():
    program = Program("hsthing", "x", PROGRAM.groups, (Argument("address", "where", text),))
    assert parse(program, ["-quiet", "here:1"]).address == "here:1"
    with pytest.raises(UsageError, match="address is missing"):
        parse(program, [])
    assert parse(program, ["--", "-odd"]).address == "-odd"


def test_help_into_a_pipe_that_nobody_reads_is_no_error():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "rserpool_apps", "rspserver", "--help"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
