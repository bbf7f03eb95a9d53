"""Forms of signing in, of one's own account, and of the people page."""

from __future__ import annotations

from wtforms import BooleanField, PasswordField, RadioField, SelectField, StringField
from wtforms.fields import SelectChoice
from wtforms.validators import InputRequired, Length

from smsapp.domain.roles import Role
from smsapp.labels import label
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.web.forms import PageForm

REQUIRED = InputRequired(_l("Please fill this in."))
LOCALES = [
    SelectChoice("", _l("As the application")),
    SelectChoice("zh_Hans", "中文"),
    SelectChoice("en", "English"),
]
LONG = Length(max=200, message=_l("At most 200 characters."))


class SignInForm(PageForm):
    login = StringField(_l("Login"), [REQUIRED, LONG])
    password = PasswordField(_l("Password"), [REQUIRED, Length(max=1000)])


class CodeForm(PageForm):
    code = StringField(_l("One-time code"), [REQUIRED, Length(max=40, message=_l("At most 40 characters."))])


class WelcomeForm(PageForm):
    login = StringField(_l("Login"), [LONG])
    name = StringField(_l("Your name"), [REQUIRED, LONG])
    password = PasswordField(_l("Password"), [REQUIRED])


class PasswordForm(PageForm):
    old = PasswordField(_l("Present password"), [REQUIRED, Length(max=1000)])
    password = PasswordField(_l("New password"), [REQUIRED])


class OwnForm(PageForm):
    name = StringField(_l("Your name"), [REQUIRED, LONG])
    locale = SelectField(_l("Language"), choices=LOCALES)


class UserForm(PageForm):
    name = StringField(_l("Display name"), [REQUIRED, LONG])
    role = RadioField(_l("Role"), default=Role.OPERATOR)
    sees_numbers = BooleanField(_l("Sees whole phone numbers"))

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.role.choices = [SelectChoice(role.value, label(role)) for role in Role]


class InviteForm(UserForm):
    login = StringField(_l("Login"), [REQUIRED, LONG])


class ChangeForm(UserForm):
    active = BooleanField(_l("May sign in"))
