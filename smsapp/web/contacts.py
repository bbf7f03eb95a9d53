"""The list of contacts, the page of one, and the records that could not be kept."""

from __future__ import annotations

from flask import Blueprint, Response, request, url_for
from flask_babel import lazy_gettext as _l

from smsapp.domain.contact import Reason
from smsapp.domain.roles import Role
from smsapp.labels import reports as report_words
from smsapp.labels.contacts import why
from smsapp.services.contacts import contacts, number_searches, proposals, value_sources
from smsapp.services.contacts.proposals import Chosen
from smsapp.services.platform import clock
from smsapp.web import guard, inputs
from smsapp.web.filters import sees_full_numbers
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece

bp = Blueprint("contacts", __name__, url_prefix="/contacts")
MENU = MenuLine(_l("Contacts"), "contacts.index", 20, "users")

REASONS = tuple(Reason)


@bp.route("/", methods=["GET", "POST"])
@needs(Role.VIEWER)
def index() -> Response:
    """Contacts, newest first. The search is sent as a form: a phone number does not belong into an address."""
    search = request.form.get("search", "").strip()[:254]
    if not sees_full_numbers() and "before" not in request.values:
        number_searches.note_search(search, guard.actor(), clock.now())
    found = contacts.listed(
        search, request.values.get("before", type=inputs.long_id), sees_full_numbers=sees_full_numbers()
    )
    return page_or_piece(
        "contacts/index.html",
        "contacts/_list.html",
        found=found,
        search=search,
        sees_full_numbers=sees_full_numbers(),
        numbers=contacts.numbers(found.rows),
        opted_out=contacts.opted_out(found.rows),
        paged="before" in request.values,
        may_see_properties=guard.may(Role.OPERATOR),
    )


@bp.get("/<long:contact_id>")
def show(contact_id: int) -> Response:
    found = contacts.contact(contact_id)
    return page(
        "contacts/show.html",
        contact=found,
        facts=contacts.facts(found),
        sources=value_sources.described(found.sources),
        proposed=bool(proposals.page(Chosen(contact_id=found.id)).rows),
        numbers=contacts.numbers([found])[found.id],
        anonymous=contacts.anonymous_ids(found),
        opt_outs={one.phone: one for one in contacts.opt_outs_of(found)},
        contacted=contacts.contacted(found),
        replies=contacts.replied(found),
        words=report_words,
    )


@bp.get("/refused")
def refused() -> Response:
    """Records that could not be kept, with the reason, for seven days."""
    reason, source = request.args.get("reason", ""), request.args.get("source", "")
    rows = contacts.bad_records(source, reason, before=request.args.get("before", type=inputs.long_id))
    more = len(rows) > contacts.PAGE
    rows = rows[: contacts.PAGE]
    older = url_for(".refused", reason=reason or None, source=source or None, before=rows[-1].id) if more else ""
    return page_or_piece(
        "contacts/refused.html",
        "contacts/_refused.html",
        rows=rows,
        why=why,
        reasons=REASONS,
        reason=reason,
        source=source,
        older=older,
        days=contacts.BAD_RECORD_DAYS,
    )
