"""The headline of a report: the state of the campaign or its latest run as a tone, a title and a few sentences.

Codes and facts only; words/headlines.py has the sentences. Facts are numbers, moments (aware UTC) and codes.
"""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain.campaign import Status
from smsapp.domain.funnel import Funnel
from smsapp.domain.run import CancelReason, HoldReason, RunFailure, RunStanding, RunVerdict

MANY_FAILED = 4
"""A finished run is shown as a warning if more than one message in so many failed."""


class Tone(enum.StrEnum):
    """The look of a headline; the names of the page's notes."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    DANGER = "danger"
    QUIET = "quiet"


class Say(enum.StrEnum):
    """A title or a sentence of a headline."""

    NOT_SENT_YET = "not_sent_yet"
    STARTS = "starts"
    DRAFT = "draft"
    NO_REPORT_YET = "no_report_yet"
    NOTHING_SENT = "nothing_sent"
    REASON = "reason"
    STARTING = "starting"
    FREEZING = "freezing"
    SENDING = "sending"
    PAUSED = "paused"
    WAITING = "waiting"
    BLOCKED = "blocked"
    STANDS = "stands"
    GOES_ON = "goes_on"
    PINNED = "pinned"
    AUDIENCE_GREW = "audience_grew"
    ENDING = "ending"
    GIVING_UP = "giving_up"
    IN_FLIGHT = "in_flight"
    MISSED = "missed"
    FAILED = "failed"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    SENT_AND_CANCELLED = "sent_and_cancelled"
    UNCONFIRMED = "unconfirmed"
    NOBODY = "nobody"
    NOBODY_IN_IT = "nobody_in_it"
    ALL_LEFT_OUT = "all_left_out"
    MOVED = "moved"
    FINISHED = "finished"
    LATEST_FINISHED = "latest_finished"
    AWAITED = "awaited"
    REFUSED = "refused"
    UNDELIVERED = "undelivered"
    REFUSED_AND_UNDELIVERED = "refused_and_undelivered"
    EXPIRED = "expired"
    ALL_ANSWERED = "all_answered"
    NEXT = "next"


@dataclass(frozen=True)
class Sentence:
    code: Say
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Headline:
    tone: Tone
    title: Sentence
    details: tuple[Sentence, ...] = ()
    shows_progress: bool = False
    """The run is being sent: the page draws its progress."""


@dataclass(frozen=True)
class CampaignFacts:
    """The campaign's data for a headline."""

    status: Status
    failure: str
    next_due_at: dt.datetime | None


@dataclass(frozen=True)
class RunFacts:
    """The data for a headline of the unfinished run, or else of the latest one."""

    standing: RunStanding | RunVerdict
    hold_reason: str
    hold_until: dt.datetime | None
    cancel_reason: str
    failure: str
    pinned: str
    funnel: Funnel
    drift: dict[str, Any]
    """{"before", "now", "more", "elsewhere"} of a run that is held because its audience grew; else empty."""


def headline(campaign: CampaignFacts, run: RunFacts | None, numbers: Funnel, *, only_run: bool) -> Headline:
    """Return the headline. `numbers` are those of the report; `only_run`: the report is about one run alone."""
    if run is None:
        return _before(campaign)
    if isinstance(run.standing, RunStanding):
        return _under_way(run, run.standing)
    return _over(campaign, run, run.standing, run.funnel if run.standing in _OF_THE_RUN else numbers, only_run=only_run)


_OF_THE_RUN = (RunVerdict.NOBODY, RunVerdict.FAILED, RunVerdict.STOPPED)
"""Verdicts whose sentences use the numbers of their run; the others use those of the report."""


def _before(campaign: CampaignFacts) -> Headline:
    if campaign.status is Status.WAITING and campaign.next_due_at is not None:
        at = {"moment": campaign.next_due_at, "ago": campaign.next_due_at}
        return Headline(Tone.INFO, Sentence(Say.NOT_SENT_YET), (Sentence(Say.STARTS, at),))
    if campaign.status is Status.DRAFT:
        return Headline(Tone.INFO, Sentence(Say.DRAFT), (Sentence(Say.NO_REPORT_YET),))
    why = (Sentence(Say.REASON, {"reason": campaign.failure}),) if campaign.failure else ()
    return Headline(Tone.INFO, Sentence(Say.NOTHING_SENT), why)


_HELD = {RunStanding.PAUSED: Say.PAUSED, RunStanding.WAITING: Say.WAITING, RunStanding.BLOCKED: Say.BLOCKED}


def _under_way(run: RunFacts, standing: RunStanding) -> Headline:
    numbers = run.funnel
    done = {"done": numbers.planned - numbers.open, "planned": numbers.planned}
    if standing is RunStanding.OPEN:
        return Headline(Tone.INFO, Sentence(Say.STARTING), (Sentence(Say.FREEZING),))
    if standing is RunStanding.SENDING:
        return Headline(Tone.INFO, Sentence(Say.SENDING, done), shows_progress=True)
    if standing is RunStanding.ENDING:
        title = Say.GIVING_UP if run.cancel_reason == CancelReason.RUN_FAILED else Say.ENDING
        why = (Sentence(Say.REASON, {"reason": run.failure}),) if run.failure else ()
        return Headline(Tone.WARNING, Sentence(title), (*why, Sentence(Say.IN_FLIGHT, {"n": numbers.in_flight})))
    title = _HELD[standing]
    details = [Sentence(Say.REASON, {"reason": run.hold_reason})]
    if run.drift:
        details.append(Sentence(Say.AUDIENCE_GREW, run.drift))
    if run.pinned:
        details.append(Sentence(Say.PINNED, {"pinned": run.pinned}))
    if numbers.planned:
        stands = {"in_flight": numbers.in_flight, "queued": numbers.queued, "unconfirmed": numbers.unconfirmed}
        details.append(Sentence(Say.STANDS, stands))
    if run.hold_until is not None:
        details.append(Sentence(Say.GOES_ON, {"moment": run.hold_until, "ago": run.hold_until}))
    return Headline(Tone.WARNING, Sentence(title, done), tuple(details))


def _over(campaign: CampaignFacts, run: RunFacts, verdict: RunVerdict, numbers: Funnel, *, only_run: bool) -> Headline:
    unconfirmed = (Sentence(Say.UNCONFIRMED, {"n": numbers.unconfirmed}),) if numbers.unconfirmed else ()
    following = (
        (Sentence(Say.NEXT, {"moment": campaign.next_due_at}),)
        if campaign.status is Status.WAITING and campaign.next_due_at is not None
        else ()
    )
    if verdict in (RunVerdict.MISSED, RunVerdict.FAILED):
        title, details = _failed(campaign, run, verdict, numbers)
        return Headline(Tone.DANGER, Sentence(title), (*details, *unconfirmed, *following))
    if verdict is RunVerdict.STOPPED:
        sent = Sentence(Say.SENT_AND_CANCELLED, {"sent": numbers.accepted, "cancelled": numbers.cancelled})
        return Headline(Tone.WARNING, Sentence(Say.STOPPED), (sent, *unconfirmed))
    if verdict is RunVerdict.NOBODY:
        nobody = Sentence(Say.ALL_LEFT_OUT, {"n": numbers.target}) if numbers.target else Sentence(Say.NOBODY_IN_IT)
        return Headline(Tone.QUIET, Sentence(Say.NOBODY), (nobody, *following))
    if verdict is RunVerdict.MOVED:
        return Headline(Tone.INFO, Sentence(Say.MOVED), following)
    failed = numbers.refused + numbers.undelivered + numbers.expired
    is_poor = bool(numbers.unconfirmed) or failed * MANY_FAILED > numbers.planned
    title = Say.FINISHED if only_run else Say.LATEST_FINISHED
    tone = Tone.WARNING if is_poor else Tone.SUCCESS
    return Headline(tone, Sentence(title), (*_what_became(numbers), *unconfirmed, *following))


def _failed(
    campaign: CampaignFacts, run: RunFacts, verdict: RunVerdict, numbers: Funnel
) -> tuple[Say, tuple[Sentence, ...]]:
    """Return the title and why a run failed."""
    if verdict is RunVerdict.MISSED:
        return Say.MISSED, (_because(RunFailure.MISSED),)
    if run.failure:
        return Say.GIVEN_UP, (_because(run.failure), Sentence(Say.CANCELLED, {"n": numbers.cancelled}))
    expired = (Sentence(Say.EXPIRED, {"n": numbers.expired}),) if numbers.expired else ()
    return Say.FAILED, (_because(campaign.failure or RunFailure.NOTHING_ACCEPTED), *expired)


def _because(reason: str) -> Sentence:
    return Sentence(Say.REASON, {"reason": reason})


def _what_became(numbers: Funnel) -> tuple[Sentence, ...]:
    """Return sentences about awaited receipts and failures, counting refused and undelivered messages separately."""
    sentences = []
    if numbers.awaiting:
        sentences.append(Sentence(Say.AWAITED, {"n": numbers.awaiting}))
    if numbers.refused and numbers.undelivered:
        both = {"refused": numbers.refused, "undelivered": numbers.undelivered}
        sentences.append(Sentence(Say.REFUSED_AND_UNDELIVERED, both))
    elif numbers.refused:
        sentences.append(Sentence(Say.REFUSED, {"n": numbers.refused}))
    elif numbers.undelivered:
        sentences.append(Sentence(Say.UNDELIVERED, {"n": numbers.undelivered}))
    if numbers.expired:
        sentences.append(Sentence(Say.EXPIRED, {"n": numbers.expired}))
    return tuple(sentences) or (() if numbers.unconfirmed else (Sentence(Say.ALL_ANSWERED),))


WAITS_FOR_A_PERSON = frozenset({RunStanding.PAUSED, RunStanding.BLOCKED})


class Offer(enum.StrEnum):
    """An action that a person may take on an unfinished run; the page draws a button for each."""

    ACCEPT_TEXT = "accept_text"
    ACCEPT_AUDIENCE = "accept_audience"
    ACCEPT_REGISTRATION = "accept_registration"
    APPROVE = "approve"
    RESUME = "resume"
    PAUSE = "pause"
    MOVE = "move"
    UNPIN = "unpin"
    PIN = "pin"
    END = "end"


@dataclass(frozen=True)
class OfferFacts:
    """The data of the run and its campaign for `offers`."""

    standing: RunStanding | RunVerdict
    hold_reason: str
    has_second_channel: bool
    is_frozen: bool
    was_moved: bool
    is_pinned_by_person: bool
    text_differs: bool
    """The template has changed since it was confirmed."""
    text_can_be_accepted: bool


def offers(run: OfferFacts) -> list[Offer]:
    """Return the actions a person may take now, in the order of the buttons."""
    if not isinstance(run.standing, RunStanding) or run.standing is RunStanding.ENDING:
        return []
    is_held = run.standing in {*WAITS_FOR_A_PERSON, RunStanding.WAITING}
    candidates = [_first_offer(run, is_held=is_held)]
    if run.has_second_channel and run.is_frozen:
        candidates += [Offer.MOVE] if is_held else []
        candidates += [] if run.was_moved else [Offer.UNPIN if run.is_pinned_by_person else Offer.PIN]
    return [*(offer for offer in candidates if offer is not None), Offer.END]


def _first_offer(run: OfferFacts, *, is_held: bool) -> Offer | None:
    if run.text_differs:
        return Offer.ACCEPT_TEXT if run.text_can_be_accepted else None
    if run.hold_reason == HoldReason.AUDIENCE_GREW:
        return Offer.ACCEPT_AUDIENCE
    if run.hold_reason == HoldReason.REGISTRATION:
        return Offer.ACCEPT_REGISTRATION
    if run.hold_reason == HoldReason.APPROVAL:
        return Offer.APPROVE
    if run.hold_reason == HoldReason.QUIET_HOURS:
        return Offer.PAUSE  # resumed now it would be held again at once
    return Offer.RESUME if is_held else Offer.PAUSE
