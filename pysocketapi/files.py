"""`SctpSocket.makefile` and `sendfile`: an association read and written like a file, as with stream sockets.

A one-to-one socket as a file is a row of bytes: each write that is passed on is one message (of at most CHUNK
bytes) with the default parameters, messages are read one after the other, and their boundaries mean nothing.
"""

from __future__ import annotations

import errno
import io
import socket
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

    from .sctpsocket import SctpSocket

CHUNK = 16384  # bytes in one message


class SocketFile(io.RawIOBase):
    """The unbuffered file of a one-to-one socket, like socket.SocketIO."""

    def __init__(self, sock: SctpSocket, mode: str, gone: Callable[[], None]) -> None:
        super().__init__()
        self._sock: SctpSocket | None = sock
        self._mode = mode
        self._gone = gone
        self._timed_out = False

    def _use(self, allowed: bool, what: str) -> SctpSocket:
        if self.closed or self._sock is None:
            raise ValueError("I/O operation on closed file")
        if not allowed:
            raise io.UnsupportedOperation(f"the file was not opened for {what}")
        return self._sock

    def readable(self) -> bool:
        """Whether it was opened for reading."""
        self._checked()
        return "r" in self._mode

    def writable(self) -> bool:
        """Whether it was opened for writing."""
        self._checked()
        return "w" in self._mode

    def seekable(self) -> bool:
        """No."""
        self._checked()
        return False

    def _checked(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        """Read what the next message has, at most the buffer's size; None: nothing yet, 0: the end.

        Raises OSError: TimeoutError, and after one always, as a buffer above may have lost data.
        """
        sock = self._use("r" in self._mode, "reading")
        if self._timed_out:
            raise OSError("cannot read from timed out object")
        try:
            return sock.recv_into(memoryview(buffer))
        except BlockingIOError:
            return None
        except TimeoutError:
            self._timed_out = True
            raise

    def write(self, buffer: ReadableBuffer) -> int | None:
        """Send at most CHUNK bytes as one message and return how many; None: no room now."""
        sock = self._use("w" in self._mode, "writing")
        view = memoryview(buffer).cast("B")[:CHUNK]
        if not view:
            return 0
        try:
            return sock.send(view)
        except BlockingIOError:
            return None

    def fileno(self) -> int:
        """Return the socket's descriptor for select."""
        self._checked()
        return -1 if self._sock is None else self._sock.fileno()

    @property
    def name(self) -> int:
        """The descriptor; -1 when closed."""
        return -1 if self.closed else self.fileno()

    @property
    def mode(self) -> str:
        """``rb``, ``wb`` or ``rwb``."""
        return self._mode

    def close(self) -> None:
        """Close the file; the socket ends with the last of its files, if it was closed before."""
        if self.closed:
            return
        super().close()
        self._sock = None
        self._gone()


def open_file(
    sock: SctpSocket,
    mode: str,
    buffering: int | None,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    joined: Callable[[], None],
    gone: Callable[[], None],
) -> Any:
    """Return a file over the socket, by the rules of socket.socket.makefile.

    joined is called once the arguments have been found good, gone when the file is closed.
    """
    if not mode or not set(mode) <= {"r", "w", "b"}:
        raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
    if sock.type != socket.SOCK_STREAM:
        raise OSError(errno.EOPNOTSUPP, "a one-to-many socket has many peers: peel an association off")
    writing = "w" in mode
    reading = "r" in mode or not writing
    binary = "b" in mode
    if buffering is None:
        buffering = -1
    if buffering < 0:
        buffering = io.DEFAULT_BUFFER_SIZE
    if buffering == 0 and not binary:
        raise ValueError("unbuffered streams must be binary")
    raw = SocketFile(sock, ("r" if reading else "") + ("w" if writing else "") + "b", gone)
    joined()
    if buffering == 0:
        return raw
    buffered: Any
    if reading and writing:
        buffered = io.BufferedRWPair(raw, raw, buffering)
    elif reading:
        buffered = io.BufferedReader(raw, buffering)
    else:
        buffered = io.BufferedWriter(raw, buffering)
    if binary:
        return buffered
    text = io.TextIOWrapper(buffered, encoding, errors, newline)
    text.mode = mode  # type: ignore[misc]
    return text


def send_file(send: Callable[[bytes], int], file: IO[bytes], offset: int, count: int | None) -> int:
    """Send a file from offset on in messages of at most CHUNK bytes; return the number of bytes.

    count: bytes at most (None: to the end). The file's position is behind what was sent, also after an error.
    """
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError("file should be opened in binary mode")
    if count is not None:
        if not isinstance(count, int):
            raise TypeError(f"count must be a positive integer (got {count!r})")
        if count <= 0:
            raise ValueError(f"count must be a positive integer (got {count!r})")
    if offset:
        file.seek(offset)
    total = 0
    try:
        while count is None or total < count:
            data = file.read(CHUNK if count is None else min(CHUNK, count - total))
            if not data:
                break
            total += send(data)
    finally:
        if total > 0 and hasattr(file, "seek"):
            file.seek(offset + total)
    return total
