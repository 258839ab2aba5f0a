"""A registrar that takes associations and requests and never answers: a process for tests of others."""

import asyncio

from pysocketapi.aio import Message, open_endpoint
from pysocketapi.notifications import AssocChange, ShutdownEvent
from rserpool.wire import asap, enrp


async def main() -> None:
    endpoint = await open_endpoint(("127.0.0.1",), 0, transport="userland")
    print(f"port {endpoint.port}", flush=True)
    while True:
        item = await endpoint.recv()
        if isinstance(item, Message):
            wire = asap if item.ppid == asap.PPID else enrp
            message = wire.decode(item.data)
            handle = getattr(message, "handle", b"").decode()
            print(f"{type(message).__name__} {handle} of {item.assoc_id}", flush=True)
        elif isinstance(item, ShutdownEvent) or (isinstance(item, AssocChange) and item.state != 0):
            print(f"gone {item.assoc_id}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
