"""Settings of the whole product that administrators change in the pages."""

from __future__ import annotations

from dataclasses import asdict

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from smsapp.domain.errors import Refusal
from smsapp.domain.roles import Role
from smsapp.services.contacts import frequency_caps
from smsapp.services.platform import clock
from smsapp.web import guard
from smsapp.web.forms import put_problems
from smsapp.web.forms.preferences import CapsForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, see_other

bp = Blueprint("preferences", __name__, url_prefix="/settings")
MENU = MenuLine(_l("Frequency caps"), "preferences.sending", 80, "adjustments", Role.ADMINISTRATOR, settings=True)


@bp.route("/sending", methods=["GET", "POST"])
@needs(Role.ADMINISTRATOR)
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
    return page(
        "preferences/sending.html",
        422 if form.is_submitted() else 200,
        form=form,
        problems=problems,
        suggested=frequency_caps.SUGGESTED,
        most_per_day=frequency_caps.MOST_PER_DAY,
        most_per_week=frequency_caps.MOST_PER_WEEK,
    )
