"""Texts as parts: nothing is lost, nothing is cut in two, no part is longer than the air allows."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsapp.channels.smpp.protocol.text import (
    BASIC,
    EXTENSION,
    Part,
    TextSplitter,
    decode,
    from_gsm,
    position_in,
    to_gsm,
)
from smsapp.domain import billed_parts

GSM = "".join(sorted(set(BASIC) - {"\x1b"} | set(EXTENSION.values())))
TEXTS = st.one_of(
    st.text(st.sampled_from(GSM), max_size=700),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=400),
    st.text(st.sampled_from("aé€[^积😀"), max_size=400),
)


def content(part: Part) -> bytes:
    """Return a part's octets without the header."""
    if part.esm_class & 0x40:
        return part.octets[part.octets[0] + 1 :]
    return part.octets or part.extra[4:]


def letters(part: Part, alphabet: str) -> str:
    raw = content(part)
    if part.coding == 8:
        return raw.decode("utf-16-be")
    return raw.decode("latin-1") if alphabet == "latin1" else from_gsm(raw)


@pytest.mark.parametrize("alphabet", ["gsm", "latin1"])
@pytest.mark.parametrize("how", ["udh8", "udh16", "sar", "payload"])
@settings(max_examples=60, deadline=None)
@given(text=TEXTS)
def test_parts_are_whole_and_small_enough(how: str, alphabet: str, text: str) -> None:
    parts = TextSplitter(alphabet, how).parts(text)
    # decoding each part by itself proves that no pair and no escape was cut
    assert "".join(letters(part, alphabet) for part in parts) == text
    assert len({part.coding for part in parts}) == 1
    for part in parts:
        octets = len(part.octets) if part.coding == 8 else len(to_gsm(letters(part, alphabet)) or b"")
        header = part.octets[0] + 1 if part.esm_class & 0x40 else 6 if how == "sar" and len(parts) > 1 else 0
        if how == "payload" and part.extra:
            continue
        room = 140 if part.coding == 8 else (140 - header) * 8 // 7
        assert octets <= room
    if len(parts) > 1 and how.startswith("udh"):
        refs, totals, numbers = zip(
            *(position_in(part.octets[1 : part.octets[0] + 1]) or () for part in parts), strict=True
        )
        assert len(set(refs)) == 1
        assert set(totals) == {len(parts)}
        assert [*numbers] == [*range(1, len(parts) + 1)]


@settings(max_examples=100, deadline=None)
@given(text=TEXTS.filter(bool))
def test_with_an_eight_bit_reference_there_are_as_many_parts_as_are_billed_abroad(text: str) -> None:
    assert len(TextSplitter("gsm", "udh8").parts(text)) == billed_parts.parts(text, domestic=False)


@given(text=st.text(st.sampled_from(GSM)))
def test_the_gsm_alphabet_there_and_back(text: str) -> None:
    assert from_gsm(to_gsm(text) or b"") == text


def test_the_alphabet_is_the_one_of_gsm_03_38() -> None:
    # given the codes of its table, by row
    assert to_gsm("@£$¥èéùìòÇ\nØø\rÅå") == bytes(range(16))
    assert to_gsm("Δ_ΦΓΛΩΠΨΣΘΞ") == bytes(range(16, 27))
    assert to_gsm('ÆæßÉ !"#¤') == bytes(range(0x1C, 0x25))
    assert to_gsm("¡AZÄÖÑÜ§¿azäöñüà") == bytes.fromhex("40415a5b5c5d5e5f60617a7b7c7d7e7f")
    assert to_gsm("^{}\\[~]|€") == bytes.fromhex("1b141b281b291b2f1b3c1b3d1b3e1b401b65")
    assert to_gsm("积") is None
    assert to_gsm("\x1b") is None


def test_the_boundary_of_one_part() -> None:
    def many(text: str) -> int:
        return len(TextSplitter("gsm", "udh8").parts(text))

    assert [many("a" * n) for n in (160, 161, 306, 307)] == [1, 2, 2, 3]
    assert [many("积" * n) for n in (70, 71, 134, 135)] == [1, 2, 2, 3]
    assert [many("a" * n + "€") for n in (158, 159)] == [1, 2]
    # the pair would end at the 67th unit and the escape at the 153rd septet
    assert [len(content(part)) for part in TextSplitter("gsm", "udh8").parts("积" * 66 + "😀" * 5)] == [132, 20]
    assert [len(content(part)) for part in TextSplitter("gsm", "udh8").parts("a" * 152 + "€" * 5)] == [152, 10]


@given(raw=st.binary(max_size=300), coding=st.integers(0, 255), alphabet=st.sampled_from(["gsm", "latin1"]))
def test_whatever_comes_in_is_some_text(raw: bytes, coding: int, alphabet: str) -> None:
    assert isinstance(decode(raw, coding, alphabet), str)


@given(header=st.binary(max_size=20))
def test_whatever_a_header_holds_it_is_read_or_not(header: bytes) -> None:
    place = position_in(header)
    assert place is None or len(place) == 3
