"""Forms of consents."""

from __future__ import annotations

from flask_wtf.file import FileField, FileRequired
from wtforms import RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import Length

from smsapp.domain.consent import LONGEST_WORDS
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.web.forms import PageForm, options
from smsapp.web.forms.replies import ScopeForm

WORDS = Length(max=LONGEST_WORDS)


class RecordForm(ScopeForm):
    given = RadioField(
        _l("What the person said"), choices=options([("1", _l("Agrees")), ("0", _l("Withdraws"))]), default="1"
    )
    whose = SelectField(_l("Applies to"))
    words = TextAreaField(_l("What was agreed to, or how it was withdrawn"), [WORDS])
    day = StringField(_l("When"))


class ConsentFileForm(PageForm):
    file = FileField(_l("File"), [FileRequired(_l("Choose a file."))])
    words = TextAreaField(_l("What was agreed to"), [WORDS])


class DeclareForm(ScopeForm):
    property = SelectField(_l("Property"))
    words = TextAreaField(_l("What a person agrees to there"), [WORDS])
