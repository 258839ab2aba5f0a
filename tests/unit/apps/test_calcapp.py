"""CalcApp's statistics files and texts in the form of RSPLIB's."""

import re
from pathlib import Path

from rserpool_apps import calcapp_service, calcappclient
from rserpool_apps.calcapp_job import Job
from rserpool_apps.options import parse
from rserpool_apps.scalars import VectorFile, write_scalars

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
    # The first two jobs of the original's run, in its own times.
    for row in (TRANSCRIPTS / "pu.vec").read_text().splitlines()[1:3]:
        words = row.split()
        job = Job(int(words[3]), int(words[4]), *map(float, words[-4:]))
        load.queued.append(job)
        load.started.append(job)
        load._complete(job)
    load.close()
    theirs = (TRANSCRIPTS / "pu.vec").read_text().splitlines()
    ours = (tmp_path / "v").read_text().splitlines()
    assert ours[0] == theirs[0]
    for mine, his in zip(ours[1:], theirs[1:3], strict=True):
        mine, his = mine.split(), his.split()
        assert (mine[:2], mine[3:5]) == (his[:2], his[3:5])
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


def test_vector_files_are_appended_to(tmp_path):
    name = str(tmp_path / "v")
    for append in (False, True):
        vector = VectorFile(name, "Header", append)
        vector.row("x")
        vector.close()
    assert Path(name).read_text() == "Header\n000001 x\n000001 x\n"
