"""The form that erases people: whom, and once it was shown what would go, the word that confirms it."""

from __future__ import annotations

from wtforms import StringField, TextAreaField

from smsapp.labels.locales import lazy_gettext as _l
from smsapp.web.forms import PageForm


class ErasureForm(PageForm):
    person = TextAreaField(_l("User ids or phone numbers"))
    word = StringField(_l("Confirmation"))
