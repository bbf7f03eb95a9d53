"""All that is stored about one person: a page to read, and JSON to hand over."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable

from flask import Response, stream_with_context

from smsapp.domain.rights import Right
from smsapp.labels.person_export import column, section
from smsapp.services.contacts import contacts
from smsapp.services.platform import clock
from smsapp.services.privacy import person_export
from smsapp.services.privacy.person_export import Line
from smsapp.web import guard
from smsapp.web.contacts import bp
from smsapp.web.filters import written_value
from smsapp.web.guard import needs
from smsapp.web.render import as_file, page

MOST_SHOWN = 1000
"""Rows of a section on the page; the JSON has all."""


@bp.post("/<long:contact_id>/data", endpoint="data")
@needs(Right.PRIVACY_WRITE)
def show(contact_id: int) -> Response:
    """Show all data of a person. A POST, because each look is a line of the audit log."""
    contact = contacts.contact(contact_id)
    sections = [
        (section(name), *_table(list(itertools.islice(lines, MOST_SHOWN))))
        for name, lines in person_export.export(contact.xwho, guard.actor(), clock.now())
    ]
    return page("contacts/data.html", contact=contact, sections=sections, most=MOST_SHOWN)


def _table(lines: Iterable[Line]) -> tuple[list[str], list[list[object]]]:
    """Return (headings, rows) of lines that may differ in what they have."""
    rows = list(lines)
    names = list(dict.fromkeys(name for line in rows for name in line))
    return [column(name) for name in names], [[written_value(line.get(name)) for name in names] for line in rows]


@bp.post("/<long:contact_id>/data.json", endpoint="data_json")
@needs(Right.PRIVACY_WRITE)
def download(contact_id: int) -> Response:
    """Stream all data of a person as JSON."""
    contact = contacts.contact(contact_id)
    now: dt.datetime = clock.now()
    parts = person_export.as_json(person_export.export(contact.xwho, guard.actor(), now), now)
    response = Response(stream_with_context(parts), content_type="application/json")
    as_file(response, f"person-{contact.id}.json")
    response.headers["Cache-Control"] = "no-store"
    return response
