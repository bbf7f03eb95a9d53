"""Who stands behind each number, the steps from one number to the next, and places in the list of people."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import pytest

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.funnel import Funnel
from smsapp.domain.message import Status
from smsapp.domain.recipients import GROUPS, Gap, Group, Place, Recipient, group, steps

MESSAGES = {status: 2 ** (n + 10) for n, status in enumerate(Status)}
EXCLUDED: dict[str, int] = {left: 2**n for n, left in enumerate(ExclusionReason)}
PLANNED, LEFT_OUT = sum(MESSAGES.values()), sum(EXCLUDED.values())
FULL = Funnel(PLANNED + LEFT_OUT, PLANNED, EXCLUDED, MESSAGES)


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_holds_as_many_people_as_its_number_says(name: str) -> None:
    assert GROUPS[name].name == name
    assert GROUPS[name].size(FULL) == getattr(FULL, name)
    assert GROUPS[name].size(Funnel()) == 0


@pytest.mark.parametrize(
    ("name", "reason", "expected"),
    [
        ("refused", "", GROUPS["refused"]),
        ("left_out", "", GROUPS["left_out"]),
        ("nobody", "", None),
        ("nobody", "balance", None),
        ("left_out", "opted_out", Group("left_out", left=frozenset({ExclusionReason.OPTED_OUT}))),
        ("left_out", "balance", None),
        ("refused", "balance", Group("refused", frozenset({Status.REFUSED}), reason="balance")),
        ("target", "balance", Group("target", frozenset(Status), reason="balance")),
    ],
)
def test_a_group_is_narrowed_to_one_reason(name: str, reason: str, expected: Group | None) -> None:
    assert group(name, reason) == expected


def test_the_four_numbers_and_everything_between_them() -> None:
    target, effective, accepted, delivered = steps(FULL)
    assert [step.group for step in (target, effective, accepted, delivered)] == [
        "target",
        "effective",
        "accepted",
        "delivered",
    ]
    assert target.gaps == (
        Gap("left_out", "no_number", EXCLUDED[ExclusionReason.NO_NUMBER]),
        Gap("left_out", "invalid_number", EXCLUDED[ExclusionReason.INVALID_NUMBER]),
    )
    assert effective.gaps == (
        *(Gap("left_out", left.value, EXCLUDED[left]) for left in list(ExclusionReason)[2:]),
        Gap("queued", "", FULL.queued, open=True),
        Gap("in_flight", "", FULL.in_flight, open=True),
        Gap("refused", "", FULL.refused),
        Gap("unconfirmed", "", FULL.unconfirmed, open=True),
        Gap("cancelled", "", FULL.cancelled),
        Gap("expired", "", FULL.expired),
    )
    assert accepted.gaps == (
        Gap("undelivered", "", FULL.undelivered),
        Gap("awaiting", "", FULL.awaiting, open=True),
        Gap("no_receipt", "", FULL.no_receipt),
    )
    assert delivered.gaps == ()
    assert [step.before for step in steps(FULL)] == [FULL.target, FULL.target, FULL.effective, FULL.accepted]
    assert {step.target for step in steps(FULL)} == {FULL.target}


def test_each_number_less_its_gaps_is_the_next_one() -> None:
    numbers = steps(FULL)
    for step, following in pairwise(numbers):
        assert step.n - sum(gap.n for gap in step.gaps) == following.n


def test_gaps_of_nobody_are_not_listed() -> None:
    assert [step.gaps for step in steps(Funnel())] == [(), (), (), ()]
    one = Funnel(1, 1, {}, {Status.REFUSED: 1})
    assert [gap.group for step in steps(one) for gap in step.gaps] == ["refused"]


def test_shares_are_of_the_target_and_nobody_has_none() -> None:
    assert [step.of_target for step in steps(Funnel())] == [None] * 4
    half = Funnel(4, 2, {ExclusionReason.OPTED_OUT: 2}, {Status.DELIVERED: 2})
    assert [step.of_target for step in steps(half)] == [1.0, 1.0, 0.5, 0.5]


@pytest.mark.parametrize(
    ("place", "text"),
    [(Place(7), "7-m0"), (Place(7, False, 12), "7-m12"), (Place(7, True, 10**17), "7-x100000000000000000")],
)
def test_a_place_is_read_as_it_was_written(place: Place, text: str) -> None:
    assert str(place) == text
    assert Place.read(text) == place


@pytest.mark.parametrize(
    "text", ["", "7", "7-", "7-m", "-m1", "7-y1", "7-M1", "7-m1 ", "٧-m1", "7-m-1", "7-m1234567890", f"{'1' * 19}-m1"]
)
def test_what_is_no_place_is_none(text: str) -> None:
    assert Place.read(text) is None


def test_a_person_has_a_place_by_message_or_by_contact() -> None:
    message = Recipient(7, 3, 11, "u1", "+8613800138000", state=Status.QUEUED, answered_at=0, receipt_at=60)
    left_out = Recipient(7, 11, 11, "u1", "", left=ExclusionReason.OPTED_OUT)
    assert message.place == Place(7, False, 3)
    assert left_out.place == Place(7, True, 11)
    assert message.answered == dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    assert message.heard == dt.datetime(1970, 1, 1, 0, 1, tzinfo=dt.UTC)
    assert left_out.answered is None
    assert left_out.heard is None
    assert "13800138000" not in repr(message)
