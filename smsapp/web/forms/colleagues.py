"""Form of a person of the test group."""

from __future__ import annotations

from wtforms import BooleanField, StringField

from smsapp.labels.locales import lazy_gettext as _l
from smsapp.web.forms import PageForm


class ColleagueForm(PageForm):
    name = StringField(_l("Colleague's name"))
    number = StringField(_l("Phone number"))
    is_seed = BooleanField(_l("Seed: gets one text of every run"))
