"""Foreign text made fit for every database: PostgreSQL stores no NUL, no database a lone surrogate."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 80
"""Characters kept of a provider's id or code."""


def storable(text: str, longest: int = LONGEST) -> str:
    """Return the text without what a database refuses, cut to `longest` characters."""
    if text.isascii() and "\0" not in text:
        return text[:longest]
    return text.replace("\0", "").encode("utf-8", "ignore").decode()[:longest]


def storable_all(texts: Sequence[str]) -> Sequence[str]:
    """Return what `storable` returns of each: looked at together, because nearly always there is nothing to do."""
    if len(texts) == 1:
        return [storable(texts[0])]
    together = "".join(texts)
    if together.isascii() and "\0" not in together and max(map(len, texts), default=0) <= LONGEST:
        return texts
    return [storable(text) for text in texts]
