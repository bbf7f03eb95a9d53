"""Uploaded files that wait for their import and name an erased person: discarded, because they would bring it back."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from smsapp.domain.erasure import Spans, redacted_bytes
from smsapp.services.contacts import imports
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import template_imports

BY = Actor("erasure")
CHUNK, OVERLAP = 1 << 20, 64
"""Bytes read at once, and how many of them again with the next, so that no number is cut."""


def discard_naming(spans: Spans, now: dt.datetime) -> int:
    """Discard the files that wait and hold one of these numbers; return how many."""
    files = [row for row in imports.waiting() if _holds(imports.path_of(row), spans)]
    for row in files:
        imports.discard(row.id, BY, now)
    stashed = [path for path in template_imports.stashed_files() if _holds(path, spans)]
    for path in stashed:
        path.unlink(missing_ok=True)
    return len(files) + len(stashed)


def _holds(path: Path, spans: Spans) -> bool:
    return any(redacted_bytes(part, spans) != part for part in _contents(path))


def _contents(path: Path) -> Iterator[bytes]:
    """Yield a file's bytes in parts that overlap; of a workbook those of the tables inside."""
    if not path.is_file():
        return
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as workbook:
                for name in workbook.namelist():
                    with workbook.open(name) as file:
                        yield from _parts(file.read)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
            return
    else:
        with path.open("rb") as file:
            yield from _parts(file.read)


def _parts(read: Callable[[int], bytes]) -> Iterator[bytes]:
    end = b""
    while part := read(CHUNK):
        yield end + part
        end = part[-OVERLAP:]
