"""RSPLIB's basic mode, blocking: pool elements registered and found without sockets (see `rserpool.api`)."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from rserpool.asap.client import Handle, as_handle
from rserpool.blocking import table
from rserpool.blocking.sockets import pack_addresses
from rserpool.blocking.structures import (
    DEREGF_DONTWAIT,
    REGF_CONTROLCHANNEL,
    REGF_DAEMONMODE,
    REGF_DONTWAIT,
    RSPGETADDRS_DEFAULT,
    RSPGETADDRS_MIN,
    rsp_addrinfo,
    rsp_loadinfo,
)
from rserpool.errors import RSerPoolError
from rserpool.scopes import usable
from rserpool.wire import causes
from rserpool.wire.types import INFINITE_LIFE, SCTP, TCP, PoolElement, Transport

MAX_ITEMS = 128
POOL_ELEMENTS: dict[tuple[bytes, int], PoolElement] = {}


def _record(identifier: int, info: rsp_addrinfo, load: rsp_loadinfo, life: int, flags: int) -> PoolElement:
    addresses, port = pack_addresses(info.ai_addr)
    if not addresses or not port:
        raise RSerPoolError(causes.INVALID_ADDRESSES)
    control = bool(flags & REGF_CONTROLCHANNEL)
    transport = Transport(info.ai_protocol or SCTP, port, addresses, control)
    return PoolElement(
        identifier, 0, min(life, INFINITE_LIFE), transport, load.policy(), udp_port=info.ai_udp_port
    )


def rsp_pe_registration(
    handle: Handle, addrinfo: rsp_addrinfo, loadinfo: rsp_loadinfo, registration_life: int, flags: int = 0
) -> None:
    """Register a pool element; the caller does so again before its life (ms) is over.

    An ``ai_pe_id`` of 0 gets a random one. REGF_DONTWAIT: only queued. Raises RSerPoolError.
    """
    runtime, name = table.runtime(), as_handle(handle)
    client = runtime.library.asap
    addrinfo.ai_pe_id = identifier = addrinfo.ai_pe_id or client.rng.randrange(1, 1 << 32)
    record = _record(identifier, addrinfo, loadinfo, registration_life, flags)

    def build(local: bool) -> PoolElement:
        current = POOL_ELEMENTS.get((name, identifier), record)
        kept = usable(current.user_transport.addresses, local)
        if not kept:
            raise RSerPoolError(causes.NO_USABLE_USER_ADDRESSES)
        transport = current.user_transport
        narrowed = Transport(transport.protocol, transport.port, kept, transport.control_channel)
        return PoolElement(
            identifier, 0, current.life, narrowed, current.policy, udp_port=current.udp_port or client.udp_port
        )

    async def register() -> None:
        await client.register(name, build)

    async def quietly() -> None:
        try:
            await register()
        except RSerPoolError:
            pass  # the next registration tells

    async def work() -> None:
        POOL_ELEMENTS[(name, identifier)] = record
        client.add_element(name, identifier, lambda: runtime.spawn(quietly()))
        if not flags & REGF_DONTWAIT:
            await register()

    if flags & REGF_DONTWAIT:
        runtime.call(work())
        runtime.spawn(quietly())
        return
    try:
        runtime.call(work())
    except RSerPoolError:
        if not flags & REGF_DAEMONMODE:
            POOL_ELEMENTS.pop((name, identifier), None)
            runtime.soon(client.remove_element, name, identifier)
            raise


def rsp_pe_deregistration(handle: Handle, identifier: int, flags: int = 0) -> None:
    """Deregister a pool element. Raises RSerPoolError: "unknown pool handle" if it is none of ours."""
    runtime, name = table.runtime(), as_handle(handle)
    if POOL_ELEMENTS.pop((name, identifier), None) is None:
        raise RSerPoolError(causes.UNKNOWN_POOL_HANDLE)
    client = runtime.library.asap

    async def quietly() -> None:
        try:
            await client.deregister(name, identifier)
        except RSerPoolError:
            pass  # nobody waits for it

    runtime.soon(client.remove_element, name, identifier)
    if flags & DEREGF_DONTWAIT:
        runtime.spawn(quietly())
    else:
        runtime.call(client.deregister(name, identifier))


def rsp_pe_failure(handle: Handle, identifier: int) -> None:
    """Report that a pool element cannot be reached; no answer is awaited."""
    runtime = table.runtime()
    runtime.soon(runtime.library.asap.report_unreachable, as_handle(handle), identifier)


def rsp_getaddrinfo(
    handle: Handle, items: int = RSPGETADDRS_DEFAULT, stale_cache_value: int = 0
) -> list[rsp_addrinfo]:
    """Return pool elements, best first: at most ``items`` (1..128; 0 is 1).

    Raises UnknownPool (C: REAI_NONAME), RSerPoolError (REAI_SYSTEM).
    """
    runtime = table.runtime()
    items = min(max(items, RSPGETADDRS_MIN), MAX_ITEMS)
    records = runtime.call(runtime.library.resolve(handle, items, stale_cache_value / 1000.0))
    return [_addrinfo(record) for record in records]


def _addrinfo(record: PoolElement) -> rsp_addrinfo:
    transport = record.user_transport
    v6 = any(ip_address(address).version == 6 for address in transport.addresses)
    return rsp_addrinfo(
        [(address, transport.port) for address in transport.addresses],
        record.identifier,
        socket.AF_INET6 if v6 else socket.AF_INET,
        socket.SOCK_STREAM if transport.protocol in (SCTP, TCP) else socket.SOCK_DGRAM,
        transport.protocol,
        record.udp_port,
    )


def rsp_freeaddrinfo(addrinfo: list[rsp_addrinfo]) -> None:
    """Empty a list of rsp_getaddrinfo; Python needs no more than that."""
    addrinfo.clear()
