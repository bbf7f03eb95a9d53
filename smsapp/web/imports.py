"""Files of contacts: upload, preview, meaning of each column, progress of the import."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from flask import Blueprint, Response, flash, request, stream_with_context, url_for
from flask_babel import gettext as _

from smsapp import labels
from smsapp.domain import csv_text
from smsapp.domain.contact import PHONE, Type, property_name
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.guesses import Guess
from smsapp.domain.import_state import ImportState
from smsapp.domain.other_systems import NAMES, System
from smsapp.domain.rejection import Unfit
from smsapp.domain.rights import Right
from smsapp.labels import contacts as contacts_labels
from smsapp.labels.contacts import in_words, why
from smsapp.services.contacts import import_rows, imports
from smsapp.services.contacts.import_rows import KeptRow
from smsapp.services.contacts.imports import ImportRow, Preview
from smsapp.services.platform import clock
from smsapp.services.tables.formats import CSV, DELIMITERS, ENCODINGS, Choice
from smsapp.web import guard
from smsapp.web.filters import mask_numbers_in, sees_full_numbers
from smsapp.web.guard import needs, uploads
from smsapp.web.render import as_file, page, page_or_piece, see_other, wants_piece

bp = Blueprint("imports", __name__, url_prefix="/contacts/imports")

ROLES = ("ignore", "id", "phone", "id_phone", "property")
SHOWN_ROWS = 20
"""Refused rows on the page of an import; the file has all."""
READING = ("encoding", "delimiter", "heading_row")
"""What a person may choose about the reading of a file."""


@bp.get("/")
@needs(Right.CONTACTS_IMPORT)
def index() -> Response:
    return _index()


@bp.post("/")
@needs(Right.CONTACTS_IMPORT)
@uploads
def upload() -> Response:
    """Take a file and go on to its columns."""
    try:
        file = request.files.get("file")
        if file is None or not file.filename:
            raise Refusal(Problem("file_missing", "file"))
        system = request.form.get("system", "")
        named_system = System(system) if system in set(System) else None
        row = imports.upload(file.stream, file.filename, guard.actor(), clock.now(), named_system)
    except Refusal as refusal:
        return _index(refusal.problems)
    return see_other(url_for(".show", import_id=row.id))


def _index(problems: Sequence[Problem] = ()) -> Response:
    return page(
        "contacts/imports.html",
        422 if problems else 200,
        imports=imports.listed(),
        problems=[labels.sentence(problem) for problem in problems],
        systems={System.TABLE.value: _("An ordinary table, whatever its headings are")}
        | {system.value: f"{name}: {labels.LABELS['System', system]}" for system, name in NAMES.items()},
        system=request.form.get("system", ""),
    )


@bp.get("/<int:import_id>")
@needs(Right.CONTACTS_IMPORT)
def show(import_id: int) -> Response:
    """Show the columns of a recognised file that is not being imported, else its progress."""
    row = imports.found(import_id)
    if row.state != ImportState.UPLOADED:
        return page_or_piece("contacts/import.html", "contacts/_import.html", **_progress(row))
    if wants_piece() and not any(name in request.args for name in READING):
        return see_other(url_for(".show", import_id=import_id))  # It was being recognised a moment ago.
    try:
        preview = imports.preview(row, _choice())
    except Refusal as refusal:
        preview = imports.preview(row)
        return _columns(row, preview, preview.guesses, refusal.problems)
    return _columns(row, preview, preview.guesses, [])


@bp.post("/<int:import_id>")
@needs(Right.CONTACTS_IMPORT)
def start(import_id: int) -> Response:
    """Start the import with the chosen columns; show the form again if they are refused."""
    row = imports.found(import_id)
    if row.state == ImportState.UPLOADED:
        choice = _choice()
        try:
            preview = imports.preview(row, choice)
        except Refusal as refusal:
            preview = imports.preview(row)
            return _columns(row, preview, preview.guesses, refusal.problems)
        guesses = _read_guesses(preview)
        layout = imports.layout_of(guesses, preview.header)
        try:
            segment_name = request.form.get("segment_name", "").strip()
            imports.start(import_id, layout, choice, guard.actor(), clock.now(), segment_name=segment_name)
        except Refusal as refusal:
            return _columns(row, preview, guesses, refusal.problems)
    return see_other(url_for(".show", import_id=import_id))


@bp.post("/<int:import_id>/discard")
@needs(Right.CONTACTS_IMPORT)
def discard(import_id: int) -> Response:
    imports.discard(import_id, guard.actor(), clock.now())
    flash(_("The file was removed. Nothing was imported."), "info")
    return see_other(url_for(".index"))


@bp.get("/<int:import_id>/refused.csv")
@needs(Right.CONTACTS_IMPORT)
@guard.long
def refused(import_id: int) -> Response:
    """Return the rows that were not kept, with the reason, to be corrected and imported again."""
    row = imports.found(import_id)
    return _table_file(row, import_rows.rows_to_correct(row), f"refused-{import_id}.csv")


@bp.get("/<int:import_id>/left-out.csv")
@needs(Right.CONTACTS_IMPORT)
@guard.long
def left_out(import_id: int) -> Response:
    """Return the rows of another system's file that stay out, with the reason, as a list that no import takes."""
    row = imports.found(import_id)
    return _table_file(row, import_rows.rows_that_stay_out(row), f"left-out-{import_id}.csv", is_list=True)


@bp.get("/<int:import_id>/without-number.csv")
@needs(Right.CONTACTS_IMPORT)
@guard.long
def without_number(import_id: int) -> Response:
    """Return the rows that were kept without a usable number, to be corrected and imported again."""
    row = imports.found(import_id)
    return _table_file(row, import_rows.rows_without_number(row.id), f"without-number-{import_id}.csv")


def _table_file(row: ImportRow, rows: Iterator[KeptRow], name: str, *, is_list: bool = False) -> Response:
    """Return a CSV file that can be imported as it is; numbers masked unless the reader sees them or uploaded it."""
    mine = row.created_by is not None and row.created_by == guard.actor().user_id
    lines = ((kept_row, why(kept_row.reason, kept_row.facts)) for kept_row in rows)
    table = import_rows.table_of(row, (_("Row"), _("Reason")), lines, is_list=is_list)
    if not (mine or sees_full_numbers()):
        table = ([mask_numbers_in(cell) if isinstance(cell, str) else cell for cell in line] for line in table)
    answer = Response(stream_with_context(csv_text.stream(table)), mimetype="text/csv; charset=utf-8")
    return as_file(answer, name)


def _progress(row: ImportRow) -> dict[str, object]:
    alive = row.state in {ImportState.RECEIVED, ImportState.QUEUED, ImportState.RUNNING}
    count_left_out = row.refused + row.merged
    refused_rows = (
        itertools.islice(import_rows.refused_rows(row.id), SHOWN_ROWS) if count_left_out and not alive else ()
    )
    rows = [(kept_row, why(kept_row.reason, kept_row.facts)) for kept_row in refused_rows]
    has_phone = import_rows.has_phone(row)
    return {
        "row": row,
        "alive": alive,
        "recognised": row.state != ImportState.RECEIVED,
        "done": row.state == ImportState.DONE,
        "failure": import_rows.unready(row),
        "left_out": count_left_out,
        "is_translated": import_rows.is_translated(row),
        "refused": rows,
        "has_phone": has_phone,
    }


def _choice() -> Choice:
    """Return how the query or form wants the file to be read."""
    heading_row = request.values.get("heading_row", "")
    return Choice(
        request.values.get("encoding") or None,
        request.values.get("delimiter") or None,
        int(heading_row) if heading_row.isascii() and heading_row.isdigit() and len(heading_row) < 4 else None,
    )


def _columns(row: ImportRow, preview: Preview, guesses: Sequence[Guess], problems: Sequence[Problem]) -> Response:
    sentences: dict[str, list[str]] = {}
    for problem in problems:
        sentence = labels.sentence(Problem(problem.code, facts=in_words(problem.facts)))
        sentences.setdefault(problem.place, []).append(sentence)
    return page_or_piece(
        "contacts/columns.html",
        "contacts/_columns.html",
        422 if problems else 200,
        row=row,
        seen=preview,
        chosen=guesses,
        is_csv=preview.form.kind == CSV,
        system=NAMES[System(preview.form.system)] if preview.form.system else "",
        may_make_segment=guard.may(Right.SEGMENTS_WRITE),
        segment_name=request.form.get("segment_name", ""),
        words=contacts_labels,
        encodings=ENCODINGS,
        delimiters=DELIMITERS,
        roles=ROLES,
        types=tuple(Type),
        general=[
            text for place, texts in sentences.items() if not place.startswith(("column-", "name")) for text in texts
        ],
        placed=sentences,
    )


def _read_guesses(preview: Preview) -> list[Guess]:
    """Return what the form says about each column; a column the form does not name is ignored."""
    guesses = []
    for i in range(len(preview.header)):
        role = request.form.get(f"role-{i}", "ignore")
        raw = request.form.get(f"name-{i}", "").strip()
        kind = request.form.get(f"type-{i}", "")
        if role in {"phone", "id_phone"}:
            guesses.append(Guess(role, PHONE, Type.STRING))
            continue
        name = _name(raw)
        known_type = preview.known.get(name)
        guesses.append(
            Guess(
                role if role in ROLES else "ignore",
                name,
                known_type or (Type(kind) if kind in set(Type) else Type.STRING),
            )
        )
    return guesses


def _name(raw: str) -> str:
    try:
        return property_name(raw)
    except Unfit:
        return raw
