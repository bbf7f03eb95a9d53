"""What a report says first: a tone, a title, a few sentences; and what may be done to the run."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from smsapp.domain import message
from smsapp.domain.campaign import ExclusionReason, Status
from smsapp.domain.funnel import Funnel
from smsapp.domain.headline import (
    CampaignFacts,
    Offer,
    OfferFacts,
    RunFacts,
    Say,
    Tone,
    headline,
    offers,
)
from smsapp.domain.outcome import Outcome
from smsapp.domain.run import CancelReason, HoldReason, PinReason, RunStanding, RunVerdict, standing

MORNING = dt.datetime(2026, 3, 3, 0, 0, tzinfo=dt.UTC)


def numbers(**counts: int) -> Funnel:
    states = {message.Status[name.upper()]: n for name, n in counts.items()}
    planned = sum(states.values())
    return Funnel(planned, planned, {}, states)


def run(standing: RunStanding | RunVerdict, funnel: Funnel, **given: Any) -> RunFacts:
    blank: dict[str, Any] = dict.fromkeys(("hold_reason", "cancel_reason", "failure", "pinned"), "")
    return RunFacts(**(blank | {"standing": standing, "hold_until": None, "funnel": funnel, "drift": {}} | given))


def said(status: Status, facts: RunFacts | None, *, failure: str = "", next_due_at: dt.datetime | None = None) -> Any:
    campaign = CampaignFacts(status, failure, next_due_at)
    found = headline(campaign, facts, facts.funnel if facts else Funnel(), only_run=True)
    return found.tone, found.title.code, [sentence.code for sentence in found.details]


@pytest.mark.parametrize(
    ("status", "facts", "given", "expected"),
    [
        (Status.DRAFT, None, {}, (Tone.INFO, Say.DRAFT, [Say.NO_REPORT_YET])),
        (Status.WAITING, None, {"next_due_at": MORNING}, (Tone.INFO, Say.NOT_SENT_YET, [Say.STARTS])),
        (Status.STOPPED, None, {}, (Tone.INFO, Say.NOTHING_SENT, [])),
        (Status.SENDING, run(RunStanding.OPEN, Funnel()), {}, (Tone.INFO, Say.STARTING, [Say.FREEZING])),
        (Status.SENDING, run(RunStanding.SENDING, numbers(queued=3)), {}, (Tone.INFO, Say.SENDING, [])),
        (
            Status.SENDING,
            run(RunStanding.PAUSED, numbers(queued=3), hold_reason=HoldReason.PAUSED),
            {},
            (Tone.WARNING, Say.PAUSED, [Say.REASON, Say.STANDS]),
        ),
        (
            Status.SENDING,
            run(RunStanding.WAITING, numbers(queued=3), hold_reason=HoldReason.QUIET_HOURS, hold_until=MORNING),
            {},
            (Tone.WARNING, Say.WAITING, [Say.REASON, Say.STANDS, Say.GOES_ON]),
        ),
        (
            Status.SENDING,
            run(RunStanding.BLOCKED, Funnel(), hold_reason=HoldReason.AUDIENCE_GREW, drift={"before": 1, "now": 9}),
            {},
            (Tone.WARNING, Say.BLOCKED, [Say.REASON, Say.AUDIENCE_GREW]),
        ),
        (
            Status.SENDING,
            run(RunStanding.BLOCKED, numbers(queued=1), hold_reason=HoldReason.BALANCE, pinned=PinReason.PERSON),
            {},
            (Tone.WARNING, Say.BLOCKED, [Say.REASON, Say.PINNED, Say.STANDS]),
        ),
        (
            Status.SENDING,
            run(RunStanding.ENDING, numbers(in_flight=2), cancel_reason=CancelReason.ENDED),
            {},
            (Tone.WARNING, Say.ENDING, [Say.IN_FLIGHT]),
        ),
        (
            Status.SENDING,
            run(
                RunStanding.ENDING,
                numbers(in_flight=2),
                cancel_reason=CancelReason.RUN_FAILED,
                failure=HoldReason.BALANCE,
            ),
            {},
            (Tone.WARNING, Say.GIVING_UP, [Say.REASON, Say.IN_FLIGHT]),
        ),
        (
            Status.FAILED,
            run(RunVerdict.FAILED, numbers(cancelled=3), failure=HoldReason.BALANCE),
            {"failure": HoldReason.BALANCE},
            (Tone.DANGER, Say.GIVEN_UP, [Say.REASON, Say.CANCELLED]),
        ),
        (
            Status.FAILED,
            run(RunVerdict.FAILED, numbers(refused=3)),
            {"failure": Outcome.CREDENTIALS},
            (Tone.DANGER, Say.FAILED, [Say.REASON]),
        ),
        (Status.FAILED, run(RunVerdict.MISSED, Funnel()), {}, (Tone.DANGER, Say.MISSED, [Say.REASON])),
        (
            Status.STOPPED,
            run(RunVerdict.STOPPED, numbers(cancelled=3, delivered=2, unconfirmed=1)),
            {},
            (Tone.WARNING, Say.STOPPED, [Say.SENT_AND_CANCELLED, Say.UNCONFIRMED]),
        ),
        (Status.SENT, run(RunVerdict.NOBODY, Funnel()), {}, (Tone.QUIET, Say.NOBODY, [Say.NOBODY_IN_IT])),
        (
            Status.SENT,
            run(RunVerdict.NOBODY, Funnel(4, 0, {ExclusionReason.NO_NUMBER: 4})),
            {},
            (Tone.QUIET, Say.NOBODY, [Say.ALL_LEFT_OUT]),
        ),
        (
            Status.WAITING,
            run(RunVerdict.NOBODY, Funnel()),
            {"next_due_at": MORNING},
            (Tone.QUIET, Say.NOBODY, [Say.NOBODY_IN_IT, Say.NEXT]),
        ),
        (Status.SENT, run(RunVerdict.SENT, numbers(delivered=9)), {}, (Tone.SUCCESS, Say.FINISHED, [Say.ALL_ANSWERED])),
        (
            Status.SENT,
            run(RunVerdict.SENT, numbers(delivered=9, refused=1, undelivered=1, accepted=2)),
            {},
            (Tone.SUCCESS, Say.FINISHED, [Say.AWAITED, Say.REFUSED_AND_UNDELIVERED]),
        ),
        (
            Status.SENT,
            run(RunVerdict.SENT, numbers(delivered=2, undelivered=2)),
            {},
            (Tone.WARNING, Say.FINISHED, [Say.UNDELIVERED]),
        ),
        (
            Status.SENT,
            run(RunVerdict.SENT, numbers(delivered=9, unconfirmed=1)),
            {},
            (Tone.WARNING, Say.FINISHED, [Say.UNCONFIRMED]),
        ),
    ],
)
def test_a_report_begins_with_how_it_stands(
    status: Status, facts: RunFacts | None, given: dict[str, Any], expected: Any
) -> None:
    assert said(status, facts, **given) == expected


@pytest.mark.parametrize(
    ("facts", "given", "expected"),
    [
        (None, {"next_due_at": MORNING}, [{}, {"moment": MORNING, "ago": MORNING}]),
        (None, {"failure": "gone"}, [{}, {"reason": "gone"}]),
        (run(RunStanding.OPEN, Funnel()), {}, [{}, {}]),
        (run(RunStanding.SENDING, numbers(queued=3, in_flight=2, refused=1)), {}, [{"done": 1, "planned": 6}]),
        (
            run(
                RunStanding.WAITING,
                numbers(queued=3, in_flight=2, unconfirmed=1, delivered=4),
                hold_reason="audience_grew",
                hold_until=MORNING,
                drift={"before": 1, "now": 9},
                pinned="person",
            ),
            {},
            [
                {"done": 5, "planned": 10},
                {"reason": "audience_grew"},
                {"before": 1, "now": 9},
                {"pinned": "person"},
                {"in_flight": 2, "queued": 3, "unconfirmed": 1},
                {"moment": MORNING, "ago": MORNING},
            ],
        ),
        (
            run(RunStanding.ENDING, numbers(in_flight=2), failure="balance"),
            {},
            [{}, {"reason": "balance"}, {"n": 2}],
        ),
        (
            run(RunVerdict.FAILED, numbers(cancelled=3, unconfirmed=1), failure="balance"),
            {"failure": "quota", "next_due_at": MORNING},
            [{}, {"reason": "balance"}, {"n": 3}, {"n": 1}, {"moment": MORNING}],
        ),
        (run(RunVerdict.FAILED, numbers(refused=3)), {"failure": "quota"}, [{}, {"reason": "quota"}]),
        (run(RunVerdict.FAILED, numbers(refused=3)), {}, [{}, {"reason": "nothing_accepted"}]),
        (run(RunVerdict.MISSED, Funnel()), {"next_due_at": MORNING}, [{}, {"reason": "missed"}, {"moment": MORNING}]),
        (run(RunVerdict.STOPPED, numbers(cancelled=3, delivered=2)), {}, [{}, {"sent": 2, "cancelled": 3}]),
        (run(RunVerdict.NOBODY, Funnel(4, 0, {ExclusionReason.NO_NUMBER: 4})), {}, [{}, {"n": 4}]),
        (run(RunVerdict.MOVED, Funnel()), {"next_due_at": MORNING}, [{}, {"moment": MORNING}]),
        (
            run(RunVerdict.SENT, numbers(accepted=4, refused=2, undelivered=3, unconfirmed=1)),
            {"next_due_at": MORNING},
            [{}, {"n": 4}, {"refused": 2, "undelivered": 3}, {"n": 1}, {"moment": MORNING}],
        ),
        (run(RunVerdict.SENT, numbers(refused=2)), {}, [{}, {"n": 2}]),
        (run(RunVerdict.SENT, numbers(undelivered=3)), {}, [{}, {"n": 3}]),
    ],
)
@pytest.mark.parametrize("only_run", [True, False])
def test_every_sentence_has_its_numbers_and_moments(
    facts: RunFacts | None, given: dict[str, Any], expected: list[dict[str, Any]], only_run: bool
) -> None:
    campaign = CampaignFacts(Status.WAITING, given.get("failure", ""), given.get("next_due_at"))
    found = headline(campaign, facts, facts.funnel if facts else Funnel(), only_run=only_run)
    assert [found.title.facts, *(sentence.facts for sentence in found.details)] == expected
    assert found.shows_progress is (facts is not None and facts.standing is RunStanding.SENDING)


@pytest.mark.parametrize(
    ("only_run", "verdict", "title", "facts"),
    [
        (True, RunVerdict.SENT, Say.FINISHED, {"n": 7}),
        (False, RunVerdict.SENT, Say.LATEST_FINISHED, {"n": 7}),
        (False, RunVerdict.STOPPED, Say.STOPPED, {"sent": 5, "cancelled": 0}),
    ],
)
def test_a_run_that_was_ended_speaks_of_its_own_numbers_and_others_of_all_that_is_shown(
    only_run: bool, verdict: RunVerdict, title: Say, facts: dict[str, int]
) -> None:
    shown, campaign = numbers(accepted=7), CampaignFacts(Status.SENT, "", None)
    found = headline(campaign, run(verdict, numbers(accepted=5)), shown, only_run=only_run)
    assert (found.title.code, found.details[0].facts) == (title, facts)


@pytest.mark.parametrize(
    ("counts", "tone"),
    [
        ({"delivered": 3, "refused": 1}, Tone.SUCCESS),
        ({"delivered": 3, "undelivered": 1}, Tone.SUCCESS),
        ({"delivered": 5, "refused": 1, "undelivered": 1}, Tone.WARNING),
        ({"delivered": 2, "refused": 1}, Tone.WARNING),
    ],
)
def test_a_success_of_which_more_than_a_quarter_failed_is_a_warning(counts: dict[str, int], tone: Tone) -> None:
    assert said(Status.SENT, run(RunVerdict.SENT, numbers(**counts)))[0] is tone


def test_only_a_campaign_that_goes_on_says_when_it_is_sent_next() -> None:
    stopped = said(Status.STOPPED, run(RunVerdict.SENT, numbers(delivered=1)), next_due_at=MORNING)
    assert stopped == (Tone.SUCCESS, Say.FINISHED, [Say.ALL_ANSWERED])
    assert said(Status.STOPPED, None, next_due_at=MORNING) == (Tone.INFO, Say.NOTHING_SENT, [])
    assert said(Status.WAITING, None) == (Tone.INFO, Say.NOTHING_SENT, [])


@pytest.mark.parametrize(
    ("state", "hold_reason", "verdict", "expected"),
    [
        ("held", "paused", "", RunStanding.PAUSED),
        ("held", "quiet_hours", "", RunStanding.WAITING),
        ("held", "throttled", "", RunStanding.WAITING),
        ("held", "balance", "", RunStanding.BLOCKED),
        ("sending", "", "", RunStanding.SENDING),
        ("done", "", "nobody", RunVerdict.NOBODY),
        ("missed", "", "missed", RunVerdict.MISSED),
    ],
)
def test_a_held_run_looks_like_whom_it_waits_for(state: str, hold_reason: str, verdict: str, expected: str) -> None:
    assert standing(state, hold_reason, verdict) is expected


HELD = OfferFacts(
    standing=RunStanding.BLOCKED,
    hold_reason=HoldReason.BALANCE,
    has_second_channel=False,
    is_frozen=True,
    was_moved=False,
    is_pinned_by_person=False,
    text_differs=False,
    text_can_be_accepted=False,
)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [Offer.RESUME, Offer.END]),
        ({"standing": RunStanding.PAUSED, "hold_reason": HoldReason.PAUSED}, [Offer.RESUME, Offer.END]),
        ({"standing": RunStanding.WAITING, "hold_reason": HoldReason.UNREACHABLE}, [Offer.RESUME, Offer.END]),
        ({"standing": RunStanding.WAITING, "hold_reason": HoldReason.QUIET_HOURS}, [Offer.PAUSE, Offer.END]),
        ({"hold_reason": HoldReason.AUDIENCE_GREW}, [Offer.ACCEPT_AUDIENCE, Offer.END]),
        ({"hold_reason": HoldReason.APPROVAL}, [Offer.APPROVE, Offer.END]),
        ({"hold_reason": HoldReason.BUDGET}, [Offer.RESUME, Offer.END]),
        ({"text_differs": True, "text_can_be_accepted": True}, [Offer.ACCEPT_TEXT, Offer.END]),
        ({"text_differs": True}, [Offer.END]),
        ({"standing": RunStanding.SENDING, "hold_reason": ""}, [Offer.PAUSE, Offer.END]),
        ({"standing": RunStanding.ENDING, "hold_reason": ""}, []),
        ({"standing": RunVerdict.SENT, "hold_reason": ""}, []),
        ({"has_second_channel": True}, [Offer.RESUME, Offer.MOVE, Offer.PIN, Offer.END]),
        (
            {"standing": RunStanding.SENDING, "hold_reason": "", "has_second_channel": True},
            [Offer.PAUSE, Offer.PIN, Offer.END],
        ),
        ({"has_second_channel": True, "is_frozen": False}, [Offer.RESUME, Offer.END]),
        (
            {"has_second_channel": True, "is_pinned_by_person": True},
            [Offer.RESUME, Offer.MOVE, Offer.UNPIN, Offer.END],
        ),
        ({"has_second_channel": True, "was_moved": True}, [Offer.RESUME, Offer.MOVE, Offer.END]),
    ],
)
def test_only_what_helps_now_is_offered(given: dict[str, Any], expected: list[Offer]) -> None:
    assert offers(replace(HELD, **given)) == expected
