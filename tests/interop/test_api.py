"""RSPLIB's functions, one by one, against a registrar on this host; SCTP in UDP on loopback."""

# ruff: noqa: F405
import asyncio
import errno
import io
import os
import select
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from pysocketapi.aio import Transport
from rserpool import api
from rserpool.api import *  # noqa: F403 - as a C programmer includes the header
from rserpool.blocking import table
from rserpool.errors import NoRegistrar, RSerPoolError, UnknownPool
from rserpool.registrar.config import RegistrarConfig
from rserpool.registrar.shell import open_registrar
from rserpool.wire import causes, csp
from tests.interop.pools import free_udp_port

WAIT = 10_000  # ms; everything is much faster
TRANSPORT = Transport("userland", udp_port=0)


@contextmanager
def running_registrar():
    """A registrar in a thread of its own; yields its endpoint's address, UDP port and the registrar."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def call(coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(20)

    config = RegistrarConfig(asap_announce=None, enrp_announce=None, mentor_timeout=0.1)

    async def start():
        return await open_registrar(config, TRANSPORT)

    shell = call(start())
    try:
        yield shell
    finally:
        call(shell.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.fixture(scope="module")
def registrar():
    with running_registrar() as shell:
        yield shell


def info_for(shell):
    info = rsp_initinfo()
    info.ri_disable_autoconfig = True
    info.ri_transport = TRANSPORT
    endpoint = shell.asap.endpoint
    info.ri_registrars.append(rsp_registrar_info([("127.0.0.1", endpoint.port)], endpoint.udp_port))
    return info


@pytest.fixture
def library(registrar):
    rsp_initialize(info_for(registrar))
    yield registrar
    rsp_cleanup()


@contextmanager
def sockets(*kinds):
    found = [rsp_socket(0, kind, 132) for kind in kinds]
    try:
        yield found[0] if len(found) == 1 else found
    finally:
        for sd in found:
            try:
                rsp_close(sd)
            except OSError:
                pass


SEQPACKET, STREAM = socket.SOCK_SEQPACKET, socket.SOCK_STREAM


@contextmanager
def fails(number):
    with pytest.raises(OSError) as caught:
        yield
    assert caught.value.errno == number, caught.value


@pytest.fixture
def pair(library):
    """A one-to-many pool element and a pool user that is connected to it."""
    with sockets(SEQPACKET, SEQPACKET) as (server, client):
        rsp_bind(server)
        rsp_listen(server, 10)
        rsp_register(server, b"Pool", rsp_loadinfo(), 30000)
        rsp_connect(client, b"Pool")
        added, _, flags = rsp_recvmsg(server, 4096, WAIT)
        assert flags & MSG_RSERPOOL_NOTIFICATION
        assert added == rserpool_session_change(RSERPOOL_SESSION_ADD, 1)
        yield server, client


# Initialisation


def test_initinfo(monkeypatch):
    monkeypatch.setenv("CSP_SERVER", "127.0.0.1:2960")
    monkeypatch.setenv("CSP_INTERVAL", "50")
    info = rsp_initinfo()
    assert (info.ri_csp_server, info.ri_csp_interval, info.ri_registrars) == (("127.0.0.1", 2960), 250, [])
    monkeypatch.delenv("CSP_SERVER")
    assert rsp_initinfo().ri_csp_server is None


def test_initarg(capsys):
    info = rsp_initinfo()
    assert rsp_initarg(info, "-registrar=10.0.0.1:3863,10.0.0.2:3863") == 1
    assert rsp_initarg(info, "-registrar=10.1.0.1:3863") == 1
    assert [r.rri_addr[0][0] for r in info.ri_registrars] == ["10.1.0.1", "10.0.0.1"]  # new ones in front
    assert rsp_initarg(info, "-registrarresponsetimeout=1234") == 1
    assert info.ri_registrar_response_timeout == 1234 and info.ri_registrar_request_timeout == 0
    assert rsp_initarg(info, "-asapannounce=off") == 1 and info.ri_disable_autoconfig
    assert rsp_initarg(info, "-asapannounce=239.1.1.1") == 1 and not info.ri_disable_autoconfig
    assert info.ri_registrar_announce == ("239.1.1.1", 3863)
    assert rsp_initarg(info, "-somethingelse") == 0
    assert capsys.readouterr().err == ""
    assert rsp_initarg(info, "-registrar=10.0.0.1") == 0
    assert "needs a port" in capsys.readouterr().err


def test_freeinfo():
    info = rsp_initinfo()
    rsp_initarg(info, "-registrar=10.0.0.1:3863")
    rsp_freeinfo(info)
    assert info.ri_registrars == []


def test_initialize_and_cleanup(registrar):
    with fails(errno.EACCES):
        rsp_socket()
    rsp_cleanup()  # not started: nothing
    info = info_for(registrar)
    rsp_initialize(info)
    assert (info.ri_version, info.ri_revision) == (RSPLIB_VERSION, RSPLIB_REVISION)
    with pytest.warns(RuntimeWarning):
        rsp_initialize(info)
    sd = rsp_socket()
    assert sd == 3
    rsp_cleanup()
    with fails(errno.EBADF):
        rsp_close(sd)
    with fails(errno.EACCES):
        rsp_socket()
    assert not [t for t in threading.enumerate() if t.name == "rserpool"]


# Basic mode


def test_basic_mode(library):
    addr = rsp_addrinfo([("127.0.0.1", 4711)], ai_protocol=6)
    rsp_pe_registration(b"Basic", addr, rsp_loadinfo(), 60000)
    assert addr.ai_pe_id != 0
    (found,) = rsp_getaddrinfo(b"Basic", 5)
    assert (found.ai_pe_id, found.ai_addr) == (addr.ai_pe_id, [("127.0.0.1", 4711)])
    assert (found.ai_family, found.ai_socktype, found.ai_protocol) == (socket.AF_INET, STREAM, 6)
    found_list = [found]
    rsp_freeaddrinfo(found_list)
    assert found_list == []
    rsp_pe_deregistration(b"Basic", addr.ai_pe_id)
    with pytest.raises(UnknownPool):
        rsp_getaddrinfo(b"Basic")
    with pytest.raises(RSerPoolError) as caught:
        rsp_pe_deregistration(b"Basic", addr.ai_pe_id)
    assert caught.value.cause == causes.UNKNOWN_POOL_HANDLE


def test_basic_mode_without_waiting(library):
    addr = rsp_addrinfo([("127.0.0.1", 4711)], 0x77)
    rsp_pe_registration("Basic", addr, rsp_loadinfo(), 60000, REGF_DONTWAIT)
    wait_for(lambda: len(rsp_getaddrinfo_or_nothing("Basic")) == 1)
    rsp_pe_deregistration("Basic", 0x77, DEREGF_DONTWAIT)
    wait_for(lambda: not rsp_getaddrinfo_or_nothing("Basic"))
    with pytest.raises(RSerPoolError):
        rsp_pe_registration("Basic", rsp_addrinfo([]), rsp_loadinfo(), 60000)


def rsp_getaddrinfo_or_nothing(handle):
    try:
        return rsp_getaddrinfo(handle, 10)
    except UnknownPool:
        return []


def wait_for(condition):
    end = time.monotonic() + WAIT / 1000
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_pe_failure(library):
    addr = rsp_addrinfo([("127.0.0.1", 4711)], 0x55)
    rsp_pe_registration("Failing", addr, rsp_loadinfo(), 60000)
    for _ in range(3):
        rsp_pe_failure("Failing", 0x55)
    wait_for(lambda: not rsp_getaddrinfo_or_nothing("Failing"))


def test_getaddrinfo_limits(library):
    for i in range(1, 6):
        rsp_pe_registration("Many", rsp_addrinfo([("127.0.0.1", 1000 + i)], i), rsp_loadinfo(), 60000)
    assert len(rsp_getaddrinfo("Many", RSPGETADDRS_DEFAULT)) == 1
    assert len(rsp_getaddrinfo("Many", RSPGETADDRS_MAX)) == 5
    assert [a.ai_pe_id for a in rsp_getaddrinfo("Many", 2)] == [3, 4]


# Sockets


def test_socket(library):
    first, second = rsp_socket(0, SEQPACKET, 132), rsp_socket(socket.AF_INET6, STREAM, 132)
    assert (first, second) == (3, 4)
    rsp_close(first)
    assert rsp_socket() == 3
    for number, arguments in (
        (errno.EPROTONOSUPPORT, (0, STREAM, 6)),
        (errno.EAFNOSUPPORT, (socket.AF_UNIX, STREAM, 132)),
        (errno.ESOCKTNOSUPPORT, (0, socket.SOCK_RAW, 132)),
    ):
        with fails(number):
            rsp_socket(*arguments)
    with fails(errno.EBADF):
        rsp_close(99)


def test_update_session_parameters(library):
    with sockets(STREAM) as sd:
        before = rsp_update_session_parameters(sd)
        assert before == rserpool_session_parameters(2000, 1000, 5000, 8, 3, 15000)
        after = rsp_update_session_parameters(sd, rserpool_session_parameters(sp_rto_max=500, sp_path_max_rxt=1))
        assert after == rserpool_session_parameters(2000, 1000, 500, 8, 1, 15000)
        with fails(errno.EINVAL):
            rsp_update_session_parameters(sd, rserpool_session_parameters(sp_rto_min=-1))


def test_bind_and_listen(library):
    with sockets(STREAM, STREAM) as (first, second):
        rsp_bind(first, [("127.0.0.1", 0)])
        port = table.rsp(first).element.port
        with fails(errno.EADDRINUSE):
            rsp_bind(second, [("127.0.0.1", port)])
        with fails(errno.EINVAL):
            rsp_bind(second, [("127.0.0.1", 1), ("127.0.0.1", 2)])
        with fails(errno.EINVAL):
            rsp_bind(first, [])
        rsp_listen(first, 5)
        with fails(errno.EBADF):
            rsp_listen(77, 5)


def test_register_names_deregister(library):
    with sockets(STREAM) as sd:
        with fails(errno.EBADF):
            rsp_getsockname(sd)
        with fails(errno.EBADF):
            rsp_deregister(sd)
        with fails(errno.ENAMETOOLONG):
            rsp_register(sd, b"x" * 33)
        load = rsp_loadinfo(rsp_getpolicybyname("LeastUsed"), rli_load=1)
        rsp_register(sd, b"Named", load, 30000)
        handle, identifier = rsp_getsockname(sd)
        assert handle == b"Named" and identifier
        element = library.registrar.state.handlespace.find(b"Named", identifier)
        assert element.record.life == 90000 and element.record.policy.load == 1
        load.rli_load = 0x1000
        rsp_register(sd, b"Named", load, 30000)
        wait_for(lambda: element.record.policy.load == 0x1000)
        with fails(errno.EBADF):
            rsp_register(sd, b"Other", load, 30000)
        rsp_deregister(sd)
        assert not rsp_getaddrinfo_or_nothing("Named")
        with fails(errno.EBADF):
            rsp_getsockname(sd)
        rsp_register(sd, b"Again", None, 30000)
        rsp_deregister(sd, DEREGF_DONTWAIT)
        wait_for(lambda: not rsp_getaddrinfo_or_nothing("Again"))


def test_register_without_registrar():
    info = rsp_initinfo()
    info.ri_disable_autoconfig, info.ri_transport, info.ri_registrar_connect_timeout = True, TRANSPORT, 200
    info.ri_registrars.append(rsp_registrar_info([("127.0.0.1", 4242)], free_udp_port()))
    rsp_initialize(info)
    try:
        with sockets(STREAM, STREAM, SEQPACKET) as (first, second, third):
            with pytest.raises(NoRegistrar):
                rsp_register(first, "Pool", rsp_loadinfo(), 30000)
            with fails(errno.EBADF):
                rsp_getsockname(first)
            rsp_register(second, "Pool", rsp_loadinfo(), 30000, REGF_DAEMONMODE)
            with pytest.raises(NoRegistrar):
                rsp_connect(third, "Pool")
    finally:
        rsp_cleanup()


def test_accept_and_stream_sessions(library):
    with sockets(STREAM, STREAM) as (server, client):
        rsp_register(server, "Stream")
        with fails(errno.EAGAIN):
            rsp_accept(server, 10)
        rsp_connect(client, "Stream")
        session = rsp_accept(server, WAIT)
        assert rsp_write(client, b"ping") == 4
        assert rsp_read(session, 100) == b"ping"
        assert rsp_send(session, b"pong") == 4
        assert rsp_recv(client, 100) == b"pong"
        with fails(errno.EOPNOTSUPP):
            rsp_accept(rsp_socket(0, SEQPACKET, 132), 10)
        with fails(errno.EINVAL):
            rsp_accept(rsp_socket(0, STREAM, 132), 10)
        rsp_close(client)
        assert rsp_read(session, 100) == b""
        assert rsp_recvmsg(session)[0] == b""  # the end stays the end
        rsp_close(session)


def test_connect_says_what_failed_and_leaves_a_session(library):
    """C's rsp_connect returns 0 here; then as now the next receive tells to fail over."""
    with sockets(SEQPACKET, SEQPACKET) as (client, server):
        with pytest.raises(UnknownPool):
            rsp_connect(client, "Later")
        with fails(errno.EBADF):
            rsp_connect(client, "Later")
        note, _, flags = rsp_recvmsg(client, 4096, WAIT)
        assert note == rserpool_failover(RSERPOOL_FAILOVER_NECESSARY, 1, False)
        assert flags & MSG_RSERPOOL_NOTIFICATION and flags & socket.MSG_EOR
        with fails(errno.ENOENT):
            rsp_forcefailover(client)
        note, _, _ = rsp_recvmsg(client, 4096, WAIT)
        assert note.rf_state == RSERPOOL_FAILOVER_NECESSARY
        rsp_register(server, "Later")
        rsp_forcefailover(client)
        note, info, _ = rsp_recvmsg(client, 4096, WAIT)
        assert note == rserpool_failover(RSERPOOL_FAILOVER_COMPLETE, 1, False)
        assert rsp_getpeername(client) == (b"Later", rsp_getsockname(server)[1])
        assert info.rinfo_pe_id == rsp_getsockname(server)[1]


def test_getpeername(library):
    with sockets(SEQPACKET) as sd, fails(errno.EBADF):
        rsp_getpeername(sd)


# Session I/O


def test_sendmsg_and_recvmsg(pair):
    server, client = pair
    assert rsp_sendmsg(client, b"hello", ppid=33, stream=2) == 5
    data, info, flags = rsp_recvmsg(server, 4096, WAIT)
    assert data == b"hello" and flags == socket.MSG_EOR
    assert (info.rinfo_session, info.rinfo_ppid, info.rinfo_stream) == (1, 33, 2)
    assert info.rinfo_pe_id == rsp_getsockname(server)[1]
    assert rsp_sendmsg(server, b"answer", session=1, ppid=34) == 6
    data, info, _ = rsp_recvmsg(client, 4096, WAIT)
    assert (data, info.rinfo_session, info.rinfo_ppid) == (b"answer", 1, 34)
    with fails(errno.EBADF):
        rsp_sendmsg(server, b"x", session=7)
    with fails(errno.EAGAIN):
        rsp_recvmsg(client, 100, 10)
    with fails(errno.EINVAL):
        rsp_recvmsg(client, 0, 10)


def test_long_messages_are_not_lost(pair):
    server, client = pair
    message = os.urandom(30_000)
    rsp_sendmsg(client, message)
    part, _, flags = rsp_recvmsg(server, 1000, WAIT)
    assert part == message[:1000] and not flags & socket.MSG_EOR
    rest, _, flags = rsp_recvfullmsg(server, 65536, WAIT)
    assert rest == message[1000:] and flags & socket.MSG_EOR
    rsp_sendmsg(client, message)
    assert rsp_recvfullmsg(server, 100, WAIT)[0] == message[:100]
    assert rsp_recvfullmsg(server, 65536, WAIT)[0] == message[100:]


def test_cookies_and_failover(pair):
    server, client = pair
    with sockets(SEQPACKET) as second:
        rsp_register(second, b"Pool")
        assert not rsp_has_cookie(client)
        assert rsp_send_cookie(server, b"state", 1) == 5
        wait_for(lambda: rsp_has_cookie(client))
        with fails(errno.EINVAL):
            rsp_send_cookie(client, b"state")
        rsp_sendmsg(server, b"because", session=1, sctp_flags=1 << 2)  # SCTP_ABORT
        note, _, _ = rsp_recvmsg(client, 4096, WAIT)
        assert note == rserpool_failover(RSERPOOL_FAILOVER_NECESSARY, 1, True)
        rsp_deregister(server)
        rsp_forcefailover(client, FFF_UNREACHABLE)
        note, _, _ = rsp_recvmsg(client, 4096, WAIT)
        assert note == rserpool_failover(RSERPOOL_FAILOVER_COMPLETE, 1, True)
        assert rsp_recvmsg(second, 4096, WAIT)[0] == rserpool_session_change(RSERPOOL_SESSION_ADD, 1)
        data, info, flags = rsp_recvmsg(second, 4096, WAIT)
        assert (data, info.rinfo_session) == (b"state", 1)
        assert flags == MSG_RSERPOOL_COOKIE_ECHO | socket.MSG_EOR
        assert rsp_recvmsg(server, 4096, WAIT)[0] == rserpool_session_change(RSERPOOL_SESSION_REMOVE, 1)


def test_graceful_end_of_a_session(pair):
    server, client = pair
    rsp_sendmsg(client, b"last", sctp_flags=1 << 9)  # SCTP_EOF
    assert rsp_recvmsg(server, 4096, WAIT)[0] == b"last"
    assert rsp_recvmsg(server, 4096, WAIT)[0] == rserpool_shutdown_event(1)
    assert rsp_recvmsg(server, 4096, WAIT)[0] == rserpool_session_change(RSERPOOL_SESSION_REMOVE, 1)


def test_forcefailover_needs_a_session(library):
    with sockets(SEQPACKET) as sd, fails(errno.EBADF):
        rsp_forcefailover(sd)


def test_receiving_wakes_up_when_the_socket_is_closed(library):
    sd = rsp_socket(0, SEQPACKET, 132)
    rsp_register(sd, "Waiting")
    result = []

    def receive():
        try:
            rsp_recvmsg(sd)
        except OSError as error:
            result.append(error.errno)

    thread = threading.Thread(target=receive)
    thread.start()
    rsp_close(sd)
    thread.join(10)
    assert result == [errno.EBADF]


# Poll and select, mapped descriptors


def test_poll(pair):
    server, client = pair
    assert rsp_poll([(server, select.POLLIN), (client, select.POLLIN)], 10) == []
    assert rsp_poll([(client, select.POLLIN | select.POLLOUT), (999, select.POLLIN)], 10) == [
        (client, select.POLLOUT)
    ]
    timer = threading.Timer(0.05, rsp_sendmsg, (client, b"x"))
    timer.start()
    assert rsp_poll([(server, select.POLLIN)], WAIT) == [(server, select.POLLIN)]
    timer.join()
    with fails(errno.EINVAL):
        rsp_poll([(1, 1)] * (SESSION_SETSIZE + 1), 0)


def test_mapped_descriptors(pair):
    server, _ = pair
    ours, theirs = socket.socketpair()
    mapped = rsp_mapsocket(ours.fileno())
    assert rsp_mapsocket(ours.fileno(), 500) == 500
    with fails(errno.EINVAL):
        rsp_mapsocket(ours.fileno(), 500)
    with fails(errno.EINVAL):
        rsp_mapsocket(-1)
    wanted = [(server, select.POLLIN), (mapped, select.POLLIN)]
    assert rsp_poll(wanted, 10) == []
    theirs.send(b"hello")
    assert rsp_poll(wanted, WAIT) == [(mapped, select.POLLIN)]
    assert rsp_read(mapped, 2) == b"he" and rsp_recv(mapped, 3) == b"llo"
    assert rsp_write(mapped, b"ab") == 2 and rsp_send(mapped, b"cd") == 2
    assert theirs.recv(10) == b"abcd"
    rsp_unmapsocket(mapped)
    rsp_unmapsocket(500)
    with fails(errno.EBADF):
        rsp_read(mapped, 1)
    with fails(errno.EBADF):
        rsp_unmapsocket(server)
    assert ours.fileno() >= 0
    ours.close(), theirs.close()


def test_select(pair):
    server, client = pair
    assert rsp_select([server], [], [], 0.01) == ([], [], [])
    rsp_sendmsg(client, b"x")
    assert rsp_select([server], [], [], 10.0) == ([server], [], [])
    assert rsp_select([server, client], [client], [server], None) == ([server], [client], [])
    assert rsp_select([], [0], [], 0)[0] == []  # stdin, stdout and stderr are mapped


def test_sockopts(library):
    ours, theirs = socket.socketpair()
    mapped = rsp_mapsocket(ours.fileno())
    rsp_setsockopt(mapped, socket.SOL_SOCKET, socket.SO_RCVBUF, 30000)
    assert rsp_getsockopt(mapped, socket.SOL_SOCKET, socket.SO_RCVBUF) >= 30000
    assert len(rsp_getsockopt(mapped, socket.SOL_SOCKET, socket.SO_TYPE, 4)) == 4
    rsp_unmapsocket(mapped)
    ours.close(), theirs.close()
    with sockets(STREAM) as sd:
        with fails(errno.ENOPROTOOPT):
            rsp_getsockopt(sd, 1, 1)
        with fails(errno.ENOPROTOOPT):
            rsp_setsockopt(sd, 1, 1, 1)


# Miscellaneous


def test_print_notification(capsys):
    out = io.StringIO()
    rsp_print_notification(rserpool_failover(RSERPOOL_FAILOVER_NECESSARY, 1, True), out)
    assert out.getvalue() == "RSERPOOL_FAILOVER for session 1, state=RSERPOOL_FAILOVER_NECESSARY, cookie=yes"
    rsp_print_notification(rserpool_session_change(RSERPOOL_SESSION_ADD, 7))
    rsp_print_notification(rserpool_shutdown_event(7))
    printed = capsys.readouterr().out
    assert printed.startswith("RSERPOOL_SESSION_CHANGE for session 7, state=RSERPOOL_SESSION_ADD")
    assert printed.endswith("RSERPOOL_SHUTDOWN_EVENT for session 7")


def test_policies_by_name_and_number():
    assert rsp_getpolicybyname("LeastUsedDPF") == 0xB0002002
    assert rsp_getpolicybytype(0x40000001) == "LeastUsed"
    assert rsp_getpolicybyname("leastused") == 0 and rsp_getpolicybytype(12345) is None


def test_csp_setstatus(registrar):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as monitor:
        monitor.bind(("127.0.0.1", 0))
        monitor.settimeout(10)
        info = info_for(registrar)
        info.ri_csp_server, info.ri_csp_interval = monitor.getsockname(), 50
        rsp_initialize(info)
        try:
            with sockets(SEQPACKET, SEQPACKET) as (server, client):
                rsp_register(server, "Status")
                with fails(errno.EINVAL):
                    rsp_csp_setstatus(client, 0, "none")
                rsp_connect(client, "Status")
                rsp_csp_setstatus(client, 0, "I am well")
                while csp.decode(monitor.recv(4096)).status != "I am well":
                    pass
        finally:
            rsp_cleanup()


def test_csp_setstatus_without_reports(pair):
    _, client = pair
    with fails(errno.EPROTONOSUPPORT):
        rsp_csp_setstatus(client, 0, "nobody hears it")


def test_there_are_41_functions_and_each_has_a_test():
    names = {n for n in dir(api) if n.startswith("rsp_") and callable(getattr(api, n))}
    names -= {"rsp_info", "rsp_registrar_info", "rsp_loadinfo", "rsp_addrinfo", "rsp_sndrcvinfo"}
    assert len(names) == 41
    text = Path(__file__).read_text()
    assert [n for n in sorted(names) if f"{n}(" not in text] == []
    documented = (Path(__file__).parents[2] / "docs" / "reference" / "rsp-functions.md").read_text()
    assert [n for n in sorted(names) if f"`{n}`" not in documented] == []
