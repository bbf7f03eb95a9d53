"""Limits for the values of variables: their length, and no content that a stranger could abuse for fraud.

A value that a public key reported is sent under the organisation's signature, so links, contact details and line breaks
need a template whose variable declares them. Python and PostgreSQL both read the expressions, so they list characters
instead of using classes like \\d, and have no backslash.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LONGEST = 60
"""Most characters of a value if neither the provider nor the template sets a limit."""
LONGEST_DECLARED = 300


class Fault(enum.StrEnum):
    """Why a value may not fill a variable."""

    TOO_LONG = "value_too_long"
    LINE_BREAK = "value_line_break"
    SIGNATURE = "value_signature"
    """A bracket 【 or 】: it would look like another sender's signature."""
    LINK = "value_link"
    CONTACT = "value_contact"


@dataclass(frozen=True)
class Bound:
    """The values that one variable of a template takes."""

    longest: int = LONGEST
    links: bool = False
    contacts: bool = False
    lines: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"longest": self.longest, "links": self.links, "contacts": self.contacts, "lines": self.lines}


def declared(data: Mapping[str, Any] | None, longest: int | None) -> Bound:
    """Return the bound that a template declares for a variable; `longest` is the provider's limit, None = no limit.

    A template may allow more than the provider's usual limit, because accounts differ.
    """
    data = data or {}
    return Bound(
        int(data.get("longest") or longest or LONGEST),
        bool(data.get("links")),
        bool(data.get("contacts")),
        bool(data.get("lines")),
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
"""A text without any of MARKS cannot match if it is shorter than FEWEST_FIGURES, or has none of WORDY and fewer
FIGURES: most values need not be matched."""


def forbidden(bound: Bound) -> str:
    """Return the expression that no value may match, regardless of case."""
    marks = BRACKETS if bound.lines else BRACKETS + LINES
    return "|".join([f"[{marks}]", *([] if bound.links else [LINK]), *([] if bound.contacts else [CONTACT])])


def faults(value: str, bound: Bound) -> list[Fault]:
    """Return the faults of this value for a variable with this bound."""
    value_faults = []
    if len(value) > bound.longest:
        value_faults.append(Fault.TOO_LONG)
    if not bound.lines and any(letter in value for letter in LINES):
        value_faults.append(Fault.LINE_BREAK)
    if any(letter in value for letter in BRACKETS):
        value_faults.append(Fault.SIGNATURE)
    if not bound.links and _LINK.search(value):
        value_faults.append(Fault.LINK)
    if not bound.contacts and _CONTACT.search(value):
        value_faults.append(Fault.CONTACT)
    return value_faults


_LINK = re.compile(f"(?i){LINK}")
_CONTACT = re.compile(f"(?i){CONTACT}")
