"""The pages of one campaign: its review, its confirmation, and what was confirmed."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.approval import MOST_RUNS
from smsapp.domain.campaign import Action, Status, may
from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.leave_out import SAME_TEXT_DAYS
from smsapp.domain.rights import Right
from smsapp.labels import campaigns as words
from smsapp.labels import sentence
from smsapp.labels.dates import written, written_date
from smsapp.services.campaigns import campaign_approvals, campaign_list, campaigns, overlaps, rehearsals, skipped_dates
from smsapp.services.campaigns import campaign_review as reviews
from smsapp.services.campaigns import variables as variable_choices
from smsapp.services.contacts import audience
from smsapp.services.monitoring import health
from smsapp.services.platform import clock
from smsapp.web import guard, inputs
from smsapp.web.campaign_proofs import proofs_of
from smsapp.web.campaigns import bp, conflict_sentence
from smsapp.web.guard import needs
from smsapp.web.render import page, page_or_piece, see_other, wants_piece

if TYPE_CHECKING:
    from smsapp.store.campaigns.campaigns import Campaign


@bp.get("/<int:campaign_id>")
@needs(Right.WORK_VIEW)
def show(campaign_id: int) -> Response:
    """Show what was confirmed; of a draft its form, of a waiting campaign whom it would reach now."""
    status = Status(campaigns.get(campaign_id).status)
    if may(Action.EDIT, status) and guard.may(Right.CAMPAIGNS_WRITE):
        return see_other(url_for("campaigns.edit", campaign_id=campaign_id))
    if status in (Status.DRAFT, Status.WAITING):
        return _review_page(campaign_id, confirming=False)
    return page(
        "campaigns/confirmed.html",
        review=reviews.review(campaign_id, 0, clock.now()),
        line=campaign_list.lines([campaign_id])[0],
        properties={choice.name: choice.shown for choice in variable_choices.choices(None)},
        may_write=guard.may(Right.CAMPAIGNS_WRITE),
    )


@bp.get("/<int:campaign_id>/review")
@needs(Right.CAMPAIGNS_WRITE)
def review(campaign_id: int) -> Response:
    campaign = campaigns.get(campaign_id)
    if not may(Action.EDIT, Status(campaign.status)):
        flash(conflict_sentence(Conflict(status=campaign.status)), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    return _review_page(campaign_id, confirming=True)


def _review_page(campaign_id: int, *, confirming: bool) -> Response:
    """Show the review; of many people its numbers follow, and the button with them."""
    now = clock.now()
    has_numbers = not {"numbers", "excluded"}.isdisjoint(request.args) or audience.is_soon_counted()
    person = request.args.get("person", 0, type=inputs.id_)
    review = reviews.review(campaign_id, person, now, is_counted=has_numbers)
    is_letter = wants_piece() and "numbers" not in request.args
    rehearsal = {} if is_letter or review.awaits_counts else rehearsal_of(campaign_id, confirming=confirming)
    return page_or_piece(
        "campaigns/review.html",
        "campaigns/_letter.html" if is_letter else "campaigns/_review.html",
        review=review,
        line=campaign_list.lines([campaign_id])[0],
        preview=review.preview,
        excluded=review.excluded_people(request.args.get("excluded", "")),
        seen=campaigns.review_mark(review.template, review.second_template) if review.template else "",
        properties={choice.name: choice.shown for choice in variable_choices.choices(None)},
        confirming=confirming,
        approval=campaign_approvals.state(review, review.campaign, guard.actor()) if not review.awaits_counts else None,
        may_write=guard.may(Right.CAMPAIGNS_WRITE),
        words=words,
        now=now,
        **rehearsal,
        most_runs=MOST_RUNS,
        most_words=campaign_approvals.LONGEST_WORDS,
        proofs=proofs_of(campaign_id) if confirming else None,
        here=url_for(request.endpoint or "", campaign_id=campaign_id),
        skip_url=url_for("campaigns.skip", campaign_id=campaign_id) if _may_skip(review.campaign) else "",
    )


def _may_skip(campaign: Campaign) -> bool:
    return campaign.recurring and campaign.status == Status.WAITING and guard.may(Right.CAMPAIGNS_CONFIRM)


@bp.post("/<int:campaign_id>/skip")
@needs(Right.CAMPAIGNS_CONFIRM)
def skip(campaign_id: int) -> Response:
    """Skip one date of a recurring campaign, or take that back."""
    date, undone = inputs.date(request.form.get("date", "")), request.form.get("do") == "undo"
    try:
        if date is not None:
            change = skipped_dates.unskip if undone else skipped_dates.skip
            change(campaign_id, date, guard.actor(), clock.now())
            day = written_date(date)
            flash(
                _("%(date)s is sent after all.", date=day) if undone else _("%(date)s is skipped.", date=day), "success"
            )
    except Conflict as conflict:
        flash(conflict_sentence(conflict), "warning")
    except Refusal as refusal:
        for problem in refusal.problems:
            flash(sentence(problem), "danger")
    return see_other(url_for("campaigns.show", campaign_id=campaign_id))


def rehearsal_of(campaign_id: int, *, confirming: bool) -> dict[str, Any]:
    """Return what a page shows of a rehearsal: made for a person who may confirm, else as it is stored."""
    view = rehearsals.begin(campaign_id, guard.actor(), clock.now()) if confirming else rehearsals.view(campaign_id)
    leave_out = campaigns.get(campaign_id).leave_out
    return {
        "rehearsal": view,
        "overlap_lines": overlaps.choices(view.result.overlaps, leave_out) if view and view.result else [],
        "leaves_same_text_out": overlaps.leaves_same_text_out(leave_out),
        "same_text_days": SAME_TEXT_DAYS,
    }


@bp.post("/<int:campaign_id>/review")
@needs(Right.CAMPAIGNS_CONFIRM)
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
