"""Single keys of rspdemo in a terminal: an action's key and then a component's; q ends. Restores the terminal.

Also knows what they mean (`Keyboard.press`), without a terminal.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from .runtime import at_cut
from .terminals import restore

ACTIONS = {"s": "start", "x": "stop", "k": "kill", "r": "restart"}
QUIT = "q"


class Keyboard:
    """What keys mean. ``members``: a key for each component; ``act(action, name)`` does it, ``quit()`` ends."""

    def __init__(
        self, members: Mapping[str, str], act: Callable[[str, str], None], quit: Callable[[], None]
    ) -> None:
        self._members = members
        self._act = act
        self._quit = quit
        self.action = ""  # whose component is to come

    def press(self, key: str) -> None:
        """A key has been pressed."""
        if self.action and key in self._members:
            self._act(self.action, self._members[key])
            self.action = ""
        elif not self.action and key == QUIT:
            self._quit()
        else:
            # Anything else takes back the action before.
            self.action = "" if self.action else ACTIONS.get(key, "")

    @property
    def words(self) -> str:
        """What can be pressed now."""
        if self.action:
            return f"{self.action} which? " + "  ".join(f"{k} {name}" for k, name in self._members.items())
        return "  ".join(f"{k} {action}" for k, action in ACTIONS.items()) + f"  {QUIT} end"


@contextmanager
def keys_pressed(press: Callable[[str], None], wanted: bool = True) -> Iterator[bool]:
    """Call ``press`` for each key while the block lasts; yields whether there is a terminal to press them at."""
    if not wanted or os.name != "posix" or sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        yield False
        return
    import termios
    import tty

    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)
    loop = asyncio.get_running_loop()

    def readable() -> None:
        data = os.read(fd, 64)
        if not data:
            loop.remove_reader(fd)
        for key in data.decode(errors="replace"):
            press(key)

    with at_cut(lambda: restore(fd, before, termios.TCSANOW)):
        tty.setcbreak(fd)
        loop.add_reader(fd, readable)
        try:
            yield True
        finally:
            loop.remove_reader(fd)
            restore(fd, before, termios.TCSADRAIN)
