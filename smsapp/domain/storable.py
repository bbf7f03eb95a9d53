"""Cleans foreign text for storage: PostgreSQL stores no NUL, and no database stores a lone surrogate."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 80
"""Characters stored of a provider's id or code."""


def storable(text: str, longest: int = LONGEST) -> str:
    """Return the text without NULs and lone surrogates, cut to `longest` characters."""
    if text.isascii() and "\0" not in text:
        return text[:longest]
    return text.replace("\0", "").encode("utf-8", "ignore").decode()[:longest]


def storable_all(texts: Sequence[str]) -> Sequence[str]:
    """Return `storable` of each text; all are checked together, because changes are rare."""
    if len(texts) == 1:
        return [storable(texts[0])]
    together = "".join(texts)
    if together.isascii() and "\0" not in together and max(map(len, texts), default=0) <= LONGEST:
        return texts
    return [storable(text) for text in texts]
