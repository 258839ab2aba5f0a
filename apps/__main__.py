"""``python -m rserpool_apps PROGRAM ...``: any of the programs, where they are not on the PATH."""

from __future__ import annotations

import sys

from .start import PROGRAMS, start


def main() -> int:
    """Run the program that the first word names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in PROGRAMS:
        print(f"Usage: python -m rserpool_apps PROGRAM [-option=value] ...\nPrograms: {', '.join(PROGRAMS)}")
        return 0 if name in ("-h", "-help", "--help") else 1
    del sys.argv[1]
    return start(name)


if __name__ == "__main__":
    sys.exit(main())
