"""Two processes for one measurement: fork, pin to cores, hand results over.

Every contender written in Python uses this; its program prints one JSON object as its last line.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

Result = dict[str, float]
Server = Callable[[Callable[[Any], None]], Result]
Client = Callable[[Any], Result]

now, cpu = time.perf_counter, time.process_time


def options(tests: tuple[str, ...]) -> argparse.Namespace:
    """Parse the command line that all contenders share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("test", choices=tests)
    parser.add_argument("--size", type=int, default=1024, help="bytes of a message")
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--cores", choices=("same", "split"), default="split")
    parser.add_argument("--mtu", type=int, default=1500, help="of the loopback this runs on")
    parser.add_argument("--count", type=int, default=1000, help="associations, for memory")
    parser.add_argument("--profile", default="", help="write the client's cProfile data to this file")
    return parser.parse_args()


def pin(cores: str, second: bool) -> None:
    """Pin this process: both to one core, or each to its own."""
    available = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if available:
        os.sched_setaffinity(0, {available[1 if second and cores == "split" and len(available) > 1 else 0]})


def rss() -> int:
    """Return this process's resident bytes."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def pair(cores: str, server: Server, client: Client, limit: float) -> Result:
    """Run ``server(ready)`` in a child and ``client(what ready was given)`` here; both results in one."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.close(reading)
            signal.alarm(int(limit) + 30)
            pin(cores, True)

            def write(what: Any) -> None:
                os.write(writing, (json.dumps(what) + "\n").encode())

            write(server(write))
            status = 0
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)
    os.close(writing)
    signal.alarm(int(limit) + 30)
    pin(cores, False)
    with os.fdopen(reading) as lines:
        result = client(json.loads(lines.readline()))
        result.update(json.loads(lines.readline()))
    os.waitpid(child, 0)
    return result


def show(result: Result) -> None:
    """Print the result's JSON line."""
    print(json.dumps({name: round(value, 3) for name, value in result.items()}))


def profiled(path: str, client: Client) -> Client:
    """Return the client, run under cProfile where a path is given."""
    if not path:
        return client

    def run(ready: Any) -> Result:
        import cProfile

        profile = cProfile.Profile()
        result: Result = profile.runcall(client, ready)
        profile.dump_stats(path)
        return result

    return run
