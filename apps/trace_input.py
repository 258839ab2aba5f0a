"""Where rsptrace gets its packets: files and folders, files that still grow, standard input, an interface.

Packets of several files are put in the order of time, and a packet that several programs wrote (its sender and its
receiver) counts once. What the bytes mean is in `pysctplib.trace`.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pysctplib.trace.frames import Datagram, datagram
from pysctplib.trace.pcapng import SCTP
from pysctplib.trace.reader import CaptureError, Frame, Reader

PIECE = 1 << 20  # bytes that are read at once
POLL = 0.1  # seconds between looks at a file that grows
STDIN = "-"
SUFFIXES = (".pcap", ".pcapng", ".cap")
_ALL, _OUTGOING, _LINK_IPV4, _LINK_IPV6 = 0x0003, 4, 228, 229


class InputError(Exception):
    """What was to be read cannot be; the text says why."""


@dataclass(slots=True)
class Source:
    """A file that is read."""

    name: str
    file: IO[bytes]
    reader: Reader = field(default_factory=Reader)
    problem: str = ""

    def take(self, data: bytes) -> list[Frame]:
        """The frames in some more bytes of it."""
        try:
            return self.reader.feed(data)
        except CaptureError as error:
            self.problem = str(error)
            return []

    def finish(self) -> None:
        """Note that it has ended."""
        if not self.problem:
            try:
                self.reader.finish()
            except CaptureError as error:
                self.problem = str(error)
        self.problem = self.problem or self.reader.damage


class Once:
    """Passes a packet that stands in several files once. Repetitions within one file are all passed."""

    def __init__(self, udp_ports: Collection[int], files: int = 1) -> None:
        self.counts: Counter[str] = Counter()
        self._udp_ports = udp_ports
        self._several = files > 1
        # A packet's hash -> how often it was passed, how often each file has it. Hashes of 64 bits do not collide.
        self._seen: dict[int, list[int]] = {}
        self._files = files

    def datagrams(self, frame: Frame, file: int = 0) -> Iterator[Datagram]:
        """The packet in a frame, if it has one and was not passed before."""
        found = datagram(frame, self.counts, self._udp_ports)
        if found is None:
            return
        if self._several:
            seen = self._seen.setdefault(hash(found.data), [0] * (self._files + 1))
            seen[file + 1] += 1
            if seen[file + 1] <= seen[0]:
                self.counts["packets that another file has, too"] += 1
                return
            seen[0] += 1
        yield found


def names_of(words: Sequence[str]) -> list[str]:
    """The files that are meant; a folder stands for the captures in it. InputError if there is none."""
    names: list[str] = []
    for word in words:
        folder = Path(word)
        if word != STDIN and folder.is_dir():
            inside = sorted(str(p) for p in folder.iterdir() if p.suffix in SUFFIXES)
            if not inside:
                raise InputError(f"{word}: no capture is in this folder ({', '.join(SUFFIXES)})")
            names += inside
        else:
            names.append(word)
    return names


@contextmanager
def open_sources(names: Sequence[str], follow: bool) -> Iterator[list[Source]]:
    """Open the files, and close them at the end. A missing one is an InputError, with advice for ``follow``."""
    with ExitStack() as files:
        sources = []
        for name in names:
            try:
                file: IO[bytes] = (
                    sys.stdin.buffer if name == STDIN else files.enter_context(open(name, "rb", buffering=0))
                )
            except OSError as error:
                advice = "" if not follow else "; start the program with -pcap first"
                raise InputError(f"{name}: {error.strerror}{advice}") from None
            sources.append(Source("standard input" if name == STDIN else name, file))
        yield sources


def read(sources: Sequence[Source], once: Once) -> Iterator[Datagram]:
    """All packets of some files, by time."""

    def frames(number: int, source: Source) -> Iterator[tuple[float, int, Frame]]:
        while data := source.file.read(PIECE):
            for frame in source.take(data):
                yield frame.time, number, frame
            if source.problem:
                break
        source.finish()

    # Packets stand in a file about in the order of time; those of several are merged.
    merged = heapq.merge(*(frames(i, s) for i, s in enumerate(sources)), key=lambda item: item[0])
    for _, number, frame in merged:
        yield from once.datagrams(frame, number)


async def follow(sources: Sequence[Source], once: Once) -> AsyncIterator[Datagram]:
    """The packets of files as they grow, until all have a problem, or standard input ends."""
    loop = asyncio.get_running_loop()
    live = list(enumerate(sources))
    while live:
        found: list[tuple[float, int, Frame]] = []
        ended = []
        for number, source in live:
            if source.file is getattr(sys.stdin, "buffer", None):
                # It blocks until there is something; so it is the only one, or the others wait for it.
                data = await loop.run_in_executor(None, os.read, source.file.fileno(), PIECE)
                if not data:
                    source.finish()
                    ended.append(source)
            else:
                data = source.file.read(PIECE)
                if not data and os.fstat(source.file.fileno()).st_size < source.file.tell():
                    # The program was started again, and so was its file.
                    source.file.seek(0)
                    source.reader = Reader()
            found += [(frame.time, number, frame) for frame in source.take(data)]
            if source.problem or source.reader.damage:
                source.finish()
                ended.append(source)
        found.sort(key=lambda item: item[0])
        for _, number, frame in found:
            for packet in once.datagrams(frame, number):
                yield packet
        live = [(n, s) for n, s in live if s not in ended]
        if not found and live:
            await asyncio.sleep(POLL)


def open_interface(name: str) -> socket.socket:
    """A socket that hears all packets of an interface (Linux; needs CAP_NET_RAW). InputError."""
    if not hasattr(socket, "AF_PACKET"):
        raise InputError("this system has no packet sockets; use: tcpdump -U -w - | rsptrace -follow -")
    try:
        heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
    except PermissionError:
        raise InputError(
            "hearing an interface needs root (CAP_NET_RAW); without it, start programs with -pcap=FILE "
            "and follow that file"
        ) from None
    except OSError as error:
        raise InputError(f"packet socket: {error.strerror}") from None
    try:
        heard.bind((name, _ALL))
        heard.setblocking(False)
    except OSError as error:
        heard.close()
        raise InputError(f"interface {name}: {error.strerror}") from None
    return heard


async def listen(heard: socket.socket, once: Once, clock: Callable[[], float]) -> AsyncIterator[Datagram]:
    """The packets of an interface, without end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(heard, ready.set)
    try:
        while True:
            await ready.wait()
            ready.clear()
            while True:
                try:
                    data, (interface, protocol, kind, *_) = heard.recvfrom(65536)
                except BlockingIOError:
                    break
                if kind == _OUTGOING and interface == "lo":
                    continue  # it comes in again
                link = {0x0800: _LINK_IPV4, 0x86DD: _LINK_IPV6}.get(protocol)
                if link is not None:
                    for packet in once.datagrams(Frame(clock(), link, data)):
                        yield packet
    finally:
        loop.remove_reader(heard)


def is_sctp(packet: Datagram) -> bool:
    """Whether a packet is SCTP (else the payload of UDP)."""
    return packet.protocol == SCTP
