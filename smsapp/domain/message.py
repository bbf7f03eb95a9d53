"""One contact's text within one run: its states, and which receipts may change them."""

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
    EXPIRED = 9
    """Not sent by the time until which its text was worth sending. Final: it never left."""

    __hash__ = int.__hash__
    """Enum's own hash runs in Python, which is slow where every message is looked up by its status."""


def advance(current: Status, status: Status) -> Status:
    """Return the state after a receipt with status `status`; the state never goes down in rank.

    A cancelled or expired message was never sent, so no receipt can change it; none says that a
    message expired here. A receipt for a message that is still
    queued or in flight is early, not wrong. *Delivered* replaces an earlier *undelivered* (some gateways report a
    failed first try before the second one succeeds) and is final. A refused message stays refused (Kannel refuses a
    text and still sends a failure receipt) unless it was delivered after all.
    """
    if (
        current in NEVER_LEFT
        or status is Status.EXPIRED
        or (current is Status.REFUSED and status is not Status.DELIVERED)
    ):
        return current
    return max(current, status)


NEVER_LEFT = frozenset({Status.CANCELLED, Status.EXPIRED})
"""Surely not sent, and not sent any more."""
ACCEPTED_STATES = frozenset({Status.ACCEPTED, Status.DELIVERED, Status.UNDELIVERED, Status.NO_RECEIPT})
"""The channel accepted the message, whatever happened later."""
FAILED_STATES = frozenset({Status.REFUSED, Status.UNDELIVERED})
"""Surely not received; the only states that are retried without a person's decision."""


class Resolution(enum.StrEnum):
    """A person's decision about an unconfirmed message."""

    COUNT_AS_SENT = "sent"
    RESEND = "resend"
    KEEP = "keep"
