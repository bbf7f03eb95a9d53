"""What billed parts cost."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Cost:
    """So many billed parts and their price; `amount` is None where the channel has (or had) no price."""

    parts: int
    amount: Decimal | None
    currency: str


def cost_of(parts: int, price: Decimal | None, currency: str) -> Cost:
    """Return the cost of these parts at a price per part."""
    return Cost(parts, None if price is None else price * parts, currency)
