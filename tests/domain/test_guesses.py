"""What the columns of an uploaded table probably are."""

from __future__ import annotations

import pytest

from smsapp.domain.contact import PHONE, Type
from smsapp.domain.guesses import Guess, guesses, has_header


@pytest.mark.parametrize(
    ("first", "header"),
    [
        ([], False),
        (["", " "], False),
        (["用户ID", "姓名"], True),
        (["颜色", "尺寸"], True),
        (["", "颜色"], True),
        (["颜色", "颜色"], False),
        # a heading that is known tells, whatever stands beside it
        (["手机", "手机"], True),
        (["user_id", "13800138000"], True),
        (["✗ why", "5"], True),
        (["颜色", "13800138000"], False),
        (["颜色", "+8613800138000"], False),
        (["颜色", "5 kg"], False),
        (["颜色", "2026-03-01"], False),
        (["颜色", "V5"], True),
    ],
)
def test_a_first_row_of_words_is_a_header(first: list[str], header: bool) -> None:
    assert has_header(first) is header


@pytest.mark.parametrize(
    ("header", "rows", "expected"),
    [
        (["手机号"], [["13800138000"]], [Guess("id_phone", PHONE, Type.STRING)]),
        (
            ["颜色", "手机号", "电话"],
            [["红", "13800138000", "02012345678"]],
            [
                Guess("property", "颜色", Type.STRING),
                Guess("id_phone", PHONE, Type.STRING),
                Guess("property", "电话", Type.STRING),
            ],
        ),
        (["uid", "id"], [["a", "5"]], [Guess("id", "", Type.STRING), Guess("property", "id", Type.NUMBER)]),
        (["User ID", "手机号"], [["a", "5"]], [Guess("id", "", Type.STRING), Guess("phone", PHONE, Type.STRING)]),
        (["颜色"], [["红"]], [Guess("property", "颜色", Type.STRING)]),
        (
            ["✗ reason", "uid"],
            [["x", "a"]],
            [Guess("ignore", "column_1", Type.STRING), Guess("id", "", Type.STRING)],
        ),
        # without headings the values tell
        (
            ["", ""],
            [["红", "13800138000"]],
            [Guess("property", "column_1", Type.STRING), Guess("id_phone", PHONE, Type.STRING)],
        ),
        (
            ["", ""],
            [["红", ""]],
            [Guess("property", "column_1", Type.STRING), Guess("ignore", "column_2", Type.STRING)],
        ),
        (["uid", ""], [["a"]], [Guess("id", "", Type.STRING), Guess("ignore", "column_2", Type.STRING)]),
    ],
)
def test_each_column_is_guessed_by_its_heading_and_values(
    header: list[str], rows: list[list[str]], expected: list[Guess]
) -> None:
    assert guesses(header, rows, {}) == expected


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], Type.STRING),
        (["", " "], Type.STRING),
        (["5", "-7", "0"], Type.NUMBER),
        (["1,234", "1.5"], Type.NUMBER),
        (["007"], Type.STRING),
        (["5", "red"], Type.STRING),
        (["1" * 15, "5"], Type.NUMBER),
        (["1" * 16, "5"], Type.STRING),
        (["1,000,000,000,000"], Type.STRING),
        (["13800138000", "13900139000"], Type.STRING),
        (["是", "否", ""], Type.BOOL),
        (["TRUE", "false"], Type.BOOL),
        (["是", "或"], Type.STRING),
        (["2026-03-01", "2026/3/2"], Type.DATETIME),
        (["2026-03-01", "tomorrow"], Type.STRING),
    ],
)
def test_a_new_property_has_the_narrowest_type_of_its_values(values: list[str], kind: Type) -> None:
    _id, guess = guesses(["uid", "x"], [["a", value] for value in values], {})
    assert guess == Guess("property", "x", kind)


def test_a_known_property_keeps_its_type_and_a_name_that_is_taken_gets_its_place() -> None:
    assert guesses(["uid", "颜色", "颜色"], [["a", "1", "1"]], {"颜色": Type.STRING})[1:] == [
        Guess("property", "颜色", Type.STRING),
        Guess("property", "颜色_3", Type.NUMBER),
    ]


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("a b", "a_b"),
        ("(a+b)", "a_b"),
        ("_颜色!", "颜色"),
        ("XaX", "xax"),
        ("1 a", "column_2"),
        ("$$", "$$"),
        ("***", "column_2"),
    ],
)
def test_a_heading_becomes_a_name_that_a_property_may_have(heading: str, name: str) -> None:
    assert guesses(["uid", heading], [["a", "1"]], {})[1].name == name


@pytest.mark.parametrize(
    ("values", "role"),
    [
        (["13800138000", "13900139000", "-"], "id_phone"),
        (["13800138000", "-"], "property"),
        (["13800138000.0"], "id_phone"),
    ],
)
def test_a_column_without_a_heading_is_phones_if_most_values_are(values: list[str], role: str) -> None:
    assert guesses([""], [[value] for value in values], {})[0].role == role


def test_a_known_property_without_a_label_is_met_by_its_meaning() -> None:
    assert guesses(["uid", "城市"], [["a", "广州"]], {"city": Type.STRING})[1] == Guess("property", "city", Type.STRING)
    assert guesses(["uid", "Full-Size"], [["a", "广州"]], {})[1].name == "full_size"
