"""AppKeys: by which the organisation's apps may report profiles."""

from __future__ import annotations

import datetime as dt
import secrets

from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.services import trail
from smsapp.services.trail import Actor
from smsapp.store import intake
from smsapp.store.db import writing
from smsapp.store.intake import AppKey
from smsapp.store.settings import settings

MOST_NAME = 120


def listed() -> list[AppKey]:
    """Return all keys, the oldest first."""
    return intake.app_keys()


def key(found: str) -> AppKey:
    """Return the key; raise NotFound."""
    row = intake.app_key(found)
    if row is None:
        raise NotFound("app_key")
    return row


def create(name: str, by: Actor, now: dt.datetime) -> AppKey:
    """Make a key that works at once; two keys must not have the same name."""
    name = name.strip()
    if not name or len(name) > MOST_NAME:
        raise Refusal(Problem("key_name", "name", {"most": MOST_NAME}))
    made = AppKey(key=secrets.token_hex(16), name=name, active=True, created_at=now)
    with writing() as session:
        if any(row.name == name for row in intake.app_keys()):
            raise Refusal(Problem("key_exists", "name", {"name": name}))
        session.add(made)
        trail.note(session, by, "create", "app_key", name, now)
    return made


def switch(found: str, active: bool, by: Actor, now: dt.datetime) -> AppKey:
    """Let a key work, or work no more; records reported with a disabled key go to the error list."""
    with writing() as session:
        row = key(found)
        if row.active is not active:
            row.active = active
            trail.note(session, by, "enable" if active else "disable", "app_key", row.name, now)
    return row


def server_url(seen: str) -> str:
    """Return the address that SDKs are configured with: PUBLIC_URL, or `seen`, where this page was asked for."""
    return settings().PUBLIC_URL or seen.rstrip("/")
