"""Receipts shuffled, doubled, early and unknown end in the same numbers as the same receipts in order."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from flask import Flask

from smsapp.channels.types import Receipt, ReceiptStatus
from smsapp.domain.message import Status
from smsapp.domain.outcome import Outcome
from smsapp.services.sending import closing, opening
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, writing
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.runs import funnels, results
from smsapp.store.runs.results import MessageResult
from smsapp.store.runs.runs import Message
from tests import builders, engine
from tests.engine import claimed, confirmed, funnel, recount
from tests.fakes import FakeChannel, FakeClock

PEOPLE = 240


def arrive(campaign: Campaign, clock: FakeClock, news: Sequence[Receipt]) -> None:
    """Bring receipts by the campaign's own channel, some at a time."""
    assert campaign.channel_id is not None
    for at in range(0, len(news), 50):
        engine.arrive(campaign.channel_id, clock, *news[at : at + 50])


def sent(campaign: Campaign, run_id: int, clock: FakeClock, early: Sequence[Receipt]) -> None:
    """Hand over everything, the early receipts coming before the answers are written down."""
    opening.open_run(run_id, clock.now)
    batches = [claimed(campaign, clock, "w1")]
    arrive(campaign, clock, early)
    for batch in batches:
        answers = [
            MessageResult(seq, Status.ACCEPTED, 1, code="OK", provider_ref=f"p{seq}")
            for seq, _phone, _params in batch.rows
        ]
        with writing() as session:
            results.write_back(session, [results.prepare_results(batch, answers)], int(clock.now.timestamp()))
            closing.close(session, run_id, clock.now)


def news_of(run_id: int) -> list[Receipt]:
    """Return what the carrier says of each message: on its way, then delivered, or not, or not yet."""
    receipts = []
    for seq in range(1, PEOPLE + 1):
        ref = f"{run_id}-{seq}"
        receipts.append(Receipt(ReceiptStatus.ACCEPTED, ref, code="ENROUTE"))
        if seq % 10 == 0:
            receipts.append(Receipt(ReceiptStatus.UNDELIVERED, ref, outcome=Outcome.SWITCHED_OFF, code="MK:1"))
        if seq % 5 and seq % 7:
            receipts.append(Receipt(ReceiptStatus.DELIVERED, ref, code="DELIVRD"))
    return receipts


def codes(run_id: int) -> list[tuple[int, str | None]]:
    """Return the code of each message."""
    rows = current_session().execute(sa.select(Message.seq, Message.code).where(Message.run_id == run_id))
    return sorted((seq, code) for seq, code in rows)


def test_any_order_ends_in_the_same_numbers(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    # given two campaigns to the same people
    provider.per_request = PEOPLE
    builders.contacts(PEOPLE)
    (orderly, first), (wild, second) = confirmed(clock.now), confirmed(clock.now)
    # when the receipts of one come in order, and those of the other early, shuffled, double and mixed with strangers
    sent(orderly, first, clock, [])
    arrive(orderly, clock, news_of(first))
    mixed = news_of(second) * 2 + [Receipt(ReceiptStatus.DELIVERED, f"{second}-{PEOPLE + n}") for n in range(1, 21)]
    random.Random(11).shuffle(mixed)
    third = len(mixed) // 3
    sent(wild, second, clock, mixed[:third])
    arrive(wild, clock, mixed[third:])
    # then both ledgers say the same, and the strangers are kept aside
    assert recount(first) == recount(second)
    assert funnel(first) == funnel(second)
    assert codes(first) == codes(second)
    assert funnels.reasons(current_session(), [first]) == funnels.reasons(current_session(), [second])
    assert current_session().scalar(sa.select(sa.func.count()).select_from(UnmatchedReceipt)) == 20


def test_answers_of_several_batches_take_messages_before_numbers_as_receipts_do(app: Flask, clock: FakeClock) -> None:
    # given two batches in a worker's hands
    builders.contacts(1001)
    campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    batches = [claimed(campaign, clock, "w1") for _ in range(2)]
    answers = [[MessageResult(seq, Status.ACCEPTED, 1) for seq, _phone, _params in batch.rows] for batch in batches]
    # when they are written back together
    written: list[str] = []

    def listen(*said: Any) -> None:
        written.extend(table for table in ("UPDATE message", "INSERT INTO tally") if table in said[2])

    with writing() as session:
        connection = session.connection()
        sa.event.listen(connection, "before_cursor_execute", listen)
        results.write_back(session, [results.prepare_results(*both) for both in zip(batches, answers, strict=True)], 0)
        sa.event.remove(connection, "before_cursor_execute", listen)
    # then nobody who holds messages and waits for numbers can be waited for
    assert written == ["UPDATE message"] * 2 + ["INSERT INTO tally"]
    assert (funnel(run_id).accepted, funnel(run_id).parts) == (1001, 1001)
