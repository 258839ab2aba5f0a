"""The lab itself: a guest has SCTP and the original programs, and the wire between host and guest works."""

import pytest

from .helpers import ROOT, finish, process, run_in_guest, run_with_guest, wire_to_guest


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


@pytest.mark.lab
def test_the_kernels_peer_talks_to_itself_in_the_guest():
    """Proves kernelpeer.py and the agent before our stack is judged by them."""
    with wire_to_guest() as wire:
        options = {"count": 1000, "streams": 3, "address": wire.guest}
        with process(wire.kernel("listen exchange", seed=2, peer_seed=1, **options), cwd=ROOT) as server:
            assert server.stdout.readline() == "ready 5001\n"
            with process(wire.kernel("connect exchange", **options), cwd=ROOT) as client:
                said = finish(client, 60)
            assert "received 1000" in said
            assert "end shutdown" in said
            assert "received 1000" in finish(server, 30)
        with process(wire.there(["sh", "-c", "echo $WORD; exit 3"], WORD="here"), cwd=ROOT) as command:
            assert command.communicate(timeout=30)[0] == "here\n"
        assert command.returncode == 3
