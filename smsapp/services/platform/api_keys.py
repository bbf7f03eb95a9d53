"""Keys of the HTTP API: made, shown once, revoked, and recognised by their hash."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from smsapp.domain import api_key as rules
from smsapp.domain.api_key import KEY, SHOWN, KeyState, Scope
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.provenance import Door, Program
from smsapp.domain.rights import Right
from smsapp.domain.roles import Role
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import current_session, writing
from smsapp.store.sign_in import api_keys as store
from smsapp.store.sign_in.api_keys import ApiKey

NOUN = "api_key"
TOUCHED_EVERY = dt.timedelta(minutes=5)
"""How exact the time of the last use is."""

KeyRow = ApiKey


@dataclass(frozen=True)
class NewKey:
    """A key that was just made; `text` is shown this once."""

    row: ApiKey
    text: str = field(repr=False)


@dataclass(frozen=True)
class KeyHolder:
    """Who calls the API, as one request knows it."""

    key_id: int
    name: str
    scopes: tuple[Scope, ...]
    is_test: bool
    sees_numbers: bool
    per_minute: int

    def actor(self, door: Door, address: str = "", request: tuple[int, str] | None = None) -> Actor:
        """Return the actor for services and the audit log; `request` names the row of its Idempotency-Key."""
        role: Role | None = rules.role_of(self.scopes)
        name = f"{door.upper()}: {self.name}"
        return Actor(name, address=address, role=role, request=request, program=Program(self.name, door))


def listed() -> Sequence[ApiKey]:
    """Return all keys, newest first."""
    return store.listed(current_session())


def get(key_id: int) -> ApiKey:
    """Return the key; raises NotFound."""
    row = current_session().get(ApiKey, key_id)
    if row is None:
        raise NotFound(NOUN)
    return row


def named(name: str) -> ApiKey:
    """Return the key of this name; raises NotFound."""
    row = next((row for row in listed() if row.name == name.strip()), None)
    if row is None:
        raise NotFound(NOUN)
    return row


def state(row: ApiKey, now: dt.datetime) -> KeyState:
    """Return whether the key counts."""
    return rules.state(row.expires_at, row.revoked_at, now)


def create(
    name: str,
    scopes: Collection[Scope],
    by: Actor,
    now: dt.datetime,
    *,
    days: int | None = None,
    is_test: bool = False,
    sees_numbers: bool = False,
    per_minute: int = rules.PER_MINUTE,
) -> NewKey:
    """Make a key that works at once and for `days` (None: until it is revoked); raises Refusal."""
    require(by, Right.KEYS_WRITE)
    if wrong := rules.problems(name, scopes, days, per_minute):
        raise Refusal(*wrong)
    text = f"sms_{'test' if is_test else 'live'}_{secrets.token_urlsafe(32)}"
    row = ApiKey(
        name=name.strip(),
        digest=_digest(text),
        shown=text[:SHOWN],
        scopes=" ".join(scope for scope in Scope if scope in scopes),
        is_test=is_test,
        sees_numbers=sees_numbers,
        per_minute=per_minute,
        created_by=by.user_id,
        created_at=now,
        expires_at=None if days is None else now + dt.timedelta(days=days),
    )
    with writing() as session:
        if store.is_taken(session, row.name):
            raise Refusal(Problem("api_key_exists", "name", {"name": row.name}))
        session.add(row)
        session.flush()
        facts = {"scopes": row.scopes, "test": is_test, "sees_numbers": sees_numbers, "days": days}
        audit_log.log_action(session, by, "create", NOUN, row.id, now, name=row.name, **facts)
    return NewKey(row, text)


def revoke(key_id: int, by: Actor, now: dt.datetime) -> ApiKey:
    """Let a key count no more, for ever; it stays in the list."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        row = get(key_id)
        if row.revoked_at is None:
            row.revoked_at = now
            audit_log.log_action(session, by, "revoke", NOUN, row.id, now, name=row.name)
    return row


def recognise(text: str, now: dt.datetime) -> KeyHolder | None:
    """Return whose key this is; None if it is no key, or one that does not count (any more)."""
    if not KEY.fullmatch(text):
        return None
    row = store.by_digest(current_session(), _digest(text))
    if row is None or state(row, now) is not KeyState.ACTIVE:
        return None
    if row.last_used_at is None or now - row.last_used_at > TOUCHED_EVERY:
        with writing() as session:
            store.touch(session, row.id, now)
    scopes = rules.scopes_of(row.scopes)
    return KeyHolder(row.id, row.name, scopes, row.is_test, row.sees_numbers, row.per_minute)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
