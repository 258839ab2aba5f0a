"""The lab itself: a guest has SCTP and the original programs, and the wire between host and guest works."""

import json
import os
import select
import socket
import threading

import pytest

from . import agent
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


def test_regression_a_command_outlived_a_caller_that_had_not_read_all(tmp_path):
    """The connection is reset then, and not just at its end. The next test found the command's ports in use."""
    number = tmp_path / "number"
    line = f"echo $$ > {number}; while :; do echo more; sleep 0.01; done"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        caller = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    serving = threading.Thread(target=agent.run, args=(accepted,))
    serving.start()
    caller.sendall(json.dumps({"command": ["sh", "-c", line], "environment": {}}).encode() + b"\n")
    assert caller.recv(1)
    assert select.select([caller], [], [], 10)[0]
    caller.close()
    serving.join(10)
    assert not serving.is_alive()
    with pytest.raises(ProcessLookupError):
        os.kill(int(number.read_text()), 0)
