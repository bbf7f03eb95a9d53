"""Erased people: the keyed hash that stands where a number was, and erased numbers found inside texts and bytes.

The hash lets caps, opt-outs and sums hold without the number. Whoever has the key can try all numbers, so the hash
protects a copy of the database, not the running application.
"""

from __future__ import annotations

import enum
import hashlib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import phonenumbers

from smsapp.domain.phone import ERASED, normalise

HASH_LENGTH = 16
"""Characters of a hash with its mark: as many as a column of phones holds."""
LETTERS = str.maketrans("0123456789", "ghijklmnop")
"""A hash has no digits, so that it is neither masked nor found by the end of a number."""
ERASED_ID = 1 << 62
"""Added to the contact id in the ledger: it leads to nobody any more, and stays unique in its run."""
SHORTEST = 9
"""Fewest digits that are looked for inside a longer row of digits."""
_TOGETHER, _APART = re.compile(r"\d(?:\0?\d){6,}"), re.compile(r"\d(?:[ \-.·()]{0,2}\d){6,}")
"""Rows of figures, in UTF-16 with a NUL beside each; the same with the usual marks between them."""
_MAINLAND = re.compile(r"(?=(1[3-9]\d{9}))")
LONGEST_FIGURES = 400
"""A longer row of digits is no number, nor does it hold one."""

Spans = Callable[[str], Iterable[tuple[int, int]]]
"""Digits -> (begin, end) of each erased number in them."""


class ErasureState(enum.StrEnum):
    """How far an erasure is."""

    WORKING = "working"
    """The first pass has not ended."""
    WAITING = "waiting"
    """Messages are in flight or a file is being imported: the next passes erase what they leave."""
    COMPACTING = "compacting"
    """Nothing is left in the tables; SQLite's file is to be written anew, without what was in its free pages."""
    DONE = "done"


@dataclass(frozen=True)
class Subject:
    """Whom an erasure is about; it is stored encrypted, and only until the erasure is done."""

    numbers: frozenset[str] = field(default=frozenset(), repr=False)
    """E.164"""
    user_ids: frozenset[str] = field(default=frozenset(), repr=False)
    """Of contacts, and the anonymous ids that lead to them."""
    contact_ids: frozenset[int] = frozenset()

    def joined(self, other: Subject) -> Subject:
        """Return both together."""
        return Subject(
            self.numbers | other.numbers, self.user_ids | other.user_ids, self.contact_ids | other.contact_ids
        )

    def as_json(self) -> dict[str, list[Any]]:
        return {
            "numbers": sorted(self.numbers),
            "user_ids": sorted(self.user_ids),
            "contact_ids": sorted(self.contact_ids),
        }

    @staticmethod
    def from_json(value: dict[str, list[Any]]) -> Subject:
        return Subject(*(frozenset(value[name]) for name in ("numbers", "user_ids", "contact_ids")))


def keyed_hash(phone: str, key: bytes) -> str:
    """Return what stands for an erased number (E.164): ERASED and 15 letters, 60 bits of HMAC-SHA256."""
    # Two plain hashes: an audience is hashed number by number, and the library's HMAC takes eight times as long.
    inner, outer = hash_pads(key)
    digest = hashlib.sha256(outer + hashlib.sha256(inner + phone.encode()).digest()).hexdigest()
    return ERASED + digest[: HASH_LENGTH - 1].translate(LETTERS)


@lru_cache(maxsize=4)
def hash_pads(key: bytes) -> tuple[bytes, bytes]:
    """Return the inner and the outer pad of HMAC (RFC 2104), for a database that has SHA-256 and no HMAC."""
    block = key.ljust(64, b"\0")
    return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)


@lru_cache(maxsize=4096)
def written_forms(phone: str) -> tuple[str, ...]:
    """Return the digits of a number (E.164) as they occur inside texts: with and without the country's code.

    What stands before them, a plus or zeros, makes no difference.
    """
    digits = phone.lstrip("+")
    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return (digits,)
    national = phonenumbers.national_significant_number(number)
    return (digits, national) if len(national) >= 7 else (digits,)


def spans_of(numbers: Collection[str]) -> Spans:
    """Return what finds these numbers (E.164), also inside a longer row of digits."""
    forms = {form for number in numbers for form in written_forms(number)}
    lengths = sorted({len(form) for form in forms if len(form) >= SHORTEST}, reverse=True)

    def spans(digits: str) -> Iterator[tuple[int, int]]:
        if digits in forms or digits.lstrip("0") in forms:
            yield 0, len(digits)
            return
        for length in lengths:
            for begin in range(len(digits) - length + 1):
                if digits[begin : begin + length] in forms:
                    yield begin, begin + length

    return spans


def hashed_spans(hashes: Collection[str], key: bytes, regions: Collection[str]) -> Spans:
    """Return what finds numbers of which only the hashes are known; `regions`: countries of national numbers."""

    def spans(digits: str) -> Iterator[tuple[int, int]]:
        if any(keyed_hash(number, key) in hashes for number in readings(digits, regions)):
            yield 0, len(digits)
            return
        if len(digits) > 11:
            for match in _MAINLAND.finditer(digits):
                if keyed_hash("+86" + match[1], key) in hashes:
                    yield match.start(1), match.end(1)

    return spans


def readings(named: str, regions: Collection[str]) -> set[str]:
    """Return the numbers (E.164) that these digits may mean, with or without a plus."""
    digits = named.lstrip("+0")
    numbers = {"+" + digits} if 7 <= len(digits) <= 15 else set()
    return numbers | {number for region in regions if (number := normalise(named, region))}


def redacted(text: str, spans: Spans) -> str:
    """Return the text with the digits of erased numbers as stars; it keeps its length."""
    for figures in (_TOGETHER, _APART):
        text = _redacted(text, figures, spans)
    return text


def _redacted(text: str, figures: re.Pattern[str], spans: Spans) -> str:
    letters: list[str] | None = None
    for match in figures.finditer(text):
        if match.end() - match.start() > LONGEST_FIGURES:
            continue
        places = [place for place in range(match.start(), match.end()) if text[place].isdecimal()]
        digits = "".join(str(unicodedata.decimal(text[place])) for place in places)
        for begin, end in spans(digits):
            letters = list(text) if letters is None else letters
            for place in places[begin:end]:
                letters[place] = "*"
    return text if letters is None else "".join(letters)


def redacted_bytes(raw: bytes, spans: Spans) -> bytes:
    """Return the same for bytes of any encoding that writes figures as ASCII or UTF-16 does."""
    return redacted(raw.decode("latin-1"), spans).encode("latin-1")


def redacted_json(value: Any, spans: Spans, user_ids: Collection[str] = ()) -> Any:
    """Return the same for a JSON value: figures become 0, texts that are one of these user ids stars."""
    if isinstance(value, str):
        return "*" * len(value) if value in user_ids else redacted(value, spans)
    if isinstance(value, dict):
        return {redacted(name, spans): redacted_json(content, spans, user_ids) for name, content in value.items()}
    if isinstance(value, list):
        return [redacted_json(content, spans, user_ids) for content in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        written = format(value, "f").rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        return 0 if redacted(written, spans) != written else value
    return value
