"""The pages of one campaign: its review, its confirmation, and what was confirmed."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.campaign import Action, Status, may
from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.roles import Role
from smsapp.labels import campaigns as words
from smsapp.labels import sentence
from smsapp.labels.dates import written
from smsapp.services import health
from smsapp.services.campaigns import campaign_list, campaigns
from smsapp.services.campaigns import campaign_review as reviews
from smsapp.services.campaigns import variables as variable_choices
from smsapp.services.platform import clock
from smsapp.web import guard, inputs
from smsapp.web.campaigns import bp, conflict_sentence
from smsapp.web.guard import needs
from smsapp.web.render import page, page_or_piece, see_other

if TYPE_CHECKING:
    from smsapp.store.campaigns.campaigns import Campaign


@bp.get("/<int:campaign_id>")
def show(campaign_id: int) -> Response:
    """Show what was confirmed; of a draft its form, of a waiting campaign whom it would reach now."""
    status = Status(campaigns.get(campaign_id).status)
    if may(Action.EDIT, status) and guard.may(Role.OPERATOR):
        return see_other(url_for("campaigns.edit", campaign_id=campaign_id))
    if status in (Status.DRAFT, Status.WAITING):
        return _review_page(campaign_id, confirming=False)
    return page(
        "campaigns/confirmed.html",
        review=reviews.review(campaign_id, 0, clock.now()),
        line=campaign_list.lines([campaign_id])[0],
        properties={choice.name: choice.shown for choice in variable_choices.choices(None)},
        may_write=guard.may(Role.OPERATOR),
    )


@bp.get("/<int:campaign_id>/review")
@needs(Role.OPERATOR)
def review(campaign_id: int) -> Response:
    campaign = campaigns.get(campaign_id)
    if not may(Action.EDIT, Status(campaign.status)):
        flash(conflict_sentence(Conflict(status=campaign.status)), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    return _review_page(campaign_id, confirming=True)


def _review_page(campaign_id: int, *, confirming: bool) -> Response:
    now = clock.now()
    review = reviews.review(campaign_id, request.args.get("person", 0, type=inputs.id_), now)
    return page_or_piece(
        "campaigns/review.html",
        "campaigns/_letter.html",
        review=review,
        line=campaign_list.lines([campaign_id])[0],
        preview=review.preview,
        seen=campaigns.review_mark(review.template, review.second_template) if review.template else "",
        properties={choice.name: choice.shown for choice in variable_choices.choices(None)},
        confirming=confirming,
        may_write=guard.may(Role.OPERATOR),
        words=words,
        now=now,
        here=url_for(request.endpoint or "", campaign_id=campaign_id),
    )


@bp.post("/<int:campaign_id>/review")
@needs(Role.OPERATOR)
def confirm(campaign_id: int) -> Response:
    version, seen = request.form.get("version", 0, type=inputs.id_), request.form.get("seen", "")
    try:
        status = campaigns.confirm(campaign_id, version, seen, guard.actor(), clock.now())
    except Conflict as conflict:
        flash(conflict_sentence(conflict), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    except Refusal as refusal:
        for problem in refusal.problems:
            flash(sentence(problem), "danger")
        flash(_("Nothing was sent. Please look at it again and confirm."), "warning")
        return see_other(url_for("campaigns.review", campaign_id=campaign_id))
    takes_work = health.listeners().takes_writes
    message = confirmed_sentence(campaigns.get(campaign_id), status, clock.now(), queue_takes_work=takes_work)
    flash(message, "success" if takes_work else "warning")
    if status is Status.SENDING:
        return see_other(url_for("reports.effect", campaign_id=campaign_id))
    return see_other(url_for("campaigns.index"))


def confirmed_sentence(campaign: Campaign, status: Status, now: dt.datetime, *, queue_takes_work: bool) -> str:
    """Return what happens to a campaign that was just confirmed, and when."""
    if not queue_takes_work:
        text = _("“%(name)s” is confirmed; sending begins as soon as the queue works again.", name=campaign.name)
        if status is Status.SENDING:
            return str(text)
        warning = _("The queue does not work just now; if that lasts, sending begins once it works again.")
        return confirmed_sentence(campaign, status, now, queue_takes_work=True) + " " + str(warning)
    begins = reviews.begins(campaign, now)
    facts = {"name": campaign.name, "moment": written(begins.astimezone(ZoneInfo(campaign.zone)), seconds=None)}
    if begins > (campaign.next_due_at or now):
        return str(_("“%(name)s” is confirmed; it begins on %(moment)s, when the quiet hours are over.", **facts))
    if status is Status.SENDING:
        return str(_("“%(name)s”: sending has begun.", name=campaign.name))
    return str(_("“%(name)s” is confirmed; it will be sent on %(moment)s.", **facts))
