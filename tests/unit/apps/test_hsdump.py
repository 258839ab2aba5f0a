"""Handlespaces as text, beside what RSPLIB's hsdump printed of the same handle tables; as table and as JSON."""

import io
import json
import random
import re
from pathlib import Path

import pytest
from rich.console import Console
from rserpool_apps import handlespace_text
from rserpool_apps.hsdump import PROGRAM
from rserpool_apps.options import UsageError, parse

from rserpool.handlespace import Handlespace
from rserpool.wire import enrp
from tests.pcaps import user_messages

GOLDEN = Path(__file__).parents[2] / "golden"
OWN = 0x52A41D56


def handlespace(capture):
    """What hsdump received in a capture."""
    space = Handlespace(random.Random(1))
    for message in user_messages(GOLDEN / f"{capture}.pcap"):
        if message.ppid == enrp.PPID:
            table = enrp.decode(message.data)
            if isinstance(table, enrp.HandleTableResponse):
                for handle, record in table.entries:
                    space.register(handle, record, 0.0)
    return space


def comparable(lines):
    """Without flags of RSPLIB's implementation, sequence numbers, and the dump's own identifier."""
    for line in lines:
        line = re.sub(r" flags=\S+|val=\d+ |seq=\d+ |\$[0-9a-f]{8}\]|s/w=\S+(?=})|rd=\d+ vrt=\d+ ", "", line)
        if line.strip():
            yield line.rstrip()


@pytest.mark.parametrize("capture", ["11-policy-LeastUsed", "11-policy-Priority_7", "11-policy-RoundRobin",
                                     "11-policy-WeightedRandom_5"])  # fmt: skip
def test_the_same_table_gives_the_same_text_as_the_original(capture):
    printed = (GOLDEN / "transcripts" / capture / "hsdump.txt").read_text().splitlines()
    begin = next(i for i, x in enumerate(printed) if x.startswith("Handlespace["))
    # RSPLIB prints checksums as they lie in the memory of a PC, ours are printed as on the wire, where both agree.
    swapped = (re.sub(r"(?<==)\$0000(..)(..)(?=[, ]|$)", r"$0000\2\1", x) for x in printed[begin:])
    theirs = list(comparable(x for x in swapped if not x.startswith("#")))
    ours = list(comparable(handlespace_text.text_lines(handlespace(capture), OWN)))
    assert ours == theirs
    assert len(ours) > 20


def test_json():
    space = handlespace("11-policy-Priority_7")
    found = json.loads(json.dumps(handlespace_text.as_json(space, [], 0xAAAAAAAA)))
    assert found["registrar"] == "$aaaaaaaa"
    (pool,) = found["pools"]
    assert (pool["handle"], pool["policy"], pool["control_channel"]) == ("EchoPool", "Priority", True)
    first, second = pool["elements"]
    assert (first["id"], second["id"]) == ("$11111111", "$22222222")
    assert first["policy"]["priority"] == 7
    assert first["user"]["addresses"] == ["10.255.255.1", "fd00:255::1"]
    assert found["checksums"] == {"$aaaaaaaa": "0xbe3c"}


def test_the_table_fits_into_a_terminal():
    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system=None)
    console.print(handlespace_text.table(handlespace("11-policy-Priority_7"), [], 1))
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("Registrar $00000001: 1 pool, 2 pool elements, 0 other registrars")
    assert "Priority:7" in "\n".join(lines)


def test_the_address_is_needed():
    for words in ([], ["127.0.0.1"], ["127.0.0.1:9901", "more"]):
        with pytest.raises(UsageError):
            parse(PROGRAM, words)
