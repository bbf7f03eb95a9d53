"""What carriers say later, in whatever order and however often."""

from __future__ import annotations

import datetime as dt
from itertools import count

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.channels.errors import OutcomeUnknown
from smsapp.channels.types import Callback, Receipt, ReceiptStatus, SubmitResult
from smsapp.domain import message
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.outcome import Outcome
from smsapp.services.privacy import retention
from smsapp.services.receipts import applying, callback_inbox, consumer, unmatched, unmatched_retry
from smsapp.services.sending import closing, sweeping
from smsapp.store.db import current_session, writing
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.runs import funnels, provider_refs, results
from smsapp.store.runs.runs import Batch, BatchState, Exclusion, Message
from tests import builders
from tests.engine import (
    apply,
    arrive,
    confirmed,
    funnel,
    in_hands,
    recount,
    refs,
    the_run,
    work,
)
from tests.fakes import FakeChannel, FakeClock, Script


def test_receipts_move_messages_forward_and_never_back(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(4)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    a, b, c, _d = refs(run_id)
    apply(
        clock,
        Receipt(ReceiptStatus.DELIVERED, a),
        Receipt(ReceiptStatus.DELIVERED, a),
        Receipt(ReceiptStatus.UNDELIVERED, b, outcome=Outcome.SWITCHED_OFF, code="MK:1"),
        Receipt(ReceiptStatus.UNDELIVERED, a, outcome=Outcome.EXPIRED),
        Receipt(ReceiptStatus.UNDELIVERED, c, outcome=Outcome.EXPIRED),
        Receipt(ReceiptStatus.DELIVERED, c),
    )
    apply(clock, Receipt(ReceiptStatus.ACCEPTED, a), Receipt(ReceiptStatus.DELIVERED, c))
    result = funnel(run_id)
    assert (result.accepted, result.delivered, result.undelivered, result.awaiting) == (4, 2, 1, 1)
    assert funnels.reasons(current_session(), [run_id]) == [("undelivered", Outcome.SWITCHED_OFF, 1)]
    assert recount(run_id) == {"accepted": 1, "delivered": 2, "undelivered": 1}


def test_a_receipt_quicker_than_the_answer_counts_once(app: Flask, clock: FakeClock) -> None:
    # given a batch whose call has not come back yet
    _campaign, run_id, batch = in_hands(3, clock, "w1")
    # when the carrier is quicker
    apply(clock, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[0]))
    assert (funnel(run_id).in_flight, funnel(run_id).delivered) == (2, 1)
    answers = [results.MessageResult(seq, message.Status.ACCEPTED, 2, "", "", f"p{seq}") for seq, _p, _v in batch.rows]
    with writing() as session:
        results.write_back(session, [results.prepare_results(batch, answers)], 99)
        closing.close(session, run_id, clock.now)
    # then
    assert (funnel(run_id).accepted, funnel(run_id).delivered, funnel(run_id).awaiting) == (3, 1, 2)
    assert recount(run_id) == {"accepted": 2, "delivered": 1}
    assert the_run(run_id).parts == 6
    early = current_session().execute(sa.select(Message.provider_ref, Message.parts).where(Message.status == 8)).one()
    assert tuple(early) == (f"p{batch.rows[0][0]}", 2)


def test_a_late_receipt_settles_an_unconfirmed_message(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(1)
    provider.script = lambda submission: OutcomeUnknown("cut")
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    apply(clock, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[0]))
    assert (funnel(run_id).unconfirmed, funnel(run_id).delivered) == (0, 1)


def test_a_receipt_for_nothing_of_ours_is_kept_aside(app: Flask, clock: FakeClock) -> None:
    channel = builders.channel()
    with writing() as session:
        for unmatched in ("999999-1", "nonsense", ""):
            applying.apply_receipts(session, {channel.id: [Receipt(ReceiptStatus.DELIVERED, unmatched)]}, clock.now)
    stored_refs = current_session().scalars(sa.select(UnmatchedReceipt.ref)).all()
    assert sorted(stored_refs) == ["", "999999-1", "nonsense"]


def test_a_receipt_for_nothing_of_ours_that_comes_again_is_kept_once(app: Flask, clock: FakeClock) -> None:
    channel = builders.channel()
    twice = [Receipt(ReceiptStatus.DELIVERED, provider_ref="x", phone="1")] * 2
    for _ in range(2):
        with writing() as session:
            once = Receipt(ReceiptStatus.ACCEPTED, provider_ref="x")
            applying.apply_receipts(session, {channel.id: [*twice, once]}, clock.now)
        clock.forward(hours=1)
    rows = current_session().execute(sa.select(UnmatchedReceipt.status, UnmatchedReceipt.at)).all()
    assert sorted(news for news, _at in rows) == ["accepted", "delivered"]
    assert {at for _news, at in rows} == {clock.now - dt.timedelta(hours=1)}


def test_callbacks_are_stored_first_and_applied_once(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(1)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    provider.callbacks[b"good"] = [Receipt(ReceiptStatus.DELIVERED, refs(run_id)[0])]
    channel_id = campaign.channel_id or 0
    for body in (b"good", b"rubbish", b"good"):
        callback_inbox.store(channel_id, [Callback("POST", "", {}, body)], clock.now)
    assert callback_inbox.unread_count() == 3
    assert consumer.apply_callbacks(clock.now) == 3
    assert (funnel(run_id).delivered, callback_inbox.unread_count()) == (1, 0)


def test_receipts_that_name_only_the_providers_id_find_their_message(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(2)
    provider.receipts_by_provider_ref = True
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    apply(clock, *[Receipt(ReceiptStatus.DELIVERED, provider_ref=f"p{ref}") for ref in refs(run_id)])
    assert funnel(run_id).delivered == 2


def test_after_three_days_a_missing_receipt_is_called_that(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(2)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    apply(clock, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[0]))
    clock.forward(hours=71)
    sweeping.sweep(clock.now)
    assert funnel(run_id).awaiting == 1
    clock.forward(hours=2)
    sweeping.sweep(clock.now)
    assert (funnel(run_id).no_receipt, funnel(run_id).accepted) == (1, 2)
    # and a receipt later than that is still welcome
    apply(clock, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[1]))
    assert (funnel(run_id).no_receipt, funnel(run_id).delivered) == (0, 2)


def test_exclusions_name_the_people_behind_the_numbers(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    nobody = builders.contact("no number", None)
    builders.contacts(1)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    rows = (
        current_session()
        .execute(sa.select(Exclusion.contact_id, Exclusion.reason).where(Exclusion.run_id == run_id))
        .all()
    )
    assert [tuple(row) for row in rows] == [(nobody.id, ExclusionReason.NO_NUMBER)]


def test_batches_end_done(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(3)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert current_session().scalars(sa.select(Batch.state).where(Batch.run_id == run_id)).all() == [BatchState.DONE]


def test_a_receipt_that_comes_before_the_providers_id_is_known_is_applied_later(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a receipt that is quicker than the write-back of the answer it belongs to
    builders.contacts(1)
    provider.receipts_by_provider_ref = True
    _campaign, run_id = confirmed(clock.now)
    early = Receipt(ReceiptStatus.UNDELIVERED, provider_ref=f"p{run_id}-1", outcome=Outcome.EXPIRED, code="X")
    apply(clock, early)
    # when the answer is written, and the unmatched are looked through again
    work(app, clock)
    assert funnel(run_id).awaiting == 1
    unmatched_retry.retry(clock.now)
    # then
    assert (funnel(run_id).undelivered, funnels.reasons(current_session(), [run_id])) == (
        1,
        [("undelivered", "expired", 1)],
    )
    unmatched_retry.retry(clock.now)
    assert funnel(run_id).undelivered == 1


def test_unmatched_receipts_that_lead_nowhere_do_not_keep_others_waiting(
    app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given more unmatched without a message than are looked at in one go, and behind them one that has found its
    # message
    monkeypatch.setattr(unmatched_retry, "AT_ONCE", 2)
    builders.contacts(1)
    provider.receipts_by_provider_ref = True
    _campaign, run_id = confirmed(clock.now)
    ids = ["nowhere-a", "nowhere-b", "nowhere-c", f"p{run_id}-1"]
    apply(clock, *[Receipt(ReceiptStatus.DELIVERED, provider_ref=id_) for id_ in ids])
    work(app, clock)
    # when
    unmatched_retry.retry(clock.now)
    # then
    assert funnel(run_id).delivered == 1


def test_more_receipts_by_the_providers_id_than_a_statement_takes_values_are_looked_up_at_once(app: Flask) -> None:
    assert provider_refs.owners(current_session(), 1, [f"sid-{n}" for n in range(70_000)], 0) == {}


def test_one_provider_cannot_move_anothers_messages(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(1)
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    other = builders.channel()
    arrive(other.id, clock, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[0]))
    assert funnel(run_id).awaiting == 1


def test_a_callback_no_database_can_store_does_not_keep_the_others_waiting(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(2)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    first, second = refs(run_id)
    provider.callbacks[b"poison"] = [Receipt(ReceiptStatus.DELIVERED, first, code="bad\0\ud800code")]
    provider.callbacks[b"good"] = [Receipt(ReceiptStatus.DELIVERED, second)]
    provider.callbacks[b"fault"] = [None]  # type: ignore[list-item]  # that is the point
    for body in (b"poison", b"fault", b"good"):
        callback_inbox.store(campaign.channel_id or 0, [Callback("POST", "", {}, body)], clock.now)
    consumer.apply_callbacks(clock.now)
    assert (funnel(run_id).delivered, callback_inbox.unread_count()) == (2, 0)
    assert current_session().scalar(sa.select(Message.code).where(Message.seq == 1)) == "badcode"


def test_a_number_no_database_can_store_costs_no_receipt_beside_it(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    odd = [Receipt(ReceiptStatus.DELIVERED, provider_ref="x", phone=phone) for phone in ("+\0 91", "\ud800", "9" * 40)]
    provider.callbacks[b"mixed"] = [*odd, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[0])]
    callback_inbox.store(campaign.channel_id or 0, [Callback("POST", "", {}, b"mixed")], clock.now)
    consumer.apply_callbacks(clock.now)
    assert (funnel(run_id).delivered, callback_inbox.unread_count()) == (1, 0)


def test_callbacks_are_forgotten_after_their_time_but_not_unread_ones(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    channel = builders.channel()
    callback_inbox.store(channel.id, [Callback("POST", "", {}, b"read")], clock.now)
    consumer.apply_callbacks(clock.now)
    callback_inbox.store(channel.id, [Callback("POST", "", {}, b"unread")], clock.now)
    clock.forward(days=181)
    assert retention.purge(clock.now)["inbox"] == 1
    assert callback_inbox.unread_count() == 1


def test_a_number_that_does_not_fit_leaves_the_receipt_unmatched(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a message with the id 1
    builders.contacts(1)
    provider.receipts_by_provider_ref = True
    provider.script = numbered()
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    (phone,) = phones(run_id)
    channel_id = campaign.channel_id or 0
    # when receipts name this id and somebody else's number
    arrive(
        channel_id,
        clock,
        Receipt(ReceiptStatus.UNDELIVERED, provider_ref="1", phone="+8613900139999", outcome=Outcome.EXPIRED),
    )
    # then nothing moved, and they are there to be seen
    assert (funnel(run_id).undelivered, funnel(run_id).awaiting) == (0, 1)
    assert unmatched.lately(channel_id, clock.now) == 1
    # and the number as the provider writes it at home does fit
    arrive(
        channel_id, clock, Receipt(ReceiptStatus.DELIVERED, provider_ref="1", phone="+0" + phone.removeprefix("+86"))
    )
    assert funnel(run_id).delivered == 1


def test_an_id_given_again_to_a_number_is_about_the_newer_message(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1)
    provider.receipts_by_provider_ref = True
    provider.script = numbered()
    campaign, first = confirmed(clock.now)
    work(app, clock)
    clock.forward(hours=1)
    provider.script = numbered()
    _again, second = confirmed(clock.now, channel_id=campaign.channel_id)
    work(app, clock)
    (phone,) = phones(second)
    arrive(campaign.channel_id or 0, clock, Receipt(ReceiptStatus.DELIVERED, provider_ref="1", phone=phone))
    assert (funnel(first).delivered, funnel(second).delivered) == (0, 1)


def test_an_id_is_forgotten_after_the_time_for_receipts(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contacts(1)
    provider.receipts_by_provider_ref = True
    provider.script = numbered()
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    clock.forward(hours=73)
    arrive(campaign.channel_id or 0, clock, Receipt(ReceiptStatus.DELIVERED, provider_ref="1"))
    assert (funnel(run_id).delivered, unmatched.lately(campaign.channel_id or 0, clock.now)) == (0, 1)


def numbered() -> Script:
    """A provider whose ids are 1, 2, 3."""
    ids = count(1)
    return lambda submission: [SubmitResult(True, str(next(ids))) for _ in submission.messages]


def phones(run_id: int) -> set[str]:
    return set(current_session().scalars(sa.select(Message.phone).where(Message.run_id == run_id)))
