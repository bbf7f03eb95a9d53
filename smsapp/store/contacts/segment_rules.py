"""Rules of segments as SQL: the contacts that match a rule."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from smsapp.domain import segment as rules
from smsapp.domain.contact import Type
from smsapp.domain.ledger_condition import LEDGER_NEGATIVE, LedgerCondition
from smsapp.domain.segment import Condition, Group, Match, Operator
from smsapp.store.contacts import ledger_rules
from smsapp.store.contacts.contacts import Contact, ContactIds
from smsapp.store.contacts.property_values import Truth, Values, property_values
from smsapp.store.db import current_session, dialect, holds
from smsapp.store.settings import settings


def matching(rule: Group, now: dt.datetime) -> ContactIds:
    """Return the select of the ids of contacts that match this rule as of `now` (aware)."""
    local = now.astimezone(ZoneInfo(settings().DEFAULT_ZONE)).replace(tzinfo=None)
    query = sa.select(Contact.id)
    if not rule.children:
        return query
    ledger = _Ledger(now)
    query = query.where(_group(rule, property_values(), local, ledger, every=True)).select_from(ledger.source)
    return query.execution_options(**{SEARCHED: ledger.is_searched})


SEARCHED = "smsapp_searched"
"""Option of a select that is fast as a whole only: its condition must not stand in another one's place."""


class _Ledger:
    """Conditions on the ledger within one rule, and the tables to select from for them.

    PostgreSQL joins those that hold for every member: the condition that somebody exists is a join to it, but only
    beside AND. In a larger condition it would search the people for each contact once there are too many of them for
    its memory, so there they are selected from. SQLite keeps the result of an `IN` in a tree.
    """

    def __init__(self, now: dt.datetime) -> None:
        self._now = now
        self.source: sa.FromClause = Contact.__table__
        self.is_searched = False

    def truth(self, condition: LedgerCondition, *, every: bool) -> Truth:
        """Return the condition as SQL; `every`: nothing but AND is between it and the select."""
        negative = condition.operator in LEDGER_NEGATIVE
        positive = replace(condition, operator=LEDGER_NEGATIVE.get(condition.operator, condition.operator))
        ids = ledger_rules.holding(current_session(), positive, self._now)
        if dialect() != "postgresql":
            return Contact.id.not_in(ids) if negative else Contact.id.in_(ids)
        self.is_searched = True
        if every:
            people = ids.subquery()
            is_among = sa.exists().select_from(people).where(people.c.contact_id == Contact.id).correlate(Contact)
            return ~is_among if negative else is_among
        people = ids.distinct().subquery()
        self.source = self.source.outerjoin(people, people.c.contact_id == Contact.id)
        return people.c.contact_id.is_(None) if negative else people.c.contact_id.is_not(None)


def is_plain(members: ContactIds) -> bool:
    """Return whether this select reads contacts only, so that its condition can stand in another one's place."""
    return members.columns_clause_froms == [Contact.__table__] and not members.get_execution_options().get(SEARCHED)


def belongs(members: ContactIds) -> Truth:
    """Return the condition that a contact is a member; the condition of a plain select is used without its ids."""
    if not is_plain(members):
        return Contact.id.in_(members)
    return sa.true() if members.whereclause is None else members.whereclause


def _group(group: Group, values: Values, local: dt.datetime, ledger: _Ledger, *, every: bool) -> Truth:
    every = every and group.match is Match.ALL
    parts = [
        _group(child, values, local, ledger, every=every)
        if isinstance(child, Group)
        else ledger.truth(child, every=every)
        if isinstance(child, LedgerCondition)
        else _condition(child, values, local)
        for child in group.children
    ]
    match group.match:
        case Match.ALL:
            return sa.and_(sa.true(), *parts).self_group()
        case Match.ANY:
            return sa.or_(sa.false(), *parts).self_group()
        case Match.NONE:
            return _not(sa.or_(sa.false(), *parts))


def _not(truth: Truth) -> Truth:
    """Return a condition that is true exactly where `truth` is false or NULL."""
    return truth.self_group().is_not(sa.true())


def _condition(condition: Condition, values: Values, local: dt.datetime) -> Truth:
    if condition.operator in rules.NEGATIVE:
        positive = Condition(condition.property, condition.type, rules.NEGATIVE[condition.operator], condition.params)
        return _not(_condition(positive, values, local))
    if condition.operator is Operator.HAS_VALUE:
        return values.present(condition.property, condition.type)
    if condition.type is Type.DATETIME:
        return _datetime(condition, values.text(condition.property), local)
    return _COMPARED[condition.type](condition, values)


def _string(condition: Condition, values: Values) -> Truth:
    param = cast("str", condition.params[0])
    text = values.text(condition.property)
    match condition.operator:
        case Operator.EQUALS:
            return text == param
        case Operator.ONE_OF:
            return text.in_(param)
        case Operator.CONTAINS:
            return holds(text, param)
        case Operator.STARTS_WITH:
            return sa.func.substr(text, 1, len(param)) == param
    raise ValueError(condition.operator)


def _number(condition: Condition, values: Values) -> Truth:
    number = values.number(condition.property)
    # Converted through text so that 0.1 stays 0.1: PostgreSQL compares JSON numbers exactly, SQLite as doubles.
    low, *high = [sa.literal(Decimal(repr(param)), sa.Numeric()) for param in condition.params]
    match condition.operator:
        case Operator.EQUALS:
            return number == low
        case Operator.GREATER:
            return number > low
        case Operator.AT_LEAST:
            return number >= low
        case Operator.LESS:
            return number < low
        case Operator.AT_MOST:
            return number <= low
        case Operator.BETWEEN:
            return number.between(low, high[0])
    raise ValueError(condition.operator)


def _bool(condition: Condition, values: Values) -> Truth:
    return values.truth(condition.property, condition.operator is Operator.TRUE)


def _datetime(condition: Condition, text: sa.ColumnElement[str], local: dt.datetime) -> Truth:
    if condition.operator is Operator.ANNIVERSARY:
        return sa.func.substr(text, 6, 5).in_(rules.anniversary(condition, local))
    span = rules.span(condition, local)
    bounds: list[Truth] = []
    if span.start is not None:
        bounds.append(text >= span.start)
    if span.end is not None:
        bounds.append(text < span.end)
    return sa.and_(sa.true(), *bounds).self_group()


def _list(condition: Condition, values: Values) -> Truth:
    items: tuple[Any, ...] = condition.params[0]  # type: ignore[assignment]
    match condition.operator:
        case Operator.CONTAINS_ANY:
            return values.any_listed(condition.property, items)
        case Operator.CONTAINS_ALL:
            return values.all_listed(condition.property, items)
        case Operator.SAME_SET:
            return values.same_set(condition.property, items)
    raise ValueError(condition.operator)


_COMPARED: dict[Type, Callable[[Condition, Values], Truth]] = {
    Type.STRING: _string,
    Type.NUMBER: _number,
    Type.BOOL: _bool,
    Type.LIST: _list,
}
