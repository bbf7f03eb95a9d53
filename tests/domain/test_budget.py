"""What something takes from a budget, in exact units."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from smsapp.domain import budget
from smsapp.domain.approval import Estimate
from smsapp.domain.budget import BudgetUnit, BudgetUse

SIZE = Estimate(10, 12, Decimal("0.54"), "CNY")


def test_parts_count_as_they_are_and_money_in_ten_thousandths() -> None:
    assert budget.units(SIZE, BudgetUnit.PARTS, "") == 12
    assert budget.units(SIZE, BudgetUnit.MONEY, "CNY") == 5400
    assert budget.money_units(Decimal("0.00001")) == 1
    assert budget.most_units(Decimal("12.9"), BudgetUnit.PARTS) == 12
    assert budget.shown(5400, BudgetUnit.MONEY) == Decimal("0.54")
    assert budget.shown(12, BudgetUnit.PARTS) == 12


def test_another_currency_takes_nothing_and_an_unknown_price_cannot_be_counted() -> None:
    assert budget.units(SIZE, BudgetUnit.MONEY, "USD") == 0
    assert budget.units(Estimate(10, 12, None, ""), BudgetUnit.MONEY, "CNY") is None


def test_what_is_free_is_never_below_nothing() -> None:
    assert BudgetUse(100, 30, 50).free == 20
    assert BudgetUse(10, 30, 50).free == 0


def test_a_month_begins_at_midnight_of_the_zone() -> None:
    moment = dt.datetime(2026, 2, 28, 16, 0, tzinfo=dt.UTC)
    assert budget.month_of(moment, "Asia/Shanghai") == "2026-03"
    assert budget.month_of(moment, "UTC") == "2026-02"
