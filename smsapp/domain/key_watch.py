"""What is watched of an AppKey: its hourly tallies, and the rules by which an hour raises an alarm."""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from smsapp.domain.bounds import BRACKETS
from smsapp.domain.bounds import LINK as LINK_PATTERN

NAME_PROPERTIES = ("name", "nickname", "$name", "姓名")
"""Properties that hold names of people."""
OTHERS = ""
"""The name under which an hour counts what has no room under a name of its own."""
TALLY_DAYS = 30
"""How many days of tallies are kept."""
BLOCK_DIGITS = 4
"""Last digits of a number that differ within one block of numbers."""


class Measure(enum.StrEnum):
    """What is counted of one key in one hour, under which name."""

    CREATED = "created"
    """New contacts; no name."""
    CHANGED = "changed"
    """Values written to contacts that were there, by property."""
    ERASED = "erased"
    """Contacts that were erased, or whose id was bound to another one; no name."""
    REFUSED = "refused"
    """Refused records and lost properties, by reason."""
    PROPOSED = "proposed"
    """Proposals, by property."""
    COUNTRY = "country"
    """Numbers that came with new contacts or new values, by calling code ("+86")."""
    PREFIX = "prefix"
    """The same, by calling code and the next three digits ("+86138")."""
    TEXT = "text"
    """Names of people that do not look like names, by TextSign."""


class TextSign(enum.StrEnum):
    """Why the name of a person does not look like one."""

    LINK = "link"
    DIGITS = "digits"
    BRACKET = "bracket"
    LONG = "long"


FEWEST_DIGITS = 6
LONGEST_NAME = 40
_SIGNS: Mapping[TextSign, re.Pattern[str]] = {
    TextSign.LINK: re.compile(f"(?i){LINK_PATTERN}"),
    TextSign.DIGITS: re.compile(f"[0-9０-９][^A-Za-z一-龥\n]?(?:[0-9０-９][^A-Za-z一-龥\n]?){{{FEWEST_DIGITS - 1}}}"),
    TextSign.BRACKET: re.compile(f"[{BRACKETS}]"),
    TextSign.LONG: re.compile(f"[^\n]{{{LONGEST_NAME + 1}}}"),
}
_PERHAPS = re.compile(
    f"[./:．。｡／：{BRACKETS}]|[0-9０-９]{{3}}|[^\n]{{{LONGEST_NAME + 1}}}|[0-9０-９][^0-9\n][0-9０-９]"
)
"""What every text with a sign has: most names have none and are looked at once, all together."""


def text_signs(names: Collection[str]) -> dict[TextSign, int]:
    """Return how many of these names have which sign; signs that none has are left out."""
    usual = "".join(names).isalpha() and max(map(len, names)) <= LONGEST_NAME
    if usual or not _PERHAPS.search("\n".join(names)):
        return {}
    counts = {sign: sum(pattern.search(name) is not None for name in names) for sign, pattern in _SIGNS.items()}
    return {sign: n for sign, n in counts.items() if n}


@dataclass
class Hour:
    """The tallies of one key in one hour: {measure: {name: n}}."""

    at: dt.datetime
    counts: dict[Measure, dict[str, int]] = field(default_factory=dict)

    def total(self, measure: Measure) -> int:
        return sum(self.counts.get(measure, {}).values())

    def by_name(self, measure: Measure) -> list[tuple[str, int]]:
        """Return the names of a measure with their numbers, the largest first."""
        return sorted(self.counts.get(measure, {}).items(), key=lambda item: (-item[1], item[0]))


def hour_of(moment: dt.datetime) -> dt.datetime:
    """Return the beginning of the hour (UTC) in which something is counted."""
    return moment.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)


def by_hour(rows: Iterable[tuple[dt.datetime, str, str, int]]) -> list[Hour]:
    """Return hours from rows of (hour, measure, name, n), the newest first."""
    hours: dict[dt.datetime, Hour] = {}
    for at, measure, name, n in rows:
        hour = hours.setdefault(at, Hour(at))
        hour.counts.setdefault(Measure(measure), {})[name] = n
    return sorted(hours.values(), key=lambda hour: hour.at, reverse=True)


# Alarms


class AlarmKind(enum.StrEnum):
    """What is unusual about an hour of a key."""

    GROWTH = "growth"
    COUNTRY = "country"
    BLOCK = "block"
    TEXT = "text"


@dataclass(frozen=True)
class Rule:
    """When an hour is unusual: at least `fewest`, and more than `times` the key's busiest hour of the days before."""

    fewest: int
    times: int = 0


RULES: Mapping[AlarmKind, Rule] = {
    AlarmKind.GROWTH: Rule(fewest=500, times=3),
    # Numbers of countries from which the key brought none in the days before.
    AlarmKind.COUNTRY: Rule(fewest=20),
    # New contacts whose numbers differ in their last BLOCK_DIGITS only.
    AlarmKind.BLOCK: Rule(fewest=50),
    # Names with one and the same sign.
    AlarmKind.TEXT: Rule(fewest=5, times=3),
}
PAST_DAYS = 7
"""Days with whose hours an hour is compared."""


@dataclass(frozen=True)
class Alarm:
    """An unusual hour: of what kind, how much was counted, and {name: n} of what it consists of."""

    kind: AlarmKind
    n: int
    names: Mapping[str, int] = field(default_factory=dict)


def alarms(hour: Hour, past: Sequence[Hour], home: str, blocks: Mapping[str, int]) -> list[Alarm]:
    """Return the alarms of an hour.

    `past` are the key's hours of the days before. `home` is the calling code ("+86") that is usual even for a key
    without a past. `blocks` are the new contacts of this hour by block of numbers.
    """
    raised = []
    growth = RULES[AlarmKind.GROWTH]
    created = hour.total(Measure.CREATED)
    if _is_unusual(created, growth, (earlier.total(Measure.CREATED) for earlier in past)):
        raised.append(Alarm(AlarmKind.GROWTH, created))
    usual = {home, *(code for earlier in past for code in earlier.counts.get(Measure.COUNTRY, {}))}
    countries = {code: n for code, n in hour.by_name(Measure.COUNTRY) if code not in usual}
    if sum(countries.values()) >= RULES[AlarmKind.COUNTRY].fewest:
        raised.append(Alarm(AlarmKind.COUNTRY, sum(countries.values()), countries))
    dense = {block: n for block, n in blocks.items() if n >= RULES[AlarmKind.BLOCK].fewest}
    if dense:
        raised.append(Alarm(AlarmKind.BLOCK, sum(dense.values()), dense))
    texts = {
        sign: n
        for sign, n in hour.by_name(Measure.TEXT)
        if _is_unusual(n, RULES[AlarmKind.TEXT], (_of(earlier, Measure.TEXT, sign) for earlier in past))
    }
    if texts:
        raised.append(Alarm(AlarmKind.TEXT, sum(texts.values()), texts))
    return raised


def _is_unusual(n: int, rule: Rule, past: Iterable[int]) -> bool:
    return n >= rule.fewest and n > rule.times * max(past, default=0)


def _of(hour: Hour, measure: Measure, name: str) -> int:
    return hour.counts.get(measure, {}).get(name, 0)
