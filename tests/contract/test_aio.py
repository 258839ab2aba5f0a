"""The asyncio interface: servers and connections (docs/design.md section 4)."""

import asyncio
import errno

import pytest

from pysocketapi import aio
from pysocketapi import constants as c
from pysocketapi.notifications import AssocChange, ShutdownEvent

from .aio_support import HOST, TRANSPORT, connect, echo, serve
from .support import options


@pytest.mark.parametrize("size", [1, 1000, 1452, 65535, 150_000])
def test_echo(run, size):
    async def case():
        async with await serve() as server, await connect(server.port) as connection:
            data = bytes(i & 255 for i in range(size))
            await connection.send(data, stream=3, ppid=0x0B000000, unordered=True)
            message = await connection.recv()
            assert (message.data, message.stream, message.ppid) == (data, 3, 0x0B000000)
            assert message.unordered

    run(case())


def test_echo_over_ipv6(run):
    async def case():
        async with await serve(host="::1") as server, await connect(server.port, "::1") as connection:
            await connection.send(b"six")
            assert (await connection.recv()).data == b"six"
            assert connection.peer_addresses[0] == "::1"

    run(case())


def test_names_are_resolved(run):
    async def case():
        async with await serve() as server, await connect(server.port, "localhost") as connection:
            assert connection.peer_addresses[0] in ("127.0.0.1", "::1")

    run(case())


def test_ports_and_addresses(run):
    async def case():
        async with await serve() as server, await connect(server.port) as connection:
            assert server.addresses == [HOST]
            assert connection.peer_port == server.port and connection.local_port > 0
            assert HOST in connection.peer_addresses
            assert connection.status().state == c.SCTP_ESTABLISHED
            assert connection.udp_port == server.udp_port == (TRANSPORT.udp_port or 9899)

    run(case())


def test_a_graceful_end_gives_none(run):
    async def case():
        async def handler(connection):
            await connection.send(b"bye")
            connection.close()

        async with await serve(handler) as server, await connect(server.port) as connection:
            assert (await connection.recv()).data == b"bye"
            assert await connection.recv() is None

    run(case())


def test_iteration_ends_with_the_association(run):
    async def case():
        async def handler(connection):
            for i in range(10):
                await connection.send(b"%d" % i)
            connection.close()

        async with await serve(handler) as server, await connect(server.port) as connection:
            assert [message.data async for message in connection] == [b"%d" % i for i in range(10)]

    run(case())


def test_an_abort_raises_connection_reset(run):
    async def case():
        async def handler(connection):
            await connection.recv()
            connection.abort(b"no")

        async with await serve(handler) as server, await connect(server.port) as connection:
            await connection.send(b"x")
            with pytest.raises(ConnectionResetError):
                await connection.recv()
            with pytest.raises(ConnectionResetError):
                await connection.recv()
            with pytest.raises(OSError):
                await connection.send(b"x")

    run(case())


def test_connection_refused(run):
    async def case():
        async with await serve() as server:
            port = server.port
        with pytest.raises(ConnectionRefusedError):
            await connect(port)

    run(case())


def test_connecting_to_nobody_times_out(run):
    async def case():
        with pytest.raises((TimeoutError, OSError)) as caught:
            await aio.open_connection("192.0.2.1", 9, transport=TRANSPORT, options=options(), timeout=0.1)
        assert caught.value.errno in (errno.ETIMEDOUT, errno.ENETUNREACH, errno.EHOSTUNREACH)

    run(case())


def test_port_in_use(run):
    async def case():
        async with await serve() as server:
            with pytest.raises(OSError) as caught:
                await aio.start_server(echo, HOST, server.port, transport=TRANSPORT)
            assert caught.value.errno == errno.EADDRINUSE

    run(case())


def test_notifications_of_a_connection(run):
    async def case():
        async def handler(connection):
            await connection.recv()
            connection.close()

        async with await serve(handler) as server, await connect(server.port) as connection:
            await connection.send(b"x")
            seen = []
            while (item := await connection.recv_event()) is not None:
                seen.append(type(item))
            assert AssocChange in seen or ShutdownEvent in seen

    run(case())


def test_a_cancelled_receive_loses_nothing(run):
    async def case():
        async def handler(connection):
            await connection.recv()
            await connection.send(b"kept")
            connection.close()

        async with await serve(handler) as server, await connect(server.port) as connection:
            for _ in range(20):
                task = asyncio.create_task(connection.recv())
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            await connection.send(b"go")
            assert (await connection.recv()).data == b"kept"

    run(case())


def test_a_cancelled_send_queued_all_or_nothing(run):
    async def case():
        may_read = asyncio.Event()
        got = []
        done = asyncio.Event()

        async def handler(connection):
            await may_read.wait()
            async for message in connection:
                got.append(message.data)
            done.set()
            connection.close()

        async with await serve(handler) as server, await connect(server.port) as connection:
            sent = 0
            data = bytes(20_000)
            while True:
                try:
                    async with asyncio.timeout(0.3):
                        await connection.send(b"%08d" % sent + data)
                except TimeoutError:
                    break
                sent += 1
            may_read.set()
            await connection.send(b"%08d" % sent + data)
            connection.shutdown()
            await done.wait()
            assert [int(one[:8]) for one in got] == list(range(sent + 1))
            assert all(one[8:] == data for one in got)

    run(case())


def test_back_pressure_and_order_of_many_messages(run):
    async def case():
        total = 3000
        got = asyncio.get_running_loop().create_future()

        async def handler(connection):
            numbers = [int.from_bytes(message.data[:4]) async for message in connection]
            got.set_result(numbers)
            connection.close()

        async with await serve(handler) as server, await connect(server.port) as connection:
            for i in range(total):
                await connection.send(i.to_bytes(4) + bytes(2000))
            connection.close()
            await connection.wait_closed()
            assert await got == list(range(total))

    run(case())


def test_concurrent_senders_on_one_connection(run):
    async def case():
        got = asyncio.get_running_loop().create_future()

        async def handler(connection):
            got.set_result([message.data[:2] async for message in connection])
            connection.close()

        async with await serve(handler) as server, await connect(server.port) as connection:

            async def sender(name):
                for _ in range(100):
                    await connection.send(name + bytes(5000), stream=name[0] & 7)

            await asyncio.gather(*(sender(b"%02d" % i) for i in range(5)))
            connection.close()
            messages = await got
            assert {name: messages.count(name) for name in set(messages)} == {b"%02d" % i: 100 for i in range(5)}

    run(case())


def test_many_connections_at_once(run):
    async def case():
        async with await serve() as server:

            async def client(i):
                async with await connect(server.port) as connection:
                    await connection.send(b"%d" % i)
                    return (await connection.recv()).data

            answers = await asyncio.gather(*(client(i) for i in range(40)))
            assert answers == [b"%d" % i for i in range(40)]

    run(case())


def test_two_receivers_on_one_connection_are_refused(run):
    async def case():
        async with await serve() as server, await connect(server.port) as connection:
            task = asyncio.create_task(connection.recv())
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError):
                await connection.recv()
            task.cancel()

    run(case())


def test_close_ends_a_waiting_receive(run):
    async def case():
        async with await serve() as server, await connect(server.port) as connection:
            task = asyncio.create_task(connection.recv())
            await asyncio.sleep(0)
            connection.close()
            assert await task is None

    run(case())


def test_a_handler_that_fails_aborts_its_connection_only(run):
    async def case():
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)

        async def handler(connection):
            message = await connection.recv()
            if message.data == b"fail":
                raise ValueError("as asked")
            await connection.send(b"fine")
            connection.close()

        async with await serve(handler) as server:
            bad, good = await connect(server.port), await connect(server.port)
            await bad.send(b"fail")
            with pytest.raises(ConnectionResetError):
                await bad.recv()
            await good.send(b"go on")
            assert (await good.recv()).data == b"fine"
            bad.close()
            good.close()

    run(case())


def test_regression_a_plain_function_that_fails_ended_the_server(run):
    async def case():
        told, answered = [], asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))

        def handler(connection):
            if not told:
                raise ValueError("the first one")
            answered.set_result(connection)

        async with await serve(handler) as server:
            async with await connect(server.port) as bad:
                with pytest.raises(ConnectionResetError):
                    await bad.recv()
            async with await connect(server.port):
                (await answered).close()
        assert [type(error) for error in told] == [ValueError]

    run(case())


def test_regression_an_error_told_again_grew_its_traceback(run):
    async def case():
        async with await serve(lambda connection: connection.abort()) as server:
            async with await connect(server.port) as connection:
                depths = []
                for _ in range(4):
                    with pytest.raises(ConnectionResetError) as caught:
                        await connection.recv()
                    depths.append(len(caught.traceback))
        assert len(set(depths[1:])) == 1

    run(case())


def test_plain_functions_as_handlers(run):
    async def case():
        accepted = asyncio.get_running_loop().create_future()
        async with await serve(accepted.set_result) as server, await connect(server.port) as connection:
            peer = await accepted
            await peer.send(b"from a function")
            assert (await connection.recv()).data == b"from a function"
            peer.close()

    run(case())


def test_options_are_taken(run):
    async def case():
        values = {
            "streams": 33,
            "rto_initial": 0.5,
            "rto_min": 0.25,
            "rto_max": 5.0,
            "max_retrans": 4,
            "path_max_retrans": 2,
            "heartbeat": 7.0,
            "nodelay": True,
            "sack_delay": 0.1,
            "max_burst": 8,
        }
        async with await serve() as server, await connect(server.port, **values) as connection:
            assert connection.status().outstrms == 33
            rto = connection.getopt(c.SCTP_RTOINFO)
            assert (rto.min, rto.max) == (250, 5000)
            assert connection.getopt(c.SCTP_ASSOCINFO).asocmaxrxt == 4
            assert connection.getopt(c.SCTP_PEER_ADDR_PARAMS).hbinterval == 7000
            assert connection.getopt(c.SCTP_NODELAY)

    run(case())


def test_two_loops_one_after_the_other(run):
    async def case():
        async with await serve() as server, await connect(server.port) as connection:
            await connection.send(b"again")
            assert (await connection.recv()).data == b"again"

    run(case())


def test_loops_can_follow_each_other():
    async def case():
        async with await serve() as server, await connect(server.port) as connection:
            await connection.send(b"again")
            return (await connection.recv()).data

    for _ in range(5):
        assert asyncio.run(case()) == b"again"
