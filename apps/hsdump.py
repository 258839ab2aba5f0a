"""hsdump: fetches a registrar's handlespace by ENRP and shows it.

It introduces itself as a registrar, since others get no handle table (RFC 5353 section 3.2.3); the registrar
forgets this phantom peer after its timers. How the handlespace is shown is in `handlespace_text`.
"""

from __future__ import annotations

import asyncio
import errno
import json
import random
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from rich.console import Console

from pysocketapi.aio import Message, SctpEndpoint, open_endpoint
from pysocketapi.notifications import AssocChange, ShutdownEvent
from rserpool.handlespace import EMPTY_CHECKSUM, Handlespace, Incompatible
from rserpool.multicast import host_addresses, interfaces
from rserpool.scopes import is_local, usable
from rserpool.security.endpoint import SecureEndpoint, Side
from rserpool.security.tls import Tls
from rserpool.wire import enrp
from rserpool.wire.types import MAX_ADDRESSES, SCTP, DecodeError, ServerInformation, Transport

from . import handlespace_text as show
from .common import LOGGING, TLS, TRANSPORT, launch, parse_command_line
from .options import Argument, Group, Option, Program, Values, fail
from .values import Address, address, milliseconds

UDP_PORT = 9899

PROGRAM = Program(
    "hsdump",
    "Shows the handlespace of a registrar: its pools, their elements, and the registrars that it knows.",
    (
        Group(
            "Dump",
            (
                Option("table", "as a table", dest="form", value="table"),
                Option("json", "as JSON", dest="form", value="json"),
                Option("timeout", "time for connecting and for each answer", milliseconds(100), "5000", "MS"),
            ),
        ),
        TLS,
        TRANSPORT,
        LOGGING,
    ),
    (Argument("address", "ADDRESS:PORT[/UDP] of the registrar's ENRP endpoint (it prints it at its start)",
              address(need_port=True)),),
    (("hsdump 127.0.0.1:9901", "The dump, as RSPLIB's."),
     ("hsdump 127.0.0.1:9901 -table", "The same, to be read.")),
)  # fmt: skip


class DumpError(Exception):
    """The registrar does not give what is wanted; the text says why."""


M = TypeVar("M", enrp.Presence, enrp.ListResponse, enrp.HandleTableResponse)


async def receive(endpoint: SctpEndpoint | SecureEndpoint, wanted: type[M], timeout: float) -> M:
    """The next message of a type; other ENRP messages are passed over. DumpError if it does not come."""
    try:
        async with asyncio.timeout(timeout):
            while True:
                item = await endpoint.recv()
                if isinstance(item, ShutdownEvent) or (isinstance(item, AssocChange) and item.state != 0):
                    raise DumpError("the registrar has ended the association; is this its ENRP port?")
                if not isinstance(item, Message) or item.ppid != enrp.PPID:
                    continue
                message = enrp.decode(item.data)
                if isinstance(message, enrp.Error):
                    raise DumpError(f"the registrar answers with error 0x{message.error:x}")
                if isinstance(message, wanted):
                    return message
    except TimeoutError:
        raise DumpError(f"the registrar has not answered for {timeout:g} s") from None
    except DecodeError as error:
        raise DumpError(f"the registrar sends something strange: {error}") from None


async def fetch(
    target: Address, timeout: float, progress: Callable[[str], None], tls: Tls | None = None
) -> tuple[int, Handlespace, list[ServerInformation], int]:
    """The registrar's identifier, its handlespace, its peers, and the identifier that this dump had.

    ``tls`` needs a registrar's certificate: others get no handle table.
    """
    own = secrets.randbelow(0xFFFFFFFF) + 1
    endpoint: SctpEndpoint | SecureEndpoint
    endpoint = plain = await open_endpoint((), 0)
    if tls is not None:
        endpoint = SecureEndpoint(plain, tls, Side.PEER, enrp.PPID)
    try:
        association = await endpoint.connect(target.addresses, target.port, remote_udp_port=target.udp_port,
                                             timeout=timeout)  # fmt: skip

        def send(message: enrp.Message) -> Awaitable[int]:
            return endpoint.send(enrp.encode(message), association, ppid=enrp.PPID)

        host = host_addresses(interfaces())
        local = is_local(tuple(endpoint.peer_addresses(association)), host)
        addresses = usable(host, local)[:MAX_ADDRESSES]
        udp_port = endpoint.udp_port if endpoint.udp_port != UDP_PORT else None
        information = ServerInformation(own, Transport(SCTP, endpoint.port, addresses), udp_port)
        await send(enrp.Presence(own, 0, EMPTY_CHECKSUM, information, reply_required=True))
        presence = await receive(endpoint, enrp.Presence, timeout)
        registrar = presence.sender
        await send(enrp.ListRequest(own, registrar))
        answer = await receive(endpoint, enrp.ListResponse, timeout)
        peers = [] if answer.reject else [p for p in answer.servers if p.identifier != own]
        space = Handlespace(random.Random(1))
        more = True
        while more:
            await send(enrp.HandleTableRequest(own, registrar))
            table = await receive(endpoint, enrp.HandleTableResponse, timeout)
            if table.reject:
                raise DumpError("--- Handle Table Request has been rejected ---")
            entries = table.entries
            for handle, record in entries:
                try:
                    space.register(handle, record, time.monotonic())
                except Incompatible as error:
                    progress(f"Element ${record.identifier:08x} left out: {error}")
            more = table.more
            progress(f"Got {len({h for h, _ in entries})} pools, {len(entries)} PEs => "
                     f"now having {len(space.pools)} pools, {space.size} PEs")  # fmt: skip
        endpoint.shutdown(association)
        return registrar, space, peers, own
    finally:
        await endpoint.close()


async def dump(values: Values) -> int:
    """Fetch and show."""
    console = Console(highlight=False, soft_wrap=True)
    say = print if values.form is None else (lambda _: None)
    registrar, space, peers, own = await fetch(values.address, values.timeout, say, values.tls)
    if values.form == "json":
        print(json.dumps(show.as_json(space, peers, registrar), indent=2))
    elif values.form == "table":
        Console(highlight=False).print(show.table(space, peers, registrar))
    else:
        for line in [*show.peer_lines(peers, own), *show.text_lines(space, own)]:
            console.print(line, markup=False)
    return 0


def main(words: Sequence[str]) -> int:
    """Run the program with these command line words; return its exit status."""
    values = parse_command_line(PROGRAM, words)
    if isinstance(values, int):
        return values
    values.quiet = True

    async def work(_: str) -> int:
        try:
            return await dump(values)
        except DumpError as error:
            return fail(PROGRAM, str(error))
        except OSError as error:
            if error.errno not in (errno.ECONNREFUSED, errno.ETIMEDOUT):
                raise
            where = f"{values.address.addresses[0]}:{values.address.port}"
            return fail(PROGRAM, f"cannot connect to the registrar at {where}: {error.strerror}",
                        "The port is that of \"ENRP Address\" in what rspregistrar prints; "
                        "both need the same -transport.")  # fmt: skip

    return launch(PROGRAM, values, work)


def run() -> int:
    """The installed program."""
    return main(sys.argv[1:])
