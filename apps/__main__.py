"""``python -m rserpool_apps PROGRAM ...``: any of the programs, where they are not on the PATH."""

from __future__ import annotations

import importlib
import sys

PROGRAMS = (
    "rspregistrar",
    "rspserver",
    "rspterminal",
    "pingpongclient",
    "cspmonitor",
    "hsdump",
    "calcappclient",
    "fractalpooluser",
    "scriptingclient",
    "scriptingcontrol",
    "scriptingserviceexample",
    "rspcerts",
    "rspdemo",
    "rsptrace",
    "hrestest",
    "testregistrator",
    "attacker",
    "createsummary",
    "make-test-cache",
    "gettimestamp",
    "exectime",
    "execalarm",
)


def module_of(program: str) -> str:
    """The name of a program's module."""
    return f"{__package__}.{program.replace('-', '_')}"


def main() -> int:
    """Run the program that the first word names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in PROGRAMS:
        print(f"Usage: python -m rserpool_apps PROGRAM [-option=value] ...\nPrograms: {', '.join(PROGRAMS)}")
        return 0 if name in ("-h", "-help", "--help") else 1
    status: int = importlib.import_module(module_of(name)).main(sys.argv[2:])
    return status


if __name__ == "__main__":
    sys.exit(main())
