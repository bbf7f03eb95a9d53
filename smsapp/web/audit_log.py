"""The audit log: filtered, page by page, and as a file."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request, stream_with_context
from flask_babel import get_timezone

from smsapp.domain import csv_text
from smsapp.domain.audit_filter import AuditFilter
from smsapp.domain.rights import Right
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.platform import audit_pages, clock, users
from smsapp.web import guard, inputs
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import as_file, page_or_piece

bp = Blueprint("audit_log", __name__, url_prefix="/audit-log")
MENU = MenuLine(_l("Audit log"), "audit_log.index", 99, "history", Right.AUDIT_READ, settings=True)
ONE_DAY = dt.timedelta(days=1)


@bp.get("/")
@needs(Right.AUDIT_READ)
def index() -> Response:
    """Show the entries that fit the filters, newest first."""
    wanted = _wanted(request.args)
    lines = audit_pages.audit_page(wanted, request.args.get("before", type=inputs.long_id))
    everybody = users.everybody()
    return page_or_piece(
        "users/audit_log.html",
        "users/_audit_log.html",
        lines=lines.rows,
        older=lines.next,
        wanted=wanted,
        chosen=_chosen(request.args),
        people=everybody,
        names={person.id: person.name or person.login for person in everybody},
        actions=audit_pages.audit_actions(),
        nouns=audit_pages.audit_nouns(),
    )


@bp.post("/export")
@needs(Right.AUDIT_READ)
def export() -> Response:
    """Stream the entries that fit the filters, oldest first: as CSV, or as JSON lines."""
    entries = audit_pages.export(_wanted(request.form), guard.actor(), clock.now())
    as_csv = request.form.get("format") == "csv"
    chunks = csv_text.stream(_table(entries)) if as_csv else _json_lines(entries)
    answer = Response(stream_with_context(chunks), mimetype="text/csv" if as_csv else "application/x-ndjson")
    as_file(answer, "audit-log.csv" if as_csv else "audit-log.jsonl")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _table(entries: Iterator[dict[str, object]]) -> Iterator[list[object]]:
    yield list(audit_pages.COLUMNS)
    for entry in entries:
        values = entry | {"facts": json.dumps(entry["facts"], ensure_ascii=False)}
        yield ["" if value is None else value for value in values.values()]


def _json_lines(entries: Iterator[dict[str, object]]) -> Iterator[str]:
    return (json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)


def _chosen(fields: Any) -> dict[str, str]:
    """Return the filters as they stand in an address."""
    names = ("person", "action", "noun", "address", "from", "to")
    return {name: value for name in names if (value := fields.get(name, "").strip()[:60])}


def _wanted(fields: Any) -> AuditFilter:
    chosen = _chosen(fields)
    last = _day(chosen.get("to", ""))
    return AuditFilter(
        user_id=fields.get("person", type=inputs.id_),
        action=chosen.get("action", ""),
        noun=chosen.get("noun", ""),
        address=chosen.get("address", ""),
        since=_day(chosen.get("from", "")),
        until=last + ONE_DAY if last else None,
    )


def _day(text: str) -> dt.datetime | None:
    """Return the beginning of a day for the reader; None if it is no day."""
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return dt.datetime.combine(day, dt.time(), get_timezone() or dt.UTC)
