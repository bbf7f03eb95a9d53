"""The form of a new key of the HTTP API."""

from __future__ import annotations

from wtforms import BooleanField, IntegerField, SelectMultipleField, StringField
from wtforms.validators import InputRequired, Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from smsapp.domain.api_key import MOST_NAME, PER_MINUTE, Scope
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.web.forms import PageForm, options


class NewApiKeyForm(PageForm):
    """What an administrator says of a new key; none of it can be changed afterwards."""

    name = StringField(_l("Name"), [InputRequired(_l("Give it a name.")), Length(max=MOST_NAME)])
    scopes = SelectMultipleField(
        _l("What it may do"),
        choices=options(
            [
                (Scope.READ.value, _l("Read")),
                (Scope.DRAFT.value, _l("Draft only")),
                (Scope.WRITE.value, _l("Write")),
                (Scope.CONFIRM.value, _l("Confirm")),
            ]
        ),
        default=[Scope.READ.value],
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
    days = IntegerField(_l("Expires after days"), [Optional()], default=365)
    per_minute = IntegerField(_l("Requests a minute"), [InputRequired(_l("Give a number."))], default=PER_MINUTE)
    is_test = BooleanField(_l("Test key: reaches the simulator only"))
    sees_numbers = BooleanField(_l("May see whole phone numbers"))
