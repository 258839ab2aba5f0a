"""Python 3.11.0 to 3.11.3 has no filters in tarfile; unpacking once failed there with a TypeError."""

import io
import tarfile

import pytest

from rserpool.services import scripting_work


def package(path, name, kind=tarfile.REGTYPE):
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo(name)
        member.type = kind
        member.size = 2 if kind == tarfile.REGTYPE else 0
        member.linkname = "/etc/passwd"
        archive.addfile(member, io.BytesIO(b"hi"))
    return path


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_are_unpacked(directory, tmp_path):
    scripting_work.unpack(package(tmp_path / "p", "ssrun"), directory, 100_000)
    assert (directory / "ssrun").read_bytes() == b"hi"


@pytest.mark.parametrize(("name", "kind"), [("../x", tarfile.REGTYPE), ("link", tarfile.SYMTYPE)])
def test_what_reaches_outside_is_refused(directory, tmp_path, name, kind):
    with pytest.raises(scripting_work.Refused):
        scripting_work.unpack(package(tmp_path / "p", name, kind), directory, 100_000)
    assert not (tmp_path / "x").exists()
