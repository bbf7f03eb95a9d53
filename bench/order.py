"""Checks that receipts in any order lead to the same state: two equal runs, of which every message is compared.

Part of `python -m bench.receipts`. The receipts of one run come in order. The other's come shuffled, a fifth of them
twice, some unmatched, and those of every eighth message or so early: they are applied while the provider still holds
its answer back, so before the write-back of their messages.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from bench import table
from bench.campaign import check
from bench.raw.__main__ import sink_process
from bench.raw.ledger import PER_CALLBACK
from bench.stage import await_end, confirm, draft
from smsapp.channels.types import Callback
from smsapp.domain.outcome import Outcome
from smsapp.services.platform import clock
from smsapp.services.receipts import callback_inbox, consumer
from smsapp.services.reports import verify
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.runs.funnels import reasons, run_funnels
from smsapp.store.runs.runs import Batch, BatchState, Message, Run
from tests import builders

HELD_BACK_MS = 500
"""How long the provider holds each answer of the second run back."""
EARLY, LEAST_EARLY = 0.2, 0.1
"""The share of receipts of messages in flight that comes early, and of messages that must have had one."""
DOUBLED = 0.2
COMPARED = ("phone", "status", "reason", "code", "parts")
Said = dict[str, str]
"""One receipt as the sink's callbacks have it."""
ON_ITS_WAY: Said = {"news": "accepted", "code": "ENROUTE"}
DELIVERED: Said = {"news": "delivered", "code": "DELIVRD"}
SWITCHED_OFF: Said = {"news": "undelivered", "code": "MK:1", "outcome": Outcome.SWITCHED_OFF}
UNEXPLAINED: Said = {"news": "undelivered", "code": "XX:9"}
STORIES: tuple[tuple[Said, ...], ...] = (
    (ON_ITS_WAY, SWITCHED_OFF),
    (ON_ITS_WAY, SWITCHED_OFF, DELIVERED),  # a second try succeeded
    (DELIVERED, UNEXPLAINED),  # contradictory
    (ON_ITS_WAY,),
    (),
    (UNEXPLAINED,),
    *[(DELIVERED,)] * 8,
)
"""The receipts of a message, in order; each message has the next entry."""


def said_of(run_id: int, seqs: Iterable[int]) -> list[Said]:
    """Return all receipts of these messages, in order."""
    return [{"ref": f"{run_id}-{seq}", **receipt} for seq in seqs for receipt in STORIES[seq % len(STORIES)]]


def strangers(orderly: int, run_id: int, rows: int) -> list[Said]:
    """Return unmatched receipts, and some of the other run, whose messages were sent over another channel."""
    refs = [f"{run_id}-{rows + n}" for n in range(1, 101)]
    refs += [f"{orderly}-{seq}" for seq in range(1, 101)]
    return [{"ref": ref, **DELIVERED} for ref in (*refs, "999999999-1", "of nobody")]


def bring(channel_id: int, items: Sequence[Said]) -> None:
    """Store callbacks with these receipts, and apply all stored callbacks."""
    bodies = [json.dumps(items[at : at + PER_CALLBACK]).encode() for at in range(0, len(items), PER_CALLBACK)]
    callback_inbox.keep(channel_id, [Callback("POST", "", {}, body) for body in bodies], clock.now())
    consumer.apply_callbacks(clock.now())
    current_session().commit()


def begin(delay_port: int) -> tuple[ChannelRow, int]:
    """Start a campaign to everybody; return its channel and its id."""
    current_session().commit()  # on SQLite a transaction that has read cannot write once another process has written
    channel = builders.channel(kind="sink", settings={"url": f"http://127.0.0.1:{delay_port}/"})
    campaign, template = draft(channel)
    confirm(campaign, template)
    return channel, campaign.id


def in_order(port: int, rows: int) -> Run:
    """Send a campaign and apply its receipts in order; return its run."""
    channel, campaign_id = begin(port)
    run = await_end(campaign_id)
    check(run, rows)
    bring(channel.id, said_of(run.id, range(1, rows + 1)))
    return run


def in_disorder(port: int, rows: int, orderly: int) -> tuple[Run, int]:
    """Send a campaign whose receipts come in disorder; return its run and how many messages had one early."""
    dice = random.Random(7)
    channel, campaign_id = begin(port)
    later: list[Said] = []
    handled: set[int] = set()
    early, is_over = 0, False
    while not is_over:
        run, out = in_flight(campaign_id)
        is_over = run.finished_at is not None
        if new_seqs := out - handled:
            handled |= new_seqs
            items = said_of(run.id, sorted(new_seqs))
            dice.shuffle(items)
            now = int(len(items) * EARLY)
            bring(channel.id, items[:now])
            later += items[now:]
            early += without_answer(run.id, new_seqs)
        time.sleep(0.01)
    check(run, rows)
    later += said_of(run.id, (seq for seq in range(1, rows + 1) if seq not in handled))
    foreign = strangers(orderly, run.id, rows)
    later += dice.sample(later, int(len(later) * DOUBLED)) + foreign
    dice.shuffle(later)
    bring(channel.id, later)
    stored = current_session().scalar(
        sa.select(sa.func.count()).select_from(UnmatchedReceipt).where(UnmatchedReceipt.channel_id == channel.id)
    )
    if stored != len(foreign):
        raise RuntimeError(f"{stored} receipts of nobody are kept, {len(foreign)} came")
    return run, early


def in_flight(campaign_id: int) -> tuple[Run, set[int]]:
    """Return the campaign's run and the seqs of its messages in flight."""
    run = current_session().scalars(sa.select(Run).where(Run.campaign_id == campaign_id)).one()
    query = sa.select(Batch.lo, Batch.hi).where(Batch.run_id == run.id, Batch.state == BatchState.CLAIMED)
    seqs = {seq for lo, hi in current_session().execute(query) for seq in range(lo, hi + 1)}
    current_session().commit()
    current_session().expire_all()
    return run, seqs


def without_answer(run_id: int, seqs: set[int]) -> int:
    """Return how many of these messages have a receipt, but no answer yet."""
    query = sa.select(Message.seq).where(
        Message.run_id == run_id, Message.receipt_at.is_not(None), Message.answered_at.is_(None)
    )
    n = len(seqs & {*current_session().scalars(query)})
    current_session().commit()
    return n


def differences(orderly: Run, wild: Run) -> list[str]:
    """Return the differences of two runs as texts: messages, numbers, reasons, parts, and sums that are wrong."""
    first, second = aliased(Message), aliased(Message)
    differ = sa.or_(*(getattr(first, name).is_distinct_from(getattr(second, name)) for name in COMPARED))
    pairs = sa.outerjoin(first, second, sa.and_(second.run_id == wild.id, second.seq == first.seq))
    query = sa.select(first.seq).select_from(pairs).where(first.run_id == orderly.id, differ).order_by(first.seq)
    seqs = current_session().scalars(query).all()
    problems = [f"{len(seqs)} messages differ, the first is {seqs[0]}"] if seqs else []
    funnels = run_funnels(current_session(), [orderly.id, wild.id])
    if funnels[orderly.id] != funnels[wild.id]:
        problems.append(f"{funnels[orderly.id]} and {funnels[wild.id]}")
    if reasons(current_session(), [orderly.id]) != reasons(current_session(), [wild.id]):
        problems.append("the reasons differ")
    for run in (orderly, wild):
        problems += [line for check_ in verify.verify(run.campaign_id) for line in check_.broken]
    current_session().commit()
    return problems


def compare(database: str, rows: int, port: int) -> None:
    """Send to everybody twice, and raise unless both runs end in the same state; `port`: a sink without delay."""
    watch = table.Stopwatch()
    orderly = in_order(port, rows)
    with sink_process(HELD_BACK_MS) as slow:
        wild, early = in_disorder(slow, rows, orderly.id)
    if problems := differences(orderly, wild):
        raise RuntimeError("; ".join(problems))
    if early < rows * LEAST_EARLY:
        raise RuntimeError(f"only {early} messages had a receipt before their answer")
    print(f"{early:,} of {rows:,} messages had a receipt before their answer; both runs in {watch.seconds():.1f} s")
    table.add(database, f"{rows:,} messages' receipts in disorder", "equal", "to receipts in order")
