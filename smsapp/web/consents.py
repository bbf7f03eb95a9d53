"""Consents: recorded on a person's page, brought by a file, and taken from a declared property."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, flash, url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from smsapp.domain import phone
from smsapp.domain.consent import ConsentProperty
from smsapp.domain.errors import Refusal
from smsapp.domain.rights import Right
from smsapp.labels import sentence
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.contacts import consents, contacts, coverages
from smsapp.services.contacts.consents import Statement
from smsapp.services.platform import clock
from smsapp.services.tables.limited import MOST_BYTES
from smsapp.web import guard
from smsapp.web.filters import number, sees_full_numbers
from smsapp.web.forms import options, put_problems
from smsapp.web.forms.consents import ConsentFileForm, DeclareForm, RecordForm
from smsapp.web.guard import needs, uploads
from smsapp.web.menu import MenuLine
from smsapp.web.render import page, see_other

bp = Blueprint("consents", __name__, url_prefix="/consents")
MENU = MenuLine(_l("Consent"), "consents.index", 82, "circle-check", Right.REPLIES_DECIDE, settings=True)


@bp.get("/")
@needs(Right.REPLIES_DECIDE)
def index() -> Response:
    """Say how consents come, and from which property."""
    return page("consents/index.html", declared=consents.declared(), may_declare=guard.may(Right.SENDING_WRITE))


@bp.route("/property", methods=["GET", "POST"])
@needs(Right.SENDING_WRITE)
def declare() -> Response:
    """Choose the property whose values are consents, or none."""
    declared = consents.declared()
    stored: dict[str, Any] = {}
    if declared:
        coverage = declared.coverage
        stored = {"property": declared.name, "words": declared.words, "scope": str(coverage.scope)}
        stored |= {"signatures": list(coverage.signatures)}
    known = [*coverages.signatures(), *(declared.coverage.signatures if declared else ())]
    form = DeclareForm(known=known, data=stored)
    names = dict.fromkeys([*consents.choices(), *([declared.name] if declared else [])])
    form.property.choices = options([("", _("None")), *((name, name) for name in names)])
    problems: list[str] = []
    if form.validate_on_submit():
        name = form.property.data
        wanted = ConsentProperty(name, (form.words.data or "").strip(), form.coverage()) if name else None
        try:
            consents.declare(wanted, guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            flash(_("The setting was saved."), "success")
            return see_other(url_for(".index"))
    return page("consents/property.html", 422 if form.is_submitted() else 200, form=form, problems=problems)


@bp.route("/contact/<long:contact_id>", methods=["GET", "POST"])
@needs(Right.REPLIES_DECIDE)
def record(contact_id: int) -> Response:
    """Record what a person said."""
    contact = contacts.contact(contact_id)
    form = RecordForm(known=coverages.signatures())
    numbers = {name: value for name, value in contact.phones.items() if value}
    form.whose.choices = options(
        [("", _("This person, whatever the number"))]
        + [
            (name, _("The number %(number)s", number=value if sees_full_numbers() else phone.mask(value)))
            for name, value in numbers.items()
        ]
    )
    problems: list[str] = []
    if form.validate_on_submit():
        now = clock.now()
        at = consents.read_time(form.day.data) if form.day.data else now
        if at is None:
            form.day.errors = [sentence(consents.TIME_UNREADABLE)]
        else:
            statement = Statement(form.given.data == "1", form.words.data or "", at, form.coverage())
            try:
                chosen = numbers.get(form.whose.data or "", "")
                consents.record_of_contact(contact_id, statement, guard.actor(), now, chosen)
            except Refusal as refusal:
                problems = put_problems(form, refusal)
            else:
                flash(_("It was recorded."), "success")
                return see_other(url_for("contacts.show", contact_id=contact_id))
    status = 422 if form.is_submitted() else 200
    return page("consents/record.html", status, form=form, problems=problems, contact=contact)


@bp.route("/import", methods=["GET", "POST"])
@needs(Right.REPLIES_DECIDE)
@uploads
def bring() -> Response:
    """Record the consents of a file and say which rows could not be read."""
    form = ConsentFileForm()
    problems: list[str] = []
    result = None
    if form.validate_on_submit():
        content = form.file.data.read(MOST_BYTES + 1)
        try:
            result = consents.take_file(content, form.words.data or "", guard.actor(), clock.now())
        except Refusal as refusal:
            problems = put_problems(form, refusal)
        else:
            message = ngettext(
                "One row was recorded.", "%(n)s rows were recorded.", result.added, n=number(result.added)
            )
            flash(message, "warning" if result.refused else "success")
            if not result.refused:
                return see_other(url_for(".index"))
    status = 422 if form.is_submitted() else 200
    return page("consents/import.html", status, form=form, problems=problems, done=result)
