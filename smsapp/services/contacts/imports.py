"""Files of contacts: uploaded, recognised by a worker, previewed, mapped, and imported by a worker."""

from __future__ import annotations

import datetime as dt
import logging
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from smsapp.domain import guesses, other_systems
from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.guesses import Guess
from smsapp.domain.import_state import ImportState
from smsapp.domain.invisible import trimmed
from smsapp.domain.layout import Column, Layout, layout_problems
from smsapp.domain.other_systems import System
from smsapp.domain.rights import Right
from smsapp.services.contacts import segments, upload_files
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.collector import collector_off
from smsapp.services.tables import limited, reading, recognition, translating
from smsapp.services.tables.formats import Choice, Format
from smsapp.services.tables.limited import Wanted
from smsapp.store import queue
from smsapp.store.contacts import imports as store
from smsapp.store.contacts import property_catalogue
from smsapp.store.contacts.imports import Import
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

SHOWN = 5
FORGOTTEN_DAYS = 2
"""After so many days an uploaded file that was never imported is removed."""
MOST_WAITING, MOST_WAITING_MIB = 10, 1024
"""How many uploaded files a person may have before their import, and how large they may be together."""
RECOGNITION_LEASE = dt.timedelta(minutes=5)
UNCHANGED = Choice()

log = logging.getLogger(__name__)

ImportRow = Import


@dataclass(frozen=True)
class Preview:
    """The beginning of a file: headings, first rows (of equal width), and a guess for each column."""

    form: Format
    header: list[str]
    rows: list[list[str]]
    guesses: list[Guess]
    known: dict[str, Type]
    top: list[list[str]]
    """The file's first rows, unchanged, among which a person chooses the headings."""


@dataclass(frozen=True)
class OpenedFile:
    """A file of this machine as a table: the file itself, or what became of another system's."""

    path: Path
    form: Format
    marks: bytes
    """As in Import.marks"""


def listed() -> list[Import]:
    """Return the newest imports first."""
    return store.imports(current_session())


def found(import_id: int) -> Import:
    """Return the import; raise NotFound."""
    row = store.find(current_session(), import_id)
    if row is None:
        raise NotFound("import")
    return row


def waiting() -> list[Import]:
    """Return the imports of uploaded files that nobody has started."""
    return store.abandoned_uploads(current_session(), None)


def count_unfinished(before: dt.datetime | None = None) -> int:
    """Return how many files are being imported, of those uploaded before that moment."""
    return store.count_unfinished(current_session(), before)


def path_of(row: Import) -> Path:
    return upload_files.folder() / row.path


def upload(stream: IO[bytes], file_name: str, by: Actor, now: dt.datetime, system: System | None = None) -> Import:
    """Store an uploaded file and enqueue its recognition; raise Refusal if too many of this person's files wait.

    `system` is what the person says the file is from.
    """
    require(by, Right.CONTACTS_IMPORT)
    count, size = store.waiting(current_session(), by.user_id)
    if count >= MOST_WAITING or size >= MOST_WAITING_MIB << 20:
        raise _over_quota(count, size)
    path = upload_files.new_path()
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        size = path.stat().st_size
        row = Import(path=path.name, state=ImportState.RECEIVED, size=size, system=system or "")
        row = _enter(row, file_name, by, now)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    queue.enqueue(queue.PERIODIC, "recognise_import", row.id)
    return row


def _over_quota(count: int, size: int) -> Refusal:
    return Refusal(Problem("uploads_waiting", "file", {"count": count, "mib": size >> 20}))


def _refuse_grown_over_quota(row: Import, table: Path) -> None:
    """Raise Refusal if this person's files are too large together once this one is unpacked."""
    count, size = store.waiting(current_session(), row.created_by)
    size += table.stat().st_size - row.size
    if size > MOST_WAITING_MIB << 20:
        raise _over_quota(count, size)


@contextmanager
def opened(path: Path, system: System | None = None) -> Iterator[OpenedFile]:
    """Recognise a file of this machine for a command; raise Refusal if it is no table.

    What became of another system's file is removed afterwards.
    """
    target = upload_files.new_path()
    try:
        with collector_off():
            translated = translating.translate(path, target, system, settings().DEFAULT_REGION)
        marks = zlib.compress(translated.marks) if translated.marks else b""
        yield OpenedFile(target if target.exists() else path, translated.form, marks)
    finally:
        target.unlink(missing_ok=True)


def register(file: OpenedFile, file_name: str, by: Actor, now: dt.datetime, choice: Choice = UNCHANGED) -> Import:
    """Add an import of a file of this machine for a command; raise Refusal for a bad choice."""
    require(by, Right.CONTACTS_IMPORT)
    is_ours = file.path.parent == upload_files.folder()
    return _enter(
        Import(
            path=file.path.name if is_ours else str(file.path.resolve()),
            format=recognition.rechosen(file.path, file.form, choice).as_json(),
            preview={"rows": reading.sample(file.path, file.form)},
            marks=file.marks or None,
            system=file.form.system,
            state=ImportState.UPLOADED,
            size=file.path.stat().st_size,
        ),
        file_name,
        by,
        now,
    )


def _enter(row: Import, file_name: str, by: Actor, now: dt.datetime) -> Import:
    row.file_name, row.created_by, row.created_at = file_name[-255:] or "?", by.user_id, now
    with writing() as session:
        session.add(row)
        session.flush()
        audit_log.log_action(session, by, "upload", "import", row.id, now, file=row.file_name)
    return row


def recognise(import_id: int, now: dt.datetime) -> None:
    """Recognise the format of an uploaded file and store its first rows; do nothing if another worker does.

    The import of a file that is no table becomes FAILED, and the file is removed.
    """
    with writing() as session:
        if not store.claim_recognition(session, import_id, now, now + RECOGNITION_LEASE):
            return
    row = found(import_id)
    path, state, failure, marks = path_of(row), ImportState.UPLOADED, "", b""
    form, preview = dict[str, object](), dict[str, object]()
    table = upload_files.table_path(path)
    try:
        wanted = Wanted(str(table), translate=True, system=row.system, region=settings().DEFAULT_REGION)
        recognised = limited.recognise(path, wanted)
        if table.exists():
            _refuse_grown_over_quota(row, table)
        form, preview, marks = recognised.form.as_json(), {"rows": recognised.rows}, recognised.marks
    except Refusal as refusal:
        upload_files.remove_tables(path)
        problem = refusal.problems[0]
        state, failure, preview = ImportState.FAILED, problem.code, {"facts": dict(problem.facts)}
    values: dict[str, object] = {"format": form, "preview": preview, "failure": failure, "marks": marks or None}
    if table.exists():
        values |= {"path": table.name, "size": table.stat().st_size}
    with writing() as session:
        is_ended = store.end_recognition(session, import_id, state, values)
    current_session().expire_all()
    if not is_ended and store.find(current_session(), import_id) is None:  # A person has discarded it meanwhile.
        upload_files.remove_tables(path)
        path.unlink(missing_ok=True)
    elif is_ended and (failure or table.exists()):
        path.unlink(missing_ok=True)
    log.info("import.recognised import=%d failure=%s", import_id, failure)


def preview(row: Import, choice: Choice = UNCHANGED) -> Preview:
    """Return the stored beginning of the file, or read it anew with a person's choice; raise Refusal for a bad one.

    At most the file's first million bytes are read.
    """
    recognised = Format.from_json(row.format)
    form = recognition.rechosen(path_of(row), recognised, choice)
    if (form.encoding, form.delimiter) == (recognised.encoding, recognised.delimiter):
        return _preview(row.preview["rows"], form)
    rows = reading.sample(path_of(row), form)
    if choice.heading_row is None:
        form = recognition.with_headings(form, rows)
    return _preview(rows, form)


def look(file: OpenedFile, choice: Choice = UNCHANGED) -> Preview:
    """Return the beginning of a file without an import; raise Refusal for a bad choice."""
    form = recognition.rechosen(file.path, file.form, choice)
    rows = reading.sample(file.path, form)
    return _preview(rows, form if choice.heading_row is not None else recognition.with_headings(form, rows))


def _preview(rows: Sequence[Sequence[str]], form: Format) -> Preview:
    property_types = property_catalogue.property_types(current_session())
    headings, below = reading.parted(rows, form)
    guessed = guesses.guesses(headings, below, property_types, property_catalogue.labels(current_session()))
    if form.system == System.NOTIFY and not other_systems.missing(System.NOTIFY, headings):
        guessed = other_systems.as_phone(headings, guessed)
    width = len(headings)
    rows_shown = [[*cells, *[""] * (width - len(cells))] for cells in below[:SHOWN]]
    return Preview(form, headings, rows_shown, guessed, property_types, [list(row) for row in rows[:SHOWN]])


def layout_of(guessed: Sequence[Guess], header: Sequence[str]) -> Layout | None:
    """Return the guesses as a layout; None if no column can be the user id."""
    ids = [i for i, guess in enumerate(guessed) if guess.role in {"id", "id_phone"}]
    properties = tuple(
        Column(i, guess.name, guess.type, trimmed(header[i])[:125])
        for i, guess in enumerate(guessed)
        if guess.role in {"property", "phone", "id_phone"}
    )
    return Layout(ids[0], properties) if ids else None


def start(
    import_id: int,
    layout: Layout | None,
    choice: Choice,
    by: Actor,
    now: dt.datetime,
    *,
    segment_name: str = "",
    ring: bool = True,
) -> None:
    """Store the layout of an uploaded file and enqueue its import; raise Refusal if the layout is wrong.

    With a name the contacts that the file brings become a segment when the import ends.
    """
    require(by, Right.CONTACTS_IMPORT)
    if segment_name:
        require(by, Right.SEGMENTS_WRITE)
    row = found(import_id)
    if row.state != ImportState.UPLOADED:
        raise Refusal(Problem("import_begun"))
    beginning = preview(row, choice)
    with writing() as session:
        current_session().refresh(row)
        if row.state != ImportState.UPLOADED:
            raise Refusal(Problem("import_begun"))
        problems = layout_problems(layout, property_catalogue.property_types(session), len(beginning.header))
        if layout is None or problems:
            raise Refusal(*problems)
        row.segment_name = segments.free_name(session, segment_name) if segment_name.strip() else ""
        row.format = beginning.form.as_json()
        row.mapping = layout.as_json() | {
            "width": len(beginning.header),
            "headings": beginning.header if beginning.form.header else [],
        }
        row.state = ImportState.QUEUED
        audit_log.log_action(session, by, "import", "import", row.id, now, file=row.file_name)
    if ring:
        queue.enqueue(queue.PERIODIC, "import_contacts", import_id)


def discard(import_id: int, by: Actor, now: dt.datetime) -> None:
    """Remove an uploaded file whose import has not begun."""
    require(by, Right.CONTACTS_IMPORT)
    with writing() as session:
        row = found(import_id)
        if row.state not in store.BEGUN_NOT:
            raise Refusal(Problem("import_begun"))
        session.delete(row)
        audit_log.log_action(session, by, "discard", "import", import_id, now, file=row.file_name)
    drop_file(row)


def sweep(now: dt.datetime) -> int:
    """Enqueue stranded imports again, and remove old uploads that nobody imported; return how many were enqueued."""
    stranded = store.stranded_imports(current_session(), now)
    for import_id in stranded:
        queue.enqueue(queue.PERIODIC, "import_contacts", import_id)
    unrecognised = store.stranded_recognitions(current_session(), now)
    for import_id in unrecognised:
        queue.enqueue(queue.PERIODIC, "recognise_import", import_id)
    forgotten = now - dt.timedelta(days=FORGOTTEN_DAYS)
    drop_abandoned(forgotten)
    upload_files.remove_nameless(forgotten)
    return len(stranded) + len(unrecognised)


def drop_abandoned(before: dt.datetime) -> int:
    """Remove files uploaded before that moment that nobody imported; return how many."""
    stale = store.abandoned_uploads(current_session(), before)
    if stale:
        with writing() as session:
            for row in stale:
                session.delete(row)
        for row in stale:
            drop_file(row)
    return len(stale)


def drop_file(row: Import) -> None:
    """Remove our own copy of a file; a file that a command named stays."""
    if not Path(row.path).is_absolute():
        path_of(row).unlink(missing_ok=True)
