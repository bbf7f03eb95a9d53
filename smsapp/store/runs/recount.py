"""Counts every stored sum again from its rows: for checks, never for pages.

Each function reads all rows of a run, or of a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.store.apps.app_keys import BadRecord
from smsapp.store.channels.channel_health import EARLIER, HOUR, ChannelHour
from smsapp.store.contacts.imports import Import
from smsapp.store.contacts.segments import Segment, SegmentMember
from smsapp.store.receipts.codes import UnknownCode
from smsapp.store.receipts.state_changes import BUCKET_SECONDS
from smsapp.store.runs.receipt_buckets import ReceiptBucket
from smsapp.store.runs.runs import Batch, BatchState, Exclusion, Message, Run
from smsapp.store.runs.tallies import EXCLUDED, Tally, parsed

ANSWERED = (CallResult.OK, CallResult.REFUSED, CallResult.OUTCOME_UNKNOWN)
"""Results after which a message has an answer; after the others it is queued again."""


@dataclass
class RunRows:
    """The sums over the rows of one run."""

    tallies: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(state, reason) -> people, as in the table `tally`; "in_flight" are queued ones whose batch is claimed."""
    planned: int = 0
    parts: int = 0
    """Of accepted messages."""
    without_parts: int = 0
    """Accepted messages without parts."""
    delivered: Counter[int] = field(default_factory=Counter)
    """Bucket in Unix seconds -> messages whose last receipt, "delivered", came then."""
    undelivered: Counter[int] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    """Hour in Unix seconds -> messages answered then."""
    unknown: Counter[str] = field(default_factory=Counter)
    """A provider's unknown code -> messages that failed with it."""


def of_run(session: Session, run_id: int) -> RunRows:
    """Count one run's messages and exclusions."""
    result = RunRows()
    reason = sa.func.coalesce(Message.reason, "").label("why")
    claimed_batches = sa.exists().where(
        Batch.run_id == run_id, Batch.state == BatchState.CLAIMED, Message.seq.between(Batch.lo, Batch.hi)
    )
    in_flight = sa.case((Message.status == Status.QUEUED, sa.case((claimed_batches, 1), else_=0)), else_=0).label(
        "in_flight"
    )
    rows = session.execute(
        sa.select(
            Message.status,
            reason,
            in_flight,
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(Message.parts), 0),
            sa.func.count(Message.parts),
        )
        .where(Message.run_id == run_id)
        .group_by(Message.status, sa.text("why"), sa.text("in_flight"))
    )
    for status, why, is_in_flight, n, parts, with_parts in rows:
        result.tallies[Status.IN_FLIGHT.name.lower() if is_in_flight else Status(status).name.lower(), why] += n
        result.planned += n
        if status in ACCEPTED_STATES:
            result.parts += int(parts)
            result.without_parts += n - with_parts
    excluded = sa.select(Exclusion.reason, sa.func.count()).where(Exclusion.run_id == run_id).group_by(Exclusion.reason)
    for why, n in session.execute(excluded):
        result.tallies[EXCLUDED, why] += n
    _moments(session, run_id, result)
    unknown = sa.select(Message.code, sa.func.count()).where(
        Message.run_id == run_id, Message.reason == Outcome.UNKNOWN, Message.code.is_not(None)
    )
    result.unknown.update({str(code): n for code, n in session.execute(unknown.group_by(Message.code))})
    return result


def _moments(session: Session, run_id: int, result: RunRows) -> None:
    """Count receipts and answers by time into `result`."""
    bucket = (Message.receipt_at - Message.receipt_at % BUCKET_SECONDS).label("bucket")
    receipts = sa.select(Message.status, bucket, sa.func.count()).where(
        Message.run_id == run_id,
        Message.receipt_at.is_not(None),
        Message.status.in_([Status.DELIVERED, Status.UNDELIVERED]),
    )
    for status, at, n in session.execute(receipts.group_by(Message.status, sa.text("bucket"))):
        (result.delivered if status == Status.DELIVERED else result.undelivered)[int(at or 0)] += n
    hour = (Message.answered_at - Message.answered_at % HOUR).label("hour")
    answers = sa.select(hour, sa.func.count()).where(Message.run_id == run_id, Message.answered_at.is_not(None))
    result.answered.update({int(at or 0): n for at, n in session.execute(answers.group_by(sa.text("hour")))})


def tallies(session: Session, run_id: int) -> Counter[tuple[str, str]]:
    """Return the stored tallies of a run, without those of the run it repeats."""
    rows = session.execute(sa.select(Tally.state, Tally.reason, Tally.n).where(Tally.run_id == run_id))
    return Counter({(state, why): n for state, why, n in rows if not parsed(state)[1]})


def buckets(session: Session, run_id: int) -> dict[str, Counter[int]]:
    """Return state -> bucket -> receipts, as stored for the chart."""
    counts: dict[str, Counter[int]] = {}
    query = sa.select(ReceiptBucket.state, ReceiptBucket.bucket, ReceiptBucket.n)
    for state, bucket, n in session.execute(query.where(ReceiptBucket.run_id == run_id)):
        counts.setdefault(state, Counter())[bucket] += n
    return counts


def broken_batches(session: Session, run: Run) -> list[str]:
    """Return descriptions of what is wrong with a run's batches."""
    queued = sa.exists().where(
        Message.run_id == Batch.run_id, Message.seq.between(Batch.lo, Batch.hi), Message.status == Status.QUEUED
    )
    wrong = {
        "done with messages still queued": sa.and_(Batch.state == BatchState.DONE, queued),
        "handed out to nobody": sa.and_(
            Batch.state == BatchState.CLAIMED, sa.or_(Batch.claim == "", Batch.lease_until.is_(None))
        ),
        "claimed though it is not handed out": sa.and_(Batch.state != BatchState.CLAIMED, Batch.claim != ""),
    }
    if run.finished_at is not None:
        wrong["open though the run is over"] = Batch.state != BatchState.DONE
    broken = []
    for what, condition in wrong.items():
        numbers = session.scalars(sa.select(Batch.no).where(Batch.run_id == run.id, condition).order_by(Batch.no)).all()
        broken += [f"batch {no}: {what}" for no in numbers]
    in_none = sa.select(sa.func.count()).where(
        Message.run_id == run.id,
        ~sa.exists().where(Batch.run_id == run.id, Message.seq.between(Batch.lo, Batch.hi)),
    )
    if lost := session.scalar(in_none):
        broken.append(f"messages in no batch: {lost}")
    return broken


def hours(session: Session) -> dict[tuple[int, int], int]:
    """Return (channel, hour) -> messages that were answered, as stored."""
    query = sa.select(ChannelHour.channel_id, ChannelHour.hour, sa.func.sum(ChannelHour.n))
    query = query.where(ChannelHour.result.in_(ANSWERED), ChannelHour.hour != EARLIER)
    query = query.group_by(ChannelHour.channel_id, ChannelHour.hour)
    return {(channel_id, hour): int(n) for channel_id, hour, n in session.execute(query)}


def codes(session: Session) -> dict[int, dict[str, int]]:
    """Return channel -> unknown code -> how often it came, as stored."""
    counts: dict[int, dict[str, int]] = {}
    for channel_id, code, n in session.execute(sa.select(UnknownCode.channel_id, UnknownCode.code, UnknownCode.n)):
        counts.setdefault(channel_id, {})[code] = n
    return counts


def imports(session: Session) -> Mapping[int, tuple[int, int]]:
    """Return import id -> (stored number of refused rows, refused rows kept), for imports with any kept."""
    stored_rows = sa.select(BadRecord.source, sa.func.count()).where(BadRecord.source.startswith("import:"))
    rows = {source: n for source, n in session.execute(stored_rows.group_by(BadRecord.source))}  # noqa: C416 a Row is no pair to mypy
    refused = session.execute(sa.select(Import.id, Import.refused))
    return {key: (stored, rows[f"import:{key}"]) for key, stored in refused if f"import:{key}" in rows}


def segments(session: Session) -> Mapping[int, tuple[int, int]]:
    """Return segment id -> (stored size, members), for segments with stored members."""
    members = sa.select(SegmentMember.segment_id, sa.func.count()).group_by(SegmentMember.segment_id)
    rows = {segment_id: n for segment_id, n in session.execute(members)}  # noqa: C416 a Row is no pair to mypy
    sizes = session.execute(sa.select(Segment.id, Segment.size).where(Segment.size.is_not(None)))
    return {key: (size, rows[key]) for key, size in sizes if key in rows and size is not None}
