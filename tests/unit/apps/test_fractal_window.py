"""fractalpooluser's window, without a display: picture, menu, languages, what its user wants. Needs PySide6."""

import os
import subprocess
import sys

import pytest
from rserpool_apps.fractal_job import Job, Marks
from rserpool_apps.fractal_picture import PALETTE
from rserpool_apps.fractal_view import Wishes
from rserpool_apps.fractal_words import LANGUAGES, WORDS, word

from rserpool.services import fractal
from rserpool.services.fractal_client import Timeouts

PARAMETER = fractal.Parameter(120, 80, 50, fractal.MANDELBROT, complex(-1.5, 1.0), complex(1.5, -1.0))


@pytest.fixture
def wishes():
    return Wishes((120, 80), 4, Marks())


@pytest.fixture
def view(wishes, monkeypatch):
    pytest.importorskip("PySide6.QtWidgets", reason="PySide6 is missing", exc_type=ImportError)
    monkeypatch.setitem(os.environ, "QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setitem(os.environ, "LC_ALL", "C")
    from rserpool_apps.fractal_window import WindowView

    one = WindowView("Caption", wishes)
    one.start()
    yield one
    one.stop()


def job(wishes):
    return Job(0, "place", PARAMETER, wishes.sessions, wishes.marks, Timeouts())


def draw(one, number, points):
    drawing = one.drawings[number]
    drawing.elements.append(0x1234)
    drawing.packets += 1
    drawing._take(0, points)
    drawing.missing -= len(points)


def pixels(view):
    image = view._window.canvas.grab().toImage()
    return lambda x, y: image.pixelColor(x, y).getRgb()[:3]


def choose(view, text):
    """Take an entry of the menu, or of its sub-menu."""
    menu = view._window.menu
    entries = list(menu.actions()) + [a for m in menu.actions() if m.menu() for a in m.menu().actions()]
    (action,) = (a for a in entries if a.text() == text)
    action.trigger()


def test_the_picture_as_it_grows(view, wishes):
    one = job(wishes)
    view.update(one, "")
    first = pixels(view)
    assert first(0, 0) == PALETTE[72]
    assert any(first(x, y)[0] > 150 > first(x, y)[1] for x in range(20, 40) for y in range(10, 30))  # its number
    draw(one, 0, (3,) * 60 * 40)
    view.update(one, "")
    assert pixels(view)(5, 5) == PALETTE[3 + 5]
    assert pixels(view)(30, 20) == PALETTE[3 + 5]
    one.drawings[0].missing, one.drawings[0].waiting = 1, True
    view.update(one, "")
    assert pixels(view)(0, 0) == (255, 255, 255)  # framed: it has no server


def test_the_status_bar(view, wishes):
    say = view._window.statusBar().currentMessage
    one = job(wishes)
    view.update(one, "")
    assert say() == "Looking for a server ..."
    draw(one, 0, (3,) * 2400)
    view.update(one, "")
    assert say() == "25 % of the image, failovers: 0"
    view.update(one, "next image in 3 s")
    assert say() == "next image in 3 s"
    one.ended = one.began + 2
    view.finish(one)
    assert say() == "Completed in 2.00 s, failovers: 0"


def test_the_menu_tells_the_users_wishes(view, wishes):
    view.update(job(wishes), "")
    choose(view, "Show &Failovers")
    choose(view, "Show &Sessions")
    assert wishes.marks == Marks(False, False)
    assert not wishes.any
    choose(view, "16")
    assert (wishes.sessions, wishes.again) == (16, True)
    wishes.again = False
    choose(view, "&Next Image")
    assert wishes.next
    wishes.next = False
    choose(view, "&Quit")
    assert wishes.quit


def test_another_size_begins_again(view, wishes):
    one = job(wishes)
    view.update(one, "")
    assert not wishes.again
    view._window.resize(300, 250)
    view.update(one, "")
    assert wishes.again
    assert wishes.size == (view._window.canvas.width(), view._window.canvas.height())
    assert wishes.size[0] == 300


def dialog(view):
    """The only dialog that is open."""
    from PySide6.QtWidgets import QDialog

    (found,) = (d for d in view._window.findChildren(QDialog) if d.isVisible())
    return found


def test_an_image_is_saved_while_the_program_goes_on(view, wishes, tmp_path):
    one = job(wishes)
    view.update(one, "")
    choose(view, "S&ave Image ...")
    view.update(job(wishes), "")  # the next one
    dialog(view).fileSelected.emit(str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes() == one.picture.png()


def test_an_image_that_cannot_be_saved_is_told(view, wishes, tmp_path):
    view.update(job(wishes), "")
    choose(view, "S&ave Image ...")
    files = dialog(view)
    files.fileSelected.emit(str(tmp_path / "none" / "a.png"))
    files.done(0)
    view.update(None, "")
    assert "No such file" in dialog(view).text()


def test_the_end_leaves_no_dialog(view, wishes):
    view.update(job(wishes), "")
    choose(view, "&About ...")
    about = dialog(view)
    assert "Reliable Server Pooling" in about.text()
    gone = []
    about.finished.connect(gone.append)
    view.stop()
    assert gone


LONG = """
import sys
from rserpool_apps.fractal_job import Marks
from rserpool_apps.fractal_view import Wishes
from rserpool_apps.fractal_window import WindowView
view = WindowView("Caption", Wishes((120, 80), 1, Marks()))
view.start()
for _ in range(100_000):
    view._window.canvas.update()
view.update(None, "")
view.stop()
print("done")
"""


def test_a_window_shown_for_long_does_not_take_all_references_to_none():
    """PySide6 takes one at each call of a function that returns None; Python 3.11 aborted after two minutes."""
    pytest.importorskip("PySide6.QtWidgets", reason="PySide6 is missing", exc_type=ImportError)
    done = subprocess.run(
        [sys.executable, "-c", LONG],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


@pytest.mark.parametrize("language", [*LANGUAGES, "de_DE", "nb_NO"])
def test_all_words_in_all_languages_with_the_same_values(language):
    values = {"done", "failovers", "packets", "element", "seconds", "why"}
    for text in WORDS:
        found = word(language, text)
        assert found
        assert found != text
        for value in values:
            assert (f"{{{value}}}" in text) == (f"{{{value}}}" in found)


def test_other_languages_are_english():
    assert word("fr_FR", "&Quit") == "&Quit"
    assert word("de", "Completed in {seconds} s, failovers: {failovers}", seconds=1, failovers=2) == (
        "Fertig nach 1 s, Ausfälle: 2"
    )
