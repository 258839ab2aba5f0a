"""`make screenshots`: the pictures in docs/images, taken of the real programs at work.

Terminals are drawn by an emulator (pyte) and shown by Chromium, which takes their picture; the window of
fractalpooluser is on a display in memory (Xvfb), whose frame buffer is read.
"""

from __future__ import annotations

import html
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from struct import unpack_from

from pyte.screens import Char
from rserpool_apps.scenario import source

from tests.interop.browser import Browser, chromium, chromium_or_skip
from tests.interop.helpers import free_udp_ports, process, wait_until
from tests.interop.pictures import PLACE, Pool
from tests.interop.programs import ours, running
from tests.interop.screens import Screen, terminal

FOREGROUND, BACKGROUND = "d8dee6", "14181f"
COLOURS = {"black": "39424e", "red": "f0616f", "green": "4cc585", "brown": "e5b040", "blue": "6ea2ff",
           "magenta": "c792ea", "cyan": "4fc3d9", "white": "d8dee6", "brightblack": "6b7683",
           "default": ""}  # fmt: skip
COLUMN, ROW = 9, 18  # pixels; whole numbers, so that nothing is between the cells
STYLE = f"""<meta charset="utf-8"><style>
html {{ overflow: hidden; }}
body {{ margin: 0; background: #{BACKGROUND}; color: #{FOREGROUND}; }}
pre {{ margin: 12px 14px; position: relative; font: 15px/{ROW}px "DejaVu Sans Mono", monospace; }}
pre span {{ position: absolute; height: {ROW}px; letter-spacing: -0.03px; }}
.b {{ font-weight: bold; }}
.d {{ opacity: 0.65; }}
</style>"""
HALF = "▀"


def main(folder: Path) -> None:
    """Make all pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["RSERPOOL_INTERFACES"] = "loopback"
    with chromium(chromium_or_skip()) as browser, tempfile.TemporaryDirectory() as scratch:
        pool_user_and_monitor(browser, folder, Path(scratch))
        window(folder, Path(scratch))
        demo(browser, folder, Path(scratch))
        page(browser, folder, Path(scratch))
    for picture in sorted(folder.glob("*.png")):
        print(f"{picture}: {picture.stat().st_size // 1024} KB")


def pool_user_and_monitor(browser: Browser, folder: Path, scratch: Path) -> None:
    """fractalpooluser and cspmonitor in terminals, a server of the pool having been killed."""
    port = free_udp_ports(1)[0]
    os.environ.update(CSP_SERVER=f"127.0.0.1:{port}", CSP_INTERVAL="250")
    with ExitStack() as stack:
        monitor = stack.enter_context(
            terminal(
                ours("cspmonitor", f"-localaddress=127.0.0.1:{port}", "-full", "-updateinterval=200"), 110, 23
            )
        )
        pool = Pool(stack, "-fgpcookiemaxpackets=2")
        size = ("-width=440", "-height=280", "-threads=6", f"-file={place(scratch, 2000)}", "-recvtimeout=1000")
        command = ours("fractalpooluser", *pool.common, *size, "-images=1")
        user = stack.enter_context(terminal(command, 110, 36, late=True))
        wait_until(lambda: pool.servers[1].matches("Got Parameter"), 60, "a session")
        time.sleep(1.0)  # some of the image
        pool.servers[1].send_signal(signal.SIGKILL)
        monitor.shows("✖", 20)
        shoot(browser, monitor.still(), folder / "cspmonitor.png")
        user.end(180)
        shoot(browser, user.usual, folder / "fractalpooluser.png")
    del os.environ["CSP_SERVER"], os.environ["CSP_INTERVAL"]


def place(scratch: Path, iterations: int) -> Path:
    """A parameter file of the Mandelbrot set."""
    file = scratch / "set.fsf"
    file.write_text(PLACE.format(iterations=iterations))
    return file


def window(folder: Path, scratch: Path) -> None:
    """fractalpooluser's window, in the middle of an image."""
    number = next(n for n in range(90, 200) if not Path(f"/tmp/.X11-unix/X{n}").exists())
    screen = ("-screen", "0", "560x400x24", "-fbdir", str(scratch), "-nocursor")
    server = ["Xvfb", f":{number}", *screen, "-nolisten", "tcp"]
    with ExitStack() as stack:
        stack.enter_context(process(server))
        wait_until(lambda: Path(f"/tmp/.X11-unix/X{number}").exists(), 20, "the display")
        pool = Pool(stack, "-fgpcookiemaxpackets=2")
        size = ("-width=560", "-height=372", "-threads=6", f"-file={place(scratch, 3000)}", "-display=window",
                "-recvtimeout=1000")  # fmt: skip
        display = {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb"}
        log = stack.enter_context(running(ours("fractalpooluser", *pool.common, *size), env=display))
        log.expect("Transport")
        wait_until(lambda: sum(len(s.matches("Got Parameter")) for s in pool.servers) >= 6, 60, "the sessions")
        frame = scratch / "Xvfb_screen0"
        wait_until(lambda: drawn_share(frame) > 0.3, 60, "the image")
        busy = next(s for s in pool.servers if s.matches("Got Parameter"))
        busy.send_signal(signal.SIGKILL)
        others = [s for s in pool.servers if s is not busy]
        wait_until(lambda: any(s.matches("Got CookieEcho") for s in others), 30, "the failover")
        share = drawn_share(frame)
        wait_until(lambda: drawn_share(frame) > share + 0.05, 60, "more of the image")
        save(frame, folder / "fractalpooluser-window.png")


def pixels(frame: Path) -> tuple[int, int, int, bytes]:
    """Width, height, bytes of a line, and the bytes (B, G, R, 0) of a frame buffer in X's dump format."""
    data = frame.read_bytes()
    words = unpack_from(">25I", data)
    begin = words[0] + 12 * words[19]  # header and colour map
    return words[4], words[5], words[12], data[begin : begin + words[12] * words[5]]


def drawn_share(frame: Path) -> float:
    """How much of the screen has bright colours."""
    _, _, _, data = pixels(frame)
    points = range(0, len(data) - 3, 4 * 37)
    return sum(max(data[i : i + 3]) - min(data[i : i + 3]) > 120 for i in points) / len(points)


def save(frame: Path, target: Path) -> None:
    """Save a frame buffer as PNG, without what is below the window."""
    from PySide6.QtGui import QImage

    width, height, line, data = pixels(frame)
    while not any(max(data[x : x + 3]) for x in range((height - 1) * line, height * line, 4)):
        height -= 1
    QImage(data, width, height, line, QImage.Format.Format_RGB32).save(str(target))


def slower(scratch: Path) -> str:
    """The file of the default scenario with a larger image, which goes on for a while after the kills."""
    text = source("fractal")
    for old, new in (("=480", "=960"), ("=240", "=480"), ("= 28", "= 90")):
        if text.count(old) != 1:
            raise ValueError(f"the default scenario has no {old!r} to be made {new!r}, or several")
        text = text.replace(old, new)
    file = scratch / "slower.toml"
    file.write_text(text)
    return str(file)


def demo(browser: Browser, folder: Path, scratch: Path) -> None:
    """The default scenario of rspdemo, when the killed server's part goes on elsewhere."""
    with terminal(ours("rspdemo", slower(scratch), f"-png={scratch}/demo.png"), 100, 30) as shown:
        shown.shows("✖", 60)
        shown.shows("goes on at", 30)
        wait_until(lambda: shown.now.text.count("✖") == 2, 60, "the registrar's end")
        shoot(browser, shown.still(), folder / "rspdemo.png")
        shown.end(60)


def page(browser: Browser, folder: Path, scratch: Path) -> None:
    """The page, with the same scenario."""
    with running(ours("rspdemo", slower(scratch), "-plain", "-web=0", f"-png={scratch}/page.png")) as program:
        browser.open(program.expect(r"Watch it at (http://\S+)", 30)[1], 1280, 760)
        browser.wait("failovers >= 1 && [...nodes.values()].some(n => n.data.fading)", 90)
        time.sleep(0.4)  # the picture moves
        browser.screenshot(folder / "web-page.png")
        program.end()


# A terminal's screen as a page


def shoot(browser: Browser, screen: Screen, target: Path) -> None:
    """Save the picture of a terminal's screen."""
    with tempfile.NamedTemporaryFile("w", suffix=".html", encoding="utf-8") as file:
        cells = "".join(span(*run) for row in range(screen.lines) for run in runs(screen, row))
        file.write(f"{STYLE}<pre>{cells}</pre>")
        file.flush()
        browser.open(f"file://{file.name}", screen.columns * COLUMN + 28, screen.lines * ROW + 24)
        browser.screenshot(target)


def runs(screen: Screen, row: int) -> Iterator[tuple[int, int, Char, str]]:
    """Characters of the same style in a row: (row, column, the first of them, their text)."""
    begin, text = 0, ""
    for column in range(screen.columns):
        char = screen.buffer[row][column]
        if text and char._replace(data="") != screen.buffer[row][begin]._replace(data=""):
            yield row, begin, screen.buffer[row][begin], text
            begin, text = column, ""
        text += char.data
    yield row, begin, screen.buffer[row][begin], text


def colour(name: str, usual: str) -> str:
    """A colour for CSS."""
    return f"#{COLOURS.get(name, name) or usual}"


def span(row: int, column: int, style: Char, text: str) -> str:
    """Characters of one style. Half-blocks are painted, as fonts draw them with gaps."""
    front, back = colour(style.fg, FOREGROUND), colour(style.bg, BACKGROUND)
    if style.reverse:
        front, back = back, front
    place = f"top:{row * ROW}px;left:{column * COLUMN}px;width:{len(text) * COLUMN}px"
    if set(text) == {HALF}:
        return f'<span style="{place};background:linear-gradient({front} 50%,{back} 50%)"></span>'
    classes = "b" * style.bold + " d" * style.blink
    return f'<span class="{classes}" style="{place};color:{front};background:{back}">{html.escape(text)}</span>'


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
