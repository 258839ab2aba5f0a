"""rspcerts: makes a private authority, and certificates of registrars, pool elements and pool users.

For the ``-tls`` option of all programs. What is in the certificates is `rserpool.security.authority`'s affair.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from .options import Argument, Group, Option, Program, Values, command_line, fail
from .start import interruptible
from .values import choice, real, text

ROLES = ("ca", "registrar", "client")
AUTHORITY_DAYS, DAYS = 3650.0, 365.0

PROGRAM = Program(
    "rspcerts",
    "Makes the files for TLS between registrars, pool elements and pool users: a private authority, and "
    "certificates that it signs. Nothing that exists is overwritten.",
    (
        Group(
            "Certificates",
            (
                Option("directory", "where the files are, and the authority's key", text, "certs", "DIRECTORY"),
                Option("address", "an address of the registrar; its certificate is good at no others", text,
                       metavar="ADDRESS", repeat=True),
                Option("days", "how long it is good", real(0.001, 36_500), metavar="DAYS",
                       shown=f"{AUTHORITY_DAYS:g} for ca, else {DAYS:g}"),
            ),
            "A registrar's certificate is good for both protocols. One of a client is good for a pool element or "
            "pool user, but not to pose as a registrar.",
        ),
    ),
    (
        Argument("role", "ca for the authority itself, registrar, or client for pool elements and users",
                 choice(*ROLES)),
        Argument("name", "whose it is: the registrar's host name, any name for a client; it names the files, too",
                 text, required=False),
    ),
    (
        ("rspcerts ca", "Makes certs/ca.pem and its key, certs/ca-key.pem, which only rspcerts needs."),
        ("rspcerts registrar reg1.example.org -address=192.0.2.1", "Makes a registrar's certificate and key."),
        ("rspcerts client worker", "Makes certs/worker.pem and certs/worker-key.pem."),
        ("rspserver -tls=certs/ca.pem,certs/worker.pem,certs/worker-key.pem", "Uses them."),
    ),
)  # fmt: skip


def make(values: Values) -> list[Path]:
    """Make what the command line wants; return the files that others need. Raises ValueError, OSError."""
    from rserpool.security import authority  # not for --help: it imports `cryptography`

    directory = Path(values.directory)
    if values.role == "ca":
        if values.address:
            raise ValueError("an authority has no addresses; give -address with the registrars' certificates")
        return [
            authority.make_authority(directory, values.name or "RSerPool authority", values.days or AUTHORITY_DAYS)
        ]
    if values.name is None:
        raise ValueError(f"a {values.role} needs a name: rspcerts {values.role} NAME")
    if values.role == "client" and values.address:
        raise ValueError("a client is good at any address; -address is for registrars")
    made = authority.make_certificate(directory, values.role, values.name, values.address, values.days or DAYS)
    return [authority.certificate_file(directory, authority.CA), made, authority.key_file(directory, values.name)]


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    try:
        files = make(values)
    except FileExistsError as error:
        return fail(
            PROGRAM, f"{error.filename} exists", "Nothing was changed. Remove it first, or choose another name."
        )
    except FileNotFoundError as error:
        return fail(PROGRAM, f"{error.filename} is missing", "Make an authority first: rspcerts ca")
    except OSError as error:
        return fail(PROGRAM, f"{error.filename}: {error.strerror}")
    except ValueError as error:
        return fail(PROGRAM, str(error))
    except KeyboardInterrupt:
        return 130
    print(f"-tls={','.join(map(str, files))}")
    return 0


def run() -> int:
    """The installed program."""
    interruptible(signal.SIGINT, signal.SIGTERM)  # no key is left without its certificate
    return main(sys.argv[1:])
