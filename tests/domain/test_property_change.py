"""Changing the type of a property, merging two and removing one, for one contact: twice is the same as once."""

from __future__ import annotations

from typing import Any

import pytest

from smsapp.domain.contact import MAX_ITEMS, Type
from smsapp.domain.property_change import Winner, converted, merged, moved, removed, retyped

MANY = ",".join(f"t{n}" for n in range(MAX_ITEMS + 1))


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("", Type.NUMBER, None),
        (None, Type.STRING, None),
        ([], Type.STRING, None),
        (0, Type.STRING, "0"),
        (False, Type.STRING, "否"),
        (True, Type.STRING, "是"),
        (1.50, Type.STRING, "1.5"),
        (["a", "b"], Type.STRING, "a、b"),
        ("小明", Type.STRING, "小明"),
        (" 12 ", Type.NUMBER, 12),
        ("1,234.5", Type.NUMBER, 1234.5),
        ("-3", Type.NUMBER, -3),
        (7, Type.NUMBER, 7),
        (2.5, Type.NUMBER, 2.5),
        ("0.12345", Type.NUMBER, 0.123),
        ("twelve", Type.NUMBER, None),
        ("-", Type.NUMBER, None),
        ("9" * 30, Type.NUMBER, None),
        ("9" * 400, Type.NUMBER, None),
        (True, Type.NUMBER, None),
        (["1"], Type.NUMBER, None),
        (True, Type.BOOL, True),
        (False, Type.BOOL, False),
        (" True ", Type.BOOL, True),
        ("否", Type.BOOL, False),
        ("perhaps", Type.BOOL, None),
        ("2026-03-01", Type.DATETIME, "2026-03-01T00:00:00"),
        (" 2026-03-01 09:30 ", Type.DATETIME, "2026-03-01T09:30:00"),
        ("2026-02-30", Type.DATETIME, None),
        (20260301, Type.DATETIME, None),
        (["a"], Type.LIST, ["a"]),
        ("a, b;c|d、e，f；a", Type.LIST, ["a", "b", "c", "d", "e", "f"]),
        ("a b", Type.LIST, ["a b"]),
        (5, Type.LIST, ["5"]),
        (",;", Type.LIST, None),
        (MANY, Type.LIST, None),
        (MANY.rpartition(",")[0], Type.LIST, MANY.split(",")[:-1]),
    ],
)
def test_a_value_becomes_one_of_another_type_or_cannot(value: Any, kind: Type, expected: Any) -> None:
    result = converted(value, kind)
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("held", "after"),
    [
        ({}, {}),
        ({"city": "广州"}, {"city": "广州"}),
        ({"age": "12", "city": "广州"}, {"age": 12, "city": "广州"}),
        ({"age": "twelve"}, {"age_old": "twelve"}),
        ({"age": ["a", "b"]}, {"age_old": "a, b"}),
        ({"age": ""}, {}),
        ({"age": []}, {}),
        ({"age": None}, {}),
    ],
)
def test_what_cannot_be_converted_is_kept_under_another_name(held: dict[str, Any], after: dict[str, Any]) -> None:
    before = dict(held)
    assert retyped(held, "age", Type.NUMBER) == after
    assert retyped(after, "age", Type.NUMBER) == after
    assert held == before


@pytest.mark.parametrize(
    ("held", "wins", "after"),
    [
        ({}, Winner.TARGET, {}),
        ({"to": 1}, Winner.SOURCE, {"to": 1}),
        ({"from": 2}, Winner.TARGET, {"to": 2}),
        ({"from": 2, "to": 1}, Winner.TARGET, {"to": 1}),
        ({"from": 2, "to": 1}, Winner.SOURCE, {"to": 2}),
        ({"from": 2, "to": ""}, Winner.TARGET, {"to": 2}),
        ({"from": 2, "to": []}, Winner.TARGET, {"to": 2}),
        ({"from": 2, "to": None}, Winner.TARGET, {"to": 2}),
        ({"from": 2, "to": 0, "city": "广州"}, Winner.TARGET, {"to": 0, "city": "广州"}),
    ],
)
def test_two_properties_are_merged_and_the_winner_is_kept(
    held: dict[str, Any], wins: Winner, after: dict[str, Any]
) -> None:
    before = dict(held)
    assert merged(held, "from", "to", wins) == after
    assert merged(after, "from", "to", wins) == after
    assert held == before


def test_a_property_is_removed_and_the_others_stay() -> None:
    held = {"city": "广州", "age": 5}
    assert removed(held, "age") == removed({"city": "广州"}, "age") == {"city": "广州"}
    assert held == {"city": "广州", "age": 5}


@pytest.mark.parametrize(
    ("sources", "held", "after", "expected"),
    [
        # moved to the other name
        ({"a": "s:1", "b": "i:2"}, {"a": 1, "b": 2}, {"b": 1}, {"b": "s:1"}),
        ({"a": "s:1"}, {"a": 1}, {"b": 1}, {"b": "s:1"}),
        # removed, or the target's value stayed
        ({"a": "s:1", "b": "i:2"}, {"a": 1, "b": 2}, {"b": 2}, {"b": "i:2"}),
        # converted under its own name
        ({"a": "s:1", "b": "i:2"}, {"a": "1", "b": 2}, {"a": 1, "b": 2}, {"a": "s:1", "b": "i:2"}),
        # put aside
        ({"a": "s:1"}, {"a": "x"}, {"a_old": "x"}, {"a_old": "s:1"}),
        # nobody knows where it came from
        ({"b": "i:2"}, {"a": 1, "b": 2}, {"b": 1}, {"b": "i:2"}),
    ],
)
def test_a_value_that_moves_takes_its_source_along(
    sources: dict[str, Any], held: dict[str, Any], after: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = dict(sources)
    assert moved(sources, held, after, "a") == expected
    assert sources == before
