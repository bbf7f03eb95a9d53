"""Files of contacts: upload, see what is in it, say what each column means, watch it come in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flask import Blueprint, Response, flash, request, stream_with_context, url_for
from flask_babel import gettext as _

from smsapp import words
from smsapp.domain.columns import ImportState
from smsapp.domain.contact import PHONE, Type, Unfit, property_name
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.guesses import Guess
from smsapp.domain.people import Role
from smsapp.services import clock, imports
from smsapp.services.imports import Preview
from smsapp.web import guard
from smsapp.web.filters import discreet
from smsapp.web.guard import needs, uploads
from smsapp.web.render import page, page_or_piece, see_other
from smsapp.words.contacts import in_words, why

bp = Blueprint("imports", __name__, url_prefix="/contacts/imports")

ROLES = ("ignore", "id", "phone", "id_phone", "property")


@bp.get("/")
@needs(Role.OPERATOR)
def index() -> Response:
    return page("contacts/imports.html", imports=imports.listed(), problems=[])


@bp.post("/")
@needs(Role.OPERATOR)
@uploads
def upload() -> Response:
    """Take a file and go on to its columns."""
    try:
        file = request.files.get("file")
        if file is None or not file.filename:
            raise Refusal(Problem("file_missing", "file"))
        row = imports.upload(file.stream, file.filename, guard.actor(), clock.now())
    except Refusal as refusal:
        problems = [words.sentence(problem) for problem in refusal.problems]
        return page("contacts/imports.html", 422, imports=imports.listed(), problems=problems)
    return see_other(url_for(".show", import_id=row.id))


@bp.get("/<int:import_id>")
@needs(Role.OPERATOR)
def show(import_id: int) -> Response:
    """The columns of a file that was not begun; how far it is afterwards."""
    row = imports.found(import_id)
    if row.state != ImportState.UPLOADED:
        alive = row.state in {ImportState.QUEUED, ImportState.RUNNING}
        failure = Problem(row.failure) if row.failure else None
        return page_or_piece("contacts/import.html", "contacts/_import.html", row=row, alive=alive, failure=failure)
    header = request.args.get("header")
    seen = imports.preview(row, None if header is None else header == "1")
    return _columns(import_id, seen, seen.guesses, [])


@bp.post("/<int:import_id>")
@needs(Role.OPERATOR)
def start(import_id: int) -> Response:
    """Begin with the columns as they were chosen; come back to the form if they do not do."""
    header = request.form.get("header") == "1"
    row = imports.found(import_id)
    if row.state == ImportState.UPLOADED:
        seen = imports.preview(row, header)
        chosen = _chosen(seen)
        layout = imports.layout_of(chosen, seen.header)
        try:
            imports.start(import_id, layout, header, guard.actor(), clock.now())
        except Refusal as refusal:
            return _columns(import_id, seen, chosen, refusal.problems)
    return see_other(url_for(".show", import_id=import_id))


@bp.post("/<int:import_id>/discard")
@needs(Role.OPERATOR)
def discard(import_id: int) -> Response:
    imports.discard(import_id, guard.actor(), clock.now())
    flash(_("The file was removed. Nothing was imported."), "info")
    return see_other(url_for(".index"))


@bp.get("/<int:import_id>/refused.csv")
@needs(Role.OPERATOR)
def refused(import_id: int) -> Response:
    """The rows that were not kept, with the reason, for a spreadsheet program."""
    row = imports.found(import_id)
    answer = Response(stream_with_context(imports.as_csv(_refused(row.id))), mimetype="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f"attachment; filename=refused-{import_id}.csv"
    return answer


def _refused(import_id: int) -> Iterator[Sequence[object]]:
    yield (_("Row"), _("Reason"), _("What the file says"))
    for number, reason, facts, raw in imports.refused_rows(import_id):
        yield (number, why(reason, facts), *map(discreet, imports.cells(raw)))


def _columns(import_id: int, seen: Preview, chosen: Sequence[Guess], problems: Sequence[Problem]) -> Response:
    row = imports.found(import_id)
    placed: dict[str, list[str]] = {}
    for problem in problems:
        said = words.sentence(Problem(problem.code, facts=in_words(problem.facts)))
        placed.setdefault(problem.place, []).append(said)
    return page(
        "contacts/columns.html",
        422 if problems else 200,
        row=row,
        seen=seen,
        chosen=chosen,
        header=_header(row.format, request.values.get("header")),
        roles=ROLES,
        types=tuple(Type),
        general=[text for place, texts in placed.items() if not place.startswith("column-") for text in texts],
        placed=placed,
    )


def _header(form: dict[str, object], asked: str | None) -> bool:
    if asked is None:
        return request.method != "POST" and bool(form["header"])
    return asked == "1"


def _chosen(seen: Preview) -> list[Guess]:
    """Return what the form says about each column; a column the form does not name is ignored."""
    chosen = []
    for i in range(len(seen.header)):
        role = request.form.get(f"role-{i}", "ignore")
        raw = request.form.get(f"name-{i}", "").strip()
        kind = request.form.get(f"type-{i}", "")
        if role in {"phone", "id_phone"}:
            chosen.append(Guess(role, PHONE, Type.STRING))
            continue
        name = _name(raw)
        known = seen.known.get(name)
        chosen.append(
            Guess(
                role if role in ROLES else "ignore", name, known or (Type(kind) if kind in set(Type) else Type.STRING)
            )
        )
    return chosen


def _name(raw: str) -> str:
    try:
        return property_name(raw)
    except Unfit:
        return raw
