"""An SCTP endpoint: one port, its local addresses, its associations (RFC 9260 sections 1.3 and 11.1.1).

It accepts associations if it listens, and begins them. What is on the wire is not its business.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from . import setup
from .addresses import canonical
from .association import Association
from .config import Config

if TYPE_CHECKING:
    from .engine import Engine


class Endpoint:
    """One SCTP port of an engine. ``addresses`` empty: any local address."""

    __slots__ = ("addresses", "associations", "closed", "config", "engine", "listening", "port", "user")

    def __init__(self, engine: Engine, port: int, addresses: tuple[str, ...], config: Config) -> None:
        self.engine = engine
        self.port = port
        self.addresses = addresses
        self.config = config
        self.listening = False
        self.closed = False
        self.associations: dict[int, Association] = {}
        self.user: object = None  # for whoever drives the engine

    def listen(self, accept: bool) -> None:
        """Accept associations, or no more."""
        self.listening = accept

    def connect(
        self,
        addresses: list[str] | tuple[str, ...],
        port: int,
        now: float,
        udp_port: int | None = None,
        config: Config | None = None,
    ) -> Association:
        """Begin an association with the peer at ``addresses``, all of which are its own (section 11.1.2).

        ``udp_port``: the peer's UDP port, 0 for plain IP, None as configured. OSError: EISCONN if there is one,
        ENOTCONN after close. ValueError for a bad address or port.
        """
        if self.closed:
            raise OSError(errno.ENOTCONN, "the endpoint is closed")
        if not addresses or not 0 < port < 65536:
            raise ValueError("a peer needs an address and a port in 1..65535")
        own = (config or self.config).copy()
        own.check()
        remote_udp_port = own.remote_udp_port if udp_port is None else udp_port
        if not 0 <= remote_udp_port < 65536:
            raise ValueError(f"UDP port {remote_udp_port}")
        targets = list(dict.fromkeys(map(canonical, addresses)))
        if self.engine.find(self.port, targets, port) is not None:
            raise OSError(errno.EISCONN, "there is an association with this peer")
        local = self.addresses[0] if len(self.addresses) == 1 else ""
        a = self.new_association(port, self.engine.new_tag(), own)
        for target in targets:
            a.add_path((target, remote_udp_port, local), confirmed=True)
        a.current = a.primary = a.paths[targets[0]]
        a.refresh_fragment_size()
        setup.begin(a, now)
        return a

    def new_association(self, peer_port: int, local_tag: int, config: Config) -> Association:
        """Return a new association, known by its tag; the caller adds its paths."""
        a = Association(self, self.engine.new_id(), peer_port, local_tag, config)
        self.associations[a.id] = a
        self.engine.associations[a.id] = a
        self.engine.by_tag[local_tag] = self.engine.by_header[a.header_in] = a
        return a

    def close(self, now: float) -> None:
        """Accept nothing any more; give the port back once the associations are gone."""
        self.listening = False
        self.closed = True
        if not self.associations:
            self.engine.endpoints.pop(self.port, None)
