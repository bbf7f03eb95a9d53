"""What public AppKeys would change: a list, and the decisions of people about it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from smsapp.domain.rights import Right
from smsapp.services.apps import app_keys
from smsapp.services.contacts import proposals
from smsapp.services.contacts.proposals import Chosen, Decided
from smsapp.services.platform import clock
from smsapp.web import guard, inputs
from smsapp.web.guard import needs
from smsapp.web.render import page, page_or_piece, see_other

bp = Blueprint("proposals", __name__, url_prefix="/contacts/proposals")


def _filters() -> Chosen:
    """Return which proposals the address or the form names."""
    return Chosen(
        request.values.get("key", type=inputs.id_),
        request.values.get("name", "")[:125],
        request.values.get("contact", type=inputs.long_id),
    )


def _address(filters: Chosen, **more: Any) -> dict[str, Any]:
    """Return the parameters of an address that names these proposals."""
    params = {"key": filters.app_key_id, "name": filters.name, "contact": filters.contact_id}
    return {name: value for name, value in params.items() if value} | more


@bp.get("/")
@needs(Right.WORK_VIEW)
def index() -> Response:
    """Proposals, newest first."""
    filters = _filters()
    return page_or_piece(
        "contacts/proposals.html",
        "contacts/_proposals.html",
        found=proposals.page(filters, request.args.get("before", type=inputs.long_id)),
        chosen=filters,
        address=_address(filters),
        keys=[row for row in app_keys.listed() if not row.rights.trusted],
        names=proposals.names(),
        paged="before" in request.args,
        may_decide=guard.may(Right.PROPOSALS_DECIDE),
        may_rule=guard.may(Right.KEYS_WRITE),
    )


@bp.post("/")
@needs(Right.PROPOSALS_DECIDE)
def decide() -> Response:
    """Accept or reject the proposals that were ticked."""
    ids = set(request.form.getlist("id", type=inputs.long_id))
    by, now = guard.actor(), clock.now()
    if not ids:
        flash(_("Choose at least one change."), "warning")
    elif request.form.get("do") == "accept":
        _flash_result(proposals.accept(ids, by, now))
    elif request.form.get("do") == "reject":
        _tell_rejected(proposals.reject(ids, by, now))
    return see_other(url_for(".index", **_address(_filters())))


@bp.route("/all", methods=["GET", "POST"])
@needs(Right.PROPOSALS_DECIDE)
def decide_all() -> Response:
    """Accept or reject what a filter matches, up to `until`: the newest one when the list was shown."""
    filters = _filters()
    accepting = request.values.get("do") == "accept"
    until = request.values.get("until", 0, type=inputs.long_id)
    if request.method == "POST":
        by, now = guard.actor(), clock.now()
        if accepting:
            _flash_result(proposals.accept_all(filters, until, by, now))
        else:
            _tell_rejected(proposals.reject_all(filters, until, by, now))
        return see_other(url_for(".index"))
    return page(
        "contacts/decide_all.html",
        accepting=accepting,
        chosen=filters,
        until=until,
        key=app_keys.key(filters.app_key_id) if filters.app_key_id else None,
        address=_address(filters),
    )


def _flash_result(result: Decided) -> None:
    if result.accepted:
        flash(ngettext("%(num)s change was accepted.", "%(num)s changes were accepted.", result.accepted), "success")
    if result.overtaken:
        text = ngettext(
            "%(num)s value was changed meanwhile. The change is listed again with the value of now.",
            "%(num)s values were changed meanwhile. The changes are listed again with the values of now.",
            result.overtaken,
        )
        flash(text, "warning")
    if result.dropped:
        text = ngettext(
            "%(num)s change had no purpose any more and is gone.",
            "%(num)s changes had no purpose any more and are gone.",
            result.dropped,
        )
        flash(text, "info")
    if not (result.accepted or result.overtaken or result.dropped):
        flash(_("Somebody else has decided about these changes already."), "info")


def _tell_rejected(rejected: int) -> None:
    flash(ngettext("%(num)s change was rejected.", "%(num)s changes were rejected.", rejected), "success")
