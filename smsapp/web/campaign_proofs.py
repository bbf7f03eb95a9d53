"""A draft's text to the test group, and what became of it: on the review and under the form."""

from __future__ import annotations

import datetime as dt

from flask import Response, flash, request, url_for
from flask_babel import get_timezone, ngettext

from smsapp.domain.campaign import Action, Status, may
from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.rights import Right
from smsapp.labels import proofs as words
from smsapp.labels import sentence
from smsapp.services.campaigns import campaigns, proofs
from smsapp.services.campaigns.proofs import ProofView
from smsapp.services.platform import clock
from smsapp.web import guard, inputs
from smsapp.web.campaigns import bp, conflict_sentence
from smsapp.web.guard import needs
from smsapp.web.render import page, see_other, wants_piece

bp.add_app_template_filter(words.reason, "proof_reason")
bp.add_app_template_filter(words.colour, "proof_colour")


@bp.app_template_filter("exact_time")
def _exact_time(moment: dt.datetime) -> str:
    """Return a time of day in the reader's zone, to the second."""
    return f"{moment.astimezone(get_timezone()):%H:%M:%S}"


def proofs_of(campaign_id: int) -> ProofView | None:
    """Return what a page shows of a draft's proofs; None for what is no draft, or to whom nobody may send one."""
    campaign = campaigns.loaded(campaign_id)
    if not may(Action.EDIT, Status(campaign.status)) or not guard.may(Right.CHANNELS_TEST):
        return None
    return proofs.view(campaign, clock.now())


@bp.get("/<int:campaign_id>/proof")
@needs(Right.CHANNELS_TEST)
def proofs_shown(campaign_id: int) -> Response:
    """Show what became of the proofs: the piece that refreshes by itself while something can change."""
    view = proofs_of(campaign_id)
    if not wants_piece() or view is None:
        return see_other(_back(campaign_id))
    return page("campaigns/_proofs.html", proofs=view, campaign_id=campaign_id, from_form=_is_from_form())


@bp.post("/<int:campaign_id>/proof")
@needs(Right.CHANNELS_TEST)
def proof(campaign_id: int) -> Response:
    """Send the finished text to the test group. Nothing is confirmed by it."""
    person, key = request.form.get("person", 0, type=inputs.long_id), request.form.get("key", "")
    try:
        made = proofs.send(campaign_id, person or 0, key, guard.actor(), clock.now())
    except Conflict as conflict:
        flash(conflict_sentence(conflict), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    except Refusal as refusal:
        for problem in refusal.problems:
            flash(sentence(problem), "danger")
    else:
        n = proofs.size(made.id)
        flash(
            ngettext(
                "The text is on its way to %(n)s colleague. Nothing is confirmed by it.",
                "The text is on its way to %(n)s colleagues. Nothing is confirmed by it.",
                n,
                n=n,
            ),
            "success",
        )
    return see_other(_back(campaign_id) + "#proofs")


def _back(campaign_id: int) -> str:
    return url_for("campaigns.edit" if _is_from_form() else "campaigns.review", campaign_id=campaign_id)


def _is_from_form() -> bool:
    return request.values.get("back") == "form"
