"""The test group: who gets a text before it is confirmed, and who one of every run."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import Refusal
from smsapp.domain.proof import LONGEST_NAME, MOST_COLLEAGUES
from smsapp.domain.rights import Right
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.platform import clock
from smsapp.services.sending import colleagues
from smsapp.web import guard
from smsapp.web.forms import put_problems
from smsapp.web.forms.colleagues import ColleagueForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, see_other

bp = Blueprint("colleagues", __name__, url_prefix="/settings/test-group")
MENU = MenuLine(_l("Test group"), "colleagues.index", 83, "users-group", Right.SENDING_WRITE, settings=True)


@bp.route("/", methods=["GET", "POST"])
@needs(Right.SENDING_WRITE)
def index() -> Response:
    """Show the test group; a POST adds somebody."""
    form = ColleagueForm()
    problems: list[str] = []
    if form.validate_on_submit():
        name, number = form.name.data or "", form.number.data or ""
        try:
            colleagues.add(name, number, guard.actor(), clock.now(), is_seed=bool(form.is_seed.data))
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("%(name)s is in the test group.", name=name.strip()), "success")
            return see_other(url_for(".index"))
    return page(
        "colleagues/index.html",
        422 if form.is_submitted() else 200,
        form=form,
        problems=problems,
        group=colleagues.everybody(),
        most=MOST_COLLEAGUES,
        longest_name=LONGEST_NAME,
    )


@bp.post("/<int:colleague_id>/seed")
@needs(Right.SENDING_WRITE)
def seed(colleague_id: int) -> Response:
    """Let somebody get one text of every run, or no longer."""
    is_seed = request.form.get("seed") == "yes"
    colleagues.set_seed(colleague_id, is_seed, guard.actor(), clock.now())
    flash(_("Gets one text of every run from now on.") if is_seed else _("Gets no texts of runs any more."), "success")
    return see_other(url_for(".index"))


@bp.post("/<int:colleague_id>/remove")
@needs(Right.SENDING_WRITE)
def remove(colleague_id: int) -> Response:
    colleagues.remove(colleague_id, guard.actor(), clock.now())
    flash(_("Removed from the test group."), "success")
    return see_other(url_for(".index"))
