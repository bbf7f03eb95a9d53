"""Texts made fit for a database, two wordings woven together, and values as they are written in a text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsapp.domain.contact import Type
from smsapp.domain.storable import LONGEST, storable, storable_all
from smsapp.domain.wording import Part, woven
from smsapp.domain.writing import FORMS, Form, form_of, written


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("", ""),
        ("MK:0001", "MK:0001"),
        ("余额不足", "余额不足"),
        ("a\0b", "ab"),
        ("余\0额", "余额"),
        ("a\ud800b", "ab"),
        ("😀", "😀"),
        ("x" * 81, "x" * 80),
        ("余" * 81, "余" * 80),
        ("\0" * 81 + "x", "x"),
    ],
)
def test_what_no_database_stores_is_taken_out(text: str, kept: str) -> None:
    assert storable(text) == kept


def test_a_text_may_be_cut_elsewhere() -> None:
    assert (storable("abcdef", 3), storable("甲乙丙丁", 3), storable("abc", 3)) == ("abc", "甲乙丙", "abc")


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["a"],
        ["a\0"],
        ["a", "b"],
        ["x" * LONGEST, "b"],
        ["x" * (LONGEST + 1), "b"],
        ["a", "b\0"],
        ["a", "余\ud800"],
        ["余额", "b"],
    ],
)
def test_many_texts_are_made_fit_as_each_of_them_is(texts: list[str]) -> None:
    assert list(storable_all(texts)) == [storable(text) for text in texts]


def test_texts_that_are_fit_already_are_not_copied() -> None:
    texts = ["a", "b" * LONGEST]
    assert storable_all(texts) is texts


@pytest.mark.parametrize(
    ("before", "after", "pieces"),
    [
        ("", "", []),
        ("abc", "abc", [(Part.SAME, "abc")]),
        ("", "abc", [(Part.IN, "abc")]),
        ("abc", "", [(Part.OUT, "abc")]),
        ("您的订单", "您的快递", [(Part.SAME, "您的"), (Part.OUT, "订单"), (Part.IN, "快递")]),
        ("axc", "ac", [(Part.SAME, "a"), (Part.OUT, "x"), (Part.SAME, "c")]),
        ("ac", "axc", [(Part.SAME, "a"), (Part.IN, "x"), (Part.SAME, "c")]),
    ],
)
def test_two_wordings_are_woven_into_one_row_of_pieces(before: str, after: str, pieces: list[Any]) -> None:
    assert woven(before, after) == pieces


@given(st.text(alphabet="ab甲 ", max_size=12), st.text(alphabet="ab甲 ", max_size=12))
def test_both_wordings_can_be_read_out_of_the_pieces(before: str, after: str) -> None:
    pieces = woven(before, after)
    assert "".join(text for part, text in pieces if part is not Part.IN) == before
    assert "".join(text for part, text in pieces if part is not Part.OUT) == after
    assert all(text for _, text in pieces)


def test_a_repeated_sign_in_a_long_text_does_not_hide_what_is_the_same() -> None:
    # difflib leaves out signs that are frequent in texts of 200 and more, unless it is told not to
    before = "。" * 300
    assert woven("甲" + before, "乙" + before) == [(Part.OUT, "甲"), (Part.IN, "乙"), (Part.SAME, before)]


MORNING, MIDNIGHT = "2026-03-01T09:30:00", "2026-12-11T00:00:00"


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (None, None, ""),
        (None, Form.YES_NO_ZH, ""),
        ("小明", None, "小明"),
        (True, Form.YES_NO_ZH, "是"),
        (False, Form.YES_NO_ZH, "否"),
        (True, Form.HAS_ZH, "有"),
        (False, Form.HAS_ZH, "无"),
        (True, Form.YES_NO_EN, "yes"),
        (False, Form.YES_NO_EN, "no"),
        (True, None, "yes"),
        (False, Form.DATE, "no"),
        (5, None, "5"),
        (100, None, "100"),
        (5.0, None, "5"),
        (10.50, None, "10.5"),
        (1e21, None, "1000000000000000000000"),
        (1e-7, None, "0.0000001"),
        (-0.25, None, "-0.25"),
        (0, None, "0"),
        (["a", "b"], Form.COMMAS_EN, "a, b"),
        (["a", "b"], Form.COMMAS_ZH, "a、b"),
        (["a", "b"], None, "a, b"),
        (["a", "b"], Form.DATE, "a, b"),
        ([], Form.COMMAS_ZH, ""),
        (MORNING, Form.DATE_AND_TIME, "2026-03-01 09:30"),
        (MIDNIGHT, Form.DATE_AND_TIME, "2026-12-11"),
        (MORNING, Form.DATE, "2026-03-01"),
        (MORNING, Form.TIME, "09:30"),
        (MIDNIGHT, Form.TIME, "00:00"),
        (MORNING, Form.DATE_ZH, "2026年3月1日"),
        (MIDNIGHT, Form.DATE_ZH, "2026年12月11日"),
        (MORNING, Form.DAY_ZH, "3月1日"),
        (MORNING, Form.DAY_AND_TIME_ZH, "3月1日09:30"),
        (MIDNIGHT, Form.DAY_AND_TIME_ZH, "12月11日"),
        (MORNING, Form.DATE_EN, "Mar 1, 2026"),
        (MIDNIGHT, Form.DATE_EN, "Dec 11, 2026"),
        (MORNING, Form.DAY_EN, "Mar 1"),
        (MORNING, None, MORNING),
        ("not a moment", Form.DATE, "not a moment"),
        ("2026-03-01", Form.DATE_ZH, "2026-03-01"),
    ],
)
def test_a_value_is_written_as_people_write_it(value: Any, form: Form | None, text: str) -> None:
    assert written(value, form) == text


@pytest.mark.parametrize("month", range(1, 13))
def test_every_month_has_its_english_name(month: int) -> None:
    names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    assert written(f"2026-{month:02}-09T10:00:00", Form.DAY_EN) == f"{names[month - 1]} 9"


@pytest.mark.parametrize(
    ("source", "kind", "text", "form"),
    [
        ({}, Type.STRING, "您好", None),
        ({}, Type.NUMBER, "Hello", None),
        ({"form": "date"}, Type.STRING, "您好", None),
        ({}, Type.DATETIME, "Hello", Form.DATE_AND_TIME),
        ({}, Type.DATETIME, "您好", Form.DATE_AND_TIME),
        ({"form": "date_zh"}, Type.DATETIME, "Hello", Form.DATE_ZH),
        ({"form": "yes_no_zh"}, Type.DATETIME, "您好", Form.DATE_AND_TIME),
        ({}, Type.BOOL, "您好", Form.YES_NO_ZH),
        ({}, Type.BOOL, "Hello", Form.YES_NO_EN),
        ({"form": "has_zh"}, Type.BOOL, "Hello", Form.HAS_ZH),
        ({}, Type.LIST, "您好", Form.COMMAS_ZH),
        ({}, Type.LIST, "Hello", Form.COMMAS_EN),
        ({"form": "commas_en"}, Type.LIST, "您好", Form.COMMAS_EN),
        ({"form": "nonsense"}, Type.LIST, "您好", Form.COMMAS_ZH),
    ],
)
def test_a_value_is_written_as_chosen_or_as_suits_the_text(
    source: dict[str, str], kind: Type, text: str, form: Form | None
) -> None:
    assert form_of(source, kind, text) is form


@pytest.mark.parametrize("kind", FORMS)
def test_every_form_that_is_offered_may_be_chosen(kind: Type) -> None:
    assert [form_of({"form": form.value}, kind, "") for form in FORMS[kind]] == list(FORMS[kind])
