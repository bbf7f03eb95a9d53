"""What was in doubt is settled by a receipt, by our reference or by the provider's id."""

from __future__ import annotations

from flask import Flask

from smsapp.channels.base import Answer, News, Receipt
from smsapp.services import receipts
from smsapp.store.db import writing
from tests import builders
from tests.engine import confirmed, funnel, the_run, work
from tests.fakes import FakeChannel, FakeClock


def test_a_receipt_settles_what_was_in_doubt_if_the_provider_gave_it_an_id(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    builders.contacts(1)
    provider.receipts_by_provider_ref = True
    provider.script = lambda submission: [Answer(False, "id-1", code="E", in_doubt=True)]
    _campaign, run_id = confirmed(clock.now)
    work(app, clock)
    assert funnel(run_id).unconfirmed == 1
    with writing() as current:
        channel_id = the_run(run_id).channel_id
        receipts.apply_receipts(current, [(channel_id, Receipt(News.DELIVERED, provider_ref="id-1"))], clock.now)
    assert (funnel(run_id).unconfirmed, funnel(run_id).delivered) == (0, 1)
