"""States and reasons of messages and runs, in words: exclusions, failures, holds, verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.message import FAILED_STATES, Resolution, Status
from smsapp.domain.outcome import Charged, Outcome
from smsapp.domain.run import (
    ACCOUNT_HOLDS,
    CancelReason,
    HoldReason,
    PinReason,
    RunFailure,
    RunStanding,
    RunVerdict,
)
from smsapp.domain.trust import Origin
from smsapp.labels import outcomes
from smsapp.labels.failover import ROUTES, STAYS
from smsapp.labels.locales import lazy_gettext as _l

PROBLEMS = {
    **{f"route_{code}": text for code, text in STAYS.items() if code is not PinReason.PERSON},
    "run_cannot_go_on": _l(
        "The campaign was stopped, or its run is being ended, so nothing more is sent. Save it as a new one instead."
    ),
    "restored_unfrozen": _l(
        "This run may have been sent after the backup was made, and the list of its messages is lost. End it; if the "
        "provider shows that nothing was sent, save the campaign as a new one."
    ),
    "phone_search_short": _l("Enter the whole number, or at least its last %(fewest)s digits."),
    "phone_search_hidden": _l(
        "You may not see whole numbers. Enter the whole number, or just its last %(most)s digits."
    ),
}

LABELS = {
    ExclusionReason.NO_NUMBER: _l("No phone number"),
    ExclusionReason.INVALID_NUMBER: _l("Unusable number"),
    ExclusionReason.UNTRUSTED_NUMBER: _l("Number from a public AppKey"),
    ExclusionReason.DUPLICATE_NUMBER: _l("Same number as another contact"),
    ExclusionReason.NUMBER_CLASS: _l("Kind of number not allowed"),
    ExclusionReason.COUNTRY: _l("Country not allowed"),
    ExclusionReason.NUMBER_LIMIT: _l("Daily limit of the country or prefix"),
    ExclusionReason.OPTED_OUT: _l("Opted out"),
    ExclusionReason.EXCLUDED_SEGMENT: _l("In an excluded segment"),
    ExclusionReason.NO_CONSENT: _l("No consent"),
    ExclusionReason.FREQUENCY_CAP: _l("Frequency cap reached"),
    ExclusionReason.MISSING_VALUE: _l("A variable has no value"),
    ExclusionReason.UNFIT_VALUE: _l("A value may not fill its variable"),
    ExclusionReason.ALSO_GETS: _l("Gets another campaign within 48 hours"),
    ExclusionReason.SAME_TEXT: _l("Had the same words lately"),
    ExclusionReason.CARRIER_LEFT_OUT: _l("Carrier left out of this campaign"),
    Charged.YES: _l("Charged"),
    Charged.NO: _l("Not charged"),
    Charged.UNKNOWN: _l("May be charged"),
    Resolution.COUNT_AS_SENT: _l("Counted as sent"),
    Resolution.RESEND: _l("Sent again"),
    Resolution.KEEP: _l("Kept unconfirmed"),
}

STATES = {
    Status.QUEUED: _l("Waiting to be sent"),
    Status.IN_FLIGHT: _l("Being handed over"),
    Status.CANCELLED: _l("Cancelled"),
    Status.UNCONFIRMED: _l("Unconfirmed"),
    Status.REFUSED: _l("Refused by the channel"),
    Status.ACCEPTED: _l("Sent, awaiting receipt"),
    Status.NO_RECEIPT: _l("No receipt"),
    Status.UNDELIVERED: _l("Not delivered"),
    Status.DELIVERED: _l("Delivered"),
    Status.EXPIRED: _l("Expired"),
}
"""A message's state; by number, so it has a function of its own."""

COLOURS = {
    Status.QUEUED: "grey",
    Status.IN_FLIGHT: "cyan",
    Status.CANCELLED: "grey",
    Status.UNCONFIRMED: "orange",
    Status.REFUSED: "red",
    Status.ACCEPTED: "blue",
    Status.NO_RECEIPT: "grey",
    Status.UNDELIVERED: "red",
    Status.DELIVERED: "green",
    Status.EXPIRED: "orange",
}

RECEIPT_STATUSES: dict[str, tuple[Any, str]] = {
    "delivered": (STATES[Status.DELIVERED], COLOURS[Status.DELIVERED]),
    "undelivered": (STATES[Status.UNDELIVERED], COLOURS[Status.UNDELIVERED]),
    "accepted": (_l("Accepted"), COLOURS[Status.ACCEPTED]),
}
"""What a receipt says: word and colour."""

GROUPS = {
    "target": _l("Target users"),
    "effective": _l("Effective users"),
    "planned": _l("Messages planned"),
    "accepted": _l("Accepted"),
    "left_out": _l("Left out"),
    "queued": STATES[Status.QUEUED],
    "in_flight": STATES[Status.IN_FLIGHT],
    "refused": STATES[Status.REFUSED],
    "unconfirmed": STATES[Status.UNCONFIRMED],
    "cancelled": STATES[Status.CANCELLED],
    "expired": STATES[Status.EXPIRED],
    "awaiting": _l("Awaiting receipt"),
    "delivered": STATES[Status.DELIVERED],
    "undelivered": STATES[Status.UNDELIVERED],
    "no_receipt": STATES[Status.NO_RECEIPT],
}

HINTS = {
    "target": _l("Everybody in the segment when the audience was frozen."),
    "effective": _l("Those of them with a usable phone number."),
    "accepted": _l("The channel took the message."),
    "delivered": _l("The carrier reported that the message arrived."),
    "queued": _l("Not handed to the channel yet."),
    "in_flight": _l("In a request to the channel that has not been answered yet."),
    "refused": _l("The channel said no at once; nothing was sent."),
    "unconfirmed": _l("The answer was lost: the message may or may not have left. It is not sent again by itself."),
    "cancelled": _l("Cancelled before it was sent."),
    "expired": _l("Not sent by the time set for the campaign; it is not sent any more."),
    "awaiting": _l("The carrier has not reported yet."),
    "undelivered": _l("The carrier reported that the message did not arrive."),
    "no_receipt": _l("The carrier never reported; waiting has ended."),
}
"""What a number means, under its name."""

LEFT_HINTS = {
    ExclusionReason.NO_NUMBER: _l("The contact has no value in the channel's phone property."),
    ExclusionReason.INVALID_NUMBER: _l("No phone number can be read from the value."),
    ExclusionReason.UNTRUSTED_NUMBER: _l(
        "The channel takes only numbers that a server key, a file or a person has entered; "
        "this one was reported with a public AppKey."
    ),
    ExclusionReason.DUPLICATE_NUMBER: _l("Each number gets one message; another contact with it came first."),
    ExclusionReason.NUMBER_CLASS: _l(
        "Not a mobile number: premium, landline and the like, which the channel does not allow."
    ),
    ExclusionReason.NUMBER_LIMIT: _l(
        "The channel's messages of this day to numbers of this country or prefix are used up; the limit is on its page."
    ),
    ExclusionReason.COUNTRY: _l("The number belongs to a country or region to which the channel does not write."),
    ExclusionReason.OPTED_OUT: _l("The person does not want such texts."),
    ExclusionReason.EXCLUDED_SEGMENT: _l("A member of a segment that the campaign leaves out."),
    ExclusionReason.NO_CONSENT: _l(
        "The campaign asks for consent, and the person has not agreed to such texts or has withdrawn it."
    ),
    ExclusionReason.FREQUENCY_CAP: _l("The number has had as many marketing texts lately as the settings allow."),
    ExclusionReason.MISSING_VALUE: _l("A variable of the template has neither a value nor a fallback."),
    ExclusionReason.ALSO_GETS: _l("The review chose to leave out who gets another campaign about the same time."),
    ExclusionReason.SAME_TEXT: _l("The review chose to leave out who had the same words within the last days."),
    ExclusionReason.UNFIT_VALUE: _l(
        "The value is too long for its variable, or holds a link, a contact detail, a line break or a bracket 【】."
    ),
    ExclusionReason.CARRIER_LEFT_OUT: _l(
        "A person has excluded the numbers of this carrier, told by their first digits, because it would not let the "
        "text through."
    ),
}

CANCELLED: dict[CancelReason, Any] = {
    CancelReason.OPTED_OUT: _l("Opted out before it was sent"),
    CancelReason.NO_CONSENT: _l("Consent was withdrawn before it was sent"),
    CancelReason.ENDED: _l("Sending was ended by a person"),
    CancelReason.REROUTED: _l("Moved to another channel"),
    CancelReason.NOT_ALLOWED_ELSEWHERE: _l(
        "The channel that took over does not write to this kind of number or country"
    ),
    CancelReason.RUN_FAILED: _l("Given up, because the run failed"),
    CancelReason.ERASED: _l("The person was erased before it was sent"),
}
"""Why a message was cancelled."""

UNCONFIRMED = {
    "worker_lost": _l("The sender stopped before the answer came"),
    "restored": _l("The database was restored from a backup made before it was sent"),
    "no_answer": _l("The answer was lost on the way"),
    "provider_fault": _l("The provider did not say whether it took it"),
    "left": _l("Kept unconfirmed by a person"),
}
"""Why a message is unconfirmed."""

HOLDS: dict[HoldReason, Any] = {
    HoldReason.QUIET_HOURS: _l("It is outside the sending hours for marketing texts; it goes on by itself."),
    HoldReason.THROTTLED: _l("The provider asked to slow down; it goes on by itself."),
    HoldReason.UNREACHABLE: _l("The provider cannot be reached; it is tried again by itself."),
    HoldReason.NO_ANSWERS: _l(
        "The provider takes requests and does not answer, so nothing more is sent for now. One request at a time tries "
        "whether it answers again; then it goes on by itself."
    ),
    HoldReason.PAUSED: _l("A person has paused it."),
    HoldReason.FAULT: _l(
        "Something in this application failed; the log says what. Resume once it is fixed, or end it."
    ),
    HoldReason.TEMPLATE_CHANGED: _l(
        "The template's text is not the one that was confirmed. Accept the new one, or end it."
    ),
    HoldReason.TEMPLATE_WITHDRAWN: _l("The template is no longer approved. Resume once it is, or end it."),
    HoldReason.CHANNEL_INACTIVE: _l("The channel has been switched off. Switch it on and resume, or end it."),
    HoldReason.SEGMENT_GONE: _l("The segment has been deleted. End it."),
    HoldReason.SEGMENT_UNREADABLE: _l(
        "The rule of a segment cannot be answered, or the messages it asks for have been removed. "
        "Correct the segment and resume, or end it."
    ),
    HoldReason.GONE: _l("The template, channel or segment has been deleted. End it."),
    HoldReason.REGISTRATION: _l(
        "A carrier would not let its texts through any more, which was not so when it was confirmed. Accept it, leave "
        "the carrier out, or end it."
    ),
    HoldReason.AUDIENCE_GREW: _l("The audience is not the one that was reviewed. Accept it, or end it."),
    HoldReason.APPROVAL: _l(
        "It needs the approval of a second person: nobody has approved what it is now. Nothing has been sent."
    ),
    HoldReason.BUDGET: _l(
        "A budget of this month does not hold what it would send. Raise the budget and resume, or end it."
    ),
    HoldReason.RESTORED: _l(
        "The database was restored from a backup. Messages that were sent since, as the journal says, are unconfirmed. "
        "Resume to send the others, or end it."
    ),
    HoldReason.RESTORED_BLIND: _l(
        "The database was restored from a backup, and nothing tells which of the waiting messages were sent since. "
        "Look at the provider. End it, or resume: then they become unconfirmed, and you can send them again or not."
    ),
    **{reason: outcomes.EXPLANATIONS[Outcome(reason)] for reason in ACCOUNT_HOLDS},
}
"""Why a run waits."""

FAILURES: dict[RunFailure, Any] = {
    RunFailure.NOTHING_ACCEPTED: _l("The channel accepted none of the messages."),
    RunFailure.EXPIRED: _l("Nothing had left by the time set for this campaign."),
    RunFailure.MISSED: _l("The system was down at the planned time and noticed too late to send."),
}
"""Why a run failed that was neither held nor refused."""

ORIGINS: dict[Origin, Any] = {
    Origin.SERVER: _l("server key"),
    Origin.APP: _l("app key (public)"),
    Origin.BROWSER: _l("browser key (public)"),
    Origin.IMPORT: _l("imported file"),
    Origin.PERSON: _l("a person"),
    Origin.KEY: _l("API key (your own program)"),
}
"""Who wrote a value."""

STANDINGS: dict[RunStanding, tuple[Any, str]] = {
    RunStanding.OPEN: (_l("Starting"), "cyan"),
    RunStanding.SENDING: (_l("Sending"), "cyan"),
    RunStanding.PAUSED: (_l("Paused (by a person)"), "orange"),
    RunStanding.WAITING: (_l("Waiting (by itself)"), "blue"),
    RunStanding.BLOCKED: (_l("Held (a person is needed)"), "red"),
    RunStanding.ENDING: (_l("Ending"), "orange"),
}
"""How a run stands: word and colour."""

VERDICTS: dict[RunVerdict, tuple[Any, str]] = {
    RunVerdict.SENT: (_l("Finished"), "green"),
    RunVerdict.NOBODY: (_l("Nobody to write to"), "grey"),
    RunVerdict.FAILED: (_l("Failed"), "red"),
    RunVerdict.STOPPED: (_l("Ended"), "orange"),
    RunVerdict.MISSED: (_l("Missed"), "red"),
    RunVerdict.MOVED: (_l("Moved"), "grey"),
}
"""How a run ended: word and colour."""


def state(status: Status) -> str:
    """Return the word for a message's state."""
    return str(STATES[status])


def reason(status: Status | None, code: str) -> str:
    """Return why a message got no further, in a few words; an unknown code is shown as it is."""
    texts: Mapping[Any, Any] = outcomes.WORDS if status in FAILED_STATES else {**UNCONFIRMED, **CANCELLED}
    return str(texts.get(code, code))


def hold(code: str) -> str:
    """Return why a run waits or has failed: a HoldReason, a RunFailure or an Outcome."""
    texts: Mapping[Any, Any] = {**outcomes.EXPLANATIONS, **FAILURES, **HOLDS}
    return str(texts.get(code, code))


def route(code: str) -> str:
    """Return why messages moved to another channel."""
    texts: Mapping[Any, Any] = ROUTES
    return str(texts.get(code) or hold(code))


def origin(code: Origin | None) -> str:
    """Return who wrote a value."""
    return str(ORIGINS[code]) if code else str(_l("not recorded"))


def drift_group(newer: bool, changed: bool) -> str:
    """Return how people differ from those who were reviewed."""
    if newer:
        return str(_l("New since the review"))
    return str(_l("Changed since the review") if changed else _l("There at the review"))


def pinned(code: str) -> str:
    """Return why the automation leaves a run on its channel."""
    return str(STAYS[PinReason(code)])


def standing(code: RunStanding | RunVerdict) -> str:
    """Return the word for how a run is going, or how it ended."""
    return str(_standing(code)[0])


def standing_colour(code: RunStanding | RunVerdict) -> str:
    return _standing(code)[1]


def _standing(code: RunStanding | RunVerdict) -> tuple[Any, str]:
    return VERDICTS[code] if isinstance(code, RunVerdict) else STANDINGS[code]
