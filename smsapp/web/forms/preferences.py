"""Form of the frequency caps."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import BooleanField, IntegerField
from wtforms.validators import Optional

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
