"""The numbers of a campaign always add up, and say so when they do not."""

from __future__ import annotations

import pytest

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.funnel import Funnel, broken_identities, succeeded, total
from smsapp.domain.message import Status

# Powers of two: no wrong sum looks like a right one.
MESSAGES = {status: 2 ** (n + 3) for n, status in enumerate(Status)}
EXCLUDED: dict[str, int] = {
    ExclusionReason.NO_NUMBER: 1,
    ExclusionReason.INVALID_NUMBER: 2,
    ExclusionReason.OPTED_OUT: 4,
}
PLANNED = sum(MESSAGES.values())
FULL = Funnel(PLANNED + 7, PLANNED, EXCLUDED, MESSAGES, parts=9)


@pytest.mark.parametrize(
    ("name", "n"),
    [
        ("left_out", 7),
        ("effective", PLANNED + 4),
        ("queued", MESSAGES[Status.QUEUED]),
        ("in_flight", MESSAGES[Status.IN_FLIGHT]),
        ("cancelled", MESSAGES[Status.CANCELLED]),
        ("expired", MESSAGES[Status.EXPIRED]),
        ("unconfirmed", MESSAGES[Status.UNCONFIRMED]),
        ("refused", MESSAGES[Status.REFUSED]),
        ("awaiting", MESSAGES[Status.ACCEPTED]),
        ("no_receipt", MESSAGES[Status.NO_RECEIPT]),
        ("undelivered", MESSAGES[Status.UNDELIVERED]),
        ("delivered", MESSAGES[Status.DELIVERED]),
        ("open", MESSAGES[Status.QUEUED] + MESSAGES[Status.IN_FLIGHT]),
        (
            "accepted",
            sum(MESSAGES[s] for s in (Status.ACCEPTED, Status.NO_RECEIPT, Status.UNDELIVERED, Status.DELIVERED)),
        ),
    ],
)
def test_each_number_counts_what_its_name_says(name: str, n: int) -> None:
    assert getattr(FULL, name) == n
    assert getattr(Funnel(), name) == 0


def test_everybody_targeted_is_planned_or_left_out() -> None:
    assert FULL.target == FULL.left_out + FULL.planned
    assert (
        FULL.planned
        == FULL.queued
        + FULL.in_flight
        + FULL.accepted
        + FULL.refused
        + FULL.unconfirmed
        + FULL.cancelled
        + FULL.expired
    )
    assert FULL.accepted == FULL.delivered + FULL.undelivered + FULL.awaiting + FULL.no_receipt
    assert broken_identities(FULL) == broken_identities(Funnel()) == []


@pytest.mark.parametrize(
    ("funnel", "broken"),
    [
        (Funnel(5, 3, {ExclusionReason.OPTED_OUT: 1}, {Status.ACCEPTED: 3}), ["target 5 != excluded 1 + planned 3"]),
        (Funnel(3, 3, {}, {Status.ACCEPTED: 2}), ["planned 3 != messages 2"]),
        (Funnel(0, 0, {ExclusionReason.OPTED_OUT: -1, ExclusionReason.NO_NUMBER: 1}), ["a count is negative"]),
        (Funnel(0, 0, {}, {Status.ACCEPTED: -1, Status.QUEUED: 1}), ["a count is negative"]),
        (Funnel(0, -1, {ExclusionReason.OPTED_OUT: 1}, {Status.ACCEPTED: -1}), ["a count is negative"]),
        (Funnel(-1, 1, {ExclusionReason.OPTED_OUT: -2}, {Status.ACCEPTED: 1}), ["a count is negative"]),
        (
            Funnel(1, 2, {}, {Status.ACCEPTED: -3}),
            ["target 1 != excluded 0 + planned 2", "planned 2 != messages -3", "a count is negative"],
        ),
    ],
)
def test_every_identity_that_does_not_hold_is_named(funnel: Funnel, broken: list[str]) -> None:
    assert broken_identities(funnel) == broken


def test_several_runs_are_added_up() -> None:
    other = Funnel(3, 2, {ExclusionReason.OPTED_OUT: 1}, {Status.DELIVERED: 2}, parts=4)
    both = total([FULL, other])
    assert both == Funnel(
        PLANNED + 10,
        PLANNED + 2,
        {**EXCLUDED, ExclusionReason.OPTED_OUT: 5},
        {**MESSAGES, Status.DELIVERED: MESSAGES[Status.DELIVERED] + 2},
        parts=13,
    )
    assert total([other, FULL]) == both
    assert total([]) == Funnel()
    # what was added up is as it was
    assert other.excluded == {ExclusionReason.OPTED_OUT: 1}
    assert total([Funnel(), other]) == total([other, Funnel()]) == other


@pytest.mark.parametrize(
    ("planned", "messages", "success"),
    [
        (0, {}, True),
        (1, {Status.ACCEPTED: 1}, True),
        (1, {Status.UNDELIVERED: 1}, True),
        (1, {Status.NO_RECEIPT: 1}, True),
        (2, {Status.REFUSED: 1, Status.DELIVERED: 1}, True),
        (1, {Status.UNCONFIRMED: 1}, True),
        (1, {Status.REFUSED: 1}, False),
        (1, {Status.CANCELLED: 1}, False),
    ],
)
def test_a_run_succeeded_if_anything_was_taken_or_nothing_was_to_be_sent(
    planned: int, messages: dict[Status, int], success: bool
) -> None:
    assert succeeded(Funnel(planned, planned, {}, messages)) is success
