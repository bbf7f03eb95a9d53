"""Codes that no table describes are counted per channel, from answers and receipts, and only so many of them kept."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.channels.types import Receipt, ReceiptStatus, SubmitResult
from smsapp.domain.outcome import Outcome
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import codes
from tests import builders
from tests.engine import apply, confirmed, refs, the_run, work
from tests.fakes import FakeChannel, FakeClock
from tests.pages import Pages


def test_answers_and_receipts_with_unknown_codes_are_counted_and_shown(
    app: Flask, provider: FakeChannel, clock: FakeClock, runner: FlaskCliRunner, client: Pages
) -> None:
    builders.contacts(4)
    refused = SubmitResult(False, outcome=Outcome.UNKNOWN, code="X:99")
    provider.script = lambda submission: [refused, refused, SubmitResult(True, "a"), SubmitResult(True, "b")]
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    begun = clock.now
    clock.forward(hours=1)
    third, fourth = refs(run_id)[2:]
    apply(
        clock,
        Receipt(ReceiptStatus.UNDELIVERED, third, outcome=Outcome.UNKNOWN, code="X:99"),
        Receipt(ReceiptStatus.UNDELIVERED, fourth, outcome=Outcome.SWITCHED_OFF, code="MK:0010"),
    )

    (found,) = codes.listed(current_session())

    assert (found.code, found.n, found.first_at, found.last_at) == ("X:99", 3, begun, clock.now)
    page = client.as_("operator", "en").get(f"/channels/{the_run(run_id).channel_id}")
    assert ["X:99", "3"] in [row[:2] for row in page.rows()]
    assert "codes without a known meaning: X:99 (3)" in runner.invoke(args=["doctor"]).output


def test_a_provider_that_makes_codes_up_fills_no_table(
    app: Flask, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codes, "MOST", 3)
    channel = builders.channel()
    for first in (0, 3):
        with writing() as session:
            codes.count(session, [(channel.id, f"E{n}") for n in range(first, first + 5)], clock.now)

    kept = {row.code: row.n for row in codes.listed(current_session(), channel.id)}

    assert kept == {"E0": 1, "E1": 1, "E2": 1, codes.OTHERS: 7}
