"""Forms of the opt-out list."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from flask_wtf.file import FileField, FileRequired
from wtforms import StringField

from smsapp.web.forms import PageForm


class AddForm(PageForm):
    phone = StringField(_l("Phone number"))
    note = StringField(_l("Remark"))


class AssignForm(PageForm):
    phone = StringField(_l("Phone number"))


class DismissForm(PageForm):
    reason = StringField(_l("Why it needs no number"))


class NumbersForm(PageForm):
    file = FileField(_l("File"), [FileRequired(_l("Choose a file."))])


class ConsentForm(PageForm):
    reason = StringField(_l("How the person agreed again"))
