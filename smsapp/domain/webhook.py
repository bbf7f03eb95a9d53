"""Webhooks as Standard Webhooks has them: which events there are, how they are signed, when they are sent again."""

from __future__ import annotations

import base64
import datetime as dt
import enum
import hashlib
import hmac

SECRET_PREFIX = "whsec_"  # noqa: S105 -- how Standard Webhooks marks secrets
SECRET_BYTES = 32
PAUSES = (5, 30, 120, 600, 1800, 3600, *(n * 3600 for n in (2, 4, 8, 12, 12, 12, 12, 12)))
"""Seconds to wait after the first, second ... try that failed; more than three days in all."""
GONE = 410
"""The receiver's status that asks for no more events."""
LONGEST_WAIT = 10.0
"""Seconds that a receiver may take for its answer."""
KEPT_DAYS = 30
"""Events can be sent anew for so long."""


class EventKind(enum.StrEnum):
    """What may be sent to a webhook."""

    RUN_STARTED = "run.started"
    RUN_HELD = "run.held"
    RUN_FINISHED = "run.finished"
    MESSAGE_RESULTS = "message.results"
    """States of messages after answers and receipts, many in one event."""
    REPLY_RECEIVED = "reply.received"
    OPT_OUT_ADDED = "opt_out.added"
    TEMPLATE_CHANGED = "template.changed"
    REGISTRATION_CHANGED = "registration.changed"
    TEST = "webhook.test"
    """Asked for by a person; to this webhook only, whatever it has chosen."""


OFFERED = tuple(kind for kind in EventKind if kind is not EventKind.TEST)


class DeliveryState(enum.StrEnum):
    WAITING = "waiting"
    DELIVERED = "delivered"
    FAILED = "failed"
    """No try of PAUSES was successful; a person may have it sent anew."""


def pause_after(tries: int) -> dt.timedelta | None:
    """Return how long to wait after so many tries that failed; None: it is given up."""
    return dt.timedelta(seconds=PAUSES[tries - 1]) if tries <= len(PAUSES) else None


def is_secret(text: str) -> bool:
    """Return whether this is a secret with which can be signed."""
    try:
        return text.startswith(SECRET_PREFIX) and len(_key(text)) >= SECRET_BYTES
    except ValueError:
        return False


def signature(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of the header `webhook-signature`. `timestamp`: Unix seconds of the try."""
    content = f"{event_id}.{timestamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(_key(secret), content, hashlib.sha256)).decode()}"


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
