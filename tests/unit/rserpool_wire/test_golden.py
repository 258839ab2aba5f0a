"""Every ASAP, ENRP and CSP message in the captures of RSPLIB decodes and encodes to the same bytes."""

from collections import Counter
from functools import cache
from pathlib import Path

from rserpool.wire import asap, csp, enrp
from tests import pcaps

GOLDEN = Path(__file__).parents[2] / "golden"


@cache
def messages():
    """(protocol, bytes) of all messages in all captures."""
    found = []
    for path in sorted(GOLDEN.glob("*.pcap")):
        for m in pcaps.user_messages(path, (asap.PPID, enrp.PPID)):
            found.append((asap if m.ppid == asap.PPID else enrp, m.data))
        for p in pcaps.packets(path):
            protocol = {asap.PORT: asap, enrp.PORT: enrp, csp.PORT: csp}.get(p.dport)
            if p.ip_proto == pcaps.UDP and protocol is not None:
                found.append((protocol, p.payload))
    return found


def test_every_message_round_trips():
    seen = Counter()
    for protocol, data in messages():
        message = protocol.decode(data)
        if protocol is csp:  # behind a text's terminator RSPLIB leaves whatever was there
            again = csp.decode(csp.encode(message))
            assert again == message
            assert masked(csp.encode(message)) == masked(data)
        else:
            assert protocol.encode(message).hex() == data.hex()
        seen[f"{protocol.__name__.rpartition('.')[2]}.{type(message).__name__}"] += 1
    # RSPLIB never sends the first two; the others did not happen to the programs that were captured.
    missing = {"BusinessCard", "TakeoverServer", "EndpointUnreachable", "Error"}
    for module in (asap, enrp):
        for kind in module._ENCODERS:
            name = f"{module.__name__.rpartition('.')[2]}.{kind.__name__}"
            assert seen[name] or kind.__name__ in missing, f"no {name} in the captures: {seen}"
    assert seen["csp.Report"] > 50
    assert sum(seen.values()) > 500


def masked(data: bytes) -> bytes:
    """A report without what stands behind the terminators of its texts."""
    out = bytearray(data)
    for start in (28, 156):
        end = data.find(b"\0", start, start + csp.TEXT)
        if end >= 0:
            out[end : start + csp.TEXT] = bytes(start + csp.TEXT - end)
    return bytes(out)
