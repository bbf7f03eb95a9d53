"""What may fill a variable: at most so many characters, and nothing that a stranger could make a trap of.

A value that a public key reported goes out under the organisation's signature, so links, contact details and line
breaks need a template whose variable is declared for them. The expressions are read by Python and by PostgreSQL alike,
so they name their characters instead of using classes like \\d, and no backslash.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 60
"""Characters of a value where the provider sets no limit and the template says nothing."""
LONGEST_DECLARED = 300


class Fault(enum.StrEnum):
    """What keeps a value from filling a variable."""

    TOO_LONG = "value_too_long"
    LINE_BREAK = "value_line_break"
    SIGNATURE = "value_signature"
    """A bracket 【 or 】: it would look like another sender's signature."""
    LINK = "value_link"
    CONTACT = "value_contact"


@dataclass(frozen=True)
class Bound:
    """What one variable of a template takes."""

    longest: int = LONGEST
    links: bool = False
    contacts: bool = False
    lines: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"longest": self.longest, "links": self.links, "contacts": self.contacts, "lines": self.lines}


def declared(kept: Mapping[str, Any] | None, longest: int | None) -> Bound:
    """Return the bound that a template declares for a variable; `longest` is the provider's limit, None = it has none.

    A template may allow more than the provider's usual limit: accounts differ.
    """
    kept = kept or {}
    return Bound(
        int(kept.get("longest") or longest or LONGEST),
        bool(kept.get("links")),
        bool(kept.get("contacts")),
        bool(kept.get("lines")),
    )


LINES = "\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029\u202a\u202b\u202d\u202e\u2066\u2067\u2068"
"""Characters that begin a new line or turn the direction of the text."""
BRACKETS = "【】"

_D = "[0-9０-９]"
_LETTER = "[A-Za-zＡ-Ｚａ-ｚ0-9０-９]"
_GAP = "[^A-Za-zＡ-Ｚａ-ｚ0-9０-９一-龥]{0,2}"
_DOT = "[.．。｡]"
_TLD = (
    "com|cn|net|org|info|biz|top|xyz|vip|cc|io|tv|link|site|shop|club|online|icu|work|win|red|ink|pro|app|dev|"
    "store|fun|live|wang|mobi|asia|tech|space|website|ren|ru|tk|ml|ga|cf|gq|ly|im|hk|tw|example|test"
)
_HOST = f"(?<![-@＠.．。｡A-Za-zＡ-Ｚａ-ｚ0-9０-９]){_LETTER}[-A-Za-zＡ-Ｚａ-ｚ0-9０-９]*{_DOT}([-A-Za-z0-9]+{_DOT})*"
"""The beginning of a host, but not of one behind an @: that is an email address."""
LINK = (
    f"[:：][/／][/／]|[wｗ][wｗ][wｗ]{_DOT}|{_HOST}({_TLD})(?![A-Za-zＡ-Ｚａ-ｚ])|{_HOST}[a-z]{{2,}}[/／]"
    f"|(?<!{_D}){_D}{{1,3}}({_DOT}{_D}{{1,3}}){{3}}[/／:：]"
)
"""A scheme, www., a host under a well-known ending or with a path, or an address in figures with a path or port."""
CONTACT = (
    f"(?<!{_D})([0０]?[0０]?[8８][6６]{_GAP})?[1１]{_GAP}[3-9３-９]({_GAP}{_D}){{9}}(?!{_D})"
    f"|[+＋]{_D}({_GAP}{_D}){{7,14}}"
    f"|(?<!{_D})[0０]{_D}{{2,3}}{_GAP}{_D}{{7,8}}(?!{_D})"
    f"|(?<!{_D})[48４８][0０][0０]({_GAP}{_D}){{7}}(?!{_D})"
    "|[零〇一二三四五六七八九幺]{7,}"
    f"|{_LETTER}[@＠]{_LETTER}+{_DOT}[a-z]{{2,}}"
    f"|(微信|薇信|威信|扣扣|企鹅号?|v信|加[vq]|(?<!{_LETTER})(qq|vx|wx|wechat|weixin|whatsapp))"
    f"[^A-Za-z0-9]{{0,4}}{_LETTER}[-_A-Za-z0-9]{{4,}}"
)
"""Mainland, foreign (with +), landline and service numbers in any notation; a number in words; email; chat accounts."""
MARKS = f".．。｡/／:：@＠{BRACKETS}{LINES}"
WORDY = "信扣鹅加qQvVxXwW零〇一二三四五六七八九幺"
FIGURES = "0123456789０１２３４５６７８９"
FEWEST_FIGURES = 7
"""Nothing is forbidden in a text without any of MARKS that is shorter than FEWEST_FIGURES, or that has nothing
of WORDY nor so many FIGURES: most values need not be matched."""


def forbidden(bound: Bound) -> str:
    """Return the expression no value may match, without regard to case."""
    marks = BRACKETS if bound.lines else BRACKETS + LINES
    return "|".join([f"[{marks}]", *([] if bound.links else [LINK]), *([] if bound.contacts else [CONTACT])])


def faults(value: str, bound: Bound) -> list[Fault]:
    """Return what keeps this value from filling the variable."""
    found = []
    if len(value) > bound.longest:
        found.append(Fault.TOO_LONG)
    if not bound.lines and any(letter in value for letter in LINES):
        found.append(Fault.LINE_BREAK)
    if any(letter in value for letter in BRACKETS):
        found.append(Fault.SIGNATURE)
    if not bound.links and _LINK.search(value):
        found.append(Fault.LINK)
    if not bound.contacts and _CONTACT.search(value):
        found.append(Fault.CONTACT)
    return found


_LINK = re.compile(f"(?i){LINK}")
_CONTACT = re.compile(f"(?i){CONTACT}")
