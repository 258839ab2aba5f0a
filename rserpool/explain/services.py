"""The messages of RSPLIB's services in words: Ping Pong, Fractal, CalcApp, Scripting; and their cookies.

These protocols have no RFC; their formats are in the modules of `rserpool.services`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pysctplib.trace.explain import Explanation
from rserpool.services import calcapp, fractal, pingpong, scripting
from rserpool.wire.types import DecodeError

from .values import fields_of, octets

SECTION = "RSPLIB's service, no RFC"
_REASONS = {scripting.FULLY_LOADED: "fully loaded", scripting.OUT_OF_RESOURCES: "out of resources"}


def _ping_pong(m: pingpong.Ping | pingpong.Pong) -> tuple[str, str]:
    if isinstance(m, pingpong.Ping):
        return "Ping", f"message {m.number} of the user"
    return "Pong", f"answers message {m.number}; reply {m.reply} of the session, over all its servers"


def _fractal(m: fractal.Parameter | fractal.Data) -> tuple[str, str]:
    if isinstance(m, fractal.Parameter):
        name = {fractal.MANDELBROT: "Mandelbrot", fractal.MANDELBROT_N: "Mandelbrot-N"}.get(m.algorithm, "a test")
        return "Parameter", f"wants {m.width} x {m.height} points of {name}, {m.max_iterations} iterations at most"
    if m.end:
        return "Data", "the image is complete"
    return "Data", f"{len(m.points)} points from ({m.x}, {m.y}) on"


_CALCAPP = {
    calcapp.REQUEST: "asks for {size} calculations",
    calcapp.ACCEPT: "takes the job",
    calcapp.REJECT: "does not take the job: it has enough",
    calcapp.ABORT: "gives the job up after {completed} calculations",
    calcapp.COMPLETE: "has done {completed} calculations: complete",
    calcapp.KEEP_ALIVE: "are you still at it?",
    calcapp.KEEP_ALIVE_ACK: "still at it",
}


def _calcapp(m: calcapp.Message) -> tuple[str, str]:
    words = _CALCAPP.get(m.type, "type {type}").format(type=m.type, size=m.size, completed=m.completed)
    return calcapp.NAMES.get(m.type, f"type {m.type}"), f"job {m.job}: {words}"


def _status(m: scripting.KeepAliveAck) -> str:
    return "still there" + ("" if m.status is None else f", status {m.status}")


_SCRIPTING: dict[type, Callable[[Any], str]] = {
    scripting.NotReady: lambda m: (
        f"takes no work: {_REASONS.get(m.reason, f'reason {m.reason}')}" + (f", {m.info}" if m.info else "")
    ),
    scripting.Ready: lambda m: f"waits for work{f', on host {m.info}' if m.info else ''}",
    scripting.Upload: lambda m: (
        f"{len(m.data)} bytes of the work package" if m.data else "the package is complete"
    ),
    scripting.Download: lambda m: f"{len(m.data)} bytes of the result" if m.data else "the result is complete",
    scripting.KeepAlive: lambda m: "are you still there?",
    scripting.KeepAliveAck: _status,
    scripting.Status: lambda m: "accepted, works" if m.status == 0 else f"the script has ended: status {m.status}",
    scripting.Environment: lambda m: (
        f"environment {m.hash.hex()[:12]}..." + (": send it to me" if m.upload_needed else "")
    ),
}


def _scripting(m: scripting.Message) -> tuple[str, str]:
    return type(m).__name__, _SCRIPTING[type(m)](m)


# PPID -> protocol, decoder, words, names of what repeats that all is well
SERVICES: dict[int, tuple[str, Callable[[bytes], Any], Callable[[Any], tuple[str, str]], tuple[str, ...]]] = {
    pingpong.PPID: ("PingPong", pingpong.decode, _ping_pong, ()),
    fractal.PPID: ("Fractal", fractal.decode, _fractal, ()),
    calcapp.PPID: ("CalcApp", calcapp.decode, _calcapp, ("KeepAlive", "KeepAliveAck")),
    scripting.PPID: ("Scripting", scripting.decode, _scripting, ("KeepAlive", "KeepAliveAck")),
}
# What else has a number at the IANA and may be met beside pools.
OTHERS = {0: "user data", 36: "NetPerfMeter control", 37: "NetPerfMeter data"}


def explain(ppid: int, message: Any) -> tuple[Explanation, bool]:
    """A decoded message of the service with that PPID in words, and whether it only repeats that all is well."""
    _, _, words, monitoring = SERVICES[ppid]
    title, text = words(message)
    return Explanation(title, text, SECTION, fields_of(message)), title in monitoring


def data(ppid: int, content: bytes) -> Explanation:
    """A message of another protocol."""
    name = OTHERS.get(ppid, f"PPID {ppid}")
    return Explanation("Data", octets(content), f"RFC 9260 section 3.3.1, {name}", (("PPID", str(ppid)),))


def cookie(content: bytes) -> str:
    """What the cookie of a service says; "" if it is of none of them."""
    try:
        return f"the next reply is number {pingpong.decode_cookie(content)}"
    except DecodeError:
        pass
    try:
        image = fractal.decode_cookie(content)
        return f"the next point is ({image.x}, {image.y}) of {image.parameter.width} x {image.parameter.height}"
    except DecodeError:
        pass
    try:
        job = calcapp.decode_cookie(content)
        return f"job {job.job}: {job.completed} of {job.size} calculations are done"
    except DecodeError:
        return ""
