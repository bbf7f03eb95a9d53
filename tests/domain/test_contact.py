"""Names, user ids and values as they are stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsapp.domain.contact import Type, canonical, moment, property_name, user_id
from smsapp.domain.rejection import Unfit


@pytest.mark.parametrize(
    ("value", "kind", "kept"),
    [
        ("小明", Type.STRING, "小明"),
        (3, Type.NUMBER, 3),
        (3.0, Type.NUMBER, 3),
        (1.23456, Type.NUMBER, 1.235),
        (True, Type.BOOL, True),
        ("2018-06-18 18:18:18.188", Type.DATETIME, "2018-06-18T18:18:18"),
        ("2018-06-18", Type.DATETIME, "2018-06-18T00:00:00"),
        ("2018-13-18", Type.STRING, "2018-13-18"),
        (["a", "b", "a"], Type.LIST, ["a", "b"]),
    ],
)
def test_the_first_value_says_the_type(value: Any, kind: Type, kept: Any) -> None:
    assert canonical("x", value, None) == (kind, kept)


def test_a_text_that_looks_like_a_date_stays_text_where_text_is_known() -> None:
    assert canonical("x", "2018-06-18", Type.STRING) == (Type.STRING, "2018-06-18")


def test_the_phone_may_come_as_a_number() -> None:
    assert canonical("$phone", 13800138000, Type.STRING) == (Type.STRING, "13800138000")


def test_a_property_name_is_kept_in_lower_case_and_may_be_chinese_in_a_file() -> None:
    assert property_name("$PHONE") == "$phone"
    assert property_name("会员等级") == "会员等级"


@pytest.mark.parametrize("name", [None, "", "a-b", "_a", "1"])
def test_some_names_cannot_be(name: object) -> None:
    with pytest.raises(Unfit):
        property_name(name)


def test_a_user_id_may_come_as_a_number() -> None:
    assert user_id(1001) == "1001"


@given(st.datetimes())
def test_moments_are_kept_as_wall_time(when: Any) -> None:
    assert moment(f"{when:%Y-%m-%d %H:%M:%S}".rjust(19, "0")) == when.replace(microsecond=0).isoformat()
