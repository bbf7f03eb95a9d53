"""The second person: from which size on a campaign needs an approval, and whether an approval still counts."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

MOST_RUNS = 400
"""The most runs one approval is given for: a year of a daily campaign, and some."""


class Verdict(enum.StrEnum):
    """What became of a request for approval; "" while it waits."""

    APPROVED = "approved"
    RETURNED = "returned"
    """The approver gave it back with words."""
    REPLACED = "replaced"
    """Asked for anew, or no longer needed."""


class ApprovalStanding(enum.StrEnum):
    """How a campaign stands that is about to be confirmed."""

    NOT_NEEDED = "not_needed"
    NEEDED = "needed"
    """Nobody has been asked yet."""
    WAITING = "waiting"
    APPROVED = "approved"
    RETURNED = "returned"
    VOID = "void"
    """It was approved, or asked for, and has changed since."""


@dataclass(frozen=True)
class Estimate:
    """What a campaign or run is expected to be: messages, billed parts and their price."""

    messages: int
    parts: int
    amount: Decimal | None
    """None if the channel has no price."""
    currency: str

    @property
    def of_one(self) -> Estimate:
        """The largest that a single one of these messages may be, if all are about alike."""
        n = max(1, self.messages)
        amount = None if self.amount is None else self.amount / n
        return Estimate(1, -(-self.parts // n), amount, self.currency)

    def as_json(self) -> dict[str, Any]:
        amount = None if self.amount is None else str(self.amount)
        return {"messages": self.messages, "parts": self.parts, "amount": amount, "currency": self.currency}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Estimate:
        amount = None if raw["amount"] is None else Decimal(raw["amount"])
        return cls(raw["messages"], raw["parts"], amount, raw["currency"])

    def exceeds(self, approved: Estimate, percent: int) -> bool:
        """Return whether this is more than `percent` above what was approved, or cannot be compared with it."""
        pairs: list[tuple[Decimal | int, Decimal | int]] = [(self.messages, approved.messages)]
        if self.amount is not None:
            if approved.amount is None or approved.currency != self.currency:
                return True
            pairs.append((self.amount, approved.amount))
        else:
            pairs.append((self.parts, approved.parts))
        return any(now * 100 > before * (100 + percent) for now, before in pairs)


@dataclass(frozen=True)
class ApprovalRule:
    """From which size on a second person is needed."""

    enabled: bool
    messages: int | None
    """From so many messages on; None = their number does not count."""
    amount: Decimal | None
    """From this amount on, in the channel's currency; None = the amount does not count."""
    percent: int
    """By how much the estimate may be exceeded before the approval no longer counts."""

    def needs(self, estimate: Estimate) -> bool:
        """Return whether something of this size needs an approval; where the amount counts, an unknown one does."""
        if not self.enabled or not estimate.messages:
            return False
        if self.messages is not None and estimate.messages >= self.messages:
            return True
        return self.amount is not None and (estimate.amount is None or estimate.amount >= self.amount)


SUGGESTED = ApprovalRule(enabled=False, messages=10_000, amount=None, percent=10)


@dataclass(frozen=True)
class ApprovalFacts:
    """The data of a campaign's newest request for `standing`."""

    verdict: str
    changed: Sequence[str]
    """The fields that differ from what was asked for or approved."""


def standing(*, needed: bool, newest: ApprovalFacts | None) -> ApprovalStanding:
    """Return how a draft stands whose newest request for approval is this one."""
    if not needed:
        return ApprovalStanding.NOT_NEEDED
    if newest is None or newest.verdict == Verdict.REPLACED:
        return ApprovalStanding.NEEDED
    if newest.verdict == Verdict.RETURNED:
        return ApprovalStanding.RETURNED
    if newest.changed:
        return ApprovalStanding.VOID
    return ApprovalStanding.APPROVED if newest.verdict == Verdict.APPROVED else ApprovalStanding.WAITING


def is_second_person(user_id: int | None, authors: Collection[int | None]) -> bool:
    """Return whether this person had no hand in what is to be approved."""
    return user_id is not None and user_id not in authors
