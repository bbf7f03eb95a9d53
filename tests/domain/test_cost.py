"""What billed parts cost."""

from __future__ import annotations

from decimal import Decimal

import pytest

from smsapp.domain.cost import Cost, cost_of


@pytest.mark.parametrize(
    ("parts", "price", "amount"),
    [
        (3, Decimal("0.045"), Decimal("0.135")),
        (0, Decimal("0.045"), Decimal(0)),
        (3, Decimal(0), Decimal(0)),
        (3, None, None),
        (0, None, None),
        (10_000_000, Decimal("0.0457"), Decimal("457000.0000")),
    ],
)
def test_parts_cost_their_price_and_nothing_is_known_without_one(
    parts: int, price: Decimal | None, amount: Decimal | None
) -> None:
    assert cost_of(parts, price, "CNY") == Cost(parts, amount, "CNY")
