"""The four numbers of a campaign, the numbers between them, and the identities that always hold.

target = excluded + planned
effective = target - no_number - invalid_number
planned = queued + handed + accepted + refused + unconfirmed + cancelled + expired
accepted = delivered + undelivered + awaiting + no_receipt
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.message import Status


@dataclass(frozen=True)
class Funnel:
    """Counts of people for one run, or of several runs added up. All of them are whole numbers >= 0."""

    target: int = 0
    planned: int = 0
    excluded: Mapping[str, int] = field(default_factory=dict)
    messages: Mapping[Status, int] = field(default_factory=dict)
    parts: int = 0

    def count(self, status: Status) -> int:
        return self.messages.get(status, 0)

    @property
    def left_out(self) -> int:
        return sum(self.excluded.values())

    @property
    def effective(self) -> int:
        return (
            self.target
            - self.excluded.get(ExclusionReason.NO_NUMBER, 0)
            - self.excluded.get(ExclusionReason.INVALID_NUMBER, 0)
        )

    @property
    def queued(self) -> int:
        return self.count(Status.QUEUED)

    @property
    def in_flight(self) -> int:
        return self.count(Status.IN_FLIGHT)

    @property
    def refused(self) -> int:
        return self.count(Status.REFUSED)

    @property
    def unconfirmed(self) -> int:
        return self.count(Status.UNCONFIRMED)

    @property
    def cancelled(self) -> int:
        return self.count(Status.CANCELLED)

    @property
    def expired(self) -> int:
        return self.count(Status.EXPIRED)

    @property
    def accepted(self) -> int:
        return self.awaiting + self.delivered + self.undelivered + self.no_receipt

    @property
    def awaiting(self) -> int:
        return self.count(Status.ACCEPTED)

    @property
    def delivered(self) -> int:
        return self.count(Status.DELIVERED)

    @property
    def undelivered(self) -> int:
        return self.count(Status.UNDELIVERED)

    @property
    def no_receipt(self) -> int:
        return self.count(Status.NO_RECEIPT)

    @property
    def open(self) -> int:
        """Messages that are queued or in flight."""
        return self.queued + self.in_flight

    def __add__(self, other: Funnel) -> Funnel:
        excluded = dict(self.excluded)
        for reason, n in other.excluded.items():
            excluded[reason] = excluded.get(reason, 0) + n
        messages = dict(self.messages)
        for status, n in other.messages.items():
            messages[status] = messages.get(status, 0) + n
        return Funnel(
            self.target + other.target, self.planned + other.planned, excluded, messages, self.parts + other.parts
        )


def total(funnels: Iterable[Funnel]) -> Funnel:
    """Return the sum, for a campaign with several runs."""
    result = Funnel()
    for funnel in funnels:
        result = result + funnel
    return result


def broken_identities(funnel: Funnel) -> list[str]:
    """Return descriptions of the identities that do not hold; [] if all do."""
    broken = []
    if funnel.target != funnel.left_out + funnel.planned:
        broken.append(f"target {funnel.target} != excluded {funnel.left_out} + planned {funnel.planned}")
    messages = sum(funnel.messages.values())
    if funnel.planned != messages:
        broken.append(f"planned {funnel.planned} != messages {messages}")
    if min([funnel.target, funnel.planned, *funnel.excluded.values(), *funnel.messages.values()]) < 0:
        broken.append("a count is negative")
    return broken


def succeeded(funnel: Funnel) -> bool:
    """Return whether a finished run succeeded: something was accepted or may have been, or nothing was planned."""
    return funnel.accepted > 0 or funnel.planned == 0 or funnel.unconfirmed > 0
