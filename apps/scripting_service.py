"""rspserver's Scripting service: its options, its text at the start, its cache. What it does is in `rserpool`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rserpool.services import scripting_sandbox, scripting_server, scripting_work
from rserpool.session import PeerSession
from rserpool.wire import policies
from rserpool.wire.types import Policy

from .logs import Output
from .options import Option, Values
from .scriptingcontrol import SANDBOX
from .values import FULL, choice, integer, milliseconds, seconds, text

KIB, MIB = 1 << 10, 1 << 20
CPUS = os.cpu_count() or 1

OPTIONS = (
    Option("ssmaxthreads", "sessions at a time", integer(1, 100_000), str(CPUS), "N"),
    Option("sskeeptempdirs", "keep the directories of sessions"),
    Option("ssverbose", "a dot for each block that is transferred"),
    Option("sstransmittimeout", "time for each message", milliseconds(1), "30000", "MS"),
    Option("sskeepaliveinterval", "time between keep-alives", milliseconds(1), "15000", "MS"),
    Option("sskeepalivetimeout", "time for their answers", milliseconds(1), "10000", "MS"),
    Option("sscachemaxsize", "size of the environment cache", integer(128, 2**40), "131072", "KIB"),
    Option("sscachemaxentries", "files in the environment cache", integer(1, 2**31), "16", "N"),
    Option("sscachedirectory", "its directory", text, metavar="DIR", shown="a temporary one"),
    Option("sskeyring", "with -sstrustdb: run only what is signed by a trusted key of this GnuPG key ring", text,
           metavar="FILE"),
    Option("sstrustdb", "GnuPG's trust database", text, metavar="FILE"),
    Option("ssmaxtime", "stop a package after so long, 0 never", seconds(0), "3600", "S"),
    Option("ssmaxdisk", "stop a package whose files are larger, 0 never", integer(0, 2**40), "1024", "MIB"),
    Option("sssandbox", "packages write below their directory only (Landlock): where that can be, always, never",
           choice(*SANDBOX), SANDBOX[0], "|".join(SANDBOX)),
    Option("ssmaxmemory", "memory that each program of a package may have, 0 all", integer(0, 2**40), "0", "MIB"),
)  # fmt: skip


def _settings(values: Values) -> scripting_server.Settings:
    return scripting_server.Settings(
        (sys.executable, "-m", "rserpool_apps", "scriptingcontrol", f"-sandbox={values.sssandbox}"),
        values.sstransmittimeout,
        values.sskeepaliveinterval,
        values.sskeepalivetimeout,
        os.path.abspath(values.sskeyring) if values.sskeyring else "",
        os.path.abspath(values.sstrustdb) if values.sstrustdb else "",
        values.sskeeptempdirs,
        values.ssverbose,
        values.ssmaxtime,
        values.ssmaxdisk * MIB,
        values.ssmaxmemory * MIB,
        not values.quiet,
    )


def _sandbox(values: Values) -> str:
    if values.sssandbox == scripting_work.OFF:
        return "off"
    return "Landlock" if scripting_sandbox.version() else "none: this system has no Landlock"


def parameters(values: Values) -> list[tuple[str, str]]:
    """The service's parameters, for the text at the start."""
    return [
        ("Keep Temp Dirs", "yes" if values.sskeeptempdirs else "no"),
        ("Verbose Mode", "yes" if values.ssverbose else "no"),
        ("Transmit Timeout", f"{values.sstransmittimeout * 1000:.0f} [ms]"),
        ("Keep-Alive Interval", f"{values.sskeepaliveinterval * 1000:.0f} [ms]"),
        ("Keep-Alive Timeout", f"{values.sskeepalivetimeout * 1000:.0f} [ms]"),
        ("Cache Max Size", f"{values.sscachemaxsize} [KiB]"),
        ("Cache Max Entries", str(values.sscachemaxentries)),
        ("Cache Directory", values.sscachedirectory or ""),
        ("Keyring", values.sskeyring or ""),
        ("Trust DB", values.sstrustdb or ""),
        ("Max Time", f"{values.ssmaxtime:g} [s]"),
        ("Max Disk", f"{values.ssmaxdisk} [MiB]"),
        ("Max Memory", f"{values.ssmaxmemory} [MiB]"),
        ("Sandbox", _sandbox(values)),
    ]


@contextmanager
def prepared(values: Values) -> Iterator[None]:
    """Settings and cache while the server runs. ValueError, OSError for what the options name."""
    if bool(values.sskeyring) != bool(values.sstrustdb):
        raise ValueError("-sskeyring and -sstrustdb belong together: with one of them nothing would be checked")
    for name in filter(None, (values.sskeyring, values.sstrustdb)):
        open(name, "rb").close()
    if values.sssandbox == scripting_work.ON and not scripting_sandbox.version():
        raise ValueError("-sssandbox=on: this system has no Landlock (Linux 5.13)")
    if "policy" not in values.given:
        values.policy = Policy(policies.LEAST_USED_DEGRADATION, load_degradation=FULL // values.ssmaxthreads)
    values.ss_settings = _settings(values)
    cache, temporary = scripting_server.open_cache(
        values.sscachedirectory or "", values.sscachemaxsize * KIB, values.sscachemaxentries
    )
    values.ss_cache = cache
    try:
        yield
    finally:
        scripting_server.close_cache(cache, temporary)


async def serve(session: PeerSession, values: Values, out: Output) -> None:
    """Serve one session."""
    say = (lambda _: None) if values.quiet else out.stamped
    await scripting_server.serve(session, values.ss_settings, values.ss_cache, say)


async def refuse(session: PeerSession, values: Values, out: Output) -> None:
    """Send a session away, with words."""
    await scripting_server.refuse(session)
