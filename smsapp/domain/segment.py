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
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smsapp.domain.contact import MAX_NUMBER, Type
from smsapp.domain.errors import Problem, Refusal

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
    children: tuple[Condition | Group, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {"match": self.match, "children": [child.as_json() for child in self.children]}

    def conditions(self) -> Iterator[Condition]:
        """Yield every condition in this group and the groups inside it, in reading order."""
        for child in self.children:
            if isinstance(child, Group):
                yield from child.conditions()
            else:
                yield child


EVERYONE = Group()
"""No condition at all: every contact."""


def from_json(raw: Any, place: str = "rule") -> Group:
    """Return the rule stored as JSON; raise Refusal with all problems, each with the path of its group or condition as
    place ("rule.0.2" is the third child of the first child)."""
    problems: list[Problem] = []
    rule = _read_group(raw, place, problems)
    if problems:
        raise Refusal(*problems)
    return rule


def problems(rule: Group, types: Mapping[str, Type], place: str = "rule") -> list[Problem]:
    """Return the problems of this rule: too deep, too long, an empty group, or a property that is not in the catalogue
    (any more) with that type."""
    problems: list[Problem] = []
    if sum(1 for _ in rule.conditions()) > MAX_CONDITIONS:
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
        elif child.property not in types:
            problems.append(Problem("segment_property_unknown", here, {"property": child.property}))
        elif types[child.property] is not child.type:
            problems.append(Problem("segment_property_type", here, {"property": child.property}))


def _read_group(raw: Any, place: str, problems: list[Problem], depth: int = 1) -> Group:
    if not isinstance(raw, dict) or not isinstance(raw.get("children", []), list):
        problems.append(Problem("segment_rule_unreadable", place))
        return EVERYONE
    try:
        match = Match(raw.get("match", Match.ALL))
    except ValueError:
        problems.append(Problem("segment_rule_unreadable", place))
        return EVERYONE
    if depth > MAX_DEPTH:
        # Stop here: deep nesting must not end in a RecursionError.
        problems.append(Problem("segment_too_deep", place, {"limit": MAX_DEPTH}))
        return EVERYONE
    children: list[Condition | Group] = []
    for number, child in enumerate(raw.get("children", [])):
        here = f"{place}.{number}"
        if isinstance(child, dict) and "property" in child:
            condition = _read_stored(child, here, problems)
            if condition:
                children.append(condition)
        else:
            children.append(_read_group(child, here, problems, depth + 1))
    return Group(match, tuple(children))


def _read_stored(raw: dict[str, Any], place: str, problems: list[Problem]) -> Condition | None:
    try:
        kind = Type(raw["type"])
        operator = Operator(raw["operator"])
        params = raw.get("params", [])
        expected = OPERATORS[kind][operator]
        if not isinstance(raw["property"], str) or not isinstance(params, list) or len(params) != len(expected):
            raise ValueError
    except (KeyError, ValueError):
        problems.append(Problem("segment_rule_unreadable", place))
        return None
    return read_condition(raw["property"], kind, operator, params, place, problems)


def read_condition(
    name: str, kind: Type, operator: Operator, raw: Sequence[Any], place: str, problems: list[Problem]
) -> Condition | None:
    """Return the condition with the parameters `raw` (as typed in a form, or as stored in JSON); None if they are
    invalid, with the reasons added to `problems`. The operator must be one of the type's."""
    count_before = len(problems)
    params = [
        _read_param(param, raw[number] if number < len(raw) else "", place, problems)
        for number, param in enumerate(OPERATORS[kind][operator])
    ]
    if len(problems) == count_before:
        _check_params(operator, params, place, problems)
    if len(problems) > count_before:
        return None
    return Condition(name, kind, operator, tuple(params))


def _read_param(param: Param, raw: Any, place: str, problems: list[Problem]) -> Value:
    try:
        return READERS[param](raw)
    except ValueError as error:
        problems.append(Problem(str(error), place, LIMITS.get(str(error), {})))
        return ""


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("segment_rule_unreadable")
    text = raw.strip()
    if not text:
        raise ValueError("segment_value_missing")
    if len(text) > MAX_TEXT:
        raise ValueError("segment_text_too_long")
    if "\0" in text:
        # PostgreSQL keeps no NUL in text.
        raise ValueError("segment_rule_unreadable")
    return text


def _texts(raw: Any) -> tuple[str, ...]:
    """Return the texts of a list, or of the lines typed in a form, in order and without duplicates."""
    lines = raw.splitlines() if isinstance(raw, str) else raw
    if not isinstance(lines, list):
        raise ValueError("segment_rule_unreadable")
    texts = tuple(dict.fromkeys(_text(line) for line in lines if not isinstance(line, str) or line.strip()))
    if not texts:
        raise ValueError("segment_value_missing")
    if len(texts) > MAX_TEXTS:
        raise ValueError("segment_too_many_values")
    return texts


def _number(raw: Any) -> int | float:
    if isinstance(raw, str):
        if not raw.strip():
            raise ValueError("segment_value_missing")
        try:
            raw = float(raw.strip().replace(",", "").replace("，", ""))
        except ValueError:
            raise ValueError("segment_number_unreadable") from None
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ValueError("segment_rule_unreadable")
    # In this order: an int of any size can be compared, but isfinite would overflow.
    if abs(raw) > MAX_NUMBER or not math.isfinite(raw):
        raise ValueError("segment_number_unreadable")
    return int(raw) if raw == int(raw) else raw


def _date(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("segment_value_missing")
    try:
        return dt.date.fromisoformat(raw.strip()).isoformat()
    except ValueError:
        raise ValueError("segment_date_unreadable") from None


def _count(raw: Any) -> int:
    number = _number(raw)
    if not isinstance(number, int) or number < 0:
        raise ValueError("segment_count_unreadable")
    return number


def _unit(raw: Any) -> str:
    try:
        return Unit(raw)
    except ValueError:
        raise ValueError("segment_rule_unreadable") from None


READERS: dict[Param, Callable[[Any], Value]] = {
    Param.TEXT: _text,
    Param.TEXTS: _texts,
    Param.NUMBER: _number,
    Param.DATE: _date,
    Param.COUNT: _count,
    Param.UNIT: _unit,
}
LIMITS: dict[str, dict[str, Any]] = {
    "segment_text_too_long": {"limit": MAX_TEXT},
    "segment_too_many_values": {"limit": MAX_TEXTS},
    "segment_count_unreadable": {"limit": MAX_COUNT[Unit.DAY]},
}


def _check_params(operator: Operator, params: Sequence[Any], place: str, problems: list[Problem]) -> None:
    if operator in (Operator.BETWEEN, Operator.DAYS, Operator.BETWEEN_AGO) and params[0] > params[1]:
        problems.append(Problem("segment_range_reversed", place))
    if params and isinstance(params[-1], Unit) and max(params[:-1]) > MAX_COUNT[params[-1]]:
        problems.append(Problem("segment_count_unreadable", place, {"limit": MAX_COUNT[params[-1]]}))
    if operator is Operator.ANNIVERSARY and params[0] > 365:
        problems.append(Problem("segment_count_unreadable", place, {"limit": 365}))


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
