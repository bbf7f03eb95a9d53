"""The second person: asking for an approval, giving or returning it, and the list of what waits for one."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.approval import MOST_RUNS, Verdict
from smsapp.domain.errors import Conflict, NotFound, Refusal
from smsapp.domain.rights import Right
from smsapp.labels import approvals as words
from smsapp.labels import sentence
from smsapp.services.campaigns import campaign_approvals
from smsapp.services.platform import clock
from smsapp.services.reports import reports
from smsapp.web import guard, inputs
from smsapp.web.guard import needs
from smsapp.web.render import page, see_other

bp = Blueprint("approvals", __name__)
bp.add_app_template_global(words.changed, "approval_words")
LIMITS = {"most_runs": MOST_RUNS, "most_words": campaign_approvals.LONGEST_WORDS}
"""What the forms of a decision take at most."""


@bp.get("/approvals")
@needs(Right.RUNS_ACCEPT)
def index() -> Response:
    return page("approvals/index.html", lines=campaign_approvals.waiting_for_approval(guard.actor()))


@bp.post("/campaigns/<int:campaign_id>/ask-approval")
@needs(Right.CAMPAIGNS_WRITE)
def ask(campaign_id: int) -> Response:
    version = request.form.get("version", 0, type=inputs.id_)
    try:
        short = campaign_approvals.ask(campaign_id, version, guard.actor(), clock.now())
    except Conflict:
        flash(_("This is not possible any more: the campaign has moved on meanwhile."), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    except Refusal as refusal:
        _flash_problems(refusal)
    else:
        flash(_("Asked for approval. Tell the approver the digest: %(short)s", short=short), "success")
    return see_other(url_for("campaigns.review", campaign_id=campaign_id))


@bp.post("/approvals/<int:approval_id>")
@needs(Right.RUNS_ACCEPT)
def decide(approval_id: int) -> Response:
    """Approve a campaign or a held run, or return a campaign with words."""
    form = request.form
    verdict = Verdict.RETURNED if form.get("verdict") == Verdict.RETURNED else Verdict.APPROVED
    n_runs = form.get("runs", 1, type=inputs.id_) or 0
    try:
        campaign_approvals.decide(
            approval_id, form.get("seen", ""), verdict, form.get("words", ""), n_runs, guard.actor(), clock.now()
        )
    except Conflict:
        flash(_("Somebody else was quicker, or it has moved on. Nothing was decided."), "warning")
    except NotFound:
        raise
    except Refusal as refusal:
        _flash_problems(refusal)
    else:
        flash(_("It is approved.") if verdict is Verdict.APPROVED else _("It is returned to its author."), "success")
    return see_other(url_for("approvals.index"))


@bp.get("/campaigns/<int:campaign_id>/runs/<int:run_id>/approve")
@needs(Right.RUNS_ACCEPT)
def run(campaign_id: int, run_id: int) -> Response:
    """Show what a held run would be beside what was approved."""
    report = reports.report(campaign_id, run_id, clock.now())
    held = campaign_approvals.of_run(run_id, guard.actor())
    if held is None:
        raise NotFound("run")
    return page("approvals/run.html", report=report, held=held, **LIMITS)


def _flash_problems(refusal: Refusal) -> None:
    for problem in refusal.problems:
        flash(sentence(problem), "danger")
