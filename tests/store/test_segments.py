"""Every operator, on both databases, against an evaluator in plain Python that knows nothing of SQL."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.contact import Type
from smsapp.domain.ledger_condition import LedgerCondition
from smsapp.domain.segment import NEGATIVE, OPERATORS, Condition, Group, Match, Operator, Param
from smsapp.store.contacts import property_values, segment_rules
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from tests import builders

LOCAL = dt.datetime(2026, 3, 2, 10, 0)  # noqa: DTZ001 wall time on purpose
"""`now` in Shanghai."""

TEXTS = ["北京", "北京市", "100%", "1000", "a_c", "abc", "Abc", "O'Neil", 'say "hi"', "back\\slash", "", "😀 face", " "]
NUMBERS = [0, 1, -1, 30, 30.5, 0.1, 0.3, 29.999, 9e14, -9e14, 1000000]
MOMENTS = [
    "2026-03-02T10:00:00", "2026-03-02T09:59:59", "2026-03-02T10:00:01", "2026-03-02T00:00:00", "2026-03-01T23:59:59",
    "2026-02-28T10:00:00", "2026-02-23T10:00:00", "2026-02-23T09:59:59", "1990-03-02T00:00:00", "1992-02-29T00:00:00",
    "2026-03-09T10:00:00", "2026-03-09T10:00:01", "0001-01-01T00:00:00", "9999-12-31T23:59:59",
]  # fmt: skip
LISTS = [[], ["a"], ["b", "a"], ["a", "b", "c"], ["金卡"], ['q"uote'], ["A"], ["a,b"], ["a", "金卡"]]
NAMES = {
    Type.STRING: "城市",
    Type.NUMBER: "age",
    Type.BOOL: "vip",
    Type.DATETIME: "$seen_at",
    Type.LIST: "tags",
}
VALUES: dict[Type, list[Any]] = {
    Type.STRING: TEXTS,
    Type.NUMBER: NUMBERS,
    Type.BOOL: [True, False],
    Type.DATETIME: MOMENTS,
    Type.LIST: LISTS,
}
PARAMS: dict[Param, list[Any]] = {
    Param.TEXT: ["北京", "%", "_", "a_c", "abc", "'", '"', "\\", "😀", "0"],
    Param.TEXTS: [("a",), ("a", "b"), ("b", "a", "c"), ("金卡", "x"), ("北京", "Abc"), ('q"uote',), ("100%", "a_c")],
    Param.NUMBER: [0, 30, 30.5, 0.1, 0.3, -1, 9e14],
    Param.DATE: ["2026-03-02", "2026-02-23", "1990-03-02", "9999-12-31", "0001-01-01"],
    Param.COUNT: [0, 1, 2, 7, 48],
    Param.UNIT: ["day", "hour"],
}


def holds(rule: Condition | LedgerCondition | Group, held: dict[str, Any]) -> bool:
    """Return whether the rule holds for these properties, as the documentation of the operators says."""
    if isinstance(rule, Group):
        found = [holds(child, held) for child in rule.children]
        return {Match.ALL: all(found), Match.ANY: any(found), Match.NONE: not any(found)}[rule.match]
    assert isinstance(rule, Condition)
    if rule.operator in NEGATIVE:
        return not holds(Condition(rule.property, rule.type, NEGATIVE[rule.operator], rule.params), held)
    value = held.get(rule.property)
    if value is None or value in ("", []):
        return False
    if rule.operator is Operator.HAS_VALUE:
        return True
    return COMPARED[rule.type](rule.operator, value, *rule.params)


def compared_text(operator: Operator, value: str, wanted: Any) -> bool:
    answers: dict[Operator, bool] = {
        Operator.EQUALS: value == wanted,
        Operator.ONE_OF: value in wanted,
        Operator.CONTAINS: isinstance(wanted, str) and wanted in value,
        Operator.STARTS_WITH: isinstance(wanted, str) and value.startswith(wanted),
    }
    return answers[operator]


def compared_number(operator: Operator, value: float, low: float, high: float = 0) -> bool:
    return {
        Operator.EQUALS: value == low,
        Operator.GREATER: value > low,
        Operator.AT_LEAST: value >= low,
        Operator.LESS: value < low,
        Operator.AT_MOST: value <= low,
        Operator.BETWEEN: low <= value <= high,
    }[operator]


def compared_moment(operator: Operator, value: str, *params: Any) -> bool:
    moment = dt.datetime.fromisoformat(value)
    if operator in (Operator.DAYS, Operator.SINCE, Operator.BEFORE):
        days = [dt.date.fromisoformat(param) for param in params]
        return {
            Operator.DAYS: days[0] <= moment.date() <= days[-1],
            Operator.SINCE: moment.date() >= days[0],
            Operator.BEFORE: moment.date() < days[0],
        }[operator]
    if operator is Operator.ANNIVERSARY:
        day = (LOCAL + dt.timedelta(days=params[0])).date()
        return (moment.month, moment.day) == (day.month, day.day)
    size = dt.timedelta(days=1) if params[-1] == "day" else dt.timedelta(hours=1)
    age = LOCAL - moment
    answers: dict[Operator, bool] = {
        Operator.WITHIN_LAST: dt.timedelta() <= age <= params[0] * size,
        Operator.LONGER_AGO: age > params[0] * size,
        Operator.BETWEEN_AGO: len(params) == 3 and params[0] * size <= age <= params[1] * size,
        Operator.WITHIN_NEXT: dt.timedelta() <= -age <= params[0] * size,
    }
    return answers[operator]


def compared_list(operator: Operator, value: list[str], wanted: tuple[str, ...]) -> bool:
    return {
        Operator.CONTAINS_ANY: bool(set(value) & set(wanted)),
        Operator.CONTAINS_ALL: set(wanted) <= set(value),
        Operator.SAME_SET: set(wanted) == set(value),
    }[operator]


COMPARED: dict[Type, Callable[..., bool]] = {
    Type.STRING: compared_text,
    Type.NUMBER: compared_number,
    Type.BOOL: lambda operator, value: value is (operator is Operator.TRUE),
    Type.DATETIME: compared_moment,
    Type.LIST: compared_list,
}


def conditions(kind: Type, operator: Operator) -> list[Condition]:
    """Every combination of the values above that the operator can be given."""
    found: list[tuple[Any, ...]] = [()]
    for param in OPERATORS[kind][operator]:
        found = [(*params, value) for params in found for value in PARAMS[param]]
    if operator in (Operator.BETWEEN, Operator.DAYS, Operator.BETWEEN_AGO):
        found = [params for params in found if params[0] <= params[1]]
    return [Condition(NAMES[kind], kind, operator, params) for params in found]


@pytest.fixture
def people(app: Flask) -> dict[int, dict[str, Any]]:
    """Contacts with every value of every type, with none, and with mixtures; {contact id: properties}."""
    dice = random.Random(7)
    held: list[dict[str, Any]] = [{}, {"other": "北京"}]
    held += [{NAMES[kind]: value} for kind, values in VALUES.items() for value in values]
    for _ in range(60):
        held.append({NAMES[kind]: dice.choice(VALUES[kind]) for kind in Type if dice.random() < 0.7})
    current_session().execute(
        sa.insert(Contact),
        [
            {"xwho": f"u{i}", "properties": properties, "phones": {}, "created_at": builders.LONG_AGO,
             "updated_at": builders.LONG_AGO}
            for i, properties in enumerate(held)
        ],
    )  # fmt: skip
    current_session().commit()
    # Not dict(result): a result has keys(), so dict() would take it for a mapping.
    return {row[0]: row[1] for row in current_session().execute(sa.select(Contact.id, Contact.properties))}


def found(rule: Group, now: dt.datetime) -> set[int]:
    return set(current_session().scalars(segment_rules.matching(rule, now)))


def by_hand(rule: Group, people: dict[int, dict[str, Any]]) -> set[int]:
    return {contact_id for contact_id, held in people.items() if holds(rule, held)}


@pytest.mark.parametrize("kind", list(Type))
def test_every_operator_finds_whom_it_should(people: dict[int, dict[str, Any]], now: dt.datetime, kind: Type) -> None:
    for operator in OPERATORS[kind]:
        hits = 0
        for condition in conditions(kind, operator):
            rule = Group(Match.ALL, (condition,))
            expected = by_hand(rule, people)
            assert found(rule, now) == expected, condition
            hits += len(expected)
        assert hits, f"the contacts above hold nothing that {operator} finds"


def test_groups_in_groups_find_whom_they_should(people: dict[int, dict[str, Any]], now: dt.datetime) -> None:
    dice = random.Random(11)
    every = [(kind, operator) for kind, operators in OPERATORS.items() for operator in operators]

    def grown(depth: int) -> Group:
        children: list[Condition | Group] = [dice.choice(conditions(*dice.choice(every))) for _ in range(2)]
        if depth:
            children += [grown(depth - 1) for _ in range(dice.randint(1, 2))]
        return Group(dice.choice(list(Match)), tuple(children))

    for _ in range(60):
        rule = grown(3)
        assert found(rule, now) == by_hand(rule, people), rule.as_json()


def test_a_rule_without_conditions_finds_everybody(people: dict[int, dict[str, Any]], now: dt.datetime) -> None:
    assert found(Group(), now) == set(people)


def test_a_negative_operator_takes_in_those_without_a_value(
    people: dict[int, dict[str, Any]], now: dt.datetime
) -> None:
    without = {contact_id for contact_id, held in people.items() if "城市" not in held}
    elsewhere = Condition("城市", Type.STRING, Operator.NOT_EQUALS, ("北京",))
    assert without
    assert without <= found(Group(Match.ALL, (elsewhere,)), now)


def test_a_value_of_another_type_fails_no_count(app: Flask, now: dt.datetime) -> None:
    builders.contact("odd", properties={"age": "thirty", "tags": "a", "城市": 5, "$seen_at": 1, "vip": "yes"})
    for kind, operators in OPERATORS.items():
        for operator in operators:
            for condition in conditions(kind, operator)[:3]:
                found(Group(Match.ALL, (condition,)), now)


def test_dates_are_wall_time_of_the_products_zone(app: Flask) -> None:
    early = builders.contact(properties={"$seen_at": "2026-03-02T00:30:00"})
    today = Group(Match.ALL, (Condition("$seen_at", Type.DATETIME, Operator.ANNIVERSARY, (0,)),))
    in_shanghai_it_is_the_second = dt.datetime(2026, 3, 1, 17, 0, tzinfo=dt.UTC)
    assert found(today, in_shanghai_it_is_the_second) == {early.id}
    assert found(today, in_shanghai_it_is_the_second - dt.timedelta(hours=2)) == set()


def test_those_born_on_29_february_have_their_day_on_the_28th_of_a_common_year(app: Flask) -> None:
    born = builders.contact(properties={"$seen_at": "1992-02-29T00:00:00"})
    today = Group(Match.ALL, (Condition("$seen_at", Type.DATETIME, Operator.ANNIVERSARY, (0,)),))
    assert found(today, dt.datetime(2026, 2, 28, 4, tzinfo=dt.UTC)) == {born.id}
    assert found(today, dt.datetime(2028, 2, 28, 4, tzinfo=dt.UTC)) == set()
    assert found(today, dt.datetime(2028, 2, 29, 4, tzinfo=dt.UTC)) == {born.id}


def test_the_most_frequent_values_come_first(app: Flask) -> None:
    for city, tags in (("北京", ["a", "b"]), ("北京", ["b"]), ("上海", []), ("", ["c", "b"])):
        builders.contact(properties={"城市": city, "tags": tags})
    assert property_values.frequent_values(current_session(), "城市", Type.STRING) == ["北京", "上海"]
    assert property_values.frequent_values(current_session(), "tags", Type.LIST)[0] == "b"
