"""Congestion control of one path (RFC 9260 section 7.2), behind a small interface.

A path holds the variables (cwnd, ssthresh, partial_bytes_acked, in bytes); an algorithm is a stateless object
with five reactions. Which chunks are lost is found in ``flight``; how much may be sent is asked in
``transmit``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .path import Path

HUGE = 1 << 30  # "arbitrarily high" initial ssthresh (section 7.2.1)


class Rfc9260:
    """Slow start, congestion avoidance and reaction to loss as RFC 9260 section 7.2 has them; L is 1."""

    def start(self, path: Path) -> None:
        """Set the initial values (section 7.2.1)."""
        floor = 4344 if ":" in path.address else 4404
        path.cwnd = min(4 * path.payload, max(2 * path.payload, floor))
        path.ssthresh = HUGE
        path.partial_bytes_acked = 0

    def acknowledged(self, path: Path, acked: int, flight_before: int, advanced: bool, recovering: bool) -> None:
        """React to ``acked`` newly acknowledged bytes. ``flight_before``: outstanding before the SACK."""
        cwnd = path.cwnd
        if cwnd <= path.ssthresh:
            # Only if the window was fully used, outside Fast Recovery (section 7.2.1), and, as RFC 4960 and all
            # stacks have it, if the cumulative TSN advanced.
            if advanced and not recovering and flight_before >= cwnd:
                path.cwnd = cwnd + min(acked, path.payload)
            return
        partial = path.partial_bytes_acked + acked
        if partial >= cwnd:
            if flight_before >= cwnd:
                partial -= cwnd
                if not recovering:
                    path.cwnd = cwnd + path.payload
            else:
                partial = cwnd
        path.partial_bytes_acked = 0 if not path.flight else partial

    def lost(self, path: Path) -> None:
        """Halve the window on fast retransmit (section 7.2.3)."""
        path.ssthresh = max(path.cwnd // 2, 4 * path.payload)
        path.cwnd = path.ssthresh
        path.partial_bytes_acked = 0

    def timed_out(self, path: Path) -> None:
        """Begin anew with one packet after T3-rtx expired (section 7.2.3)."""
        path.ssthresh = max(path.cwnd // 2, 4 * path.payload)
        path.cwnd = path.payload
        path.partial_bytes_acked = 0

    def idle(self, path: Path, periods: int) -> None:
        """Decay the window after ``periods`` RTOs without data (section 7.2.1)."""
        floor = 4 * path.payload
        if path.cwnd > floor:
            path.ssthresh = path.cwnd
            for _ in range(min(periods, 32)):
                path.cwnd = max(path.cwnd // 2, floor)


ALGORITHMS = {"rfc9260": Rfc9260()}
