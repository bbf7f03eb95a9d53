"""Rules as read from JSON and from forms."""

from __future__ import annotations

from typing import Any

import pytest

from smsapp.domain.contact import Type
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.segment import EVERYONE, MAX_TEXTS, Condition, Group, Match, Operator
from smsapp.domain.segment_reader import from_json, read_condition

CITY = Condition("city", Type.STRING, Operator.EQUALS, ("北京",))


def codes(found: Any) -> list[tuple[str, str]]:
    return [(problem.code, problem.place) for problem in found]


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
