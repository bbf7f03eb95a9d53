"""What a refusal or a consent covers: every text, marketing, or the texts of some signatures."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from smsapp.domain import numbering


class Scope(enum.StrEnum):
    """What is covered; signatures may be covered beside it."""

    EVERYTHING = "everything"
    MARKETING = "marketing"
    SIGNATURE = "signature"
    """The texts of the named signatures only."""


WORDS: dict[str, Scope] = {
    **dict.fromkeys(("everything", "all", "全部", "所有"), Scope.EVERYTHING),
    **dict.fromkeys(("marketing", "营销", "营销短信", "推广"), Scope.MARKETING),
    **dict.fromkeys(("signature", "签名", "此签名", "仅此签名"), Scope.SIGNATURE),
}
"""How files name a scope."""
ALWAYS_EVERYTHING = frozenset({"US", "AS", "GU", "MP", "PR", "VI"})
"""Countries in which a refusal counts for every text, however it was meant (FCC, 47 CFR 64.1200(a)(10))."""
_NAMED = re.compile("【([^【】]+)】")


@dataclass(frozen=True)
class Coverage:
    """Which texts are meant; `signatures` may stand beside marketing."""

    scope: Scope = Scope.EVERYTHING
    signatures: tuple[str, ...] = ()

    def refused_by(self, number: str) -> Coverage:
        """Return what a refusal of this by a number (E.164) covers.

        It is everything where the law says so, and where a signature is meant that nobody knows.
        """
        whole = self.scope is Scope.SIGNATURE and not self.signatures
        return EVERYTHING if whole or numbering.country(number) in ALWAYS_EVERYTHING else self


EVERYTHING = Coverage()


def as_text(signatures: Iterable[str]) -> str:
    """Return signatures as they are stored and written in files: each in its brackets."""
    return "".join(f"【{name}】" for name in signatures)


def from_text(text: str) -> tuple[str, ...]:
    """Return the signatures in a text, in their brackets or a single one without."""
    if names := _NAMED.findall(text):
        return tuple(dict.fromkeys(name.strip() for name in names))
    return (text.strip(),) if text.strip() else ()
