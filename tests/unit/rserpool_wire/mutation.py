"""Seeded mutations of good messages, for the quick and the long fuzzing of the decoders."""

import random

from rserpool.wire import asap, csp, enrp
from rserpool.wire.types import DecodeError

from .vectors import ASAP, ENRP, POLICIES, hexed

REPORT = csp.Report(csp.component(csp.REGISTRAR, 5), 10, 20, "a", "b", 0.5, [csp.Association(1, None, 132, 11)])


def seeds():
    found = [(asap, hexed(text)) for _, text in ASAP.values()]
    found += [(enrp, hexed(text)) for _, text in ENRP.values()]
    base = hexed(ASAP["registration"][1])
    for _, text in POLICIES:
        element = base[16:68] + hexed(text)
        element = element[:2] + len(element).to_bytes(2, "big") + element[4:]
        body = base[4:16] + element
        found.append((asap, b"\1\0" + (4 + len(body)).to_bytes(2, "big") + body))
    found.append((csp, csp.encode(REPORT)))
    return found


LENGTHS = (0, 1, 3, 4, 5, 8, 0xFFFF, 0x8000)


def mutate(rng: random.Random, data: bytes) -> bytes:
    """Change, cut, insert, repeat; mostly with a length field that fits, to get behind the header."""
    draw = rng.random  # scaled; randrange would take half of the time of the whole fuzzing
    out = bytearray(data)
    for _ in range(1 + int(draw() * 4)):
        size = len(out)
        at = int(draw() * size)
        choice = int(draw() * 6)
        if choice == 0 and size:
            out[at] = int(draw() * 256)
        elif choice == 1 and size:
            out[at] ^= 1 << int(draw() * 8)
        elif choice == 2:
            out[at:at] = rng.randbytes(1 + int(draw() * 8))
        elif choice == 3:
            del out[at : at + 1 + int(draw() * 12)]
        elif choice == 4:
            start = int(draw() * len(data)) & ~3
            out[at & ~3 : at & ~3] = data[start : start + 4 + 4 * int(draw() * 8)]
        elif size:
            at &= ~1
            pick = int(draw() * 9)
            out[at : at + 2] = (LENGTHS[pick] if pick < 8 else size).to_bytes(2, "big")
    if len(out) >= 4 and draw() < 0.9:
        out[2:4] = (len(out) & 0xFFFF).to_bytes(2, "big")
    return bytes(out)


def run(seed: int, count: int) -> tuple[int, int]:
    """Decode ``count`` mutated messages: (how many decoded, how many were refused).

    What decodes must encode, and decode again to the same.
    """
    rng = random.Random(seed)
    good = bad = 0
    all_seeds = seeds()
    for _ in range(count):
        protocol, data = all_seeds[int(rng.random() * len(all_seeds))]
        data = mutate(rng, data)
        try:
            message = protocol.decode(data)
        except DecodeError:
            bad += 1
            continue
        good += 1
        if encodable(message):
            assert protocol.decode(protocol.encode(message)) == message, data.hex()
    return good, bad


def encodable(message) -> bool:
    """False for what is only understood: transports with two addresses, causes with data they do not have..."""
    try:
        (csp if isinstance(message, csp.Report) else asap if type(message) in asap._ENCODERS else enrp).encode(
            message
        )
    except ValueError:
        return False
    error = getattr(message, "error", None)
    return error is None or not (getattr(message, "data", b"") or getattr(message, "error_data", b""))
