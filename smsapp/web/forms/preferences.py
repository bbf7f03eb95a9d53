"""Forms of the settings for all campaigns: frequency caps, and approvals by a second person."""

from __future__ import annotations

from flask_babel import gettext as _
from wtforms import BooleanField, DecimalField, IntegerField
from wtforms.validators import InputRequired, Optional

from smsapp.domain.approval import ApprovalRule
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.contacts.frequency_caps import FrequencyCaps
from smsapp.web.forms import PageForm


class Count(IntegerField):  # type: ignore[misc]
    """A whole number; anything else stays as it was typed."""

    def process_formdata(self, valuelist: list[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError as unreadable:
            raise ValueError(_("Write a whole number.")) from unreadable


class CapsForm(PageForm):
    enabled = BooleanField(_l("Limit marketing messages"))
    per_day = Count(_l("At most per day"), [Optional()])
    per_week = Count(_l("At most per seven days"), [Optional()])

    def wanted(self) -> FrequencyCaps:
        """Return what was typed, as the service takes it."""
        return FrequencyCaps(self.enabled.data, self.per_day.data, self.per_week.data)


class ApprovalForm(PageForm):
    needed = BooleanField(_l("A second person has to approve large campaigns"))
    messages = Count(_l("From how many messages on"), [Optional()])
    amount = DecimalField(_l("From which amount on"), [Optional()])
    percent = Count(_l("How much larger it may become, in percent"), [InputRequired()])

    @classmethod
    def of(cls, rule: ApprovalRule) -> ApprovalForm:
        """Return the form with this rule, whatever else was sent."""
        given = {"needed": rule.enabled, "messages": rule.messages, "amount": rule.amount, "percent": rule.percent}
        return cls(None, data=given)

    def wanted(self) -> ApprovalRule:
        """Return what was typed, as the service takes it."""
        return ApprovalRule(self.needed.data, self.messages.data, self.amount.data, self.percent.data)
