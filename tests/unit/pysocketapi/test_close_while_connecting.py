"""Closing what is still being set up does not wait for a peer that never answers."""

import asyncio

from pysocketapi.aio import Transport, open_endpoint


def test_an_endpoint_closes_at_once_while_a_peer_is_silent():
    """It once waited for all retransmissions of INIT, which takes minutes."""

    async def work():
        endpoint = await open_endpoint("127.0.0.1", transport=Transport("userland", udp_port=0))
        # 127.0.0.1 at UDP port 9 has nobody: INIT is never answered.
        connecting = asyncio.create_task(endpoint.connect("127.0.0.1", 7, remote_udp_port=9))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await endpoint.close()
            results = await asyncio.gather(connecting, return_exceptions=True)
        assert isinstance(results[0], OSError)

    asyncio.run(work())
