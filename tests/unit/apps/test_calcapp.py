"""CalcApp's statistics files and texts in the form of RSPLIB's."""

import re
from pathlib import Path

from rserpool_apps import calcapp_service, calcappclient, rspserver
from rserpool_apps.calcapp_job import Job
from rserpool_apps.options import parse
from rserpool_apps.scalars import write_scalars

from rserpool.services.calcapp import REQUEST, Message
from rserpool.services.calcapp_server import Server

TRANSCRIPTS = Path(__file__).parents[2] / "golden" / "transcripts" / "08-calcapp"


class Silent:
    """Swallows output."""

    def __init__(self):
        self.lines = []

    def line(self, text=""):
        self.lines.append(text)


def shape(text):
    """A file with its numbers blotted out."""
    return re.sub(r"\d+(\.\d+)?(e\+\d+)?", "#", re.sub(r" +", " ", text))


def test_the_clients_files_have_the_originals_form(tmp_path):
    values = parse(
        calcappclient.PROGRAM,
        [f"-vector={tmp_path}/v", f"-scalar={tmp_path}/s", "-jobinterval=3", "-jobsize=3000000"],
    )
    out = Silent()
    load = calcappclient.Workload(values, out)
    # The first jobs of the original's run, in its own times.
    for row in (TRANSCRIPTS / "pu.vec").read_text().splitlines()[1:5]:
        words = row.split()
        job = Job(int(words[3]), int(words[4]), float(words[-4]), int(words[6]), *map(float, words[-3:]))
        load.queued.append(job)
        load.started.append(job)
        load._complete(job)
    load.close()
    theirs = (TRANSCRIPTS / "pu.vec").read_text().splitlines()
    ours = (tmp_path / "v").read_text().splitlines()
    assert ours[0] == theirs[0]
    for mine, his in zip(ours[1:], theirs[1:5], strict=True):
        mine, his = mine.split(), his.split()
        assert (mine[:2], mine[3:7]) == (his[:2], his[3:7])
        for a, b in zip(mine[7:12], his[7:12], strict=True):
            assert abs(float(a) / float(b) - 1) < 0.05
    assert shape((tmp_path / "s").read_text()) == shape((TRANSCRIPTS / "pu.sca").read_text())
    printed = (TRANSCRIPTS / "calcappclient.txt").read_text()
    begin = printed.index("Job #1 completed:")
    theirs = printed[begin:].splitlines()[:7]
    assert [shape(x) for x in out.lines[:7]] == [shape(x) for x in theirs]


def test_the_clients_text_at_the_start():
    values = parse(
        calcappclient.PROGRAM, ["-jobinterval=3", "-jobsize=3000000", "-runtime=40", "-vector=OUT", "-scalar=OUT"]
    )
    theirs = (TRANSCRIPTS / "calcappclient.txt").read_text().splitlines()[1:14]
    ours = [x for x in calcappclient.start_text(values, "anything") if "Transport" not in x]
    assert ours == theirs


def test_the_servers_files_have_the_originals_form(tmp_path):
    assert (TRANSCRIPTS / "pe1.vec").read_text().splitlines()[0] == calcapp_service.HEADER
    names = re.findall(r'" "(.*?)" +(\S+)', (TRANSCRIPTS / "pe1.sca").read_text())
    scalars = [(n, float(v) if "." in v else int(v)) for n, v in names]
    write_scalars(str(tmp_path / "s"), "scenario.calcapppoolelement[0]", scalars)
    assert (tmp_path / "s").read_text() == (TRANSCRIPTS / "pe1.sca").read_text()


def test_the_servers_statistics_go_on_over_cycles_of_up_and_down_time(tmp_path):
    """Regression: each cycle of -uptime and -downtime began anew, so that the last one's totals were all."""
    program = [f"-capvector={tmp_path}/v", f"-capscalar={tmp_path}/s", "-capcapacity=1000", "-calcapp"]
    values = parse(rspserver.PROGRAM, program)
    with calcapp_service.prepared(values):
        for _ in range(2):
            server = Server(calcapp_service.settings_of(values), 0.0)
            for number in range(12):
                server.request(1, Message(REQUEST, number, 100), 0.0)
            server.expire(4.0)
            values.captotals.add(server, 4.0)
    found = dict(re.findall(r'" "CalcAppPE (.*?)" +(\S+)', (tmp_path / "s").read_text()))
    assert found == {
        "Service Uptime": "8.000000", "Service Capacity": "1000", "Service Max Jobs": "10",
        "Total Used Capacity": "2000", "Total Wasted Capacity": "6000", "Total Jobs Accepted": "20",
        "Total Jobs Rejected": "4", "Utilization": "0.250000",
    }  # fmt: skip
    assert (tmp_path / "v").read_text() == calcapp_service.HEADER + "\n"
