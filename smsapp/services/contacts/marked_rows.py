"""Rows of files from other systems: which are taken, why the others are not, whose numbers refuse texts."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

from smsapp.domain import columns, other_systems, phone
from smsapp.domain.cells import Row
from smsapp.domain.columns import BadRow, Chunk
from smsapp.domain.layout import Column, Layout
from smsapp.domain.other_systems import OPTED_OUT, PHONE_COLUMN
from smsapp.services.tables.formats import Format
from smsapp.store.settings import settings


class Marks:
    """The marks of a file's rows, by position; of an ordinary table there are none."""

    def __init__(self, packed: bytes | None) -> None:
        self._marks = zlib.decompress(packed) if packed else b""

    def of(self, position: int, count: int) -> bytes:
        return self._marks[position : position + count]


def region_of(form: Format) -> str:
    """Return whose national numbers the file holds."""
    return form.region or settings().DEFAULT_REGION


def read(
    layout: Layout, rows: Sequence[Row], width: int, phones: Sequence[Column], form: Format, marks: bytes
) -> Chunk:
    """Return the rows as contacts, as `columns.read` does; rows that are marked as left out are bad ones."""
    reasons = (
        {i: reason for i, mark in enumerate(marks) if (reason := other_systems.reason_of(mark))} if any(marks) else {}
    )
    taken = [[] if i in reasons else row for i, row in enumerate(rows)] if reasons else rows
    chunk = columns.read(layout, taken, width, phones, region_of(form), as_e164=bool(form.region))
    if not reasons:
        return chunk
    left_out = [BadRow(i, reason, {"limit": width}) for i, reason in reasons.items()]
    return replace(chunk, bad=sorted([*chunk.bad, *left_out], key=lambda bad: bad.at))


def numbers_that_refuse(rows: Sequence[Row], form: Format, marks: bytes) -> list[str]:
    """Return the numbers (E.164) of the rows that are marked as opted out; of one that may be two numbers, both."""
    if not any(mark & OPTED_OUT for mark in marks):
        return []
    region = region_of(form)
    return [
        number
        for row, mark in zip(rows, marks, strict=True)
        if mark & OPTED_OUT and len(row) > PHONE_COLUMN
        for number in phone.readings(row[PHONE_COLUMN], region)
    ]
