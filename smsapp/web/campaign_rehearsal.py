"""The rehearsal on a campaign's review: how far it is, who gets more than this campaign, and who is left out for it."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.campaign import Action, Status, may
from smsapp.domain.errors import Conflict
from smsapp.domain.rights import Right
from smsapp.services.campaigns import campaign_review as reviews
from smsapp.services.campaigns import campaigns, overlaps, rehearsals
from smsapp.services.campaigns.drafts import EditConflict
from smsapp.services.platform import clock
from smsapp.web import guard, inputs
from smsapp.web.campaign_review import rehearsal_of
from smsapp.web.campaigns import bp, conflict_sentence
from smsapp.web.guard import needs
from smsapp.web.render import page, page_or_piece, see_other, wants_piece


@bp.get("/<int:campaign_id>/rehearsal")
@needs(Right.CAMPAIGNS_WRITE)
def rehearsal(campaign_id: int) -> Response:
    """Show the rehearsal alone: the piece that refreshes by itself while a worker makes it."""
    if not wants_piece() or not may(Action.EDIT, Status(campaigns.get(campaign_id).status)):
        return see_other(url_for("campaigns.review", campaign_id=campaign_id))
    review = reviews.review(campaign_id, 0, clock.now())
    context = rehearsal_of(campaign_id, confirming=True)
    return page("campaigns/_review_rehearsal.html", review=review, confirming=True, **context)


@bp.post("/<int:campaign_id>/rehearse")
@needs(Right.CAMPAIGNS_WRITE)
def rehearse(campaign_id: int) -> Response:
    try:
        rehearsals.begin(campaign_id, guard.actor(), clock.now(), anew=True)
    except Conflict as conflict:
        flash(conflict_sentence(conflict), "warning")
    return see_other(url_for("campaigns.review", campaign_id=campaign_id) + "#rehearsal")


@bp.post("/<int:campaign_id>/leave-out")
@needs(Right.CAMPAIGNS_WRITE)
def leave_out(campaign_id: int) -> Response:
    """Store whom the campaign leaves out, as ticked on its review."""
    version = request.form.get("version", 0, type=inputs.id_)
    others = [
        int(raw) for raw in request.form.getlist("also_gets") if raw.isascii() and raw.isdigit() and len(raw) < 10
    ]
    same_text = "same_text" in request.form
    try:
        overlaps.leave_out(campaign_id, version, others, guard.actor(), clock.now(), same_text=same_text)
    except EditConflict:
        flash(_("Somebody changed this draft meanwhile. Look at it again before you choose."), "warning")
    except Conflict as conflict:
        flash(conflict_sentence(conflict), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    else:
        flash(_("The choice was saved; the audience is counted anew."), "success")
    return see_other(url_for("campaigns.review", campaign_id=campaign_id) + "#rehearsal")


@bp.get("/<int:campaign_id>/overlap/<what>")
@needs(Right.WORK_VIEW)
def overlap(campaign_id: int, what: str) -> Response:
    """List the people of the audience who get more than this campaign."""
    after = request.args.get("after", 0, type=inputs.id_)
    people = overlaps.people(campaign_id, what, after, clock.now())
    return page_or_piece(
        "campaigns/overlap.html",
        "campaigns/_overlap.html",
        campaign=campaigns.get(campaign_id),
        people=people.rows,
        following=people.next,
        first=not after,
        what=what,
        other=overlaps.name_of(what),
        days=what.removeprefix("cap-") if what.startswith("cap-") else "",
        confirming=guard.may(Right.CAMPAIGNS_WRITE),
    )
