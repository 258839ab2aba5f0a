"""tshark, an independent decoder, finds nothing wrong with any packet that our stack writes to its traces."""

from pathlib import Path

import pytest

from .helpers import ROOT, finish, process, relay, stack_command
from .pcap_checks import complaints, count

pytestmark = pytest.mark.tshark

GOLDEN = ROOT / "tests" / "golden"


def test_the_judge_accepts_the_kernels_packets_and_refuses_broken_ones(tmp_path):
    """A check that cannot fail proves nothing: one byte of one chunk is changed."""
    good = GOLDEN / "13a-usrsctp-to-kernel.pcap"
    assert complaints(good, udp_ports=(11111,), lower=False) == []
    raw = bytearray(good.read_bytes())
    raw[raw.index(b"\x03\x00\x00\x10") + 9] ^= 1
    bad = tmp_path / "bad.pcap"
    bad.write_bytes(raw)
    assert len(complaints(bad, udp_ports=(11111,), lower=False)) >= 1


CHUNKS = {
    "INIT": "sctp.chunk_type == 1",
    "INIT ACK": "sctp.chunk_type == 2",
    "COOKIE ECHO": "sctp.chunk_type == 10",
    "COOKIE ACK": "sctp.chunk_type == 11",
    "DATA": "sctp.chunk_type == 0",
    "SACK": "sctp.chunk_type == 3",
}
SHUTDOWN = {
    "SHUTDOWN": "sctp.chunk_type == 7",
    "SHUTDOWN ACK": "sctp.chunk_type == 8",
    "SHUTDOWN COMPLETE": "sctp.chunk_type == 14",
}
ABORT = {"ABORT": "sctp.chunk_type == 6"}


def judged(trace: Path, ports, chunks):
    assert complaints(trace, udp_ports=ports) == []
    assert {name for name, expression in chunks.items() if not count(trace, expression, udp_ports=ports)} == set()


@pytest.mark.parametrize("end", ["shutdown", "abort"])
@pytest.mark.parametrize(
    ("address", "mtu", "loss"),
    [("127.0.0.1", 0, 0.0), ("::1", 0, 0.0), ("::1", 1500, 0.0), ("127.0.0.1", 1500, 0.05)],
    ids=["IPv4", "IPv6", "IPv6 MTU 1500", "IPv4 MTU 1500 lossy"],
)
def test_sessions_decode_without_warning(tmp_path, address, mtu, loss, end):
    """Handshake, bulk of all sizes both ways, gaps and retransmissions, shutdown or abort: both ends' traces."""
    options = {"count": 1000, "streams": 10, "rto_min": 50, "local": address, "path_mtu": mtu}
    server_trace, client_trace = tmp_path / "server.pcapng", tmp_path / "client.pcapng"
    listen = stack_command("listen exchange", seed=2, peer_seed=1, pcap=server_trace, **options)
    with process(listen, cwd=ROOT) as server:
        words = server.stdout.readline().split()
        assert words[:1] == ["ready"], words + [server.stdout.read()]
        sctp, udp = int(words[1]), int(words[2])
        with relay(udp, loss) as (_, front):
            target = front if loss else udp
            options.update(address=address, remote_udp=target, port=sctp, end=end, pcap=client_trace)
            with process(stack_command("connect exchange", **options), cwd=ROOT) as client:
                assert "received 1000" in finish(client, 60)
            # An ABORT overtakes what the server has yet to take in, a lost one leaves it waiting; so does a lost
            # SHUTDOWN COMPLETE.
            if not loss and end == "abort":
                assert "end abort" in server.communicate(timeout=30)[0]
            elif not loss:
                assert "received 1000" in finish(server, 30)
    chunks = CHUNKS | (SHUTDOWN if end == "shutdown" else ABORT)
    judged(client_trace, (udp, front), chunks)
    judged(server_trace, (udp, front), CHUNKS if loss else chunks)
    if loss:
        assert count(client_trace, "sctp.sack_number_of_gap_blocks > 0", udp_ports=(udp, front)) > 0
