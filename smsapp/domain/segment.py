"""A segment's rule: conditions on typed properties, in groups; the operators and their meaning.

Every condition is true or false for every contact, never unknown. **A negative operator is exactly the negation of its
positive one** (`NEGATIVE`), so "city is not Beijing" and "city has no value" hold for a contact without a city; every
other operator is false without a value. A group "none" is likewise the negation of the group "any". An empty string and
an empty list are no value.

Strings are compared as stored: upper and lower case differ. Dates are wall time in the product's zone; relative ones
count from `now`.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smsapp.domain.contact import Type
from smsapp.domain.errors import Problem
from smsapp.domain.ledger_condition import LedgerCondition

MAX_DEPTH = 5
MAX_CONDITIONS = 100
MAX_TEXTS = 500
MAX_TEXT = 1024
MAX_COUNT = {"day": 36_500, "hour": 24 * 3650}
"""The largest N of "within the last N days": a hundred years, so that the result stays a valid date."""


class Kind(enum.StrEnum):
    DYNAMIC = "dynamic"
    STATIC = "static"
    UPLOADED = "uploaded"


class Match(enum.StrEnum):
    ALL = "all"
    ANY = "any"
    NONE = "none"


class Unit(enum.StrEnum):
    DAY = "day"
    HOUR = "hour"

    @property
    def span(self) -> dt.timedelta:
        return dt.timedelta(days=1) if self is Unit.DAY else dt.timedelta(hours=1)


class Operator(enum.StrEnum):
    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    ONE_OF = "one_of"
    NOT_ONE_OF = "not_one_of"
    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"
    STARTS_WITH = "starts_with"
    GREATER = "greater"
    AT_LEAST = "at_least"
    LESS = "less"
    AT_MOST = "at_most"
    BETWEEN = "between"
    TRUE = "true"
    FALSE = "false"
    DAYS = "days"
    SINCE = "since"
    BEFORE = "before"
    WITHIN_LAST = "within_last"
    LONGER_AGO = "longer_ago"
    BETWEEN_AGO = "between_ago"
    WITHIN_NEXT = "within_next"
    ANNIVERSARY = "anniversary"
    CONTAINS_ANY = "contains_any"
    CONTAINS_ALL = "contains_all"
    CONTAINS_NONE = "contains_none"
    SAME_SET = "same_set"
    HAS_VALUE = "has_value"
    NO_VALUE = "no_value"


class Param(enum.StrEnum):
    """A parameter that a person fills in for an operator, and its form in JSON."""

    TEXT = "text"
    TEXTS = "texts"
    """A list of strings, at least one."""
    NUMBER = "number"
    DATE = "date"
    """"YYYY-MM-DD"."""
    COUNT = "count"
    """A whole number from 0."""
    UNIT = "unit"


OPERATORS: dict[Type, dict[Operator, tuple[Param, ...]]] = {
    Type.STRING: {
        Operator.EQUALS: (Param.TEXT,),
        Operator.NOT_EQUALS: (Param.TEXT,),
        Operator.ONE_OF: (Param.TEXTS,),
        Operator.NOT_ONE_OF: (Param.TEXTS,),
        Operator.CONTAINS: (Param.TEXT,),
        Operator.NOT_CONTAINS: (Param.TEXT,),
        Operator.STARTS_WITH: (Param.TEXT,),
        Operator.HAS_VALUE: (),
        Operator.NO_VALUE: (),
    },
    Type.NUMBER: {
        Operator.EQUALS: (Param.NUMBER,),
        Operator.NOT_EQUALS: (Param.NUMBER,),
        Operator.GREATER: (Param.NUMBER,),
        Operator.AT_LEAST: (Param.NUMBER,),
        Operator.LESS: (Param.NUMBER,),
        Operator.AT_MOST: (Param.NUMBER,),
        Operator.BETWEEN: (Param.NUMBER, Param.NUMBER),
        Operator.HAS_VALUE: (),
        Operator.NO_VALUE: (),
    },
    Type.BOOL: {
        Operator.TRUE: (),
        Operator.FALSE: (),
        Operator.HAS_VALUE: (),
        Operator.NO_VALUE: (),
    },
    Type.DATETIME: {
        Operator.WITHIN_LAST: (Param.COUNT, Param.UNIT),
        Operator.LONGER_AGO: (Param.COUNT, Param.UNIT),
        Operator.BETWEEN_AGO: (Param.COUNT, Param.COUNT, Param.UNIT),
        Operator.WITHIN_NEXT: (Param.COUNT, Param.UNIT),
        Operator.ANNIVERSARY: (Param.COUNT,),
        Operator.DAYS: (Param.DATE, Param.DATE),
        Operator.SINCE: (Param.DATE,),
        Operator.BEFORE: (Param.DATE,),
        Operator.HAS_VALUE: (),
        Operator.NO_VALUE: (),
    },
    Type.LIST: {
        Operator.CONTAINS_ANY: (Param.TEXTS,),
        Operator.CONTAINS_ALL: (Param.TEXTS,),
        Operator.CONTAINS_NONE: (Param.TEXTS,),
        Operator.SAME_SET: (Param.TEXTS,),
        Operator.HAS_VALUE: (),
        Operator.NO_VALUE: (),
    },
}

PRESENCE = frozenset({Operator.HAS_VALUE, Operator.NO_VALUE})

NEGATIVE: dict[Operator, Operator] = {
    Operator.NOT_EQUALS: Operator.EQUALS,
    Operator.NOT_ONE_OF: Operator.ONE_OF,
    Operator.NOT_CONTAINS: Operator.CONTAINS,
    Operator.CONTAINS_NONE: Operator.CONTAINS_ANY,
    Operator.NO_VALUE: Operator.HAS_VALUE,
}

Value = str | int | float | tuple[str, ...]


@dataclass(frozen=True)
class Condition:
    """A comparison of one property; the types of `params` are `OPERATORS[type][operator]`."""

    property: str
    type: Type
    operator: Operator
    params: tuple[Value, ...] = ()

    def as_json(self) -> dict[str, Any]:
        params = [list(value) if isinstance(value, tuple) else value for value in self.params]
        return {"property": self.property, "type": self.type, "operator": self.operator, "params": params}


@dataclass(frozen=True)
class Group:
    match: Match = Match.ALL
    children: tuple[Condition | LedgerCondition | Group, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"match": self.match, "children": [child.as_json() for child in self.children]}

    def conditions(self) -> Iterator[Condition]:
        """Yield every condition on a property in this group and the groups inside it, in reading order."""
        return (condition for condition in self.leaves() if isinstance(condition, Condition))

    def leaves(self) -> Iterator[Condition | LedgerCondition]:
        """Yield every condition in this group and the groups inside it, in reading order."""
        for child in self.children:
            if isinstance(child, Group):
                yield from child.leaves()
            else:
                yield child


EVERYONE = Group()
"""No condition at all: every contact."""


def problems(rule: Group, types: Mapping[str, Type], place: str = "rule") -> list[Problem]:
    """Return the problems of this rule: too deep, too long, an empty group, or a property that is not in the catalogue
    (any more) with that type."""
    problems: list[Problem] = []
    if sum(1 for _ in rule.leaves()) > MAX_CONDITIONS:
        problems.append(Problem("segment_too_many_conditions", place, {"limit": MAX_CONDITIONS}))
    if not rule.children and rule.match is not Match.ALL:
        problems.append(Problem("segment_group_empty", place))
    _check_group(rule, types, place, 1, problems)
    return problems


def _check_group(group: Group, types: Mapping[str, Type], place: str, depth: int, problems: list[Problem]) -> None:
    if depth > MAX_DEPTH:
        problems.append(Problem("segment_too_deep", place, {"limit": MAX_DEPTH}))
        return
    for number, child in enumerate(group.children):
        here = f"{place}.{number}"
        if isinstance(child, Group):
            if not child.children:
                problems.append(Problem("segment_group_empty", here))
            _check_group(child, types, here, depth + 1, problems)
        elif isinstance(child, LedgerCondition):
            continue
        elif child.property not in types:
            problems.append(Problem("segment_property_unknown", here, {"property": child.property}))
        elif types[child.property] is not child.type:
            problems.append(Problem("segment_property_type", here, {"property": child.property}))


@dataclass(frozen=True)
class Span:
    """Stored wall times from `start` (included) to `end` (excluded); None = no bound on that side."""

    start: str | None
    end: str | None


def span(condition: Condition, local: dt.datetime) -> Span:
    """Return the stored times that match a datetime condition; `local` is now as wall time, without a zone.

    Stored times are cut to whole seconds, so "up to now" ends with the next second.
    """
    params: tuple[Any, ...] = condition.params
    local = local.replace(microsecond=0)
    after = local + dt.timedelta(seconds=1)
    start: str | None = None
    end: str | None = None
    match condition.operator:
        case Operator.DAYS:
            start, end = _midnight(params[0]), _midnight(params[1], 1)
        case Operator.SINCE:
            start = _midnight(params[0])
        case Operator.BEFORE:
            end = _midnight(params[0])
        case Operator.WITHIN_LAST:
            start, end = _ago(local, *params), _ago(after, 0, Unit.DAY)
        case Operator.LONGER_AGO:
            end = _ago(local, *params)
        case Operator.BETWEEN_AGO:
            start, end = _ago(local, params[1], params[2]), _ago(after, params[0], params[2])
        case Operator.WITHIN_NEXT:
            start, end = _ago(local, 0, Unit.DAY), _ago(after, -params[0], params[1])
        case _:
            raise ValueError(condition.operator)
    return Span(start, end)


def anniversary(condition: Condition, local: dt.datetime) -> tuple[str, ...]:
    """Return the "MM-DD" of birthdays so many days after `local`; for 28 February of a common year also 29 February."""
    days: Any = condition.params[0]
    day = local.date() + dt.timedelta(days=days)
    due = (day.strftime("%m-%d"),)
    if due == ("02-28",) and (day + dt.timedelta(days=1)).day == 1:
        return (*due, "02-29")
    return due


def _midnight(day: str, later: int = 0) -> str | None:
    try:
        return (dt.date.fromisoformat(day) + dt.timedelta(days=later)).isoformat() + "T00:00:00"
    except OverflowError:
        return None  # The day after 9999-12-31.


def _ago(local: dt.datetime, count: int, unit: str) -> str:
    return (local - count * Unit(unit).span).isoformat(timespec="seconds")
