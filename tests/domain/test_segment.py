"""Rules as data: checked against the catalogue, limits kept; the times and days a condition asks for."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from smsapp.domain.contact import Type
from smsapp.domain.errors import Problem
from smsapp.domain.segment import (
    EVERYONE,
    MAX_CONDITIONS,
    MAX_DEPTH,
    NEGATIVE,
    OPERATORS,
    Condition,
    Group,
    Match,
    Operator,
    Span,
    anniversary,
    problems,
    span,
)

CITY = Condition("city", Type.STRING, Operator.EQUALS, ("北京",))
TYPES = {"city": Type.STRING, "age": Type.NUMBER}


def codes(found: Any) -> list[tuple[str, str]]:
    return [(problem.code, problem.place) for problem in found]


def nested(depth: int) -> Group:
    rule = Group(Match.ANY, (CITY,))
    for _ in range(depth - 1):
        rule = Group(Match.ALL, (rule,))
    return rule


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (EVERYONE, []),
        (nested(MAX_DEPTH), []),
        (nested(MAX_DEPTH + 1), [("segment_too_deep", "rule" + ".0" * MAX_DEPTH)]),
        (Group(Match.ALL, (CITY,) * MAX_CONDITIONS), []),
        (Group(Match.ALL, (CITY,) * (MAX_CONDITIONS + 1)), [("segment_too_many_conditions", "rule")]),
        (Group(Match.ANY), [("segment_group_empty", "rule")]),
        (Group(Match.ALL, (CITY, Group())), [("segment_group_empty", "rule.1")]),
        (
            Group(Match.ALL, (Condition("gone", Type.STRING, Operator.HAS_VALUE),)),
            [("segment_property_unknown", "rule.0")],
        ),
        (Group(Match.ALL, (Condition("age", Type.STRING, Operator.HAS_VALUE),)), [("segment_property_type", "rule.0")]),
    ],
)
def test_a_rule_keeps_to_the_limits_and_the_catalogue(rule: Group, found: list[tuple[str, str]]) -> None:
    assert codes(problems(rule, TYPES)) == found


def test_every_negative_operator_belongs_to_the_types_of_its_positive_one() -> None:
    for operators in OPERATORS.values():
        for negative, positive in NEGATIVE.items():
            assert (negative not in operators) or (operators[negative] == operators[positive])


def test_a_day_after_the_last_one_has_no_end() -> None:
    last = Condition("d", Type.DATETIME, Operator.DAYS, ("9999-12-31", "9999-12-31"))
    local = dt.datetime(2026, 1, 1)  # noqa: DTZ001 wall time on purpose
    assert span(last, local) == Span("9999-12-31T00:00:00", None)


NOON = dt.datetime(2026, 3, 2, 12, 30, 15, 999_999)  # noqa: DTZ001 wall time on purpose


@pytest.mark.parametrize(
    ("operator", "params", "start", "end"),
    [
        (Operator.DAYS, ("2026-03-01", "2026-03-05"), "2026-03-01T00:00:00", "2026-03-06T00:00:00"),
        (Operator.SINCE, ("2026-03-01",), "2026-03-01T00:00:00", None),
        (Operator.BEFORE, ("2026-03-01",), None, "2026-03-01T00:00:00"),
        (Operator.WITHIN_LAST, (7, "day"), "2026-02-23T12:30:15", "2026-03-02T12:30:16"),
        (Operator.LONGER_AGO, (7, "day"), None, "2026-02-23T12:30:15"),
        (Operator.BETWEEN_AGO, (2, 7, "day"), "2026-02-23T12:30:15", "2026-02-28T12:30:16"),
        (Operator.WITHIN_NEXT, (2, "day"), "2026-03-02T12:30:15", "2026-03-04T12:30:16"),
        (Operator.WITHIN_LAST, (3, "hour"), "2026-03-02T09:30:15", "2026-03-02T12:30:16"),
    ],
)
def test_a_condition_on_a_moment_holds_for_a_span(
    operator: Operator, params: tuple[Any, ...], start: str | None, end: str | None
) -> None:
    assert span(Condition("seen", Type.DATETIME, operator, params), NOON) == Span(start, end)


def test_what_is_no_span_is_an_error_of_the_program() -> None:
    with pytest.raises(ValueError, match="equals"):
        span(CITY, NOON)


@pytest.mark.parametrize(
    ("today", "days", "due"),
    [
        ("2026-03-02", 0, ("03-02",)),
        ("2026-12-30", 3, ("01-02",)),
        ("2026-02-27", 1, ("02-28", "02-29")),
        ("2026-02-28", 0, ("02-28", "02-29")),
        ("2028-02-28", 0, ("02-28",)),
        ("2028-02-28", 1, ("02-29",)),
        ("2026-02-28", 1, ("03-01",)),
    ],
)
def test_a_birthday_on_a_leap_day_is_due_in_every_year(today: str, days: int, due: tuple[str, ...]) -> None:
    condition = Condition("birthday", Type.DATETIME, Operator.ANNIVERSARY, (days,))
    assert anniversary(condition, dt.datetime.fromisoformat(today)) == due


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (nested(MAX_DEPTH + 1), Problem("segment_too_deep", "rule" + ".0" * MAX_DEPTH, {"limit": 5})),
        (
            Group(Match.ALL, (CITY,) * (MAX_CONDITIONS + 1)),
            Problem("segment_too_many_conditions", "rule", {"limit": 100}),
        ),
        (
            Group(Match.ALL, (Condition("gone", Type.STRING, Operator.HAS_VALUE),)),
            Problem("segment_property_unknown", "rule.0", {"property": "gone"}),
        ),
        (
            Group(Match.ALL, (Condition("age", Type.STRING, Operator.HAS_VALUE),)),
            Problem("segment_property_type", "rule.0", {"property": "age"}),
        ),
    ],
)
def test_what_is_wrong_with_a_rule_is_told_with_its_facts(rule: Group, expected: Problem) -> None:
    assert problems(rule, TYPES) == [expected]
