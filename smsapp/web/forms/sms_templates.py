"""Forms of SMS templates and of the files they come in."""

from __future__ import annotations

from flask_wtf.file import FileField, FileRequired
from wtforms import HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired

from smsapp.domain.sms_template import KNOWN_PURPOSES, Audit, Entry, Purpose, entry
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.labels.sms_templates import LABELS
from smsapp.web import inputs
from smsapp.web.forms import PageForm, options
from smsapp.web.forms.tags import TagFields


class TemplateForm(TagFields, PageForm):
    name = StringField(_l("Name"))
    signature = StringField(_l("Signature"))
    purpose = RadioField(
        _l("Kind of text"),
        choices=options([(purpose.value, LABELS[purpose]) for purpose in KNOWN_PURPOSES]),
        default=Purpose.MARKETING.value,
    )
    text = TextAreaField(_l("Message text"))
    code = StringField(_l("Template code of the provider"))
    seen = HiddenField()

    def entry(self) -> Entry:
        """Return what was typed, tidied; without a kind it counts as marketing, the strictest."""
        purpose = next((purpose for purpose in KNOWN_PURPOSES if purpose == self.purpose.data), Purpose.MARKETING)
        return entry(
            code=self.code.data or "",
            name=self.name.data or "",
            text=self.text.data or "",
            signature=self.signature.data or "",
            purpose=purpose,
        )


class NewTemplateForm(TemplateForm):
    channel = SelectField(_l("Channel"), coerce=inputs.chosen_id)
    audit = RadioField(
        _l("Approval status at the provider"),
        choices=options([(audit.value, LABELS[audit]) for audit in (Audit.PENDING, Audit.APPROVED)]),
        default=Audit.PENDING.value,
    )


class ImportForm(PageForm):
    channel = SelectField(_l("Channel"), coerce=inputs.chosen_id)
    file = FileField(_l("File"), [FileRequired(_l("Choose a file."))])


class DecisionForm(PageForm):
    seen = HiddenField(validators=[InputRequired()])
    reason = StringField(_l("Reason of the provider"))
