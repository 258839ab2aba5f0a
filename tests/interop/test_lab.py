"""The lab itself: a guest has SCTP and the original programs, and the wire between host and guest works."""

import pytest

from .helpers import run_in_guest, run_with_guest


@pytest.mark.lab(root=False)
def test_guest_has_kernel_sctp_and_hands_its_status_through():
    probe = "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132).close(); print('has sctp')"
    done = run_in_guest(["sh", "-c", f'python3 -c "{probe}" && rspregistrar --version; exit 7'])
    assert "has sctp" in done.stdout, done.stderr
    assert done.returncode == 7


@pytest.mark.lab
def test_host_and_guest_share_a_wire():
    script = 'ping -c 1 -W 5 "$LAB_GUEST_ADDR" && ping -6 -c 1 -W 5 "$LAB_GUEST_ADDR6"'
    done = run_with_guest(["sh", "-c", script], "exec sleep 60")
    assert done.returncode == 0, done.stdout + done.stderr
