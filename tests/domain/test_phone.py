"""Reading phone numbers."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsapp.domain import phone

MAINLAND = st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
MARKS = st.sampled_from(["", " ", "-", "　", "\u200b", "\u202d", "\t", ")"])
PLAIN = str.maketrans("０１２３４５６７８９", "0123456789")
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


@given(MAINLAND, st.sampled_from(["", "86", "+86", "0086", "＋86"]), st.lists(MARKS, min_size=11, max_size=11))
def test_a_mainland_number_is_read_however_it_is_written(number: str, prefix: str, marks: list[str]) -> None:
    written = prefix + "".join(digit + mark for digit, mark in zip(number, marks, strict=True))
    assert phone.normalise(written) == "+86" + number
    assert phone.normalise(written.translate(FULL_WIDTH)) == "+86" + number


@given(MAINLAND)
def test_reading_twice_changes_nothing(number: str) -> None:
    once = phone.normalise(number)
    assert phone.normalise(once) == once
    assert phone.is_domestic(once)


@given(MAINLAND)
def test_a_spreadsheet_holds_a_number_as_a_number(number: str) -> None:
    assert phone.normalise(int(number)) == phone.normalise(float(number)) == "+86" + number


@given(st.text(max_size=40))
def test_whatever_comes_gives_a_number_or_nothing(text: str) -> None:
    found = phone.normalise(text)
    assert found == "" or (found.startswith("+") and found[1:].isdigit())


@pytest.mark.parametrize(
    "written",
    [
        "",
        "abc",
        "1380013800",
        "138001380001",
        "12345678901",
        "010-12345678",
        "+861012345678",
        "1.38E+10",
        True,
        None,
        1.5,
        [],
    ],
)
def test_what_is_no_mobile_number_is_nothing(written: object) -> None:
    assert phone.normalise(written) == ""


@pytest.mark.parametrize(
    ("written", "region", "found"),
    [
        ("+44 7911 123456", "CN", "+447911123456"),
        ("00447911123456", "CN", "+447911123456"),
        ("(202) 555-0143", "US", "+12025550143"),
        ("+8613800138000", "US", "+8613800138000"),
        ("13800138000", "US", ""),
        ("+999123456789", "CN", ""),
    ],
)
def test_numbers_of_other_countries(written: str, region: str, found: str) -> None:
    assert phone.normalise(written, region) == found


@given(st.lists(st.one_of(MAINLAND, st.text(max_size=15)), max_size=20))
def test_a_column_is_read_as_its_cells_are(texts: list[str]) -> None:
    assert phone.normalise_all(texts) == [phone.normalise(text) if text else None for text in texts]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("", ""),
        ("+8613800138000", "138****8000"),
        ("+447911123456", "+4479****3456"),
        ("+4312345", "+43****45"),
    ],
)
def test_a_masked_number_hides_its_middle(number: str, shown: str) -> None:
    assert phone.mask(number) == shown


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("13800138000", "138****8000"),
        ("+86 138 0013 8000", "138****8000"),
        ("138.0013.8000", "138****8000"),
        ("138–0013–8000", "138****8000"),
        ("138_0013_8000", "138****8000"),
        ("１３８００１３８０００", "138****8000"),
        ("1 3 8 0 0 1 3 8 0 0 0", "138****8000"),
        ("138-0013-8000@qq.com", "138****8000@qq.com"),
        ("u13800138000x", "u138****8000x"),
        ("0213800138000", "021****8000"),
        ("+852 9123 4567", "+852****4567"),
        ("9123 4567", "91****67"),
        ("+44 7911 123456", "+4479****3456"),
        ("13800138000 13900139000", "138****8000 139****9000"),
        ("13800138000 139 0013 9000", "138****8000 139****9000"),
        ("2026-03-02 10:00:00 138 0013 8000", "2026-03-02 10:00:00 138****8000"),
        ('{"$phone": "13800138000"}', '{"$phone": "138****8000"}'),
        ("订单号 12345678", "订单号 12****78"),
        ("1795356372998", "179****2998"),
    ],
)
def test_numbers_inside_a_text_are_masked_however_they_are_written(written: str, shown: str) -> None:
    assert phone.mask_inside(written) == shown
    assert phone.mask_inside(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-03-02 10:00:00",
        "2026-03-02T10:00:00.250",
        "2026/3/2 9:05",
        "2026-03-02 2026-03-05",
        "满100减20 2026-03-31前",
        "20260302",
        "1234567.89",
        "¥12,345,678.90",
        "订单1234567",
        "user100234",
        "50%",
        "验证码 384721",
    ],
)
def test_dates_amounts_and_short_figures_stay_readable(text: str) -> None:
    assert phone.mask_inside(text) == text


@given(
    st.text(st.characters(exclude_categories=["N"]), max_size=12),
    MAINLAND,
    st.lists(st.sampled_from(["", " ", "-", ".", "–", "　"]), min_size=11, max_size=11),
)
@example("", "19990101000", ["", "", "", "", "", "", "", " ", "", "", ""])
@example("", "19990101000", ["", "", "", "-", "", "-", "", " ", "", "", ""])
def test_no_text_around_a_number_uncovers_it(around: str, number: str, marks: list[str]) -> None:
    written = "".join(digit + mark for digit, mark in zip(number, marks, strict=True))
    shown = phone.mask_inside(f"{around}{written}{around}")
    assert number not in "".join(filter(str.isdecimal, shown.translate(PLAIN)))


@pytest.mark.parametrize("part", ["8", "0013", "80013", "u13800", "u1380013", "13 800", "_0013_", "０013", "+8613"])
def test_parts_that_would_find_a_number_out_are_known(part: str) -> None:
    assert phone.reveals(part)


@pytest.mark.parametrize("part", ["", "u", "user1002", "小明", "满100减", "-", "尾号8000"])
def test_parts_that_tell_no_more_than_a_mask_are_known(part: str) -> None:
    assert not phone.reveals(part)


def _written(digits: str, between: list[str]) -> str:
    return "".join(figure + marks for figure, marks in zip(digits, between, strict=False)) + digits[len(between) :]


def _is_blank(letter: str) -> bool:
    return (
        unicodedata.category(letter) in {"Cc", "Cf", "Zs", "Zl", "Zp"}
        or letter in "\u034f\u115f\u3164\uffa0\u2800\ufe0f"
    )


BLANKS = [letter for letter in map(chr, range(sys.maxunicode + 1)) if _is_blank(letter)]
"""Every character of Unicode that shows nothing, or a space."""
BRACKETS = list("-–—·_()（）[]【】/'’")
PREFIXES = st.sampled_from(
    ["", "0", "86", "+86", "0086", "+0086", "++86", "+86 (0)", "＋８６", "(+86)", "860", "\u2068+86"]
)
GAPS = st.lists(st.lists(st.sampled_from(BLANKS + BRACKETS * 20), max_size=3).map("".join), max_size=11)
FOREIGN = st.sampled_from(["+447911123456", "+12025550143", "+85291234567", "+819012345678"])


def test_every_character_that_shows_nothing_goes_when_a_number_is_read_and_hides_nothing_when_it_is_masked() -> None:
    numbers = {letter: phone.normalise(f"138{letter}0013{letter}8000{letter}") for letter in BLANKS}
    assert {letter: number for letter, number in numbers.items() if number != "+8613800138000"} == {}
    shown = {
        letter: phone.mask_inside(f"{letter}138{letter}0013{letter}{letter}{letter}{letter}8000") for letter in BLANKS
    }
    assert {letter: text for letter, text in shown.items() if text.strip(letter) != "138****8000"} == {}


@given(MAINLAND, PREFIXES, GAPS)
def test_a_number_is_read_and_masked_the_same_whatever_stands_between_its_figures(
    number: str, prefix: str, gaps: list[str]
) -> None:
    written = prefix + _written(number, gaps)
    assert phone.normalise(written) == "+86" + number
    figures = "".join(str(unicodedata.decimal(one)) for one in phone.mask_inside(written) if one.isdecimal())
    assert number not in figures
    assert len(figures) <= len(phone.mask("+86" + number)) - 4


@given(FOREIGN, GAPS)
def test_a_foreign_number_is_read_and_masked_the_same_whatever_stands_between_its_figures(
    number: str, gaps: list[str]
) -> None:
    written = "+" + _written(number[1:], gaps)
    assert phone.normalise(written) == phone.normalise("00" + written[1:]) == number
    assert len([one for one in phone.mask_inside(written) if one.isdecimal()]) <= len(phone.mask(number)) - 5


@given(st.lists(st.text("0123456789+()-. ,/;eE\u2068\u00ad\t", max_size=24)), MAINLAND)
def test_two_cells_become_one_number_only_if_their_figures_are_the_same(cells: list[str], number: str) -> None:
    """Nothing is merged in silence: what is read has exactly the figures that were written."""
    for cell in (*cells, f"{number},{number[::-1]}", f"{number} {number}"):
        read = phone.normalise(cell)
        figures = "".join(filter(str.isdigit, cell))
        if read and "e" not in cell.lower() and not cell.rstrip().endswith((".0", ".00")):
            assert figures.lstrip("0").removeprefix("86").lstrip("0") == read.removeprefix("+86").removeprefix("+")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+008613800138011", "+8613800138011"),
        ("\u206813800138011\u2069", "+8613800138011"),
        ("\u2068+86 138\u00ad0013\u20698011", "+8613800138011"),
        ("013800138015", "+8613800138015"),
        ("+86 (0)13800138015", "+8613800138015"),
        ("0086 0138 0013 8015", "+8613800138015"),
        ("13800138006.0", "+8613800138006"),
        ("13800138006.00", "+8613800138006"),
        ("1.3800138007E10", "+8613800138007"),
        ("1.3800138007e+10", "+8613800138007"),
        ("١٣٨٠٠١٣٨٠٠٠", "+8613800138000"),
        ("+44 (0)7911 123456", "+447911123456"),
        ("1.38E+10", ""),
        ("1.38001380E+10", ""),
        ("1380013800.6", ""),
        ("1380013800.0", ""),
        ("13800138000.5", ""),
        ("138001380001234.0", ""),
        ("13800138000,13900139000", ""),
        ("13800138000/13900139000", ""),
    ],
)
def test_what_people_and_programs_make_of_a_number(written: str, number: str) -> None:
    assert phone.normalise(written) == number


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("139,7777,6677", "139****6677"),
        ("139:7777:6680", "139****6680"),
        ("139~7777~6680", "139****6680"),
        ("139*7777*6680", "139****6680"),
        ("139|7777|6680", "139****6680"),
        ("139#7777#6680", "139****6680"),
        ("139a7777b6680", "139****6680"),
        ("139转7777转6680", "139****6680"),
        ("139\n7777\r\n6680", "139****6680"),
        ("139\u00ad7777\u20686680", "139****6680"),
        ("139\u2028\u20287777 \t  6680", "139****6680"),
        ("1,3,9,7,7,7,7,6,6,8,0", "139****6680"),
        ("13977776680~", "139****6680~"),
        ("+86;139;7777;6680", "139****6680"),
        ("+44:7911:123456", "+4479****3456"),
        ("①③⑨⑦⑦⑦⑦⑥⑥⑧⑨", "139****6689"),
        ("¹³⁹⁷⁷⁷⁷⁶⁶⁸⁹", "139****6689"),
        ("139,7777-6677-12345678", "139****6677-12****78"),
        ("2 x 139,7777,6677", "2 x 139****6677"),
        ("9am 139:7777:6680 5pm", "9am 139****6680 5pm"),
    ],
)
def test_a_mobile_number_is_masked_with_anything_between_its_figures(written: str, shown: str) -> None:
    assert phone.mask_inside(written) == shown


@pytest.mark.parametrize(
    "text",
    [
        "0x00000014",
        "ESME_RINVSRCADR 0x0000000A",
        "营业时间 10:00-22:00",
        "满100减20,满200减50,满300减80",
        "2026-11-30 18:30:00, 2026-12-01 08:00:00",
        "1, 2, 3, 4, 5, 6, 7, 8",
        "100,200,300",
    ],
)
def test_codes_hours_and_lists_stay_readable(text: str) -> None:
    assert phone.mask_inside(text) == text
