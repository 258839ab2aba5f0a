"""The examples on RSPLIB's functions as programs: with our registrar, and with the originals in the lab."""

import re
import signal
import sys

import pytest

from .helpers import ROOT, run_in_guest
from .programs import ours, running

EXAMPLES = ROOT / "docs" / "examples" / "rsp"
GROUP = "239.77.5.1"
MULTICAST = f"-asapannounce={GROUP}:17863"


def example(name, *options):
    return [sys.executable, str(EXAMPLES / f"{name}.py"), *options]


def test_ping_pong_with_failover():
    """Two servers that fail after five replies each: the client's replies are counted on without a gap."""
    private = "--udp-port=0"
    registrar = ours(
        "rspregistrar",
        "-transport=userland",
        private,
        MULTICAST,
        "-enrpannounce=off",
        "-mentordiscoverytimeout=500",
    )
    server = example("pingpong_server", private, MULTICAST, "--failure-after=5")
    with running(registrar), running(server) as one, running(server) as two:
        identifiers = {p.expect(r"registered PingPongPool \$([0-9a-f]{8})", 20)[1] for p in (one, two)}
        with running(example("pingpong_client", private, MULTICAST, "--count=22")) as client:
            assert client.popen.wait(60) == 0, client.output
        client.expect("Ack")
        acks = client.matches(r"Ack #\d+ from PE \$([0-9a-f]{8}) \(reply #(\d+)\)")
        assert [int(m[2]) for m in acks] == list(range(1, 23)), client.output
        assert {m[1] for m in acks} == identifiers
        client.expect(r"RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_COMPLETE, cookie=yes", count=4)
        assert one.end(signal.SIGINT) == 0 and two.end(signal.SIGTERM) == 0
        assert "Traceback" not in one.output + two.output + client.output


def test_bad_arguments():
    for name in ("pingpong_server", "pingpong_client"):
        with running(example(name, "-registrar=nowhere")) as program:
            assert program.popen.wait(20) == 1
            program.expect("Bad argument")


SCRIPT = """
where=-registrar=10.255.255.1:3863
cd $(mktemp -d)
until_said() {{ for i in $(seq 300); do grep -q "$2" $1 && return; sleep 0.1; done; cat $1; }}
rspregistrar -asap=10.255.255.1:3863 -enrp=10.255.255.1:9901 -loglevel=4 > registrar.log 2>&1 & one=$!
sleep 1
stdbuf -oL rspserver -pingpong -pppfailureafter=4 $where > theirs.log 2>&1 & two=$!
{python} {examples}/pingpong_server.py $where --failure-after=4 > ours.log 2>&1 & three=$!
until_said theirs.log Identifier
until_said ours.log registered
echo client of ours
timeout 60 {python} {examples}/pingpong_client.py $where --count=14 2>&1
echo status $?
echo client of theirs
timeout -s INT 8 stdbuf -oL pingpongclient $where -interval=200 2>&1
kill $two $three; wait $two $three
kill $one; wait $one
echo all logs
tail -n 100 *.log
"""


@pytest.mark.lab
def test_with_the_original_programs_over_kernel_sctp():
    """The original registrar; a pool of one original server and one of ours; then both clients use both."""
    script = SCRIPT.format(python=sys.executable, examples=EXAMPLES)
    done = run_in_guest(["bash", "-c", script], timeout=150)
    assert "all logs" in done.stdout, done.stdout + done.stderr
    _, mine, theirs, _ = re.split("client of ours|client of theirs|all logs", done.stdout)
    assert "status 0" in mine, done.stdout + done.stderr
    replies = [int(n) for n in re.findall(r"\(reply #(\d+)\)", mine)]
    assert replies == list(range(1, 15)), done.stdout + done.stderr
    assert len(set(re.findall(r"from PE (\$[0-9a-f]{8})", mine))) == 2, done.stdout
    assert "RSERPOOL_FAILOVER_COMPLETE, cookie=yes" in mine
    replies = [int(n) for n in re.findall(r"\(reply #(\d+)\)", theirs)]
    assert len(replies) > 8 and replies == list(range(1, len(replies) + 1)), theirs
    assert len(set(re.findall(r"from PE (\$[0-9a-f]{8})", theirs))) == 2, done.stdout
