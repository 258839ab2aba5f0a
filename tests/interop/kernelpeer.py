"""The peer of usrsctp/peer.c and stackpeer.py made of the Linux kernel's SCTP: same modes, messages and output.

    python -m tests.interop.kernelpeer listen|connect echo|exchange|source|sink|ping [name=value]...

address and local (comma lists, the first decides the family), port, local-port, count, seed, peer-seed, streams,
rto-min (ms, 0: as it is), lifetime (ms, of every second message; source, sink), assocs, size, end (shutdown,
abort, peer: await the peer's). UDP encapsulation is set by the guest's sysctls. Standard library only: numbers of
<linux/sctp.h>.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
import threading

from . import traffic

IPPROTO_SCTP, SOL_SCTP = 132, 132
SCTP_RTOINFO, SCTP_INITMSG, SCTP_NODELAY, SCTP_RECVRCVINFO, BINDX_ADD, CONNECTX = 0, 2, 3, 32, 100, 110
SNDINFO, RCVINFO, PRINFO = 2, 3, 5
EVENT, PARTIAL_DELIVERY = 127, 0x8006  # the rest of a message will not come
TTL = 0x10  # the policy: a lifetime in ms
# Linux can drop the rest of a message in fragments without telling its peer; the stream then stops.
ONE_CHUNK = 1000
MSG_NOTIFICATION = 0x8000
# ENOTCONN: the kernel has ended its graceful shutdown before receive() was called.
ENDS = {
    errno.ENOTCONN: "shutdown",
    errno.ECONNRESET: "abort",
    errno.ECONNABORTED: "abort",
    errno.EPIPE: "abort",
    errno.ETIMEDOUT: "timeout",
}
DEFAULTS = {
    "address": "127.0.0.1",
    "local": "",
    "port": "5001",
    "local-port": "0",
    "count": "1000",
    "seed": "1",
    "peer-seed": "2",
    "streams": "1",
    "rto-min": "0",
    "lifetime": "0",
    "assocs": "1",
    "size": "64",
    "end": "shutdown",
}


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")  # one write: two threads speak
    sys.stdout.flush()


def sockaddr(address: str, port: int) -> bytes:
    """Return struct sockaddr_in or sockaddr_in6."""
    if ":" in address:
        packed = socket.inet_pton(socket.AF_INET6, address)
        return struct.pack("=H2s4s16sI", socket.AF_INET6, struct.pack(">H", port), bytes(4), packed, 0)
    packed = socket.inet_pton(socket.AF_INET, address)
    return struct.pack("=H2s4s8s", socket.AF_INET, struct.pack(">H", port), packed, bytes(8))


def open_socket(options: dict[str, str], first: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in first or ":" in options["local"] else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM, IPPROTO_SCTP)
    streams, rto = int(options["streams"]), int(options["rto-min"])
    s.setsockopt(SOL_SCTP, SCTP_NODELAY, 1)
    s.setsockopt(SOL_SCTP, SCTP_RECVRCVINFO, 1)
    s.setsockopt(SOL_SCTP, EVENT, struct.pack("=iHBx", 0, PARTIAL_DELIVERY, 1))
    s.setsockopt(SOL_SCTP, SCTP_INITMSG, struct.pack("=HHHH", streams, streams, 0, 0))
    longest = 10 * rto if options["lifetime"] != "0" else 60000  # the network loses much then
    if rto:
        s.setsockopt(SOL_SCTP, SCTP_RTOINFO, struct.pack("=iIII", 0, rto, longest, rto))
    return s


def bind(s: socket.socket, addresses: list[str], port: int) -> None:
    if addresses:
        s.setsockopt(SOL_SCTP, BINDX_ADD, b"".join(sockaddr(a, port) for a in addresses))
    elif port:
        s.bind(("", port))


def send(s: socket.socket, data: bytes, stream: int, ppid: int, lifetime: int = 0) -> None:
    about = [(SOL_SCTP, SNDINFO, struct.pack("=HHIIi", stream, 0, socket.htonl(ppid), 0, 0))]
    if lifetime:
        about.append((SOL_SCTP, PRINFO, struct.pack("=HxxI", TTL, lifetime)))
    if s.sendmsg([data], about) != len(data):
        raise OSError("the message was not taken whole")


def receive(s: socket.socket) -> tuple[int, int, bytes] | None:
    """Return (stream, PPID, data) of one whole message; None at the graceful end."""
    parts: list[bytes] = []
    while True:
        data, ancillary, flags, _ = s.recvmsg(traffic.LARGEST, 256)
        if not data:
            return None
        if flags & MSG_NOTIFICATION:
            parts.clear()
            continue
        parts.append(data)
        if flags & socket.MSG_EOR:
            stream, _, _, ppid = struct.unpack_from(
                "=HHHxxI", next(d for _, kind, d in ancillary if kind == RCVINFO)
            )
            return stream, socket.ntohl(ppid), b"".join(parts)


def send_all(s: socket.socket, options: dict[str, str]) -> None:
    count, streams, seed, total = int(options["count"]), int(options["streams"]), int(options["seed"]), 0
    lifetime = int(options["lifetime"])
    for i in range(count):
        data = traffic.message(i, seed)
        expires = traffic.expires(i) and len(data) <= ONE_CHUNK
        send(s, data, i % streams, traffic.PPID + i, lifetime if expires else 0)
        total += len(data)
    say("sent", count, total)


def check_all(s: socket.socket, options: dict[str, str]) -> None:
    gaps = options["lifetime"] != "0"
    checker = traffic.Checker(int(options["count"]), int(options["peer-seed"]), int(options["streams"]), gaps)
    while gaps or not checker.complete:
        got = receive(s)
        if got is None and gaps and checker.complete:
            break
        if got is None:
            raise ValueError(f"the association ended after {checker.received} messages")
        checker.add(*got)
    say("received", checker.received, checker.bytes)


def ping(s: socket.socket, options: dict[str, str]) -> None:
    size, count = int(options["size"]), int(options["count"])
    for i in range(count):
        data = bytes(i + k & 255 for k in range(size))
        send(s, data, i % int(options["streams"]), traffic.PPID + i)
        got = receive(s)
        if got is None or got[2] != data:
            raise ValueError(f"echo {i} differs")
    say("echoed", count)


def serve(s: socket.socket, mode: str, client: bool, options: dict[str, str]) -> None:
    """Run the mode; a client ends the association, unless ``end=peer``."""
    say("up")
    sender = threading.Thread(target=send_all, args=(s, options))
    count = 0
    try:
        if mode == "echo":
            while (got := receive(s)) is not None:
                send(s, got[2], got[0], got[1])
                count += 1
        if mode == "ping":
            ping(s, options)
        if mode in ("exchange", "source"):
            sender.start()
        if mode in ("exchange", "sink"):
            check_all(s, options)
        if sender.ident is not None:
            sender.join()
        if client and options["end"] == "abort":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
            s.close()
            say("end own-abort")
            return
        if mode != "echo":
            if client and options["end"] == "shutdown":
                s.shutdown(socket.SHUT_WR)
            if receive(s) is not None:
                raise ValueError("a message too many")
        how = "shutdown"
    except OSError as error:
        if error.errno not in ENDS:
            raise
        how = ENDS[error.errno]
    if mode == "echo":
        say("echoed", count)
    say("end", how)


def main(arguments: list[str]) -> int:
    role, mode, options = arguments[0], arguments[1], dict(DEFAULTS)
    for word in arguments[2:]:
        name, equals, value = word.partition("=")
        if name not in options or not equals:
            raise SystemExit(f"kernelpeer: {word} is not one of {', '.join(DEFAULTS)}=value")
        options[name] = value
    local = [a for a in options["local"].split(",") if a]
    if role == "connect":
        addresses = options["address"].split(",")
        with open_socket(options, addresses[0]) as s:
            bind(s, local, int(options["local-port"]))
            s.setsockopt(SOL_SCTP, CONNECTX, b"".join(sockaddr(a, int(options["port"])) for a in addresses))
            serve(s, mode, True, options)
        return 0
    with open_socket(options, (local or ["::"])[0]) as s:
        bind(s, local or ["::"], int(options["port"]))
        s.listen(10)
        say("ready", options["port"])
        for _ in range(int(options["assocs"])):
            peer, _ = s.accept()
            with peer:
                serve(peer, mode, False, options)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
