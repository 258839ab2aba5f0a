"""Threads, forks and the end of a process: defined, and the same on both backends where it can be."""

import errno
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from pysocketapi import constants as c
from pysocketapi import structures as s

from .support import BACKEND, UDP_PORT, data_from, sctp

ECHO = """
import sys
from tests.contract.support import Maker, UDP_PORT
import socket
make = Maker(socket.AF_INET)
listener = make.listener()
print(listener.getsockname()[1], UDP_PORT, flush=True)
sock = make.accept(listener)
while (message := sock.recv_message()) is not None:
    sock.send(message.data)
sys.stdout.write("ended\\n")
"""
CLIENT_THAT_JUST_ENDS = """
import sys, socket
from tests.contract.support import Maker
make = Maker(socket.AF_INET)
sock = make.one()
port, udp_port = int(sys.argv[1]), int(sys.argv[2])
sock.connectx([("127.0.0.1", port)], udp_port=udp_port or None)
for i in range(50):
    sock.send(b"%d" % i)
"""


def echo_until_end(sock):
    while (message := sock.recv_message()) is not None:
        sock.send(message.data)


def start(program, *args):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, args)], stdout=subprocess.PIPE, text=True, env=os.environ
    )


def test_a_thread_for_each_association(make4):
    listener = make4.listener()
    threads, clients = [], []
    for _ in range(6):
        client = make4.one()
        client.connect(listener.getsockname())
        clients.append(client)
        thread = threading.Thread(target=echo_until_end, args=(make4.accept(listener),))
        thread.start()
        threads.append(thread)

    def talk(client, name):
        for i in range(50):
            client.send(b"%s%d" % (name, i))
            assert client.recv(100) == b"%s%d" % (name, i)
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b""
        finished.append(name)

    finished = []
    talkers = [threading.Thread(target=talk, args=(client, b"c%d-" % i)) for i, client in enumerate(clients)]
    for thread in talkers:
        thread.start()
    for thread in talkers + threads:
        thread.join(20)
        assert not thread.is_alive()
    assert len(finished) == 6


def test_one_thread_receives_while_another_sends(make4):
    client, server = make4.pair()
    got = []

    def receive():
        while (message := server.recv_message()) is not None:
            got.append(message.data)

    receiver = threading.Thread(target=receive)
    receiver.start()
    for i in range(2000):
        client.send(b"%d" % i)
    client.shutdown(socket.SHUT_WR)
    receiver.join(20)
    assert got == [b"%d" % i for i in range(2000)]


def test_several_threads_accept_from_one_listener(make4):
    listener = make4.listener()
    accepted = []
    threads = [threading.Thread(target=lambda: accepted.append(make4.accept(listener))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        make4.one().connect(listener.getsockname())
    for thread in threads:
        thread.join(20)
    assert len(accepted) == 4


def test_select_tells_what_can_be_read(make4):
    client, server = make4.pair()
    assert select.select([server], [], [], 0)[0] == []
    client.send(b"wake up")
    assert select.select([server], [], [], 20)[0] == [server]
    assert server.recv(100) == b"wake up"
    assert select.select([server], [], [], 0)[0] == []
    client.close()
    assert select.select([server], [], [], 20)[0] == [server]
    assert server.recv(100) == b""


def test_select_tells_of_a_new_association(make4):
    listener = make4.listener()
    assert select.select([listener], [], [], 0)[0] == []
    client = make4.one()
    client.connect(listener.getsockname())
    assert select.select([listener], [], [], 20)[0] == [listener]
    listener.setblocking(False)
    make4.accept(listener)


def test_selectors_with_several_sockets(make4):
    import selectors

    pairs = [make4.pair() for _ in range(3)]
    with selectors.DefaultSelector() as selector:
        for client, server in pairs:
            selector.register(server, selectors.EVENT_READ, server)
        pairs[1][0].send(b"me")
        ready = selector.select(20)
        assert [key.data for key, _ in ready] == [pairs[1][1]]


def test_a_blocked_receive_costs_no_processor_time(make4):
    client, server = make4.pair()
    server.settimeout(0.5)
    before = time.process_time()
    with pytest.raises(TimeoutError):
        server.recv(10)
    assert time.process_time() - before < 0.2


def test_a_receive_that_another_thread_closes_ends(make4):
    client, server = make4.pair()
    ended = threading.Event()

    def receive():
        try:
            server.recv(10)
        except OSError:
            pass
        ended.set()

    thread = threading.Thread(target=receive, daemon=True)
    thread.start()
    client.close()  # closing one's own descriptor under a reader is undefined on kernels; the peer's end is not
    assert ended.wait(20)


@pytest.mark.feature("close-wakes")
def test_close_ends_a_receive_of_another_thread(make4):
    client, server = make4.pair()
    numbers = []

    def receive():
        try:
            server.recv(10)
        except OSError as error:
            numbers.append(error.errno)

    threads = [threading.Thread(target=receive) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    server.close()
    for thread in threads:
        thread.join(20)
    assert numbers == [errno.EBADF] * 3


def ended_by_another_thread(call, end):
    """Return the error of a blocking call that another thread's call ends, when nothing is to be received."""
    errors = []

    def block():
        try:
            call()
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=block, daemon=True)
    thread.start()
    time.sleep(0.1)
    end()
    thread.join(5)
    assert not thread.is_alive()
    return errors[0].errno


@pytest.mark.feature("close-wakes")
def test_regression_accept_slept_on_when_another_thread_closed_the_listener(make4):
    """The thread that led was not told of what other threads did."""
    listener = make4.listener()
    assert ended_by_another_thread(listener.accept, listener.close) == errno.EBADF


@pytest.mark.feature("close-wakes")
def test_regression_a_receive_slept_on_when_another_thread_closed_an_endpoint(make4):
    sock = make4.listener(socket.SOCK_SEQPACKET)
    assert ended_by_another_thread(lambda: sock.recv(10), sock.close) == errno.EBADF


@pytest.mark.feature("close-wakes")
def test_regression_a_receive_slept_on_when_another_thread_aborted(make4):
    client, _ = make4.pair()
    assert ended_by_another_thread(lambda: client.recv(10), client.abort) == errno.ECONNABORTED


def test_regression_a_dropped_socket_is_ended_in_an_idle_process(make4):
    """Its association stayed up until something else happened in the process."""
    listener, client = make4.listener(), make4.one()
    client.connect(listener.getsockname())
    server = make4.accept(listener)
    assert not select.select([server], [], [], 1.5)[0]  # until no timer is left but that of heartbeats
    with pytest.warns(ResourceWarning):
        make4.made.remove(client)
        del client
        gc.collect()
    assert select.select([server], [], [], 10)[0]
    assert server.recv(10) == b""


def test_a_signal_that_ends_one_receive_leaves_the_others_awake(make4):
    """Regression: a leader that was interrupted did not hand over."""
    pairs = [make4.pair(), make4.pair()]
    got = []
    follower = threading.Thread(target=lambda: got.append(pairs[1][1].recv(10)))
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(3):
            if not follower.is_alive() and not got:
                follower.start()
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            with pytest.raises(KeyboardInterrupt):
                pairs[0][1].recv(10)
    finally:
        signal.signal(signal.SIGALRM, before)
    pairs[1][0].send(b"awake")
    follower.join(20)
    assert got == [b"awake"]


def test_an_echo_in_another_process(make4):
    process = start(ECHO)
    port, udp_port = map(int, process.stdout.readline().split())
    client = make4.one()
    client.connectx([("127.0.0.1", port)], udp_port=udp_port or None)
    for i in range(200):
        client.send(b"%d" % i)
        assert client.recv(100) == b"%d" % i
    client.close()
    assert process.stdout.read() == "ended\n"
    assert process.wait(20) == 0
    process.stdout.close()


def test_a_process_that_ends_delivers_what_it_sent(make4):
    listener = make4.listener()
    process = start(CLIENT_THAT_JUST_ENDS, listener.getsockname()[1], UDP_PORT)
    server = make4.accept(listener)
    assert [data_from(server).data for _ in range(50)] == [b"%d" % i for i in range(50)]
    assert server.recv(10) == b""
    assert process.wait(20) == 0
    process.stdout.close()


@pytest.mark.feature("fork")
def test_a_child_process_cannot_use_its_parents_sockets(make4):
    client, server = make4.pair()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            client.send(b"from the child")
            os.write(write, b"sent")
        except OSError as error:
            os.write(write, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert b"parent" in os.read(read, 1000)
    os.close(read)
    os.close(write)
    client.send(b"from the parent")
    assert server.recv(100) == b"from the parent"


def test_a_child_process_can_close_its_parents_sockets(make4):
    """Regression: on userland close failed there, and with it every `with` block."""
    client, server = make4.pair()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with server:
                client.close()
            status = 0 if client.fileno() == server.fileno() == -1 else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    client.send(b"from the parent")
    assert server.recv(100) == b"from the parent"


@pytest.mark.feature("fork")
def test_a_child_process_has_a_stack_of_its_own(make4):
    listener = make4.listener()
    address, udp_port = listener.getsockname(), UDP_PORT
    child = os.fork()
    if child == 0:
        status = 1
        try:
            from pysocketapi import SctpSocket, Transport

            sock = SctpSocket(transport=Transport("userland", udp_port=0))
            sock.settimeout(15)
            sock.connectx([address], udp_port=udp_port)
            sock.send(b"hello parent")
            status = 0 if sock.recv(100) == b"hello child" else 2
        finally:
            os._exit(status)
    server = make4.accept(listener)
    assert server.recv(100) == b"hello parent"
    server.send(b"hello child")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_idle_process_still_answers(make4):
    """Nobody calls into the server's socket: heartbeats and shutdown are answered all the same."""
    client, server = make4.pair()
    info = s.PaddrParams(address=server.getsockname(), flags=c.SPP_HB_ENABLE, hbinterval=100)
    sctp(client, c.SCTP_PEER_ADDR_PARAMS, info)
    client.shutdown(socket.SHUT_WR)
    assert client.recv(10) == b""


def test_the_backend_has_no_thread_for_each_socket(make4):
    before = threading.active_count()
    pairs = [make4.pair() for _ in range(10)]
    assert len(pairs) == 10
    assert threading.active_count() <= before + (1 if BACKEND == "userland" else 0)
