"""The scripting service's cache of environment files: least recently used first out, found by their SHA-1.

Files are named ``<sha1 in hex>.data``, as RSPLIB's, so that a directory may be filled beforehand.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

SUFFIX = ".data"
_HEX = 2 * 20


def sha1_of(path: Path) -> bytes:
    """Return a file's SHA-1. OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).digest()


class Cache:
    """Environment files in a directory; at most ``max_size`` bytes and ``max_entries`` of them.

    Several threads may fetch and store at a time, since large files take their time.
    """

    def __init__(self, directory: Path, max_size: int, max_entries: int) -> None:
        self.directory = directory
        self.max_size = max_size
        self.max_entries = max_entries
        self._sizes: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()  # of the sizes; no file is copied under it
        directory.mkdir(parents=True, exist_ok=True)
        for path in sorted(directory.glob(f"*{SUFFIX}"), key=lambda p: p.stat().st_mtime):
            if len(path.stem) == _HEX:
                try:
                    digest = bytes.fromhex(path.stem)
                except ValueError:
                    continue
                if sha1_of(path) == digest:
                    self._sizes[digest] = path.stat().st_size
        self._shrink()

    def __len__(self) -> int:
        return len(self._sizes)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum([*self._sizes.values()])

    def _path(self, digest: bytes) -> Path:
        return self.directory / f"{digest.hex()}{SUFFIX}"

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._sizes

    def fetch(self, digest: bytes, target: Path) -> bool:
        """Copy a file out of the cache; False if it is not in there. OSError for the target.

        A copy, not a link: what a script does to its file must not reach the next one's.
        """
        with self._lock:
            if digest not in self._sizes:
                return False
            self._sizes.move_to_end(digest)
            try:
                source = self._path(digest).open("rb")
            except OSError:
                del self._sizes[digest]
                return False
        with source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
        return True

    def store(self, source: Path, digest: bytes) -> bool:
        """Copy a file into the cache; False if it is too large. OSError."""
        size = source.stat().st_size
        if size > self.max_size:
            return False
        handle, name = tempfile.mkstemp(dir=self.directory, prefix=digest.hex(), suffix=".part")
        os.close(handle)
        draft = Path(name)
        try:
            shutil.copyfile(source, draft)
            with self._lock:
                draft.replace(self._path(digest))
                self._sizes[digest] = size
                self._sizes.move_to_end(digest)
                self._shrink()
        finally:
            draft.unlink(missing_ok=True)
        return True

    def _shrink(self) -> None:
        while self._sizes and (len(self._sizes) > self.max_entries or self.size > self.max_size):
            digest, _ = self._sizes.popitem(last=False)
            self._path(digest).unlink(missing_ok=True)
