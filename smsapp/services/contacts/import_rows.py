"""The rows of an uploaded file of contacts: imported in chunks by a worker or a command; refused rows are stored."""

from __future__ import annotations

import csv
import datetime as dt
import io
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from smsapp.domain import other_systems
from smsapp.domain.cells import FORMULA, Row
from smsapp.domain.columns import BadRow
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.guesses import NOTE_MARK
from smsapp.domain.import_state import ImportState
from smsapp.domain.layout import Layout, layout_problems
from smsapp.domain.other_systems import OPT_OUT_NOTES, System
from smsapp.domain.rejection import Reason
from smsapp.domain.trust import Origin, Source
from smsapp.services.contacts import consents, import_segments, imports, marked_rows, opt_outs
from smsapp.services.contacts.imports import OpenedFile, Preview
from smsapp.services.contacts.marked_rows import Marks
from smsapp.services.platform.clock import Clock
from smsapp.services.platform.collector import collector_off
from smsapp.services.tables import reading, recognition
from smsapp.services.tables.formats import Format
from smsapp.store.apps import app_keys
from smsapp.store.apps.app_keys import Bad
from smsapp.store.contacts import contacts, property_catalogue
from smsapp.store.contacts import imports as store
from smsapp.store.contacts.imports import Import
from smsapp.store.db import current_session, writing

CHUNK = 10_000
"""Rows of one transaction."""
PIECE = 1000
"""Rows read and converted together; more would not fit the processor's cache (bench/contacts_import.py)."""
LEASE = dt.timedelta(seconds=60)
MOST_RAW = 1 << 16
"""Stored characters of a refused row: the file of refused rows can be imported again as it is."""
MOST_NOTED = 10_000
"""Rows without a usable number that are stored to be shown; all are counted."""

log = logging.getLogger(__name__)


@dataclass
class Tally:
    """The progress of a check."""

    rows: int = 0
    """Without blank ones, as Import.rows"""
    refused: int = 0
    merged: int = 0
    opted_out: int = 0
    without_number: int = 0
    read_bytes: int = 0


@dataclass
class TakenRows:
    """The rows of one transaction."""

    names: Sequence[str] = ()
    """The properties that the file's columns become."""
    count: int = 0
    read_bytes: int = 0
    fit: list[tuple[str, str, str]] = field(default_factory=list)
    """As `store/contacts.merge` takes them."""
    bad: list[Bad] = field(default_factory=list)
    without_number: list[tuple[str, Bad]] = field(default_factory=list)
    """(user id, the raw row)"""
    refusing: list[str] = field(default_factory=list)
    """Numbers (E.164) that are put on the opt-out list."""
    refusing_note: str = ""


def run(import_id: int, clock: Clock, tell: Callable[[Import], None] | None = None) -> None:
    """Import the remaining rows of a file; do nothing if another worker does.

    Each chunk's rows, refused rows and position are one transaction: a worker that dies loses nothing, and the next one
    repeats nothing. `tell` is called after each chunk.
    """
    now = clock()
    with writing() as session:
        if not store.claim_import(session, import_id, now, now + LEASE):
            return
    row = imports.found(import_id)
    current_session().refresh(row)
    try:
        with collector_off():
            failure = _run(row, clock, tell)
    except Refusal as refusal:
        failure = refusal.problems[0].code
    except FileNotFoundError:
        failure = "file_gone"
    if failure == "import_outrun":
        log.warning("import.outrun import=%d", import_id)
        return
    with writing() as session:
        state = ImportState.FAILED if failure else ImportState.DONE
        if not store.end_import(session, import_id, state, clock(), failure):
            return  # Another worker, which took the lease, has ended it.
        session.refresh(row)
        if row.segment_name and not failure:
            refused = frozenset(app_keys.bad_rows(session, refused_source(import_id)))
            import_segments.make(session, row, refused, clock())
    current_session().refresh(row)
    imports.drop_file(row)
    log.info("import.ended import=%d failure=%s rows=%d refused=%d", row.id, failure, row.rows, row.refused)


def _run(row: Import, clock: Clock, tell: Callable[[Import], None] | None) -> str:
    form, width = Format.from_json(row.format), row.mapping["width"]
    layout = Layout.from_json(row.mapping).renamed(property_catalogue.redirects(current_session()))
    now = clock()
    with writing() as session:
        types = {column.name: column.type for column in layout.columns}
        labels = {column.name: column.label for column in layout.columns}
        actual_types = property_catalogue.add_properties(session, types, now, labels)
        if actual_types != types:
            return "property_type_changed" if actual_types.keys() == types.keys() else "property_without_room"
    position, noted = row.position, row.without_number
    recognition.refuse_endless_text(imports.path_of(row), form)
    pieces = reading.chunks(imports.path_of(row), form, position, PIECE)
    marks = Marks(row.marks)
    while (chunk := _take(pieces, layout, form, width, position, marks)).count:
        counts = _write(row.id, chunk, position, clock(), max(0, MOST_NOTED - noted))
        if not counts:
            return "import_outrun"
        position += chunk.count
        noted += counts["without_number"]
        if tell is not None:
            current_session().refresh(row)
            tell(row)
    return ""


def _take(
    pieces: Iterator[tuple[list[Row], int]], layout: Layout, form: Format, width: int, position: int, marks: Marks
) -> TakenRows:
    """Read and convert one chunk; at the end of the file it is empty."""
    phones = layout.phones(property_catalogue.phone_properties(current_session()))
    chunk = TakenRows([column.name for column in layout.columns])
    chunk.refusing_note = OPT_OUT_NOTES.get(System(form.system), "") if form.system else ""
    for rows, chunk.read_bytes in itertools.islice(pieces, CHUNK // PIECE):
        marked = marks.of(position + chunk.count, len(rows))
        piece = marked_rows.read(layout, rows, width, phones, form, marked)
        chunk.refusing += marked_rows.numbers_that_refuse(rows, form, marked)
        chunk.bad += [_as_it_stands(form, position + chunk.count, rows, bad) for bad in piece.bad]
        chunk.without_number += [
            (xwho, _as_it_stands(form, position + chunk.count, rows, bad)) for xwho, bad in piece.without_number
        ]
        chunk.fit += piece.rows
        chunk.count += len(rows)
    return chunk


def _write(import_id: int, chunk: TakenRows, position: int, now: dt.datetime, room: int) -> dict[str, int]:
    """Write one chunk and return its counts; {} if another worker has written it.

    Of the rows without a usable number at most `room` are stored.
    """
    with writing() as session:
        added = contacts.merge(session, chunk.fit, Source(Origin.IMPORT, import_id, now).as_text(), now)
        consents.note_values([xwho for xwho, _values, _phones in chunk.fit], now, *chunk.names)
        # An empty cell changes nothing, so the contact may have had a number before.
        empty = [xwho for xwho, bad in chunk.without_number if bad.reason == Reason.NO_NUMBER]
        numbered = contacts.with_number(session, empty) if empty else frozenset[str]()
        bad_rows = [bad for xwho, bad in chunk.without_number if bad.reason != Reason.NO_NUMBER or xwho not in numbered]
        opt_outs.record_imported(session, chunk.refusing, chunk.refusing_note, now)
        merged = sum(bad.reason == Reason.MERGED for bad in chunk.bad)
        app_keys.add_bad_records(session, refused_source(import_id), chunk.bad, now, MOST_RAW)
        app_keys.add_bad_records(session, numbers_source(import_id), bad_rows[:room], now, MOST_RAW)
        counts = {
            "rows": chunk.count,
            "added": added,
            "changed": len(chunk.fit) - added,
            "refused": len(chunk.bad) - merged,
            "merged": merged,
            "opted_out": len(chunk.refusing),
            "without_number": len(bad_rows),
        }
        if not store.advance_import(session, import_id, position, now + LEASE, counts, chunk.read_bytes):
            session.rollback()
            return {}
    return counts


def _as_it_stands(form: Format, position: int, rows: Sequence[Row], bad: BadRow) -> Bad:
    raw = io.StringIO()
    csv.writer(raw, lineterminator="").writerow([cell.replace(FORMULA, "=") for cell in rows[bad.at]])
    return Bad(bad.reason, raw.getvalue(), {**bad.facts, "row": reading.row_number(form, position + bad.at)})


def check(
    file: OpenedFile, preview: Preview, layout: Layout | None, tally: Tally, tell: Callable[[Tally], None], most: int
) -> Iterator[Bad]:
    """Read the whole file, write nothing: yield the first `most` rows that would be left out, count all in `tally`."""
    width = len(preview.header)
    wrong = layout_problems(layout, preview.known, width)
    if layout is None or wrong:
        raise Refusal(*wrong)
    phones = layout.phones(property_catalogue.phone_properties(current_session()))
    recognition.refuse_endless_text(file.path, preview.form)
    marks, position = Marks(file.marks), 0
    for rows, tally.read_bytes in reading.chunks(file.path, preview.form, 0, CHUNK):
        marked = marks.of(position, len(rows))
        chunk = marked_rows.read(layout, rows, width, phones, preview.form, marked)
        for bad in chunk.bad[: max(0, most - tally.refused - tally.merged)]:
            yield _as_it_stands(preview.form, position, rows, bad)
        merged = sum(bad.reason is Reason.MERGED for bad in chunk.bad)
        position += len(rows)
        tally.rows += len(chunk.rows) + len(chunk.bad)
        tally.refused += len(chunk.bad) - merged
        tally.merged += merged
        tally.opted_out += len(marked_rows.numbers_that_refuse(rows, preview.form, marked))
        tally.without_number += len(chunk.without_number)
        tell(tally)


# Rows that were refused, or have no number


def refused_source(import_id: int) -> str:
    return f"import:{import_id}"


def numbers_source(import_id: int) -> str:
    return f"numbers:{import_id}"


@dataclass(frozen=True)
class KeptRow:
    """A row of the file, and why it is reported."""

    number: int
    reason: str
    facts: dict[str, object]
    cells: list[str]


def refused_rows(import_id: int) -> Iterator[KeptRow]:
    """Yield every refused row of an import, in the file's order."""
    return _kept_rows(refused_source(import_id))


def is_translated(row: Import) -> bool:
    """Return whether the rows are those of another system's file, and say less than the file did."""
    return row.format.get("system", "") in other_systems.TRANSLATED


def rows_to_correct(row: Import) -> Iterator[KeptRow]:
    """Yield the refused rows that may be corrected and imported again."""
    rows = refused_rows(row.id)
    return (kept for kept in rows if other_systems.is_correctable(kept.reason)) if is_translated(row) else rows


def rows_that_stay_out(row: Import) -> Iterator[KeptRow]:
    """Yield the other refused rows, and the merged ones: imported again they would undo what the file said."""
    rows = refused_rows(row.id) if is_translated(row) else iter(())
    return (kept for kept in rows if not other_systems.is_correctable(kept.reason))


def rows_without_number(import_id: int) -> Iterator[KeptRow]:
    """Yield the stored rows without a usable number, at most MOST_NOTED."""
    return _kept_rows(numbers_source(import_id))


def _kept_rows(source: str) -> Iterator[KeptRow]:
    after = 0
    while page := app_keys.bad_records_after(current_session(), source, after, 1000):
        for bad in page:
            cells = next(csv.reader(io.StringIO(bad.raw, newline="")), [])
            yield KeptRow(int(bad.facts.get("row", 0)), bad.reason, bad.facts, cells)
        after = page[-1].id
        current_session().expunge_all()


def headings_of(row: Import) -> list[str]:
    """Return the headings of the file or, if it had none, headings by which its columns are recognised."""
    if headings := row.mapping.get("headings"):
        return list(headings)
    if "columns" not in row.mapping:
        return []
    layout = Layout.from_json(row.mapping)
    names = [NOTE_MARK] * row.mapping["width"]
    names[layout.id] = "xwho"
    for column in layout.columns:
        names[column.index] = column.name
    return names


def table_of(
    row: Import, notes: tuple[str, str], rows: Iterator[tuple[KeptRow, str]], *, is_list: bool = False
) -> Iterator[Sequence[object]]:
    """Yield the rows of a file that can be imported again: two columns that an import ignores, then the file's own.

    `notes` are the headings of those two, the row's number and the reason; `rows` come with the reason as text. Of a
    list an import ignores all columns.
    """
    noted, headings = list(notes), headings_of(row)
    if is_list:
        noted, headings = [*noted, *headings], []
    yield [*[f"{NOTE_MARK} {note}" for note in noted], *headings]
    for kept_row, reason in rows:
        yield [kept_row.number, reason, *kept_row.cells]


def has_phone(row: Import) -> bool:
    """Return whether a column of the file holds the phone of some channel."""
    return "columns" in row.mapping and bool(
        Layout.from_json(row.mapping).phones(property_catalogue.phone_properties(current_session()))
    )


def unready(row: Import) -> Problem | None:
    """Return why an import broke off, None if it did not."""
    return Problem(row.failure, facts=row.preview.get("facts", {})) if row.failure else None
