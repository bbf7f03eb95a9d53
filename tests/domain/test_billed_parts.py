"""How many billed parts a text takes, and how much room its values have."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsapp.domain.billed_parts import GSM_EXTENSION, Measure, characters, measure, parts, parts_of_all


@pytest.mark.parametrize(
    ("length", "billed"), [(1, 1), (70, 1), (71, 2), (134, 2), (135, 3), (160, 3), (201, 3), (202, 4)]
)
@pytest.mark.parametrize("letter", ["中", "a"])
def test_a_chinese_number_is_billed_70_and_67_even_for_ascii(letter: str, length: int, billed: int) -> None:
    assert parts(letter * length, domestic=True) == billed


@pytest.mark.parametrize(
    ("text", "billed"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("é" * 160, 1),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("[" * 80, 1),
        ("[" * 81, 2),
        ("`" * 70, 1),  # a back quote is ASCII but not GSM-7
        ("`" * 71, 2),
        ("中" * 70, 1),
        ("中" * 71, 2),
        ("a" * 152 + "[" + "a" * 152, 3),  # the escape pair does not fit behind 152, so it begins the second part
        ("a" * 151 + "[" + "a" * 153, 2),
        ("é" * 152 + "€" + "a" * 152, 3),
    ],
)
def test_elsewhere_gsm_7_holds_more_and_never_cuts_an_escape_pair(text: str, billed: int) -> None:
    assert parts(text, domestic=False) == billed


@pytest.mark.parametrize("domestic", [True, False])
def test_an_emoji_counts_two_and_is_never_cut(domestic: bool) -> None:
    assert characters("😀") == 2
    assert parts("😀" * 35, domestic) == 1
    assert parts("😀" * 36, domestic) == 2
    assert parts("中" * 66 + "😀" + "中" * 67, domestic) == 3  # 135 units: two parts of 67 would cut the emoji
    assert parts("中" * 65 + "😀" + "中" * 67, domestic) == 2


def test_no_text_costs_nothing() -> None:
    assert parts("", domestic=True) == parts("", domestic=False) == 0


def cut(text: str, rooms: tuple[int, int], width: Callable[[str], int]) -> int:
    """Count parts the slow way: letter by letter."""
    widths = [width(letter) for letter in text]
    if sum(widths) <= rooms[0]:
        return 1
    count, used = 1, 0
    for size in widths:
        if used + size > rooms[1]:
            count, used = count + 1, 0
        used += size
    return count


@given(st.text(alphabet="a中😀[€é\n", min_size=1, max_size=400))
def test_the_quick_count_is_the_slow_one(text: str) -> None:
    units = cut(text, (70, 67), lambda letter: 1 + (letter > "\uffff"))
    assert parts(text, domestic=True) == units
    gsm = not set(text) & {"中", "😀"}
    septets = cut(text, (160, 153), lambda letter: 1 + (letter in GSM_EXTENSION))
    assert parts(text, domestic=False) == (septets if gsm else units)


def test_half_of_an_emoji_is_counted_and_not_a_crash() -> None:
    assert characters("\ud83d") == 1
    assert parts("\ud83d" * 71, domestic=True) == 2


def test_the_measure_counts_without_values_and_says_what_room_they_have() -> None:
    found = measure("青禾", "您好${name}")
    assert (found.characters, found.parts, found.parts_abroad, found.room) == (6, 1, 1, 64)
    assert measure("", "").room == 70
    assert (measure("", "a" * 71).parts, measure("", "a" * 71).room) == (2, 63)


@pytest.mark.parametrize(
    "texts", [[], [""], ["您好"], ["中" * 70, "中" * 71], ["😀" * 35, "a" * 71], ["😀" * 36, "中" * 134]]
)
def test_many_texts_have_as_many_parts_as_each_of_them(texts: list[str]) -> None:
    for here in (True, False):
        assert parts_of_all(texts, [here] * len(texts)) == [parts(text, here) for text in texts]
    with pytest.raises(ValueError, match="zip"):
        parts_of_all(texts, [True] * (len(texts) + 1))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 71, Measure(71, 2, 1, 63)),
        ("a" * 161, Measure(161, 3, 2, 40)),
        ("中" * 70, Measure(70, 1, 1, 0)),
        ("中" * 71 + "${name}", Measure(71, 2, 2, 63)),
    ],
)
def test_a_template_is_measured_for_china_and_abroad(text: str, expected: Measure) -> None:
    assert measure("", text) == expected
