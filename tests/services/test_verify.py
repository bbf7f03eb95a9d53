"""Every stored sum is compared with its rows; an error planted in any of them is named."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from smsapp.domain.message import Status
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.services.reports import verify
from smsapp.store.apps.app_keys import BadRecord
from smsapp.store.channels.channel_health import HOUR, ChannelHour
from smsapp.store.contacts.imports import Import
from smsapp.store.contacts.segments import Segment, SegmentMember
from smsapp.store.db import current_session
from smsapp.store.receipts.codes import UnknownCode
from smsapp.store.runs.receipt_buckets import ReceiptBucket
from smsapp.store.runs.runs import Batch, BatchState, Message, Run
from smsapp.store.runs.tallies import Tally
from tests import builders, ledgers

pytestmark = pytest.mark.usefixtures("app")
UNKNOWN = (Status.REFUSED, Outcome.UNKNOWN, "E42", 2)


def healthy() -> Run:
    """A run in every state, with what is stored beside it: hours, codes, an import, a static segment."""
    made = ledgers.run(ledgers.campaign(), [*ledgers.EVERY_STATE, UNKNOWN])
    session = current_session()
    at, hour = int(made.slot.timestamp()), int(made.slot.timestamp()) // HOUR * HOUR
    answered = session.scalar(sa.select(sa.func.count()).where(Message.answered_at.is_not(None)))
    row = {"channel_id": made.channel_id, "hour": hour, "last_at": at}
    session.add(ChannelHour(**row, result=CallResult.OK, reason="", n=answered))
    session.add(ChannelHour(**row, result=CallResult.NOT_SENT, reason="", n=7))
    session.add(UnknownCode(channel_id=made.channel_id, code="E42", n=2, first_at=made.slot, last_at=made.slot))
    taken = builders.kept(Import(file_name="f.csv", path="f.csv", state="done", refused=1, created_at=made.slot))
    session.add(BadRecord(at=made.slot, source=f"import:{taken.id}", reason="x", raw=""))
    segment = builders.segment(kind="static", size=1)
    session.add(SegmentMember(segment_id=segment.id, contact_id=builders.contact().id))
    session.commit()
    return made


def broken() -> list[str]:
    current_session().expire_all()
    return [f"{check.where}: {line}" for check in verify.verify() for line in check.broken]


def test_true_numbers_pass() -> None:
    healthy()
    assert broken() == []


def change(table: type, column: str, by: int, **key: object) -> Callable[[Run], None]:
    def planted(run: Run) -> None:
        key_of_run = {name: run.id for name in ("run_id",) if hasattr(table, name)} | key
        chosen = current_session().scalars(sa.select(table).filter_by(**key_of_run)).first()
        assert chosen is not None
        setattr(chosen, column, getattr(chosen, column) + by)

    return planted


def put(table: type, column: str, value: object, **key: object) -> Callable[[Run], None]:
    def planted(run: Run) -> None:
        chosen = current_session().scalars(sa.select(table).filter_by(run_id=run.id, **key)).first()
        assert chosen is not None
        setattr(chosen, column, value)

    return planted


@pytest.mark.parametrize(
    ("plant", "named"),
    [
        (change(Run, "target", 1), "!= excluded"),
        (change(Run, "planned", 1), "planned: stored 38 != rows 37"),
        (change(Run, "parts", 2), "parts: stored 24 != rows 22"),
        (put(Message, "parts", None, seq=1), "accepted without parts: 1"),
        (put(Message, "parts", 3, seq=1), "parts: stored 22 != rows 24"),
        (change(Tally, "n", 1, state="undelivered", reason="switched_off"), "undelivered switched_off: stored 4"),
        (change(Tally, "n", -1, state="unconfirmed", reason="worker_lost"), "unconfirmed worker_lost: stored 1"),
        (change(Tally, "n", 1, state="cancelled", reason="opted_out"), "cancelled opted_out: stored 2"),
        (change(Tally, "n", 1, state="excluded", reason="no_number"), "excluded no_number: stored 2"),
        (change(Tally, "n", 1, state="in_flight", reason=""), "in_flight: stored 4 != rows 3"),
        (change(Tally, "n", 1, state="queued", reason=""), "queued: stored 6 != rows 5"),
        (put(Batch, "state", BatchState.DONE, state=BatchState.READY), "done with messages still queued"),
        (put(Batch, "claim", "", state=BatchState.CLAIMED), "handed out to nobody"),
        (put(Batch, "claim", "w", state=BatchState.READY), "claimed though it is not handed out"),
        (put(Batch, "lo", 2, no=1), "messages in no batch: 1"),
        (put(Message, "reason", "balance", seq=17), "undelivered balance: stored 0 != rows 1"),
        (change(ReceiptBucket, "n", 1, state="delivered"), "delivered receipts at"),
        (change(ReceiptBucket, "n", -1, state="undelivered"), "undelivered receipts at"),
        (change(ChannelHour, "n", -1, result=CallResult.OK), "answered in hour"),
        (change(UnknownCode, "n", -1), "code E42: stored 1 < rows 2"),
        (change(Import, "refused", -1), "refused: stored 0 < rows 1"),
        (change(Segment, "size", -1, kind="static"), "size: stored 0 < rows 1"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_an_error_in_any_stored_sum_is_named(plant: Callable[[Run], None], named: str) -> None:
    run = healthy()
    plant(run)
    current_session().commit()
    assert any(named in line for line in broken()), broken()


def test_a_run_that_is_over_has_no_open_batch() -> None:
    run = healthy()
    run.finished_at = run.slot + dt.timedelta(hours=1)
    current_session().commit()
    assert sum("open though the run is over" in line for line in broken()) == 2


def test_a_code_beyond_those_kept_one_by_one_may_be_counted_among_the_others() -> None:
    run = healthy()
    current_session().get_one(UnknownCode, (run.channel_id, "E42")).code = "…"
    current_session().commit()
    assert broken() == []
