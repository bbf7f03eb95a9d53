"""The inbox: nothing in it waits for the ledger, is lost, or counts twice when somebody is killed."""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import flask_migrate
import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.channels.types import Callback, Receipt, ReceiptStatus, Reply
from smsapp.domain.outcome import Outcome
from smsapp.services.channels import accounts, registry
from smsapp.services.platform import shutdown
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import callback_inbox, consumer
from smsapp.store import queue
from smsapp.store.contacts.replies import OptOut
from smsapp.store.contacts.replies import Reply as Answer
from smsapp.store.db import Base, current_session, db
from smsapp.store.receipts import inbox
from smsapp.store.receipts.codes import UnknownCode
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.runs.runs import Message, Run
from smsapp.store.runs.tallies import Tally
from tests import builders
from tests.conftest import dispose
from tests.engine import confirmed, funnel, refs, work
from tests.fakes import FakeChannel, FakeClock
from tests.inboxes import unread

on_sqlite = pytest.mark.parametrize("config", ["sqlite"], indirect=True)


class Killed(BaseException):
    """The process ends here."""


def bring(channel_id: int, clock: FakeClock, *bodies: bytes) -> None:
    callback_inbox.store(channel_id, [Callback("POST", "", {}, body) for body in bodies], clock.now)


def rows(*tables: type[Base]) -> list[list[tuple[object, ...]]]:
    """Return what is in these tables, but for ids and times of what may be written anew."""
    current_session().expire_all()
    return [
        sorted(
            tuple(getattr(row, column.key) for column in sa.inspect(table).columns if column.key not in {"id", "at"})
            for row in current_session().scalars(sa.select(table))
        )
        for table in tables
    ]


def test_whoever_is_killed_between_applying_and_marking_changes_nothing(
    app: Flask, provider: FakeChannel, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given news of every kind
    builders.contacts(4)
    campaign, run_id = confirmed(clock.now)
    work(app, clock)
    a, b, c, _d = refs(run_id)
    provider.callbacks = {
        b"news": [
            Receipt(ReceiptStatus.DELIVERED, a),
            Receipt(ReceiptStatus.UNDELIVERED, b, outcome=Outcome.UNKNOWN, code="X:1"),
            Receipt(ReceiptStatus.UNDELIVERED, c, outcome=Outcome.OPTED_OUT),
            Receipt(ReceiptStatus.DELIVERED, provider_ref="nobody's"),
            Reply(phone="+8613900139000", text="退订"),
        ],
        b"more": [Receipt(ReceiptStatus.DELIVERED, a), Reply(phone="+8613900139000", text="退订")],
    }
    bring(campaign.channel_id or 0, clock, b"news", b"rubbish", b"more")

    # when the one who has applied it is killed before it could say so
    def killed(*_given: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "mark_read", killed)
        with pytest.raises(Killed):
            consumer.apply_callbacks(clock.now)
    touched = (Message, Tally, Run, UnknownCode, UnmatchedReceipt, Answer, OptOut)
    applied = rows(*touched)
    assert callback_inbox.unread_count() == 3
    assert (funnel(run_id).delivered, funnel(run_id).undelivered) == (1, 2)
    # then it is applied once more, and all is as it was
    clock.forward(seconds=7)
    assert consumer.apply_callbacks(clock.now) == 3
    assert callback_inbox.unread_count() == 0
    assert rows(*touched) == applied
    assert [len(table) for table in applied[3:]] == [1, 1, 2, 2]


@on_sqlite
def test_a_callback_is_taken_while_somebody_writes_to_the_database(app: Flask, clock: FakeClock) -> None:
    given = {setting.name: setting.default for setting in registry.kinds()["gateway"].settings} | {
        "url": "https://example.com/"
    }
    builders.channel(kind="gateway", callback_token="tok-en", settings=given)
    app.test_client().get("/sign-in")  # what is checked once at the start, and may write, is over
    app.test_client().get("/sign-in")  # what is checked and noted once, at the first start, is over
    freezing = sqlite3.connect(str(db.engine.url.database), isolation_level=None)
    freezing.execute("BEGIN IMMEDIATE")

    assert app.test_client().post("/callbacks/tok-en", data=b"x").status_code == 200
    assert [row.body for row in unread(10)] == [b"x"]
    freezing.close()


@on_sqlite
@pytest.mark.parametrize("copied", [False, True], ids=["lost", "an older copy"])
def test_no_callback_gets_the_id_of_another_though_its_file_is_gone(app: Flask, clock: FakeClock, copied: bool) -> None:
    bring(1, clock, b"one", b"two")
    file = str(inbox.engine().url.database)
    dispose()
    if copied:
        shutil.copy(file, f"{file}.copy")
    bring(1, clock, b"three")
    before = set(inbox.unread_ids(10))
    dispose()
    # when the file is lost, and one without the latest takes its place
    if copied:
        shutil.move(f"{file}.copy", file)
    else:
        Path(file).unlink()
        flask_migrate.upgrade()
    old = set(inbox.unread_ids(10))
    clock.forward(seconds=1)
    bring(1, clock, b"four")
    # then
    assert len(before) == 3
    assert set(inbox.unread_ids(10)) - old
    assert not (set(inbox.unread_ids(10)) - old) & before


def test_what_was_said_to_a_channel_that_was_deleted_is_read_by_nobody(app: Flask, clock: FakeClock) -> None:
    gone, remaining_id = builders.channel().id, builders.channel().id
    bring(gone, clock, b"x")
    bring(remaining_id, clock, b"y")
    accounts.delete(gone, Actor("admin"), clock.now)
    assert [row.body for row in unread(10)] == [b"y"]


# -- one job reads for a while -----------------------------------------------------------------------------------------


@pytest.fixture
def channel_id(provider: FakeChannel) -> int:
    provider.callbacks[b"x"] = []
    return builders.channel().id


def passing(clock: FakeClock, then: Callable[[], None] = lambda: None) -> Callable[[float], None]:
    """A pause in which the clock goes on and something may happen."""

    def pause(seconds: float) -> None:
        clock.forward(seconds=seconds)
        then()

    return pause


def rung() -> int:
    return queue.queue(queue.RECEIPTS).count


def bring_quietly(channel_id: int, clock: FakeClock) -> None:
    """Store a callback whose job has begun."""
    bring(channel_id, clock, b"x")
    queue.queue(queue.RECEIPTS).empty()  # type: ignore[no-untyped-call]  # rq has no types here


def test_a_job_that_finds_nothing_ends_at_once(app: Flask, clock: FakeClock) -> None:
    begun = clock.now
    consumer.keep_reading(lambda: clock.now, passing(clock))
    assert clock.now == begun


def test_what_comes_while_one_job_reads_needs_no_other_and_it_ends_when_nothing_comes(
    app: Flask, clock: FakeClock, channel_id: int
) -> None:
    begun, coming = clock.now, [b"x"] * 5
    bring_quietly(channel_id, clock)

    def comes() -> None:
        if coming:
            bring(channel_id, clock, coming.pop())

    consumer.keep_reading(lambda: clock.now, passing(clock, comes))

    assert (callback_inbox.unread_count(), rung()) == (0, 0)
    assert clock.now - begun == 5 * dt.timedelta(seconds=consumer.LOOK) + consumer.QUIET
    bring(channel_id, clock, b"x")
    assert rung() == 1


def test_a_stream_without_end_is_read_by_one_job_after_the_other(app: Flask, clock: FakeClock, channel_id: int) -> None:
    begun = clock.now
    bring_quietly(channel_id, clock)
    consumer.keep_reading(lambda: clock.now, passing(clock, lambda: bring(channel_id, clock, b"x")))

    assert consumer.LONGEST <= clock.now - begun < consumer.LONGEST * 1.1
    bring(channel_id, clock, b"x", b"x")
    assert rung() == 1


def test_a_job_that_is_asked_to_stop_leaves_the_rest_to_its_successor(
    app: Flask, clock: FakeClock, channel_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "BULK", 1)
    monkeypatch.setattr(shutdown, "requested", lambda: True)
    bring(channel_id, clock, b"x", b"x")
    queue.queue(queue.RECEIPTS).empty()  # type: ignore[no-untyped-call]  # rq has no types here

    consumer.keep_reading(lambda: clock.now, passing(clock))
    assert (callback_inbox.unread_count(), rung()) == (1, 1)


@pytest.mark.parametrize(("body", "left"), [(b"x", 1), (b"a long one", 3)])
def test_one_transaction_takes_pages_until_it_has_many_or_long_callbacks(
    app: Flask, clock: FakeClock, channel_id: int, monkeypatch: pytest.MonkeyPatch, body: bytes, left: int
) -> None:
    for name, value in (("PAGE", 2), ("BULK", 4), ("LONG", 10)):
        monkeypatch.setattr(consumer, name, value)
    bring(channel_id, clock, *[body] * 5)
    with monkeypatch.context() as stopped:
        stopped.setattr(shutdown, "requested", lambda: True)
        consumer.keep_reading(lambda: clock.now, passing(clock))
    assert callback_inbox.unread_count() == left
    assert (consumer.apply_callbacks(clock.now), callback_inbox.unread_count()) == (left, 0)


def test_a_flood_of_one_channel_holds_up_no_other(
    app: Flask, provider: FakeChannel, clock: FakeClock, channel_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a channel that is flooded, and two others whose callbacks came later
    for name, value in (("PAGE", 6), ("BULK", 6)):
        monkeypatch.setattr(consumer, name, value)
    others = [builders.channel().id, builders.channel().id]
    bring(channel_id, clock, *[b"x"] * 50)
    for other in others:
        bring(other, clock, b"x", b"x")
    assert list(inbox.waiting_channels()) == sorted([channel_id, *others])
    # when one transaction's worth is read
    monkeypatch.setattr(shutdown, "requested", lambda: True)
    consumer.keep_reading(lambda: clock.now, passing(clock))
    # then all of theirs is, and the flooded channel had no more than its share
    assert list(inbox.waiting_channels()) == [channel_id]
    assert callback_inbox.unread_count() == 48
    # and what the others leave of later ones is the flooded channel's
    consumer.keep_reading(lambda: clock.now, passing(clock))
    assert callback_inbox.unread_count() == 42


def test_a_backlog_is_counted_for_each_channel_up_to_a_limit(app: Flask, clock: FakeClock, channel_id: int) -> None:
    bring(channel_id, clock, b"x", b"xyz", b"x")
    bring(builders.channel().id, clock, b"x" * 100)
    assert inbox.backlog(channel_id, 10) == (3, 5)
    assert inbox.backlog(channel_id, 2)[0] == 2
    consumer.apply_callbacks(clock.now)
    assert inbox.backlog(channel_id, 10) == (0, 0)


def test_of_two_jobs_one_reads(app: Flask, clock: FakeClock, channel_id: int) -> None:
    bring(channel_id, clock, b"x")
    assert queue.claim_polling("keep_reading")
    consumer.keep_reading(lambda: clock.now, passing(clock))
    assert callback_inbox.unread_count() == 1
    queue.release_polling("keep_reading")
    consumer.keep_reading(lambda: clock.now, passing(clock))
    assert callback_inbox.unread_count() == 0


def test_without_redis_callbacks_are_read_all_the_same(app: Flask, clock: FakeClock, channel_id: int) -> None:
    app.extensions[queue.EXTENSION] = queue.connect("unix:///nowhere.sock")
    bring(channel_id, clock, b"x")
    consumer.keep_reading(lambda: clock.now, passing(clock))
    assert callback_inbox.unread_count() == 0
