"""Checks for /healthz and `flask doctor`: what answers, what is late, what does not add up. Nothing here is secret."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken
from sqlalchemy.exc import SQLAlchemyError

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.funnel import broken_identities
from smsapp.domain.roles import Role
from smsapp.services.apps import key_watch
from smsapp.services.channels import accounts, channel_health
from smsapp.services.channels.channel_health import Health
from smsapp.services.platform import schema_check
from smsapp.services.receipts import callback_inbox
from smsapp.services.sending import held_connections
from smsapp.store import last_checks, queue, schema, users
from smsapp.store import settings as stored_settings
from smsapp.store.campaigns import campaigns
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.last_checks import Check
from smsapp.store.queue import QueueHealth
from smsapp.store.redis_server import RedisServer, redis_server
from smsapp.store.runs import funnels
from smsapp.store.settings import settings

LATE = dt.timedelta(minutes=3)
"""No sweep has run if a campaign is this long overdue."""
RUNS_LOOKED_AT = 200


@dataclass(frozen=True)
class Database:
    """`server` is empty if it does not answer; `trouble` is then the kind of error, without addresses."""

    server: str = ""
    problem: Problem | None = None
    """Why this code cannot run with the schema."""
    trouble: str = ""

    @property
    def answers(self) -> bool:
        return bool(self.server)

    @property
    def is_usable(self) -> bool:
        return self.answers and self.problem is None


def database() -> Database:
    """Return whether the database answers and this code may run with it. Does not raise if it does not answer."""
    try:
        return Database(schema.server(), schema_check.problem())
    except SQLAlchemyError as error:
        return Database(trouble=type(error).__name__)


def listeners() -> QueueHealth:
    """Return the health of the queue: its workers and the scheduler."""
    return queue.queue_health()


def redis_setup() -> RedisServer | None:
    """Return how Redis is set up; None if it does not say."""
    return redis_server()


@dataclass(frozen=True)
class Work:
    """The checks of rows; they need a database that answers and is up to date."""

    administrators: int
    late_campaigns: list[int]
    unread_callbacks: int
    unheld_channels: list[str] = field(default_factory=list)
    """Names of channels whose connection no process holds."""
    sealed_channels: list[str] = field(default_factory=list)
    """Names of channels whose secrets the present keys do not decrypt."""
    channels: list[tuple[ChannelRow, Health]] = field(default_factory=list)
    """Active channels and their health."""
    unknown_codes: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """Channel -> (code, messages) that no table describes, the latest first."""
    key_alarms: dict[str, list[str]] = field(default_factory=dict)
    """AppKey -> kinds of its alarms that nobody has taken note of."""
    broken_runs: dict[int, list[str]] = field(default_factory=dict)
    """Run -> identities of its numbers that do not hold."""


def work(now: dt.datetime) -> Work:
    """Return what is late, unread, not decryptable or does not add up."""
    session = current_session()
    key_alarms: dict[str, list[str]] = {}
    for alarm, name in key_watch.unnoted():
        key_alarms.setdefault(name, []).append(alarm.kind)
    broken = {
        run_id: broken_identities(funnel) for run_id, funnel in funnels.newest_funnels(session, RUNS_LOOKED_AT).items()
    }
    return Work(
        administrators=users.count_able(session, Role.ADMINISTRATOR),
        late_campaigns=list(campaigns.due(session, now - LATE)),
        unread_callbacks=callback_inbox.unread_count(),
        unheld_channels=[row.name for row in held_connections.unheld(now)],
        sealed_channels=[row.name for row in accounts.choices() if not _opens(row.id)],
        channels=[(row, channel_health.health(row.id, now)) for row in accounts.choices()],
        unknown_codes={
            row.name: unknown_codes
            for row in accounts.choices()
            if (unknown_codes := [(code.code, code.n) for code in channel_health.unknown_codes(row.id)])
        },
        key_alarms=key_alarms,
        broken_runs={run_id: identities for run_id, identities in broken.items() if identities},
    )


def _opens(channel_id: int) -> bool:
    try:
        accounts.adapter(channel_id)
    except (Refusal, InvalidToken):
        return False
    return True


def keys_are_readable() -> bool:
    """Return whether the keys for sessions and channels' secrets can be read and are keys."""
    try:
        return bool(
            stored_settings.secret_key(settings()) and [*map(Fernet, stored_settings.encryption_keys(settings()))]
        )
    except (OSError, ValueError):
        return False


def note_numbers(now: dt.datetime) -> None:
    """Check the identities of the latest runs, for monitoring."""
    funnels_by_run = funnels.newest_funnels(current_session(), RUNS_LOOKED_AT)
    last_checks.note(Check.LATEST, now, sum(bool(broken_identities(funnel)) for funnel in funnels_by_run.values()))


def free_space() -> int:
    """Return the bytes left on the disk of the instance folder."""
    return shutil.disk_usage(settings().INSTANCE_DIR).free
