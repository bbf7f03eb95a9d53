"""Choices whom to leave out, as they are stored."""

from __future__ import annotations

from smsapp.domain.leave_out import SAME_TEXT_DAYS, LeaveKind, LeaveOut, chosen, for_copy, read


def test_choices_are_read_back() -> None:
    choices = chosen([7, 3, 7], same_text=True)
    assert read(choices) == [
        LeaveOut(LeaveKind.ALSO_GETS, 3),
        LeaveOut(LeaveKind.ALSO_GETS, 7),
        LeaveOut(LeaveKind.SAME_TEXT, days=SAME_TEXT_DAYS),
    ]
    assert [choice.as_json() for choice in read(choices)] == choices


def test_a_copy_keeps_what_does_not_belong_to_one_moment() -> None:
    assert for_copy(chosen([3], same_text=True)) == chosen([], same_text=True)
