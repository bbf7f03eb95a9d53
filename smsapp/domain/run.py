"""A run's states, the actions that change them, and why it is held, ended, failed over or counted as failed."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from smsapp.domain.outcome import FAILOVER_OUTCOMES, Outcome


class RunState(enum.StrEnum):
    OPEN = "open"
    """Created for its slot; the audience is not frozen yet."""
    SENDING = "sending"
    HELD = "held"
    """Held until `hold_until`, or until a person acts if that is empty; `hold_reason` says why."""
    ENDING = "ending"
    """Nothing more is claimed; after the messages in flight the rest is cancelled for `cancel_reason`."""
    DONE = "done"
    MISSED = "missed"


class RunAction(enum.StrEnum):
    FREEZE = "freeze"
    """The audience is frozen; messages may be claimed."""
    HOLD = "hold"
    PAUSE = "pause"
    """A person holds it, also while it is held for a reason that ends by itself."""
    RESUME = "resume"
    RESTART = "restart"
    """As RESUME, for a run whose audience was not frozen when it was held."""
    END = "end"
    """A person ends it."""
    GIVE_UP = "give_up"
    """The sweep ends it, because nobody acted on its hold in time."""
    CLOSE = "close"
    REOPEN = "reopen"
    """Unconfirmed messages of a run that is over are sent again."""


RUN_MOVES: dict[RunAction, tuple[frozenset[RunState], RunState]] = {
    # action: (states it is allowed in, the new state)
    RunAction.FREEZE: (frozenset({RunState.OPEN}), RunState.SENDING),
    RunAction.HOLD: (frozenset({RunState.OPEN, RunState.SENDING}), RunState.HELD),
    RunAction.PAUSE: (frozenset({RunState.OPEN, RunState.SENDING, RunState.HELD}), RunState.HELD),
    RunAction.RESUME: (frozenset({RunState.HELD}), RunState.SENDING),
    RunAction.RESTART: (frozenset({RunState.HELD}), RunState.OPEN),
    RunAction.END: (frozenset({RunState.OPEN, RunState.SENDING, RunState.HELD}), RunState.ENDING),
    RunAction.GIVE_UP: (frozenset({RunState.HELD}), RunState.ENDING),
    RunAction.CLOSE: (frozenset({RunState.SENDING, RunState.HELD, RunState.ENDING}), RunState.DONE),
    RunAction.REOPEN: (frozenset({RunState.DONE}), RunState.SENDING),
}


class HoldReason(enum.StrEnum):
    """Why a run is held. Those with an Outcome's name come from the channel and are about the account."""

    QUIET_HOURS = "quiet_hours"
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    NO_ANSWERS = "no_answers"
    """Too many consecutive answers were lost; one request at a time tries again, so that few become unconfirmed."""
    PAUSED = "paused"
    FAULT = "fault"
    TEMPLATE_CHANGED = "template_changed"
    TEMPLATE_WITHDRAWN = "template_withdrawn"
    CHANNEL_INACTIVE = "channel_inactive"
    SEGMENT_GONE = "segment_gone"
    SEGMENT_UNREADABLE = "segment_unreadable"
    """The rule of a segment cannot be answered (any more)."""
    GONE = "gone"
    """The campaign, its template or its channel does not exist any more."""
    REGISTRATION = "registration"
    """A carrier does not let the texts through any more, which it did or might have done when a person confirmed."""
    AUDIENCE_GREW = "audience_grew"
    """More people, or other countries or prefixes, than a person has reviewed."""
    APPROVAL = "approval"
    """It is as large as needs a second person, and no approval counts for what it is now."""
    BUDGET = "budget"
    """A budget of the month does not hold what it would send."""
    RESTORED = "restored"
    """The database is older than what was sent. What may have been sent since is unconfirmed; the rest is not."""
    RESTORED_BLIND = "restored_blind"
    """As RESTORED, and nothing tells which of the run's queued messages were sent since."""
    CREDENTIALS = "credentials"
    BALANCE = "balance"
    QUOTA = "quota"
    TEMPLATE_REFUSED = "template_refused"
    SIGNATURE_REFUSED = "signature_refused"
    NETWORK = "network"
    PROVIDER_FAULT = "provider_fault"
    OUR_FAULT = "our_fault"


@dataclass(frozen=True)
class HoldRule:
    """The consequences of a hold."""

    ends_by_itself: bool
    """The run resumes at `hold_until`; otherwise a person has to act."""
    may_fail_over: bool = False
    """Nothing can have been sent meanwhile, and another channel may work."""
    ends_the_run: bool = False
    """The run is given up if nobody acts within the campaign's grace and nothing was accepted."""
    may_have_left: bool = False
    """Its queued messages may have been sent: they become unconfirmed when it goes on, and move to no other channel."""

    @property
    def needs_person(self) -> bool:
        return not self.ends_by_itself


ACCOUNT_HOLDS = (
    HoldReason.CREDENTIALS,
    HoldReason.BALANCE,
    HoldReason.QUOTA,
    HoldReason.TEMPLATE_REFUSED,
    HoldReason.SIGNATURE_REFUSED,
    HoldReason.NETWORK,
    HoldReason.PROVIDER_FAULT,
    HoldReason.OUR_FAULT,
)
"""Reasons from the channel about the account; each has the name of an Outcome."""

_PERSON = HoldRule(ends_by_itself=False, ends_the_run=True)

HOLD_RULES: dict[HoldReason, HoldRule] = {
    HoldReason.QUIET_HOURS: HoldRule(ends_by_itself=True),
    HoldReason.THROTTLED: HoldRule(ends_by_itself=True, may_fail_over=True),
    HoldReason.UNREACHABLE: HoldRule(ends_by_itself=True, may_fail_over=True),
    HoldReason.NO_ANSWERS: HoldRule(ends_by_itself=True, may_fail_over=True),
    HoldReason.PAUSED: HoldRule(ends_by_itself=False),
    HoldReason.FAULT: _PERSON,
    HoldReason.TEMPLATE_CHANGED: _PERSON,
    HoldReason.TEMPLATE_WITHDRAWN: _PERSON,
    HoldReason.CHANNEL_INACTIVE: _PERSON,
    HoldReason.SEGMENT_GONE: _PERSON,
    HoldReason.SEGMENT_UNREADABLE: _PERSON,
    HoldReason.GONE: _PERSON,
    HoldReason.REGISTRATION: _PERSON,
    HoldReason.AUDIENCE_GREW: _PERSON,
    HoldReason.APPROVAL: _PERSON,
    HoldReason.BUDGET: _PERSON,
    HoldReason.RESTORED: HoldRule(ends_by_itself=False),
    HoldReason.RESTORED_BLIND: HoldRule(ends_by_itself=False, may_have_left=True),
    **{
        reason: HoldRule(ends_by_itself=False, may_fail_over=Outcome(reason) in FAILOVER_OUTCOMES, ends_the_run=True)
        for reason in ACCOUNT_HOLDS
    },
}

TEMPLATE_HOLDS = frozenset({HoldReason.TEMPLATE_CHANGED, HoldReason.TEMPLATE_WITHDRAWN})
"""Holds that end only once the template fits again or a person has accepted its text."""


ACCEPT_HOLDS = TEMPLATE_HOLDS | {HoldReason.REGISTRATION}
"""Holds of runs that may have begun, which a person accepts or ends."""


def account_hold(outcome: Outcome | None) -> HoldReason:
    """Return the hold reason of a run whose channel accepted nothing because of the account.

    Outcomes that are not about an account (a gateway's rules may name any) count as a fault of the channel's settings.
    """
    if outcome is None:
        return HoldReason.CREDENTIALS
    return next((reason for reason in ACCOUNT_HOLDS if reason.value == outcome.value), HoldReason.OUR_FAULT)


class RunVerdict(enum.StrEnum):
    """How a run ended."""

    SENT = "sent"
    NOBODY = "nobody"
    """No messages were planned."""
    FAILED = "failed"
    STOPPED = "stopped"
    """A person ended it."""
    MISSED = "missed"
    MOVED = "moved"
    """All messages failed over to another channel."""


class RunFailure(enum.StrEnum):
    """Why a run failed, besides HoldReason and Outcome."""

    NOTHING_ACCEPTED = "nothing_accepted"
    MISSED = "missed"
    EXPIRED = "expired_run"
    """Nothing left before the campaign's "not later than"."""


class CancelReason(enum.StrEnum):
    """Why a message was cancelled; it was never sent."""

    OPTED_OUT = "opted_out"
    NO_CONSENT = "no_consent"
    """The consent that the campaign asks for was withdrawn after the freeze."""
    ENDED = "ended"
    """A person ended the run."""
    RUN_FAILED = "run_failed"
    """The run was given up; its `failure` says why."""
    REROUTED = "rerouted"
    """Another run took the message over."""
    NOT_ALLOWED_ELSEWHERE = "not_allowed_elsewhere"
    """The run failed over to another channel, which may not send to this number."""
    ERASED = "erased"
    """The person was erased."""


class FailoverReason(enum.StrEnum):
    """Why messages failed over to the other channel, besides the holds that may fail over."""

    PERSON = "person"
    REFUSED = "refused"


class PinReason(enum.StrEnum):
    """Why the automation leaves a run on its channel."""

    PERSON = "person"
    CHANNEL_INACTIVE = "channel_inactive"
    CHANNEL_UNUSABLE = "channel_unusable"
    TRUSTED_NUMBERS = "trusted_numbers"
    """The other channel requires numbers from trusted sources, and this one does not."""
    NUMBERS_NOT_ALLOWED = "numbers_not_allowed"
    """The other channel may send to none of the numbers."""
    TEMPLATE_WITHDRAWN = "template_withdrawn"
    TEMPLATE_CHANGED = "template_changed"
    REGISTRATION = "registration"
    """A carrier does not let the texts of the other channel through any more."""
    RESTORED = "restored"
    """The database is an older copy: messages may have moved already."""


STAYS_PUT = frozenset({PinReason.PERSON, PinReason.RESTORED})
"""Pins that only a person takes off; for the other reasons the automation tries again."""


class RunStanding(enum.StrEnum):
    """The state of an unfinished run as shown to a person, including whether a held one waits for a person."""

    OPEN = "open"
    SENDING = "sending"
    PAUSED = "paused"
    """A person holds it."""
    WAITING = "waiting"
    """It resumes by itself."""
    BLOCKED = "blocked"
    """A person has to act."""
    ENDING = "ending"


def standing(state: str, hold_reason: str, verdict: str) -> RunStanding | RunVerdict:
    """Return the state of a run as shown to a person, or its verdict."""
    if verdict:
        return RunVerdict(verdict)
    if state != RunState.HELD:
        return RunStanding(state)
    if hold_reason == HoldReason.PAUSED:
        return RunStanding.PAUSED
    return RunStanding.WAITING if HOLD_RULES[HoldReason(hold_reason)].ends_by_itself else RunStanding.BLOCKED
