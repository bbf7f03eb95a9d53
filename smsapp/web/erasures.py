"""Erasing people: what would go, the confirmation, and how far each erasure is."""

from __future__ import annotations

from flask import Blueprint, Response, flash, request, url_for
from flask_babel import gettext as _

from smsapp.domain.erasure import ErasureState
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.labels.privacy import table_name
from smsapp.services.platform import clock
from smsapp.services.privacy import erasing
from smsapp.web import guard
from smsapp.web.forms import put_problems
from smsapp.web.forms.erasures import ErasureForm
from smsapp.web.guard import needs
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, page_or_piece, see_other

bp = Blueprint("erasures", __name__, url_prefix="/erasures")
MENU = MenuLine(_l("Erased people"), "erasures.index", 85, "eraser", Right.PRIVACY_WRITE, settings=True)
STEP = "confirm"
"""The name of the button that erases; without it the form shows what would go."""


@bp.get("/")
@needs(Right.PRIVACY_WRITE)
def index() -> Response:
    """List the newest erasures and how far they are."""
    rows = erasing.newest()
    return page_or_piece(
        "erasures/index.html",
        "erasures/_list.html",
        rows=rows,
        going_on=any(row.state != ErasureState.DONE for row in rows),
    )


@bp.route("/new", methods=["GET", "POST"])
@needs(Right.PRIVACY_WRITE)
def new() -> Response:
    """Ask whom to erase, show what would go, and erase once the word was typed. A number never stands in an address."""
    form = ErasureForm()
    problems: list[str] = []
    preview = None
    word = str(_("erase"))
    if form.validate_on_submit():
        texts = (form.person.data or "").splitlines()
        try:
            preview = erasing.preview(texts)
            if STEP in request.form:
                if (form.word.data or "").strip().casefold() != word.casefold():
                    raise Refusal(Problem("erasure_word", "word"))
                erasing.request(texts, guard.actor(), clock.now())
                flash(_("The erasure has begun. It goes on in the background."), "success")
                return see_other(url_for(".index"))
        except Refusal as refusal:
            problems = put_problems(form, refusal)
    rows = [(table_name(table), n) for table, n in preview.counts.items()] if preview else []
    status = 422 if problems or form.errors else 200
    return page(
        "erasures/new.html", status, form=form, problems=problems, preview=preview, rows=rows, word=word, step=STEP
    )
