"""Answers that are written back while their batch is under way, and receipts that are quicker than that."""

from __future__ import annotations

import datetime as dt

import pytest
from flask import Flask

from smsapp.channels.types import Callback, Receipt, ReceiptStatus
from smsapp.domain.message import Status
from smsapp.services.receipts import callback_inbox, consumer
from smsapp.services.reports.verify import verify
from smsapp.services.sending import opening, sweeping
from smsapp.services.sending.batch_results import store_results
from smsapp.services.sending.in_flight_batch import InFlightBatch
from smsapp.store import queue
from smsapp.store.db import current_session, writing
from smsapp.store.runs import claims, results
from smsapp.store.runs.results import MessageResult
from smsapp.store.runs.runs import Batch, BatchState
from tests import builders
from tests.engine import apply, confirmed, funnel, in_hands, recount, the_run, work
from tests.fakes import FakeChannel, FakeClock


def accepted(*seqs: int) -> list[MessageResult]:
    return [MessageResult(seq, Status.ACCEPTED, 2, "", "", f"id-{seq}") for seq in seqs]


def carried(people: int, provider: FakeChannel, clock: FakeClock) -> InFlightBatch:
    """A batch to so many people in a worker's hands."""
    campaign, _run_id, batch = in_hands(people, clock, "w1")
    assert campaign.channel_id is not None
    return InFlightBatch(batch, campaign.channel_id, provider, after_failures=False)


def differences() -> list[str]:
    return [line for check in verify() if check.run_id for line in check.broken]


def write_early(batch: InFlightBatch, clock: FakeClock) -> None:
    store_results([batch.snapshot()], clock.now)
    batch.stored = len(batch.results)
    current_session().commit()


def test_what_is_answered_is_written_while_the_rest_is_out_and_counts_once(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a batch of five, three of which are answered
    batch = carried(5, provider, clock)
    run_id = batch.run_id
    batch.results += accepted(3, 1, 2)
    # when these are written
    write_early(batch, clock)
    # then they count, and the others are still in the worker's hands
    assert (funnel(run_id).accepted, funnel(run_id).in_flight, the_run(run_id).parts) == (3, 2, 6)
    assert recount(run_id) == {"accepted": 3, "queued": 2}
    assert current_session().get_one(Batch, (run_id, 1)).state == BatchState.CLAIMED
    # and when one more is answered and the last one has not left, nothing is counted or sent twice
    batch.results += accepted(5)
    store_results([batch], clock.now)
    current_session().commit()
    assert (funnel(run_id).accepted, funnel(run_id).queued, the_run(run_id).parts) == (4, 1, 8)
    work(app, clock)
    assert dict(provider.sent) == {f"{run_id}-4": 1}
    assert recount(run_id) == {"accepted": 5}
    assert differences() == []


def test_a_worker_that_dies_leaves_unconfirmed_only_what_was_not_written(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    batch = carried(5, provider, clock)
    batch.results += accepted(1, 2, 3)
    write_early(batch, clock)
    clock.forward(seconds=61)
    sweeping.sweep(clock.now)
    assert (funnel(batch.run_id).accepted, funnel(batch.run_id).unconfirmed) == (3, 2)
    # and if it was only slow, its last answers settle the doubt
    batch.results += accepted(4, 5)
    write_early(batch, clock)
    store_results([batch], clock.now)
    current_session().commit()
    assert (recount(batch.run_id), the_run(batch.run_id).parts) == ({"accepted": 5}, 10)


def test_a_claim_may_take_a_part_of_a_batch_and_the_rest_stays_in_order(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given twelve people in one batch
    builders.contacts(12)
    _campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    # when claims take five of them at most
    taken = []
    for _ in range(4):
        with writing() as session:
            until = clock.now + dt.timedelta(seconds=60)
            taken += claims.claim_batches(session, [run_id], 0, "w1", until, 1, {run_id: 5})
    # then each has its own, and together they have everybody
    assert [[seq for seq, *_ in batch.rows] for batch in taken] == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12]]
    assert (funnel(run_id).in_flight, funnel(run_id).queued) == (12, 0)
    with writing() as session:
        gathered = [results.prepare_results(batch, accepted(*[seq for seq, *_ in batch.rows])) for batch in taken]
        assert results.write_back(session, gathered, 0)
    assert (recount(run_id), differences()) == ({"accepted": 12}, [])


def test_a_receipt_that_is_quicker_than_its_answer_is_applied_as_soon_as_that_is_written(
    app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given receipts that name the provider's ids before these are written down
    provider.receipts_by_provider_ref = True
    batch = carried(3, provider, clock)
    run_id = batch.run_id
    apply(clock, *[Receipt(ReceiptStatus.DELIVERED, provider_ref=f"id-{seq}") for seq in (1, 2)])
    queue.queue(queue.RECEIPTS).empty()  # type: ignore[no-untyped-call]  # rq has no types here
    # when the answers are written while the batch is under way
    batch.results += accepted(1, 2)
    write_early(batch, clock)
    # then somebody is asked to look again, and does
    assert queue.queue(queue.RECEIPTS).count == 1
    consumer.keep_reading(lambda: clock.now, lambda seconds: clock.forward(seconds=seconds))
    assert (funnel(run_id).delivered, funnel(run_id).in_flight) == (2, 1)


def test_a_job_that_reads_already_applies_quick_receipts_once_their_answers_are_there(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    provider.receipts_by_provider_ref = True
    batch = carried(1, provider, clock)
    apply(clock, Receipt(ReceiptStatus.DELIVERED, provider_ref="id-1"))
    batch.results += accepted(1)
    provider.callbacks[b"x"] = []
    callback_inbox.store(batch.channel_id, [Callback("POST", "", {}, b"x")], clock.now)

    def pause(seconds: float) -> None:
        clock.forward(seconds=seconds)
        if batch.stored == 0:
            write_early(batch, clock)

    consumer.keep_reading(lambda: clock.now, pause)
    assert funnel(batch.run_id).delivered == 1


def test_without_receipts_that_wait_nobody_is_asked_to_look(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    provider.receipts_by_provider_ref = True
    batch = carried(1, provider, clock)
    queue.queue(queue.RECEIPTS).empty()  # type: ignore[no-untyped-call]  # rq has no types here
    batch.results += accepted(1)
    write_early(batch, clock)
    assert queue.queue(queue.RECEIPTS).count == 0
