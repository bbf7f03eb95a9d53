"""A diff of two texts for display: which pieces were removed and which were added."""

from __future__ import annotations

import enum
from difflib import SequenceMatcher


class Part(enum.StrEnum):
    SAME = "same"
    OUT = "out"
    IN = "in"


Piece = tuple[Part, str]


def woven(before: str, after: str) -> list[Piece]:
    """Return both texts as one list of pieces: without IN they are the text before, without OUT the text after."""
    pieces: list[Piece] = []
    for operation, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if operation == "equal":
            pieces.append((Part.SAME, before[a:b]))
            continue
        pieces += [piece for piece in ((Part.OUT, before[a:b]), (Part.IN, after[c:d])) if piece[1]]
    return pieces
