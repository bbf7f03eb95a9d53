"""Status queries: providers that can be queried are asked for the state of unconfirmed messages.

One pass asks about AT_ONCE messages of a channel at most; the next one goes on from there, in a circle, until a message
is confirmed or too old. The answers are applied like receipts.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpClient
from smsapp.channels.types import OutboundMessage, Receipt, UnconfirmedMessage
from smsapp.domain.sms_template import TemplateSnapshot
from smsapp.services.channels import accounts, provider_calls, registry
from smsapp.services.contacts.audience import filled
from smsapp.services.receipts import applying, matching
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import unconfirmed
from smsapp.store.runs import provider_refs
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Messages of one channel queried in one pass."""
MOST_RUNS = 20
SETTLED = dt.timedelta(minutes=2)
"""How long after the lost answer a message is queried at the earliest."""
BEFORE, AFTER = dt.timedelta(minutes=10), dt.timedelta(minutes=1)
"""The time around the lost answer in which the message may have left."""


@dataclass(frozen=True)
class Question:
    """Some unconfirmed messages of one run."""

    run_id: int
    template: TemplateSnapshot
    unconfirmed: Sequence[UnconfirmedMessage]


def query_status(now: dt.datetime) -> None:
    """Query every provider that can be queried for some of its unconfirmed messages."""
    channel_ids = [row.id for row in accounts.choices() if registry.kinds()[row.kind].can_query_status]
    current_session().commit()
    if channel_ids:
        asyncio.run(_query_channel(channel_ids, now))


async def _query_channel(channel_ids: Sequence[int], now: dt.datetime) -> None:
    async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
        for channel_id in channel_ids:
            for question in _questions(channel_id, now):
                begun = time.monotonic()
                adapter = accounts.adapter(channel_id)
                current_session().commit()
                try:
                    answers = await adapter.query_status(question.template, question.unconfirmed, http)
                except ChannelError as trouble:
                    log.warning("look_up.failed channel=%s code=%s", channel_id, trouble.code)
                    with writing() as session:
                        provider_calls.note(
                            session, channel_id, adapter, provider_calls.failed("look_up", begun, trouble), now
                        )
                    break
                except Exception:
                    # One channel's fault must not delay the others.
                    log.exception("look_up.fault channel=%s", channel_id)
                    break
                with writing() as session:
                    settled = _clear(session, channel_id, question, answers, now)
                    applying.apply_receipts(session, {channel_id: settled}, now)
                    if adapter.receipts_by_provider_ref:
                        _remember(session, channel_id, question, settled, now)


def _questions(channel_id: int, now: dt.datetime) -> list[Question]:
    """Return the messages to query of this channel now, and store where the next pass goes on."""
    questions = []
    oldest = now - dt.timedelta(hours=settings().RECEIPT_HOURS)
    with writing() as session:
        lines = unconfirmed.page(session, channel_id=channel_id, since=oldest, until=now - SETTLED, limit=MOST_RUNS)
        for line in lines:
            question, last = _question(session, line.run, AT_ONCE // len(lines), now)
            unconfirmed.set_asked(session, line.run.id, last)
            if question.unconfirmed:
                questions.append(question)
    return questions


def _question(session: Session, run: Run, most: int, now: dt.datetime) -> tuple[Question, int]:
    """Return the next messages of a run to query, and the seq to go on from; 0 begins anew."""
    template, mapping = run.snapshot.template, run.snapshot.mapping
    render = template.renderer()
    rows = unconfirmed.next_to_query(session, run, most)
    queries = []
    for seq, phone, params, answered_at in rows:
        values = filled(template.variables, mapping, params)
        answer_time = None if answered_at is None else dt.datetime.fromtimestamp(answered_at, dt.UTC)
        since = answer_time - BEFORE if answer_time else run.started_at or run.opened_at
        until = answer_time + AFTER if answer_time else run.finished_at or now
        queries.append(
            UnconfirmedMessage(OutboundMessage(f"{run.id}-{seq}", phone, render(values), values), since, until)
        )
    return Question(run.id, template, queries), rows[-1][0] if len(rows) == most else 0


def _clear(
    session: Session, channel_id: int, question: Question, answers: Sequence[Receipt], now: dt.datetime
) -> list[Receipt]:
    """Return the unambiguous receipts: one per requested message, without provider ids that belong to another one."""
    refs = sorted({receipt.provider_ref for receipt in answers if receipt.provider_ref})
    owners = provider_refs.owners(session, channel_id, refs, matching.window_begin(now)) if refs else {}
    by_ref: dict[str, list[Receipt]] = {}
    for receipt in answers:
        if receipt.provider_ref not in owners:
            by_ref.setdefault(receipt.ref, []).append(receipt)
    requested_refs = {unconfirmed.message.ref for unconfirmed in question.unconfirmed}
    return [candidates[0] for ref, candidates in by_ref.items() if ref in requested_refs and len(candidates) == 1]


def _remember(
    session: Session, channel_id: int, question: Question, settled: Sequence[Receipt], now: dt.datetime
) -> None:
    """Store the provider's ids: its receipts bring them, and no other unconfirmed message may be matched by them."""
    phones = {unconfirmed.message.ref: unconfirmed.message.phone for unconfirmed in question.unconfirmed}
    refs = [
        (receipt.provider_ref, phones[receipt.ref], int(receipt.ref.partition("-")[2]))
        for receipt in settled
        if receipt.provider_ref
    ]
    provider_refs.store_refs(session, channel_id, question.run_id, refs, int(now.timestamp()))
