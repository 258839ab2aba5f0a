"""The end in time: peers that take nothing are told by an ABORT, and nobody waits for them longer than is said."""

import asyncio
import socket
import time
from contextlib import contextmanager

import pytest

from pysocketapi import SctpSocket, aio
from pysocketapi.aio import Transport
from pysocketapi.ending import abort_associations, end_associations

TRANSPORT = Transport("userland", udp_port=0)
MORE_THAN_THE_WINDOW = 100  # messages


@contextmanager
def reluctant():
    """A listening socket that reads nothing yet, of threads; and its UDP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("", 0))
        udp_port = free.getsockname()[1]
    transport = Transport("userland", udp_port=udp_port)
    with SctpSocket(socket.AF_INET, socket.SOCK_STREAM, transport=transport) as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        one.settimeout(10)
        yield one, udp_port


async def fill(listening, udp_port):
    """A connection that has sent more than its peer takes."""
    how = {"transport": TRANSPORT, "remote_udp_port": udp_port, "timeout": 10}
    connection = await aio.open_connection("127.0.0.1", listening.getsockname()[1], **how)
    for _ in range(MORE_THAN_THE_WINDOW):
        try:
            async with asyncio.timeout(0.2):
                await connection.send(bytes(32768))
        except TimeoutError:
            return connection
    raise AssertionError("everything was taken")


def read_to_the_end(listening):
    accepted, _ = listening.accept()
    with accepted:
        accepted.settimeout(10)
        with pytest.raises(ConnectionResetError):
            while accepted.recv(1 << 20):
                pass


def test_what_a_closed_loop_leaves_is_aborted_after_the_time():
    with reluctant() as (listening, udp_port):

        async def leave():
            (await fill(listening, udp_port)).close()

        asyncio.run(leave())
        began = time.monotonic()
        end_associations(0.3)
        assert 0.2 < time.monotonic() - began < 1.5
        read_to_the_end(listening)


def test_associations_of_a_loop_are_aborted_so_that_closing_waits_no_longer():
    with reluctant() as (listening, udp_port):

        async def leave():
            connection = await fill(listening, udp_port)
            connection.close()
            waiting = asyncio.create_task(connection.wait_closed())
            await asyncio.sleep(0.1)
            assert not waiting.done()
            abort_associations(asyncio.get_running_loop())
            await asyncio.wait_for(waiting, 1)

        asyncio.run(leave())
        read_to_the_end(listening)


def test_a_loop_that_runs_is_not_ended():
    async def go_on():
        async with await aio.start_server(aio.SctpConnection.close, "127.0.0.1", transport=TRANSPORT) as server:
            end_associations(0)
            how = {"transport": TRANSPORT, "remote_udp_port": server.udp_port, "timeout": 10}
            (await aio.open_connection("127.0.0.1", server.port, **how)).close()

    asyncio.run(go_on())
