"""The test tools: what they print and write, and what they refuse."""

import asyncio
import hashlib
import io
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from rserpool_apps import (
    attacker,
    createsummary,
    exectime,
    gettimestamp,
    hrestest,
    make_test_cache,
    testregistrator,
)
from rserpool_apps.options import UsageError, parse, usage

from rserpool.wire.policies import NAMES

from .test_calcapp import TRANSCRIPTS


def tool(name, *words, seconds=20):
    command = [sys.executable, "-m", "rserpool_apps", name, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


# gettimestamp


def test_time_stamps_are_microseconds_and_texts():
    assert gettimestamp.stamp(1_700_000_000_123_456, 2_000_000, False) == "1700000002123456"
    text = gettimestamp.stamp(1_700_000_000_123_456, 500, True)
    assert text == time.strftime("%d-%b-%Y %H:%M:%S", time.localtime(1_700_000_000)) + ".123956, offset is 500us"


def test_the_time_stamp_is_of_now(capsys):
    before = time.time_ns() // 1000
    assert gettimestamp.main(["-offset=1000"]) == 0
    assert before + 1_000_000 <= int(capsys.readouterr().out) <= time.time_ns() // 1000 + 1_000_000


# exectime


def test_commands_and_what_becomes_of_them():
    done = tool("exectime", "exit", "0", "3", "0")
    assert done.returncode == 1
    assert done.stdout == "0\n0\n"
    assert "   - Result 3 - Thread  2: exit 3\n\nDone!" in done.stderr
    assert len(re.findall(r"   - +\d+ms - Thread  [13]: exit 0", done.stderr)) == 2


def test_commands_run_at_the_same_time(tmp_path):
    """Each waits for the other; one after the other, they would fail."""
    script = tmp_path / "meet"
    script.write_text("cd $(dirname $0); touch $1; for i in $(seq 400); do\n[ -e a ] && [ -e b ] && exit 0\n"
                      "sleep 0.05; done; exit 1\n")  # fmt: skip
    done = tool("exectime", f"sh {script}", "a", "b", seconds=60)
    assert (done.returncode, sorted(done.stdout.split())) == (0, ["a", "b"]), done.stderr


def test_outcomes_are_ranked():
    found = [exectime.Outcome(1, "x", "a", 1, 0.1), exectime.Outcome(2, "x", "b", 0, 2.0),
             exectime.Outcome(3, "x", "c", 0, 1.0)]  # fmt: skip
    assert [o.number for o in sorted(found, key=lambda o: o.rank)] == [3, 2, 1]


# execalarm


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [("exit 0", 0, ""), ("exit 4", 1, "ERR\n"), ("sleep 60 & wait", 1, "Timeout!\n")],
)
def test_a_command_with_an_alarm(command, status, said):
    begun = time.monotonic()
    done = tool("execalarm", "0.5" if "sleep" in command else "30", command)
    assert (done.returncode, done.stdout) == (status, said)
    # The pipe is closed only when the child that slept is gone, too.
    assert time.monotonic() - begun < 20


# make-test-cache


def test_cache_files_are_named_by_their_hash(tmp_path):
    assert make_test_cache.main([f"-directory={tmp_path}/c", "-entries=3", "-size=1500000", "-quiet"]) == 0
    files = list((tmp_path / "c").iterdir())
    assert len(files) == 3
    for file in files:
        assert file.stat().st_size == 1_500_000
        assert file.name == hashlib.sha1(file.read_bytes()).hexdigest() + ".data"


def test_a_cache_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "c").write_text("")
    assert make_test_cache.main([f"-directory={tmp_path}/c"]) == 1
    assert "make-test-cache: " in capsys.readouterr().err


# createsummary

SCALARS = 'run 1 "scenario"\nscalar "user[{0}]" "CalcAppPU Speed" {1}\nscalar "user[{0}]" "CalcAppPU Jobs"   {0}\n'


@pytest.fixture
def scalars(tmp_path):
    files = []
    for number, speed in ((1, 10.0), (2, 20.0), (3, 60.0)):
        files.append(tmp_path / f"{number}.sca")
        files[-1].write_text(SCALARS.format(number, speed))
    return list(map(str, files))


def test_a_summary(scalars, capsys):
    assert createsummary.main(["-scalar=*Speed", *scalars]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == list(createsummary.COLUMNS)
    assert row.split() == ["CalcAppPU", "Speed", "3", "30", "26.457513", "10", "60", "90"]


def test_summaries_of_several_settings_in_one_file(scalars, tmp_path):
    for policy, files in (("LeastUsed", scalars[:2]), ("Random", scalars[2:])):
        words = ["-csv", "-append", f"-output={tmp_path}/all.csv", f"-values=policy={policy},load=0.6", *files]
        assert createsummary.main(words) == 0
    assert (tmp_path / "all.csv").read_text().splitlines() == [
        "policy,load,scalar,count,mean,deviation,minimum,maximum,total",
        "LeastUsed,0.6,CalcAppPU Speed,2,15,7.071068,10,20,30",
        "LeastUsed,0.6,CalcAppPU Jobs,2,1.500000,0.707107,1,2,3",
        "Random,0.6,CalcAppPU Speed,1,60,0,60,60,60",
        "Random,0.6,CalcAppPU Jobs,1,3,0,3,3,3",
    ]


def test_the_files_of_our_programs_and_of_the_originals_can_be_summarised(capsys):
    assert (
        createsummary.main(["-object=*pooluser*", str(TRANSCRIPTS / "pu.sca"), str(TRANSCRIPTS / "pe1.sca")]) == 0
    )
    assert "CalcAppPU Total Jobs Completed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-scalar=nothing"], "no file has such a scalar"),
        (["-append"], "-append needs a file"),
        (["-values=mean=1"], "NAME=VALUE"),
        (["-values=x=1", "-append", "-output={}/all.csv"], "has other columns: a,b"),
        (["{}/bad.sca"], "bad.sca, line 2 is no scalar: crap"),
        (["{}/binary"], "is no scalar file"),
        (["{}/missing"], "No such file"),
    ],
)
def test_what_cannot_be_summarised(scalars, tmp_path, capsys, words, said):
    (tmp_path / "all.csv").write_text("a,b\n")
    (tmp_path / "bad.sca").write_text('run 1 "x"\ncrap\n')
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    assert createsummary.main([*(w.format(tmp_path) for w in words), *scalars]) == 1
    assert said in capsys.readouterr().err


def test_arguments_without_end():
    assert list(map(str, parse(createsummary.PROGRAM, ["a", "-csv", "b", "c"]).file)) == ["a", "b", "c"]
    assert usage(createsummary.PROGRAM) == "Usage: createsummary FILE... [-option=value] ..."
    with pytest.raises(UsageError, match="file is missing"):
        parse(createsummary.PROGRAM, [])


# hrestest


def test_statistics_of_resolutions_have_rsplibs_form():
    file = io.StringIO()
    statistics = hrestest.Statistics(file, 0.0)
    for items in (3, 0, 2):
        statistics.count(items)
    head, *rows = file.getvalue().splitlines()
    assert head == "AbsTime RelTime Success Failure"
    assert [re.sub(r"\d+\.\d{6}", "#", row) for row in rows] == [
        "000001   # #   3 0", "000002   # #   3 1", "000003   # #   5 1",
    ]  # fmt: skip
    assert (statistics.runs, statistics.items, statistics.failures) == (3, 5, 1)


def test_statistics_are_written_at_their_interval():
    file = io.StringIO()
    statistics = hrestest.Statistics(file, 1000.0)
    for _ in range(5):
        statistics.count(1)
    assert len(file.getvalue().splitlines()) == 2


def test_the_resolvers_text_at_the_start():
    values = parse(hrestest.PROGRAM, ["-items=3", "-pause=20", "-reportunreachableprobability=0.25"])
    assert [x for x in hrestest.start_text(values, "") if "Transport" not in x] == [
        "RSerPool Handle Resolution Tester - Version 1.0",
        "===============================================",
        "",
        "Pool Handle                    = EchoPool",
        "Items                          = 3",
        "Pause                          = 20ms",
        "Max Runs                       = 0",
        "Report Unreachable Probability = 25.00%",
        "Statistics Interval            = 1000ms",
        "",
    ]


# testregistrator, attacker


@pytest.mark.parametrize(
    ("words", "name", "fields"),
    [
        ([], "RoundRobin", {}),
        (["-policy=wrr", "-weight=3", "-load=7", "-loaddeg=8"], "WeightedRoundRobin", {"weight": 3}),
        (["-policy=weightedrandom"], "WeightedRandom", {"weight": 1}),
        (["-policy=lud", "-load=7", "-loaddeg=8"], "LeastUsedDegradation", {"load": 7, "load_degradation": 8}),
        (["-policy=rplud", "-load=7"], "RandomizedPriorityLeastUsedDegradation", {"load": 7}),
        (["-policy=Priority:9", "-weight=3"], "Priority", {"priority": 9}),
    ],
)
def test_policies_of_registrations(words, name, fields):
    policy = testregistrator.policy_of(parse(testregistrator.PROGRAM, words))
    assert NAMES[policy.type] == name
    values = ("weight", "priority", "load", "load_degradation")
    assert {f: getattr(policy, f) for f in values} == {**dict.fromkeys(values, 0), **fields}


@pytest.mark.parametrize("word", ["-policy=best", "-poolhandle=" + "x" * 28, "-poolelements=0", "-pools=0"])
def test_what_is_not_registered(word):
    with pytest.raises(UsageError):
        parse(testregistrator.PROGRAM, [word])


def test_an_attack_on_another_host_must_be_wanted():
    class Library:
        settings = SimpleNamespace(connect_timeout=1.0, connect_trials=1)

        def __init__(self, local):
            self.local = local

        async def wait_registrar(self, timeout):
            return SimpleNamespace(local=self.local, identifier=7, addresses=("192.0.2.1",))

    asyncio.run(attacker.aim(Library(True), parse(attacker.PROGRAM, [])))
    asyncio.run(attacker.aim(Library(False), parse(attacker.PROGRAM, ["-remote"])))
    with pytest.raises(attacker.Remote, match=r"\$00000007 at 192.0.2.1 is of another host"):
        asyncio.run(attacker.aim(Library(False), parse(attacker.PROGRAM, [])))


@pytest.mark.parametrize("wait", [True, False])
def test_attacks_have_a_number(wait):
    done = []

    async def once():
        done.append(1)

    asyncio.run(attacker.attack(once, parse(attacker.PROGRAM, ["-count=1200", "-interval=0.0001"]), wait))
    assert len(done) == 1200


def test_an_attackers_policy():
    values = parse(attacker.PROGRAM, ["-policy=LeastUsedDegradation:0.5", "-loaddegoverride=1"])
    assert attacker.policy_of(values).load_degradation == 0xFFFFFFFF
    values = parse(attacker.PROGRAM, ["-policy=LeastUsedDegradation:0.5"])
    assert attacker.policy_of(values).load_degradation == round(0.5 * 0xFFFFFFFF)
