"""Files with one JSON object per line. A line that is none, or too long, costs no other line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from smsapp.domain.rejection import Reason
from smsapp.services.tables.packed import Unpacked

MOST_LINE = 1 << 20
"""Bytes of a line: Pinpoint's largest endpoint has 15 KB."""
_MARK = b"\xef\xbb\xbf"

Lines = tuple[list[Mapping[str, Any]], dict[int, Reason]]
"""Objects, {} where a line is none, and those lines: index -> why."""


def chunks(file: Unpacked) -> Iterator[Lines]:
    """Yield the lines in order, some thousand at once; an empty line at the end is none."""
    rest, skipping = file.read(len(_MARK)).removeprefix(_MARK), False
    while block := file.read():
        text, line_end, rest = (rest + block).rpartition(b"\n")
        if line_end:
            yield _objects(text, is_first_long=skipping)
            skipping = False
        if skipping or len(rest) > MOST_LINE:
            rest, skipping = b"", True
    if skipping or rest.strip():
        yield _objects(rest, is_first_long=skipping)


def _objects(text: bytes, *, is_first_long: bool) -> Lines:
    """Return the objects of some whole lines; the first one may be what is left of a line that was too long."""
    try:
        objects = [] if is_first_long else orjson.loads(b"[" + text.replace(b"\n", b",") + b"]")
        if len(objects) == text.count(b"\n") + 1 and set(map(type, objects)) == {dict}:
            return objects, {}
    except orjson.JSONDecodeError:
        pass
    objects, bad = [], dict[int, Reason]()
    for i, line in enumerate(text.split(b"\n")):
        is_long = len(line) > MOST_LINE or (is_first_long and i == 0)
        item = None if is_long else _object(line) if line.strip() else {}
        if item is None:
            bad[i] = Reason.LONG_LINE if is_long else Reason.BROKEN_LINE
        objects.append({} if item is None else item)
    return objects, bad


def _object(line: bytes) -> Mapping[str, Any] | None:
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return item if isinstance(item, dict) else None
