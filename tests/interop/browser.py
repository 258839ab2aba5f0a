"""A page in headless Chromium, driven by the DevTools protocol over its WebSocket."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from .helpers import lacking, process

NAMES = ("chromium", "chromium-browser", "google-chrome")
START = 60  # seconds that Chromium has to start on a busy machine


def chromium_or_skip() -> str:
    """Return Chromium's path; skip the test (see helpers.lacking) where there is none."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    return found or lacking("chromium is missing (tests/interop/lab/install-lab --all)")


class Browser:
    """One page."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self.complaints: list[str] = []  # exceptions and errors of the page

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._connection.recv(START))
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        if message["method"] == "Runtime.exceptionThrown":
            self.complaints.append(str(message["params"]["exceptionDetails"]))
        elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
            self.complaints.append(message["params"]["entry"]["text"])

    def open(self, url: str, width: int = 1400, height: int = 900) -> None:
        """Open a page, in a window of this size."""
        for domain in "Page", "Runtime", "Log":
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        self.call("Page.navigate", url=url)
        self.wait(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")
        self.complaints.clear()  # those of the page before

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        done = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def wait(self, expression: str, seconds: float = 30) -> Any:
        """Wait until an expression is true; return it."""
        end = time.monotonic() + seconds
        while not (found := self.value(expression)):
            if time.monotonic() > end:
                text = self.value("document.body.innerText")
                pytest.fail(f"{expression} is not true after {seconds} s; the page shows:\n{text}", pytrace=False)
            time.sleep(0.05)
        return found

    def screenshot(self, target: Path) -> None:
        """Save what is to be seen as PNG."""
        target.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def chromium(path: str) -> Iterator[Browser]:
    """Run Chromium while the block lasts."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                   "--no-first-run", "--disable-extensions", "--disable-background-networking",
                   "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]  # fmt: skip
        home = {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_CACHE_HOME": folder}
        with process(command, env=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
            with connect(_page(running, Path(folder)), max_size=None, open_timeout=START) as connection:
                yield Browser(connection)


def _page(running: subprocess.Popen[str], folder: Path) -> str:
    """The address at which the browser's page takes the protocol."""
    end = time.monotonic() + START
    where = folder / "DevToolsActivePort"
    while time.monotonic() < end and running.poll() is None:
        if where.exists() and (lines := where.read_text().splitlines()):
            with urllib.request.urlopen(f"http://127.0.0.1:{lines[0]}/json/list", timeout=START) as answer:
                pages = [p for p in json.load(answer) if p["type"] == "page"]
            if pages:
                return str(pages[0]["webSocketDebuggerUrl"])
        time.sleep(0.05)
    pytest.fail(f"chromium does not start (status {running.poll()})")
