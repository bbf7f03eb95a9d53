"""Characters that nobody sees make no difference."""

from __future__ import annotations

import pytest

from smsapp.domain.invisible import is_clean, trimmed, visible

CASES = [
    # text, without what nobody sees, without it at the ends only
    ("", "", ""),
    (" a b ", "a b", "a b"),
    ("\ufeffu1\u200b", "u1", "u1"),
    ("u\u200b1 ", "u1", "u\u200b1"),
    ("\u2066小\u2069 明\u3000", "小 明", "小\u2069 明"),
    ("👨\u200d👩", "👨👩", "👨\u200d👩"),
    ("小明", "小明", "小明"),
]


@pytest.mark.parametrize(("text", "seen", "cut"), CASES)
def test_what_nobody_sees_is_taken_out(text: str, seen: str, cut: str) -> None:
    assert visible(text) == seen
    assert trimmed(text) == cut


@pytest.mark.parametrize(
    ("text", "clean"), [("", True), (" a", True), ("小明", True), ("小\u200b明", False), ("\ufeffa", False)]
)
def test_a_text_says_whether_anything_in_it_is_invisible(text: str, clean: bool) -> None:
    assert is_clean(text) is clean
