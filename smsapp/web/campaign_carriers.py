"""The choice of the review to leave the numbers of carriers out of a campaign."""

from __future__ import annotations

from dataclasses import replace

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.carrier_prefixes import known
from smsapp.domain.errors import Conflict, Refusal
from smsapp.domain.rights import Right
from smsapp.labels import sentence
from smsapp.services.campaigns import campaigns, drafts
from smsapp.services.platform import clock
from smsapp.web import guard, inputs
from smsapp.web.campaigns import bp, conflict_sentence
from smsapp.web.guard import needs
from smsapp.web.render import see_other


@bp.post("/<int:campaign_id>/carriers")
@needs(Right.CAMPAIGNS_WRITE)
def leave_carriers_out(campaign_id: int) -> Response:
    """Store which carriers' numbers get no text, and show the review again."""
    carriers = [carrier.value for carrier in known(request.form.getlist("carrier"))]
    draft = replace(drafts.draft_of(campaigns.get(campaign_id)), left_out_carriers=carriers)
    version = request.form.get("version", 0, type=inputs.id_)
    try:
        drafts.save(campaign_id, version, draft, guard.actor(), clock.now())
    except Conflict as conflict:
        flash(conflict_sentence(conflict), "warning")
        return see_other(url_for("campaigns.show", campaign_id=campaign_id))
    except Refusal as refusal:
        flash(sentence(refusal.problems[0]), "danger")
    else:
        flash(_("The draft was saved."), "success")
    return see_other(url_for("campaigns.review", campaign_id=campaign_id))
