"""Budgets by month: what is reserved, spent and free, and how much there is."""

from __future__ import annotations

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _

from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.platform import clock
from smsapp.services.sending import budgets
from smsapp.web import guard
from smsapp.web.forms import put_problems
from smsapp.web.forms.budgets import BudgetForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, see_other

bp = Blueprint("budgets", __name__, url_prefix="/settings/budgets")
MENU = MenuLine(_l("Budgets"), "budgets.index", 82, "coin", Right.SENDING_WRITE, settings=True)


@bp.route("/", methods=["GET", "POST"])
@needs(Right.SENDING_WRITE)
def index() -> Response:
    """Show this month's budgets; a POST makes one, or changes how much there is of it."""
    form = BudgetForm()
    problems: list[str] = []
    if form.validate_on_submit():
        try:
            budgets.put(form.wanted(), guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The budget was saved."), "success")
            return see_other(url_for(".index"))
    status = 422 if form.is_submitted() else 200
    return page("budgets/index.html", status, form=form, problems=problems, bars=budgets.bars(clock.now()))


@bp.post("/<int:budget_id>/remove")
@needs(Right.SENDING_WRITE)
def remove(budget_id: int) -> Response:
    budgets.remove(budget_id, guard.actor(), clock.now())
    flash(_("The budget was removed. Nothing is limited by it any more."), "success")
    return see_other(url_for(".index"))
