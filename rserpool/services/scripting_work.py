"""A work package of the scripting service: unpacked, its signature checked, run, and cleared away.

What RSPLIB's ``scriptingcontrol`` does. A package is a tar archive, plain or compressed by gzip or bzip2, with a
program ``ssrun``. With key ring and trust database it must be signed by a trusted key (GnuPG), else it is run as
it is: whoever may use the service then may run programs with the rights of the server.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

RUN = "ssrun"
MARK = "RSPSS_SESSION"  # environment variable by which the processes of a session are found
MAX_MEMBERS = 100_000
PARENT_CHECK = 0.5  # seconds between looks at whether the server lives
TRUSTED = ("TRUST_FULLY", "TRUST_ULTIMATE")
WARNING = "WARNING: Skipping verification; you should better configure a keyring!"


class Refused(Exception):
    """A package that is not run; the text says why."""


def verify(directory: Path, name: str, keyring: str, trust_db: str, extract: bool) -> None:
    """Check the signature of a session's file ``name``; with ``extract`` put its content in its place.

    Without key ring and trust database only a warning is given. Refused.
    """
    if not keyring or not trust_db:
        bar = "#" * len(WARNING)
        print(f"{bar}\n{WARNING}\n{bar}", flush=True)
        return
    home = directory / ".gnupg"
    home.mkdir(mode=0o700, exist_ok=True)
    # gpg writes to both; a session must not change those of the server.
    ring, trust = home / "keyring", home / "trustdb"
    try:
        shutil.copyfile(keyring, ring)
        shutil.copyfile(trust_db, trust)
    except OSError as error:
        raise Refused(f"cannot read {error.filename}: {error.strerror}") from None
    content = directory / f"{name}.content"
    action = ["--output", str(content), "--decrypt"] if extract else ["--verify"]
    command = ["gpg", "--homedir", str(home), "--batch", "--no-tty", "--no-default-keyring", "--keyring",
               str(ring), "--trustdb-name", str(trust), "--status-fd", "1", *action,
               str(directory / name)]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise Refused(f"cannot run gpg: {error.strerror}") from None
    words = {line.split()[1] for line in done.stdout.decode(errors="replace").splitlines() if "[GNUPG:] " in line}
    if done.returncode != 0 or "VALIDSIG" not in words or not words & set(TRUSTED):
        content.unlink(missing_ok=True)
        raise Refused(f"{name} has no signature of a trusted key")
    if extract:
        content.replace(directory / name)


def unpack(package: Path, directory: Path, limit: int) -> None:
    """Unpack a package. Refused if it is none, reaches outside, or has more than ``limit`` bytes."""
    for mode in ("r:", "r:gz", "r:bz2"):
        try:
            archive = tarfile.open(package, mode)  # noqa: SIM115 - closed below
            break
        except (tarfile.TarError, OSError, EOFError):
            continue
    else:
        raise Refused("the package is no tar archive")
    with archive:
        total = count = 0
        try:
            for member in archive:
                total += member.size
                count += 1
                if total > limit or count > MAX_MEMBERS:
                    raise Refused("the package is too large when unpacked")
                _extract(archive, member, directory)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise Refused(f"the package cannot be unpacked: {error}") from None


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    """Extract one member below a directory. TarError for what would reach outside."""
    if hasattr(tarfile, "data_filter"):
        archive.extract(member, directory, filter="data")
        return
    # Python before 3.11.4 has no filters: plain files and folders below the directory, nothing else.
    target = (directory / member.name).resolve()
    if not (member.isfile() or member.isdir()) or not target.is_relative_to(directory.resolve()):
        raise tarfile.TarError(f"{member.name!r} is not taken")
    archive.extract(member, directory)


def environment(directory: Path) -> dict[str, str]:
    """The environment variables of a session's programs: nothing of the server's but paths and language."""
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TZ")}
    return {"PATH": os.defpath, **kept, "HOME": str(directory), "TMPDIR": str(directory), MARK: str(directory)}


def run(directory: Path, package: str, output: str, env: str, keyring: str, trust_db: str, limit: int) -> int:
    """Check, unpack and run a package in its directory; return 0, or 1 for every failure."""
    try:
        verify(directory, package, keyring, trust_db, extract=True)
        unpack(directory / package, directory, limit)
        program = directory / RUN
        if not program.is_file():
            raise Refused(f"the package has no {RUN}")
        program.chmod(0o700)
        status = _watched([str(program), output, env, keyring, trust_db], directory)
    except Refused as error:
        print(f"Refused: {error}", file=sys.stderr, flush=True)
        return 1
    except OSError as error:
        print(f"Cannot run the package: {error}", file=sys.stderr, flush=True)
        return 1
    return 0 if status == 0 else 1


def _watched(command: list[str], directory: Path) -> int:
    """Run a program; where our caller dies meanwhile, clear all away, as nobody else would, and return 1."""
    server = os.getppid()
    with subprocess.Popen(command, cwd=directory, env=environment(directory), stdin=subprocess.DEVNULL) as process:
        while True:
            try:
                return process.wait(PARENT_CHECK)
            except subprocess.TimeoutExpired:
                if os.getppid() != server:
                    cleanup(directory, 0, keep=False)
                    return 1


def check_environment(directory: Path, env: str, keyring: str, trust_db: str) -> int:
    """Check the signature of an environment file; return 0 or 1."""
    try:
        verify(directory, env, keyring, trust_db, extract=False)
    except Refused as error:
        print(f"Refused: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def used(directory: Path) -> int:
    """Return the bytes of all files below a directory, which others may be changing."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue
    return total


def _processes(directory: Path) -> Iterator[int]:
    """The processes of a session, wherever they have gone: by their environment (Linux)."""
    mark = f"{MARK}={directory}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in entry.read_bytes().split(b"\0"):
                yield int(entry.parent.name)
        except OSError:
            continue


def kill(directory: Path, leader: int) -> None:
    """Kill the process group of ``leader`` (0: none) and all that the session's programs have started."""
    if leader > 0:
        try:
            os.killpg(leader, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    for _ in range(20):  # a process may just have started another
        found = [p for p in _processes(directory) if p != os.getpid()]
        for process in found:
            try:
                os.kill(process, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        if not found:
            return
        time.sleep(0.005)


def cleanup(directory: Path, leader: int, keep: bool) -> int:
    """Kill what is left of a session and remove its directory, unless it is to be kept; return 0 or 1."""
    kill(directory, leader)
    if not keep:
        shutil.rmtree(directory, ignore_errors=True)
    return 0 if keep or not directory.exists() else 1
