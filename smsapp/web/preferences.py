"""Settings of the whole product that administrators change in the pages."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.contacts import frequency_caps
from smsapp.services.platform import clock
from smsapp.services.sending import approval_rule
from smsapp.web import guard
from smsapp.web.forms import put_problems
from smsapp.web.forms.preferences import ApprovalForm, CapsForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, see_other

bp = Blueprint("preferences", __name__, url_prefix="/settings")
MENU = MenuLine(_l("Frequency caps"), "preferences.sending", 80, "adjustments", Right.SENDING_WRITE, settings=True)


@bp.route("/sending", methods=["GET", "POST"])
@needs(Right.SENDING_WRITE)
def sending() -> Response:
    """Show and change how many marketing messages one number may get."""
    form = CapsForm(data=asdict(frequency_caps.frequency_caps()))
    problems: list[str] = []
    if form.validate_on_submit():
        caps = form.wanted()
        try:
            frequency_caps.save_frequency_caps(caps, guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The frequency caps are on.") if caps.enabled else _("The frequency caps are off."), "success")
            return see_other(url_for(".sending"))
    return _sending_page(form, ApprovalForm.of(approval_rule.saved()), problems, 422 if form.is_submitted() else 200)


@bp.post("/sending/approvals")
@needs(Right.SENDING_WRITE)
def approvals() -> Response:
    """Change from which size on a second person has to approve."""
    form = ApprovalForm()
    problems: list[str] = []
    if form.validate_on_submit():
        wanted = form.wanted()
        try:
            approval_rule.save(wanted, guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("Approvals are on.") if wanted.enabled else _("Approvals are off."), "success")
            return see_other(url_for(".sending"))
    caps = CapsForm(None, data=asdict(frequency_caps.frequency_caps()))
    return _sending_page(caps, form, problems, 422)


def _sending_page(form: CapsForm, approval_form: ApprovalForm, problems: list[str], status: int) -> Response:
    return page(
        "preferences/sending.html",
        status,
        form=form,
        approval_form=approval_form,
        problems=problems,
        suggested=frequency_caps.SUGGESTED,
        most_per_day=frequency_caps.MOST_PER_DAY,
        most_per_week=frequency_caps.MOST_PER_WEEK,
    )
