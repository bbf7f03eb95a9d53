"""Why a message was refused or not delivered: one vocabulary for all providers, and its meaning for people."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Charged(enum.StrEnum):
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Outcome(enum.StrEnum):
    """The class of a failure; the provider's own code is kept beside it."""

    BAD_NUMBER = "bad_number"
    NO_SUCH_SUBSCRIBER = "no_such_subscriber"
    SWITCHED_OFF = "switched_off"
    SUSPENDED = "suspended"
    BLOCKED_BY_CARRIER = "blocked_by_carrier"
    OPTED_OUT = "opted_out"
    FREQUENCY_LIMIT = "frequency_limit"
    CONTENT_REFUSED = "content_refused"
    TEMPLATE_REFUSED = "template_refused"
    SIGNATURE_REFUSED = "signature_refused"
    SIGNATURE_UNREGISTERED = "signature_unregistered"
    """The carrier does not know the signature (签名未报备); perhaps only in this province, or not yet."""
    TEMPLATE_UNREGISTERED = "template_unregistered"
    """The carrier does not know the template (模板未报备)."""
    CONTACT_BLOCKED = "contact_blocked"
    """The carrier does not know a link or phone number in the text (引流信息被拦截)."""
    OUTSIDE_HOURS = "outside_hours"
    CREDENTIALS = "credentials"
    BALANCE = "balance"
    QUOTA = "quota"
    THROTTLED = "throttled"
    EXPIRED = "expired"
    NETWORK = "network"
    PROVIDER_FAULT = "provider_fault"
    OUR_FAULT = "our_fault"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Meaning:
    """Whether an outcome is worth another try, and whether the provider usually charges for it."""

    retriable: bool
    charged: Charged


MEANING: dict[Outcome, Meaning] = {
    Outcome.BAD_NUMBER: Meaning(False, Charged.NO),
    Outcome.NO_SUCH_SUBSCRIBER: Meaning(False, Charged.UNKNOWN),
    Outcome.SWITCHED_OFF: Meaning(True, Charged.YES),
    Outcome.SUSPENDED: Meaning(False, Charged.YES),
    Outcome.BLOCKED_BY_CARRIER: Meaning(False, Charged.UNKNOWN),
    Outcome.OPTED_OUT: Meaning(False, Charged.NO),
    Outcome.FREQUENCY_LIMIT: Meaning(True, Charged.NO),
    Outcome.CONTENT_REFUSED: Meaning(False, Charged.UNKNOWN),
    Outcome.TEMPLATE_REFUSED: Meaning(True, Charged.NO),
    Outcome.SIGNATURE_REFUSED: Meaning(True, Charged.NO),
    Outcome.SIGNATURE_UNREGISTERED: Meaning(True, Charged.UNKNOWN),
    Outcome.TEMPLATE_UNREGISTERED: Meaning(True, Charged.UNKNOWN),
    Outcome.CONTACT_BLOCKED: Meaning(True, Charged.UNKNOWN),
    Outcome.OUTSIDE_HOURS: Meaning(True, Charged.NO),
    Outcome.CREDENTIALS: Meaning(True, Charged.NO),
    Outcome.BALANCE: Meaning(True, Charged.NO),
    Outcome.QUOTA: Meaning(True, Charged.NO),
    Outcome.THROTTLED: Meaning(True, Charged.NO),
    Outcome.EXPIRED: Meaning(True, Charged.UNKNOWN),
    Outcome.NETWORK: Meaning(True, Charged.UNKNOWN),
    Outcome.PROVIDER_FAULT: Meaning(True, Charged.UNKNOWN),
    Outcome.OUR_FAULT: Meaning(True, Charged.NO),
    Outcome.UNKNOWN: Meaning(False, Charged.UNKNOWN),
}


RETRIABLE = frozenset(outcome for outcome, meaning in MEANING.items() if meaning.retriable)

FAILOVER_OUTCOMES = frozenset(
    {
        Outcome.TEMPLATE_REFUSED,
        Outcome.SIGNATURE_REFUSED,
        Outcome.CREDENTIALS,
        Outcome.BALANCE,
        Outcome.QUOTA,
        Outcome.THROTTLED,
        Outcome.NETWORK,
        Outcome.PROVIDER_FAULT,
    }
)
"""Refusals caused by the account or its provider, not by the person or the text: another channel may accept it."""


class CallResult(enum.StrEnum):
    """The result of testing an account or of one call."""

    OK = "ok"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    THROTTLED = "throttled"
    ACCOUNT_ERROR = "account_error"
    OUTCOME_UNKNOWN = "outcome_unknown"
    UNTESTED = "untested"
    """It cannot be tested without sending a message."""

    __hash__ = str.__hash__
    """Enum's own hash runs in Python, which is slow where every call is counted."""


def went_well(result: str) -> bool:
    """Return whether a call did what it was for, by its CallResult."""
    return result == CallResult.OK


def was_tried(result: str) -> bool:
    """Return whether there was a way to try it."""
    return result != CallResult.UNTESTED


def tells_outcome(result: str) -> bool:
    """Return whether the provider answered, so that what it said of the message is worth showing."""
    return result in (CallResult.OK, CallResult.REFUSED, CallResult.ACCOUNT_ERROR)
