"""The form by which a person says what carriers have registered."""

from __future__ import annotations

from typing import Any

from wtforms import IntegerField, SelectField, SelectMultipleField, StringField
from wtforms.validators import Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from smsapp.domain.carrier_prefixes import REGISTRARS, Carrier
from smsapp.domain.registration import (
    LONGEST_REASON,
    LONGEST_VALUE,
    REMIND_DAYS,
    RegistrationKind,
    RegistrationState,
)
from smsapp.labels import label
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.templates.registration_statements import Statement, end_of_day
from smsapp.web import inputs
from smsapp.web.forms import PageForm, options
from smsapp.web.forms.fields import Day


class RegistrationForm(PageForm):
    channel = SelectField(_l("Channel"), coerce=inputs.chosen_id)
    kind = SelectField(_l("What is registered"))
    value = StringField(_l("Its words"), [Length(max=LONGEST_VALUE)], filters=[lambda text: (text or "").strip()])
    carriers = SelectMultipleField(_l("Carriers"), widget=ListWidget(prefix_label=False), option_widget=CheckboxInput())
    state = SelectField(_l("State"))
    words = StringField(_l("Reason or remark"), [Length(max=LONGEST_REASON)])
    expires = Day(_l("Valid until"), [Optional()])
    remind = IntegerField(_l("Remind so many days before"), [Optional()], default=REMIND_DAYS)

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind.choices = options([(kind.value, label(kind)) for kind in RegistrationKind])
        self.carriers.choices = options([(carrier.value, label(carrier)) for carrier in REGISTRARS])
        self.state.choices = options([(state.value, label(state)) for state in RegistrationState])

    def statement(self) -> Statement:
        """Return what was typed."""
        return Statement(
            RegistrationKind(self.kind.data),
            self.value.data or "",
            [Carrier(code) for code in self.carriers.data or ()],
            RegistrationState(self.state.data),
            self.words.data or "",
            end_of_day(self.expires.data) if self.expires.data else None,
            REMIND_DAYS if self.remind.data is None else self.remind.data,
        )
