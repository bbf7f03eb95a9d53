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
    rest, skipping, is_first = b"", False, True
    while True:
        block = file.read()
        lines = (rest + block).split(b"\n")
        rest = lines.pop() if block else b""
        long = dict[int, Reason]()
        if skipping and lines:
            long[0], skipping = Reason.LONG_LINE, False
        if len(rest) > MOST_LINE:
            rest, skipping = b"", True
        elif skipping:
            rest = b""
        if is_first and lines:
            lines[0], is_first = lines[0].removeprefix(_MARK), False
        if not block:
            while lines and not lines[-1].strip() and not long:
                lines.pop()
        if lines:
            yield _objects(lines, long)
        if not block:
            return


def _objects(lines: list[bytes], long: dict[int, Reason]) -> Lines:
    try:
        objects = orjson.loads(b"[" + b",".join(lines) + b"]") if not long else []
        if len(objects) == len(lines) and set(map(type, objects)) == {dict}:
            return objects, {}
    except orjson.JSONDecodeError:
        pass
    objects, bad = [], dict[int, Reason]()
    for i, line in enumerate(lines):
        item = None if i in long or len(line) > MOST_LINE else _object(line) if line.strip() else {}
        if item is None:
            bad[i] = Reason.LONG_LINE if i in long or len(line) > MOST_LINE else Reason.BROKEN_LINE
        objects.append({} if item is None else item)
    return objects, bad


def _object(line: bytes) -> Mapping[str, Any] | None:
    try:
        item = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return item if isinstance(item, dict) else None
