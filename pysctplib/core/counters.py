"""Statistics of an engine, with the names of RFC 3873 (the SCTP MIB) where it has one.

Every packet or chunk that is not acted upon is counted in ``dropped`` under its reason.
"""

from __future__ import annotations


class Counters:
    """Plain numbers; they only grow, but for ``current_established``."""

    __slots__ = (
        "abandoned_messages",
        "aborted",
        "active_established",
        "checksum_errors",
        "current_established",
        "dropped",
        "duplicate_tsns",
        "fast_retransmissions",
        "fragmented_messages",
        "in_data_chunks",
        "in_octets",
        "in_packets",
        "out_control_packets",
        "out_data_chunks",
        "out_octets",
        "out_of_the_blue",
        "out_packets",
        "passive_established",
        "reassembled_messages",
        "reneged_tsns",
        "retransmitted_chunks",
        "shutdowns",
        "t3_expirations",
    )

    def __init__(self) -> None:
        for name in self.__slots__:
            setattr(self, name, 0)
        self.dropped: dict[str, int] = {}

    # RFC 3873 name -> attribute; the attributes are the readable form of the same.
    in_packets: int  # sctpInSCTPPacks
    out_packets: int  # sctpOutSCTPPacks
    in_octets: int
    out_octets: int
    in_data_chunks: int  # sctpInOrderChunks + sctpInUnorderChunks
    out_data_chunks: int  # sctpOutOrderChunks + sctpOutUnorderChunks
    out_control_packets: int
    checksum_errors: int  # sctpChecksumErrors
    out_of_the_blue: int  # sctpOutOfBlues
    current_established: int  # sctpCurrEstab
    active_established: int  # sctpActiveEstabs
    passive_established: int  # sctpPassiveEstabs
    abandoned_messages: int  # given up after they were sent (RFC 3758)
    aborted: int  # sctpAborteds
    shutdowns: int  # sctpShutdowns
    fragmented_messages: int  # sctpFragUsrMsgs
    reassembled_messages: int  # sctpReasmUsrMsgs
    retransmitted_chunks: int
    fast_retransmissions: int
    t3_expirations: int
    duplicate_tsns: int
    reneged_tsns: int

    def drop(self, reason: str) -> None:
        """Count something discarded, by reason."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def as_dict(self) -> dict[str, int]:
        """Return all numbers; drops as ``dropped: reason``."""
        result = {name: getattr(self, name) for name in self.__slots__ if name != "dropped"}
        result.update((f"dropped: {reason}", n) for reason, n in sorted(self.dropped.items()))
        return result
