"""Classic BPF programs that choose a socket of a SO_REUSEPORT group by the SCTP destination port of a packet.

The program sees the UDP payload, so the half word at offset 2 is the destination port of the SCTP common header
(RFC 9260 section 3.1); what it returns is the index of a socket in the group. Linux only. Who owns which port is
not known here.
"""

from __future__ import annotations

import socket
import sys
from array import array
from collections.abc import Mapping
from struct import Struct

SO_ATTACH_REUSEPORT_CBPF = 51
MAX_INSTRUCTIONS = 4096  # of a classic program (BPF_MAXINSNS)

_LOAD_HALF, _RETURN, _JUMP, _JUMP_IF_GE = 0x28, 0x06, 0x05, 0x35
_INSTRUCTION = Struct("=HBBI")
_PROGRAM = Struct("@HP")
_DESTINATION_PORT = 2

Instruction = tuple[int, int, int, int]


def constant(index: int) -> list[Instruction]:
    """Return a program that always chooses one socket."""
    return [(_RETURN, 0, 0, index)]


def program(owners: Mapping[int, int], default: int) -> list[Instruction]:
    """Return a program: port -> index as in ``owners``, all other ports -> ``default``. Binary search."""
    starts = [(0, default)]
    for port in sorted(owners):
        index = owners[port]
        if starts[-1][0] == port:
            starts.pop()
        if not starts or starts[-1][1] != index:
            starts.append((port, index))
        if port < 65535:
            starts.append((port + 1, default))
    merged = [starts[0]]
    for start, index in starts[1:]:
        if index != merged[-1][1]:
            merged.append((start, index))
    return [(_LOAD_HALF, 0, 0, _DESTINATION_PORT), *_search(merged)]


def _search(starts: list[tuple[int, int]]) -> list[Instruction]:
    if len(starts) == 1:
        return constant(starts[0][1])
    middle = len(starts) // 2
    low, high = _search(starts[:middle]), _search(starts[middle:])
    if len(low) < 256:
        return [(_JUMP_IF_GE, len(low), 0, starts[middle][0]), *low, *high]
    # Conditional jumps reach 255 instructions, the unconditional one as far as is needed.
    return [(_JUMP_IF_GE, 0, 1, starts[middle][0]), (_JUMP, 0, 0, len(low)), *low, *high]


def run(instructions: list[Instruction], data: bytes) -> int:
    """Return what a program gives for a UDP payload, as the kernel would: for tests and for reading."""
    accumulator = position = 0
    while True:
        code, if_true, if_false, k = instructions[position]
        position += 1
        if code == _RETURN:
            return k
        if code == _LOAD_HALF:
            if len(data) < k + 2:
                return 0
            accumulator = int.from_bytes(data[k : k + 2], "big")
        elif code == _JUMP:
            position += k
        else:
            position += if_true if accumulator >= k else if_false


def attach(sock: socket.socket, instructions: list[Instruction]) -> None:
    """Make the kernel use a program for the group of ``sock``. OSError if it cannot."""
    if not sys.platform.startswith("linux"):
        raise OSError(95, "this system cannot steer datagrams")
    code = array("B", b"".join([_INSTRUCTION.pack(*i) for i in instructions]))
    sock.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, _PROGRAM.pack(len(instructions), code.buffer_info()[0])
    )


def attach_ports(sock: socket.socket, owners: Mapping[int, int], default: int) -> int:
    """Attach a program for as many ports as go into one; return how many. The other ports get the default."""
    ports = sorted(owners)
    while True:
        instructions = program({port: owners[port] for port in ports}, default)
        if len(instructions) <= MAX_INSTRUCTIONS:
            try:
                attach(sock, instructions)
                return len(ports)
            except OSError:
                # net.core.optmem_max may be below the size of the program.
                if not ports:
                    raise
        ports = ports[: len(ports) // 2]
