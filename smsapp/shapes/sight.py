"""How much of phone numbers a caller may see, and a value as it may see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from smsapp.domain.phone import mask, mask_all, mask_inside, normalise


@dataclass(frozen=True)
class Sight:
    """`whole`: numbers are shown as they are; else they are masked wherever they stand."""

    whole: bool

    def number(self, phone: str) -> str:
        """Return a number."""
        return phone if self.whole else mask(phone)

    def written_number(self, value: Any) -> Any:
        """Return the value of a property of numbers, however it is written."""
        phone = "" if self.whole else normalise(value)
        return mask(phone) if phone else self.masked(value)

    def masked(self, value: Any) -> Any:
        """Return JSON with the numbers in its texts and figures."""
        return value if self.whole else mask_all(value)

    def text(self, words: str) -> str:
        """Return a text from outside with the numbers in it."""
        return words if self.whole else mask_inside(words)


MASKED = Sight(whole=False)
