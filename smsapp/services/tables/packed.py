"""Files packed by gzip, as exports to a bucket are: unpacked with a limit; a file that breaks off is refused whole."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from smsapp.domain.errors import Problem, Refusal

GZIP = b"\x1f\x8b"
MOST_UNPACKED = 1 << 30
"""Bytes: what a person's files that wait may take together (services/contacts/imports.py)."""
BLOCK = 1 << 17
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error)


class Unpacked:
    """Reads a file, packed or not; raise Refusal if it breaks off or unpacks to too much."""

    def __init__(self, file: BinaryIO) -> None:
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        self._file: BinaryIO = gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[assignment]
        self._read = 0

    def read(self, size: int = BLOCK) -> bytes:
        """Return the next bytes; none at the end."""
        try:
            block = self._file.read(size)
        except _BROKEN:
            raise Refusal(Problem("gzip_broken", "file")) from None
        self._read += len(block)
        if self._read > MOST_UNPACKED:
            raise Refusal(Problem("gzip_too_large", "file", {"limit": MOST_UNPACKED >> 30}))
        return block


@contextmanager
def opened(path: Path) -> Iterator[Unpacked]:
    with path.open("rb") as file:
        yield Unpacked(file)


def is_packed(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(GZIP)) == GZIP


def unpack(path: Path, target: Path) -> None:
    """Write the unpacked file; raise Refusal as `Unpacked` does."""
    with opened(path) as file, target.open("wb") as unpacked:
        while block := file.read():
            unpacked.write(block)
