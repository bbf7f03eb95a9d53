"""Days on which marketing rests: the calendar in force, its import, and the way back to the shipped one."""

from __future__ import annotations

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.labels import campaigns as words
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.campaigns import calendar_days
from smsapp.services.campaigns.calendar_days import Changed
from smsapp.services.platform import clock
from smsapp.services.tables.limited import MOST_BYTES
from smsapp.web import guard
from smsapp.web.forms import put_problems
from smsapp.web.forms.rest_days import DaysForm
from smsapp.web.guard import needs, uploads
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, see_other

bp = Blueprint("rest_days", __name__, url_prefix="/settings/rest-days")
MENU = MenuLine(_l("Days of rest"), "rest_days.index", 81, "calendar", Right.SENDING_WRITE, settings=True)


@bp.route("/", methods=["GET", "POST"])
@needs(Right.SENDING_WRITE)
@uploads
def index() -> Response:
    """Show the calendar; take a file whose years replace those in force."""
    form = DaysForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            changed = calendar_days.take_file(form.file.data.read(MOST_BYTES + 1), guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            n = len(changed.file.days)
            flash(
                _("%(n)s days of %(years)s were imported.", n=n, years=_(", ").join(map(str, changed.file.years))),
                "success",
            )
            _say_what_moved(changed)
            return see_other(url_for(".index"))
    return page(
        "rest_days/index.html",
        422 if form.is_submitted() else 200,
        form=form,
        problems=problems,
        years=calendar_days.by_year(),
        own_years=calendar_days.own_years(),
        words=words,
    )


@bp.post("/<int:year>/restore")
@needs(Right.SENDING_WRITE)
def restore(year: int) -> Response:
    """Take a year back to the shipped days."""
    if year in calendar_days.own_years():
        changed = calendar_days.restore(year, guard.actor(), clock.now())
        flash(_("%(year)s has the shipped days again.", year=year), "success")
        _say_what_moved(changed)
    return see_other(url_for(".index"))


def _say_what_moved(changed: Changed) -> None:
    if changed.moved:
        flash(_("%(n)s waiting campaigns are due at another time now.", n=changed.moved), "info")
    if changed.stopped:
        flash(_("%(n)s campaigns had nothing left to send and were stopped.", n=changed.stopped), "warning")
