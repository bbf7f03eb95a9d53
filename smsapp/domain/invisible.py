"""Invisible characters that copying, chat programs and web pages leave in texts."""

from __future__ import annotations

import re

INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
)
"""The inside of a character class of a regular expression: marks of width, direction and order, byte-order marks."""

_ANY = re.compile(f"[{INVISIBLE}]")
_AT_THE_ENDS = re.compile(rf"\A[\s{INVISIBLE}]+|[\s{INVISIBLE}]+\Z")


def visible(text: str) -> str:
    """Return the text without invisible characters and surrounding spaces, so that ids that look alike are equal."""
    return text.strip() if text.isascii() else _ANY.sub("", text).strip()


def trimmed(text: str) -> str:
    """Return the text without spaces and invisible characters at its ends; those inside may join letters or emoji."""
    return text.strip() if text.isascii() else _AT_THE_ENDS.sub("", text)


def is_clean(text: str) -> bool:
    """Return whether the text has no invisible character."""
    return text.isascii() or _ANY.search(text) is None
