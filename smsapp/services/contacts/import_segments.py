"""The people of an imported file as a segment, which is filled when the import ends."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Set

from sqlalchemy.orm import Session

from smsapp.domain import phone
from smsapp.domain.cells import whole_number
from smsapp.domain.errors import Refusal
from smsapp.domain.layout import Layout
from smsapp.services.contacts import imports, marked_rows, segments, uploaded_lists
from smsapp.services.platform.audit_log import Actor
from smsapp.services.tables import reading
from smsapp.services.tables.formats import Format
from smsapp.store.contacts import property_catalogue
from smsapp.store.contacts.imports import Import

BY = "import"
PIECE = 1000


def make(session: Session, row: Import, refused: Set[int], now: dt.datetime) -> None:
    """Store the contacts that a file brought as a segment, in the caller's transaction; without any there is none.

    `refused` are the numbers of the rows that were not kept.
    If somebody took its name meanwhile, the import's number is put behind it.
    """
    if not row.added + row.changed:
        return
    name = row.segment_name
    try:
        segments.free_name(session, name)
    except Refusal:
        name = f"{name[: segments.MAX_NAME - 12]} ({row.id})"
    by = Actor(BY, row.created_by)
    uploaded_lists.make_of_ids(session, name, _user_ids(session, row, refused), row.file_name, by=by, now=now)


def _user_ids(session: Session, row: Import, refused: Set[int]) -> Iterator[str]:
    form, layout = Format.from_json(row.format), Layout.from_json(row.mapping)
    phones = property_catalogue.phone_properties(session)
    is_number = any(column.index == layout.id for column in layout.phones(phones))
    position, region = 0, marked_rows.region_of(form)
    for rows, _read in reading.chunks(imports.path_of(row), form, 0, PIECE):
        first = reading.row_number(form, position)
        position += len(rows)
        for number, cells in enumerate(rows, first):
            if len(cells) > layout.id and number not in refused:
                yield phone.normalise(whole_number(cells[layout.id]), region) if is_number else cells[layout.id]
