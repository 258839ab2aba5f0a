"""Options of the programs: tables in, values out; help, usage and errors come from the same tables.

Every option is accepted as RSPLIB's programs take it (``-name=value``), as GNU programs do (``--name=value``) and
with the value as the next word. Man pages and completions are made from these tables, too. What values mean is in
`values`; which options all programs share in `common`.
"""

from __future__ import annotations

import difflib
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any


class UsageError(Exception):
    """A command line that does not parse; the text says why."""


class Values(SimpleNamespace):
    """What the options say: one attribute for each option, named like it with ``_`` for ``-``."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no option gives {name!r}")


@dataclass(frozen=True, slots=True)
class Option:
    """One option. Without ``parse`` it is a flag, which sets ``value``; with it, it takes an argument.

    ``default`` is what a user would write; it is parsed like it and shown by ``--help``. ``shown`` is shown
    instead, where the default is no single text. ``parse`` raises ValueError saying what is wrong.
    """

    name: str
    help: str
    parse: Callable[[str], Any] | None = None
    default: str | None = None
    metavar: str = "VALUE"
    shown: str = ""
    dest: str = ""
    value: Any = True
    repeat: bool = False  # the value is a list of all that were given
    old: tuple[str, ...] = ()  # former names, still taken

    @property
    def target(self) -> str:
        """The attribute that holds its value."""
        return self.dest or self.name.replace("-", "_")

    @property
    def usage(self) -> str:
        """How to write it."""
        return f"-{self.name}" if self.parse is None else f"-{self.name}={self.metavar}"


@dataclass(frozen=True, slots=True)
class Group:
    """Options under a common title in ``--help``; ``note`` is a paragraph below it."""

    title: str
    options: tuple[Option, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Argument:
    """A word that is no option."""

    name: str
    help: str
    parse: Callable[[str], Any]
    required: bool = True
    repeat: bool = False  # the value is a list of all words from here on; only the last argument may be it

    @property
    def usage(self) -> str:
        """How to write it."""
        name = self.name.upper() + ("..." if self.repeat else "")
        return name if self.required else f"[{name}]"


@dataclass(frozen=True, slots=True)
class Program:
    """A program's command line; ``examples`` are (command, what it does)."""

    name: str
    summary: str
    groups: tuple[Group, ...]
    arguments: tuple[Argument, ...] = ()
    examples: tuple[tuple[str, str], ...] = ()

    def options(self) -> Iterator[Option]:
        """All options, in the order of the groups."""
        for group in self.groups:
            yield from group.options


HELP = ("help", "h")
VERSION = ("version",)
BUILT_IN = Group(
    "About",
    (Option("help", "show this text and end"), Option("version", "show the version and end")),
)


def parse(program: Program, words: Sequence[str]) -> Values:
    """Return the values of all options, given or default. Raises UsageError.

    ``values.given`` is the set of the options' names that stand in ``words``.
    """
    by_name = {name: option for option in program.options() for name in (option.name, *option.old)}
    values = Values(given=set())
    for option in program.options():
        if option.parse is None:
            if not hasattr(values, option.target):
                setattr(values, option.target, False if option.value is True else None)
        else:
            text = option.default
            first = None if text is None else option.parse(text)
            setattr(values, option.target, ([] if first is None else [first]) if option.repeat else first)
    plain: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            plain += rest
            break
        if not word.startswith("-") or word == "-":
            plain.append(word)
            continue
        name, equals, text = word.lstrip("-").partition("=")
        option = by_name.get(name) or _unknown(name, by_name)
        _set(values, option, name, equals, text, rest)
    _arguments(program, plain, values)
    return values


def _unknown(name: str, by_name: dict[str, Option]) -> Option:
    close = difflib.get_close_matches(name, by_name, 1, 0.7)
    raise UsageError(f"unknown option -{name}" + (f"; did you mean -{close[0]}?" if close else ""))


def _set(values: Values, option: Option, name: str, equals: str, text: str, rest: list[str]) -> None:
    if option.parse is None:
        if equals:
            raise UsageError(f"option -{name} takes no value")
        setattr(values, option.target, option.value)
        values.given.add(option.name)
        return
    if not equals:
        # The next word, unless it looks like another option; a negative number does not.
        if not rest or (rest[0].startswith("-") and not rest[0][1:2].isdigit()):
            raise UsageError(f"option -{name} needs a value: {option.usage}")
        text = rest.pop(0)
    try:
        value = option.parse(text)
    except ValueError as error:
        raise UsageError(f"option -{name}={text}: {error}") from None
    if option.repeat:
        known = getattr(values, option.target) if option.name in values.given else []
        setattr(values, option.target, [*known, value])
    else:
        setattr(values, option.target, value)
    values.given.add(option.name)


def _arguments(program: Program, words: list[str], values: Values) -> None:
    endless = bool(program.arguments) and program.arguments[-1].repeat
    if len(words) > len(program.arguments) and not endless:
        raise UsageError(f"unexpected argument {words[len(program.arguments)]!r}; options begin with -")
    for place, argument in enumerate(program.arguments):
        if place >= len(words):
            if argument.required:
                raise UsageError(f"{argument.name} is missing")
            setattr(values, argument.name, [] if argument.repeat else None)
            continue
        found = [
            _word(argument, word) for word in (words[place:] if argument.repeat else words[place : place + 1])
        ]
        setattr(values, argument.name, found if argument.repeat else found[0])


def _word(argument: Argument, word: str) -> Any:
    try:
        return argument.parse(word)
    except ValueError as error:
        raise UsageError(f"{argument.name} {word!r}: {error}") from None


def usage(program: Program) -> str:
    """Return the line that says how the program is called."""
    names = "".join(f" {argument.usage}" for argument in program.arguments)
    return f"Usage: {program.name}{names} [-option=value] ..."


def help_text(program: Program, width: int = 80) -> str:
    """Return the text of ``--help``, in lines of at most ``width`` characters."""
    lines = [usage(program), "", *textwrap.wrap(program.summary, width)]
    column = 2
    for group in (*program.groups, BUILT_IN):
        for option in group.options:
            if len(option.usage) <= width // 2 - 6:
                column = max(column, len(option.usage) + 4)
    for argument in program.arguments:
        lines += ["", f"  {argument.name.upper()}: {argument.help}"]
    for group in (*program.groups, BUILT_IN):
        lines += ["", f"{group.title}:"]
        if group.note:
            lines += textwrap.wrap(group.note, width, initial_indent="  ", subsequent_indent="  ")
        for option in group.options:
            lines += _option_lines(option, column, width)
    if program.examples:
        lines += ["", "Examples:"]
        for command, meaning in program.examples:
            lines += [
                f"  {command}",
                *textwrap.wrap(meaning, width, initial_indent="      ", subsequent_indent="      "),
            ]
    return "\n".join(lines)


def default_text(option: Option) -> str:
    """Return how ``--help`` shows the default; "" if there is none."""
    return option.shown or (option.default or "" if option.parse is not None else "")


def _option_lines(option: Option, column: int, width: int) -> list[str]:
    shown = default_text(option)
    text = option.help + (f" [{shown}]" if shown else "") + (" (repeatable)" if option.repeat else "")
    wrapped = textwrap.wrap(text, width - column) or [""]
    head = f"  {option.usage}"
    lines = [] if len(head) + 2 <= column else [head]
    first = head if not lines else ""
    lines.append(f"{first:<{column}}{wrapped[0]}".rstrip())
    lines += [" " * column + line for line in wrapped[1:]]
    return lines


def command_line(program: Program, words: Sequence[str]) -> Values | int:
    """Parse a command line; print ``--help``, ``--version`` or what is wrong, and return the exit status."""
    for word in words:
        if word == "--":
            break
        if word.startswith("-") and word.lstrip("-") in HELP:
            _show(help_text(program, min(100, shutil.get_terminal_size((80, 24)).columns)))
            return 0
        if word.startswith("-") and word.lstrip("-") in VERSION:
            _show(f"{program.name} ({version()})")
            return 0
    try:
        return parse(program, words)
    except UsageError as error:
        return fail(program, str(error), f"{usage(program)}\nTry {program.name} --help for all options.")


def _show(text: str) -> None:
    """Print to standard output, whose reader may have seen enough (``| head``)."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # Else the interpreter complains when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fail(program: Program, text: str, advice: str = "") -> int:
    """Print an error and what to do next to standard error; return exit status 1."""
    print(f"{program.name}: {text}", file=sys.stderr)
    if advice:
        print(advice, file=sys.stderr)
    return 1


def version() -> str:
    """Return name and version of the package."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as package_version

    try:
        return f"pyrserpool {package_version('pyrserpool')}"
    except PackageNotFoundError:
        return "pyrserpool, not installed"
