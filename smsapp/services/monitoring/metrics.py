"""The numbers of /metrics that come from the database and Redis. What does not answer leaves its numbers out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from sqlalchemy.exc import SQLAlchemyError

from smsapp.domain.phone import mask_inside
from smsapp.domain.quota import Measure
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import quotas
from smsapp.services.channels import accounts
from smsapp.services.monitoring import health
from smsapp.services.receipts import callback_inbox
from smsapp.services.sending import held_connections
from smsapp.store import last_checks, queue, rate_limit
from smsapp.store.apps import app_keys
from smsapp.store.campaigns import campaigns
from smsapp.store.channels import channel_health, paces
from smsapp.store.db import current_session
from smsapp.store.last_checks import Check
from smsapp.store.receipts import inbox, unconfirmed
from smsapp.store.runs import queued

MOST_UNREAD = 50_000
Sample: TypeAlias = tuple[str, tuple[str, ...], float]
"""(name of a metric of domain/metrics.py, values of its labels in their order, value)"""
UP_MEASURES = {
    "up_records": Measure.RECORDS,
    "up_new_contacts": Measure.NEW_CONTACTS,
    "up_bytes": Measure.BYTES,
}


def gather(now: dt.datetime) -> list[Sample]:
    """Return the present numbers."""
    database, listeners = health.database(), health.listeners()
    samples: list[Sample] = [
        ("database_up", (), database.answers),
        ("schema_usable", (), database.is_usable),
        ("redis_up", (), listeners.answers),
        ("redis_takes_writes", (), listeners.takes_writes),
        ("scheduler_up", (), listeners.scheduler),
        ("disk_free_bytes", (), health.free_space()),
    ]
    parts: list[Callable[[dt.datetime], Iterator[Sample]]] = []
    if listeners.answers:
        parts += [_queues, _checks]
    if database.is_usable:
        parts += [_campaigns, _inbox, _channels]
    if listeners.answers and database.is_usable:
        parts += [_uploads, _rates]
    for part in parts:
        try:
            samples += part(now)
        except (SQLAlchemyError, queue.QueueDown):
            continue
    return samples


def _queues(_now: dt.datetime) -> Iterator[Sample]:
    for name, state in queue.queue_states().items():
        yield "workers", (name,), state.workers
        yield "queue_jobs", (name,), state.waiting
        yield "queue_failed_jobs", (name,), state.failed


def _checks(now: dt.datetime) -> Iterator[Sample]:
    for check, (at, n) in last_checks.noted().items():
        age = (now - at).total_seconds()
        if check is Check.SWEEP:
            yield "sweep_age_seconds", (), age
        else:
            yield "numbers_off", (check,), n
            yield "numbers_checked_seconds", (check,), age


def _campaigns(now: dt.datetime) -> Iterator[Sample]:
    session = current_session()
    due_at = campaigns.oldest_due(session, now)
    yield "campaign_overdue_seconds", (), (now - due_at).total_seconds() if due_at else 0
    states, reasons = queued.unfinished_counts(session)
    for state, n in states.items():
        yield "runs", (state,), n
    for reason, n in reasons.items():
        yield "runs_held", (reason,), n
    yield "messages_unconfirmed", (), unconfirmed.total(session)


def _inbox(now: dt.datetime) -> Iterator[Sample]:
    yield "inbox_unread_callbacks", (), callback_inbox.unread_count(MOST_UNREAD)
    received_at = inbox.oldest_unread()
    yield "inbox_oldest_seconds", (), (now - received_at).total_seconds() if received_at else 0


def _channels(now: dt.datetime) -> Iterator[Sample]:
    rows = accounts.choices()
    for row in rows:
        yield "channel_info", (str(row.id), mask_inside(row.name), row.kind), 1
        yield "channel_balance_low", (str(row.id),), row.is_low
        if row.rate:
            yield "channel_rate_limit", (str(row.id),), row.rate
    for row in held_connections.unheld(now):
        yield "channel_unheld", (str(row.id),), 1
    for channel_id, pace in paces.of(current_session(), [row.id for row in rows]).items():
        yield "channel_learned_rate", (str(channel_id),), pace.rate(now)
    for channel_id, result, reason, n in channel_health.totals(current_session()):
        yield "channel_messages", (str(channel_id), result, reason), n


def _rates(_now: dt.datetime) -> Iterator[Sample]:
    for row in accounts.choices():
        yield "channel_rate", (str(row.id),), rate_limit.in_use(row.id)


def _uploads(now: dt.datetime) -> Iterator[Sample]:
    kinds: Mapping[int, KeyKind] = {key.id: KeyKind(key.kind) for key in app_keys.all_keys(current_session())}
    for name, measure in UP_MEASURES.items():
        used = quotas.used_today(list(kinds), measure, now)
        for kind in KeyKind:
            yield name, (kind,), sum(n for key_id, n in used.items() if kinds[key_id] is kind)
