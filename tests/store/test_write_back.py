"""What a write-back asks of the database."""

from __future__ import annotations

from threading import Thread

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from smsapp.channels.types import Receipt, ReceiptStatus
from smsapp.domain.message import Status
from smsapp.services.sending import opening
from smsapp.services.sending.snapshot import SMALL_BATCH
from smsapp.store.db import db, dialect, writing
from smsapp.store.runs import freezing, results
from smsapp.store.runs.results import MessageResult
from smsapp.store.runs.runs import Message
from tests import builders
from tests.engine import apply as take_receipts
from tests.engine import claimed, confirmed, funnel, in_hands, refs
from tests.fakes import FakeChannel, FakeClock

FEW, MANY = 20, 6 * SMALL_BATCH


def _messages_read(session: Session) -> int:
    """Return how many messages PostgreSQL has read for this connection; SQLite needs no statistics to find an index."""
    if dialect() != "postgresql":
        return 0
    counted = "SELECT sum(seq_tup_read + idx_tup_fetch) FROM pg_stat_xact_user_tables WHERE relname LIKE 'message%'"
    return int(session.scalar(sa.text(counted)) or 0)


def test_a_batch_of_a_run_that_was_frozen_a_moment_ago_is_written_back_without_reading_the_rest(
    app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a database that has seen small runs only, and now a large one
    monkeypatch.setattr(freezing, "MANY", MANY)
    provider.per_request = 1
    builders.contacts(FEW)
    _campaign, first = confirmed(clock.now)
    opening.open_run(first, clock.now)
    with writing() as session:
        session.execute(sa.text("ANALYZE"))
    builders.contacts(MANY)
    campaign, run_id = confirmed(clock.now, channel_id=builders.channel().id)
    opening.open_run(run_id, clock.now)
    # and a batch of it, a receipt being quicker than one of its answers, and one message without any
    batch = claimed(campaign, clock, "one")
    take_receipts(clock, Receipt(ReceiptStatus.DELIVERED, refs(run_id)[1]))
    answers = [MessageResult(seq, Status.ACCEPTED, 1) for seq, _phone, _params in batch.rows[1:]]
    # when it is written back
    with writing() as session:
        before = _messages_read(session)
        results.write_back(session, [results.prepare_results(batch, answers)], 0)
        read = _messages_read(session) - before
    # then its messages are read a few times, and no others
    assert read <= 5 * len(batch.rows) < MANY
    assert (funnel(run_id).delivered, funnel(run_id).accepted) == (1, len(answers))


def test_messages_are_locked_by_number_whatever_became_of_them(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a batch of two that are unconfirmed, which are stored first, and one before them that was accepted
    _campaign, run_id, batch = in_hands(3, clock, "one")
    ends = (Status.ACCEPTED, Status.UNCONFIRMED, Status.UNCONFIRMED)
    answers = [MessageResult(seq, end, 1) for (seq, _phone, _params), end in zip(batch.rows, ends, strict=True)]

    def store() -> None:
        with app.app_context(), writing() as session:
            results.write_back(session, [results.prepare_results(batch, answers)], 0)

    sender = Thread(target=store)
    if dialect() == "postgresql":  # SQLite has one writer at a time
        # and somebody who applies a receipt of the first message
        with db.engine.connect() as other:
            its = sa.select(Message.seq).where(Message.run_id == run_id)
            other.execute(its.where(Message.seq == 1).with_for_update())
            sender.start()
            waits = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
            while sender.is_alive() and not other.scalar(waits):
                pass
            # then nobody has locked the second one yet
            assert other.execute(its.where(Message.seq == 2).with_for_update(nowait=True)).all() == [(2,)]
    else:
        sender.start()
    sender.join()
    assert (funnel(run_id).unconfirmed, funnel(run_id).accepted) == (2, 1)
