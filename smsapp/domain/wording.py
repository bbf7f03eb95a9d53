"""Two wordings of one text, woven together so that a reader sees what was taken out and what was put in."""

from __future__ import annotations

import enum
from difflib import SequenceMatcher


class Part(enum.StrEnum):
    SAME = "same"
    OUT = "out"
    IN = "in"


Piece = tuple[Part, str]


def woven(before: str, after: str) -> list[Piece]:
    """Return both texts as one row of pieces: those without IN are the text before, those without OUT the one after."""
    found: list[Piece] = []
    for what, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if what == "equal":
            found.append((Part.SAME, before[a:b]))
            continue
        found += [piece for piece in ((Part.OUT, before[a:b]), (Part.IN, after[c:d])) if piece[1]]
    return found
