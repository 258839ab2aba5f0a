"""The wheel in a fresh virtual environment: what is in it, every program, and a pool away from the source tree."""

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from rserpool_apps.start import PROGRAMS

from .helpers import ROOT, free_udp_ports
from .programs import running

PACKAGES = {"pysctplib", "pysocketapi", "rserpool", "rserpool_apps"}
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__", "golden")


def run(*command, cwd=None):
    """Run a command and return what it printed; the test fails with that if the command does."""
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, cwd=cwd, timeout=120, check=False
    )
    if done.returncode:
        pytest.fail(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built of a copy: setuptools writes into the tree."""
    place = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, place / "source", ignore=LEFT_OUT)
    quiet = ("--quiet", "--disable-pip-version-check")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", place)
    run(sys.executable, "-m", "pip", "wheel", *quiet, *options, place / "source")
    return next(place.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of the programs. What the package depends on comes from the environment of the tests."""
    place = tmp_path_factory.mktemp("installed")
    venv.EnvBuilder(with_pip=False).create(place)
    python = place / "bin" / "python"
    run(sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--python", python, "install",
        "--no-deps", "--no-index", wheel)  # fmt: skip
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    # A plain line: what is installed there for editing (by .pth files) is not seen.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "bin"


def test_the_wheel_has_the_packages_their_data_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(n for n in names if n.endswith("/METADATA"))).decode()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    sources = {f"rserpool_apps/{p.relative_to(ROOT / 'apps').as_posix()}" for p in (ROOT / "apps").rglob("*.*")
               if p.suffix in (".py", ".html", ".fsf")}  # fmt: skip
    for package in PACKAGES - {"rserpool_apps"}:
        sources |= {p.relative_to(ROOT).as_posix() for p in (ROOT / package).rglob("*.py")}
    assert {"rserpool_apps/csp_page.html", "rserpool_apps/fractalpooluser.py"} <= sources <= names
    assert any(n.startswith("rserpool_apps/fgpconfig/") for n in names)
    assert any(n.endswith("/LICENSE") for n in names)
    headers = metadata.split("\n\n")[0].splitlines()
    assert {"Requires-Python: >=3.11", "Provides-Extra: gui", "Provides-Extra: plots"} <= set(headers)
    assert not [h for h in headers if "file:" in h or "/home" in h]


ALL = """
import contextlib, importlib.metadata, io, json, rserpool_apps
from rserpool_apps import start
said = {}
for script in importlib.metadata.distribution("pyrserpool").entry_points:
    assert callable(script.load())
    main = importlib.import_module(start.module_of(script.name)).main
    with contextlib.redirect_stdout(io.StringIO()) as out:
        status = [main(["--help"]), main(["-version"])]
    said[script.name] = [status, out.getvalue()]
print(json.dumps([rserpool_apps.__file__, said]))
"""


def test_every_program_is_there(installed, tmp_path):
    """All of them in one process, which is quicker; each script by itself: tests/soak."""
    scripts = {p.name for p in installed.iterdir() if b"rserpool_apps" in p.read_bytes()[:2000]}
    assert scripts == set(PROGRAMS)
    file, said = json.loads(run(installed / "python", "-c", ALL, cwd=tmp_path))
    assert Path(file).is_relative_to(installed.parent)
    assert set(said) == scripts
    for name, (status, text) in said.items():
        assert status == [0, 0]
        assert text.startswith(f"Usage: {name}")
        assert text.endswith(f"\n{name} (pyrserpool 0.1.0)\n")


def test_a_pool_of_installed_programs(installed, tmp_path):
    udp = free_udp_ports(1)[0]
    alone = ("-transport=userland", "-asapannounce=off")
    where = (*alone, "-udp-port=0", f"-registrar=127.0.0.1:3863/{udp}")
    registrar = ("rspregistrar", *alone, f"-udp-port={udp}", "-asap=127.0.0.1:3863", "-enrpannounce=off")

    def program(name, *options, **more):
        return running([str(installed / name), *options], **more)

    with program(*registrar) as one:
        one.expect("Server ID:")
        with program("rspserver", "-echo", *where) as server:
            server.expect(r"Identifier\s+= ")
            (tmp_path / "input").write_text("Hello from a wheel\n")
            with (tmp_path / "input").open() as said, program("rspterminal", *where, stdin=said) as terminal:
                terminal.expect(r"from PE \$[0-9a-f]{8}> Hello from a wheel")
                assert terminal.popen.wait(20) == 0
            assert server.end() == 0
        assert one.end() == 0


def test_man_pages_and_completions_come_with_it(installed, tmp_path):
    run(installed / "python", "-m", "rserpool_apps.pages", "man", tmp_path / "man", cwd=tmp_path)
    assert (tmp_path / "man" / "make-test-cache.1").exists()
    (tmp_path / "c").write_text(run(installed / "python", "-m", "rserpool_apps.pages", "bash", cwd=tmp_path))
    if shutil.which("bash") is not None:
        said = run("bash", "-c", f"set -e; . {tmp_path}/c; complete -p rspserver; complete -p make-test-cache")
        assert said == (
            "complete -F _rserpool_rspserver rspserver\ncomplete -F _rserpool_make_test_cache make-test-cache\n"
        )
