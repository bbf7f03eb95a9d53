"""Forms of the opt-out list."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf import FlaskForm
from flask_wtf.file import FileField, FileRequired
from wtforms import StringField


class AddForm(FlaskForm):  # type: ignore[misc]
    phone = StringField(_l("Phone number"))
    note = StringField(_l("Remark"))


class AssignForm(FlaskForm):  # type: ignore[misc]
    phone = StringField(_l("Phone number"))


class DismissForm(FlaskForm):  # type: ignore[misc]
    reason = StringField(_l("Why it needs no number"))


class NumbersForm(FlaskForm):  # type: ignore[misc]
    file = FileField(_l("File"), [FileRequired(_l("Choose a file."))])


class ConsentForm(FlaskForm):  # type: ignore[misc]
    reason = StringField(_l("How the person agreed again"))
