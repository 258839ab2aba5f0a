"""A received user message, the same over both backends (RFC 6458 section 5.3.5 gives the fields)."""

from __future__ import annotations


class Message:
    """One user message, or one part of it (``eor`` False on all parts but the last).

    ``ppid`` is in host order, ``ssn`` 0 for unordered messages. ``address`` and ``port`` are the peer's. Not a
    dataclass, because one is made for every message.
    """

    __slots__ = (
        "address",
        "assoc_id",
        "context",
        "cumtsn",
        "data",
        "eor",
        "port",
        "ppid",
        "ssn",
        "stream",
        "tsn",
        "unordered",
    )

    def __init__(
        self,
        data: bytes,
        stream: int = 0,
        ppid: int = 0,
        assoc_id: int = 0,
        unordered: bool = False,
        ssn: int = 0,
        tsn: int = 0,
        cumtsn: int = 0,
        context: int = 0,
        address: str = "",
        port: int = 0,
        eor: bool = True,
    ) -> None:
        self.data = data
        self.stream = stream
        self.ppid = ppid
        self.assoc_id = assoc_id
        self.unordered = unordered
        self.ssn = ssn
        self.tsn = tsn
        self.cumtsn = cumtsn
        self.context = context
        self.address = address
        self.port = port
        self.eor = eor

    def __repr__(self) -> str:
        return (
            f"Message({len(self.data)} bytes, stream={self.stream}, ppid={self.ppid}, assoc_id={self.assoc_id}, "
            f"from {self.address}:{self.port})"
        )
