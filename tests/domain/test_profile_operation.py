"""What records ask for, and what the seven operations do."""

from __future__ import annotations

from typing import Any

import pytest

from smsapp.domain.contact import MAX_ITEMS, PRESETS, Type, canonical
from smsapp.domain.profile_operation import Kind, Operation, applied, merged, operation
from smsapp.domain.rejection import SHOWN, Reason, Unfit


def record(what: str = "$profile_set", /, **context: Any) -> dict[str, Any]:
    return {
        "appid": "k",
        "xwho": "u1",
        "xwhat": what,
        "xwhen": 1795356372998,
        "xcontext": {"$lib": "python", **context},
    }


def after(held: dict[str, Any], what: str, **context: Any) -> dict[str, Any]:
    types = {name: canonical(name, value, None)[0] for name, value in held.items()}
    asked = operation(record(what, **context), types)
    assert asked is not None
    return applied(held, asked)


def refused(given: Any, types: dict[str, Type] | None = None) -> Unfit:
    with pytest.raises(Unfit) as found:
        operation(given, types or {})
    return found.value


def test_set_overwrites() -> None:
    assert after({"a": 1, "b": "x"}, "$profile_set", a=2) == {"a": 2, "b": "x"}


def test_set_once_keeps_what_is_there() -> None:
    assert after({"a": 1}, "$profile_set_once", a=2, b=3) == {"a": 1, "b": 3}


def test_increment_starts_at_zero_and_may_go_down() -> None:
    assert after({"a": 1}, "$profile_increment", a=2.5, b=-3) == {"a": 3.5, "b": -3}


def test_append_adds_to_a_set_without_doubles() -> None:
    assert after({"hobby": ["跑步"]}, "$profile_append", hobby=["跑步", "摄影"]) == {"hobby": ["跑步", "摄影"]}


def test_append_takes_a_single_text() -> None:
    assert after({}, "$profile_append", hobby="摄影") == {"hobby": ["摄影"]}


def test_unset_removes_whatever_value_is_sent() -> None:
    assert after({"a": 1, "b": 2}, "$profile_unset", a="") == {"b": 2}


def test_delete_removes_everything() -> None:
    assert after({"a": 1, "b": 2}, "$profile_delete") == {}


def test_alias_names_the_anonymous_id_and_changes_no_property() -> None:
    asked = operation(record("$alias", **{"$original_id": "anon"}), {})
    assert asked is not None
    assert (asked.kind, asked.original_id) == (Kind.ALIAS, "anon")
    assert applied({"a": 1}, asked) == {"a": 1}
    assert merged({"a": 1}, {"a": 2, "b": 3}) == {"a": 1, "b": 3}


def test_operations_do_not_change_what_they_are_given() -> None:
    held: dict[str, Any] = {"a": ["x"]}
    applied(held, Operation(Kind.APPEND, "u", {"a": ["y"]}, {"a": Type.LIST}))
    assert held == {"a": ["x"]}


def test_what_an_sdk_says_about_itself_is_no_property() -> None:
    asked = operation(
        record(**{"$lib_version": "4", "$is_login": True, "$debug": 2, "$importFlag": 1, "Name": "x"}), {}
    )
    assert asked is not None
    assert asked.values == {"name": "x"}


def test_an_event_is_none_of_our_business() -> None:
    assert operation(record("$startup"), {}) is None


def test_debug_one_is_checked_and_not_kept() -> None:
    asked = operation(record(**{"$debug": 1, "a": 1}), {})
    assert asked is not None
    assert not asked.is_stored


def test_null_says_nothing() -> None:
    asked = operation(record(a=None, b=1), {})
    assert asked is not None
    assert asked.values == {"b": 1}


@pytest.mark.parametrize(
    ("value", "expected"),
    [("3", Type.NUMBER), (3, Type.STRING), (True, Type.NUMBER), ("x", Type.DATETIME), ("x", Type.LIST), (1, Type.BOOL)],
)
def test_another_type_than_the_first_costs_this_property_only(value: Any, expected: Type) -> None:
    asked = operation(record(x=value, **{"$phone": "13800138000"}), {"x": expected})
    assert asked is not None
    assert asked.values == {"$phone": "13800138000"}
    [loss] = asked.losses
    assert (loss.reason, loss.name, loss.value) == (Reason.TYPE_CONFLICT, "x", str(value))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (1, Reason.NO_OBJECT),
        ({}, Reason.BAD_EVENT),
        (record() | {"xwhat": "x" * 100}, Reason.BAD_EVENT),
        (record() | {"xwho": ""}, Reason.BAD_ID),
        (record() | {"xwho": "x" * 255}, Reason.BAD_ID),
        (record() | {"xwho": None}, Reason.BAD_ID),
        (record() | {"xwho": "a\x00"}, Reason.BAD_TEXT),
        (record() | {"xwho": "\ud800"}, Reason.BAD_TEXT),
        (record() | {"xcontext": []}, Reason.BAD_RECORD),
        (record("$alias"), Reason.BAD_ID),
    ],
)
def test_a_record_of_which_nothing_can_be_kept_is_refused_with_a_reason(given: Any, reason: Reason) -> None:
    assert refused(given).reason is reason


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("a b", 1, Reason.BAD_NAME),
        ("1a", 1, Reason.BAD_NAME),
        ("姓名", 1, Reason.BAD_NAME),
        ("a" * 126, 1, Reason.BAD_NAME),
        ("a", {}, Reason.BAD_VALUE),
        ("a", [1], Reason.BAD_VALUE),
        ("a", "x" * 8194, Reason.TOO_LONG),
        ("a", ["x" * 256], Reason.TOO_LONG),
        ("a", [str(i) for i in range(101)], Reason.TOO_MANY_ITEMS),
        ("a", 9.1e14, Reason.OUT_OF_RANGE),
        ("a", float("nan"), Reason.OUT_OF_RANGE),
        ("a", 10**400, Reason.OUT_OF_RANGE),
        ("a", "\x00", Reason.BAD_TEXT),
        ("a", "\ud800", Reason.BAD_TEXT),
        ("$phone", True, Reason.TYPE_CONFLICT),
    ],
)
def test_a_property_that_cannot_be_kept_costs_itself_only(name: str, value: Any, reason: Reason) -> None:
    asked = operation(record(**{name: value, "b": 1}), dict(PRESETS))
    assert asked is not None
    assert asked.values == {"b": 1}
    [loss] = asked.losses
    assert (loss.reason, loss.name) == (reason, name[:40])
    assert len(loss.value) <= SHOWN


@pytest.mark.parametrize(
    ("what", "value", "reason"),
    [("$profile_increment", "1", Reason.BAD_VALUE), ("$profile_append", 1, Reason.BAD_VALUE)],
)
def test_what_an_operation_cannot_take_costs_itself_only(what: str, value: Any, reason: Reason) -> None:
    good: Any = 2 if what == "$profile_increment" else ["x"]
    asked = operation(record(what, a=value, b=good), {})
    assert asked is not None
    assert ([loss.reason for loss in asked.losses], asked.values) == ([reason], {"b": good})


def test_of_more_than_three_hundred_properties_the_first_are_kept() -> None:
    asked = operation(record(**{f"p{i}": 1 for i in range(302)}), {})
    assert asked is not None
    assert len(asked.values) == 300
    assert [(loss.reason, loss.name) for loss in asked.losses] == [
        (Reason.TOO_MANY_PROPERTIES, "p300"),
        (Reason.TOO_MANY_PROPERTIES, "p301"),
    ]


@pytest.mark.parametrize("value", ["x" * 2_100, "x" * 8_192 + "$", "中" * 8_192, "😀" * 8_192, ["中" * 255]])
def test_texts_may_be_as_long_as_the_sdks_send_them(value: Any) -> None:
    asked = operation(record(a=value), {})
    assert asked is not None
    assert (asked.values, asked.losses) == ({"a": value}, [])


@pytest.mark.parametrize("when", ["yesterday", True, -1, 10**17, [], {}])
def test_a_time_that_cannot_be_read_costs_itself_only(when: Any) -> None:
    asked = operation(record(a=1) | {"xwhen": when}, {})
    assert asked is not None
    assert asked.values == {"a": 1}
    assert [(loss.reason, loss.name) for loss in asked.losses] == [(Reason.BAD_TIME, "xwhen")]


def test_xwhen_may_be_a_text_of_digits() -> None:
    assert operation(record() | {"xwhen": "1532683122298"}, {}) is not None


def test_a_set_does_not_grow_beyond_its_limit() -> None:
    full = [str(i) for i in range(MAX_ITEMS)]
    asked = Operation(Kind.APPEND, "u", {"a": ["one more"], "b": ["x"]})
    assert applied({"a": full}, asked) == {"a": full, "b": ["x"]}
    assert [loss.reason for loss in asked.losses] == [Reason.TOO_MANY_ITEMS]


def test_a_sum_does_not_leave_the_range() -> None:
    asked = Operation(Kind.INCREMENT, "u", {"a": 1, "b": 1})
    assert applied({"a": 9e14}, asked) == {"a": 9e14, "b": 1}
    assert [loss.reason for loss in asked.losses] == [Reason.OUT_OF_RANGE]


@pytest.mark.parametrize(("held", "kind"), [({"a": "x"}, Kind.INCREMENT), ({"a": 1}, Kind.APPEND)])
def test_operations_do_not_suit_values_of_another_type(held: dict[str, Any], kind: Kind) -> None:
    values: dict[str, Any] = {"a": 1} if kind is Kind.INCREMENT else {"a": ["x"]}
    asked = Operation(kind, "u", values)
    assert applied(held, asked) == held
    assert [(loss.reason, loss.facts["name"]) for loss in asked.losses] == [(Reason.TYPE_CONFLICT, "a")]
