"""Receipts that name no message of ours: kept as they were first seen, found again, and never too many."""

from __future__ import annotations

import datetime as dt

import pytest
from flask import Flask

from smsapp.channels.types import Callback, Receipt, ReceiptStatus
from smsapp.services.privacy import retention
from smsapp.services.receipts import callback_inbox, consumer, unmatched, unmatched_retry
from smsapp.store.db import current_session, writing
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.runs.provider_refs import ProviderRef
from tests import builders
from tests.engine import arrive, confirmed, funnel, work
from tests.fakes import FakeChannel, FakeClock


def kept() -> list[tuple[str, dt.datetime]]:
    current_session().expire_all()
    return [
        (row.provider_ref or row.ref, row.at)
        for row in current_session().query(UnmatchedReceipt).order_by(UnmatchedReceipt.id)
    ]


def test_an_unmatched_receipt_that_still_finds_no_message_keeps_its_time_and_does_not_hide_others(
    app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given unmatched whose provider's ids lead to messages that are gone, more than are looked at in one go
    monkeypatch.setattr(unmatched_retry, "AT_ONCE", 2)
    builders.contacts(1)
    provider.receipts_by_provider_ref = True
    campaign, run_id = confirmed(clock.now)
    channel_id, first = campaign.channel_id or 0, clock.now
    gone = [Receipt(ReceiptStatus.DELIVERED, provider_ref=f"gone{n}") for n in range(3)]
    at = int(clock.now.timestamp())
    with writing() as session:
        for id_ in gone:
            session.add(
                ProviderRef(
                    channel_id=channel_id, ref=id_.provider_ref, phone="+8613800138000", run_id=run_id, seq=999, at=at
                )
            )
    arrive(channel_id, clock, *gone, Receipt(ReceiptStatus.DELIVERED, provider_ref=f"p{run_id}-1"))
    work(app, clock)
    # when they are looked through again a while later
    clock.forward(minutes=5)
    unmatched_retry.retry(clock.now)
    # then the one behind them has found its message, and they are as they were
    assert funnel(run_id).delivered == 1
    assert kept() == [(id_.provider_ref, first) for id_ in gone]


def test_how_long_it_is_tried_again_depends_on_the_providers_id_and_the_time(app: Flask, clock: FakeClock) -> None:
    channel_id = builders.channel().id
    arrive(
        channel_id,
        clock,
        Receipt(ReceiptStatus.DELIVERED, "other-7"),
        Receipt(ReceiptStatus.DELIVERED, provider_ref="x"),
    )
    newest, oldest = unmatched.listing().rows

    assert unmatched.tried_until(newest, clock.now) == clock.now + unmatched_retry.YOUNG
    assert unmatched.tried_until(oldest, clock.now) is None
    assert unmatched.tried_until(newest, clock.now + unmatched_retry.YOUNG) is None


def test_an_id_the_provider_uses_a_second_time_is_young_again(app: Flask, clock: FakeClock) -> None:
    channel_id = builders.channel().id
    arrive(channel_id, clock, Receipt(ReceiptStatus.DELIVERED, provider_ref="1A"))
    clock.forward(days=90)
    arrive(channel_id, clock, Receipt(ReceiptStatus.DELIVERED, provider_ref="1A"))

    assert kept() == [("1A", clock.now)]
    assert unmatched.tried_until(unmatched.listing().rows[0], clock.now) == clock.now + unmatched_retry.YOUNG


def test_a_day_is_counted_up_to_a_bound(app: Flask, clock: FakeClock) -> None:
    channel_id, other = builders.channel().id, builders.channel().id
    arrive(channel_id, clock, Receipt(ReceiptStatus.DELIVERED, "old"))
    clock.forward(days=1)
    arrive(channel_id, clock, *[Receipt(ReceiptStatus.DELIVERED, f"new-{n}") for n in range(3)])
    arrive(other, clock, *[Receipt(ReceiptStatus.DELIVERED, f"new-{n}") for n in range(200)])

    assert (unmatched.lately(channel_id, clock.now), unmatched.lately(other, clock.now)) == (
        3,
        unmatched.MOST_COUNTED + 1,
    )


def test_each_channel_keeps_its_latest_ones_and_none_too_long(
    app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a channel that is flooded, and one with an old and a new unmatched receipt
    monkeypatch.setattr(unmatched, "MOST_KEPT", 4)
    monkeypatch.setattr(unmatched, "AT_ONCE", 3)
    flooded, quiet = builders.channel().id, builders.channel().id
    arrive(quiet, clock, Receipt(ReceiptStatus.DELIVERED, "old"))
    clock.forward(days=181)
    arrive(quiet, clock, Receipt(ReceiptStatus.DELIVERED, "new"))
    arrive(flooded, clock, *[Receipt(ReceiptStatus.DELIVERED, f"f{n}") for n in range(11)])
    # when
    retention.purge(clock.now)
    unmatched.forget()
    # then
    assert [name for name, _at in kept()] == ["new", "f7", "f8", "f9", "f10"]


def test_a_receipt_of_a_test_message_is_not_among_them(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    channel_id = confirmed(clock.now)[0].channel_id or 0
    provider.callbacks[b"said"] = [
        Receipt(ReceiptStatus.DELIVERED, "test-1"),
        Receipt(ReceiptStatus.DELIVERED, "else-1"),
    ]
    callback_inbox.store(channel_id, [Callback("POST", "", {}, b"said")], clock.now)
    consumer.apply_callbacks(clock.now)

    assert [name for name, _at in kept()] == ["else-1"]
