"""create_connection and create_server, and names with several addresses."""

import asyncio
import errno
import socket

import pytest

from pysocketapi import SocketOptions, aio, aio_names, connecting, create_connection, create_server
from pysocketapi import constants as c

from .support import AIO_TRANSPORT, BACKEND, SECONDS, TRANSPORT, UDP_PORT, get, options

OWN = SocketOptions(streams=21, remote_udp_port=UDP_PORT) if BACKEND == "userland" else SocketOptions(streams=21)
HOST = "127.0.0.1"
NOBODY = "127.0.0.9"  # an address of this host at which nobody listens


def dial(address, **how):
    return create_connection(address, SECONDS, transport=TRANSPORT, options=OWN, **how)


def test_a_connection_in_one_call():
    with create_server((HOST, 0), transport=TRANSPORT) as server:
        server.settimeout(SECONDS)
        with dial(server.getsockname()) as client:
            assert client.gettimeout() == SECONDS
            with server.accept()[0] as peer:
                client.send(b"hello")
                assert peer.recv(10) == b"hello"
                assert get(client, c.SCTP_INITMSG).num_ostreams == 21


def test_the_source_address_can_be_chosen():
    with create_server((HOST, 0), transport=TRANSPORT) as server:
        with dial(server.getsockname(), source_address=("127.0.0.2", 0)) as client:
            assert client.getsockname()[0] == "127.0.0.2"


def test_a_server_at_several_addresses():
    with create_server((HOST, 0), addresses=["127.0.0.2"], transport=TRANSPORT) as server:
        assert sorted(host for host, _ in server.getladdrs()) == [HOST, "127.0.0.2"]
        with dial(("127.0.0.2", server.getsockname()[1])) as client:
            assert sorted(host for host, _ in client.getpaddrs()) == [HOST, "127.0.0.2"]


def test_servers_in_the_way_of_each_other():
    with create_server((HOST, 0), transport=TRANSPORT) as server:
        with pytest.raises(OSError) as caught:
            create_server(server.getsockname(), transport=TRANSPORT)
        assert caught.value.errno == errno.EADDRINUSE


def test_all_addresses_of_a_name_are_tried(monkeypatch):
    monkeypatch.setattr(connecting, "resolve_every", lambda host: [NOBODY, HOST] if host == "both" else [host])
    with create_server((HOST, 0), transport=TRANSPORT) as server:
        with dial(("both", server.getsockname()[1])) as client:
            assert client.getpeername()[0] == HOST
        server.close()
        with pytest.raises(ConnectionRefusedError):
            dial(("both", 9))


def test_a_name_that_is_not_there():
    with pytest.raises(socket.gaierror):
        dial(("no-such-host.invalid", 9))


def test_all_addresses_of_a_name_are_tried_by_asyncio(monkeypatch):
    """Regression: the first address of a name was the only one, unlike in asyncio's open_connection."""

    async def both(loop, host, family=0):
        return [NOBODY, HOST] if host == "both" else [host]

    monkeypatch.setattr(aio, "resolve_every", both)
    monkeypatch.setattr(aio_names, "resolve_every", both)

    async def main():
        served = asyncio.Event()

        async def handler(connection):
            served.set()
            connection.close()

        async with await aio.start_server(handler, HOST, transport=AIO_TRANSPORT) as server:
            assert server.is_serving() and server.get_loop() is asyncio.get_running_loop()
            how = {"transport": AIO_TRANSPORT, "options": options(), "timeout": SECONDS}
            async with await aio.open_connection("both", server.port, **how) as connection:
                assert connection.peer_addresses == [HOST]
                await served.wait()
        assert not server.is_serving()

    asyncio.run(asyncio.wait_for(main(), 30))
