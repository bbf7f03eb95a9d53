"""Sends events to webhooks: each at least once, those of a campaign in their order, again after growing pauses.

One process at a time serves a webhook. Killed in between, the same event is sent again with the same id.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlalchemy.orm import Session

from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpClient
from smsapp.domain.webhook import GONE, LONGEST_WAIT, DeliveryState, pause_after, signature
from smsapp.services.apps import webhooks
from smsapp.services.apps.webhooks import LoggedDelivery, WebhookRow
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.store.apps import webhooks as store
from smsapp.store.apps.webhooks import WebhookDelivery
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

AT_ONCE = 20
BUDGET = dt.timedelta(seconds=15)
"""After which a job ends and another one goes on: receipts and imports wait for the same workers."""
CLAIMED = dt.timedelta(seconds=60)
"""How long a webhook is claimed: longer than one round takes."""
UNREADABLE = "secret_sealed"
RECEIVER = Actor("receiver of events")
"""Who has a webhook switched off by its answer."""


class Answer(NamedTuple):
    """What became of a try."""

    status: int | None
    code: str = ""

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def has_work(now: dt.datetime) -> bool:
    """Return whether an event is due at a webhook."""
    return not settings().NO_SEND and bool(store.with_work(current_session(), now))


def deliver(clock: Callable[[], dt.datetime]) -> int:
    """Send what is due, to one webhook after the other in turn, for BUDGET at most; return how many were taken."""
    if settings().NO_SEND:
        return 0
    end, taken = clock() + BUDGET, 0
    while True:
        taken_in_turn = 0
        for webhook_id in store.with_work(current_session(), clock()):
            taken_in_turn += _serve(webhook_id, clock)
            if clock() >= end:
                return taken + taken_in_turn
        taken += taken_in_turn
        if not taken_in_turn:
            return taken


def _serve(webhook_id: int, clock: Callable[[], dt.datetime]) -> int:
    """Send some of what is due to one webhook; return how many events it took."""
    now = clock()
    with writing() as session:
        if not store.claim(session, webhook_id, now, now + CLAIMED):
            return 0
        webhook = session.get_one(store.Webhook, webhook_id, populate_existing=True)
        due = store.next_due(session, webhook_id, now, AT_ONCE)
        session.flush()
        session.expunge_all()  # read while no transaction is open
    answers = asyncio.run(_send(webhook, due, now))
    with writing() as session:
        _store(session, webhook_id, due, answers, clock())
        store.release(session, webhook_id, clock())
    return sum(answer.is_taken for answer in answers)


async def _send(webhook: WebhookRow, due: Sequence[LoggedDelivery], now: dt.datetime) -> list[Answer]:
    """Send these events at the same time: there is at most one of each campaign."""
    secret = webhooks.secret_of(webhook)
    if secret is None:
        return [Answer(None, UNREADABLE)] * len(due)
    async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS, timeout=LONGEST_WAIT, connections=AT_ONCE) as http:
        return await asyncio.gather(*(_send_one(http, webhook.url, secret, line, now) for line in due))


async def _send_one(http: HttpClient, url: str, secret: str, line: LoggedDelivery, now: dt.datetime) -> Answer:
    event = line[1]
    content = {"type": event.kind, "timestamp": event.at.isoformat(), "data": event.data}
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    event_id, timestamp = f"msg_{event.uid}", int(now.timestamp())
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signature(secret, event_id, timestamp, body),
    }
    try:
        answer = await http.request("POST", url, headers, body)
    except ChannelError as error:
        return Answer(None, error.code)
    return Answer(answer.status)


def _store(
    session: Session, webhook_id: int, due: Sequence[LoggedDelivery], answers: Sequence[Answer], now: dt.datetime
) -> None:
    """Store what became of the tries, in the caller's transaction."""
    webhook = lock_row(session, store.Webhook, webhook_id, key_share=True)
    if webhook is None:  # removed meanwhile, and its deliveries with it
        return
    for (delivery, _event), answer in zip(due, answers, strict=True):
        row = lock_row(session, WebhookDelivery, (webhook_id, delivery.event_id))
        if row is None or row.state != DeliveryState.WAITING:
            continue
        row.tries, row.tried_at, row.status, row.code = row.tries + 1, now, answer.status, answer.code[:40]
        if answer.is_taken:
            row.state = DeliveryState.DELIVERED
        elif (pause := pause_after(row.tries)) is not None:
            row.due_at = now + pause
        else:
            row.state = DeliveryState.FAILED
    if any(answer.is_taken for answer in answers):
        webhook.delivered_at, webhook.failing_since = now, None
    elif answers:
        webhook.failing_since = webhook.failing_since or now
        log.warning("webhook.failing webhook=%s status=%s code=%s", webhook_id, answers[0].status, answers[0].code)
    if webhook.active and any(answer.status == GONE for answer in answers):
        webhook.active = False
        log_action(session, RECEIVER, "disable", webhooks.NOUN, webhook_id, now, name=webhook.name)
