"""Requests of the HTTP API that may be sent again: one Idempotency-Key has one effect and one answer.

The effect is marked in its own transaction, by the entry of the audit log that every change makes. So a process that
is killed behind its commit leaves no doubt: whoever sends the request again learns that it was done.
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
from dataclasses import dataclass

from smsapp.domain.api_key import KEPT_FOR, Step
from smsapp.store import api_requests as store
from smsapp.store.api_requests import ApiRequest, Place
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

MARGIN = dt.timedelta(seconds=15)
"""How long behind its time limit a request is taken to be going on."""


class Earlier(enum.StrEnum):
    """What there is of an earlier request with the same key."""

    NONE = "none"
    RUNS = "runs"
    OTHER = "other"
    """The same key for another request."""
    CHANGED = "changed"
    """It was done, but its answer is not stored yet, or is lost with its process."""
    ANSWERED = "answered"


@dataclass(frozen=True)
class Claim:
    """The right to carry a request out, or what is known of an earlier one."""

    place: Place
    earlier: Earlier
    status: int = 0
    answer: str = ""
    noun_id: int | None = None


def begin(key_id: int, idempotency_key: str, request: bytes, now: dt.datetime) -> Claim:
    """Claim a request; `request` is what makes it the same one: method, address and body."""
    place = (key_id, hashlib.sha256(idempotency_key.encode()).hexdigest())
    fingerprint = hashlib.sha256(request).hexdigest()
    lease_until = now + dt.timedelta(seconds=settings().REQUEST_SECONDS) + MARGIN
    with writing() as session:
        store.forget_old(session, now - KEPT_FOR)
        if store.begin(session, place, fingerprint, now, lease_until):
            return Claim(place, Earlier.NONE)
        row = store.locked(session, place)
        if row is None:  # it was given back this moment
            return Claim(place, Earlier.RUNS)
        earlier = _earlier(row, fingerprint, now)
        if earlier is Earlier.NONE:
            row.lease_until = lease_until
        return Claim(place, earlier, row.status, row.answer, row.noun_id)


def _earlier(row: ApiRequest, fingerprint: str, now: dt.datetime) -> Earlier:
    """Return what the row says of the request; NONE: who was at it is gone and has changed nothing."""
    if row.fingerprint != fingerprint:
        return Earlier.OTHER
    if row.step != Step.BEGUN:
        return Earlier.ANSWERED if row.step == Step.ANSWERED else Earlier.CHANGED
    return Earlier.RUNS if row.lease_until >= now else Earlier.NONE


def finish(claim: Claim, status: int, answer: str) -> None:
    """Store the answer of a request that was carried out."""
    with writing() as session:
        store.answer(session, claim.place, status, answer)


def give_back(claim: Claim) -> None:
    """Let a request be sent again that was refused; if it has changed something, it stays done."""
    current_session().rollback()  # what was refused may have been a statement
    with writing() as session:
        store.forget_unchanged(session, claim.place)
