"""Secrets with which servers sign their uploads: made, shown once, sealed at rest, replaced with a grace."""

from __future__ import annotations

import datetime as dt
import secrets
from functools import lru_cache

from sqlalchemy.orm import Session

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.domain.trust import KeyKind
from smsapp.domain.upload_signature import GRACE, WINDOW, SignatureFault, UploadSignature
from smsapp.services.apps import app_keys
from smsapp.services.platform import audit_log, sealing
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.sealing import Sealed
from smsapp.store.apps import app_keys as rows
from smsapp.store.apps import nonces
from smsapp.store.apps.app_keys import AppKey, KeyRights
from smsapp.store.db import writing

PRESENT, PREVIOUS = "present", "previous"


def make(key_id: int, by: Actor, now: dt.datetime) -> str:
    """Make a secret for a server key and return it, this once; the previous one is taken for GRACE. Raises Refusal."""
    require(by, Right.KEYS_WRITE)
    secret = secrets.token_hex(32)
    with writing() as session:
        row = app_keys.key(key_id)
        if row.kind != KeyKind.SERVER:
            raise Refusal(Problem("key_secret_public"))
        values = {PRESENT: secret}
        if previous := _unsealed(row.secrets).get(PRESENT):
            values[PREVIOUS] = previous
            row.previous_secret_until = now + GRACE
        row.secrets = sealing.seal(values)
        audit_log.log_action(session, by, "make_secret", "app_key", row.name, now)
    return secret


def set_signed_only(key_id: int, signed_only: bool, by: Actor, now: dt.datetime) -> AppKey:
    """Say whether a key takes signed uploads only; raises Refusal if it has no secret."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        row = app_keys.key(key_id)
        if signed_only and not row.secrets:
            raise Refusal(Problem("key_secret_missing"))
        if row.signed_only is not signed_only:
            row.signed_only = signed_only
            audit_log.log_action(session, by, "change", "app_key", row.name, now, signed_only=signed_only)
    return row


def fault(signature: UploadSignature, body: bytes, row: KeyRights | None, now: dt.datetime) -> SignatureFault | None:
    """Return why a signed upload is not taken, None if it is; its nonce is then used up. Raises queue.QueueDown."""
    if row is None:
        return SignatureFault.UNKNOWN_KEY
    values = _unsealed(row.secrets)
    if row.previous_secret_until is None or row.previous_secret_until < now:
        values = {name: value for name, value in values.items() if name != PREVIOUS}
    wrong = signature.fault(body, values.values(), now)
    if wrong is None and not nonces.use(f"{row.id}:{signature.nonce}", 2 * WINDOW):
        return SignatureFault.REPLAYED
    return wrong


def seal_all_anew(session: Session) -> int:
    """Encrypt the secrets of all keys with the newest key of the application; return how many. Raises Sealed."""
    n = 0
    for row in rows.all_keys(session):
        if row.secrets:
            row.secrets = sealing.seal_anew(row.secrets)
            n += 1
    return n


@lru_cache(maxsize=64)
def _opened(token: bytes) -> dict[str, str]:
    return sealing.unseal(token)


def _unsealed(token: bytes | None) -> dict[str, str]:
    """Return the secrets of a key; none if the application's keys do not open them any more."""
    try:
        return dict(_opened(token)) if token else {}
    except Sealed:
        return {}
