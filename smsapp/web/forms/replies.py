"""Forms of the opt-out list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flask_wtf.file import FileField, FileRequired
from wtforms import RadioField, SelectMultipleField, StringField
from wtforms.widgets import CheckboxInput, ListWidget

from smsapp.domain.scope import Coverage, Scope
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.labels.replies import SCOPES
from smsapp.web.forms import PageForm, options


class ScopeForm(PageForm):
    """Which texts are meant."""

    scope = RadioField(
        _l("Which texts"),
        choices=options([(str(scope), SCOPES[scope]) for scope in Scope]),
        default=str(Scope.EVERYTHING),
    )
    signatures = SelectMultipleField(_l("Signatures"), widget=ListWidget(), option_widget=CheckboxInput())

    def __init__(self, *args: Any, known: Iterable[str] = (), **kwargs: Any) -> None:
        """Make the form; `known` are the signatures that may be chosen."""
        super().__init__(*args, **kwargs)
        self.signatures.choices = options([(name, f"【{name}】") for name in dict.fromkeys(known)])

    def coverage(self) -> Coverage:
        """Return what was chosen; with every text, signatures say nothing more."""
        scope = Scope(self.scope.data)
        return Coverage(scope, () if scope is Scope.EVERYTHING else tuple(self.signatures.data or ()))


class AddForm(ScopeForm):
    phone = StringField(_l("Phone number"))
    note = StringField(_l("Remark"))


class ChangeForm(ScopeForm):
    reason = StringField(_l("Why the scope changes"))


class AssignForm(PageForm):
    phone = StringField(_l("Phone number"))


class DismissForm(PageForm):
    reason = StringField(_l("Why it needs no number"))


class NumbersForm(PageForm):
    file = FileField(_l("File"), [FileRequired(_l("Choose a file."))])


class ConsentForm(PageForm):
    reason = StringField(_l("How the person agreed again"))
