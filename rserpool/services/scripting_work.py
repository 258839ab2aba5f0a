"""A work package of the scripting service: unpacked, its signature checked, run, and cleared away.

What RSPLIB's ``scriptingcontrol`` does. A package is a tar archive, plain or compressed by gzip or bzip2, with a
program ``ssrun``. With key ring and trust database it must be signed by a trusted key (GnuPG), else it is run as
it is: whoever may use the service then may run programs with the rights of the server.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rserpool.services import scripting_sandbox

RUN = "ssrun"
MARK = "RSPSS_SESSION"  # environment variable by which the processes of a session are found
MAX_MEMBERS = 100_000
ROUNDS, PAUSE = 20, 0.005  # of killing, and seconds between them
PARENT_CHECK = 0.5  # seconds between looks at whether the server lives
TRUSTED = ("TRUST_FULLY", "TRUST_ULTIMATE")
AUTO, ON, OFF = "auto", "on", "off"  # whether programs are confined: where that is possible, always, never
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


def run(
    directory: Path,
    package: str,
    output: str,
    env: str,
    keyring: str,
    trust_db: str,
    limit: int,
    sandbox: str = AUTO,
) -> int:
    """Check, unpack and run a package in its directory; return 0, or 1 for every failure."""
    try:
        verify(directory, package, keyring, trust_db, extract=True)
        unpack(directory / package, directory, limit)
        program = directory / RUN
        if not program.is_file():
            raise Refused(f"the package has no {RUN}")
        program.chmod(0o700)
        status = _watched([str(program), output, env, keyring, trust_db], directory, _sandbox(directory, sandbox))
    except Refused as error:
        print(f"Refused: {error}", file=sys.stderr, flush=True)
        return 1
    except (OSError, subprocess.SubprocessError) as error:
        print(f"Cannot run the package: {error}", file=sys.stderr, flush=True)
        return 1
    return 0 if status == 0 else 1


def _sandbox(directory: Path, wanted: str) -> Callable[[], None] | None:
    """What a package's program does to itself before it begins. Refused if it cannot, but must."""
    if wanted == OFF:
        return None
    if scripting_sandbox.version() == 0:
        if wanted == ON:
            raise Refused("this system has no Landlock, which is to confine packages")
        return None
    return lambda: scripting_sandbox.confine(directory)


def _watched(command: list[str], directory: Path, confine: Callable[[], None] | None) -> int:
    """Run a program, and end all that it leaves behind; where our caller dies meanwhile, clear all away, as nobody
    else would, and return 1."""
    server = os.getppid()
    others = frozenset(scripting_sandbox.descendants(os.getpid()))
    scripting_sandbox.adopt()
    try:
        with subprocess.Popen(
            command,
            cwd=directory,
            env=environment(directory),
            stdin=subprocess.DEVNULL,
            preexec_fn=confine,  # noqa: PLW1509 - scriptingcontrol has no other threads
        ) as process:
            while True:
                try:
                    return process.wait(PARENT_CHECK)
                except subprocess.TimeoutExpired:
                    if os.getppid() != server:
                        cleanup(directory, 0, keep=False)
                        return 1
    finally:
        _kill_descendants(os.getpid(), others)


def check_environment(directory: Path, env: str, keyring: str, trust_db: str) -> int:
    """Check the signature of an environment file; return 0 or 1."""
    try:
        verify(directory, env, keyring, trust_db, extract=False)
    except Refused as error:
        print(f"Refused: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def used(directory: Path) -> int:
    """Return the bytes of all files below a directory, which others may be changing, and of those that the
    session's programs have removed but still use."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
            except OSError:
                continue
    return total + sum(_removed(directory).values())


def _removed(directory: Path) -> dict[tuple[int, int], int]:
    """The bytes of files that have no name any more but are open in the session's programs, by inode."""
    found = {}
    for process in _processes(directory):
        for entry in Path(f"/proc/{process}/fd").glob("*"):
            try:
                info = entry.stat()
            except OSError:
                continue
            if stat.S_ISREG(info.st_mode) and info.st_nlink == 0:
                found[info.st_dev, info.st_ino] = info.st_blocks * 512
    return found


def _processes(directory: Path) -> Iterator[int]:
    """The processes of a session, wherever they have gone: by their environment (Linux)."""
    mark = f"{MARK}={directory}".encode()
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in entry.read_bytes().split(b"\0"):
                yield int(entry.parent.name)
        except OSError:
            continue


def _end(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def _kill_descendants(leader: int, spared: frozenset[int] = frozenset()) -> None:
    for _ in range(ROUNDS):  # a process may just have started another
        found = [p for p in scripting_sandbox.descendants(leader) if p not in spared]
        for process in found:
            _end(process)
        if not found:
            return
        time.sleep(PAUSE)


def kill(directory: Path, leader: int) -> None:
    """Kill ``leader`` (0: none), its process group, its descendants and all that has the session's mark."""
    if leader > 0:
        _kill_descendants(leader)  # as long as it lives, to which they belong
        try:
            os.killpg(leader, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    for _ in range(ROUNDS):
        found = [p for p in _processes(directory) if p != os.getpid()]
        for process in found:
            _end(process)
        if not found:
            return
        time.sleep(PAUSE)


def cleanup(directory: Path, leader: int, keep: bool) -> int:
    """Kill what is left of a session and remove its directory, unless it is to be kept; return 0 or 1."""
    kill(directory, leader)
    if not keep:
        shutil.rmtree(directory, ignore_errors=True)
    return 0 if keep or not directory.exists() else 1
