"""Events are noted while a transaction goes on, and written as it commits: with what has happened, or not at all.

Written last, under a lock of their campaign that is held until the commit, events of a campaign have ids in the order
in which they became true, and no long transaction keeps another one waiting. If no webhook has chosen a kind, nothing
is written for it.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.webhook import EventKind
from smsapp.store import queue
from smsapp.store.apps import webhooks
from smsapp.store.apps.webhooks import Webhook
from smsapp.store.db import after_commit, dialect

NOTED = "events for webhooks"
_LOCK = sa.text("SELECT pg_advisory_xact_lock(hashtext('smsapp.webhook'), :campaign_id)")


class _Noted(NamedTuple):
    kind: EventKind
    campaign_id: int | None
    at: dt.datetime
    data: Mapping[str, Any]


def note(session: Session, kind: EventKind, campaign_id: int | None, now: dt.datetime, **data: Any) -> None:
    """Have this transaction leave an event; `data` is JSON without phone numbers and secrets."""
    session.info.setdefault(NOTED, []).append(_Noted(kind, campaign_id, now, data))


def is_wanted(session: Session, kind: EventKind) -> bool:
    """Return whether a webhook has chosen this kind: asked before an event is put together that costs something."""
    chosen = session.scalars(sa.select(Webhook.kinds).where(Webhook.active))
    return any(kind in kinds for kinds in chosen)


def have_sent(session: Session) -> None:
    """Have what waits for webhooks sent once this transaction is committed."""
    after_commit(session, lambda: queue.enqueue_unless_waiting(queue.PERIODIC, "deliver_webhooks"))


def _active(session: Session) -> Sequence[tuple[int, list[str]]]:
    """Return (webhook, kinds) of those in use; they cannot be removed until the transaction ends."""
    rows = sa.select(Webhook.id, Webhook.kinds).where(Webhook.active).order_by(Webhook.id)
    return [
        (webhook_id, kinds) for webhook_id, kinds in session.execute(rows.with_for_update(read=True, key_share=True))
    ]


@sa.event.listens_for(Session, "before_commit")
def _write(session: Session) -> None:
    if session.in_nested_transaction():  # a savepoint ends, not the transaction
        return
    noted: list[_Noted] = session.info.pop(NOTED, [])
    if not noted or not (active := _active(session)):
        return
    if dialect() == "postgresql":
        for locked in sorted({event.campaign_id for event in noted if event.campaign_id is not None}):
            session.execute(_LOCK, {"campaign_id": locked})
    written = False
    for kind, campaign_id, at, data in noted:
        if receivers := [webhook_id for webhook_id, kinds in active if kind in kinds]:
            event_id = webhooks.add(session, kind, secrets.token_hex(12), {"campaign": campaign_id, **data}, at)
            webhooks.address(session, event_id, receivers, campaign_id, at)
            written = True
    if written:
        have_sent(session)


@sa.event.listens_for(Session, "after_rollback")
def _drop(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(NOTED, None)
