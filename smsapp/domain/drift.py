"""Whether the people a run would write to are still those that a person has reviewed.

An audience is compared by how many messages it takes and by where its numbers are: country and first three digits
behind the country's code, which tell mobile ranges, areas and premium services apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import phonenumbers

AREA_DIGITS = 3
LEADING = 1 + 3 + AREA_DIGITS
"""So many first characters of a number in E.164, its "+" included, hold the longest country code and its area."""
_CODES = frozenset(str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


@dataclass(frozen=True)
class Audience:
    """Who would be written to: people targeted, messages planned, and messages by prefix ("+86138")."""

    target: int
    planned: int
    prefixes: Mapping[str, int] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"target": self.target, "planned": self.planned, "prefixes": dict(self.prefixes)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Audience:
        return cls(raw["target"], raw["planned"], raw["prefixes"])

    def joined(self, other: Audience) -> Audience:
        """Return what is known after both: the larger numbers, the prefixes of either."""
        prefixes = {**other.prefixes, **self.prefixes}
        return Audience(max(self.target, other.target), max(self.planned, other.planned), prefixes)


@dataclass(frozen=True)
class Limits:
    """What may differ without a person: both `percent` and `fewest` messages more, `elsewhere` to new prefixes."""

    percent: int
    fewest: int
    elsewhere: int


@dataclass(frozen=True)
class Drift:
    """How an audience differs from the one that was reviewed, by more than is allowed."""

    before: int
    now: int
    countries: Mapping[str, int]
    """Country code ("+375") -> messages, for countries that were not there."""
    prefixes: Mapping[str, int]
    """The same for prefixes within countries that were there."""

    @property
    def more(self) -> int:
        return self.now - self.before

    @property
    def elsewhere(self) -> int:
        """Messages to countries or prefixes that were not there."""
        return sum(self.countries.values()) + sum(self.prefixes.values())


def country_code(number: str) -> str:
    """Return the country code of a number in E.164, or of its beginning: "+375"; "" if there is no such country."""
    digits = number.removeprefix("+")
    return next(("+" + digits[:n] for n in (1, 2, 3) if digits[:n] in _CODES), "")


def by_prefix(leading: Mapping[str, int]) -> dict[str, int]:
    """Return messages by prefix, from messages by the LEADING first characters of their numbers."""
    found: Counter[str] = Counter()
    for start, n in leading.items():
        found[start[: len(country_code(start)) + AREA_DIGITS]] += n
    return dict(found)


def drift(reviewed: Audience, now: Audience, limits: Limits) -> Drift | None:
    """Return how the audience has drifted from the reviewed one; None if it is within the limits."""
    known = {country_code(prefix) for prefix in reviewed.prefixes}
    new = {prefix: n for prefix, n in now.prefixes.items() if prefix not in reviewed.prefixes}
    countries: Counter[str] = Counter()
    prefixes: dict[str, int] = {}
    for prefix, n in new.items():
        country = country_code(prefix)
        if country in known:
            prefixes[prefix] = n
        else:
            countries[country] += n
    found = Drift(reviewed.planned, now.planned, dict(countries), prefixes)
    grown = found.more > limits.fewest and found.more * 100 > reviewed.planned * limits.percent
    return found if grown or found.elsewhere > limits.elsewhere else None
