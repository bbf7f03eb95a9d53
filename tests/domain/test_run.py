"""A run's moves, and what follows from a hold."""

from __future__ import annotations

import pytest

from smsapp.domain.outcome import FAILOVER_OUTCOMES, Outcome
from smsapp.domain.run import (
    ACCOUNT_HOLDS,
    HOLD_RULES,
    RUN_MOVES,
    HoldReason,
    RunAction,
    RunStanding,
    RunState,
    RunVerdict,
    account_hold,
    standing,
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


@pytest.mark.parametrize("outcome", sorted(FAILOVER_OUTCOMES - {Outcome.THROTTLED}))
def test_trouble_with_the_account_keeps_its_name_and_may_go_elsewhere(outcome: Outcome) -> None:
    assert account_hold(outcome).value == outcome.value
    assert HOLD_RULES[account_hold(outcome)].may_fail_over


MOVES = {
    # action: (the states at which it may begin, the one it leads to)
    "freeze": ("open", "sending"),
    "hold": ("open sending", "held"),
    "pause": ("open sending held", "held"),
    "resume": ("held", "sending"),
    "restart": ("held", "open"),
    "end": ("open sending held", "ending"),
    "give_up": ("held", "ending"),
    "close": ("sending held ending", "done"),
    "reopen": ("done", "sending"),
}


@pytest.mark.parametrize("action", RunAction)
@pytest.mark.parametrize("state", RunState)
def test_every_action_at_every_state(action: RunAction, state: RunState) -> None:
    begins, ends = MOVES[action.value]
    assert (state in RUN_MOVES[action][0]) is (state.value in begins.split())
    assert RUN_MOVES[action][1] is RunState(ends)


HOLDS = {
    # reason: (ends by itself, may fail over, ends the run)
    "quiet_hours": (True, False, False),
    "throttled": (True, True, False),
    "unreachable": (True, True, False),
    "no_answers": (True, True, False),
    "paused": (False, False, False),
    "fault": (False, False, True),
    "template_changed": (False, False, True),
    "template_withdrawn": (False, False, True),
    "channel_inactive": (False, False, True),
    "segment_gone": (False, False, True),
    "segment_unreadable": (False, False, True),
    "gone": (False, False, True),
    "registration": (False, False, True),
    "audience_grew": (False, False, True),
    "approval": (False, False, True),
    "budget": (False, False, True),
    "restored": (False, False, False),
    "restored_blind": (False, False, False),
    "credentials": (False, True, True),
    "balance": (False, True, True),
    "quota": (False, True, True),
    "template_refused": (False, True, True),
    "signature_refused": (False, True, True),
    "network": (False, True, True),
    "provider_fault": (False, True, True),
    "our_fault": (False, False, True),
}


@pytest.mark.parametrize("reason", HoldReason)
def test_what_follows_from_every_hold(reason: HoldReason) -> None:
    rule = HOLD_RULES[reason]
    assert (rule.ends_by_itself, rule.may_fail_over, rule.ends_the_run) == HOLDS[reason.value]


def test_only_what_nothing_tells_of_is_in_doubt() -> None:
    assert [reason for reason, rule in HOLD_RULES.items() if rule.may_have_left] == [HoldReason.RESTORED_BLIND]


@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_why_a_run_is_held_when_a_channel_took_nothing_because_of_the_account(outcome: Outcome | None) -> None:
    accounts = {reason.value for reason in ACCOUNT_HOLDS}
    expected = "credentials" if outcome is None else outcome.value if outcome.value in accounts else "our_fault"
    assert account_hold(outcome) is HoldReason(expected)


@pytest.mark.parametrize(
    ("state", "reason", "verdict", "expected"),
    [
        ("open", "", "", RunStanding.OPEN),
        ("sending", "", "", RunStanding.SENDING),
        # why it was held last does not count once it goes on
        ("sending", "paused", "", RunStanding.SENDING),
        ("ending", "balance", "", RunStanding.ENDING),
        ("held", "paused", "", RunStanding.PAUSED),
        ("held", "quiet_hours", "", RunStanding.WAITING),
        ("held", "throttled", "", RunStanding.WAITING),
        ("held", "balance", "", RunStanding.BLOCKED),
        ("held", "audience_grew", "", RunStanding.BLOCKED),
        ("done", "", "sent", RunVerdict.SENT),
        ("done", "paused", "failed", RunVerdict.FAILED),
        ("held", "paused", "moved", RunVerdict.MOVED),
        ("missed", "", "missed", RunVerdict.MISSED),
    ],
)
def test_how_a_run_looks_to_a_person(state: str, reason: str, verdict: str, expected: RunStanding | RunVerdict) -> None:
    assert standing(state, reason, verdict) is expected
