"""scriptingserviceexample: makes a work package, has it processed by the scripting service, shows the results.

A starting point for programs of one's own; arguments are those of RSPLIB's script of this name.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rserpool.services.scripting_work import Refused, unpack

from .options import Argument, Program, Values, command_line, fail

ENVIRONMENT_SIZE = 30_000_000  # bytes
RANDOM_SIZE = 2500
LARGEST = 1 << 30  # bytes of the results
LEAVING = 1.7  # seconds that scriptingclient gets to end after a signal

PROGRAM = Program(
    "scriptingserviceexample",
    "Makes a work package, has it processed by the scripting service, shows the results. Further arguments, which "
    "begin with -, are options of scriptingclient.",
    (),
    (
        Argument("identifier", "stands in the names of files; must be a new one", str),
        Argument("environment", "an environment file, which is made if there is none", str, required=False),
        Argument("keyring", "a key ring of GnuPG", str, required=False),
        Argument("key", "the key in it with which the package is signed", str, required=False),
    ),
    examples=(
        ("scriptingserviceexample 1", "A package without environment, not signed."),
        ("scriptingserviceexample 2 env.data -registrar=127.0.0.1:3863", "With environment and a registrar."),
    ),
)

RUN_SCRIPT = """#!/bin/sh
# Arguments: output file, environment file or "", key ring, trust database.
set -e
echo "This is the run script!"
echo "   + Input is \\"$(cat my-input.data)\\""
if [ -n "$2" ] ; then
   echo "   + Environment file is \\"$2\\", $(wc -c < "$2") bytes"
fi
sleep 1   # your program may do something more useful here
date > my-output.data
tr a-z A-Z < my-input.data >> my-output.data
tar czf "$1" my-output.data
echo "   + Processing finished"
"""


class ExampleError(Exception):
    """The example cannot go on; the text says why."""


class Interrupted(BaseException):
    """A signal asks for the end."""


def on_signal(number: int, _frame: FrameType | None) -> None:
    """End by an exception, so that everything is cleared away; further signals change nothing."""
    for one in signal.SIGINT, signal.SIGTERM:
        signal.signal(one, lambda *_: None)
    raise Interrupted(number)


def make_package(directory: Path, identifier: str, archive: Path) -> None:
    """Write input files and program, and pack them. OSError."""
    directory.mkdir()
    (directory / "my-input.data").write_text(f"This is an example input for ID {identifier}\n", encoding="utf-8")
    (directory / "my-input.random").write_bytes(os.urandom(RANDOM_SIZE))
    program = directory / "ssrun"
    program.write_text(RUN_SCRIPT, encoding="utf-8")
    program.chmod(0o755)
    with tarfile.open(archive, "w:gz") as package:
        for path in sorted(directory.iterdir()):
            package.add(path, path.name)


def sign(path: Path, keyring: str, key: str) -> None:
    """Replace a file by its signed form. ExampleError, OSError."""
    signed = path.with_name(path.name + ".gpg")
    command = ["gpg", "--batch", "--yes", "--no-default-keyring", "--keyring", os.path.abspath(keyring),
               "--local-user", key, "--output", str(signed), "--sign", str(path)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise ExampleError(f"gpg cannot sign {path}: {done.stderr.decode(errors='replace').strip()}")
    signed.replace(path)


def run_client(command: Sequence[str]) -> int:
    """Run scriptingclient; return its exit status. Whatever ends us ends it, too."""
    with subprocess.Popen(command) as client:
        try:
            return client.wait()
        except BaseException:
            client.terminate()
            try:
                client.wait(LEAVING)
            except subprocess.TimeoutExpired:
                client.kill()
            raise


def step(text: str) -> None:
    """Tell what is done now."""
    print(f"   + {text}", flush=True)


def example(values: Values, options: Sequence[str]) -> int:
    """Do it all; return the exit status. ExampleError, OSError."""
    identifier = values.identifier
    directory = Path(f"ssTEMP-{identifier}")
    package, results = Path(f"ssIN-{identifier}.tar.gz"), Path(f"ssOUT-{identifier}.tar.gz")
    if directory.exists():
        raise ExampleError(f"{directory} exists: choose another identifier")
    signing = bool(values.keyring and values.key)
    print("Preparing input ...", flush=True)
    try:
        step(f'Creating directory "./{directory}"')
        step('Writing input files "my-input.data" and "my-input.random" ...')
        step('Writing runscript "ssrun" ...')
        step(f'Archiving "ssrun" and "my-input.data" into "{package}" ...')
        make_package(directory, identifier, package)
        if values.environment and not Path(values.environment).exists():
            step(f'Creating environment file "{values.environment}" ...')
            Path(values.environment).write_bytes(os.urandom(ENVIRONMENT_SIZE))
            if signing:
                sign(Path(values.environment), values.keyring, values.key)
        if signing:
            step(f"Signing with key {values.key} ...")
            sign(package, values.keyring, values.key)
        else:
            step("NOTE: Skipping signature!")
        print("Distributing and processing ...", flush=True)
        step(f'Input file is "{package}"')
        step(f'Output will be written into "{results}"')
        step("Calling scriptingclient ...\n")
        command = [sys.executable, "-m", "rserpool_apps", "scriptingclient", f"-input={package}",
                   f"-output={results}", f"-environment={values.environment or ''}",
                   f"-runid=Example ID={identifier}", *options]  # fmt: skip
        status = run_client(command)
        if status != 0:
            raise ExampleError(f"scriptingclient ended with status {status}")
        step("scriptingclient has returned")
        print("Extracting ...", flush=True)
        step(f'Unpacking output file "{results}" ...')
        unpack(results, directory, LARGEST)
        for line in (directory / "my-output.data").read_text(encoding="utf-8").splitlines():
            step(f'Results string is "{line}"')
    except Refused as error:
        raise ExampleError(f"{results}: {error}") from None
    finally:
        step(f"Removing temporary files {package} and {results} ...")
        step(f"Removing temporary directory {directory}")
        package.unlink(missing_ok=True)
        results.unlink(missing_ok=True)
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    own = [w for w in words if not w.startswith("-") or w.lstrip("-") in ("help", "h", "version")]
    values = command_line(PROGRAM, own)
    if isinstance(values, int):
        return values
    for number in signal.SIGINT, signal.SIGTERM:
        signal.signal(number, on_signal)
    try:
        return example(values, [w for w in words if w not in own])
    except ExampleError as error:
        return fail(PROGRAM, str(error))
    except OSError as error:
        return fail(PROGRAM, f"{error.filename}: {error.strerror}")
    except Interrupted:
        return fail(PROGRAM, "interrupted")


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
