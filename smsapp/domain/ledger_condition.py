"""A condition of a segment's rule on what the ledger knows: who was sent, received, failed to get or answered what.

Each is true or false for every contact; a negative operator is exactly the negation of its positive one. Times count
from `now`. A run that repeats another one counts with it: whom the repetition reached has not failed.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smsapp.domain.errors import Problem
from smsapp.domain.message import FAILED_STATES, NEVER_LEFT, Status
from smsapp.domain.outcome import Outcome

MOST_DAYS = 3650


class LedgerOperator(enum.StrEnum):
    SENT = "sent"
    """A message of the campaign left, or may have left, or is about to."""
    NOT_SENT = "not_sent"
    RECEIVED = "received"
    """The carrier reported one as delivered."""
    NOT_RECEIVED = "not_received"
    FAILED = "failed"
    """One was refused or not delivered, and no repetition was made of it."""
    REPLIED = "replied"
    NOT_REPLIED = "not_replied"
    REPLIED_WITHIN = "replied_within"
    MARKETING_WITHIN = "marketing_within"
    """Marketing of any campaign left, or may have left, within so many days: what frequency caps count."""
    NO_MARKETING_WITHIN = "no_marketing_within"


class LedgerParam(enum.StrEnum):
    CAMPAIGN = "campaign"
    RUN = "run"
    """One run of the campaign; none = every run."""
    REASON = "reason"
    """An Outcome; none = every one."""
    DAYS = "days"

    @property
    def is_campaign(self) -> bool:
        return self is LedgerParam.CAMPAIGN

    @property
    def is_run(self) -> bool:
        return self is LedgerParam.RUN

    @property
    def is_days(self) -> bool:
        return self is LedgerParam.DAYS


_OF_CAMPAIGN = (LedgerParam.CAMPAIGN, LedgerParam.RUN)
LEDGER_OPERATORS: dict[LedgerOperator, tuple[LedgerParam, ...]] = {
    LedgerOperator.SENT: _OF_CAMPAIGN,
    LedgerOperator.NOT_SENT: _OF_CAMPAIGN,
    LedgerOperator.RECEIVED: _OF_CAMPAIGN,
    LedgerOperator.NOT_RECEIVED: _OF_CAMPAIGN,
    LedgerOperator.FAILED: (*_OF_CAMPAIGN, LedgerParam.REASON),
    LedgerOperator.REPLIED: (LedgerParam.CAMPAIGN,),
    LedgerOperator.NOT_REPLIED: (LedgerParam.CAMPAIGN,),
    LedgerOperator.REPLIED_WITHIN: (LedgerParam.DAYS,),
    LedgerOperator.MARKETING_WITHIN: (LedgerParam.DAYS,),
    LedgerOperator.NO_MARKETING_WITHIN: (LedgerParam.DAYS,),
}
LEDGER_NEGATIVE: dict[LedgerOperator, LedgerOperator] = {
    LedgerOperator.NOT_SENT: LedgerOperator.SENT,
    LedgerOperator.NOT_RECEIVED: LedgerOperator.RECEIVED,
    LedgerOperator.NOT_REPLIED: LedgerOperator.REPLIED,
    LedgerOperator.NO_MARKETING_WITHIN: LedgerOperator.MARKETING_WITHIN,
}
LEFT = frozenset(Status) - NEVER_LEFT - {Status.REFUSED, Status.IN_FLIGHT}
"""Stored states of messages that left, may have left, or are about to."""
STATES: dict[LedgerOperator, frozenset[Status]] = {
    LedgerOperator.SENT: LEFT,
    LedgerOperator.RECEIVED: frozenset({Status.DELIVERED}),
    LedgerOperator.FAILED: FAILED_STATES,
    LedgerOperator.MARKETING_WITHIN: LEFT,
}


@dataclass(frozen=True)
class LedgerCondition:
    """What is not among LEDGER_OPERATORS[operator] is empty."""

    operator: LedgerOperator
    campaign_id: int | None = None
    run_id: int | None = None
    reason: str = ""
    days: int = 0

    def as_json(self) -> dict[str, Any]:
        return {"ledger": self.operator, "params": self.typed}

    @property
    def typed(self) -> list[str]:
        """The parameters as texts, in the order of LEDGER_OPERATORS; "" for none."""
        values = {
            LedgerParam.CAMPAIGN: self.campaign_id,
            LedgerParam.RUN: self.run_id,
            LedgerParam.REASON: self.reason,
            LedgerParam.DAYS: self.days,
        }
        return [str(values[param] or "") for param in LEDGER_OPERATORS[self.operator]]


def read(operator: LedgerOperator, raw: Sequence[Any], place: str, problems: list[Problem]) -> LedgerCondition | None:
    """Return the condition with these texts as parameters; None, and its problem, if one cannot be read."""
    texts = [text.strip() if isinstance(text, str) else "?" for text in raw]
    typed = dict(zip(LEDGER_OPERATORS[operator], texts, strict=False))
    ids = {param: typed.get(param, "") for param in (LedgerParam.CAMPAIGN, LedgerParam.RUN)}
    days, reason = typed.get(LedgerParam.DAYS, ""), typed.get(LedgerParam.REASON, "")
    if LedgerParam.CAMPAIGN in LEDGER_OPERATORS[operator] and not ids[LedgerParam.CAMPAIGN]:
        problems.append(Problem("segment_campaign_missing", place))
    elif any(text and not _is_number(text) for text in ids.values()) or reason not in {"", *Outcome}:
        problems.append(Problem("segment_rule_unreadable", place))
    elif LedgerParam.DAYS in LEDGER_OPERATORS[operator] and not (_is_number(days) and 0 < int(days) <= MOST_DAYS):
        problems.append(Problem("segment_days_unreadable", place, {"limit": MOST_DAYS}))
    else:
        campaign_id, run_id = (int(text) if text else None for text in ids.values())
        return LedgerCondition(operator, campaign_id, run_id, reason, int(days or 0))
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
