"""The shell's sending to addresses, in virtual time: associations that take long, fail, or come by themselves."""

import asyncio
import errno
import random
from types import SimpleNamespace

import pytest

from pysocketapi import constants as c
from pysocketapi.notifications import AssocChange
from rserpool.registrar import shell as module
from rserpool.registrar.actions import ASAP, ENRP, Send, SendTo
from rserpool.registrar.config import RegistrarConfig, with_profile
from rserpool.registrar.shell import Channel, RegistrarShell

ADDRESSES, PORT = ("127.0.0.1",), 6000


class VirtualLoop(asyncio.SelectorEventLoop):
    """Where nothing is ready, time jumps to the next timer."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        select = self._selector.select

        def jump(timeout=None):
            events = select(0)
            if not events:
                assert timeout is not None, "nothing will ever happen"
                self.now += timeout + 1e-6  # timers fire a little late, never early
            return events

        self._selector.select = jump

    def time(self):
        return self.now


class Endpoint:
    """An SCTP endpoint to one peer, whose associations take ``delay`` seconds to be set up; None: they fail."""

    udp_port = 9899

    def __init__(self, port, delay):
        self.port, self.delay = port, delay
        self.items = asyncio.Queue()
        self.begun = self.there = False
        self.sent = []  # (when, message)

    def _now(self):
        return asyncio.get_running_loop().time()

    async def connect(self, addresses, port, *, remote_udp_port=None, timeout=None):
        if self.begun:
            raise OSError(errno.EISCONN, "there is one")
        self.begun = True
        try:
            async with asyncio.timeout(timeout):
                if self.delay is None:
                    raise ConnectionRefusedError
                await asyncio.sleep(self.delay)
        except OSError:
            self.begun = False
            raise
        self.up()
        return 1

    def up(self):
        self.begun = self.there = True
        self.items.put_nowait(AssocChange(1, c.SCTP_COMM_UP))

    async def send(self, data, to, *, ppid=0):
        while not self.there:
            await asyncio.sleep(0.1)
        self.send_nowait(data, 1)

    def send_nowait(self, data, association, *, ppid=0):
        self.sent.append((self._now(), data))
        return True

    def peer_addresses(self, association):
        return list(ADDRESSES)

    def peer_port(self, association):
        return PORT

    async def recv(self):
        return await self.items.get()

    async def close(self):
        pass


@pytest.fixture
def play(monkeypatch):
    """Runs a coroutine function with a shell that has `fast-lab` timers and the endpoint that it uses."""

    def run(test, name=ASAP, delay=0.0, **settings):
        loop = VirtualLoop()
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=loop.time))
        settings = {"asap_announce": None, "enrp_announce": None, "autoclose": 300.0, **settings}

        async def body():
            endpoints = {ASAP: Endpoint(1, delay), ENRP: Endpoint(2, delay)}
            channels = [Channel(each, endpoint, None, ADDRESSES) for each, endpoint in endpoints.items()]
            config = with_profile(RegistrarConfig(identifier=1), "fast-lab")
            for key, value in settings.items():
                setattr(config, key, value)
            made = RegistrarShell(config, *channels, None, random.Random(1))
            try:
                await test(made, endpoints[name])
            finally:
                await made.close()

        try:
            loop.run_until_complete(body())
        finally:
            loop.close()

    return run


def tell(shell, *messages, name=ASAP, udp_port=9899):
    shell.registrar.state.actions += [SendTo(name, ADDRESSES, PORT, udp_port, message) for message in messages]
    shell.turn()


@pytest.mark.parametrize("udp_port", [9899, 7000])
@pytest.mark.parametrize("name", [ASAP, ENRP])
def test_an_association_that_takes_longer_than_the_peers_timers_is_not_given_up(play, name, udp_port):
    """On a busy host a TLS handshake took longer than fast-lab's 0.3 s: an orphaned element was never called."""

    async def body(shell, endpoint):
        assert shell.config.max_no_response < endpoint.delay < 5
        tell(shell, b"keep-alive", name=name, udp_port=udp_port)
        await asyncio.sleep(5)
        assert endpoint.sent == [(pytest.approx(endpoint.delay, abs=0.01), b"keep-alive")]
        assert not shell.registrar.statistics.dropped

    play(body, name, delay=3.2)


def test_a_keep_alive_has_the_time_that_an_element_has_to_answer_it(play):
    async def body(shell, endpoint):
        tell(shell, b"keep-alive")
        await asyncio.sleep(60)
        assert endpoint.sent == [(pytest.approx(19.0, abs=0.01), b"keep-alive")]

    play(body, delay=19.0, keepalive_timeout=20.0)


@pytest.mark.parametrize("udp_port", [9899, 7000])
def test_what_is_sent_while_an_association_is_set_up_keeps_its_order(play, udp_port):
    """An update that removes an element came before the one that adds it, and so the element stayed."""

    async def body(shell, endpoint):
        tell(shell, b"1", b"2", udp_port=udp_port)
        await asyncio.sleep(0.5)
        tell(shell, b"3", udp_port=udp_port)
        endpoint.delay = 0
        while (ASAP, 1) not in shell.registrar.state.links:
            await asyncio.sleep(0.001)
        shell.registrar.state.actions.append(Send(ASAP, 1, b"4"))  # as soon as the core knows of it
        shell.turn()
        tell(shell, b"5", udp_port=udp_port)
        await asyncio.sleep(5)
        assert [data for _, data in endpoint.sent] == [b"1", b"2", b"3", b"4", b"5"]
        assert not shell.asap.setting_up

    play(body, delay=1.0)


def test_what_cannot_be_sent_is_counted_and_the_next_tries_again(play):
    async def body(shell, endpoint):
        tell(shell, b"1", b"2", b"3")
        await asyncio.sleep(1)
        assert shell.registrar.statistics.dropped["unreachable"] == 3
        endpoint.delay = 0.1
        tell(shell, b"4")
        await asyncio.sleep(1)
        assert [data for _, data in endpoint.sent] == [b"4"]

    play(body, delay=None)


def test_an_association_that_comes_by_itself_carries_what_waits(play):
    async def body(shell, endpoint):
        tell(shell, b"1", b"2")
        await asyncio.sleep(0.5)
        endpoint.up()
        await asyncio.sleep(0.1)
        assert endpoint.sent == [(pytest.approx(0.5, abs=0.01), data) for data in (b"1", b"2")]

    play(body, delay=4.0)


def test_a_peer_that_is_never_there_does_not_fill_the_memory(play):
    async def body(shell, endpoint):
        tell(shell, *[b"x"] * (module.BACKLOG + 5))
        assert len(shell.asap.setting_up[ADDRESSES, PORT]) == module.BACKLOG
        assert shell.registrar.statistics.dropped["unreachable"] == 5
        await asyncio.sleep(10)
        assert not shell.asap.setting_up
        assert shell.registrar.statistics.dropped["unreachable"] == module.BACKLOG + 5

    play(body, delay=100.0)
