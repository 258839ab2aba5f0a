"""tshark's own ASAP and ENRP dissectors read every message that we can write, without a warning."""

import ipaddress
import struct

import pytest

from pysctplib.wire import packet
from rserpool.wire import asap, causes, enrp
from tests.unit.rserpool_wire.vectors import ASAP, ELEMENT, ENRP, HANDLE, POL, POLICIES, hexed

from .pcap_checks import complaints, tshark

pytestmark = pytest.mark.tshark

LEFT_OUT = {
    "announce with UDP port",  # our own parameter, unknown to everybody: skipped by its high bits
    "registration reject",  # RSPLIB's form, without the pool's policy (RFC 5354 section 3.12.6)
}
UNDISSECTED = {0xB0001001, 0xB0001002, 0xB0001003, 0xB0001004, 0xB0002004, 0xB0002005}


def messages():
    """(name, PPID, bytes) of every message, and a registration with every policy."""
    found = [(name, asap.PPID, asap.encode(m)) for name, (m, _) in ASAP.items() if name not in LEFT_OUT]
    reject = asap.RegistrationResponse(HANDLE, 7, True, causes.INCOMPATIBLE_POLICY, hexed(POL))
    found.append(("registration reject", asap.PPID, asap.encode(reject)))
    found += [(name, enrp.PPID, enrp.encode(m)) for name, (m, _) in ENRP.items()]
    for policy, _ in POLICIES:
        if policy.type not in UNDISSECTED:
            element = type(ELEMENT)(ELEMENT.identifier, 0, 90000, ELEMENT.user_transport, policy)
            data = asap.encode(asap.Registration(HANDLE, element))
            found.append((f"policy 0x{policy.type:08x}", asap.PPID, data))
    return found


def capture(path, datas):
    """A pcap of raw IPv4 packets with one DATA chunk each."""
    out = [struct.pack("<LHHlLLL", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101)]
    source, destination = (ipaddress.ip_address(a).packed for a in ("10.0.0.1", "10.0.0.2"))
    for tsn, (ppid, data) in enumerate(datas, 1):
        value = struct.pack(">LHHL", tsn, 0, tsn & 0xFFFF, ppid) + data
        chunk = struct.pack(">BBH", 0, 3, 4 + len(value)) + value
        sctp = packet.pack(1234, 5678, 0x01020304, [chunk + bytes(-len(chunk) % 4)])
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(sctp), tsn, 0, 64, 132, 0, source, destination)
        out.append(struct.pack("<LLLL", tsn, 0, 20 + len(sctp), 20 + len(sctp)) + ip + sctp)
    path.write_bytes(b"".join(out))
    return path


def test_every_message_decodes_without_warning(tmp_path):
    known = messages()
    path = capture(tmp_path / "all.pcap", [(ppid, data) for _, ppid, data in known])
    assert complaints(path, lower=False, only="asap or enrp or sctp") == []
    columns = ("-T", "fields", "-e", "asap.message_type", "-e", "enrp.message_type")
    lines = tshark(path, *columns).splitlines()
    assert len(lines) == len(known)
    for (name, ppid, data), line in zip(known, lines, strict=True):
        seen = line.split("\t")
        assert int(seen[0 if ppid == asap.PPID else 1]) == data[0], name


def test_the_values_that_tshark_sees(tmp_path):
    """Not only the form: handle, identifiers, life, ports and addresses of a handle update."""
    message, _ = ENRP["update T add"]
    path = capture(tmp_path / "one.pcap", [(enrp.PPID, enrp.encode(message))])
    names = (
        "enrp.sender_servers_id",
        "enrp.pool_handle_pool_handle",
        "enrp.pool_element_pe_identifier",
        "enrp.pool_element_home_enrp_server_identifier",
        "enrp.pool_element_registration_life",
        "enrp.sctp_transport_port",
        "enrp.ipv4_address",
        "enrp.ipv6_address",
    )
    line = tshark(path, "-T", "fields", *(w for name in names for w in ("-e", name))).strip().split("\t")
    sender, handle, identifier, home, life, ports, v4, v6 = line
    assert (int(sender, 0), bytes.fromhex(handle), int(identifier, 0)) == (0xAABBCCDD, b"EchoPool", 0x12345678)
    assert (int(home, 0), life, ports) == (0xAABBCCDD, "90000", "5000,6000")
    assert (v4, v6) == ("10.1.1.5,10.1.1.5", "2001:db8::5")


def test_the_judge_complains_of_a_broken_message(tmp_path):
    data = bytearray(asap.encode(ASAP["registration"][0]))
    at = data.index(hexed("000a003c")) + 2
    data[at : at + 2] = (0x7FF0).to_bytes(2, "big")  # the pool element is longer than the message
    path = capture(tmp_path / "bad.pcap", [(asap.PPID, bytes(data))])
    assert complaints(path, lower=False, only="sctp") != []
