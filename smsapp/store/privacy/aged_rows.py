"""Rows that are removed after their time: the same condition counts them for a preview and deletes them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from smsapp.domain.webhook import DeliveryState
from smsapp.store.api_requests import ApiRequest
from smsapp.store.apps.app_keys import BadRecord
from smsapp.store.apps.message_requests import REQUEST
from smsapp.store.apps.webhooks import WebhookDelivery, WebhookEvent
from smsapp.store.contacts.imports import BEGUN_NOT, Import
from smsapp.store.contacts.replies import Reply
from smsapp.store.db import db
from smsapp.store.receipts import inbox
from smsapp.store.receipts.inbox import INBOX, InboxState
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.runs.api_messages import ApiMessage
from smsapp.store.runs.proofs import Proof


@dataclass(frozen=True)
class AgedTable:
    """A table whose rows are dated; ids grow with time."""

    id: Any
    at: Any
    conditions: Sequence[sa.ColumnElement[bool]] = ()
    """Rows for which one of these does not hold stay, whatever their age."""
    is_in_inbox: bool = False

    @property
    def engine(self) -> Engine:
        return inbox.engine() if self.is_in_inbox else db.engine

    def due(self, before: dt.datetime, among: int) -> sa.Select[Any]:
        """Return the SELECT of (id, time) of what may go, of the oldest `among` rows: never the whole table is read."""
        columns = (self.id.label("id"), self.at.label("at"), *(c.label(f"c{n}") for n, c in enumerate(self.conditions)))
        oldest = sa.select(*columns).order_by(self.id).limit(among).subquery("oldest")
        also = [oldest.c[f"c{n}"] for n in range(len(self.conditions))]
        return sa.select(oldest.c.id, oldest.c.at).where(oldest.c.at < before, *also)


INBOX_ROWS = AgedTable(INBOX.c.id, INBOX.c.received_at, [INBOX.c.state != int(InboxState.NEW)], is_in_inbox=True)
UNMATCHED = AgedTable(UnmatchedReceipt.id, UnmatchedReceipt.at)
BAD_RECORDS = AgedTable(BadRecord.id, BadRecord.at)
REPLIES = AgedTable(Reply.id, Reply.received_at, [sa.not_(Reply.waits)])
WEBHOOK_EVENTS = AgedTable(
    WebhookEvent.id,
    WebhookEvent.at,
    [~sa.exists().where(WebhookDelivery.event_id == WebhookEvent.id, WebhookDelivery.state == DeliveryState.WAITING)],
)
API_REQUESTS = AgedTable(ApiRequest.created_at, ApiRequest.created_at)
"""They have no id of their own; those of one moment go together."""
MESSAGE_REQUESTS = AgedTable(REQUEST.c.id, REQUEST.c.at, [REQUEST.c.given.is_(None)], is_in_inbox=True)
API_MESSAGES = AgedTable(ApiMessage.id, ApiMessage.at, [ApiMessage.given.is_(None)])
"""Those that wait to be planned stay."""
PROOFS = AgedTable(Proof.id, Proof.made_at)
WAITING_FILES = AgedTable(Import.id, Import.created_at, [Import.state.in_(BEGUN_NOT)])


def count(aged: AgedTable, before: dt.datetime, most: int) -> tuple[int, dt.datetime | None]:
    """Return (rows older than that moment, counted among the oldest `most`; the time of the oldest of them)."""
    due = aged.due(before, most).subquery()
    with aged.engine.connect() as connection:
        n, oldest = connection.execute(sa.select(sa.func.count(), sa.func.min(due.c.at))).one()
    return int(n), oldest


def delete(connection: Connection, aged: AgedTable, before: dt.datetime, limit: int) -> int:
    """Delete rows older than that moment, of the oldest `limit` rows; return how many."""
    due = aged.due(before, limit).subquery()
    table = aged.id.table if isinstance(aged.id, sa.Column) else aged.id.class_.__table__
    statement = sa.delete(table).where(aged.id.in_(sa.select(due.c.id)))
    return connection.execute(statement).rowcount
