"""One contact's text within one run: its states, and which news may change them."""

from __future__ import annotations

import enum


class Status(enum.IntEnum):
    """Stored as a small integer in the ledger's largest table; the order is the rank of `advance`."""

    QUEUED = 0
    IN_FLIGHT = 1
    CANCELLED = 2
    UNCONFIRMED = 3
    REFUSED = 4
    ACCEPTED = 5
    NO_RECEIPT = 6
    UNDELIVERED = 7
    DELIVERED = 8

    __hash__ = int.__hash__
    """Enum's own goes through Python, which shows where every message is looked up by its status."""


def advance(current: Status, status: Status) -> Status:
    """Return the state after this news; it never goes down in rank.

    A cancelled message never left the house, so nothing a provider says can change it. A receipt for a message
    that is still queued or in flight is early, not wrong. A carrier's *delivered* beats an earlier *undelivered*
    (some gateways report a failed first try before the second one succeeds) and is final. A refused message stays
    refused (Kannel refuses a text and sends a failure receipt all the same) unless it was delivered after all.
    """
    if current is Status.CANCELLED or (current is Status.REFUSED and status is not Status.DELIVERED):
        return current
    return max(current, status)


ACCEPTED_STATES = frozenset({Status.ACCEPTED, Status.DELIVERED, Status.UNDELIVERED, Status.NO_RECEIPT})
"""The channel took the message, whatever became of it later."""
FAILED_STATES = frozenset({Status.REFUSED, Status.UNDELIVERED})
"""Surely not with the person; the only states that are tried again without somebody deciding it."""


class Resolution(enum.StrEnum):
    """What a person may decide about a unconfirmed message."""

    COUNT_AS_SENT = "sent"
    RESEND = "resend"
    KEEP = "keep"
