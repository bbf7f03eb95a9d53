"""flask budgets: how much may be sent in a month, and what of it is reserved, spent and free."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

import click

from smsapp.cli.ids import ROW_ID
from smsapp.cli.output import CommandGroup, Shown, echo, failure, listed
from smsapp.domain.budget import BudgetScope, BudgetUnit
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import budgets
from smsapp.services.sending.budgets import WantedBudget

command = CommandGroup("budgets", help="Budgets by month: list, set, remove.")
ACTOR = Actor("flask budgets")
AMOUNTS = ("most", "reserved", "spent", "free")


@command.command("list", shows=True)
def list_() -> Shown:
    """Print the budgets of this month: id, for what, of whom, unit, most, reserved, spent, free.

    Example: flask budgets list
    """
    names = ("id", "scope", "of", "unit", "currency", *AMOUNTS)
    return listed(
        budgets.bars(clock.now()),
        lambda bar: {name: getattr(bar, name) for name in names},
        lambda bar: "\t".join(
            (
                *(str(bar.id), bar.scope, bar.of or "-", bar.currency or bar.unit),
                *(f"{getattr(bar, name).normalize():f}" for name in AMOUNTS),
            )
        ),
    )


@command.command("set", shows=True)
@click.argument("most")
@click.option("--channel", type=ROW_ID, help="The id of the channel that it is for.")
@click.option("--person", type=ROW_ID, help="The id of the person whose campaigns it is for.")
@click.option("--money", "currency", default="", help="Count money in this currency (CNY), not billed parts.")
def set_(most: str, channel: int | None, person: int | None, currency: str) -> Shown:
    """Set a budget of MOST billed parts, or of MOST money, for each month; for everything unless said otherwise.

    \b
    Example: flask budgets set 500000
             flask budgets set 20000 --channel 3 --money CNY
    """
    if channel and person:
        raise failure("A budget is for a channel or for a person.")
    scope = BudgetScope.CHANNEL if channel else BudgetScope.PERSON if person else BudgetScope.ALL
    unit = BudgetUnit.MONEY if currency else BudgetUnit.PARTS
    try:
        amount: Decimal | None = Decimal(most)
    except InvalidOperation:
        amount = None
    wanted = WantedBudget(scope, channel or person or 0, unit, currency.upper(), amount)
    budget_id = budgets.put(wanted, ACTOR, clock.now())
    return Shown({"id": budget_id}, [str(budget_id)])


@command.command("remove")
@click.argument("budget_id", type=ROW_ID)
def remove(budget_id: int) -> None:
    """Remove a budget: nothing is limited by it any more.

    Example: flask budgets remove 3
    """
    budgets.remove(budget_id, ACTOR, clock.now())
    echo("removed")
