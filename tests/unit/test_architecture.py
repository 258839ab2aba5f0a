"""The rules that a program can check: who may import whom, what no file may contain (docs/design.md section 1)."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Each package may import those named and itself; "pysctplib" stands for all of it.
MAY_IMPORT = {
    "pysctplib": (),
    "pysocketapi": ("pysctplib",),
    "rserpool": ("pysocketapi", "pysctplib"),
    "apps": ("rserpool", "pysocketapi", "pysctplib"),
}
IMPORT_NAME = {"apps": "rserpool_apps"}

# Folder or module -> our own modules that it must not import.
MUST_NOT_IMPORT = {
    "pysctplib/wire": ("core", "carrier", "host", "driver", "trace"),
    "pysctplib/core": ("carrier", "host", "driver", "trace"),
    "pysctplib/carrier": ("wire.chunks", "wire.params", "wire.causes", "host", "driver", "trace"),
    "pysctplib/host": ("core.association", "core.endpoint", "driver", "trace"),
    "pysctplib/trace": ("core", "carrier", "host", "driver"),
    "rserpool/wire": ("handlespace", "registrar", "asap", "session", "services"),
    "rserpool/handlespace": ("wire.asap", "wire.enrp", "wire.csp", "registrar", "asap", "session", "services"),
    "rserpool/security": ("handlespace", "registrar", "asap", "session", "services"),
    "rserpool/registrar": ("session", "services"),
    "rserpool/asap": ("registrar", "session", "services"),
    "rserpool/session": ("registrar", "services"),
    "rserpool/explain": ("handlespace", "registrar", "asap", "session", "security", "api"),
}

# Folder or module -> modules of others that it must not know.
CLOCKS = ("time", "datetime", "sched")
LOOPS = ("asyncio", "selectors", "select", "threading", "uvloop", "concurrent", "multiprocessing")
FOREIGN = {
    "pysctplib/wire": ("socket", "random", "secrets", "os", *CLOCKS, *LOOPS),
    "pysctplib/core": ("socket", "random", "os", *CLOCKS, *LOOPS),
    "pysctplib/driver": ("asyncio", "threading", "uvloop"),
    "pysctplib/trace": ("socket", *LOOPS),
    "rserpool/wire": ("socket", "random", *CLOCKS, *LOOPS),
    "rserpool/handlespace": ("socket", "random", *CLOCKS, *LOOPS),
    "rserpool/explain": ("socket", "random", *CLOCKS, *LOOPS),
}

# The RFCs that the project may cite; a number that is not here is a typing error or needs a line here.
RFCS = {
    768, 791, 792, 862, 863, 864, 867, 1035, 1071, 1112, 1122, 1191, 2018, 2104, 2119, 2460, 2914, 2960,
    3168, 3237, 3309, 3390, 3436, 3493, 3542, 3554, 3629, 3758, 3873, 4096, 4191, 4443, 4690, 4820, 4821,
    4868, 4895, 4960, 5061, 5062, 5206, 5351, 5352, 5353, 5354, 5355, 5356, 5525, 5737, 6056, 6083, 6096, 6234,
    6335, 6458, 6525, 6724, 6951, 7053, 7496, 7829, 8085, 8174, 8200, 8201, 8260, 8261, 8311, 8446, 8540, 8831,
    8832, 8899, 9048, 9110, 9260, 9293, 9653,
}  # fmt: skip

MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:wo" + r"rk|root|home/\w+|tmp/(?:brief|gc\b))(?:/|\b)")
UNFINISHED = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
TEXT = {".py", ".md", ".toml", ".sh", ".c", ".txt", ".cfg", ".yml", ".yaml", ""}


@cache
def files() -> tuple[Path, ...]:
    """The project's files: what git tracks, or in an unpacked archive everything but generated folders."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 0:
        names = [n for n in done.stdout.decode().split("\0") if n]
        return tuple(p for p in map(ROOT.joinpath, names) if p.is_file())
    found = (p for p in ROOT.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return tuple(p for p in found if not p.relative_to(ROOT).parts[0].startswith((".", "build")))


def sources(folder: str) -> list[Path]:
    base = ROOT / folder
    return [p for p in files() if p.suffix == ".py" and base in p.parents]


def imports(path: Path, root: Path = ROOT) -> Iterator[tuple[int, str]]:
    """Yield (line, absolute module name) for each run-time import; ``if TYPE_CHECKING`` blocks do not count."""
    tree = ast.parse(path.read_text(), str(path))
    package = list(path.relative_to(root).with_suffix("").parts)
    package[0] = IMPORT_NAME.get(package[0], package[0])
    for node in _at_run_time(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            prefix = package[: -node.level] if node.level else []
            base = ".".join([*prefix, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"


def _at_run_time(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _at_run_time(child)


def within(name: str, module: str) -> bool:
    return name == module or name.startswith(module + ".")


def offences(folder: str, forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources(folder)
        for line, name in imports(path)
        if name != "random.Random" and any(within(name, f) for f in forbidden)  # a generator given by the caller
    ]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_downward(package):
    others = set(MAY_IMPORT) - {package, *MAY_IMPORT[package]}
    names = tuple(IMPORT_NAME.get(o, o) for o in others)
    assert offences(package, (*names, "tests", *(("apps",) if package != "apps" else ()))) == []


@pytest.mark.parametrize("folder", MUST_NOT_IMPORT)
def test_rooms_do_not_look_into_rooms_above(folder):
    package = folder.split("/")[0]
    assert offences(folder, tuple(f"{package}.{name}" for name in MUST_NOT_IMPORT[folder])) == []


@pytest.mark.parametrize("folder", FOREIGN)
def test_rooms_do_not_know_what_they_must_not(folder):
    assert offences(folder, FOREIGN[folder]) == []


def texts() -> Iterator[tuple[Path, str]]:
    for path in files():
        if path.suffix in TEXT and "golden" not in path.parts:
            try:
                yield path.relative_to(ROOT), path.read_text()
            except UnicodeDecodeError:
                continue


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number} {line.strip()}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_path_of_some_machine():
    assert lines_with(MACHINE_PATHS) == []


def test_nothing_is_left_to_be_done():
    assert lines_with(UNFINISHED) == []


def test_cited_rfcs_exist():
    cited = re.compile(r"\bRFCs? ?-?(\d{3,5})\b")
    unknown = [
        f"{path}: RFC {number}"
        for path, text in texts()
        for number in cited.findall(text)
        if int(number) not in RFCS
    ]
    assert unknown == []


PLACE = re.compile(r"`([a-z_]+(?:/[a-z_0-9]+)+)(?:\.py)?(?:\.([A-Za-z_][\w.]*))?`")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
PACKAGES = ("", "pysctplib", "pysocketapi", "rserpool", "apps")


def documents() -> Iterator[tuple[Path, str]]:
    return ((path, text) for path, text in texts() if path.suffix == ".md")


def place_exists(module: str, name: str | None) -> bool:
    """Tell whether one of the packages has this module, and the name stands in it."""
    for package in PACKAGES:
        path = ROOT / package / module
        if path.is_dir() or name == "md":
            return name is None or path.is_dir() or path.with_suffix(".md").is_file()
        if path.with_suffix(".py").is_file():
            word = (name or "").rpartition(".")[2]
            return re.search(rf"\b{word}\b", path.with_suffix(".py").read_text()) is not None
    return False


def test_the_code_that_documents_name_exists():
    unknown = [
        f"{path}: {found.group()}"
        for path, text in documents()
        for found in PLACE.finditer(text)
        if not place_exists(*found.groups())
    ]
    assert unknown == []


def anchors(text: str) -> set[str]:
    """The anchors that a Markdown viewer gives to the headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_of_documents_lead_somewhere():
    dead = []
    for path, text in documents():
        for target, anchor in LINK.findall(text):
            file = (ROOT / path).parent / target if target else ROOT / path
            if not file.exists() or (anchor and anchor not in anchors(file.read_text())):
                dead.append(f"{path}: {target}#{anchor}")
    assert dead == []


def test_the_checks_see_what_they_look_for(tmp_path):
    """The checks can fail: relative, plain and nested imports are seen, those for types only are not."""
    path = tmp_path / "apps" / "example.py"
    path.parent.mkdir()
    lines = (
        "from . import x",
        "from ..a.b import c as d",
        "import time",
        "if TYPE_CHECKING:",
        "    import socket",
    )
    path.write_text("\n".join((*lines, "def f():", "    import asyncio")))
    found = [(1, "rserpool_apps.x"), (2, "a.b.c"), (3, "time"), (7, "asyncio")]
    assert list(imports(path, tmp_path)) == found
    assert MACHINE_PATHS.search("see /wo" + "rk/main")
    assert not MACHINE_PATHS.search("framework/x, http://a/work/b")
    assert UNFINISHED.search("# TO" + "DO: x")
    assert PLACE.findall("`core/path.Path.measured`, `wire/packet`") == [
        ("core/path", "Path.measured"),
        ("wire/packet", ""),
    ]
    assert place_exists("core/path", "Path.measured") and not place_exists("core/path", "Path.measure")
    assert not place_exists("core/parth", None)
    assert LINK.findall("[a](b.md#c-d) [e](https://f) [g](h)") == [("b.md", "c-d"), ("h", "")]
    assert anchors("# A `b`: c-d\n") == {"a-b-c-d"}
