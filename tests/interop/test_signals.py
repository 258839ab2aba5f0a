"""Ctrl-C and SIGTERM on every program at every stage: it leaves its pool and ends in time, terminal as before."""

import contextlib
import os
import signal
import subprocess
import sys
import termios
import time

import pytest

from .programs import running
from .stages import play

pytestmark = pytest.mark.seconds
GRACE = 1.6
HANGING = {
    "computes": "while True: pass",
    "writes to a terminal that was stopped": "while True: print('x' * 4096)",
    "waits for a thread": "await asyncio.to_thread(time.sleep, 60)",
    "keeps on": "while True:\n        try: await asyncio.sleep(60)\n        except asyncio.CancelledError: pass",
}
PROGRAM = """
import asyncio, sys, time
from rserpool_apps import runtime
async def main():
    print("ready", file=sys.stderr, flush=True)
    {}
    return 0
sys.exit(runtime.run(main))
"""


def test_every_program_ends_well_at_every_stage(tmp_path):
    times = play(tmp_path, 0)
    print(*(f"{took:5.2f} s  {what}" for what, took in sorted(times.items())), sep="\n")


def test_a_program_that_hangs_ends_in_time_nevertheless():
    def begin(code):
        one = subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(code)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert one.stderr.readline() == "ready\n"
        return one

    programs = {what: begin(code) for what, code in HANGING.items()}
    began = time.monotonic()
    for one in programs.values():
        one.send_signal(signal.SIGTERM)
    for what, one in programs.items():
        assert one.wait(10) == 0, what
        assert GRACE - 0.1 < time.monotonic() - began < GRACE + 1.4, what
        assert one.stderr.read() == "", what
        one.stdout.close()
        one.stderr.close()


RESTORING = """
import asyncio, os, sys, time
from rserpool_apps import runtime
async def main():
    try:
        print("ready", file=sys.stderr, flush=True)
        await asyncio.sleep(60)
    finally:
        print("x" * 8192 + "restored", flush=True)
        print("wrote", file=sys.stderr, flush=True)
        await asyncio.sleep(0.3)
sys.exit(runtime.run(main, quiet=True))
"""


def test_a_second_ctrl_c_does_not_discard_what_restores_the_terminal():
    """Until the end nothing is read; the terminal takes 4096 bytes, and the rest is what the key would discard."""
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    command = ["setsid", "--ctty", sys.executable, "-c", RESTORING]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=subprocess.PIPE, text=True) as one:
        assert one.stderr.readline() == "ready\n"
        one.send_signal(signal.SIGTERM)
        assert one.stderr.readline() == "wrote\n"
        os.write(master, b"\x03")
        assert one.wait(10) == 0
        assert one.stderr.read() == ""
    assert termios.tcgetattr(slave) == before
    os.close(slave)
    shown = b""
    with contextlib.suppress(OSError):  # its end
        while more := os.read(master, 65536):
            shown += more
    os.close(master)
    assert b"restored" in shown


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_modules_are_loaded_leaves_no_traceback(number):
    script = "import rserpool_apps.start as s, os, sys; sys.argv = ['rspserver', '-echo']; import builtins\n"
    script += "load = s.import_module\n"
    script += f"def slow(name):\n    os.kill(os.getpid(), {int(number)})\n    return load(name)\n"
    script += "s.import_module = slow\nsys.exit(s.rspserver())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60,
                          env={**os.environ})  # fmt: skip
    assert done.returncode == -number
    assert done.stderr == ""


WINDOW = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QFileDialog, QMessageBox
from rserpool_apps import fractal_window, fractalpooluser
def act():
    print("dialog", flush=True)
    {}
class View(fractal_window.WindowView):
    def start(self):
        super().start()
        QTimer.singleShot(0, act)
        fractal_window._test = self._window
fractal_window.WindowView = View
sys.exit(fractalpooluser.main(["-display=window", "-transport=userland", "-asapannounce=off"]))
"""
DIALOGS = {
    "its own": "fractal_window._test._about()",
    "a question of Qt's, which is executed": "print(QMessageBox.question(None, 'a', 'b'), flush=True)",
    "two of them": "QTimer.singleShot(0, lambda: QMessageBox.question(None, 'c', 'd'))\n"
    "    QFileDialog.getSaveFileName()",
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("what", DIALOGS)
def test_a_signal_while_the_window_has_a_dialog_ends_the_program(what, number):
    """In an event loop of Qt's no Python code runs, and so no handler, unless something wakes it."""
    pytest.importorskip("PySide6.QtWidgets", reason="PySide6 is missing", exc_type=ImportError)
    command = [sys.executable, "-c", WINDOW.format(DIALOGS[what])]
    with running(command, env={"QT_QPA_PLATFORM": "offscreen"}) as one:
        one.expect("^dialog", 60)
        time.sleep(0.2)  # into the event loop
        began = time.monotonic()
        assert one.end(number) == 0, one.shown
        assert time.monotonic() - began < GRACE, one.shown
        assert "Terminated!" in one.output
        assert "Traceback" not in one.output
