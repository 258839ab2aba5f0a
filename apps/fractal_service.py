"""rspserver's Fractal service: its options and their text at the start. What it does is in `rserpool.services`."""

from __future__ import annotations

from rserpool.services import fractal_server
from rserpool.session import PeerSession

from .logs import Output
from .options import Option, Values
from .values import integer, milliseconds

OPTIONS = (
    Option("fgptransmittimeout", "leave a pool user that takes no data", milliseconds(1), "2500", "MS"),
    Option("fgpdatamaxtime", "send what is computed at the latest after so long", milliseconds(100), "1000", "MS"),
    Option("fgpcookiemaxtime", "a cookie after so long", milliseconds(100), "1000", "MS"),
    Option("fgpcookiemaxpackets", "or after so many packets", integer(1, 2**31), "10", "N"),
    Option("fgpfailureafter", "failure test: leave a pool user after so many packets, 0 never", integer(0, 2**31),
           "0", "N"),
    Option("fgptestmode", "send a pattern for every image, without computing"),
)  # fmt: skip


def settings_of(values: Values) -> fractal_server.Settings:
    """The service's settings."""
    return fractal_server.Settings(
        values.fgptransmittimeout,
        values.fgpdatamaxtime,
        values.fgpcookiemaxtime,
        values.fgpcookiemaxpackets,
        values.fgpfailureafter,
        values.fgptestmode,
    )


def parameters(values: Values) -> list[tuple[str, str]]:
    """The service's parameters, for the text at the start."""
    return [
        ("Transmit Timeout", f"{values.fgptransmittimeout * 1000:.0f}ms"),
        ("Data Max Time", f"{values.fgpdatamaxtime * 1000:.0f}ms"),
        ("Cookie Max Time", f"{values.fgpcookiemaxtime * 1000:.0f}ms"),
        ("Cookie Max Packets", f"{values.fgpcookiemaxpackets} Packets"),
        ("Failure After", f"{values.fgpfailureafter} Packets"),
        ("Test Mode", "on" if values.fgptestmode else "off"),
    ]


async def serve(session: PeerSession, values: Values, out: Output) -> None:
    """Serve one session."""
    await fractal_server.serve(session, settings_of(values), (lambda _: None) if values.quiet else out.stamped)
