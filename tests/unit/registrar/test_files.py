"""The files of statistics, actions and scalars have RSPLIB's form."""

import bz2

import pytest

from rserpool.registrar.files import (
    ACTION_HEADER,
    STATISTICS_HEADER,
    ActionLog,
    Averages,
    Clock,
    StatisticsFile,
    write_scalars,
)
from rserpool.wire import asap, enrp
from tests.unit.registrar.kit import OWN, Kit, element

POOL = b"EchoPool"


@pytest.fixture
def kit():
    kit = Kit()
    kit.up(1)
    for i in (1, 2, 1):
        kit.register(1, POOL, i)
    kit.resolve(1, POOL)
    kit.meet(0x200)
    return kit


def read(path):
    data = path.read_bytes()
    return (bz2.decompress(data) if path.suffix == ".bz2" else data).decode().splitlines()


@pytest.mark.parametrize("name", ["s.vec", "s.vec.bz2"])
def test_statistics_and_their_continuation(tmp_path, kit, name):
    path = tmp_path / name
    for _ in range(2):
        now = [1000.0]
        file = StatisticsFile(path, Clock(lambda now=now: now[0], 1000.0))
        now[0] = 1002.5
        file.sample(kit.registrar.state)
        file.close()
    header, first, second = read(path)
    assert header == STATISTICS_HEADER
    row = first.split()
    assert row[:4] == ["000001", "1002.500000", "2.500000", "2.500000"]
    assert [int(x) for x in row[6:]] == [1, 1, 2, 2, 3, 1, 0, 1, 0, 0, 0, 0]
    assert second.split()[0] == "000001"
    assert len(row) == len(header.split()) + 1


def test_actions(tmp_path):
    path = tmp_path / "actions"
    log = ActionLog(path, Clock(lambda: 1001.0, 1000.0))
    log.record("Recv", "asap", asap.encode(asap.Registration(POOL, element(0x12))))
    log.record("Send", "asap", asap.encode(asap.RegistrationResponse(POOL, 0x12, True, 5)))
    record = element(0x12, home=OWN, asap_transport=True)
    log.record("Send", "enrp", enrp.encode(enrp.HandleUpdate(OWN, 0, 1, POOL, record)))
    log.record("Recv", "enrp", enrp.encode(enrp.InitTakeover(0x200, OWN, 0x300)), multicast=True)
    log.record("Recv", "enrp", b"rubbish")
    log.close()
    header, *rows = read(path)
    assert header == ACTION_HEADER
    assert rows == [
        '000001 1001.000000 1.000000   "Recv" "ASAP" "Registration" "Requested"   0 0 0.000000   '
        '"EchoPool" 0x12   0x0 0x0 0x0   0',
        '000002 1001.000000 1.000000   "Send" "ASAP" "RegistrationResponse" "Requested"   1 0 0.000000   '
        '"EchoPool" 0x12   0x0 0x0 0x0   5',
        '000003 1001.000000 1.000000   "Send" "ENRP" "Update" "DelPE"   0 0 0.000000   '
        '"EchoPool" 0x12   0x100 0x0 0x0   0',
        '000004 1001.000000 1.000000   "Recv" "MulticastENRP" "InitTakeover" "Requested"   0 0 0.000000   '
        '"" 0x0   0x200 0x100 0x300   0',
    ]


def test_scalars(tmp_path, kit):
    averages = Averages(0.0)
    averages.look(kit.registrar.state, 10.0)  # nothing for ten seconds, then two elements for thirty
    path = tmp_path / "scalars.bz2"
    write_scalars(path, "pr", kit.registrar.state, averages.values(kit.registrar.state, 40.0))
    lines = read(path)
    assert lines[0] == 'run 1 "scenario"'
    assert 'scalar "pr" "Registrar Total Reregistrations" 1' in lines
    assert 'scalar "pr" "Registrar Average Number Of Pool Elements" 1.500000' in lines
    assert len(lines) == 13
