"""Files of contacts: uploaded, looked at, mapped, and taken in chunk by chunk by a worker or a command."""

from __future__ import annotations

import csv
import datetime as dt
import gc
import io
import itertools
import logging
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO

from smsapp.domain import columns, guesses
from smsapp.domain.columns import ImportState, Layout, Row
from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.guesses import Guess
from smsapp.domain.trust import Origin, Source
from smsapp.services import sheets, trail
from smsapp.services.sheets import Format
from smsapp.services.trail import Actor
from smsapp.store import contacts, intake, queue
from smsapp.store.db import session, writing
from smsapp.store.intake import Bad, Import
from smsapp.store.settings import settings

CHUNK = 10_000
"""Rows of one transaction."""
PIECE = 1000
"""Rows read and converted together: of ten times as many the cells leave the processor's cache: a sixth slower."""
LEASE = dt.timedelta(seconds=60)
SAMPLES = 100
SHOWN = 5
FORGOTTEN_DAYS = 7
"""How long a file waits that was uploaded and never imported."""

log = logging.getLogger(__name__)

ImportRow = Import
Clock = Callable[[], dt.datetime]


@dataclass(frozen=True)
class Preview:
    """The beginning of a file: headings, first rows (of equal width), and what each column probably is."""

    form: Format
    header: list[str]
    rows: list[list[str]]
    guesses: list[Guess]
    known: dict[str, Type]


@dataclass
class Tally:
    """How far a check has come."""

    rows: int = 0
    refused: int = 0
    read_bytes: int = 0


@dataclass
class Taken:
    """Rows on their way into one transaction."""

    count: int = 0
    read_bytes: int = 0
    fit: list[tuple[str, str, str]] = field(default_factory=list)
    """As `store/contacts.merge` takes them."""
    bad: list[Bad] = field(default_factory=list)


def listed() -> list[Import]:
    """Return the newest imports first."""
    return intake.imports()


def found(import_id: int) -> Import:
    """Return the import; raise NotFound."""
    row = intake.import_(import_id)
    if row is None:
        raise NotFound("import")
    return row


def path_of(row: Import) -> Path:
    return settings().INSTANCE_DIR / "uploads" / row.path


def upload(stream: IO[bytes], file_name: str, by: Actor, now: dt.datetime) -> Import:
    """Keep an uploaded file and recognise what it is; raise Refusal if it is no table."""
    folder = settings().INSTANCE_DIR / "uploads"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"contacts-{secrets.token_hex(12)}"
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        return register(path, file_name, by, now, kept_as=path.name)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def register(path: Path, file_name: str, by: Actor, now: dt.datetime, kept_as: str) -> Import:
    """Enter a file that is there already; `kept_as` is its path from the uploads folder, or an absolute one."""
    row = Import(
        file_name=file_name[-255:] or "?",
        path=kept_as,
        format=sheets.recognise(path).as_json(),
        state=ImportState.UPLOADED,
        size=path.stat().st_size,
        created_by=by.person_id,
        created_at=now,
    )
    with writing() as current:
        current.add(row)
        current.flush()
        trail.note(current, by, "upload", "import", row.id, now, file=row.file_name)
    return row


def preview(row: Import, header: bool | None = None) -> Preview:
    """Return the beginning of the file; `header` overrules what was recognised about the first row."""
    return _look(path_of(row), Format.from_json(row.format), header)


def look(path: Path, header: bool | None = None) -> Preview:
    """Return the beginning of a file that is not entered as an import; raise Refusal if it is no table."""
    return _look(path, sheets.recognise(path), header)


def _look(path: Path, form: Format, header: bool | None) -> Preview:
    if header is not None:
        form = replace(form, header=header)
    known = contacts.property_types()
    headings, rows = sheets.head(path, form, SAMPLES)
    guessed = guesses.guesses(headings, rows, known, contacts.labels())
    width = len(headings)
    shown = [[*cells, *[""] * (width - len(cells))] for cells in rows[:SHOWN]]
    return Preview(form, headings, shown, guessed, known)


def layout_of(guessed: Sequence[Guess], header: Sequence[str]) -> Layout | None:
    """Return what was guessed as a layout; None if no column can be the user id."""
    ids = [i for i, guess in enumerate(guessed) if guess.role in {"id", "id_phone"}]
    held = tuple(
        columns.Column(i, guess.name, guess.type, header[i].strip()[:125])
        for i, guess in enumerate(guessed)
        if guess.role in {"property", "phone", "id_phone"}
    )
    return Layout(ids[0], held) if ids else None


def start(
    import_id: int, layout: Layout | None, header: bool, by: Actor, now: dt.datetime, *, ring: bool = True
) -> None:
    """Hand an uploaded file with its layout to a worker; raise Refusal if the layout does not do."""
    with writing() as current:
        row = found(import_id)
        if row.state != ImportState.UPLOADED:
            raise Refusal(Problem("import_begun"))
        form = replace(Format.from_json(row.format), header=header)
        headings, _rows = sheets.head(path_of(row), form, 1)
        wrong = columns.problems(layout, contacts.property_types(), len(headings))
        if layout is None or wrong:
            raise Refusal(*wrong)
        row.format = form.as_json()
        row.mapping = layout.as_json() | {"width": len(headings)}
        row.state = ImportState.QUEUED
        trail.note(current, by, "import", "import", row.id, now, file=row.file_name)
    if ring:
        queue.ring(queue.CHORES, "import_contacts", import_id)


def run(import_id: int, clock: Clock, tell: Callable[[Import], None] | None = None) -> None:
    """Take the rows of a file that are not in yet; nothing happens if another worker is at it.

    Each chunk's rows, refused rows and position are one transaction: a worker that dies loses nothing and the next one
    does nothing twice. `tell` is called after each chunk.
    """
    now = clock()
    with writing() as current:
        if not intake.claim_import(current, import_id, now, now + LEASE):
            return
    row = found(import_id)
    session().refresh(row)
    try:
        with _collector_at_rest():
            failure = _run(row, clock, tell)
    except Refusal as refusal:
        failure = refusal.problems[0].code
    except FileNotFoundError:
        failure = "file_gone"
    if failure == "import_outrun":
        log.warning("import.outrun import=%d", import_id)
        return
    with writing() as current:
        intake.end_import(current, import_id, ImportState.FAILED if failure else ImportState.DONE, clock(), failure)
    session().refresh(row)
    _drop_file(row)
    log.info("import.ended import=%d failure=%s rows=%d refused=%d", row.id, failure, row.position, row.refused)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Keep the cycle collector from looking at millions of cells that hold no cycles: a quarter of the whole time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _run(row: Import, clock: Clock, tell: Callable[[Import], None] | None) -> str:
    form, width = Format.from_json(row.format), row.mapping["width"]
    layout = Layout.from_json(row.mapping).renamed(contacts.redirects())
    now = clock()
    with writing() as current:
        types = {one.name: one.type for one in layout.columns}
        labels = {one.name: one.label for one in layout.columns}
        really = contacts.add_properties(current, types, now, labels)
        if really != types:
            return "property_type_changed" if really.keys() == types.keys() else "property_without_room"
    position = row.position
    pieces = sheets.chunks(path_of(row), form, position, PIECE)
    while (taken := _take(pieces, layout, form, width, position)).count:
        if not _write(row.id, taken, position, clock()):
            return "import_outrun"
        position += taken.count
        if tell is not None:
            session().refresh(row)
            tell(row)
    return ""


def _take(pieces: Iterator[tuple[list[Row], int]], layout: Layout, form: Format, width: int, position: int) -> Taken:
    """Read and convert one chunk; nothing is left of the file at its end."""
    phones = layout.phones(contacts.phone_properties(session()))
    taken = Taken()
    for rows, taken.read_bytes in itertools.islice(pieces, CHUNK // PIECE):
        piece = columns.read(layout, rows, width, phones, settings().DEFAULT_REGION)
        taken.bad += [_refused(form, position + taken.count, rows, one) for one in piece.bad]
        taken.fit += piece.rows
        taken.count += len(rows)
    return taken


def _write(import_id: int, taken: Taken, position: int, now: dt.datetime) -> bool:
    """Write one chunk; False if another worker has written it."""
    with writing() as current:
        added = contacts.merge(current, taken.fit, Source(Origin.IMPORT, import_id, now).as_text(), now)
        intake.add_bad(current, f"import:{import_id}", taken.bad, now)
        counts = {
            "rows": taken.count,
            "added": added,
            "changed": len(taken.fit) - added,
            "refused": len(taken.bad),
        }
        if not intake.advance_import(current, import_id, position, now + LEASE, counts, taken.read_bytes):
            current.rollback()
            return False
    return True


def _refused(form: Format, position: int, rows: Sequence[Row], bad: columns.BadRow) -> Bad:
    raw = io.StringIO()
    csv.writer(raw, lineterminator="").writerow([cell.replace(columns.FORMULA, "=") for cell in rows[bad.at] or ()])
    return Bad(bad.reason, raw.getvalue(), {**bad.facts, "row": sheets.row_number(form, position + bad.at)})


def check(
    path: Path, seen: Preview, layout: Layout | None, tally: Tally, tell: Callable[[Tally], None], most: int
) -> Iterator[Bad]:
    """Read the whole file, write nothing: yield the first `most` rows that would be refused, count all in `tally`."""
    width = len(seen.header)
    wrong = columns.problems(layout, seen.known, width)
    if layout is None or wrong:
        raise Refusal(*wrong)
    phones = layout.phones(contacts.phone_properties(session()))
    for rows, tally.read_bytes in sheets.chunks(path, seen.form, 0, CHUNK):
        chunk = columns.read(layout, rows, width, phones, settings().DEFAULT_REGION)
        for one in chunk.bad[: max(0, most - tally.refused)]:
            yield _refused(seen.form, tally.rows, rows, one)
        tally.rows += len(rows)
        tally.refused += len(chunk.bad)
        tell(tally)


def cells(raw: str) -> list[str]:
    """Return the cells of a refused row as it was kept; of one that was cut off, those that are there."""
    return next(csv.reader(io.StringIO(raw, newline="")), [])


def refused_rows(import_id: int) -> Iterator[tuple[int, str, dict[str, object], str]]:
    """Yield (row, reason, facts, raw) of every refused row, a page at a time."""
    after = 0
    while page := intake.bad_rows_of(import_id, after, 1000):
        for bad in page:
            yield int(bad.facts.get("row", 0)), bad.reason, bad.facts, bad.raw
        after = page[-1].id
        session().expunge_all()


def as_csv(rows: Iterator[Sequence[object]]) -> Iterator[str]:
    """Yield a CSV file in pieces, with a mark that makes spreadsheet programs read it as UTF-8.

    A cell that a spreadsheet program would run as a formula gets an apostrophe in front.
    """
    yield "\ufeff"
    buffer = io.StringIO()
    out = csv.writer(buffer)
    for row in rows:
        out.writerow([_harmless(cell) for cell in row])
        if buffer.tell() > 1 << 15:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def _harmless(cell: object) -> object:
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + cell
    return cell


def discard(import_id: int, by: Actor, now: dt.datetime) -> None:
    """Remove an uploaded file that was not begun."""
    with writing() as current:
        row = found(import_id)
        if row.state != ImportState.UPLOADED:
            raise Refusal(Problem("import_begun"))
        current.delete(row)
        trail.note(current, by, "discard", "import", import_id, now, file=row.file_name)
    _drop_file(row)


def sweep(now: dt.datetime) -> int:
    """Ring again for imports whose worker fell silent, and forget old uploads nobody began; return how many rings."""
    stranded = intake.stranded_imports(now)
    for import_id in stranded:
        queue.ring(queue.CHORES, "import_contacts", import_id)
    old = intake.forgotten_uploads(now - dt.timedelta(days=FORGOTTEN_DAYS))
    if old:
        with writing() as current:
            for row in old:
                current.delete(row)
        for row in old:
            _drop_file(row)
    return len(stranded)


def _drop_file(row: Import) -> None:
    """Remove our own copy of a file; a file that a command named stays where it is."""
    if not Path(row.path).is_absolute():
        path_of(row).unlink(missing_ok=True)
