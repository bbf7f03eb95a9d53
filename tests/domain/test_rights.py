"""The table of rights: who may do what."""

from __future__ import annotations

import itertools

import pytest

from smsapp.domain.rights import LEAST_ROLE, Forbidden, Right, may, roles_with, sees_numbers
from smsapp.domain.roles import RANKS, Role


@pytest.mark.parametrize("right", Right)
def test_whoever_is_not_signed_in_has_no_right(right: Right) -> None:
    assert not may(None, right)


@pytest.mark.parametrize(("lower", "higher"), itertools.pairwise(RANKS))
def test_each_role_has_the_rights_of_the_role_below_and_more(lower: Role, higher: Role) -> None:
    of_lower, of_higher = ({right for right in Right if may(role, right)} for role in (lower, higher))
    assert of_lower < of_higher


def test_only_the_second_look_sets_approvers_apart_from_operators() -> None:
    apart = {right for right in Right if may(Role.APPROVER, right) and not may(Role.OPERATOR, right)}
    assert apart == {Right.TEMPLATES_APPROVE, Right.RUNS_ACCEPT}


def test_a_viewer_changes_nothing_but_their_own_account() -> None:
    assert {right for right in Right if may(Role.VIEWER, right)} == {Right.ACCOUNT_OWN, Right.WORK_VIEW}


def test_administrators_have_every_right() -> None:
    assert all(may(Role.ADMINISTRATOR, right) for right in Right)


def test_the_roles_with_a_right_begin_at_the_least_one() -> None:
    assert roles_with(Right.RUNS_ACCEPT) == [Role.APPROVER, Role.ADMINISTRATOR]
    assert all(roles_with(right)[0] is role for right, role in LEAST_ROLE.items())


def test_a_refusal_names_the_right_and_who_has_it() -> None:
    (problem,) = Forbidden(Right.KEYS_WRITE).problems
    assert problem.code == "forbidden"
    assert problem.facts == {"right": Right.KEYS_WRITE, "role": Role.ADMINISTRATOR}


def test_numbers_are_whole_for_administrators_and_whom_they_trust() -> None:
    assert sees_numbers(Role.ADMINISTRATOR, False)
    assert sees_numbers(Role.VIEWER, True)
    assert not sees_numbers(Role.OPERATOR, False)
    assert not sees_numbers(Role.APPROVER, False)
