"""fractalpooluser without servers: parameter files, the split, colours, PNG, terminal, the choice of images."""

import errno
import io
import zlib
from itertools import pairwise
from pathlib import Path
from struct import unpack
from types import SimpleNamespace

import pytest
from rich.console import Console
from rserpool_apps import fractal_files, fractal_view, fractalpooluser, runtime
from rserpool_apps.fractal_job import Job, Marks
from rserpool_apps.fractal_picture import EMPTY, PALETTE, Picture, split

from rserpool.services import fractal
from rserpool.services.fractal_client import Timeouts

PARAMETER = fractal.Parameter(101, 67, 50, fractal.MANDELBROT, complex(-1.5, 1.0), complex(1.5, -1.0))

FULL = """<!DOCTYPE XMLFractalSave>
<FractalV1>
 <Algorithm>
  <AlgorithmName>MandelbrotN</AlgorithmName>
  <C1Real>2.35e-01</C1Real><C1Imag>1.16</C1Imag><C2Real>2.36e-01</C2Real><C2Imag>-1</C2Imag>
  <Useroptions><MaxIterations>1000</MaxIterations><N>3</N></Useroptions>
 </Algorithm>
 <ColorScheme><ColorSchemeName>SimpleHSV</ColorSchemeName></ColorScheme>
 <Resolution>800*600</Resolution>
</FractalV1>
"""


def file(tmp_path, content):
    path = tmp_path / "one.fsf"
    path.write_text(content)
    return path


def test_a_parameter_file(tmp_path):
    expected = fractal.Parameter(1, 1, 1000, fractal.MANDELBROT_N, complex(0.235, 1.16), complex(0.236, -1), 3.0)
    assert fractal_files.read(file(tmp_path, FULL)) == (expected, "")
    assert fractal_files.read(file(tmp_path, fractal_files.text(expected))) == (expected, "")


def test_what_a_parameter_file_may_leave_out(tmp_path):
    short = FULL.replace("MandelbrotN", "Newton").replace(FULL[FULL.index("  <User") : FULL.index(" </Alg")], "")
    found, warning = fractal_files.read(file(tmp_path, short))
    assert (found.max_iterations, found.n, found.algorithm) == (123, 2.0, fractal.MANDELBROT)
    assert "unknown algorithm 'Newton'" in warning


@pytest.mark.parametrize(
    "content",
    [
        "",
        "<FractalV1/>",
        "<Fractal><Algorithm/></Fractal>",
        FULL.replace("1.16", "many"),
        FULL.replace("1.16", "nan"),
        FULL.replace("1000", "inf"),
        '<?xml version="1.0" encoding="no-such"?>' + FULL.partition("\n")[2],
        FULL.replace("<C2Imag>-1</C2Imag>", ""),
        FULL.replace("1000", "1000001"),
        FULL.replace("<!DOCTYPE XMLFractalSave>", '<!DOCTYPE x [<!ENTITY a "aaa">]>'),
        FULL + " " * (1 << 20),
    ],
)
def test_other_files_are_refused_by_name(tmp_path, content):
    with pytest.raises(ValueError, match=r"one\.fsf"):
        fractal_files.read(file(tmp_path, content))


def test_our_samples_are_good():
    found = fractal_files.listing(fractal_files.SAMPLES)
    assert len(found) >= 12
    assert all(fractal_files.read(path)[1] == "" for path in found)


@pytest.mark.parametrize("parts, rows", [(1, [1]), (2, [2]), (3, [3]), (4, [2, 2]), (5, [2, 3]), (11, [3, 3, 5])])
def test_the_split_covers_the_image_once(parts, rows):
    found = split(PARAMETER, parts)
    assert [sum(p.y == y for p in found) for y in sorted({p.y for p in found})] == rows
    seen = [0] * (101 * 67)
    for p in found:
        for y in range(p.y, p.y + p.parameter.height):
            for x in range(p.x, p.x + p.parameter.width):
                seen[y * 101 + x] += 1
    assert set(seen) == {1}
    assert (found[0].parameter.c1, found[-1].parameter.c2) == (PARAMETER.c1, PARAMETER.c2)


def test_an_image_has_enough_points_for_its_parts():
    with pytest.raises(ValueError, match="no 512 parts"):
        split(fractal.Parameter(2, 64, 1, 1, 0j, 1j), 512)


def decoded(png):
    """Size and pixels (RGB) of a PNG with palette; checks every CRC."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(png):
        (length,) = unpack(">L", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert unpack(">L", png[at + 8 + length : at + 12 + length])[0] == zlib.crc32(kind + data)
        chunks[kind] = data
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height, *rest = unpack(">LLBBBBB", chunks[b"IHDR"])
    assert rest == [8, 3, 0, 0, 0]
    raw, palette = zlib.decompress(chunks[b"IDAT"]), chunks[b"PLTE"]
    assert len(raw) == (width + 1) * height
    lines = [raw[y * (width + 1) : (y + 1) * (width + 1)] for y in range(height)]
    assert all(line[0] == 0 for line in lines)
    return width, height, [tuple(palette[3 * v : 3 * v + 3]) for line in lines for v in line[1:]]


def test_colours_and_png(tmp_path):
    parts = split(fractal.Parameter(4, 3, 10, 1, 0j, 1j), 2)
    picture = Picture(4, 3, parts)
    picture.put(parts[1], 1, (0, 6, 24, 72), mark=0)  # from its second point on, over the end of its line
    picture.save(tmp_path / "a.png")
    width, height, pixels = decoded((tmp_path / "a.png").read_bytes())
    assert (width, height) == (4, 3)
    red, orange, green = (255, 0, 0), (255, 128, 0), (0, 255, 0)
    empty = PALETTE[EMPTY]
    assert pixels[3] == red
    assert pixels[6:8] == [orange, green]
    assert pixels[10:12] == [red, PALETTE[EMPTY + 1]]
    assert [pixels[i] for i in (0, 1, 4, 5, 8, 9)] == [empty] * 6
    assert list(picture.counts) == [0, 0, 0, 0, 0, 0, 6, 24, 0, 0, 72, 0]
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def small():
    return Picture(4, 3, split(fractal.Parameter(4, 3, 10, 1, 0j, 1j), 1))


def test_a_process_that_is_ended_while_an_image_is_written_leaves_no_part_of_it(tmp_path, monkeypatch):
    def write(path, data):
        path.touch()
        for act in runtime._at_cut:  # what the process does before it is ended by force
            act()
        assert list(tmp_path.iterdir()) == []
        raise InterruptedError

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(InterruptedError):
        small().save(tmp_path / "a.png")
    assert not runtime._at_cut


def test_a_full_disk_leaves_no_part_of_an_image(tmp_path, monkeypatch):
    def write(path, data):
        path.touch()
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(OSError, match="full"):
        small().save(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def job(sessions=4, marks=Marks()):
    return Job(0, "place", PARAMETER, sessions, marks, Timeouts())


def give(one, number, identifier, points):
    """Let session ``number`` get its first points from a server."""
    drawing = one.drawings[number]
    drawing.elements.append(identifier)
    drawing.packets += 1
    drawing._take(0, points)
    drawing.missing -= len(points)


def test_marks_move_colours():
    plain, marked = job(marks=Marks(False, False)), job()
    for one in (plain, marked):
        give(one, 1, 0x11, (7,))
        give(one, 1, 0x22, (7,))
    at = plain.picture.parts[1].x
    assert plain.picture.shades[at] == 7
    assert marked.picture.shades[at] == 7 + 2 * 5 + 3


def test_what_a_job_says():
    one = job(1)
    assert one.waiting == 1
    give(one, 0, 0x1234, (1, 2, 3))
    assert one.status == "Processed packet #1 of PE $00001234"
    assert one.waiting == 0
    one.drawings[0]._say("gone")
    assert one.log[0].endswith("s  session 1: gone")


@pytest.mark.parametrize("width, height", [(80, 24), (200, 60), (40, 8)])
def test_the_screen_fits_the_terminal(width, height):
    one = job()
    give(one, 0, 0x1234, (5,) * 400)
    one.log.append("x" * 500)
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=True, color_system="truecolor")
    console.print(fractal_view.Screen(one, "words", "Caption"))
    text = out.getvalue()
    assert text.count("\n") < height
    plain = Console(
        file=(flat := io.StringIO()), width=width, height=height, force_terminal=True, color_system=None
    )
    plain.print(fractal_view.Screen(one, "words", "Caption"))
    lines = flat.getvalue().split("\n")
    assert max(map(len, lines)) <= width
    assert lines[0].count("▀") == fractal_view.fitting(one.picture, width, height - 5)[0]
    red, green, blue = PALETTE[5 + 5]
    assert f"38;2;{red};{green};{blue}" in text


def test_live_view_leaves_the_terminal_as_it_was():
    out = io.StringIO()
    console = Console(file=out, width=80, height=24, force_terminal=True, color_system="truecolor")
    view = fractal_view.view_of(console, "Caption")
    view.start()
    one = job()
    view.update(None, "wait")
    view.update(one, "")
    view.finish(one)
    view.stop()
    text = out.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_plain_lines():
    out = io.StringIO()
    view = fractal_view.view_of(Console(file=out), "Caption")
    one = job()
    view.update(one, "")
    one.log.append("  1.00 s  session 1: gone")
    view.update(one, "")
    give(one, 0, 0x1234, (5,) * 400)
    view.update(one, "no server")
    view.update(one, "no server")
    view.update(one, "")
    one.ended = one.began + 3
    view.finish(one)
    for left in (3, 2, 1):
        view.update(one, f"next image in {left} s")
    lines = out.getvalue().splitlines()
    assert lines[0] == "Image 1: place, 101 x 67, sessions: 4"
    assert "  1.00 s  session 1: gone" in lines
    assert lines.count("no server") == 1
    assert lines.pop() == "next image in 3 s"
    assert lines[-1] == "  3.00 s  Image 1 completed in 3.00 s, failovers: 0; $00001234 100 %"


def test_images_at_random_never_twice_in_a_row_and_bad_files_are_left_out(tmp_path):
    for name in ("a.fsf", "b.fgp", "c.FGP"):
        (tmp_path / name).write_text(FULL)
    (tmp_path / "bad.fsf").write_text("no")
    (tmp_path / "other.txt").write_text(FULL)
    files = fractalpooluser.files_of(SimpleNamespace(file=None, configdir=str(tmp_path)))
    assert len(files) == 4
    images = fractalpooluser.Images(files, 3)
    found = [images.next() for _ in range(30)]
    names = [name for name, _, _ in found]
    assert set(names) == {"a.fsf", "b.fgp", "c.FGP"}
    assert all(a != b for a, b in pairwise(names))
    assert sum("bad.fsf" in warning for _, _, warning in found) == 1


def test_without_a_usable_file_the_whole_set():
    name, parameter, _ = fractalpooluser.Images([], None).next()
    assert name == "whole set"
    assert (parameter.c1, parameter.c2, parameter.max_iterations) == (-1.5 + 1.5j, 1.5 - 1.5j, 1024)


@pytest.mark.parametrize(
    "options",
    [
        ["-configdir=/no/such"],
        ["-file=/no/such"],
        ["-threads=513"],
        ["-width=10"],
        ["-png=/no/such/a.png"],
        ["-imagestorageprefix=/no/such/a"],
    ],
)
def test_bad_options_are_told(options, capsys):
    assert fractalpooluser.main(options) == 1
    assert "fractalpooluser: " in capsys.readouterr().err


def test_the_folder_of_the_samples_is_installed():
    assert (Path(fractalpooluser.__file__).parent / "fgpconfig").is_dir()
