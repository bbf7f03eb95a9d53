"""What a rehearsal found: every text of an audience rendered before a campaign is confirmed; and what it was made for.

It holds no number, no text and no contact.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from smsapp.domain.cost import Cost, cost_of


class RehearsalState(enum.StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Overlap:
    """People of the audience who also get another campaign about the same time."""

    campaign_id: int
    name: str
    n: int
    fires_at: dt.datetime | None = None
    """The fire whose people were evaluated now; None if only messages of runs are counted."""
    dynamic: bool = False
    """Its segment is a rule, so that at its time other people may belong to it."""


@dataclass(frozen=True)
class CapReach:
    """People who reach a frequency cap with this message: `most` in `days` days."""

    days: int
    most: int
    n: int


@dataclass(frozen=True)
class Overlaps:
    """Who gets more than this campaign, before anybody is left out by choice."""

    also_gets: tuple[Overlap, ...] = ()
    """The most people first."""
    not_looked_at: int = 0
    """Further campaigns within the time, which were too many to evaluate."""
    same_text: int = 0
    """People who were sent the same words lately."""
    same_text_at: dt.datetime | None = None
    """When these words were sent last."""
    caps: tuple[CapReach, ...] = ()


@dataclass(frozen=True)
class Rehearsal:
    """The texts of all people of an audience, as of a moment."""

    at: dt.datetime
    target: int
    planned: int
    left_out: Mapping[str, int]
    """Exclusion reason -> people."""
    spread: Mapping[int, int]
    """parts -> messages, fewest parts first"""
    pushed: int
    """Messages whose values make them longer by a part or more than the text without them."""
    pushed_by: Mapping[str, int]
    """Variable -> of these, those in which its value takes the most room."""
    longest: int
    """Characters of the longest text, as carriers count them."""
    price: Decimal | None
    currency: str
    begins: dt.datetime | None
    ends: dt.datetime | None
    """None if the channel has no rate."""
    ahead: int
    """Messages of other runs that go over the channel before the last one of this run."""
    late: int
    """Messages that have to wait for the end of quiet hours."""
    overlaps: Overlaps = field(default_factory=Overlaps)

    @property
    def parts(self) -> int:
        return sum(parts * n for parts, n in self.spread.items())

    @property
    def cost(self) -> Cost:
        return cost_of(self.parts, self.price, self.currency)

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that `from_json` reads."""
        overlaps = asdict(self.overlaps)
        overlaps["same_text_at"] = _iso(self.overlaps.same_text_at)
        overlaps["caps"] = list(overlaps["caps"])
        overlaps["also_gets"] = [item | {"fires_at": _iso(item["fires_at"])} for item in overlaps["also_gets"]]
        return asdict(self) | {
            "at": _iso(self.at),
            "spread": {str(parts): n for parts, n in self.spread.items()},
            "price": None if self.price is None else str(self.price),
            "begins": _iso(self.begins),
            "ends": _iso(self.ends),
            "overlaps": overlaps,
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Rehearsal:
        """Return the rehearsal that `as_json` wrote."""
        overlaps = raw["overlaps"]
        also_gets = (Overlap(**{**item, "fires_at": _moment(item["fires_at"])}) for item in overlaps["also_gets"])
        return cls(
            **{
                **raw,
                "at": dt.datetime.fromisoformat(raw["at"]),
                "spread": {int(parts): n for parts, n in raw["spread"].items()},
                "price": None if raw["price"] is None else Decimal(raw["price"]),
                "begins": _moment(raw["begins"]),
                "ends": _moment(raw["ends"]),
                "overlaps": Overlaps(
                    **{
                        **overlaps,
                        "also_gets": tuple(also_gets),
                        "same_text_at": _moment(overlaps["same_text_at"]),
                        "caps": tuple(CapReach(**item) for item in overlaps["caps"]),
                    }
                ),
            }
        )


def _iso(moment: dt.datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None


def digest(facts: Mapping[str, Any]) -> str:
    """Return the digest of what a rehearsal is made for: campaign, text, audience rule and channel, as JSON values."""
    canonical = json.dumps(facts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
