"""What people may do to a run that goes on: pause it, let it go on, end it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import Conflict, NotFound, Refusal
from smsapp.domain.rights import Right
from smsapp.labels import reports as words
from smsapp.labels import sentence
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.reports import reports
from smsapp.services.reports.reports import Report
from smsapp.services.sending import actions, drift, failover, retries
from smsapp.services.templates import approvals, registration_guard
from smsapp.web import guard
from smsapp.web.guard import needs
from smsapp.web.render import page, see_other

bp = Blueprint("runs", __name__, url_prefix="/campaigns/<int:campaign_id>/runs/<int:run_id>")


def _report(campaign_id: int, run_id: int) -> Report:
    """Return the run's report; raises NotFound if the run is not this campaign's."""
    return reports.report(campaign_id, run_id, clock.now())


def _done(campaign_id: int, run_id: int, act: Callable[..., Any], message: str) -> Response:
    """Call `act` on the run, flash what happened (a conflict changes nothing), redirect to the report."""
    _report(campaign_id, run_id)
    try:
        act(run_id, guard.actor(), clock.now())
    except Conflict:
        flash(_("The run has moved on meanwhile; nothing was changed. Here is how it stands."), "warning")
    except Refusal as refusal:
        flash(" ".join(sentence(problem) for problem in refusal.problems), "danger")
    else:
        flash(message, "success")
    return see_other(url_for("reports.effect", campaign_id=campaign_id))


@bp.post("/pause")
@needs(Right.RUNS_CONTROL)
def pause(campaign_id: int, run_id: int) -> Response:
    return _done(campaign_id, run_id, actions.pause, _("Paused. What is at the provider already cannot be held back."))


@bp.post("/resume")
@needs(Right.RUNS_CONTROL)
def resume(campaign_id: int, run_id: int) -> Response:
    return _done(campaign_id, run_id, actions.resume, _("It goes on with exactly what has not been sent."))


@bp.post("/route")
@needs(Right.RUNS_CONTROL)
def route(campaign_id: int, run_id: int) -> Response:
    """Move the rest of a held run to the campaign's other channel."""
    return _done(campaign_id, run_id, actions.reroute, _("The rest goes on through the other channel."))


@bp.post("/stay")
@needs(Right.RUNS_CONTROL)
def stay(campaign_id: int, run_id: int) -> Response:
    return _done(campaign_id, run_id, failover.pin, _("It stays on its channel, whatever happens."))


@bp.post("/let-move")
@needs(Right.RUNS_CONTROL)
def let_move(campaign_id: int, run_id: int) -> Response:
    return _done(campaign_id, run_id, failover.unpin, _("It may change channels by itself again."))


@bp.route("/accept", methods=["GET", "POST"])
@needs(Right.RUNS_ACCEPT)
def accept(campaign_id: int, run_id: int) -> Response:
    """Show what has changed since the campaign was confirmed; a POST lets the run go on with it."""
    if request.method == "POST":
        seen = request.form.get("seen", "")
        message = _("The new text is accepted; it goes on with exactly what has not been sent.")
        return _done(campaign_id, run_id, lambda run, by, now: approvals.accept(run, seen, by, now), message)
    report = _report(campaign_id, run_id)
    if report.difference is None:
        raise NotFound("run")
    return page("reports/accept.html", report=report)


@bp.route("/accept-audience", methods=["GET", "POST"])
@needs(Right.RUNS_ACCEPT)
def accept_audience(campaign_id: int, run_id: int) -> Response:
    """Show how the people differ from those that were reviewed; a POST lets the run go on to them."""
    if request.method == "POST":
        seen = request.form.get("seen", "")
        message = _("These people are accepted; the run goes on.")
        return _done(campaign_id, run_id, lambda run, by, now: drift.accept(run, seen, by, now), message)
    report = _report(campaign_id, run_id)
    if report.drift is None:
        raise NotFound("run")
    return page("reports/accept_audience.html", report=report, words=words)


@bp.route("/accept-registration", methods=["GET", "POST"])
@needs(Right.RUNS_ACCEPT)
def accept_registration(campaign_id: int, run_id: int) -> Response:
    """Show what carriers let through no more; a POST lets the run go on, with their numbers or without."""
    if request.method == "POST":
        seen, leave_out = request.form.get("seen", ""), request.form.get("do") == "leave_out"
        message = _("The run goes on without their numbers.") if leave_out else _("It is accepted; the run goes on.")

        def accept(run: int, by: Actor, now: dt.datetime) -> None:
            registration_guard.accept(run, seen, by, now, leave_out=leave_out)

        return _done(campaign_id, run_id, accept, message)
    report = _report(campaign_id, run_id)
    if report.registration is None:
        raise NotFound("run")
    return page("reports/accept_registration.html", report=report)


@bp.get("/end")
@needs(Right.RUNS_CONTROL)
def ask_to_end(campaign_id: int, run_id: int) -> Response:
    """Say what ending can and cannot do, in numbers."""
    return page("reports/end.html", report=_report(campaign_id, run_id))


@bp.post("/end")
@needs(Right.RUNS_CONTROL)
def end(campaign_id: int, run_id: int) -> Response:
    return _done(campaign_id, run_id, actions.end, _("Ended. What had not left is cancelled."))


@bp.get("/again")
@needs(Right.RUNS_CONTROL)
def ask_to_send_again(campaign_id: int, run_id: int) -> Response:
    """Say who would be written to again, what it costs and when."""
    return page("reports/again.html", review=retries.review(campaign_id, run_id, clock.now()))


@bp.post("/again")
@needs(Right.RUNS_CONTROL)
def send_again(campaign_id: int, run_id: int) -> Response:
    try:
        retries.send_again(campaign_id, run_id, guard.actor(), clock.now())
    except Conflict:
        flash(
            _("Somebody was faster, or the campaign is being sent. Nothing was changed; here is how it stands."),
            "warning",
        )
    else:
        flash(_("Those who can be tried again are written to again."), "success")
    return see_other(url_for("reports.effect", campaign_id=campaign_id))
