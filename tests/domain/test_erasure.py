"""The hash of an erased number, and erased numbers found inside texts, bytes and JSON."""

from __future__ import annotations

import hmac

import pytest

from smsapp.domain import phone
from smsapp.domain.erasure import (
    LETTERS,
    Subject,
    hashed_spans,
    keyed_hash,
    readings,
    redacted,
    redacted_bytes,
    redacted_json,
    spans_of,
)

KEY = b"k" * 32
NUMBER = "+8613800138000"
OTHERS = ["+447911123456", "+12025550123"]
KNOWN = spans_of([NUMBER, *OTHERS])
HASHED = hashed_spans({keyed_hash(number, KEY) for number in [NUMBER, *OTHERS]}, KEY, {"CN", "GB"})
BOTH = pytest.mark.parametrize("spans", [KNOWN, HASHED], ids=["known", "hashed"])


def test_a_hash_fits_a_column_of_phones_has_no_digits_and_depends_on_the_key() -> None:
    hashed = keyed_hash(NUMBER, KEY)
    assert len(hashed) == 16
    digest = hmac.digest(KEY, NUMBER.encode(), "sha256").hex()
    assert hashed == "~" + digest[:15].translate(LETTERS)
    assert phone.is_erased(hashed)
    assert not any(letter.isdigit() for letter in hashed)
    assert hashed == keyed_hash(NUMBER, KEY)
    assert hashed not in {keyed_hash(NUMBER, b"x" * 32), keyed_hash(OTHERS[0], KEY)}


def test_a_hash_is_shown_in_part_and_never_taken_for_a_number() -> None:
    hashed = keyed_hash(NUMBER, KEY)
    assert phone.mask(hashed) == hashed[:7]
    assert phone.mask_inside(hashed) == hashed
    assert phone.normalise(hashed) == ""


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        "13800138000",
        "+8613800138000",
        "008613800138000",
        "打 138-0013-8000 给我",
        "138 0013 8000",
        "phone=8613800138000&ok=1",
        "id 99138001380007",
        "a13900139000 and 13800138000,13900139001",
        "+44 7911 123456",
        "From=%2B447911123456",
        "１３８００１３８０００",
    ],
)
def test_an_erased_number_is_found_however_it_is_written(spans: object, text: str) -> None:
    clean = redacted(text, spans)  # type: ignore[arg-type]  # both are what finds numbers
    assert len(clean) == len(text)
    assert "*" in clean
    assert not list(KNOWN("".join(letter for letter in clean if letter.isdigit() and letter.isascii())))


@BOTH
@pytest.mark.parametrize("text", ["13900139000", "", "20260302", "1380013800", "13800138001 2026-03-02 10:00:00"])
def test_other_figures_stay(spans: object, text: str) -> None:
    assert redacted(text, spans) == text  # type: ignore[arg-type]


@BOTH
def test_bytes_keep_their_length_in_every_encoding_that_writes_figures(spans: object) -> None:
    for encoding in ("utf-8", "gbk", "utf-16-be", "utf-16-le"):
        raw = "回复 13800138000 退订".encode(encoding)
        clean = redacted_bytes(raw, spans)  # type: ignore[arg-type]
        assert len(clean) == len(raw)
        assert clean.decode(encoding) == "回复 *********** 退订"


def test_json_keeps_its_shape() -> None:
    value = {"a": [13800138000, 5, True, None], "13800138000": "x 13800138000", "id": "u1", "f": 13800138000.0}
    assert redacted_json(value, KNOWN, {"u1"}) == {
        "a": [0, 5, True, None],
        "***********": "x ***********",
        "id": "**",
        "f": 0,
    }


def test_digits_may_mean_a_national_number_of_any_of_the_countries() -> None:
    assert NUMBER in readings("13800138000", {"CN"})
    assert "+447911123456" in readings("07911123456", {"CN", "GB"})
    assert readings("123", {"CN"}) == set()


def test_a_subject_survives_being_stored_and_shows_nothing() -> None:
    subject = Subject(frozenset([NUMBER]), frozenset(["u1"]), frozenset([7]))
    assert Subject.from_json(subject.as_json()) == subject
    assert NUMBER not in repr(subject)
    assert "u1" not in repr(subject)
