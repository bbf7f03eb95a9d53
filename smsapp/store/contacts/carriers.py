"""The carrier of each number of an audience, by its prefix: one expression for conditions and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from smsapp.domain.carrier_prefixes import BY_PREFIX, LENGTHS, Carrier

AFTER_COUNTRY = 4
"""Where the digits behind +86 begin in a number, counted from 1."""


def carrier_of(phone: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Return the code of a number's carrier; NULL for a number that is not of the mainland."""
    cases = []
    for length in LENGTHS:
        digits = sa.func.substr(phone, AFTER_COUNTRY, length)
        for carrier in Carrier:
            prefixes = [prefix for prefix, owner in BY_PREFIX.items() if owner is carrier and len(prefix) == length]
            if prefixes:
                cases.append((digits.in_(prefixes), sa.literal(carrier.value)))
    by_digits = sa.case(*cases, else_=sa.literal(Carrier.OTHER.value))
    return sa.case((sa.func.substr(phone, 1, 3) == "+86", by_digits), else_=None)


def is_of_carriers(phone: sa.ColumnElement[Any], carriers: Sequence[str]) -> sa.ColumnElement[bool]:
    """Return the condition that a number belongs to one of these carriers."""
    return sa.func.coalesce(carrier_of(phone).in_(sorted(carriers)), sa.false())
