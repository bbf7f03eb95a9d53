"""Which people stand behind each number of the funnel, and a place in a list of them to go on from."""

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
        """Return how many people the funnel counts in this group; a `reason` is not looked at."""
        return sum(funnel.count(state) for state in self.states) + sum(
            funnel.excluded.get(left, 0) for left in self.left
        )


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
        Group("awaiting", frozenset({Status.ACCEPTED})),
        Group("delivered", frozenset({Status.DELIVERED})),
        Group("undelivered", frozenset({Status.UNDELIVERED})),
        Group("no_receipt", frozenset({Status.NO_RECEIPT})),
    )
}


def group(name: str, reason: str = "") -> Group | None:
    """Return the group of this name, narrowed to one reason (a Left for those left out, else an Outcome).

    None if there is no such group, or if it knows no such reason.
    """
    found = GROUPS.get(name)
    if found is None or not reason:
        return found
    if found.left and not found.states:
        return Group(name, left=frozenset({ExclusionReason(reason)})) if reason in EVERY_LEFT else None
    return Group(name, found.states, reason=reason)


@dataclass(frozen=True)
class Gap:
    """People who are in one of the four numbers but not in the next: a group, its reason if it has one, how many."""

    group: str
    reason: str
    n: int
    open: bool = False
    """True while the run or a receipt can still move them on."""


@dataclass(frozen=True)
class Step:
    """One of the four numbers, with the gaps that lead to the next one: n - gaps = the next step's n."""

    group: str
    n: int
    before: int
    """The step before it; for the first one its own number."""
    target: int
    gaps: tuple[Gap, ...] = ()

    @property
    def of_target(self) -> float | None:
        """Share of the target, 0..1; None if that is empty."""
        return self.n / self.target if self.target else None


def steps(funnel: Funnel) -> list[Step]:
    """Return the four numbers and everything between them; gaps of nobody are not listed."""
    target, effective, accepted = funnel.target, funnel.effective, funnel.accepted
    unusable = [
        Gap("left_out", left, funnel.excluded.get(left, 0)) for left in ExclusionReason if left in NO_USABLE_NUMBER
    ]
    unsent = [
        Gap("left_out", left, funnel.excluded.get(left, 0)) for left in ExclusionReason if left not in NO_USABLE_NUMBER
    ] + [
        Gap("queued", "", funnel.queued, open=True),
        Gap("in_flight", "", funnel.in_flight, open=True),
        Gap("refused", "", funnel.refused),
        Gap("unconfirmed", "", funnel.unconfirmed, open=True),
        Gap("cancelled", "", funnel.cancelled),
    ]
    unheard = [
        Gap("undelivered", "", funnel.undelivered),
        Gap("awaiting", "", funnel.awaiting, open=True),
        Gap("no_receipt", "", funnel.no_receipt),
    ]

    def some(gaps: list[Gap]) -> tuple[Gap, ...]:
        return tuple(gap for gap in gaps if gap.n)

    return [
        Step("target", target, target, target, some(unusable)),
        Step("effective", effective, target, target, some(unsent)),
        Step("accepted", accepted, effective, target, some(unheard)),
        Step("delivered", funnel.delivered, accepted, target),
    ]


_PLACE = re.compile(r"(\d{1,18})-(m(?=\d{1,9}$)|x)(\d{1,18})", re.ASCII)


@dataclass(frozen=True)
class Place:
    """A place in the list of a campaign's people: after this message, or this excluded contact, of this run.

    The list has the newest run first; within a run its messages by number, then those left out by contact id.
    """

    run_id: int
    excluded: bool = False
    position: int = field(default=0)

    def __str__(self) -> str:
        return f"{self.run_id}-{'x' if self.excluded else 'm'}{self.position}"

    @classmethod
    def read(cls, text: str) -> Place | None:
        """Return the place written in an address; None if there is none to be read."""
        found = _PLACE.fullmatch(text)
        return None if found is None else cls(int(found[1]), found[2] == "x", int(found[3]))


@dataclass(frozen=True, slots=True)
class Recipient:
    """A targeted person in one run: a message with its state, or the reason why there is none (`left`)."""

    run_id: int
    position: int
    """The message's number in the run; the contact's id where there is no message."""
    contact_id: int
    xwho: str
    """"" if the contact has been deleted since."""
    phone: str = field(repr=False)
    """E.164; for people left out what is known of their number now, possibly ""."""
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
    def answered(self) -> dt.datetime | None:
        """When the channel answered."""
        return None if self.answered_at is None else dt.datetime.fromtimestamp(self.answered_at, dt.UTC)

    @property
    def heard(self) -> dt.datetime | None:
        """When the carrier's receipt came."""
        return None if self.receipt_at is None else dt.datetime.fromtimestamp(self.receipt_at, dt.UTC)
