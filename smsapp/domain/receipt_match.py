"""Which message a receipt is about, if it names the provider's id: the id decides together with the number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Owner = TypeVar("Owner")

SHORTEST_NATIONAL = 7
"""Digits a number has at least for its end to tell whose it is."""


def same_number(named: str, phone: str) -> bool:
    """Say whether a receipt that names a number means this phone (E.164).

    Providers write it with or without country code, plus sign and the zero in front, whatever they were sent.
    """
    if named == phone:
        return True
    digits, ours = named.lstrip("+0"), phone.lstrip("+")
    return len(digits) >= SHORTEST_NATIONAL and (ours.endswith(digits) or digits.endswith(ours))


def owner_of(owners: Mapping[str, Owner], named: str) -> Owner | None:
    """Return the message (owners: phone -> message) of a provider's id that a receipt is about; None if unclear.

    `named` is the number in the receipt; "" if it has none, and then only an id of one message says which.
    """
    if named in owners:
        return owners[named]
    fitting = [owner for phone, owner in owners.items() if not named or same_number(named, phone)]
    return fitting[0] if len(fitting) == 1 else None
