"""Budgets by month: set, removed, and shown with what is reserved, spent and free."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.orm import Session

from smsapp.domain import budget as rules
from smsapp.domain.budget import BudgetScope, BudgetUnit, BudgetUse
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.services.channels import accounts
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.sending import budget_guard
from smsapp.store import budgets as store
from smsapp.store import users
from smsapp.store.budgets import Budget
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, writing
from smsapp.store.runs.runs import Run
from smsapp.store.users import User

NOUN = "budget"
OWNERS: Mapping[BudgetScope, type[ChannelRow | User]] = {BudgetScope.CHANNEL: ChannelRow, BudgetScope.PERSON: User}


@dataclass(frozen=True)
class BudgetBar:
    """A budget and its present month."""

    id: int
    scope: BudgetScope
    of: str
    """The name of the channel or person; "" for everything."""
    unit: BudgetUnit
    currency: str
    use: BudgetUse

    @property
    def most(self) -> Decimal:
        return rules.shown(self.use.most, self.unit)

    @property
    def reserved(self) -> Decimal:
        return rules.shown(self.use.reserved, self.unit)

    @property
    def spent(self) -> Decimal:
        return rules.shown(self.use.spent, self.unit)

    @property
    def free(self) -> Decimal:
        return rules.shown(self.use.free, self.unit)

    @property
    def taken(self) -> int:
        """Reserved and spent, in units."""
        return self.use.reserved + self.use.spent

    @property
    def is_money(self) -> bool:
        return self.unit is BudgetUnit.MONEY


@dataclass(frozen=True)
class WantedBudget:
    """A budget as it is typed in."""

    scope: BudgetScope
    scope_id: int
    unit: BudgetUnit
    currency: str
    most: Decimal | None


def bars(now: dt.datetime) -> list[BudgetBar]:
    """Return all budgets with this month's use; what a run that goes on has sent already counts as spent."""
    session = current_session()
    month = budget_guard.month_of(now)
    months = store.months(session, month)
    under_way = _under_way(session, month)
    lines = []
    for row in store.all_budgets(session):
        unit = BudgetUnit(row.unit)
        used = months.get(row.id)
        sent = under_way[row.id]
        use = BudgetUse(row.most, used.reserved - sent if used else 0, used.spent + sent if used else 0)
        lines.append(BudgetBar(row.id, BudgetScope(row.scope), _name(session, row), unit, row.currency, use))
    return lines


def _under_way(session: Session, month: str) -> Counter[int]:
    """Return budget id -> units that runs which go on have sent of what they have reserved."""
    sent: Counter[int] = Counter()
    for row in store.open_reservations(session, month):
        run = session.get_one(Run, row.run_id, populate_existing=True)
        budget = session.get_one(Budget, row.budget_id)
        size = budget_guard.spent_by(session, run.id, run.snapshot)
        n = rules.units(size, BudgetUnit(budget.unit), budget.currency) or 0
        sent[row.budget_id] += min(n, row.reserved)
    return sent


def _name(session: Session, row: Budget) -> str:
    if row.scope == BudgetScope.CHANNEL:
        channel = session.get(ChannelRow, row.scope_id)
        return channel.name if channel else ""
    person = session.get(User, row.scope_id) if row.scope == BudgetScope.PERSON else None
    return person.name if person else ""


def put(wanted: WantedBudget, actor: Actor, now: dt.datetime) -> int:
    """Make a budget, or change the amount of the one for the same thing; return its id. Raises Refusal."""
    require(actor, Right.SENDING_WRITE)
    with writing() as session:
        most = _checked(session, wanted)
        currency = wanted.currency if wanted.unit is BudgetUnit.MONEY else ""
        key = {"scope": wanted.scope, "scope_id": wanted.scope_id, "unit": wanted.unit, "currency": currency}
        row = store.of_key(session, **key)
        if row is None:
            row = Budget(**key, most=most)
            session.add(row)
        row.most = most
        session.flush()
        facts = {"scope": wanted.scope, "name": _name(session, row), "amount": str(wanted.most), "unit": wanted.unit}
        log_action(session, actor, "change", NOUN, row.id, now, **facts, currency=currency)
    return row.id


def _checked(session: Session, wanted: WantedBudget) -> int:
    """Return the amount in units; raises Refusal with what is wrong."""
    problems = []
    table = OWNERS.get(wanted.scope)
    if table is not None and session.get(table, wanted.scope_id) is None:
        problems.append(Problem("budget_of_nobody", str(wanted.scope)))
    if wanted.unit is BudgetUnit.MONEY and not (len(wanted.currency) == 3 and wanted.currency.isalpha()):
        problems.append(Problem("budget_currency", "currency"))
    is_amount = wanted.most is not None and wanted.most.is_finite() and 0 <= wanted.most <= rules.MOST
    most = rules.most_units(wanted.most, wanted.unit) if is_amount and wanted.most is not None else rules.MOST + 1
    if most > rules.MOST:
        problems.append(Problem("budget_most", "most"))
    if problems:
        raise Refusal(*problems)
    return most


def remove(budget_id: int, actor: Actor, now: dt.datetime) -> None:
    """Remove a budget with what it has reserved and spent; raises NotFound."""
    require(actor, Right.SENDING_WRITE)
    with writing() as session:
        row = session.get(Budget, budget_id)
        if row is None:
            raise NotFound(NOUN)
        log_action(session, actor, "remove", NOUN, budget_id, now, scope=row.scope, name=_name(session, row))
        session.delete(row)


def channels() -> list[tuple[int, str]]:
    """Return (id, name) of the channels that a budget may be for."""
    return [(row.id, row.name) for row in accounts.everything()]


def people() -> list[tuple[int, str]]:
    """Return (id, name) of the people that a budget may be for."""
    return [(row.id, row.name) for row in users.all_users(current_session()) if row.active]
