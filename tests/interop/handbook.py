"""Section 3.3 of RSPLIB's handbook, its commands in its order, and what is to be seen after each.

Not collected by itself: `test_handbook` runs it in a network namespace that has nothing but loopback.
"""

import json
import os
import re
import shutil
import signal
import subprocess

from .helpers import ROOT, wait_until
from .programs import Running, ours, running

# From the handbook's section 3.2.1; nothing else is set, the transport neither.
SETTINGS = {
    "CSP_SERVER": "127.0.0.1:2960",
    "CSP_INTERVAL": "333",
    "RSERPOOL_INTERFACES": "",
    "RSERPOOL_TRANSPORT": "",
}
IDENTIFIER = r"Identifier\s+= (\$[0-9a-f]{8})"


def start(*command):
    return running(ours(*command), env=SETTINGS)


class Sight:
    """What the monitor shows."""

    def __init__(self, monitor: Running):
        self.monitor = monitor

    def components(self):
        lines = [x for x in list(self.monitor.lines) if x.startswith("{")]
        return json.loads(lines[-1])["components"] if lines else []

    def of(self, group):
        return {c["id"]: c for c in self.components() if c["group"] == group}

    def shows(self, what, condition, seconds=20):
        wait_until(condition, seconds, f"{what} in the monitor (it shows {self.components()})")


def test_testing_the_installation(tmp_path):
    packets = tmp_path / "server.pcapng"
    with start("cspmonitor", "-json", "-updateinterval=200") as monitor:
        sight = Sight(monitor)
        sight.shows("nothing", lambda: any(x.startswith("{") for x in monitor.lines))
        with start("rspregistrar") as registrar, start("rspserver", "-fractal", f"-pcap={packets}") as server:
            registrar_id = registrar.expect(r"Server ID:\s+(\$[0-9a-f]{8})")[1]
            # "The PE should find the PR and show its PE ID upon startup."
            server_id = server.expect(IDENTIFIER, 20)[1]
            # "It should show the PR and PE."
            sight.shows("the registrar", lambda: registrar_id in sight.of("registrar"))
            sight.shows("the server", lambda: server_id in sight.of("pool element"))
            sight.shows(
                "the pool", lambda: sight.of("registrar")[registrar_id]["status"] == "1[1] PEs in 1 Pool, 0 Peers"
            )
            with start("fractalpooluser") as user:
                # "You should now see the calculation progress in the PU's window"; "it should show the PU".
                user.expect(r"(?i)packet|%|image", 20)

                def drawing():
                    return [a["to"] for c in sight.of("pool user").values() for a in c["associations"]
                            if a["protocol"] == "FractGen/SCTP"]  # fmt: skip

                sight.shows("the user's session", lambda: server_id in drawing())
                more_of_everything(sight, server, drawing)
                assert user.end() == 0
            assert "Traceback" not in user.output
            sight.shows("the end of the user", lambda: not sight.of("pool user"))
    sniffed(packets)


def sniffed(packets):
    """Sniffing is for privileged users. So the server itself wrote down what it sent and got."""
    command = ours("rsptrace", str(packets), "-plain")
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "ASAP_REGISTRATION" in told and "Fractal" in told
    if shutil.which("tshark"):
        profile = packets.parent / "wireshark" / "profiles" / "RSerPool"
        shutil.copytree(ROOT / "contrib" / "wireshark", profile)
        found = re.search('^"Pool Element Traffic" (.*)$', (profile / "dfilters").read_text(), re.MULTILINE)
        shown = subprocess.run(
            ["tshark", "-C", "RSerPool", "-r", str(packets), "-Y", found[1]], capture_output=True, text=True,
            check=False, env={**os.environ, "XDG_CONFIG_HOME": str(packets.parent)},
        )  # fmt: skip
        assert shown.returncode == 0, shown.stderr
        assert "ASAP" in shown.stdout, shown.stderr


def more_of_everything(sight, first_server, drawing):
    """Start more PEs, PUs and PRs; failovers; abort and restart the registrars."""
    with (
        start("rspserver", "-fractal", "-fgpfailureafter=20") as second,
        start("rspserver", "-fractal", "-fgpfailureafter=20") as third,
        start("rspregistrar") as other,
    ):
        others = {second.expect(IDENTIFIER, 20)[1], third.expect(IDENTIFIER, 20)[1]}
        other_id = other.expect(r"Server ID:\s+(\$[0-9a-f]{8})")[1]
        sight.shows("three servers", lambda: len(sight.of("pool element")) == 3)

        def told_all():
            words = [c["status"] for c in sight.of("registrar").values()]
            return len(words) == 2 and all(re.fullmatch(r"3\[\d\] PEs in 1 Pool, 1 Peer", w) for w in words)

        sight.shows("registrars that know each other", told_all)
        # "When all PEs are in unreliable mode, you should see the failovers."
        assert first_server.end() == 0
        sight.shows("two servers", lambda: set(sight.of("pool element")) == others)
        seen = set()

        def both():
            seen.update(drawing())
            return others <= seen

        sight.shows("failovers from one to the other", both, 60)
        # "You can also abort and restart the PRs."
        other.send_signal(signal.SIGKILL)
        sight.shows("one registrar", lambda: other_id not in sight.of("registrar"), 20)
        with start("rspregistrar") as restarted:
            again = restarted.expect(r"Server ID:\s+(\$[0-9a-f]{8})")[1]

            def told():
                words = sight.of("registrar").get(again, {}).get("status", "")
                return re.fullmatch(r"2\[\d\] PEs in 1 Pool, 1 Peer", words)

            sight.shows("the new registrar, which knows all", told, 40)
            assert restarted.end() == 0
        for server in second, third:
            assert server.end() == 0
        sight.shows("no server", lambda: not sight.of("pool element"))
