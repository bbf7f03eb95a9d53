"""Whom a campaign leaves out by choice: those who get another campaign about the same time, or had the same words."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

WITHIN = dt.timedelta(hours=48)
"""Another campaign counts if it is sent within so long before or after this one."""
SAME_TEXT_DAYS = 7
"""The same words count if they were sent within so many days before."""


class LeaveKind(enum.StrEnum):
    ALSO_GETS = "also_gets"
    SAME_TEXT = "same_text"


@dataclass(frozen=True)
class LeaveOut:
    """One choice; `campaign_id` belongs to ALSO_GETS, `days` to SAME_TEXT."""

    kind: LeaveKind
    campaign_id: int = 0
    days: int = 0

    def as_json(self) -> dict[str, Any]:
        if self.kind is LeaveKind.ALSO_GETS:
            return {"kind": self.kind.value, "campaign_id": self.campaign_id}
        return {"kind": self.kind.value, "days": self.days}


def read(raw: Iterable[Mapping[str, Any]]) -> list[LeaveOut]:
    """Return the choices that `LeaveOut.as_json` wrote."""
    return [LeaveOut(LeaveKind(item["kind"]), item.get("campaign_id", 0), item.get("days", 0)) for item in raw]


def chosen(campaign_ids: Iterable[int], *, same_text: bool) -> list[dict[str, Any]]:
    """Return these choices as they are stored: campaigns in the order of their ids, each once."""
    choices = [LeaveOut(LeaveKind.ALSO_GETS, campaign_id) for campaign_id in sorted(set(campaign_ids))]
    if same_text:
        choices.append(LeaveOut(LeaveKind.SAME_TEXT, days=SAME_TEXT_DAYS))
    return [choice.as_json() for choice in choices]


def for_copy(raw: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the choices that a copy keeps: not the other campaigns, which belong to one moment."""
    return [choice.as_json() for choice in read(raw) if choice.kind is LeaveKind.SAME_TEXT]
