"""Form of a budget."""

from __future__ import annotations

from wtforms import DecimalField, RadioField, SelectField, StringField
from wtforms.validators import Optional

from smsapp.domain.budget import BudgetScope, BudgetUnit
from smsapp.labels import label
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.services.sending import budgets
from smsapp.services.sending.budgets import WantedBudget
from smsapp.web.forms import PageForm, options
from smsapp.web.inputs import chosen_id


class BudgetForm(PageForm):
    scope = RadioField(_l("Applies to"), default=BudgetScope.ALL)
    channel = SelectField(_l("Channel"), [Optional()], coerce=chosen_id)
    person = SelectField(_l("Creator"), [Optional()], coerce=chosen_id)
    unit = RadioField(_l("Counted in"), default=BudgetUnit.PARTS)
    currency = StringField(_l("Currency"), default="CNY")
    most = DecimalField(_l("For each month"), [Optional()])

    def __init__(self) -> None:
        super().__init__()
        self.scope.choices = options([(str(scope), label(scope)) for scope in BudgetScope])
        self.unit.choices = options([(str(unit), label(unit)) for unit in BudgetUnit])
        self.channel.choices = options([("", "–"), *budgets.channels()])
        self.person.choices = options([("", "–"), *budgets.people()])

    def wanted(self) -> WantedBudget:
        """Return what was typed, as the service takes it."""
        scope = BudgetScope(self.scope.data)
        scope_id = {BudgetScope.CHANNEL: self.channel.data, BudgetScope.PERSON: self.person.data}.get(scope)
        currency = (self.currency.data or "").strip().upper()
        return WantedBudget(scope, scope_id or 0, BudgetUnit(self.unit.data), currency, self.most.data)
