"""Limits of a channel: how many messages a day may go to numbers that begin with a prefix, such as a country's code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

UNLIMITED = ("*", "∞", "unlimited", "不限")
NOTHING = ("0", "none", "不发")
REST = ("others", "other", "*", "其他", "其它")
MOST = 10_000_000
"""Largest limit that can be stated; more is no limit."""
MOST_LIMITS = 100


@dataclass(frozen=True)
class NumberLimit:
    """At most `most` messages a day to numbers that begin with `prefix` ("" = all others); None = no limit.

    The longest prefix counts, and only that.
    """

    prefix: str
    most: int | None

    def as_json(self) -> list[str | int | None]:
        return [self.prefix, self.most]


def from_json(data: Sequence[Sequence[object]]) -> list[NumberLimit]:
    """Return the limits that were stored, the longest prefix first."""
    limits = [NumberLimit(str(prefix), most if isinstance(most, int) else None) for prefix, most in data]
    return sorted(limits, key=lambda limit: (-len(limit.prefix), limit.prefix))


def read(text: str) -> tuple[list[NumberLimit], list[str]]:
    """Return (limits in a text such as "+86: unlimited, +44: 100, others: 0", parts that are none)."""
    limits: dict[str, NumberLimit] = {}
    wrong: list[str] = []
    for part in filter(None, (piece.strip() for piece in re.split(r"[\n,，;；]+", text))):
        prefix, colon, amount = (piece.strip().lower() for piece in part.replace("：", ":").partition(":"))
        prefix = "" if prefix in REST else prefix.replace(" ", "")
        most = _amount(amount)
        if not colon or most is False or not re.fullmatch(r"(\+[1-9][0-9]{0,14})?", prefix) or prefix in limits:
            wrong.append(part)
        else:
            limits[prefix] = NumberLimit(prefix, None if most is True else most)
    return from_json([limit.as_json() for limit in limits.values()]), wrong


def _amount(text: str) -> int | bool:
    """Return a number of messages; True = no limit, False = it cannot be read."""
    if text in UNLIMITED:
        return True
    if text in NOTHING:
        return 0
    return int(text) if re.fullmatch(r"[0-9]{1,8}", text) and int(text) <= MOST else False


def written(limits: Sequence[NumberLimit]) -> str:
    """Return limits as a person types them, one a line."""
    in_order = sorted(limits, key=lambda limit: (not limit.prefix, limit.prefix))
    return "\n".join(
        f"{limit.prefix or REST[0]}: {UNLIMITED[2] if limit.most is None else limit.most}" for limit in in_order
    )
