"""AppKeys, with which the organisation's apps may report profiles."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Collection, Mapping, Sequence

from smsapp.domain.contact import property_name
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.rejection import Unfit
from smsapp.domain.rights import Right
from smsapp.domain.trust import KeyKind, Rule
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps import app_keys
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts import public_names
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings

MOST_NAME = 120

KeyRow = AppKey


def listed() -> list[AppKey]:
    """Return all keys, the oldest first."""
    return app_keys.all_keys(current_session())


def key(key_id: int) -> AppKey:
    """Return the key; raise NotFound."""
    row = app_keys.app_key(current_session(), key_id)
    if row is None:
        raise NotFound("app_key")
    return row


def key_of(text: str) -> AppKey:
    """Return the key with this text; raise NotFound."""
    row = next((row for row in app_keys.all_keys(current_session()) if row.key == text), None)
    if row is None:
        raise NotFound("app_key")
    return row


def create(name: str, kind: KeyKind, by: Actor, now: dt.datetime, properties: Collection[str] | None = None) -> AppKey:
    """Make a key that works at once; two keys must not have the same name.

    `properties` are the names that it may write; None = all. Raises Refusal.
    """
    require(by, Right.KEYS_WRITE)
    row = AppKey(key=secrets.token_hex(16), kind=kind, active=True, created_at=now, rules={})
    with writing() as session:
        _describe(row, name, properties)
        session.add(row)
        audit_log.log_action(session, by, "create", "app_key", row.name, now, kind=kind.value)
    return row


def change(
    key_id: int, name: str, properties: Collection[str] | None, rules: Mapping[str, Rule], by: Actor, now: dt.datetime
) -> AppKey:
    """Give a key another name, other properties that it may write, other rules; raise Refusal."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        row = key(key_id)
        _describe(row, name, properties)
        row.rules = {name: rule.value for name, rule in sorted(rules.items())} if row.kind != KeyKind.SERVER else {}
        audit_log.log_action(
            session, by, "change", "app_key", row.name, now, properties=row.properties, rules=row.rules
        )
    return row


def _describe(row: AppKey, name: str, properties: Collection[str] | None) -> None:
    name = name.strip()
    if not name or len(name) > MOST_NAME:
        raise Refusal(Problem("key_name", "name", {"most": MOST_NAME}))
    if any(other.name == name and other.id != row.id for other in app_keys.all_keys(current_session())):
        raise Refusal(Problem("key_exists", "name", {"name": name}))
    row.name = name
    row.properties = None if properties is None else [_property(raw) for raw in dict.fromkeys(properties)]


def _property(raw: str) -> str:
    try:
        return property_name(raw.strip())
    except Unfit:
        raise Refusal(Problem("key_property", "properties", {"name": raw.strip()[:40]})) from None


def switch(key_id: int, active: bool, by: Actor, now: dt.datetime) -> AppKey:
    """Enable or disable a key; records reported with a disabled key go to the error list."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        row = key(key_id)
        if row.active is not active:
            row.active = active
            app_keys.note_switch(session, row)
            audit_log.log_action(session, by, "enable" if active else "disable", "app_key", row.name, now)
    return row


def names_of(row: AppKey) -> list[str]:
    """Return the properties that a public key has reported first and that nobody has taken over."""
    return public_names.of_key(current_session(), row.id)


def take_over(key_id: int, by: Actor, now: dt.datetime) -> None:
    """Take over the properties that a public key has added: they no longer count against its limit."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        row = key(key_id)
        public_names.mark_all_trusted(session, row.id)
        audit_log.log_action(session, by, "take_over", "app_key", row.name, now)


def advised(active: Sequence[AppKey], *, browser: bool) -> AppKey | None:
    """Return the key to show first: a browser key for a browser SDK, else a server key; None if there are no keys."""
    kind = KeyKind.BROWSER if browser else KeyKind.SERVER
    return next((row for row in active if row.kind == kind), active[0] if active else None)


def server_url(seen: str) -> str:
    """Return the address that SDKs are configured with: PUBLIC_URL, or `seen`, the requested address of this page."""
    return settings().PUBLIC_URL or seen.rstrip("/")
