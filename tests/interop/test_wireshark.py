"""Wireshark's files: every filter is valid, and selects what its name says from the captures of real programs."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .helpers import ROOT

pytestmark = pytest.mark.tshark
FILES = ROOT / "contrib" / "wireshark"
GOLDEN = ROOT / "tests" / "golden"


def filters():
    return dict(re.findall(r'^"(.+)" (.+)$', (FILES / "dfilters").read_text(), re.MULTILINE))


def colours():
    return re.findall(
        r"^@(.+?)@(.+)@\[\d+,\d+,\d+\]\[\d+,\d+,\d+\]$", (FILES / "colorfilters").read_text(), re.MULTILINE
    )


def count(capture, expression):
    command = ["tshark", "-r", str(GOLDEN / capture), "-Y", expression]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{expression}: {done.stderr}"
    return len(done.stdout.splitlines())


def test_all_expressions_are_valid():
    expressions = [*filters().values(), *(expression for _, expression in colours())]
    assert len(filters()) == len((FILES / "dfilters").read_text().splitlines())
    assert len(colours()) == sum(x.startswith("@") for x in (FILES / "colorfilters").read_text().splitlines())
    # One run for all: tshark takes a moment to start.
    count("13a-usrsctp-to-kernel.pcap", " or ".join(f"({e})" for e in expressions))


NAMES = {
    *(f"RSerPool Traffic{more}" for more in ("", " via SCTP", " via SCTP, without Monitoring",
                                             " via SCTP + SCTP Control, without Monitoring")),
    *(f"{name} Traffic via SCTP{more}" for name in ("ASAP", "ENRP") for more in ("", ", without Monitoring")),
    *(f"{who} Traffic" for who in ("Control Channel", "Pool Element", "Pool User")), "Home-Registrar Changes",
    *(f"Registrar {what}" for what in ("Takeovers", "Synchronizations", "Failure Handling")),
    *(f"Application {name}" for name in ("CalcAppProtocol", "FractalGeneratorProtocol", "PingPongProtocol",
                                         "ScriptingServiceProtocol")),
    "Component Status", "NetPerfMeter Control Traffic", "NetPerfMeter Data Traffic",
}  # fmt: skip
COLOURED = {"asap": range(1, 15), "enrp": range(1, 11), "calcappprotocol": range(1, 8), "ssp": range(8),
            "pingpongprotocol": (1, 2), "fractalgeneratorprotocol": (1, 2)}  # fmt: skip


def test_rsplibs_filters_are_all_there_and_every_message_has_a_colour():
    assert set(filters()) == NAMES
    text = " ".join(expression for _, expression in colours())
    for protocol, types in COLOURED.items():
        found = re.findall(rf"{protocol}\.message_type == (\w+)", text)
        assert {int(number, 0) for number in found} == set(types), protocol
    assert {int(n) for n in re.findall(r"sctp\.data_sid == (\d+)", text)} == set(range(10))
    chunks = {int(n) for numbers in re.findall(r"sctp\.chunk_type (?:in \{|== )([\d, ]+)", text)
              for n in numbers.split(",")}  # fmt: skip
    assert chunks == {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14}
    assert {"36", "37"} == set(re.findall(r"data_payload_proto_id == (\d+)", text))


@pytest.mark.parametrize(
    ("name", "capture", "expected"),
    [
        ("Pool Element Traffic", "03-enrp-two-registrars.pcap", 12),
        ("Pool User Traffic", "01-asap-basic.pcap", 4),
        ("Registrar Takeovers", "04b-takeover-complete.pcap", None),
        ("Registrar Synchronizations", "03-enrp-two-registrars.pcap", 26),
        ("Application PingPongProtocol", "06-pingpong-failover.pcap", None),
        ("Component Status", "10-csp.pcap", 228),
        ("Home-Registrar Changes", "04b-takeover-complete.pcap", 2),
        ("Control Channel Traffic", "06-pingpong-failover.pcap", 82),
        ("Registrar Failure Handling", "04b-takeover-complete.pcap", 15),
        ("Application CalcAppProtocol", "08-calcapp.pcap", None),
        ("Application ScriptingServiceProtocol", "09-scripting.pcap", None),
    ],
)
def test_filters_select_what_they_say(name, capture, expected):
    found = count(capture, filters()[name])
    assert found == expected if expected is not None else found > 0


def test_a_profile_of_these_files_works(tmp_path: Path):
    profile = tmp_path / "wireshark" / "profiles" / "RSerPool"
    profile.mkdir(parents=True)
    for name in ("dfilters", "colorfilters", "preferences"):
        shutil.copy(FILES / name, profile)
    done = subprocess.run(
        ["tshark", "-C", "RSerPool", "-r", str(GOLDEN / "12-udp-encap.pcap"), "-Y", "sctp", "-T", "fields", "-e",
         "sctp.checksum.status"], env={"XDG_CONFIG_HOME": str(tmp_path), "PATH": "/usr/bin:/bin:/usr/local/bin",
                                       "HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "rror" not in done.stderr, done.stderr
    assert done.stdout.split(), "SCTP over UDP port 9899 is decoded"
    assert {int(x, 0) for x in done.stdout.replace(",", "\n").split()} == {1}, "and its checksums are checked"
