"""A run's moves, and what follows from a hold."""

from __future__ import annotations

import pytest

from smsapp.domain.outcome import ELSEWHERE, Outcome
from smsapp.domain.run import (
    HOLD_RULES,
    RUN_MOVES,
    HoldReason,
    RunAction,
    RunState,
    account_hold,
)

OVER = {RunState.DONE, RunState.MISSED}


def test_every_action_has_a_move_and_every_hold_a_rule() -> None:
    assert set(RUN_MOVES) == set(RunAction)
    assert set(HOLD_RULES) == set(HoldReason)


def test_what_is_over_is_only_opened_again_to_send_what_is_unconfirmed() -> None:
    assert {action for action, (begins, _ends) in RUN_MOVES.items() if begins & OVER} == {RunAction.REOPEN}


def test_a_run_that_is_ending_can_only_close() -> None:
    assert [action for action, (begins, _) in RUN_MOVES.items() if RunState.ENDING in begins] == [RunAction.CLOSE]


def test_every_state_but_missed_is_reached_and_left() -> None:
    reached = {ends for _begins, ends in RUN_MOVES.values()}
    left = {state for begins, _ends in RUN_MOVES.values() for state in begins}
    assert reached | {RunState.MISSED} == set(RunState)
    assert left | {RunState.MISSED} == set(RunState)


@pytest.mark.parametrize("reason", HoldReason)
def test_a_hold_that_ends_by_itself_never_ends_the_run(reason: HoldReason) -> None:
    rule = HOLD_RULES[reason]
    assert rule.needs_person is not rule.ends_by_itself
    assert not (rule.ends_by_itself and rule.ends_the_run)


def test_a_person_who_pauses_may_take_any_time() -> None:
    assert (HOLD_RULES[HoldReason.PAUSED].needs_person, HOLD_RULES[HoldReason.PAUSED].ends_the_run) == (True, False)


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_whatever_a_channel_says_of_the_account_a_person_is_needed(outcome: Outcome | None) -> None:
    rule = HOLD_RULES[account_hold(outcome)]
    assert rule.needs_person
    assert rule.ends_the_run


@pytest.mark.parametrize("outcome", sorted(ELSEWHERE - {Outcome.THROTTLED}))
def test_trouble_with_the_account_keeps_its_name_and_may_go_elsewhere(outcome: Outcome) -> None:
    assert account_hold(outcome).value == outcome.value
    assert HOLD_RULES[account_hold(outcome)].may_fail_over
