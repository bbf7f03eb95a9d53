"""Segments from a file: a list of user ids, phone numbers or values of another property."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy.orm import Session

from smsapp.domain import phone
from smsapp.domain.cells import is_blank, whole_number
from smsapp.domain.contact import MAX_ID, Type
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.invisible import trimmed, visible
from smsapp.domain.rights import Right
from smsapp.domain.segment import EVERYONE, Kind
from smsapp.domain.storable import storable
from smsapp.services.contacts import number_searches, segments
from smsapp.services.contacts.segments import KnownProperty
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.tables import limited, reading
from smsapp.services.tables.formats import Format
from smsapp.store.contacts import property_catalogue, uploaded_lists
from smsapp.store.contacts import segments as rows
from smsapp.store.contacts.segments import Segment
from smsapp.store.contacts.uploaded_lists import Line, Staged
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

USER_ID = "xwho"
MAX_LINES = 1_000_000
KEPT_UNMATCHED = 1000
CHUNK = 10_000
MATCHABLE = (Type.STRING, Type.NUMBER)


def matchable() -> list[KnownProperty]:
    """Return the properties a list can be matched with, besides the user id."""
    return [property_ for property_ in segments.catalogue() if property_.type in MATCHABLE]


def upload(
    name: str,
    property: str,
    stream: BinaryIO,
    file_name: str,
    segment_id: int | None,
    *,
    by: Actor,
    now: dt.datetime,
    sees_full_numbers: bool = False,
) -> Segment:
    """Store the contacts that this file lists as a segment: a new one, or the new members of `segment_id`.

    CSV, TXT or XLSX; the column headed by the property's name, else the first. The first KEPT_UNMATCHED lines without a
    contact are stored to be shown. Raises Refusal and changes nothing then. Without the right to see whole numbers only
    LISTS_PER_DAY lists are matched by numbers, because a match reveals a number.
    """
    require(by, Right.SEGMENTS_WRITE)
    if property != USER_ID and property not in {property_.name for property_ in matchable()}:
        raise Refusal(Problem("segment_property_not_text", "property"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "list"
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        with limited.table(path) as (table, form), writing() as session:
            lines = _Lines(table, form, property)
            is_secret = lines.phone or segments.holds_numbers(property)
            if is_secret and not sees_full_numbers:
                number_searches.check_list(session, by, now)
            segment = segments.prepared(session, segment_id, name, Kind.UPLOADED, EVERYONE, by, now)
            _fill(session, segment, lines, property, file_name, now)
            action = number_searches.LIST if is_secret else "upload"
            facts = {"name": segment.name, "size": segment.size}
            audit_log.log_action(session, by, action, "segment", segment.id, now, **facts)
    return segment


def store_ids(name: str, user_ids: Sequence[str], source: str, *, by: Actor, now: dt.datetime) -> Segment:
    """Store the contacts with exactly these user ids as a new segment; `source` stands in the place of a file's name.

    Raises Refusal and changes nothing then.
    """
    require(by, Right.SEGMENTS_WRITE)
    with writing() as session:
        return make_of_ids(session, name, user_ids, source, by=by, now=now)


def make_of_ids(
    session: Session, name: str, user_ids: Iterable[str], source: str, *, by: Actor, now: dt.datetime
) -> Segment:
    """Do what `store_ids` does in the caller's transaction, who has asked for the right."""
    segment = segments.prepared(session, None, name, Kind.UPLOADED, EVERYONE, by, now)
    _fill(session, segment, _Ids(user_ids), USER_ID, source, now)
    facts = {"name": segment.name, "size": segment.size}
    audit_log.log_action(session, by, "upload", "segment", segment.id, now, **facts)
    return segment


def rule_of(file_name: str, property: str, lines: int, staged: Staged) -> dict[str, Any]:
    """Return what is stored in the place of a rule: where the members come from."""
    return {
        "source": {
            "file": file_name[-255:],
            "property": property,
            "lines": lines,
            "doubles": lines - staged.values,
            "matched": staged.matched,
            "unmatched": staged.values - staged.matched,
            "first_unmatched": staged.unmatched,
        }
    }


def _fill(
    session: Session, segment: Segment, lines: _Lines | _Ids, property: str, file_name: str, now: dt.datetime
) -> None:
    """Give a segment the contacts that these lines name."""
    member_ids = uploaded_lists.match(session, iter(lines), property, phone=lines.phone)
    staged = uploaded_lists.staged(session, KEPT_UNMATCHED)
    if not lines.count:
        raise Refusal(Problem("file_only_headings", "file"))
    segment.size, segment.computed_at = rows.fill(session, segment.id, member_ids), now
    uploaded_lists.forget(session)
    segment.rule = rule_of(file_name, property, lines.count, staged)


class _Ids:
    """User ids as lines; `count` is the number of those that are not empty, after reading."""

    phone = False

    def __init__(self, user_ids: Iterable[str]) -> None:
        self.count = 0
        self._user_ids = user_ids

    def __iter__(self) -> Iterator[Line]:
        for number, user_id in enumerate(self._user_ids, 1):
            value = visible(user_id)
            if value:
                self.count += 1
                yield Line(number, value, user_id)


class _Lines:
    """The lines of the file that are not empty; `count` is their number, after reading."""

    def __init__(self, path: Path, form: Format, property: str) -> None:
        self.count = 0
        self.ids = property == USER_ID
        self.phone = property in property_catalogue.phone_properties(current_session())
        headings = {property} | {
            property_.label for property_ in segments.catalogue() if property_.name == property and property_.label
        }
        rows = enumerate(reading.sample(path, form), 1)
        begin, row = next((number, row) for number, row in rows if number >= form.heading_row and not is_blank(row))
        cells = [trimmed(cell) for cell in row]
        self._column = next((i for i, cell in enumerate(cells) if cell.lower() in headings), 0)
        cell = cells[self._column]
        # The first line may be a heading or a value ("Beijing"): it counts as a value unless it surely is none.
        no_value = len(cells) > 1 or (self.phone and not self._number(cell))
        heading = cell.lower() in headings or (form.header and no_value)
        self._path, self._form = path, replace(form, heading_row=begin if heading else 0)

    def __iter__(self) -> Iterator[Line]:
        for number, row in reading.numbered(self._path, self._form, CHUNK):
            raw = storable(trimmed(row[self._column]), MAX_ID) if len(row) > self._column else ""
            if not raw:
                continue
            self.count += 1
            if self.count > MAX_LINES:
                raise Refusal(Problem("segment_file_too_long", "file", {"limit": MAX_LINES}))
            value = (self._number(raw) or raw) if self.phone else visible(raw) if self.ids else raw
            yield Line(number, value, raw)

    @staticmethod
    def _number(raw: str) -> str:
        return phone.normalise(whole_number(raw), settings().DEFAULT_REGION)
