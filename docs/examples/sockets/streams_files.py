"""A file server and its client written for asyncio's TCP streams, moved to SCTP by the import and two lines.

The client sends a name and gets the size, then the content. The server gives files of one directory only.
"""

import asyncio
import sys
from pathlib import Path

from common import parser, transport

from pysocketapi import SocketOptions, streams


class Server:
    """Gives the files of a directory."""

    def __init__(self, directory):
        self.directory = Path(directory)

    async def handle(self, reader, writer):
        """Answer requests until the client leaves."""
        while line := await reader.readline():
            name = Path(line.decode().strip()).name
            path = self.directory / name
            if not name or not path.is_file():
                writer.write(b"-1\n")
            else:
                writer.write(b"%d\n" % path.stat().st_size)
                with path.open("rb") as file:
                    while block := file.read(1 << 16):
                        writer.write(block)
                        await writer.drain()
            await writer.drain()
        writer.close()


async def serve(how, options):
    """Serve a directory until interrupted."""
    # TCP: server = await asyncio.start_server(Server(how.directory).handle, how.host, how.port)
    server = await streams.start_server(
        Server(how.directory).handle, how.host, how.port, transport=transport(how), options=options
    )
    print("ready", flush=True)
    await server.serve_forever()


async def fetch(how, options):
    """Get a file and write it to standard output."""
    # TCP: reader, writer = await asyncio.open_connection(how.host, how.port)
    reader, writer = await streams.open_connection(how.host, how.port, transport=transport(how), options=options)
    writer.write(how.name.encode() + b"\n")
    left = int(await reader.readline())
    found = left >= 0
    while left > 0 and (block := await reader.read(min(left, 1 << 16))):
        sys.stdout.buffer.write(block)
        left -= len(block)
    writer.close()
    await writer.wait_closed()
    return 0 if found and left == 0 else 1


if __name__ == "__main__":
    words = parser(__doc__)
    words.add_argument("--host", default="127.0.0.1")
    words.add_argument("--port", type=int, default=5080)
    words.add_argument("--directory", help="serve this directory")
    words.add_argument("name", nargs="?", help="fetch this file")
    how = words.parse_args()
    options = SocketOptions(remote_udp_port=how.remote_udp_port)
    try:
        sys.exit(asyncio.run(fetch(how, options) if how.name else serve(how, options)))
    except KeyboardInterrupt:
        pass
