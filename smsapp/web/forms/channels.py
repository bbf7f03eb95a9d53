"""The form of a channel, drawn from what its kind declares; and the form of a test message."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from flask_babel import gettext as _
from wtforms import (
    BooleanField,
    DecimalField,
    Field,
    HiddenField,
    IntegerField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    TelField,
    TextAreaField,
    URLField,
)
from wtforms.validators import Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from smsapp.domain.numbering import SPECIAL
from smsapp.domain.run_snapshot import NO_HOURS
from smsapp.domain.scope import Scope
from smsapp.domain.sms_template import variables
from smsapp.labels.channels import CLASSES
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.labels.replies import SCOPES
from smsapp.labels.segments import property_name
from smsapp.services.channels import accounts
from smsapp.services.channels.validation import ChannelFields
from smsapp.services.contacts import contacts
from smsapp.services.sending import channel_tests
from smsapp.services.sending.channel_tests import TestText
from smsapp.web.forms import PageForm, options

if TYPE_CHECKING:
    from smsapp.channels._setting import Setting
    from smsapp.channels.contract import Channel
    from smsapp.store.sms_templates import SmsTemplate

LONGEST = Length(max=20_000)


class Switch(BooleanField):  # type: ignore[misc]
    """A checkbox with a hidden input of the same name before it: a form without both leaves it as it is."""

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        if valuelist:
            self.data = any(valuelist)


class ChannelForm(PageForm):
    """What every channel has, whatever its kind."""

    name = StringField(_l("Name"), [Length(max=200)])
    phone_property = SelectField(_l("Property that holds the phone"))
    trusted_numbers = BooleanField(_l("Only numbers from server keys, files and people"))
    country = StringField(_l("Country of national numbers"), [Length(max=2)])
    countries = StringField(_l("Allowed countries and regions"), [Length(max=2000)])
    number_limits = TextAreaField(_l("Messages a day by country or prefix"), [Length(max=4000)])
    number_classes = SelectMultipleField(
        _l("Allowed kinds of numbers beside mobile ones"),
        choices=options([(str(kind), CLASSES[kind]) for kind in SPECIAL]),
        widget=ListWidget(),
        option_widget=CheckboxInput(),
    )
    rate = IntegerField(_l("Messages per second"), [Optional()])
    quiet = Switch(_l("Quiet hours for marketing texts"))
    quiet_from = StringField(_l("Quiet from"))
    quiet_until = StringField(_l("Quiet until"))
    price = DecimalField(_l("Price per billed part"), [Optional()], places=None)
    currency = StringField(_l("Currency"), [Length(max=10)])
    balance_low = DecimalField(_l("Warn below a balance of"), [Optional()], places=None)
    refusal_scope = SelectField(
        _l("What an opt-out by reply means"), choices=options([(str(scope), SCOPES[scope]) for scope in Scope])
    )

    def wanted(self, kind: type[Channel]) -> ChannelFields:
        """Return the settings as typed; the service checks them."""
        return ChannelFields(
            name=self.name.data or "",
            values={setting.name: _setting_text(self[setting.name], setting) for setting in kind.settings},
            phone_property=self.phone_property.data or "",
            trusted_numbers=bool(self.trusted_numbers.data),
            country=self.country.data or "",
            countries=self.countries.data or "",
            number_limits=self.number_limits.data or "",
            number_classes=self.number_classes.data or (),
            rate=self.rate.data,
            quiet_from=(self.quiet_from.data or "") if self.quiet.data else NO_HOURS[0],
            quiet_until=(self.quiet_until.data or "") if self.quiet.data else NO_HOURS[1],
            price=self.price.data,
            currency=self.currency.data or "",
            balance_low=self.balance_low.data,
            refusal_scope=self.refusal_scope.data or "",
        )

    def sections(self, kind: type[Channel]) -> list[tuple[str, list[Field]]]:
        """Return the kind's own fields under their headings, in the order of its declaration."""
        by_section: dict[str, list[Field]] = {}
        for setting in kind.settings:
            by_section.setdefault(setting.section, []).append(self[setting.name])
        return [(_(section) if section else "", fields) for section, fields in by_section.items()]


def _setting_text(field: Field, setting: Setting) -> str:
    if setting.widget == "flag":
        return "1" if field.data else ""
    return field.data or ""


def channel_form(kind: type[Channel], stored_secrets: Collection[str] = (), **values: Any) -> ChannelForm:
    """Return the form of this kind; `stored_secrets` names the secrets that are set, `values` fills it."""
    fields = {setting.name: _field(setting, setting.name in stored_secrets) for setting in kind.settings}
    form: ChannelForm = type("KindForm", (ChannelForm,), fields)(data=values)
    labels = {row.name: row.label for row in contacts.catalogue()}
    choices = [(name, property_name(name, labels.get(name, ""))) for name in accounts.phone_choices()]
    form.phone_property.choices = options(choices)
    return form


def _field(setting: Setting, is_stored: bool) -> Any:
    """Return the unbound field that draws this setting."""
    label, hint = _(setting.label), _(setting.hint) if setting.hint else ""
    attributes: dict[str, Any] = {"autocomplete": "off", "spellcheck": "false"}
    if setting.widget == "choice":
        return SelectField(
            label, choices=options([(value, _(text)) for value, text in setting.choices]), description=hint
        )
    if setting.widget == "flag":
        return BooleanField(label, description=hint)
    if setting.widget == "secret":
        attributes = {"autocomplete": "new-password"}
        if is_stored:
            attributes["placeholder"] = "••••••••"
            hint = f"{hint} {_('It is set and is never shown. Leave this empty to keep it.')}".strip()
    elif setting.widget == "long_text":
        attributes |= {"rows": 3, "class": "mono"}
    elif setting.widget == "number":
        attributes |= {"inputmode": "decimal"}
    return FIELDS.get(setting.widget, StringField)(label, [LONGEST], description=hint, render_kw=attributes)


FIELDS: dict[str, Any] = {"secret": PasswordField, "long_text": TextAreaField, "url": URLField}
"""Controls that are more than one line of text, by widget."""


class TestForm(PageForm):
    """One real message to one number: a free text, or a template and what fills its variables."""

    number = TelField(_l("Phone number"), [Length(max=40)])
    text = TextAreaField(_l("Text with its signature"), [Length(max=2000)])
    template = HiddenField()

    def wanted(self, template: SmsTemplate | None) -> TestText:
        """Return the text or template as typed; the service checks it."""
        if template is None:
            return TestText(self.text.data or "")
        names = enumerate(variables(template.text), start=1)
        values = {name: self[channel_tests.value_place(position)].data or "" for position, name in names}
        return TestText(template_id=template.id, values=values)

    def value_fields(self) -> list[Field]:
        """Return the fields of the template's variables, in their order."""
        return [field for field in self if field.name.startswith(channel_tests.value_place(0)[:-1])]


def test_form(template: SmsTemplate | None, **kwargs: Any) -> TestForm:
    """Return the form of a test message, with a field per variable of this template."""
    names = enumerate(variables(template.text), start=1) if template else ()
    fields = {channel_tests.value_place(position): StringField(name, [Length(max=500)]) for position, name in names}
    form: TestForm = type("FilledTestForm", (TestForm,), fields)(**kwargs)
    return form
