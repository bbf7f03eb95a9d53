"""Providers that can be asked settle what was unconfirmed: bounded visits, nothing guessed, the same path as
receipts."""

from __future__ import annotations

import pytest
from flask import Flask

from smsapp.channels.errors import OutcomeUnknown
from smsapp.channels.types import Receipt, ReceiptStatus
from smsapp.domain.message import Resolution
from smsapp.domain.outcome import Outcome
from smsapp.services.receipts import status_queries, unconfirmed
from smsapp.services.reports import verify
from smsapp.store.db import current_session, writing
from smsapp.store.runs import provider_refs
from tests import builders
from tests.engine import OPERATOR, confirmed, funnel, refs, the_run, work
from tests.fakes import FakeChannel, FakeClock


@pytest.fixture
def run_id(app: Flask, provider: FakeChannel, clock: FakeClock) -> int:
    """A run with five unconfirmed messages, at a provider that can be asked."""
    builders.contacts(5)
    provider.script = lambda submission: OutcomeUnknown("CUT", outcome=Outcome.NETWORK)
    _campaign, made = confirmed(clock.now)
    work(app, clock)
    clock.forward(minutes=5)
    return made


def true(run_id: int) -> None:
    current_session().commit()
    assert [check.broken for check in verify.verify() if check.run_id == run_id] == [[]]


def test_what_the_provider_knows_is_settled_and_the_rest_stays_unconfirmed(
    run_id: int, provider: FakeChannel, clock: FakeClock
) -> None:
    first, second, third = refs(run_id)[:3]
    provider.known = {
        first: [Receipt(ReceiptStatus.DELIVERED, first, "p1")],
        second: [Receipt(ReceiptStatus.UNDELIVERED, second, "p2", outcome=Outcome.SWITCHED_OFF, code="X")],
        third: [Receipt(ReceiptStatus.ACCEPTED, third, "p3")],
    }

    status_queries.query_status(clock.now)

    after = funnel(run_id)
    assert (after.delivered, after.undelivered, after.awaiting, after.unconfirmed) == (1, 1, 1, 2)
    assert after.parts == 3
    true(run_id)


def test_what_cannot_be_told_apart_is_not_guessed(run_id: int, provider: FakeChannel, clock: FakeClock) -> None:
    # given two messages the provider had for each of two numbers, one of which is known to be another run's
    provider.receipts_by_provider_ref = True
    first, second = refs(run_id)[:2]
    provider.known = {
        first: [Receipt(ReceiptStatus.DELIVERED, first, "other"), Receipt(ReceiptStatus.DELIVERED, first, "this")],
        second: [Receipt(ReceiptStatus.DELIVERED, second, "a"), Receipt(ReceiptStatus.DELIVERED, second, "b")],
    }
    with writing() as session:
        provider_refs.store_refs(
            session, the_run(run_id).channel_id, 99, [("other", "+8613800138000", 1)], int(clock.now.timestamp())
        )

    status_queries.query_status(clock.now)

    assert (funnel(run_id).delivered, funnel(run_id).unconfirmed) == (1, 4)


def test_a_visit_asks_so_many_and_the_next_one_goes_on_and_round(
    run_id: int, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_queries, "AT_ONCE", 3)
    for _visit in range(3):
        status_queries.query_status(clock.now)
    assert [int(ref.partition("-")[2]) for ref in provider.asked] == [1, 2, 3, 4, 5, 1, 2, 3]


def test_what_is_young_old_or_left_is_not_asked_about(run_id: int, provider: FakeChannel, clock: FakeClock) -> None:
    status_queries.query_status(clock.now - status_queries.SETTLED * 2)
    clock.forward(days=4)
    status_queries.query_status(clock.now)
    clock.forward(days=-4)
    unconfirmed.decide(run_id, Resolution.KEEP, OPERATOR, clock.now)
    status_queries.query_status(clock.now)
    assert provider.asked == []


def test_a_provider_that_fails_leaves_everything_as_it_is(
    run_id: int, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_given: object) -> list[Receipt]:
        raise OutcomeUnknown("500")

    monkeypatch.setattr(provider, "query_status", fails)
    status_queries.query_status(clock.now)
    assert funnel(run_id).unconfirmed == 5
