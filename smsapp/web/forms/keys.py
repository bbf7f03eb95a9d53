"""Forms of AppKeys."""

from __future__ import annotations

import re

from flask import request
from wtforms import RadioField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from smsapp.domain.trust import KeyKind, Rule
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.apps.app_keys import MOST_NAME, KeyRow
from smsapp.web.forms import PageForm, options

ALL, LISTED = "all", "listed"
_BETWEEN_NAMES = re.compile(r"[\s,;，；、]+")


class KeyForm(PageForm):
    """What can be changed of a key: its name, the properties that it may write, its rules."""

    name = StringField(_l("Name"), [InputRequired(_l("Give it a name.")), Length(max=MOST_NAME)])
    scope = RadioField(
        _l("May write"),
        choices=options([(ALL, _l("All properties")), (LISTED, _l("Only these properties"))]),
        default=ALL,
    )
    properties = TextAreaField(_l("Property names"), [Length(max=40_000)])

    @classmethod
    def of(cls, row: KeyRow) -> KeyForm:
        """Return the form as it is filled in for this key."""
        names = row.properties
        values = {"name": row.name, "scope": ALL if names is None else LISTED, "properties": "\n".join(names or ())}
        return cls(data=values)

    @property
    def is_narrowed(self) -> bool:
        """Whether only some properties may be written."""
        return bool(self.scope.data == LISTED)

    def writable_names(self) -> list[str] | None:
        """Return the names that were typed; None = all properties."""
        if not self.is_narrowed:
            return None
        return [name for name in _BETWEEN_NAMES.split(self.properties.data or "") if name]

    def rules(self, row: KeyRow) -> dict[str, Rule]:
        """Return the key's rules as they were chosen; the field of a property is called `rule.<name>`."""
        names = [*row.rules, request.form.get("new_rule_name", "")]
        choices = {name: request.form.get(f"rule.{name}", row.rules.get(name, "")) for name in row.rules}
        choices[names[-1]] = request.form.get("new_rule", "")
        return {name: Rule(rule) for name, rule in choices.items() if name and rule in set(Rule)}


class NewKeyForm(KeyForm):
    """A key that is made also has a kind, which never changes."""

    kind = RadioField(
        _l("Where is it used?"),
        [InputRequired(_l("Say where the key is used."))],
        choices=options(
            [
                (KeyKind.SERVER.value, _l("Server key")),
                (KeyKind.APP.value, _l("App key")),
                (KeyKind.BROWSER.value, _l("Browser key")),
            ]
        ),
    )
