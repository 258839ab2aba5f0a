"""How userland channels come and go: endpoints, associations begun, accepted and peeled off, the end.

RFC 6458 sections 3.1, 4.1 and 9. Plain functions over a channel; its pump's lock is held.
"""

from __future__ import annotations

import errno
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pysctplib.core import events as e
from pysctplib.core.states import SETTING_UP

from . import sending, userland_events, waking
from .sending import fail

if TYPE_CHECKING:
    from pysctplib.core.association import Association
    from pysctplib.core.endpoint import Endpoint

    from .userland import UserChannel


class _Sink(deque[Any]):
    """The queue of a closed channel: takes data off the window and forgets it, else the peer could not end."""

    def append(self, event: Any) -> None:
        """Forget an event."""
        if type(event) is e.Message:
            event.association.consumed(len(event.data), 0.0)


NOBODY: deque[Any] = deque(maxlen=0)  # in the place of `accepting` with those who do not listen


def endpoint_of(channel: UserChannel) -> Endpoint:
    """Return the endpoint of a bound channel. Raises OSError(EINVAL) if there is none."""
    if channel.endpoint is None:
        raise fail(errno.EINVAL, "the socket is not bound")
    return channel.endpoint


def open_endpoint(channel: UserChannel, hosts: Sequence[str], port: int) -> None:
    """Claim a port and addresses (none: any)."""
    wildcards = {"", "0.0.0.0", "::"}
    hosts = [] if any(host in wildcards for host in hosts) else list(hosts)
    if channel.family == socket.AF_INET and any(":" in host for host in hosts):
        raise fail(errno.EAFNOSUPPORT)
    channel.endpoint = channel.pump.open(channel, port, hosts, channel.config)
    channel.config = channel.endpoint.config


def rebind(
    channel: UserChannel, change: Callable[[list[str]], list[str]], port: int, first: Sequence[str] | None
) -> None:
    """Change the bound addresses, which is simple as long as nobody was told them.

    first: what a socket without an endpoint is bound to; None: that is OSError(EINVAL).
    """
    if channel.endpoint is None:
        if first is None:
            raise fail(errno.EINVAL)
        open_endpoint(channel, first, port)
        return
    if port not in (0, channel.endpoint.port) or not channel.endpoint.addresses:
        raise fail(errno.EINVAL)
    if channel.endpoint.associations:
        raise fail(errno.EOPNOTSUPP, "addresses cannot change while there are associations")
    hosts = change(list(channel.endpoint.addresses))
    if not hosts:
        raise fail(errno.EBUSY)
    old, port = channel.endpoint, channel.endpoint.port
    channel.pump.release(old)
    channel.endpoint = channel.pump.open(channel, port, hosts, channel.config)
    channel.config = channel.endpoint.config
    if channel.listening:
        channel.endpoint.listen(True)


def connect(channel: UserChannel, hosts: Sequence[str], port: int, udp_port: int | None) -> int:
    """Begin an association and return its identifier."""
    channel.check()
    if not hosts or not 0 < port < 65536:
        raise fail(errno.EINVAL)
    if channel.family == socket.AF_INET and any(":" in host for host in hosts):
        raise fail(errno.EAFNOSUPPORT)
    if channel.one_to_many:
        if sending.find_by_address(channel, hosts[0], port) is not None:
            raise fail(errno.EISCONN)
    elif channel.listening:
        raise fail(errno.EOPNOTSUPP, "the socket is listening")
    elif channel.association is not None and (channel.connected or channel.association.id in channel.associations):
        raise fail(errno.EISCONN if channel.connected else errno.EALREADY)
    if channel.endpoint is None:
        open_endpoint(channel, [], 0)
    association = endpoint_of(channel).connect(
        list(hosts),
        port,
        channel.pump.now(),
        udp_port=channel.config.remote_udp_port if udp_port is None else udp_port,
        config=channel.config,
    )
    channel.associations[association.id] = association
    association.user = channel
    if not channel.one_to_many:
        channel.association = association
        channel.ended = channel.sent_end = channel.connected = False
        channel.pending_error = 0
    if channel.signal is not None:
        waking.signal_room(channel)
    channel.pump.driver.touched(0)
    return association.id


def adopt(channel: UserChannel, association: Association) -> UserChannel | None:
    """Take in an association that a peer began; None: it is not wanted."""
    if channel.one_to_many:
        channel.associations[association.id] = association
        return channel
    if not channel.listening or len(channel.accepting) >= channel.backlog:
        return None
    child = type(channel)(channel.pump, channel.family, False)
    take_over(child, channel, association)
    channel.accepting.append(child)
    waking.wake_reader(channel)
    return child


def take_over(channel: UserChannel, parent: UserChannel, association: Association) -> None:
    """Make an association of the parent this new channel's own, with what sockets inherit."""
    channel.endpoint = parent.endpoint
    channel.shares_endpoint = True
    channel.association = association
    channel.associations[association.id] = association
    channel.config = association.config
    channel.connected = True
    channel.subscribed = set(parent.subscribed)
    for (assoc_id, type_), on in (parent.chosen or {}).items():
        if assoc_id == association.id:
            (channel.subscribed.add if on else channel.subscribed.discard)(type_)
    channel.values = dict(parent.values)
    channel.defaults = dict(parent.defaults)
    channel.linger = parent.linger
    channel.context = parent.context_of(association.id)
    for key in [key for key in parent.parts if key[0] == association.id]:
        channel.parts[key] = parent.parts.pop(key)  # of a message whose rest comes here
    parent.blocked.pop(association, None)
    userland_events.forget(parent, association.id)


def peel_off(channel: UserChannel, assoc_id: int) -> UserChannel:
    """Branch an association off, with what was received of it."""
    if not channel.one_to_many:
        raise fail(errno.EINVAL)
    association = channel.associations.get(assoc_id)
    if association is None:
        raise fail(errno.EINVAL, f"no association {assoc_id}")
    child = type(channel)(channel.pump, channel.family, False)
    take_over(child, channel, association)
    del channel.associations[assoc_id]
    association.user = child
    own = [event for event in channel.queue if event.association is association]
    if own:
        channel.queue = deque(event for event in channel.queue if event.association is not association)
        child.queue.extend(own)
    return child


def close(channel: UserChannel) -> None:
    """End a channel. What was not read is thrown away; unlike on Linux, that is no reason to abort."""
    if channel.closed:
        return
    channel.closed = True
    channel.pump.channels.discard(channel)
    for child in channel.accepting:
        child.abort_all()
        child.close_locked()
    channel.accepting.clear()
    held, channel.queue = channel.queue, _Sink()
    for event in held:
        channel.queue.append(event)
    now = channel.pump.now()
    for association in list(channel.associations.values()):
        if (channel.linger[0] and channel.linger[1] == 0) or (
            association.state in SETTING_UP and not association.buffered
        ):
            association.abort(now, b"")  # being set up, with nothing to deliver: nobody waits for it any more
        else:
            association.shutdown(now)
    if channel.endpoint is not None and not channel.shares_endpoint:
        if channel.listening:
            channel.endpoint.listen(False)
        channel.pump.release(channel.endpoint)
    channel.blocked.clear()
    channel.pump.writers.discard(channel)
    channel.pump.driver.touched(0)
    waking.wake_reader(channel)
    waking.wake_writers(channel)
    waking.close_descriptor(channel)
    if not channel.associations:
        userland_events.gone(channel)
    if channel.endpoint is None:
        channel.pump.sweep()
