"""Where the members of a segment that was saved from a report came from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SegmentSource:
    """A number of a report: the people of a group, of one run or of all runs of a campaign, as they were `at`."""

    campaign_id: int
    run_id: int | None
    group: str
    """A name of domain/recipients.py GROUPS."""
    reason: str
    at: dt.datetime

    def as_json(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign_id,
            "run": self.run_id,
            "group": self.group,
            "reason": self.reason,
            "at": self.at.isoformat(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SegmentSource:
        at = dt.datetime.fromisoformat(value["at"])
        return cls(value["campaign"], value["run"], value["group"], value["reason"], at)
