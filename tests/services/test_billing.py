"""Parts and cost are known for every accepted message, however it came to be accepted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.channels.errors import NotSent
from smsapp.channels.types import Receipt, ReceiptStatus
from smsapp.domain.message import Resolution, Status
from smsapp.services.channels import accounts
from smsapp.services.receipts import unconfirmed
from smsapp.services.reports import verify
from smsapp.services.sending import batch_results, opening, sweeping
from smsapp.services.sending.in_flight_batch import InFlightBatch
from smsapp.store.db import current_session, writing
from smsapp.store.runs.claims import ClaimedBatch
from smsapp.store.runs.results import MessageResult, prepare_results, write_back
from smsapp.store.runs.runs import Message
from tests import builders
from tests.engine import OPERATOR, apply, claimed, confirmed, funnel, refs, the_run
from tests.fakes import FakeClock

LONG = "您的积分将于本月底到期，请及时使用。" * 3 + "${level}会员专享"
"""One part with the signature; two for somebody with a long level."""
LEVELS = ("金卡", "银卡", "黑金卡尊享会员级别")
PARTS = [1, 1, 2]


def lost(clock: FakeClock) -> tuple[int, ClaimedBatch]:
    """A run to three people of whom one's text is longer, its only batch in the hands of a worker that is dead."""
    for level in LEVELS:
        builders.contacts(1, level=level)
    builders.known_property("level")
    channel = builders.channel(price="0.05", currency="CNY")
    template = builders.template(channel.id, text=LONG)
    mapping = {"level": {"property": "level"}}
    campaign, run_id = confirmed(clock.now, channel_id=channel.id, template_id=template.id, mapping=mapping)
    opening.open_run(run_id, clock.now)
    return run_id, claimed(campaign, clock, "dead")


def expire(clock: FakeClock) -> None:
    clock.forward(seconds=61)
    sweeping.sweep(clock.now)


def deliver(clock: FakeClock, run_id: int, *seqs: int) -> None:
    apply(
        clock,
        *(
            Receipt(ReceiptStatus.DELIVERED, ref)
            for n, ref in enumerate(refs(run_id), start=1)
            if n in seqs or not seqs
        ),
    )


def answer(batch: ClaimedBatch, clock: FakeClock, parts: int = 7) -> None:
    """The dead worker's answers come after all; the number of parts they bring tells them from those counted by us."""
    answers = [MessageResult(seq, Status.ACCEPTED, parts) for seq, _phone, _params in batch.rows]
    with writing() as session:
        write_back(session, [prepare_results(batch, answers)], int(clock.now.timestamp()))


def by_receipts_afterwards(clock: FakeClock, run_id: int, _batch: ClaimedBatch) -> None:
    expire(clock)
    deliver(clock, run_id)


def by_receipts_before(clock: FakeClock, run_id: int, _batch: ClaimedBatch) -> None:
    deliver(clock, run_id)
    expire(clock)


def by_some_before_and_some_after(clock: FakeClock, run_id: int, _batch: ClaimedBatch) -> None:
    deliver(clock, run_id, 2)
    expire(clock)
    deliver(clock, run_id)


def by_a_person(clock: FakeClock, run_id: int, _batch: ClaimedBatch) -> None:
    expire(clock)
    unconfirmed.decide(run_id, Resolution.COUNT_AS_SENT, OPERATOR, clock.now)


def by_receipts_and_a_late_answer(clock: FakeClock, run_id: int, batch: ClaimedBatch) -> None:
    expire(clock)
    deliver(clock, run_id)
    answer(batch, clock)


def by_a_person_and_a_late_answer(clock: FakeClock, run_id: int, batch: ClaimedBatch) -> None:
    by_a_person(clock, run_id, batch)
    answer(batch, clock)


def by_receipts_for_what_was_said_not_to_have_left(clock: FakeClock, run_id: int, batch: ClaimedBatch) -> None:
    deliver(clock, run_id)
    adapter = accounts.adapter(the_run(run_id).channel_id)
    carried = InFlightBatch(batch, the_run(run_id).channel_id, adapter, after_failures=False, error=NotSent("refused"))
    batch_results.store_results([carried], clock.now)


def by_receipts_of_the_first_try_while_the_second_waits(clock: FakeClock, run_id: int, _batch: ClaimedBatch) -> None:
    expire(clock)
    unconfirmed.decide(run_id, Resolution.RESEND, OPERATOR, clock.now)
    deliver(clock, run_id)


@pytest.mark.parametrize(
    "settled",
    [
        by_receipts_afterwards,
        by_receipts_before,
        by_some_before_and_some_after,
        by_a_person,
        by_receipts_and_a_late_answer,
        by_a_person_and_a_late_answer,
        by_receipts_for_what_was_said_not_to_have_left,
        by_receipts_of_the_first_try_while_the_second_waits,
    ],
    ids=lambda settled: settled.__name__,
)
def test_every_accepted_message_has_its_parts_and_the_run_their_sum(
    app: Flask, clock: FakeClock, settled: Callable[[FakeClock, int, ClaimedBatch], None]
) -> None:
    # given a worker that died between its calls and its write-back
    run_id, batch = lost(clock)
    # when its messages turn out to have been accepted
    settled(clock, run_id, batch)
    # then
    parts = (
        current_session().scalars(sa.select(Message.parts).where(Message.run_id == run_id).order_by(Message.seq)).all()
    )
    assert funnel(run_id).accepted == 3
    assert parts == PARTS
    assert the_run(run_id).parts == sum(PARTS)
    assert [check.broken for check in verify.verify() if check.broken] == []


def test_what_an_answer_brings_is_counted_once_when_the_receipt_was_quicker(app: Flask, clock: FakeClock) -> None:
    run_id, batch = lost(clock)
    deliver(clock, run_id, 1)
    assert the_run(run_id).parts == 0
    answer(batch, clock, parts=2)
    assert (funnel(run_id).accepted, the_run(run_id).parts) == (3, 6)
    answer(batch, clock, parts=2)
    assert the_run(run_id).parts == 6
