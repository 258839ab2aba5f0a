"""An echo server and client written for asyncio's TCP streams, moved to SCTP by the import and two lines."""

import asyncio

from common import parser, transport

from pysocketapi import SocketOptions, streams


async def echo(reader, writer):
    """Echo lines."""
    while line := await reader.readline():
        writer.write(line)
        await writer.drain()
    writer.close()


async def main():
    """Serve, then talk to the server."""
    words = parser(__doc__)
    how = words.parse_args()
    options = SocketOptions(remote_udp_port=how.remote_udp_port)
    # TCP: server = await asyncio.start_server(echo, "127.0.0.1")
    server = await streams.start_server(echo, "127.0.0.1", transport=transport(how), options=options)
    host, port = server.sockets[0].getsockname()
    # TCP: reader, writer = await asyncio.open_connection(host, port)
    reader, writer = await streams.open_connection(host, port, transport=transport(how), options=options)
    for text in (b"hello\n", b"world\n", b"x" * 50_000 + b"\n"):
        writer.write(text)
        await writer.drain()
        if await reader.readline() != text:
            raise SystemExit("not what was sent")
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()
    print("echoed 3 lines")


if __name__ == "__main__":
    asyncio.run(main())
