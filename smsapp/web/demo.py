"""The removal of the demo data."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request
from flask_babel import gettext as _

from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.labels import sentence
from smsapp.services.demo import removal
from smsapp.services.platform import clock
from smsapp.web import guard
from smsapp.web.filters import number
from smsapp.web.guard import needs
from smsapp.web.render import page, see_other

bp = Blueprint("demo", __name__, url_prefix="/demo")


@bp.route("/remove", methods=["GET", "POST"])
@needs(Right.CHANNELS_WRITE)
def remove() -> Response:
    if not removal.is_there():
        flash(_("There is no demo data here."), "warning")
        return see_other("/")
    if request.method == "GET":
        return page("demo/remove.html")
    try:
        remaining = removal.remove(guard.actor(), clock.now())
    except Refusal as refusal:
        for problem in refusal.problems:
            flash(sentence(problem), "warning")
        return see_other("/")
    flash(_("The demo data was removed."), "success")
    if remaining:
        flash(_("Some of it is in use by what you made, and stays: %(n)s entries.", n=number(remaining)), "warning")
    return see_other("/")
