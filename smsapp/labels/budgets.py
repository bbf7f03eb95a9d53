"""Words of budgets."""

from __future__ import annotations

from smsapp.domain.budget import BudgetScope, BudgetUnit
from smsapp.labels.locales import lazy_gettext as _l

LABELS = {
    BudgetScope.ALL: _l("Everything"),
    BudgetScope.CHANNEL: _l("One channel"),
    BudgetScope.PERSON: _l("What one person made"),
    BudgetUnit.PARTS: _l("Billed parts"),
    BudgetUnit.MONEY: _l("Money"),
}

PROBLEMS = {
    "budget_exceeded": _l(
        "A budget of that month does not hold it, or its channel has no price. Raise the budget in the settings, "
        "write to fewer people, or wait for the next month."
    ),
    "budget_new": _l("A budget was set just now. Look at it again and confirm."),
    "budget_of_nobody": _l("Choose for whom or what the budget is."),
    "budget_currency": _l("Write the three letters of the currency, such as CNY."),
    "budget_most": _l("Write how much it is for each month."),
}
