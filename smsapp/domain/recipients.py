"""The people counted by each number of the funnel, and the cursor of a list of them."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.funnel import Funnel
from smsapp.domain.message import ACCEPTED_STATES, Status


@dataclass(frozen=True)
class Group:
    """Messages in one of `states` (with this Outcome, if `reason` names one), and people left out for one of `left`.

    Messages with the reason `but` are not among them.
    """

    name: str
    states: frozenset[Status] = frozenset()
    left: frozenset[ExclusionReason] = frozenset()
    reason: str = ""
    but: str = ""

    def size(self, funnel: Funnel) -> int:
        """Return how many people the funnel counts in this group; `reason` is ignored."""
        return sum(funnel.count(state) for state in self.states) + sum(funnel.excluded.get(why, 0) for why in self.left)


EVERY_STATE = frozenset(Status)
EVERY_LEFT = frozenset(ExclusionReason)
NO_USABLE_NUMBER = frozenset({ExclusionReason.NO_NUMBER, ExclusionReason.INVALID_NUMBER})

GROUPS: dict[str, Group] = {
    group.name: group
    # Named after the property of Funnel that counts them.
    for group in (
        Group("target", EVERY_STATE, EVERY_LEFT),
        Group("effective", EVERY_STATE, EVERY_LEFT - NO_USABLE_NUMBER),
        Group("planned", EVERY_STATE),
        Group("left_out", left=EVERY_LEFT),
        Group("queued", frozenset({Status.QUEUED})),
        Group("in_flight", frozenset({Status.IN_FLIGHT})),
        Group("accepted", ACCEPTED_STATES),
        Group("refused", frozenset({Status.REFUSED})),
        Group("unconfirmed", frozenset({Status.UNCONFIRMED})),
        Group("cancelled", frozenset({Status.CANCELLED})),
        Group("expired", frozenset({Status.EXPIRED})),
        Group("awaiting", frozenset({Status.ACCEPTED})),
        Group("delivered", frozenset({Status.DELIVERED})),
        Group("undelivered", frozenset({Status.UNDELIVERED})),
        Group("no_receipt", frozenset({Status.NO_RECEIPT})),
    )
}


def group(name: str, reason: str = "") -> Group | None:
    """Return the group of this name, narrowed to one reason (an ExclusionReason for the excluded, else an Outcome).

    None if there is no such group, or if the group has no such reason.
    """
    full_group = GROUPS.get(name)
    if full_group is None or not reason:
        return full_group
    if full_group.left and not full_group.states:
        return Group(name, left=frozenset({ExclusionReason(reason)})) if reason in EVERY_LEFT else None
    return Group(name, full_group.states, reason=reason)


@dataclass(frozen=True)
class Gap:
    """People who are in one of the four numbers but not in the next: a group, its reason if it has one, how many."""

    group: str
    reason: str
    n: int
    open: bool = False
    """True while the run or a receipt can still change their state."""


@dataclass(frozen=True)
class Step:
    """One of the four numbers, with the gaps that lead to the next one: n - gaps = the next step's n."""

    group: str
    n: int
    before: int
    """The number of the step before; for the first step its own."""
    target: int
    gaps: tuple[Gap, ...] = ()

    @property
    def of_target(self) -> float | None:
        """Share of the target, 0..1; None if the target is 0."""
        return self.n / self.target if self.target else None


def steps(funnel: Funnel) -> list[Step]:
    """Return the four numbers with the gaps between them; empty gaps are left out."""
    target, effective, accepted = funnel.target, funnel.effective, funnel.accepted
    unusable = [
        Gap("left_out", reason, funnel.excluded.get(reason, 0))
        for reason in ExclusionReason
        if reason in NO_USABLE_NUMBER
    ]
    unsent = [
        Gap("left_out", reason, funnel.excluded.get(reason, 0))
        for reason in ExclusionReason
        if reason not in NO_USABLE_NUMBER
    ] + [
        Gap("queued", "", funnel.queued, open=True),
        Gap("in_flight", "", funnel.in_flight, open=True),
        Gap("refused", "", funnel.refused),
        Gap("unconfirmed", "", funnel.unconfirmed, open=True),
        Gap("cancelled", "", funnel.cancelled),
        Gap("expired", "", funnel.expired),
    ]
    unheard = [
        Gap("undelivered", "", funnel.undelivered),
        Gap("awaiting", "", funnel.awaiting, open=True),
        Gap("no_receipt", "", funnel.no_receipt),
    ]

    def nonempty(gaps: list[Gap]) -> tuple[Gap, ...]:
        return tuple(gap for gap in gaps if gap.n)

    return [
        Step("target", target, target, target, nonempty(unusable)),
        Step("effective", effective, target, target, nonempty(unsent)),
        Step("accepted", accepted, effective, target, nonempty(unheard)),
        Step("delivered", funnel.delivered, accepted, target),
    ]


_PLACE = re.compile(r"(\d{1,18})-(m(?=\d{1,9}$)|x)(\d{1,18})", re.ASCII)


@dataclass(frozen=True)
class Place:
    """A cursor in the list of a campaign's people: after this message, or this excluded contact, of this run.

    The list has the newest run first; within a run its messages by seq, then excluded people by contact id.
    """

    run_id: int
    excluded: bool = False
    position: int = field(default=0)

    def __str__(self) -> str:
        return f"{self.run_id}-{'x' if self.excluded else 'm'}{self.position}"

    @classmethod
    def read(cls, text: str) -> Place | None:
        """Return the place written in an address; None if it cannot be parsed."""
        match = _PLACE.fullmatch(text)
        return None if match is None else cls(int(match[1]), match[2] == "x", int(match[3]))


@dataclass(frozen=True, slots=True)
class Recipient:
    """A targeted person in one run: a message with its state, or the reason why there is none (`left`)."""

    run_id: int
    position: int
    """The message's seq in the run; the contact's id if there is no message."""
    contact_id: int
    xwho: str
    """"" if the contact has been deleted since."""
    phone: str = field(repr=False)
    """E.164; for excluded people their number now, possibly ""."""
    state: Status | None = None
    left: str = ""
    reason: str = ""
    code: str = ""
    parts: int | None = None
    provider_ref: str = ""
    answered_at: int | None = None
    receipt_at: int | None = None
    params: str | None = field(default=None, repr=False)

    @property
    def place(self) -> Place:
        return Place(self.run_id, self.state is None, self.position)

    @property
    def failure_code(self) -> str:
        """The provider's code, unless it tells of nothing but success."""
        return "" if self.state is Status.DELIVERED else self.code

    @property
    def answered(self) -> dt.datetime | None:
        """When the channel answered."""
        return None if self.answered_at is None else dt.datetime.fromtimestamp(self.answered_at, dt.UTC)

    @property
    def heard(self) -> dt.datetime | None:
        """When the carrier's receipt came."""
        return None if self.receipt_at is None else dt.datetime.fromtimestamp(self.receipt_at, dt.UTC)
