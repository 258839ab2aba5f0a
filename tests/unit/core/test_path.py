"""RTO as number tables (RFC 9260 section 6.3.1), congestion variables (7.2), MTU overhead (RFC 6951)."""

import pytest

from pysctplib.core.config import Config
from pysctplib.core.path import Path, PathState

KEY = ("192.0.2.1", 9899, "")


def make(key=KEY, mtu=1500, **settings):
    return Path(key, mtu, Config(**settings), True)


@pytest.mark.parametrize(
    ("samples", "srtt", "rttvar", "rto"),
    [
        ([0.1], 0.1, 0.05, 0.3),  # C2
        ([0.1, 0.1], 0.1, 0.0375, 0.25),  # C3
        ([0.1, 0.3], 0.125, 0.0875, 0.475),
        ([0.2, 0.1, 0.4], 0.2140625, 0.128125, 0.7265625),
    ],
)
def test_rto_after_measurements(samples, srtt, rttvar, rto):
    path = make(rto_min=0.001, rto_initial=3.0)
    assert path.rto == 3.0  # C1
    for sample in samples:
        path.measured(sample)
    assert (path.srtt, path.rttvar, path.rto) == pytest.approx((srtt, rttvar, rto))


def test_rto_stays_between_its_bounds():
    path = make(rto_min=1.0, rto_max=60.0)
    path.measured(0.01)
    assert path.rto == 1.0  # C6
    path.measured(500.0)
    assert path.rto == 60.0  # C7
    path.measured(0.0)  # a clock that did not move


def test_back_off_doubles_up_to_the_maximum():
    path = make()
    seen = []
    for _ in range(8):
        path.back_off()
        seen.append(path.rto)
    assert seen == [2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(
    ("key", "mtu", "payload"),
    [
        (("192.0.2.1", 9899, ""), 1500, 1500 - 20 - 8 - 12),
        (("192.0.2.1", 0, ""), 1500, 1500 - 20 - 12),
        (("2001:db8::1", 9899, ""), 1500, 1500 - 40 - 8 - 12),
        (("2001:db8::1", 0, ""), 1280, 1280 - 40 - 12),
        (("192.0.2.1", 9899, ""), 65535, 65535 - 20 - 8 - 12 - 3),
    ],
)
def test_room_for_chunks(key, mtu, payload):
    assert make(key, mtu).payload == payload & ~3


def test_initial_window():
    assert make(("192.0.2.1", 0, ""), 1500).cwnd == 4404
    assert make(("2001:db8::1", 0, ""), 1500).cwnd == 4344
    assert make(("192.0.2.1", 0, ""), 9000).cwnd == 2 * make(("192.0.2.1", 0, ""), 9000).payload
    assert make(("192.0.2.1", 0, ""), 576).cwnd == 4 * make(("192.0.2.1", 0, ""), 576).payload


def test_slow_start_grows_only_a_used_window():
    path = make()
    cwnd = path.cwnd
    path.congestion.acknowledged(path, 3000, cwnd - 1, True, False)
    assert path.cwnd == cwnd  # not fully used
    path.congestion.acknowledged(path, 3000, cwnd, True, True)
    assert path.cwnd == cwnd  # in fast recovery
    path.congestion.acknowledged(path, 3000, cwnd, False, False)
    assert path.cwnd == cwnd  # gap blocks only
    path.congestion.acknowledged(path, 3000, cwnd, True, False)
    assert path.cwnd == cwnd + path.payload  # L = 1
    path.congestion.acknowledged(path, 100, path.cwnd, True, False)
    assert path.cwnd == cwnd + path.payload + 100


def test_congestion_avoidance_adds_one_packet_per_window():
    path = make()
    path.cwnd, path.ssthresh, path.flight = 20000, 10000, 20000
    for _ in range(4):
        path.congestion.acknowledged(path, 5000, 20000, True, False)
    assert path.cwnd == 20000 + path.payload
    assert path.partial_bytes_acked == 0


def test_reaction_to_loss():
    path = make()
    path.cwnd = 100000
    path.congestion.lost(path)
    assert path.cwnd == path.ssthresh == 50000
    path.congestion.timed_out(path)
    assert (path.cwnd, path.ssthresh) == (path.payload, 25000)
    path.congestion.timed_out(path)
    assert path.ssthresh == 4 * path.payload


def test_an_idle_path_loses_half_its_window_each_rto():
    path = make()
    path.cwnd, path.last_data = 1_000_000, 10.0
    path.decay(13.5)
    assert path.cwnd == 125_000
    assert path.ssthresh == 1_000_000
    path.last_data = 20.0
    path.decay(200.0)
    assert path.cwnd == 4 * path.payload


def test_udp_port_and_overhead_are_learned():
    path = make()
    path.learn(("192.0.2.1", 0, "192.0.2.9"))
    assert path.udp_port == 0
    assert path.payload == 1468
    path.learn(("192.0.2.1", 4000, "192.0.2.9"))
    assert path.key == ("192.0.2.1", 4000, "192.0.2.9")
    assert path.payload == 1460


def test_states():
    path = Path(KEY, 1500, Config(), False)
    assert (path.state, path.usable, path.confirmed) == (PathState.UNCONFIRMED, False, False)
    path.set_state(PathState.ACTIVE)
    path.set_state(PathState.INACTIVE)
    assert (path.usable, path.confirmed) == (False, True)
