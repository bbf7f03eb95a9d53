"""Form of AppKeys."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from smsapp.services.keys import MOST_NAME
from smsapp.web.forms import Form


class KeyForm(Form):
    """A name says which app uses the key."""

    name = StringField(_l("Name"), [InputRequired(_l("Give it a name.")), Length(max=MOST_NAME)])
