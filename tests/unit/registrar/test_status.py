"""The registrar's status: what it says, and who gets it."""

import asyncio
import json
import socket

import pytest

from rserpool.registrar import status
from rserpool.registrar.config import StaticPeer
from rserpool.registrar.status import as_json, as_metrics, serve_status
from rserpool.wire import asap
from tests.unit.registrar.kit import Kit, element


@pytest.fixture
def kit():
    kit = Kit()
    kit.up(1)
    kit.register(1, b"EchoPool", 7)
    kit.register(1, b'Od"d\n', 8)
    kit.meet(0x200)
    kit.resolve(1, b"EchoPool")
    return kit


def test_json(kit):
    kit.run(1)
    told_all = json.loads(json.dumps(as_json(kit.registrar.state, kit.now)))
    assert (told_all["identifier"], told_all["pool_elements"], told_all["owned"]) == ("00000100", 2, 2)
    assert [pool["handle"] for pool in told_all["pools"]] == ['Od"d\n', "EchoPool"]
    (told,) = told_all["pools"][1]["elements"]
    assert told["addresses"] == ["10.0.0.9"] and told["expires_s"] == 89.0 and told["selections"] == 1
    assert told_all["peers"][0]["identifier"] == "00000200"
    assert told_all["counters"]["handle_resolutions"] == 1


def test_metrics(kit):
    lines = as_metrics(kit.registrar.state).splitlines()
    assert 'rserpool_pool_elements{home="00000100"} 2.0' in lines
    assert 'rserpool_pool_size{pool="Od\\"d\\n",policy="RoundRobin"} 1.0' in lines
    assert "rserpool_registrations_total 2" in lines
    for line in lines:
        if not line.startswith("#"):
            float(line.rpartition(" ")[2])
    kinds = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(kinds) == len(set(kinds))


def test_answers_stay_small(kit, monkeypatch):
    monkeypatch.setattr("rserpool.registrar.status.MAX_ELEMENTS", 3)
    for i in range(10, 20):
        kit.asap(1, asap.Registration(b"Big", element(i)))
    pools = as_json(kit.registrar.state, kit.now)["pools"]
    assert sum(len(pool["elements"]) for pool in pools) == 3
    assert sum(pool["size"] for pool in pools) == 12


REQUESTS = [
    (b"GET /status HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 200, b'"identifier"'),
    (b"GET /metrics?x HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n", 200, b"rserpool_pools 2"),
    (b"GET / HTTP/1.1\r\nHost: [::1]:1\r\n\r\n", 200, b"/status"),
    (b"HEAD /status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 200, b"\r\n\r\n"),
    (b"POST /status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405, b"read-only"),
    (b"POST /status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 405, b"\r\nAllow: GET, HEAD\r\n"),
    (b"HEAD /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404, b"\r\n\r\n"),
    (b"HEAD /status HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, b"\r\n\r\n"),
    (b"GET /etc/passwd HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 404, b"/status"),
    (b"GET /status HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, b"address"),
    (b"GET /status HTTP/1.1\r\n\r\n", 403, b"address"),
    (b"\xff\xfe\r\n\r\n", 403, b""),
    (b"GET /" + b"x" * 10_000 + b"\r\n\r\n", 431, b"too long"),
    (b"GET", None, b""),
]


@pytest.mark.parametrize("request_bytes, code, expected", REQUESTS, ids=lambda v: "")
def test_http(kit, request_bytes, code, expected):
    async def ask():
        server = await serve_status(kit.registrar.state, "127.0.0.1", 0, lambda: kit.now)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request_bytes)
        writer.write_eof()
        try:
            answer = await asyncio.wait_for(reader.read(), 10)
        except ConnectionError:
            answer = b""
        writer.close()
        await server.close()
        return answer

    answer = asyncio.run(ask())
    if code is None:
        assert answer == b""
    else:
        assert answer.startswith(b"HTTP/1.1 %d " % code) and expected in answer
        head, _, body = answer.partition(b"\r\n\r\n")
        if not request_bytes.startswith(b"HEAD"):
            assert b"Content-Length: %d\r\n" % len(body) in head
        else:
            assert body == b""


def test_regression_two_handles_had_the_same_labels(kit):
    """Prometheus refuses the whole text where a series comes twice."""
    kit.register(1, b"\xff\n", 9)
    kit.register(1, rb"\xff\n", 10)
    kit.register(1, b"\xff\\n", 11)
    series = [line.rpartition(" ")[0] for line in as_metrics(kit.registrar.state).splitlines() if line[0] != "#"]
    assert len(series) == len(set(series))
    handles = [pool["handle"] for pool in as_json(kit.registrar.state, kit.now)["pools"]]
    assert len(handles) == len(set(handles)) == 5


def test_regression_who_does_not_read_its_answer_kept_it_for_ever(kit, monkeypatch):
    monkeypatch.setattr(status, "REQUEST_TIMEOUT", 0.2)
    monkeypatch.setattr(status, "as_metrics", lambda state: "x" * (64 << 20))  # more than any socket holds

    async def ask():
        lost = asyncio.Event()

        class Server(status.StatusServer):
            async def client(self, reader, writer):
                await super().client(reader, writer)
                try:
                    await writer.wait_closed()
                finally:
                    lost.set()

        monkeypatch.setattr(status, "StatusServer", Server)
        server = await serve_status(kit.registrar.state, "127.0.0.1", 0, lambda: kit.now)
        with socket.create_connection(("127.0.0.1", server.port)) as sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await asyncio.wait_for(lost.wait(), 10)
        await server.close()

    asyncio.run(ask())


def test_regression_a_configured_peer_never_heard_was_not_shown():
    kit = Kit(peers=(StaticPeer(("10.0.0.2",), 9901),))
    (told,) = as_json(kit.registrar.state, kit.now)["peers"]
    assert told["static"] is True
    assert (told["identifier"], told["addresses"], told["heard_s"]) == ("00000000", ["10.0.0.2"], None)
