"""What keeps the programs of a work package inside: Linux's Landlock for files and signals, and finding them all.

Landlock (kernel 5.13 and later) needs no privileges: a program confines itself and all that it starts. Programs
may read and run what the server may; they write only below their directory. From kernel 6.12 on they can send
signals only to each other. Numbers and structures are those of linux/landlock.h and linux/prctl.h.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from struct import pack

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # system calls, the same on all machines
_VERSION = 1  # flag of _CREATE_RULESET
_PATH_BENEATH = 1
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))
_REFER = 1 << 13  # links and renames between directories
_SCOPES = 0b11  # abstract UNIX sockets, signals
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/tty")
_O_PATH = getattr(os, "O_PATH", 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the version of Landlock's interface, 0 where there is none."""
    if not sys.platform.startswith("linux"):
        return 0
    found: int = _libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    return max(0, found)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def confine(directory: Path) -> None:
    """Let this process, and all that it starts, write below ``directory`` only; there is no way back. OSError."""
    libc, abi = _libc(), version()
    rights = _WRITE_FILE | _REMOVE_AND_MAKE | (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0)
    attributes = pack("=Q", rights)
    if abi >= 6:
        attributes += pack("=QQ", 0, _SCOPES)
    size = ctypes.c_size_t(len(attributes))
    rules = _checked(libc.syscall(_CREATE_RULESET, attributes, size, ctypes.c_uint32(0)))
    try:
        for path in (str(directory), *_DEVICES):
            if not os.path.exists(path):
                continue
            place = os.open(path, _O_PATH | os.O_CLOEXEC)
            try:
                allowed = rights if os.path.isdir(path) else rights & (_WRITE_FILE | _TRUNCATE)
                rule = pack("=Qi", allowed, place)
                _checked(libc.syscall(_ADD_RULE, rules, _PATH_BENEATH, rule, ctypes.c_uint32(0)))
            finally:
                os.close(place)
        _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        _checked(libc.syscall(_RESTRICT_SELF, rules, ctypes.c_uint32(0)))
    finally:
        os.close(rules)


def adopt() -> None:
    """Become the parent of all descendants whose own parents end, so that none of them gets lost (Linux)."""
    if sys.platform.startswith("linux"):
        _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(process: int) -> list[int]:
    """Return the children of a process, their children, and so on (Linux)."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found = list(children.get(process, ()))
    for one in found:  # grows meanwhile
        found += children.get(one, ())
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if fields and fields[0] != "Z":
            yield int(entry.parent.name), int(fields[1])
