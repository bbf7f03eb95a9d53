"""The form that takes a file of days of rest."""

from __future__ import annotations

from flask_wtf.file import FileField, FileRequired

from smsapp.labels.locales import lazy_gettext as _l
from smsapp.web.forms import PageForm


class DaysForm(PageForm):
    file = FileField(_l("File"), [FileRequired(_l("Choose a file."))])
