"""Compares the audience of a run with the audience that a person has reviewed.

Audiences are compared by the number of messages and by the prefixes of their numbers: country code and the next three
digits, which distinguish mobile ranges, areas and premium services.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import phonenumbers

AREA_DIGITS = 3
LEADING = 1 + 3 + AREA_DIGITS
"""First characters of a number in E.164, its "+" included, that contain the longest country code and the area."""
_CODES = frozenset(str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@dataclass(frozen=True)
class Audience:
    """The size of an audience: people targeted, messages planned, and messages by prefix ("+86138")."""

    target: int
    planned: int
    prefixes: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"target": self.target, "planned": self.planned, "prefixes": dict(self.prefixes)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Audience:
        return cls(raw["target"], raw["planned"], raw["prefixes"])

    def joined(self, other: Audience) -> Audience:
        """Return the larger counts of both, and the prefixes of either."""
        prefixes = {**other.prefixes, **self.prefixes}
        return Audience(max(self.target, other.target), max(self.planned, other.planned), prefixes)


@dataclass(frozen=True)
class Limits:
    """The drift allowed without a person: `percent` or `fewest` more messages, `elsewhere` messages to new prefixes."""

    percent: int
    fewest: int
    elsewhere: int


@dataclass(frozen=True)
class Drift:
    """The difference between an audience and the reviewed one, if it exceeds the limits."""

    before: int
    now: int
    countries: Mapping[str, int]
    """Country code ("+375") -> messages, for new countries."""
    prefixes: Mapping[str, int]
    """Prefix -> messages, for new prefixes within known countries."""

    @property
    def more(self) -> int:
        return self.now - self.before

    @property
    def elsewhere(self) -> int:
        """Messages to new countries or prefixes."""
        return sum(self.countries.values()) + sum(self.prefixes.values())


def country_code(number: str) -> str:
    """Return the country code of a number in E.164, or of its beginning: "+375"; "" if there is no such country."""
    digits = number.removeprefix("+")
    return next(("+" + digits[:n] for n in (1, 2, 3) if digits[:n] in _CODES), "")


def by_prefix(leading: Mapping[str, int]) -> dict[str, int]:
    """Return prefix -> messages, from the LEADING first characters of numbers -> messages."""
    totals: Counter[str] = Counter()
    for start, n in leading.items():
        totals[start[: len(country_code(start)) + AREA_DIGITS]] += n
    return dict(totals)


def drift(reviewed: Audience, now: Audience, limits: Limits) -> Drift | None:
    """Return the drift of the audience from the reviewed one; None if it is within the limits."""
    countries_before = {country_code(prefix) for prefix in reviewed.prefixes}
    new_prefixes = {prefix: n for prefix, n in now.prefixes.items() if prefix not in reviewed.prefixes}
    countries: Counter[str] = Counter()
    prefixes: dict[str, int] = {}
    for prefix, n in new_prefixes.items():
        country = country_code(prefix)
        if country in countries_before:
            prefixes[prefix] = n
        else:
            countries[country] += n
    drift = Drift(reviewed.planned, now.planned, dict(countries), prefixes)
    grown = drift.more > limits.fewest and drift.more * 100 > reviewed.planned * limits.percent
    return drift if grown or drift.elsewhere > limits.elsewhere else None
