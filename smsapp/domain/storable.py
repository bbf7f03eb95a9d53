"""Foreign text made fit for every database: PostgreSQL stores no NUL, no database a lone surrogate."""

from __future__ import annotations

LONGEST = 80
"""Characters kept of a provider's id or code."""


def storable(text: str, longest: int = LONGEST) -> str:
    """Return the text without what a database refuses, cut to `longest` characters."""
    if text.isascii() and "\0" not in text:
        return text[:longest]
    return text.replace("\0", "").encode("utf-8", "ignore").decode()[:longest]
