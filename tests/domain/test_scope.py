"""What a refusal covers, by the number that refuses and by how files write it."""

from __future__ import annotations

import pytest

from smsapp.domain import scope
from smsapp.domain.scope import EVERYTHING, Coverage, Scope


@pytest.mark.parametrize("number", ["+12025550123", "+17875550123", "+13405550123"])
@pytest.mark.parametrize("meant", [Coverage(Scope.MARKETING), Coverage(Scope.SIGNATURE, ("青禾商城",))])
def test_a_refusal_by_a_us_number_counts_for_every_text(number: str, meant: Coverage) -> None:
    assert meant.refused_by(number) == EVERYTHING


@pytest.mark.parametrize("number", ["+8613800138000", "+85291234567", "+447400123456", "+18765550123"])
def test_elsewhere_it_counts_for_what_is_meant(number: str) -> None:
    for meant in (Coverage(Scope.MARKETING), Coverage(Scope.MARKETING, ("甲",)), Coverage(Scope.SIGNATURE, ("甲",))):
        assert meant.refused_by(number) == meant


def test_a_refusal_of_a_signature_that_nobody_knows_counts_for_every_text() -> None:
    assert Coverage(Scope.SIGNATURE).refused_by("+8613800138000") == EVERYTHING


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        ("  ", ()),
        ("青禾商城", ("青禾商城",)),
        ("【青禾商城】", ("青禾商城",)),
        ("【甲】【乙】【甲】", ("甲", "乙")),
    ],
)
def test_signatures_are_read_with_and_without_brackets(text: str, names: tuple[str, ...]) -> None:
    assert scope.from_text(text) == names
    assert scope.from_text(scope.as_text(names)) == names
