"""fractalpooluser's window (Qt by PySide6, extra ``gui``): the image as it grows, a menu, a status bar.

Qt has no event loop here: the program's own loop calls `update`, which lets Qt handle what has come meanwhile. So
dialogs are opened, never executed: in a loop of Qt's the images, the sessions and the signals would wait for the
user. Some of Qt's own questions (is that file to be replaced?) are executed nevertheless; signals end these.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from PySide6.QtCore import QLocale, QPoint, QRect, QSocketNotifier, Qt
from PySide6.QtGui import (
    QAction,
    QActionGroup,
    QCloseEvent,
    QColor,
    QImage,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    qRgb,
)
from PySide6.QtWidgets import (
    QApplication,
    QDialog,
    QFileDialog,
    QMainWindow,
    QMenu,
    QMessageBox,
    QWidget,
)

from .fractal_job import Job
from .fractal_picture import PALETTE
from .fractal_view import Wishes
from .fractal_words import word
from .runtime import signal_descriptor

SESSIONS = (1, 2, 3, 4, 6, 8, 9, 16, 25, 36, 49, 64, 81, 100, 144, 225, 256, 400)
_TABLE = [qRgb(*colour) for colour in PALETTE]
_SMALLEST, _LARGEST = (64, 64), (8192, 4096)
_PLENTY = sys.maxsize // 4


class _Canvas(QWidget):
    """Draws the job at hand."""

    def __init__(self, wishes: Wishes) -> None:
        super().__init__()
        self.job: Job | None = None
        self.wishes = wishes
        self.setMinimumSize(*_SMALLEST)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        size = (
            max(_SMALLEST[0], min(self.width(), _LARGEST[0])),
            max(_SMALLEST[1], min(self.height(), _LARGEST[1])),
        )
        if size != self.wishes.size and self.job is not None:
            self.wishes.size = size
            self.wishes.again = True

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), QColor(*PALETTE[-1]))
        job = self.job
        if job is None:
            return
        picture = job.picture
        image = QImage(
            bytes(picture.shades), picture.width, picture.height, picture.width, QImage.Format.Format_Indexed8
        )
        image.setColorTable(_TABLE)
        painter.drawImage(0, 0, image)
        for part, drawing in zip(picture.parts, job.drawings):
            place = QRect(part.x, part.y, part.parameter.width, part.parameter.height)
            if not drawing.packets:
                painter.setPen(QColor("red"))
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, str(part.number + 1))
            elif drawing.missing and drawing.waiting and job.marks.failovers:
                painter.setPen(QColor("white"))
                painter.drawRect(place.adjusted(0, 0, -1, -1))
                painter.drawText(place, Qt.AlignmentFlag.AlignCenter, "✖")


class _Window(QMainWindow):
    """The window; says by ``wishes`` what its user wants."""

    def __init__(self, caption: str, wishes: Wishes, size: tuple[int, int], language: str) -> None:
        super().__init__()
        self.wishes = wishes
        self.language = language
        self.canvas = _Canvas(wishes)
        self.setCentralWidget(self.canvas)
        self.setWindowTitle(caption)
        self.statusBar()
        self.canvas.resize(*size)
        self.resize(size[0], size[1] + self.statusBar().sizeHint().height())
        self.canvas.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.menu = self._menu()
        self.canvas.customContextMenuRequested.connect(self._show_menu)

    def word(self, text: str, **values: object) -> str:
        """A text in the user's language."""
        return word(self.language, text, **values)

    def _show_menu(self, place: QPoint) -> None:
        self.menu.popup(self.canvas.mapToGlobal(place))

    def _menu(self) -> QMenu:
        menu = QMenu(self)
        marks = self.wishes.marks
        for text, name in (("Show &Failovers", "failovers"), ("Show &Sessions", "sessions")):
            action = QAction(self.word(text), menu, checkable=True, checked=getattr(marks, name))
            action.toggled.connect(lambda on, name=name: setattr(marks, name, on))
            menu.addAction(action)
        numbers = menu.addMenu(self.word("Sessions"))
        group = QActionGroup(numbers)
        for count in SESSIONS:
            action = QAction(str(count), numbers, checkable=True, checked=count == self.wishes.sessions)
            action.triggered.connect(lambda _=False, count=count: self._sessions(count))
            group.addAction(action)
            numbers.addAction(action)
        menu.addSeparator()
        for text, act in (
            ("&Next Image", self._next),
            ("S&ave Image ...", self._save),
            ("&About ...", self._about),
            ("&Quit", self.close),
        ):
            action = QAction(self.word(text), menu)
            action.triggered.connect(act)
            menu.addAction(action)
        return menu

    def _sessions(self, count: int) -> None:
        self.wishes.sessions = count
        self.wishes.again = True

    def _next(self) -> None:
        self.wishes.next = True

    def _save(self) -> None:
        job = self.canvas.job
        if job is None:
            return
        dialog = QFileDialog(self, self.word("S&ave Image ...").replace("&", ""), "", "PNG (*.png)")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.fileSelected.connect(lambda name: self._write(job, Path(name)))
        _open(dialog)

    def _write(self, job: Job, path: Path) -> None:
        try:
            job.picture.save(path)
        except OSError as error:
            text = self.word("The image could not be saved: {why}", why=error.strerror or str(error))
            _open(QMessageBox(QMessageBox.Icon.Warning, self.windowTitle(), text, parent=self))

    def _about(self) -> None:
        text = self.word("A pool user of Reliable Server Pooling: images by servers that may fail.")
        _open(QMessageBox(QMessageBox.Icon.NoIcon, self.word("About"), text, parent=self))

    def closeEvent(self, event: QCloseEvent) -> None:
        self.wishes.quit = True
        event.accept()


def _open(dialog: QDialog) -> None:
    """Show a dialog, without waiting for what its user does."""
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.open()


def _end_dialogs() -> None:
    """Leave all dialogs, so that the event loops of those that Qt executes return."""
    for widget in QApplication.topLevelWidgets():
        if isinstance(widget, QDialog) and widget.isVisible():
            widget.done(0)


def _keep_none() -> None:
    """Give None more references than can ever be lost.

    Since Python 3.12 None is immortal (PEP 683), and PySide6 (6.12; one build for all versions of Python) relies
    on it: its functions return None without counting the reference. So with Python 3.11 each call takes one away,
    some hundreds a second, and when none is left, after a minute or two, the interpreter aborts.
    """
    counted = sys.version_info < (3, 12) and sys.implementation.name == "cpython"
    first = not hasattr(sys, "getobjects")  # the count is an object's first word, but for one sort of debug builds
    if counted and first and sys.getrefcount(None) < _PLENTY:
        ctypes.c_ssize_t.from_address(id(None)).value += _PLENTY


class WindowView:
    """The image in a window."""

    frame = 0.03  # seconds between looks at what the user does

    def __init__(self, caption: str, wishes: Wishes) -> None:
        _keep_none()
        self.wishes = wishes
        application = QApplication.instance()
        self._application = application if isinstance(application, QApplication) else QApplication([caption])
        self._window = _Window(caption, wishes, wishes.size, QLocale.system().name())
        self._notifier: QSocketNotifier | None = None

    def start(self) -> None:
        """Open the window."""
        descriptor = signal_descriptor()
        if descriptor is not None:
            self._notifier = QSocketNotifier(descriptor, QSocketNotifier.Type.Read)
            self._notifier.activated.connect(self._signalled)
        self._window.show()

    def _signalled(self) -> None:
        """A signal has come while Qt was waiting; that Python code runs here lets its handler run."""
        if self._notifier is not None:
            self._notifier.setEnabled(False)  # nobody reads the byte as long as Qt's loop goes on
        _end_dialogs()

    def update(self, job: Job | None, words: str) -> None:
        """Show a job; let Qt do what it has to do."""
        window = self._window
        window.canvas.job = job
        window.canvas.update()
        window.statusBar().showMessage(words or (self._status(job) if job is not None else ""))
        self._application.processEvents()

    def _status(self, job: Job) -> str:
        say = self._window.word
        if job.ended is not None:
            return say("Completed in {seconds} s, failovers: {failovers}", seconds=f"{job.seconds:.2f}",
                       failovers=job.failovers)  # fmt: skip
        drawings = job.drawings
        if job.waiting == len(drawings):
            return say("Looking for a server ...")
        if len(drawings) == 1 and drawings[0].elements:
            return say("Processed packet #{packets} of PE ${element}", packets=drawings[0].packets,
                       element=f"{drawings[0].elements[-1]:08x}")  # fmt: skip
        return say("{done} of the image, failovers: {failovers}", done=f"{100 * job.done:.0f} %",
                   failovers=job.failovers)  # fmt: skip

    def finish(self, job: Job) -> None:
        """Show a job that is done."""
        self.update(job, "")

    def stop(self) -> None:
        """Close the window."""
        if self._notifier is not None:
            self._notifier.setEnabled(False)
        _end_dialogs()
        self._window.close()
        self._application.processEvents()


def display() -> bool:
    """Whether there is a display, or Qt is told to do without one."""
    return bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("QT_QPA_PLATFORM")
    )
