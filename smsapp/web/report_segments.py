"""A number of a report is saved as a segment."""

from __future__ import annotations

from flask import Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.labels import reports as words
from smsapp.services.campaigns import campaigns
from smsapp.services.contacts.segments import MAX_NAME
from smsapp.services.platform import clock
from smsapp.services.reports import recipient_list, saved_groups
from smsapp.web import guard
from smsapp.web.filters import mask_numbers_in
from smsapp.web.forms import put_problems
from smsapp.web.forms.segments import NameForm
from smsapp.web.guard import needs
from smsapp.web.render import page, see_other
from smsapp.web.reports import address, bp, group_or_404, group_word
from smsapp.web.segments import saved_sentence


@bp.route("/effect/segment", methods=["GET", "POST"], defaults={"run_id": None}, endpoint="segment")
@bp.route("/runs/<int:run_id>/segment", methods=["GET", "POST"], endpoint="run_segment")
@needs(Right.SEGMENTS_WRITE)
def segment(campaign_id: int, run_id: int | None) -> Response:
    """Ask for a name, and save the people of the group as a segment."""
    campaign = campaigns.get(campaign_id)
    recipient_list.require_run(campaign_id, run_id)
    name, reason = request.values.get("group", ""), request.values.get("reason", "")
    group = group_or_404(name, reason)
    word = group_word(group, reason)
    of = mask_numbers_in(campaign.name or _("Unnamed campaign"))
    form = NameForm(name=_("%(campaign)s: %(group)s", campaign=of, group=word)[:MAX_NAME])
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            saved = saved_groups.save(campaign_id, run_id, group, form.name.data or "", guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(saved_sentence(saved.size or 0), "success")
            return see_other(url_for("segments.show", segment_id=saved.id))
    return page(
        "reports/segment.html",
        422 if form.is_submitted() else 200,
        form=form,
        problems=problems,
        campaign=campaign,
        group=group,
        reason=reason,
        word=word,
        words=words,
        back=address("effect", campaign_id, run_id)(group=group.name, reason=reason or None, _anchor="people"),
    )
