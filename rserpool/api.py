"""RSPLIB's functions under their own names, blocking, over the asyncio API (docs/reference/rsp-functions.md).

What a C function writes through pointers is returned; where it returns -1 and sets errno, OSError is raised, and
RSerPoolError where it returns an error code. Payload protocol identifiers are in host order, times in ms, negative
ones are infinite. Session identifiers are those of one-to-many sockets. Mended, because it hurt callers:
rsp_connect raises if no pool element was reached (the session exists all the same), rsp_forcefailover raises
ENOENT if there is none, a message that is longer than the buffer is not lost, rsp_select takes no timeout as
infinite and returns only what is ready.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
import time
import warnings
from collections.abc import Iterable, Sequence
from typing import TextIO

from rserpool import options
from rserpool.asap.client import Handle, as_handle
from rserpool.blocking import basic, polling, table
from rserpool.blocking.basic import (
    rsp_freeaddrinfo,
    rsp_getaddrinfo,
    rsp_pe_deregistration,
    rsp_pe_failure,
    rsp_pe_registration,
)
from rserpool.blocking.runtime import Runtime
from rserpool.blocking.sockets import Mapped, RspSocket, fail, pack_addresses, remaining
from rserpool.blocking.structures import (
    ASAP_PORT,
    DEREGF_DONTWAIT,
    ENRP_PORT,
    FFF_NONE,
    FFF_UNREACHABLE,
    MSG_RSERPOOL_COOKIE_ECHO,
    MSG_RSERPOOL_NOTIFICATION,
    REGF_CONTROLCHANNEL,
    REGF_DAEMONMODE,
    REGF_DONTWAIT,
    RSERPOOL_FAILOVER,
    RSERPOOL_FAILOVER_COMPLETE,
    RSERPOOL_FAILOVER_NECESSARY,
    RSERPOOL_SESSION_ADD,
    RSERPOOL_SESSION_CHANGE,
    RSERPOOL_SESSION_REMOVE,
    RSERPOOL_SHUTDOWN_EVENT,
    RSPGETADDRS_DEFAULT,
    RSPGETADDRS_MAX,
    RSPGETADDRS_MIN,
    RSPLIB_REVISION,
    RSPLIB_VERSION,
    SESSION_SETSIZE,
    TTL_INFINITE,
    notification_text,
    rserpool_failover,
    rserpool_notification,
    rserpool_session_change,
    rserpool_session_parameters,
    rserpool_shutdown_event,
    rsp_addrinfo,
    rsp_info,
    rsp_loadinfo,
    rsp_registrar_info,
    rsp_sndrcvinfo,
    to_settings,
    update,
)
from rserpool.errors import RSerPoolError
from rserpool.wire import causes, policies
from rserpool.wire.types import SCTP

# Initialisation and clean-up


def rsp_initinfo() -> rsp_info:
    """Return an rsp_info with everything at its default, CSP_SERVER and CSP_INTERVAL taken. ValueError."""
    info = rsp_info()
    settings = to_settings(info)
    options.from_environment(settings)
    update(info, settings)
    return info


def rsp_freeinfo(info: rsp_info) -> None:
    """Forget the static registrars."""
    info.ri_registrars.clear()


def rsp_initarg(info: rsp_info, arg: str) -> int:
    """Take a command line's argument, such as ``-registrar=...``: 1 if it was the library's and good, else 0.

    What is wrong with a bad one is printed to stderr.
    """
    settings = to_settings(info)
    try:
        if not options.take(settings, arg):
            return 0
    except ValueError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 0
    update(info, settings)
    return 1


def rsp_initialize(info: rsp_info | None = None) -> None:
    """Start the library: its thread, the search for a registrar, status reports.

    Raises OSError if there is no SCTP, ValueError for settings that make no sense. A second call only warns.
    """
    if table.running is not None:
        warnings.warn("rsp_initialize was called already", RuntimeWarning, stacklevel=2)
        return
    info = info if info is not None else rsp_initinfo()
    table.running = Runtime(to_settings(info))
    info.ri_version, info.ri_revision = RSPLIB_VERSION, RSPLIB_REVISION
    for number in range(table.FIRST):
        table.descriptors[number] = Mapped(number)


def rsp_cleanup() -> None:
    """Close all RSerPool sockets and end the library; nothing if it was not started."""
    running = table.running
    if running is None:
        return
    for number in list(table.descriptors):
        thing = table.remove(number)
        if isinstance(thing, RspSocket):
            running.call(thing.close())
    basic.POOL_ELEMENTS.clear()
    table.running = None
    running.close()


# Sockets


def rsp_socket(domain: int = 0, type: int = socket.SOCK_SEQPACKET, protocol: int = SCTP) -> int:
    """Return a new RSerPool socket's descriptor.

    SOCK_STREAM: accept model, no notifications; SOCK_SEQPACKET: all sessions on one descriptor, notifications.
    Raises OSError: EACCES before rsp_initialize, EPROTONOSUPPORT, EAFNOSUPPORT, ESOCKTNOSUPPORT, EMFILE.
    """
    runtime = table.runtime()
    if protocol != SCTP:
        raise fail(errno.EPROTONOSUPPORT)
    if domain not in (0, socket.AF_INET, socket.AF_INET6):
        raise fail(errno.EAFNOSUPPORT)
    if type not in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        raise fail(errno.ESOCKTNOSUPPORT)
    return table.insert(RspSocket(runtime, type == socket.SOCK_STREAM))


def rsp_update_session_parameters(
    sd: int, params: rserpool_session_parameters | None = None
) -> rserpool_session_parameters:
    """Set the parameters that are not 0 for future sessions; return those in force. OSError: EBADF, EINVAL."""
    return table.rsp(sd).parameters(params)


def rsp_bind(sd: int, addresses: Sequence[tuple[str, int]] = ()) -> None:
    """Bind to addresses, all with the same port, or to any with a random one. OSError: EADDRINUSE and the like."""
    thing = table.rsp(sd)
    if thing.element is not None or thing.session is not None:
        raise fail(errno.EINVAL)
    thing.bound = pack_addresses(addresses)
    table.runtime().call(thing.listen())


def rsp_listen(sd: int, backlog: int = 10) -> None:
    """Take sessions of pool users. OSError: EBADF, EINVAL for a pool user's socket."""
    thing = table.rsp(sd)
    if thing.session is not None or thing.peer is not None:
        raise fail(errno.EINVAL)
    table.runtime().call(thing.listen())


def rsp_getsockname(sd: int) -> tuple[bytes, int]:
    """Return pool handle and identifier of the own pool element. OSError(EBADF) if there is none."""
    thing = table.rsp(sd)
    if thing.element is None or thing.handle is None:
        raise fail(errno.EBADF)
    return thing.handle, thing.element.identifier


def rsp_getpeername(sd: int) -> tuple[bytes, int]:
    """Return pool handle and the pool element in use, 0 if there is none. OSError(EBADF) if not connected."""
    session = table.rsp(sd).session
    if session is None:
        raise fail(errno.EBADF)
    return session.handle, session.identifier


def rsp_close(sd: int) -> None:
    """Deregister the pool element, end the sessions gracefully, free the descriptor. OSError(EBADF)."""
    thing = table.remove(sd)
    if isinstance(thing, RspSocket):
        table.runtime().call(thing.close())
    elif sd >= table.FIRST:
        os.close(thing.descriptor)


def rsp_poll(ufds: Iterable[tuple[int, int]], timeout: int = -1) -> list[tuple[int, int]]:
    """Wait for (descriptor, events) as poll does; return those with events. Notifications are POLLIN.

    Descriptors that are not known are ignored. OSError: EACCES, EINVAL.
    """
    return polling.poll(list(ufds), timeout)


def rsp_select(
    readfds: Iterable[int], writefds: Iterable[int], exceptfds: Iterable[int], timeout: float | None = None
) -> tuple[list[int], list[int], list[int]]:
    """Wait as select.select does, ``timeout`` in seconds, None: infinite."""
    sets = [(list(readfds), select.POLLIN), (list(writefds), select.POLLOUT), (list(exceptfds), select.POLLPRI)]
    wanted: dict[int, int] = {}
    for numbers, event in sets:
        for number in numbers:
            wanted[number] = wanted.get(number, 0) | event
    found = dict(polling.poll(list(wanted.items()), -1 if timeout is None else round(timeout * 1000)))
    ended = select.POLLHUP | select.POLLERR  # readable, as select sees it
    masks = (select.POLLIN | ended, select.POLLOUT, select.POLLPRI)
    read, write, out = ([n for n in numbers if found.get(n, 0) & m] for (numbers, _), m in zip(sets, masks))
    return read, write, out


def rsp_getsockopt(sd: int, level: int, optname: int, length: int = 0) -> int | bytes:
    """Get an option of a mapped socket. RSerPool sockets have none: OSError(ENOPROTOOPT)."""
    with _system_socket(sd) as sock:
        return sock.getsockopt(level, optname, length) if length else sock.getsockopt(level, optname)


def rsp_setsockopt(sd: int, level: int, optname: int, value: int | bytes) -> None:
    """Set an option of a mapped socket. RSerPool sockets have none: OSError(ENOPROTOOPT)."""
    with _system_socket(sd) as sock:
        sock.setsockopt(level, optname, value)


def _system_socket(sd: int) -> socket.socket:
    thing = table.find(sd)
    if isinstance(thing, RspSocket):
        raise fail(errno.ENOPROTOOPT)
    return socket.socket(fileno=os.dup(thing.descriptor))


# Pool elements


def rsp_register(
    sd: int,
    handle: Handle,
    loadinfo: rsp_loadinfo | None = None,
    reregistration_interval: int = 30000,
    flags: int = 0,
) -> None:
    """Register the socket as a pool element and keep it registered; binds it if it is not bound.

    Again with the same handle: new load information, re-registered at once. ``loadinfo`` None: Round Robin.
    Raises RSerPoolError if the registrar refuses or there is none (not with REGF_DAEMONMODE); OSError: EBADF,
    ENAMETOOLONG.
    """
    thing, runtime = table.rsp(sd), table.runtime()
    try:
        name = as_handle(handle)
    except ValueError:
        raise fail(errno.ENAMETOOLONG) from None
    if thing.session is not None or thing.peer is not None:
        raise fail(errno.EBADF)
    policy = (loadinfo or rsp_loadinfo()).policy()

    async def work() -> None:
        await thing.listen()
        element = thing.element
        if element is None:
            raise fail(errno.EBADF)
        if thing.handle == name:
            element.set_policy(policy)
        elif thing.handle is not None:
            raise fail(errno.EBADF)
        else:
            element.rename(name, policy, reregistration_interval / 1000.0, daemon=bool(flags & REGF_DAEMONMODE))
        await element.register()
        thing.handle = name

    runtime.call(work())


def rsp_deregister(sd: int, flags: int = 0) -> None:
    """Leave the pool; sessions are still served. OSError(EBADF) if the socket is not registered."""
    thing, runtime = table.rsp(sd), table.runtime()
    element = thing.element
    if element is None or thing.handle is None:
        raise fail(errno.EBADF)
    thing.handle = None
    if flags & DEREGF_DONTWAIT:
        runtime.spawn(element.deregister())
    else:
        runtime.call(element.deregister())


def rsp_accept(sd: int, timeout: int = -1) -> int:
    """Return the descriptor of a stream socket's next session. OSError: EAGAIN, EBADF, EOPNOTSUPP, EINVAL."""
    thing, runtime = table.rsp(sd), table.runtime()
    if not thing.stream:
        raise fail(errno.EOPNOTSUPP)
    if thing.element is None:
        raise fail(errno.EINVAL)
    session = thing.accept(timeout)
    accepted = RspSocket(runtime, stream=True)
    runtime.call(accepted.adopt(session))
    return table.insert(accepted)


def rsp_connect(sd: int, handle: Handle, stale_cache_value: int = 0) -> None:
    """Begin a session with a pool and connect to one of its elements.

    Raises UnknownPool, RSerPoolError, OSError if none could be reached; the session exists all the same, and the
    first receive says RSERPOOL_FAILOVER_NECESSARY. OSError(EBADF) if there is a session already.
    """
    thing, runtime = table.rsp(sd), table.runtime()
    if thing.session is not None or thing.element is not None or thing.peer is not None:
        raise fail(errno.EBADF)
    runtime.call(thing.connect(as_handle(handle), stale_cache_value / 1000.0))


# Sessions


def rsp_has_cookie(sd: int) -> bool:
    """Whether the pool user's session has got a cookie."""
    session = table.rsp(sd).session
    return session is not None and session.has_cookie


def rsp_forcefailover(sd: int, flags: int = FFF_NONE, stale_cache_value: int = 0) -> None:
    """Leave the pool element for another one; FFF_UNREACHABLE reports the old one.

    Raises OSError: ENOENT if there is no pool element, after 250 ms; EBADF if not connected; else why the new one
    could not be reached.
    """
    thing, runtime = table.rsp(sd), table.runtime()
    try:
        runtime.call(thing.failover(bool(flags & FFF_UNREACHABLE), stale_cache_value / 1000.0))
    except RSerPoolError as error:
        number = errno.ENOENT if error.cause == causes.UNKNOWN_POOL_HANDLE else errno.EIO
        raise OSError(number, str(error)) from error


def rsp_sendmsg(
    sd: int,
    data: bytes,
    msg_flags: int = 0,
    session: int = 0,
    ppid: int = 0,
    stream: int = 0,
    time_to_live: int = TTL_INFINITE,
    sctp_flags: int = 0,
    timeout: int = -1,
) -> int:
    """Send a message; return its length. ``sctp_flags``: SCTP_UNORDERED, SCTP_ABORT, SCTP_EOF as in RFC 6458.

    Raises OSError: EAGAIN when the timeout (ms) is over, EBADF for an unknown session, others if the association
    is gone: then a failover is necessary.
    """
    thing, runtime = table.rsp(sd), table.runtime()
    lifetime = None if time_to_live == TTL_INFINITE else time_to_live / 1000.0
    if msg_flags & socket.MSG_DONTWAIT:
        timeout = 0
    runtime.call(thing.send(bytes(data), session, ppid, stream, lifetime, sctp_flags), timeout)
    return len(data)


def rsp_send_cookie(sd: int, cookie: bytes, session: int = 0, timeout: int = -1) -> int:
    """Give a pool user a cookie; return its length. OSError: EAGAIN, EBADF, EINVAL for a pool user's socket."""
    table.runtime().call(table.rsp(sd).send_cookie(bytes(cookie), session), timeout)
    return len(cookie)


def rsp_recvmsg(
    sd: int, length: int = 65536, timeout: int = -1
) -> tuple[bytes | rserpool_notification, rsp_sndrcvinfo, int]:
    """Return a message, what is known of it, and flags.

    With MSG_RSERPOOL_NOTIFICATION it is a notification, with MSG_RSERPOOL_COOKIE_ECHO a cookie, without MSG_EOR
    only a part, the rest of which comes next. ``b""`` without flags: the session has ended.
    Raises OSError: EAGAIN when the timeout (ms) is over, EBADF.
    """
    if length < 1:
        raise fail(errno.EINVAL)
    item = table.rsp(sd).take(length, timeout)
    return (b"" if item.data is None else item.data), item.info, item.flags


def rsp_recvfullmsg(
    sd: int, length: int = 65536, timeout: int = -1
) -> tuple[bytes | rserpool_notification, rsp_sndrcvinfo, int]:
    """As rsp_recvmsg, but wait for the whole message, or as much as fits into ``length`` bytes."""
    end = None if timeout < 0 else time.monotonic() + timeout / 1000.0
    data, info, flags = rsp_recvmsg(sd, length, timeout)
    while isinstance(data, bytes) and data and not flags & socket.MSG_EOR and len(data) < length:
        more, info, flags = rsp_recvmsg(sd, length - len(data), remaining(end))
        if not isinstance(more, bytes):
            break
        data += more
    return data, info, flags


def _received(sd: int, length: int) -> bytes:
    while True:
        data, _, flags = rsp_recvmsg(sd, length)
        if isinstance(data, bytes) and not flags & MSG_RSERPOOL_COOKIE_ECHO:
            return data


def rsp_read(fd: int, length: int) -> bytes:
    """Return the next message's data, ``b""`` at the end; notifications and cookies are passed over."""
    thing = table.find(fd)
    return os.read(thing.descriptor, length) if isinstance(thing, Mapped) else _received(fd, length)


def rsp_recv(sd: int, length: int, flags: int = 0) -> bytes:
    """As rsp_read; ``flags`` are for mapped sockets."""
    thing = table.find(sd)
    if isinstance(thing, RspSocket):
        return _received(sd, length)
    with _system_socket(sd) as sock:
        return sock.recv(length, flags)


def rsp_write(fd: int, data: bytes) -> int:
    """Send a message with PPID 0 on stream 0; return its length."""
    thing = table.find(fd)
    return os.write(thing.descriptor, data) if isinstance(thing, Mapped) else rsp_sendmsg(fd, data)


def rsp_send(sd: int, data: bytes, flags: int = 0) -> int:
    """As rsp_write, with flags for send."""
    thing = table.find(sd)
    if isinstance(thing, RspSocket):
        return rsp_sendmsg(sd, data, flags)
    with _system_socket(sd) as sock:
        return sock.send(data, flags)


# Miscellaneous


def rsp_mapsocket(sd: int, to_sd: int = -1) -> int:
    """Map a descriptor of the system, for rsp_poll and the like; return its number. OSError: EINVAL, EMFILE."""
    table.runtime()
    if sd < 0:
        raise fail(errno.EINVAL)
    return table.insert(Mapped(sd), to_sd)


def rsp_unmapsocket(sd: int) -> None:
    """Take a mapping back; the system's descriptor stays open. OSError(EBADF) for an RSerPool socket."""
    if not isinstance(table.find(sd), Mapped):
        raise fail(errno.EBADF)
    table.remove(sd)


def rsp_print_notification(notification: rserpool_notification, file: TextIO | None = None) -> None:
    """Print a notification, without a newline, to stdout or a file."""
    print(notification_text(notification), end="", file=file)


def rsp_getpolicybytype(policy: int) -> str | None:
    """Return a policy's name, None if there is none."""
    return policies.NAMES.get(policy)


def rsp_getpolicybyname(policy: str) -> int:
    """Return a policy's number, 0 if there is none; case matters."""
    return policies.TYPES.get(policy, 0)


def rsp_csp_setstatus(sd: int, session: int, text: str) -> None:
    """Set the status text of reports. OSError: EPROTONOSUPPORT without reports, EINVAL for no such session."""
    thing, runtime = table.rsp(sd), table.runtime()
    known = thing.session is not None or thing.peer is not None or session in thing.peers
    if not known:
        raise fail(errno.EINVAL)
    settings = runtime.library.settings
    if settings.csp_server is None or not settings.csp_interval:
        raise fail(errno.EPROTONOSUPPORT)
    runtime.soon(runtime.library.set_status, text)


__all__ = [
    "ASAP_PORT",
    "DEREGF_DONTWAIT",
    "ENRP_PORT",
    "FFF_NONE",
    "FFF_UNREACHABLE",
    "MSG_RSERPOOL_COOKIE_ECHO",
    "MSG_RSERPOOL_NOTIFICATION",
    "REGF_CONTROLCHANNEL",
    "REGF_DAEMONMODE",
    "REGF_DONTWAIT",
    "RSERPOOL_FAILOVER",
    "RSERPOOL_FAILOVER_COMPLETE",
    "RSERPOOL_FAILOVER_NECESSARY",
    "RSERPOOL_SESSION_ADD",
    "RSERPOOL_SESSION_CHANGE",
    "RSERPOOL_SESSION_REMOVE",
    "RSERPOOL_SHUTDOWN_EVENT",
    "RSPGETADDRS_DEFAULT",
    "RSPGETADDRS_MAX",
    "RSPGETADDRS_MIN",
    "RSPLIB_REVISION",
    "RSPLIB_VERSION",
    "SESSION_SETSIZE",
    "rserpool_failover",
    "rserpool_notification",
    "rserpool_session_change",
    "rserpool_session_parameters",
    "rserpool_shutdown_event",
    "rsp_addrinfo",
    "rsp_freeaddrinfo",
    "rsp_getaddrinfo",
    "rsp_info",
    "rsp_loadinfo",
    "rsp_pe_deregistration",
    "rsp_pe_failure",
    "rsp_pe_registration",
    "rsp_registrar_info",
    "rsp_sndrcvinfo",
]
__all__ += [name for name in dir() if name.startswith("rsp_") and name not in __all__]
