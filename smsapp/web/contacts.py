"""The list of contacts, the page of one, and the records that could not be kept."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, request, url_for

from smsapp.domain.rejection import Reason
from smsapp.domain.rights import Right
from smsapp.labels import reports as report_words
from smsapp.labels.contacts import why
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.contacts import consents, contacts, number_searches, proposals, value_sources
from smsapp.services.contacts.proposals import Chosen
from smsapp.services.platform import clock, keyset_page
from smsapp.web import guard, inputs
from smsapp.web.filters import sees_full_numbers
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece

bp = Blueprint("contacts", __name__, url_prefix="/contacts")
MENU = MenuLine(_l("Contacts"), "contacts.index", 20, "users")

REASONS = tuple(Reason)


@bp.route("/", methods=["GET", "POST"])
@needs(Right.WORK_VIEW)
def index() -> Response:
    """List contacts, newest first. The search is sent by POST: a phone number must not be in an address."""
    search = request.form.get("search", "").strip()[:254]
    if not sees_full_numbers() and "before" not in request.values:
        number_searches.note_search(search, guard.actor(), clock.now())
    contact_page = contacts.listed(
        search, request.values.get("before", type=inputs.long_id), sees_full_numbers=sees_full_numbers()
    )
    return page_or_piece(
        "contacts/index.html",
        "contacts/_list.html",
        found=contact_page,
        search=search,
        sees_full_numbers=sees_full_numbers(),
        numbers=contacts.numbers(contact_page.rows),
        opted_out=contacts.opted_out(contact_page.rows),
        paged="before" in request.values,
        may_see_properties=guard.may(Right.SETUP_VIEW),
    )


@bp.get("/<long:contact_id>")
@needs(Right.WORK_VIEW)
def show(contact_id: int) -> Response:
    contact = contacts.contact(contact_id)
    return page(
        "contacts/show.html",
        contact=contact,
        facts=contacts.facts(contact),
        sources=value_sources.described(contact.sources),
        proposed=bool(proposals.page(Chosen(contact_id=contact.id)).rows),
        numbers=contacts.numbers([contact])[contact.id],
        anonymous=contacts.anonymous_ids(contact),
        consents=consents.of_contact(contact),
        may_record=guard.may(Right.REPLIES_DECIDE),
        opt_outs=contacts.opt_outs_of(contact),
        contacted=contacts.contacted(contact),
        replies=contacts.replied(contact),
        words=report_words,
        may_erase=guard.may(Right.PRIVACY_WRITE),
    )


@bp.get("/refused")
@needs(Right.WORK_VIEW)
def refused() -> Response:
    """List the records of the last seven days that could not be kept, with the reason."""
    reason, source = request.args.get("reason", ""), request.args.get("source", "")
    records = contacts.bad_records(source, reason, before=request.args.get("before", type=inputs.long_id))
    bad_page = keyset_page.cut(records, contacts.PAGE, lambda row: row.id)
    filters: dict[str, Any] = {"reason": reason or None, "source": source or None}
    return page_or_piece(
        "contacts/refused.html",
        "contacts/_refused.html",
        rows=bad_page.rows,
        why=why,
        reasons=REASONS,
        reason=reason,
        source=source,
        older=url_for(".refused", **filters, before=bad_page.next) if bad_page.next else "",
        days=contacts.BAD_RECORD_DAYS,
    )
