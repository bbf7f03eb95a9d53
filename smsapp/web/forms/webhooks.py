"""Forms of webhooks."""

from __future__ import annotations

from typing import Any

from wtforms import DateTimeLocalField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from smsapp.domain.webhook import OFFERED
from smsapp.labels import label
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.apps.webhooks import MOST_NAME, MOST_URL
from smsapp.web.forms import PageForm, options


class WebhookForm(PageForm):
    """A webhook: its name, its address and what it hears about."""

    name = StringField(_l("Name"), [InputRequired(_l("Give it a name.")), Length(max=MOST_NAME)])
    address = StringField(_l("Address"), [InputRequired(_l("Write the address.")), Length(max=MOST_URL)])
    kinds = SelectMultipleField(
        _l("Events"),
        option_widget=CheckboxInput(),
        widget=ListWidget(prefix_label=False),
        default=[str(kind) for kind in OFFERED],
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kinds.choices = options([(str(kind), label(kind)) for kind in OFFERED])


class SendSinceForm(PageForm):
    """From when on everything is sent anew, in UTC."""

    since = DateTimeLocalField(
        _l("Events since (UTC)"), [InputRequired(_l("Say since when."))], format="%Y-%m-%dT%H:%M"
    )
