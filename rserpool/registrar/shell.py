"""The IO shell of the registrar: SCTP endpoints, UDP sockets and the clock, moved for the sans-IO core.

No decision about the protocols is taken here but two that concern who may talk at all: messages with the wrong
payload protocol identifier (RFC 5352 §5.1, RFC 5353 §5.4), and peers that do not read what they asked for.
"""

from __future__ import annotations

import asyncio
import errno
import random
import secrets
import time
from collections import deque
from ipaddress import IPv6Address, ip_address

from pysocketapi import constants as c
from pysocketapi.aio import Message, SctpEndpoint, SocketOptions, Transport, open_endpoint
from pysocketapi.notifications import AssocChange, Notification, PeerAddrChange, ShutdownEvent
from rserpool.multicast import Interface, Receiver, Sender, announcing, host_addresses, interfaces
from rserpool.registrar.actions import ASAP, ENRP, Abort, Action, Multicast, Send, SendTo
from rserpool.registrar.config import TLS_PORTS, UDP_PORT, RegistrarConfig
from rserpool.registrar.core import Registrar
from rserpool.registrar.files import Recorder
from rserpool.registrar.state import Host, log
from rserpool.registrar.status import StatusServer, serve_status
from rserpool.registrar.tcp import TcpUsers
from rserpool.security.endpoint import SecureEndpoint, Side

PPID = {ASAP: 11, ENRP: 12}
SIDES = {ASAP: Side.REGISTRAR, ENRP: Side.PEER}
PORTS = (10000, 59999)  # a random one of these if none is configured
MAX_MESSAGE = 65536
BACKLOG = 1024  # messages that may wait for one association before it is aborted
DRAIN = 0.01  # seconds between attempts to send to an association whose buffer is full
SETUP = 5.0  # seconds at least for an association that a message makes, with its TLS session
RESCAN = 5.0  # seconds between looks at the host's interfaces

_ENDED = (c.SCTP_COMM_LOST, c.SCTP_SHUTDOWN_COMP, c.SCTP_CANT_STR_ASSOC)


def plain(address: str) -> str:
    """An address in canonical text, IPv4 as IPv4, without zone."""
    ip = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ip)


class Channel:
    """One SCTP endpoint with its announce socket, and the messages that wait to be sent."""

    def __init__(
        self, name: str, endpoint: SctpEndpoint | SecureEndpoint, sender: Sender | None, bound: tuple[str, ...]
    ) -> None:
        self.name = name
        self.endpoint = endpoint
        self.sender = sender
        self.bound = bound
        self.port = endpoint.port
        self.waiting: dict[int, deque[bytes]] = {}
        self.setting_up: dict[tuple[tuple[str, ...], int], deque[bytes]] = {}
        self.partial: dict[tuple[int, int], bytes] = {}


class RegistrarShell:
    """A running registrar; made by `open_registrar`."""

    def __init__(
        self,
        config: RegistrarConfig,
        asap: Channel,
        enrp: Channel,
        receiver: Receiver | None,
        rng: random.Random,
    ) -> None:
        self.config = config
        self.asap, self.enrp = asap, enrp
        self._channels = {ASAP: asap, ENRP: enrp}
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._expiry = 0.0  # when it fires, on the loop's clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._readers: list[asyncio.Task[None]] = []
        self._interfaces: list[Interface] = []
        self._scanned = 0.0
        self._closed = False
        self.status: StatusServer | None = None
        self.tcp: TcpUsers | None = None
        self._sampling: asyncio.TimerHandle | None = None
        self._recorder = Recorder(config)
        self._scan(time.monotonic())
        self.registrar = Registrar(config, self._host(), time.monotonic(), rng, self._delay)
        if receiver is not None:
            receiver.join(self._interfaces)
            self._loop.add_reader(receiver.fileno(), self._multicast_readable)
        if config.statistics_file:
            self._sampling = self._loop.call_later(0, self._sample)
        for channel in (asap, enrp):
            if isinstance(channel.endpoint, SecureEndpoint):
                channel.endpoint.refused = self.registrar.state.drop
            self._readers.append(self._loop.create_task(self._receive(channel)))
        self._turn()

    async def run(self) -> None:
        """Serve until cancelled, or until an endpoint fails (OSError)."""
        await asyncio.gather(*self._readers)

    async def close(self) -> None:
        """Stop serving and end all associations."""
        if self._closed:
            return
        self._closed = True
        if self.status is not None:
            await self.status.close()
        if self.tcp is not None:
            await self.tcp.close()
        for timer in (self._timer, self._sampling):
            if timer is not None:
                timer.cancel()
        if self._receiver is not None:
            self._loop.remove_reader(self._receiver.fileno())
            self._receiver.close()
        for task in [*self._readers, *self._tasks]:
            task.cancel()
        await asyncio.gather(*self._readers, *self._tasks, return_exceptions=True)
        for channel in (self.asap, self.enrp):
            if channel.sender is not None:
                channel.sender.close()
        await asyncio.gather(self.asap.endpoint.close(), self.enrp.endpoint.close(), return_exceptions=True)
        self._recorder.close(self.registrar.state)

    # Coming in

    async def _receive(self, channel: Channel) -> None:
        endpoint = channel.endpoint
        while True:
            item = await endpoint.recv()
            if isinstance(item, Message):
                self._message(channel, item)
            else:
                self._notification(channel, item)
            self._turn()

    def _message(self, channel: Channel, message: Message) -> None:
        state, association = self.registrar.state, message.assoc_id
        if message.ppid != PPID[channel.name]:
            state.drop("payload protocol identifier")
            if message.ppid in PPID.values():
                log.warning("Aborting association %d: it is on the wrong endpoint", association)
                self._abort(channel, association, "wrong protocol")
            return
        data = self._whole(channel, message)
        if data is None:
            return
        self._recorder.received(channel.name, data)
        now = time.monotonic()
        if (channel.name, association) not in state.links:
            self._up(channel, association, now)
        if channel is self.asap:
            self.registrar.receive_asap(association, data, now)
        else:
            self.registrar.receive_enrp(association, data, now)

    def _whole(self, channel: Channel, message: Message) -> bytes | None:
        """The complete message, of which the socket may deliver parts; None: there is more to come."""
        key = (message.assoc_id, message.stream)
        begun = channel.partial.pop(key, None)
        if begun is None and message.eor:
            return message.data
        data = (begun or b"") + message.data
        if len(data) > MAX_MESSAGE:
            self.registrar.state.drop("oversized message")
            self._abort(channel, message.assoc_id, "message too long")
            return None
        if message.eor:
            return data
        channel.partial[key] = data
        return None

    def _notification(self, channel: Channel, event: Notification) -> None:
        now = time.monotonic()
        if isinstance(event, AssocChange):
            if event.state in _ENDED:
                self._lost(channel, event.assoc_id, now)
            elif event.state == c.SCTP_RESTART:
                # The program at the other end is a new one; what the old one registered is gone with it.
                self._lost(channel, event.assoc_id, now)
                self._up(channel, event.assoc_id, now)
            elif event.state == c.SCTP_COMM_UP:
                self._up(channel, event.assoc_id, now)
        elif isinstance(event, ShutdownEvent):
            self._lost(channel, event.assoc_id, now)
        elif isinstance(event, PeerAddrChange) and (channel.name, event.assoc_id) in self.registrar.state.links:
            self._up(channel, event.assoc_id, now)

    def _up(self, channel: Channel, association: int, now: float) -> None:
        try:
            addresses = tuple(plain(a) for a in channel.endpoint.peer_addresses(association))
            port = channel.endpoint.peer_port(association)
        except OSError:
            return  # it is gone already; the notification of that is under way
        self.registrar.association_up(channel.name, association, addresses, port, now)
        # What waits for it goes before what is sent by it from now on.
        for (hosts, number), queue in channel.setting_up.items():
            if number == port and not set(addresses).isdisjoint(hosts):
                while queue:
                    self._send(channel, association, queue.popleft())

    def _lost(self, channel: Channel, association: int, now: float) -> None:
        channel.waiting.pop(association, None)
        for key in [key for key in channel.partial if key[0] == association]:
            del channel.partial[key]
        self.registrar.association_lost(channel.name, association, now)

    def _multicast_readable(self) -> None:
        receiver = self._receiver
        for _ in range(64):
            received = receiver.receive() if receiver is not None else None
            if received is None:
                break
            data, source = received
            if data:
                self._recorder.received(ENRP, data, True)
                self.registrar.receive_multicast(plain(source), data, time.monotonic())
        self._turn()

    # Going out

    def turn(self) -> None:
        """Carry out what the core wants, after something came in by another way than the endpoints."""
        self._turn()

    def _turn(self) -> None:
        """Carry out what the core wants, and set the clock."""
        if self._closed:
            return
        while actions := self.registrar.actions():  # carrying one out may lead to more
            for action in actions:
                self._recorder.sent(action)
                self._perform(action)
        self._recorder.look(self.registrar.state)
        deadline = self.registrar.deadline()
        if deadline is None:
            return
        at = self._loop.time() + deadline - time.monotonic()
        # uvloop's handles of times that have passed do not know their time.
        if self._timer is None or at < self._expiry - 0.0005:
            if self._timer is not None:
                self._timer.cancel()
            self._expiry = at
            self._timer = self._loop.call_at(at, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = time.monotonic()
        if now >= self._scanned + RESCAN:
            self._scan(now)
            self.registrar.host_changed(self._host())
            if self._receiver is not None:
                self._receiver.join(self._interfaces)
        self.registrar.expire(now)
        self._turn()

    def _sample(self) -> None:
        self._recorder.sample(self.registrar.state)
        self._sampling = self._loop.call_later(self.config.statistics_interval, self._sample)

    def _perform(self, action: Action) -> None:
        channel = self._channels[action.endpoint]
        if isinstance(action, Send):
            self._send(channel, action.association, action.data)
        elif isinstance(action, SendTo):
            self._send_to(channel, action)
        elif isinstance(action, Abort):
            self._abort(channel, action.association, action.reason)
        else:
            self._multicast(channel, action)

    def _send(self, channel: Channel, association: int, data: bytes) -> None:
        if association < 0 and self.tcp is not None:
            self.tcp.send(association, data)
            return
        queue = channel.waiting.get(association)
        if queue is not None:
            queue.append(data)
            if len(queue) > BACKLOG:
                log.warning("Aborting association %d: it does not read its answers", association)
                self._abort(channel, association, "answers are not read")
            return
        try:
            if channel.endpoint.send_nowait(data, association, ppid=PPID[channel.name]):
                return
        except OSError:
            self.registrar.state.drop("answer to a lost association")
            return
        channel.waiting[association] = deque([data])
        task = self._loop.create_task(self._drain(channel, association))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, channel: Channel, association: int) -> None:
        """Send what has piled up for an association as its buffer empties."""
        try:
            while queue := channel.waiting.get(association):
                if channel.endpoint.send_nowait(queue[0], association, ppid=PPID[channel.name]):
                    queue.popleft()
                else:
                    # Not the endpoint's own waiting: others may have room while this one has not.
                    await asyncio.sleep(DRAIN)
        except OSError:
            self.registrar.state.drop("answer to a lost association")
        finally:
            channel.waiting.pop(association, None)

    def _send_to(self, channel: Channel, action: SendTo) -> None:
        """Send to addresses; what goes to the same ones while an association is set up follows in order."""
        to = (action.addresses, action.port)
        queue = channel.setting_up.get(to)
        if queue is None:
            channel.setting_up[to] = deque([action.data])
            task = self._loop.create_task(self._set_up(channel, action))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif len(queue) < BACKLOG:
            queue.append(action.data)
        else:
            self.registrar.state.drop("unreachable")

    async def _set_up(self, channel: Channel, action: SendTo) -> None:
        # However short the protocol's timers: an association given up half-way leaves its peer without the one
        # message that counts, such as the keep-alive that tells an element of its new home.
        config = self.config
        patience = max(SETUP, config.keepalive_timeout if channel is self.asap else config.max_no_response)
        endpoint, to = channel.endpoint, (action.addresses, action.port)
        remote = action.udp_port if action.udp_port != UDP_PORT else None
        queue = channel.setting_up[to]
        sending = False
        try:
            try:
                await endpoint.connect(*to, remote_udp_port=remote, timeout=patience)
            except OSError as error:
                if error.errno != errno.EISCONN:
                    raise
            async with asyncio.timeout(patience):
                while queue:  # it may be empty already, see _up
                    sending = True
                    await endpoint.send(queue.popleft(), to, ppid=PPID[channel.name])
                    sending = False
        except OSError as error:
            # Of no use to report: whoever does not hear us is found dead by the timers.
            log.debug("Cannot send to %s port %d: %s", ", ".join(action.addresses), action.port, error)
            self.registrar.statistics.dropped["unreachable"] += len(queue) + sending
        finally:
            del channel.setting_up[to]

    def _abort(self, channel: Channel, association: int, reason: str) -> None:
        if association < 0 and self.tcp is not None:
            self.tcp.abort(association)
            return
        try:
            channel.endpoint.abort(association, reason.encode())
        except OSError:
            pass  # it is gone already
        self._lost(channel, association, time.monotonic())

    def _multicast(self, channel: Channel, action: Multicast) -> None:
        if channel.sender is None:
            return
        sender, sent = channel.sender, False
        for interface in announcing(self._interfaces, channel.bound):
            data = action.data if interface.loopback else action.public
            if data is not None and sender.send(data, interface):
                sent = True
        if not sent:
            # Multicast is blocked or has no route (a firewall, a cable): this host's programs still hear us.
            for interface in self._interfaces:
                if interface.loopback:
                    sender.send(action.data, interface)

    # The host

    def _scan(self, now: float) -> None:
        self._interfaces = interfaces()
        self._scanned = now

    def _host(self) -> Host:
        return Host(host_addresses(self._interfaces), self.enrp.port, self.enrp.bound, self.enrp.endpoint.udp_port)

    def _delay(self, name: str, association: int) -> float | None:
        try:
            primary = self._channels[name].endpoint.status(association).primary
        except OSError:
            return None
        return primary.srtt / 1000.0 if primary is not None else None


async def open_registrar(
    config: RegistrarConfig,
    transport: Transport | str | None = None,
    *,
    rng: random.Random | None = None,
) -> RegistrarShell:
    """Open a registrar's endpoints and start it. Raises OSError if an address or a port cannot be had.

    ``rng``: for the identifier, jitter and random policies; None: seeded by the system. A local UDP port of SCTP
    over UDP other than 9899 is announced.
    """
    config.validate()
    rng = rng or random.Random(secrets.randbits(128))
    asap = await _open(ASAP, config.asap_addresses, config.asap_port, config.asap_announce, config, transport, rng)
    try:
        enrp = await _open(
            ENRP, config.enrp_addresses, config.enrp_port, config.enrp_announce, config, transport, rng
        )
        try:
            receiver = Receiver(config.enrp_announce) if config.enrp_announce is not None else None
        except BaseException:
            await _close(enrp)
            raise
    except BaseException:
        await _close(asap)
        raise
    shell = RegistrarShell(config, asap, enrp, receiver, rng)
    if config.asap_tcp is not None:
        try:
            shell.tcp = await serve_tcp(shell, config.asap_tcp)
        except BaseException:
            await shell.close()
            raise
    if config.status_address is not None:
        try:
            shell.status = await serve_status(shell.registrar.state, *config.status_address, time.monotonic)
        except BaseException:
            await shell.close()
            raise
    return shell


async def serve_tcp(shell: RegistrarShell, where: tuple[str | None, int]) -> TcpUsers:
    """Accept pool users by TCP. Raises OSError."""
    users = TcpUsers(shell.registrar, shell.turn, shell.config.autoclose)
    await users.listen(*where)
    return users


async def _close(channel: Channel) -> None:
    if channel.sender is not None:
        channel.sender.close()
    await channel.endpoint.close()


async def _open(
    name: str,
    addresses: tuple[str, ...],
    port: int,
    group: tuple[str, int] | None,
    config: RegistrarConfig,
    transport: Transport | str | None,
    rng: random.Random,
) -> Channel:
    """An SCTP endpoint and the UDP socket with the same port number."""
    options = SocketOptions(nodelay=True, autoclose=config.autoclose, sack_frequency=1)
    specific = tuple(plain(a) for a in addresses if not ip_address(a).is_unspecified)
    for trial in range(50):
        wanted = TLS_PORTS[name] if config.tls is not None and trial == 0 else 0
        number = port or wanted or rng.randint(*PORTS)
        sender: Sender | None = None
        try:
            if group is not None:
                sender = Sender(group, number, config.announce_ttl, specific)
            endpoint: SctpEndpoint | SecureEndpoint
            endpoint = plainly = await open_endpoint(addresses, number, transport=transport, options=options)
            if config.tls is not None:
                endpoint = SecureEndpoint(plainly, config.tls, SIDES[name], PPID[name])
        except OSError as error:
            if sender is not None:
                sender.close()
            if error.errno != errno.EADDRINUSE or port or trial == 49:
                raise
            continue
        return Channel(name, endpoint, sender, specific)
    raise OSError(errno.EADDRINUSE, f"no free port for {name.upper()} in {PORTS[0]}..{PORTS[1]}")
