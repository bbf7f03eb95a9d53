"""The cost of billed parts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Cost:
    """Billed parts and their price in `currency`; `amount` is None if the channel has (or had) no price."""

    parts: int
    amount: Decimal | None
    currency: str


def cost_of(parts: int, price: Decimal | None, currency: str) -> Cost:
    """Return the cost of these parts at a price per part."""
    return Cost(parts, None if price is None else price * parts, currency)
