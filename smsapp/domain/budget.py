"""Budgets by month: for everything, a channel or a person, in billed parts or money."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from zoneinfo import ZoneInfo

from smsapp.domain.approval import Estimate

UNITS_OF_MONEY = 10_000
"""Money is counted in whole ten-thousandths, so that sums are exact on every database."""
NEARLY = 90
"""Percent of a budget from which a person is told."""
MOST = 10**15
"""The most units of a budget."""


class BudgetScope(enum.StrEnum):
    """Whose sending a budget limits."""

    ALL = "all"
    CHANNEL = "channel"
    PERSON = "person"


class BudgetUnit(enum.StrEnum):
    """What a budget counts."""

    PARTS = "parts"
    MONEY = "money"


@dataclass(frozen=True)
class BudgetUse:
    """A budget's month, in its units; reserved and spent together never exceed `most` by a reservation."""

    most: int
    reserved: int
    spent: int

    @property
    def is_nearly_taken(self) -> bool:
        """Whether hardly anything is left of it; a budget of nothing was meant so."""
        return 0 < self.most * NEARLY <= (self.reserved + self.spent) * 100

    @property
    def free(self) -> int:
        return max(0, self.most - self.reserved - self.spent)


def units(size: Estimate, unit: BudgetUnit, currency: str) -> int | None:
    """Return what something of this size takes from a budget; 0 in another currency, None if its price is unknown."""
    if unit is BudgetUnit.PARTS or not size.parts:
        return size.parts
    if size.amount is None:
        return None
    return money_units(size.amount) if size.currency == currency else 0


def money_units(amount: Decimal) -> int:
    """Return an amount in the units of a budget, rounded up."""
    return int((amount * UNITS_OF_MONEY).to_integral_value(ROUND_CEILING))


def most_units(amount: Decimal, unit: BudgetUnit) -> int:
    """Return what a person has typed in units: whole parts, or money rounded up."""
    return money_units(amount) if unit is BudgetUnit.MONEY else int(amount)


def shown(n: int, unit: BudgetUnit) -> Decimal:
    """Return units as people write them: parts, or an amount of money."""
    return Decimal(n) if unit is BudgetUnit.PARTS else Decimal(n) / UNITS_OF_MONEY


def month_of(moment: dt.datetime, zone: str) -> str:
    """Return the month in which a moment lies in this zone: 2026-11."""
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m}"
