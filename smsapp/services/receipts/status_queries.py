"""Asking providers what became of messages whose answer was lost, as far as they can be asked.

A visit asks about so many messages of a channel and no more; the next one goes on from there, round and round, until a
doubt is settled or too old. What a provider says is applied like any receipt.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpClient
from smsapp.channels.types import OutboundMessage, Receipt, TemplateSnapshot, UnconfirmedMessage
from smsapp.domain.sms_template import compile_text, full_text
from smsapp.services.channels import call_log, channels
from smsapp.services.contacts.audience import filled
from smsapp.services.receipts import consumer
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import unconfirmed
from smsapp.store.runs import provider_refs
from smsapp.store.runs.runs import Message, Run
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

AT_ONCE = 100
"""Messages of one channel asked about in one visit."""
MOST_RUNS = 20
SETTLED = dt.timedelta(minutes=2)
"""How long a provider is left alone with a message before it is asked."""
BEFORE, AFTER = dt.timedelta(minutes=10), dt.timedelta(minutes=1)
"""Around the moment an answer failed to come, when the message may have left."""


@dataclass(frozen=True)
class Question:
    """Some unconfirmed messages of one run."""

    run_id: int
    template: TemplateSnapshot
    unconfirmed: Sequence[UnconfirmedMessage]


def query_status(now: dt.datetime) -> None:
    """Ask every provider that can be asked about some of its unconfirmed messages."""
    asked = [row.id for row in channels.choices() if channels.kinds()[row.kind].can_query_status]
    current_session().commit()
    if asked:
        asyncio.run(_ask(asked, now))


async def _ask(channel_ids: Sequence[int], now: dt.datetime) -> None:
    async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
        for channel_id in channel_ids:
            for question in _questions(channel_id, now):
                begun = time.monotonic()
                adapter = channels.adapter(channel_id)
                current_session().commit()
                try:
                    found = await adapter.query_status(question.template, question.unconfirmed, http)
                except ChannelError as trouble:
                    log.warning("look_up.failed channel=%s code=%s", channel_id, trouble.code)
                    with writing() as session:
                        call_log.note(session, channel_id, adapter, call_log.failed("look_up", begun, trouble), now)
                    break
                except Exception:
                    # One channel's fault must not keep the others waiting.
                    log.exception("look_up.fault channel=%s", channel_id)
                    break
                with writing() as session:
                    settled = _clear(session, channel_id, question, found, now)
                    consumer.apply_receipts(session, {channel_id: settled}, now)
                    if adapter.receipts_by_provider_ref:
                        _remember(session, channel_id, question, settled, now)


def _questions(channel_id: int, now: dt.datetime) -> list[Question]:
    """Return what to ask this channel now, and note where the next visit goes on."""
    found = []
    oldest = now - dt.timedelta(hours=settings().RECEIPT_HOURS)
    with writing() as session:
        lines = unconfirmed.page(session, channel_id=channel_id, since=oldest, until=now - SETTLED, limit=MOST_RUNS)
        for line in lines:
            question, last = _question(session, line.run, AT_ONCE // len(lines), now)
            changed = sa.update(Run).where(Run.id == line.run.id).values(asked=last)
            session.execute(changed)
            if question.unconfirmed:
                found.append(question)
    return found


def _question(session: Session, run: Run, most: int, now: dt.datetime) -> tuple[Question, int]:
    """Return the next messages of a run to ask about, and the number to go on from; 0 begins anew."""
    facts = run.template
    names, mapping = facts["variables"], facts["mapping"]
    template = TemplateSnapshot(facts["code"], facts["text"], facts["signature"], tuple(names), facts["marketing"])
    render = compile_text(full_text(template.signature, template.text))
    rows = session.execute(
        sa.select(Message.seq, Message.phone, Message.params, Message.answered_at)
        .where(*unconfirmed.open_messages(run.id), Message.seq > run.asked)
        .order_by(Message.seq)
        .limit(most)
    ).all()
    asked = []
    for seq, phone, params, answered_at in rows:
        values = filled(names, mapping, params)
        answered = None if answered_at is None else dt.datetime.fromtimestamp(answered_at, dt.UTC)
        since = answered - BEFORE if answered else run.started_at or run.opened_at
        until = answered + AFTER if answered else run.finished_at or now
        asked.append(
            UnconfirmedMessage(OutboundMessage(f"{run.id}-{seq}", phone, render(values), values), since, until)
        )
    return Question(run.id, template, asked), rows[-1].seq if len(rows) == most else 0


def _clear(
    session: Session, channel_id: int, question: Question, found: Sequence[Receipt], now: dt.datetime
) -> list[Receipt]:
    """Return what is said of one message alone: what is known to be about another one is taken away."""
    refs = sorted({one.provider_ref for one in found if one.provider_ref})
    others = provider_refs.owners(session, channel_id, refs, consumer.window_begin(now)) if refs else {}
    said: dict[str, list[Receipt]] = {}
    for one in found:
        if one.provider_ref not in others:
            said.setdefault(one.ref, []).append(one)
    wanted = {unconfirmed.message.ref for unconfirmed in question.unconfirmed}
    return [candidates[0] for ref, candidates in said.items() if ref in wanted and len(candidates) == 1]


def _remember(
    session: Session, channel_id: int, question: Question, settled: Sequence[Receipt], now: dt.datetime
) -> None:
    """Keep the ids the provider named: its receipts come with them, and no other doubt may be settled by them."""
    phones = {unconfirmed.message.ref: unconfirmed.message.phone for unconfirmed in question.unconfirmed}
    refs = [(one.provider_ref, phones[one.ref], int(one.ref.partition("-")[2])) for one in settled if one.provider_ref]
    provider_refs.remember(session, channel_id, question.run_id, refs, int(now.timestamp()))
