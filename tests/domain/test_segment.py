"""Rules as data: read from JSON and forms, checked against the catalogue, limits kept."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from smsapp.domain.contact import Type
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.segment import (
    EVERYONE,
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_TEXTS,
    NEGATIVE,
    OPERATORS,
    Condition,
    Group,
    Match,
    Operator,
    Span,
    anniversary,
    from_json,
    problems,
    read_condition,
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


def test_a_rule_survives_json() -> None:
    tags = Condition("tags", Type.LIST, Operator.CONTAINS_ANY, (("a", "b"),))
    seen = Condition("seen", Type.DATETIME, Operator.WITHIN_LAST, (7, "day"))
    rule = Group(Match.NONE, (CITY, Group(Match.ANY, (tags, seen))))
    assert from_json(rule.as_json()) == rule


def test_an_empty_object_is_everyone() -> None:
    assert from_json({}) == EVERYONE


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (None, "rule"),
        ([], "rule"),
        ({"match": "some"}, "rule"),
        ({"children": {}}, "rule"),
        ({"children": ["x"]}, "rule.0"),
        ({"children": [{"property": "a", "type": "string", "operator": "greater", "params": ["1"]}]}, "rule.0"),
        ({"children": [{"property": "a", "type": "money", "operator": "equals", "params": ["1"]}]}, "rule.0"),
        ({"children": [{"property": 1, "type": "string", "operator": "equals", "params": ["1"]}]}, "rule.0"),
        ({"children": [{"property": "a", "type": "string", "operator": "equals", "params": []}]}, "rule.0"),
        ({"children": [{"property": "a", "type": "string", "operator": "equals", "params": [5]}]}, "rule.0"),
        ({"children": [{"property": "a", "type": "string", "operator": "equals", "params": ["a\0"]}]}, "rule.0"),
        ({"children": [{"property": "a", "type": "number", "operator": "equals", "params": [True]}]}, "rule.0"),
        ({"children": [{}, {"property": "a", "type": "list", "operator": "same_set", "params": [3]}]}, "rule.1"),
        ({"children": [{"property": "a", "type": "datetime", "operator": "within_next", "params": [3, 4]}]}, "rule.0"),
    ],
)
def test_what_is_no_rule_is_refused_at_its_place(raw: Any, place: str) -> None:
    with pytest.raises(Refusal) as refused:
        from_json(raw)
    assert codes(refused.value.problems) == [("segment_rule_unreadable", place)]


def test_nesting_without_end_is_refused_and_no_recursion_error() -> None:
    raw: dict[str, Any] = {}
    for _ in range(5000):
        raw = {"children": [raw]}
    with pytest.raises(Refusal) as refused:
        from_json(raw)
    assert [problem.code for problem in refused.value.problems] == ["segment_too_deep"]


@pytest.mark.parametrize(
    ("kind", "operator", "typed", "params"),
    [
        (Type.STRING, Operator.EQUALS, [" 北京 "], ("北京",)),
        (Type.STRING, Operator.ONE_OF, ["a\r\n\r\n b \na"], (("a", "b"),)),
        (Type.NUMBER, Operator.AT_LEAST, ["1,000"], (1000,)),
        (Type.NUMBER, Operator.BETWEEN, ["0.5", "2"], (0.5, 2)),
        (Type.DATETIME, Operator.WITHIN_LAST, ["7", "day"], (7, "day")),
        (Type.DATETIME, Operator.DAYS, ["2026-01-01", "2026-01-31"], ("2026-01-01", "2026-01-31")),
        (Type.BOOL, Operator.TRUE, ["", "", ""], ()),
    ],
)
def test_what_is_typed_becomes_a_condition(
    kind: Type, operator: Operator, typed: list[str], params: tuple[Any, ...]
) -> None:
    found: list[Problem] = []
    assert read_condition("p", kind, operator, typed, "rule.0", found) == Condition("p", kind, operator, params)
    assert found == []


@pytest.mark.parametrize(
    ("kind", "operator", "typed", "code"),
    [
        (Type.STRING, Operator.EQUALS, ["  "], "segment_value_missing"),
        (Type.STRING, Operator.EQUALS, ["x" * 1025], "segment_text_too_long"),
        (Type.STRING, Operator.ONE_OF, ["\n \n"], "segment_value_missing"),
        (Type.STRING, Operator.ONE_OF, ["\n".join(map(str, range(MAX_TEXTS + 1)))], "segment_too_many_values"),
        (Type.NUMBER, Operator.EQUALS, [""], "segment_value_missing"),
        (Type.NUMBER, Operator.EQUALS, ["many"], "segment_number_unreadable"),
        (Type.NUMBER, Operator.EQUALS, ["nan"], "segment_number_unreadable"),
        (Type.NUMBER, Operator.EQUALS, ["1e15"], "segment_number_unreadable"),
        (Type.NUMBER, Operator.BETWEEN, ["3", "2"], "segment_range_reversed"),
        (Type.DATETIME, Operator.SINCE, [""], "segment_value_missing"),
        (Type.DATETIME, Operator.SINCE, ["31/12/2026"], "segment_date_unreadable"),
        (Type.DATETIME, Operator.DAYS, ["2026-02-01", "2026-01-01"], "segment_range_reversed"),
        (Type.DATETIME, Operator.WITHIN_LAST, ["1.5", "day"], "segment_count_unreadable"),
        (Type.DATETIME, Operator.WITHIN_LAST, ["-1", "day"], "segment_count_unreadable"),
        (Type.DATETIME, Operator.WITHIN_LAST, ["36501", "day"], "segment_count_unreadable"),
        (Type.DATETIME, Operator.ANNIVERSARY, ["366"], "segment_count_unreadable"),
    ],
)
def test_what_cannot_be_compared_is_said_at_its_place(
    kind: Type, operator: Operator, typed: list[str], code: str
) -> None:
    found: list[Problem] = []
    assert read_condition("p", kind, operator, typed, "rule.0.1", found) is None
    assert codes(found) == [(code, "rule.0.1")]


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
    ("kind", "operator", "typed", "facts"),
    [
        (Type.STRING, Operator.EQUALS, ["x" * 1025], {"limit": 1024}),
        (Type.STRING, Operator.ONE_OF, ["\n".join(map(str, range(MAX_TEXTS + 1)))], {"limit": 500}),
        (Type.NUMBER, Operator.EQUALS, ["many"], {}),
        (Type.DATETIME, Operator.WITHIN_LAST, ["1.5", "day"], {"limit": 36_500}),
        (Type.DATETIME, Operator.WITHIN_LAST, ["36501", "day"], {"limit": 36_500}),
        (Type.DATETIME, Operator.WITHIN_LAST, ["87601", "hour"], {"limit": 87_600}),
        (Type.DATETIME, Operator.ANNIVERSARY, ["366"], {"limit": 365}),
    ],
)
def test_a_limit_that_is_passed_is_told(
    kind: Type, operator: Operator, typed: list[str], facts: dict[str, Any]
) -> None:
    found: list[Problem] = []
    assert read_condition("p", kind, operator, typed, "rule.0", found) is None
    assert [problem.facts for problem in found] == [facts]


@pytest.mark.parametrize(
    ("kind", "operator", "typed"),
    [
        (Type.STRING, Operator.EQUALS, ["x" * 1024]),
        (Type.STRING, Operator.ONE_OF, ["\n".join(map(str, range(MAX_TEXTS)))]),
        (Type.NUMBER, Operator.BETWEEN, ["2", "2"]),
        (Type.DATETIME, Operator.DAYS, ["2026-01-01", "2026-01-01"]),
        (Type.DATETIME, Operator.WITHIN_LAST, ["36500", "day"]),
        (Type.DATETIME, Operator.WITHIN_LAST, ["87600", "hour"]),
        (Type.DATETIME, Operator.WITHIN_LAST, ["0", "day"]),
        (Type.DATETIME, Operator.ANNIVERSARY, ["365"]),
    ],
)
def test_what_is_just_within_the_limits_is_taken(kind: Type, operator: Operator, typed: list[str]) -> None:
    found: list[Problem] = []
    assert read_condition("p", kind, operator, typed, "rule.0", found) is not None
    assert found == []


@pytest.mark.parametrize("number", [10**400, -(10**400), float("inf"), float("nan"), 10**15])
def test_a_number_beyond_every_range_is_told_and_no_crash(number: float) -> None:
    stored = Condition("age", Type.NUMBER, Operator.EQUALS, (number,))
    with pytest.raises(Refusal) as refused:
        from_json(Group(Match.ALL, (stored,)).as_json())
    assert codes(refused.value.problems) == [("segment_number_unreadable", "rule.0")]


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
