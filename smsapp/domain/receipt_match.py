"""Matches receipts with a provider's id to messages: by the id together with the number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Owner = TypeVar("Owner")

SHORTEST_NATIONAL = 7
"""Fewest digits of a number that may be matched by its end."""


def same_number(named: str, phone: str) -> bool:
    """Return whether the number `named` in a receipt is this phone (E.164).

    Providers write it with or without country code, plus sign and leading zero, whatever they were sent.
    """
    if named == phone:
        return True
    digits, own_digits = named.lstrip("+0"), phone.lstrip("+")
    return len(digits) >= SHORTEST_NATIONAL and (own_digits.endswith(digits) or digits.endswith(own_digits))


def owner_of(owners: Mapping[str, Owner], named: str) -> Owner | None:
    """Return the message that a receipt is about, of those with its provider id (phone -> message); None if unclear.

    `named` is the number in the receipt; with "" the id must have exactly one message.
    """
    if named in owners:
        return owners[named]
    fitting = [owner for phone, owner in owners.items() if not named or same_number(named, phone)]
    return fitting[0] if len(fitting) == 1 else None
