"""The carrier of a mainland mobile number, by the digits it begins with: approximate, because people take their numbers
to other carriers and keep the digits.

After the table of the ministry (我国公众移动通信网网号及H0分配情况, 2023-03).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from smsapp.domain.phone import is_domestic


class Carrier(enum.StrEnum):
    """Who serves a mainland number."""

    MOBILE = "mobile"
    """China Mobile (移动)."""
    UNICOM = "unicom"
    """China Unicom (联通)."""
    TELECOM = "telecom"
    """China Telecom (电信)."""
    OTHER = "other"
    """Virtual operators, broadcast, satellite, and digits that are not given out: nobody says whose rules hold."""


REGISTRARS = (Carrier.MOBILE, Carrier.UNICOM, Carrier.TELECOM)
"""The carriers with which signatures, templates, links and numbers are registered."""

PREFIXES: dict[Carrier, tuple[str, ...]] = {
    Carrier.MOBILE: (
        "134", "135", "136", "137", "138", "139", "147", "148", "150", "151", "152", "157", "158", "159", "172", "178",
        "182", "183", "184", "187", "188", "195", "197", "198",
    ),
    Carrier.UNICOM: (
        "130", "131", "132", "145", "146", "155", "156", "166", "175", "176", "185", "186", "196",
    ),
    Carrier.TELECOM: (
        "133", "149", "153", "173", "177", "180", "181", "189", "190", "191", "193", "199",
    ),
    Carrier.OTHER: ("1349", "162", "165", "167", "170", "171", "174", "192"),
}  # fmt: skip
"""The longest prefix that fits counts; a number that fits none has another carrier."""

BY_PREFIX: dict[str, Carrier] = {prefix: carrier for carrier, group in PREFIXES.items() for prefix in group}
LENGTHS = tuple(sorted({len(prefix) for prefix in BY_PREFIX}, reverse=True))
"""Lengths of the prefixes, the longest first."""


def carrier_of(phone: str) -> Carrier | None:
    """Return the carrier of a number (E.164) by its digits; None for a number that is not of the mainland."""
    if not is_domestic(phone):
        return None
    digits = phone.removeprefix("+86")
    fitting = (BY_PREFIX.get(digits[:length]) for length in LENGTHS)
    return next((carrier for carrier in fitting if carrier is not None), Carrier.OTHER)


def known(codes: Iterable[object]) -> list[Carrier]:
    """Return those of the carriers that can be left out, each once, in their usual order; other codes are ignored."""
    wanted = {str(code) for code in codes}
    return [carrier for carrier in Carrier if carrier.value in wanted]
