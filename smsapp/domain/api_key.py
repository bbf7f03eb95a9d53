"""Keys of the HTTP API: their scopes, the role that follows from them, what they look like, how many requests.

Another kind of key than AppKeys (domain/trust.py), which only report profiles.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Collection, Mapping

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.roles import Role

MOST_NAME = 80
MOST_DAYS = 3650
"""The longest time a key may be made for."""
PER_MINUTE, MOST_PER_MINUTE = 300, 60_000
"""Requests a minute: of a new key, and at most."""
SIMULATOR = "simulator"
"""The only kind of channel that a test key reaches."""
KEY = re.compile(r"sms_(live|test)_[A-Za-z0-9_-]{43}")
SHOWN = 14
"""First characters of a key that lists show: its kind and five random ones."""


class Scope(enum.StrEnum):
    """What a key may do; each operation needs one of them."""

    READ = "read"
    DRAFT = "draft"
    """Create, change and rehearse drafts, and nothing else; write includes it."""
    WRITE = "write"
    """Change contacts, segments, templates, opt-outs and drafts; stop, pause and end."""
    CONFIRM = "confirm"
    """Let texts leave: confirm a campaign, resume it, send one message."""


ROLE_OF: Mapping[Scope, Role] = {
    Scope.READ: Role.VIEWER,
    Scope.DRAFT: Role.OPERATOR,
    Scope.WRITE: Role.OPERATOR,
    Scope.CONFIRM: Role.OPERATOR,
}
"""The role in which the services see a key. The scope of each operation is asked before, by the API itself."""


class RealChannelRefused(Refusal):
    """A test key asked for a channel that is no simulator."""

    def __init__(self) -> None:
        super().__init__(Problem("test_key"))


def covers(scopes: Collection[Scope], needed: Scope) -> bool:
    """Return whether a key with these scopes may do what needs this one."""
    return needed in scopes or (needed is Scope.DRAFT and Scope.WRITE in scopes)


def role_of(scopes: Collection[Scope]) -> Role | None:
    """Return the role of a key; None if it has no scope."""
    if not scopes:
        return None
    return Role.OPERATOR if any(ROLE_OF[scope] is Role.OPERATOR for scope in scopes) else Role.VIEWER


def scopes_of(text: str) -> tuple[Scope, ...]:
    """Return the scopes stored as "read write"."""
    stored = text.split()
    return tuple(scope for scope in Scope if scope in stored)


def problems(name: str, scopes: Collection[Scope], days: int | None, per_minute: int) -> list[Problem]:
    """Return what is wrong with a key that is to be made; `days` until it expires, None = never."""
    wrong = []
    if not name.strip() or len(name.strip()) > MOST_NAME:
        wrong.append(Problem("api_key_name", "name", {"most": MOST_NAME}))
    if not scopes:
        wrong.append(Problem("api_key_scopes", "scopes"))
    if days is not None and not 1 <= days <= MOST_DAYS:
        wrong.append(Problem("api_key_days", "days", {"most": MOST_DAYS}))
    if not 1 <= per_minute <= MOST_PER_MINUTE:
        wrong.append(Problem("api_key_per_minute", "per_minute", {"most": MOST_PER_MINUTE}))
    return wrong


class KeyState(enum.StrEnum):
    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


def state(expires_at: dt.datetime | None, revoked_at: dt.datetime | None, now: dt.datetime) -> KeyState:
    """Return whether a key counts."""
    if revoked_at is not None:
        return KeyState.REVOKED
    return KeyState.EXPIRED if expires_at is not None and expires_at <= now else KeyState.ACTIVE


class Step(enum.StrEnum):
    """How far a request with an Idempotency-Key is."""

    BEGUN = "begun"
    CHANGED = "changed"
    """What it asks for is committed, in the same transaction as this step; its answer is not stored yet."""
    ANSWERED = "answered"


KEPT_FOR = dt.timedelta(hours=24)
"""How long an Idempotency-Key is remembered."""
