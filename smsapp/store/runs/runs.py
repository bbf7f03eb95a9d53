"""The ledger: runs, batches, messages and exclusions; `tallies.py` counts them.

A message is (run, seq), seq counting 1..planned without gaps, so a batch is two numbers and a claim touches one row. On
PostgreSQL messages and exclusions are partitioned by run, whose ids grow with time: retention drops whole partitions.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.message import Status
from smsapp.domain.phone import ERASED
from smsapp.domain.run import RUN_MOVES, HoldReason, RunAction, RunState, RunVerdict
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.domain.schedule import Schedule, limit
from smsapp.domain.webhook import EventKind
from smsapp.store import journal
from smsapp.store.apps import webhook_outbox
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import Base, BigId, changed, upsert
from smsapp.store.runs.ledger_mark import new_id
from smsapp.store.runs.snapshot_json import SnapshotJson
from smsapp.store.runs.tallies import Tally, tally_key

PARTITIONED = {"postgresql_partition_by": "RANGE (run_id)", "sqlite_with_rowid": False}


class BatchState(enum.IntEnum):
    READY = 0
    CLAIMED = 1
    DONE = 2


class Run(Base):
    __tablename__ = "run"
    __table_args__ = (
        sa.UniqueConstraint("campaign_id", "slot"),
        sa.Index(
            "ix_run_unfinished",
            "state",
            sqlite_where=sa.text("finished_at IS NULL"),
            postgresql_where=sa.text("finished_at IS NULL"),
        ),
        sa.Index("ix_run_channel_id_finished_at", "channel_id", "finished_at"),
        sa.Index(
            "ix_run_repeats",
            "repeats",
            sqlite_where=sa.text("repeats IS NOT NULL"),
            postgresql_where=sa.text("repeats IS NOT NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    campaign_id: Mapped[int] = mapped_column(sa.ForeignKey("campaign.id"))
    slot: Mapped[dt.datetime]
    """The due moment this run is for; unique per campaign, so two schedulers make one run."""
    repeats: Mapped[int | None] = mapped_column(BigId, sa.ForeignKey("run.id"))
    """The run whose failed messages this one retries; then `slot` is the moment of the request."""
    routed: Mapped[str] = mapped_column(sa.String(40), default="")
    """Why the messages failed over from the channel of the repeated run: a HoldReason or a FailoverReason."""
    routed_by: Mapped[str] = mapped_column(sa.String(120), default="")
    """Who decided the failover; "" = the automation."""
    pinned: Mapped[str] = mapped_column(sa.String(40), default="")
    """Why the automation leaves this run on its channel: a PinReason, or ""."""
    troubled_at: Mapped[dt.datetime | None]
    """Since when the channel has accepted nothing; NULL once it accepts something, or another reason holds the run."""
    state: Mapped[str] = mapped_column(sa.String(10))
    """A RunState; changed by `move` only."""
    verdict: Mapped[str] = mapped_column(sa.String(10), default="")
    """A RunVerdict; "" until it has ended."""
    hold_reason: Mapped[str] = mapped_column(sa.String(40), default="")
    """A HoldReason while it is held, else ""."""
    cancel_reason: Mapped[str] = mapped_column(sa.String(40), default="")
    """The CancelReason of the messages still queued when the run was ended or given up; "" for any other run."""
    failure: Mapped[str] = mapped_column(sa.String(40), default="")
    """The HoldReason for which the run was given up; "" for any other run."""
    drift: Mapped[dict[str, Any] | None]
    """The difference between its audience and the reviewed one, while it is held for that;
    services/sending/drift.py."""
    hold_until: Mapped[dt.datetime | None]
    held_at: Mapped[dt.datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    """Consecutive calls that reached nobody; determines the back-off."""
    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id"))
    audience: Mapped[dict[str, Any] | None]
    """The campaign's, by which it is frozen; read by `campaigns.audience_of`."""
    segment_id: Mapped[int | None]
    """For the version before, as `Campaign.segment_id`."""
    snapshot: Mapped[RunSnapshot] = mapped_column(SnapshotJson, default=RunSnapshot)
    """Empty until the audience is frozen."""
    marketing: Mapped[bool] = mapped_column(default=False)
    consented_only: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    """Only those get a text who agreed to such texts, and have not withdrawn it before the claim."""
    target: Mapped[int] = mapped_column(default=0)
    planned: Mapped[int] = mapped_column(default=0)
    parts: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    """Billed parts of accepted messages."""
    asked: Mapped[int] = mapped_column(default=0)
    """The seq up to which unconfirmed messages have been queried in this round
    (services/receipts/status_queries.py)."""
    valid_until: Mapped[dt.datetime | None]
    """What has not left by then expires."""
    takes_until: Mapped[dt.datetime | None]
    """Until when single messages are added to it (services/sending/single_messages.py); NULL: none, or no more."""
    own_rate: Mapped[float | None]  # messages a second; domain/own_rate.py
    rated_at: Mapped[dt.datetime | None]
    """The moment up to which its own rate is used up; later time has earned messages."""
    opened_at: Mapped[dt.datetime]
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]
    forgotten_at: Mapped[dt.datetime | None]
    """When its messages were deleted; its tallies stay."""


class Batch(Base):
    __tablename__ = "batch"
    __table_args__ = (sa.Index("ix_batch_state_run", "state", "run_id", "no"), {"sqlite_with_rowid": False})

    run_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("run.id"), primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True)
    """Seq of its first message, so that a part split off keeps the order."""
    lo: Mapped[int]
    hi: Mapped[int]
    """Seqs lo..hi, both included; only messages still QUEUED are to be sent."""
    state: Mapped[int] = mapped_column(sa.SmallInteger, default=BatchState.READY)
    claim: Mapped[str] = mapped_column(sa.String(32), default="")
    """Id of the worker's claim; a write-back under another claim changes nothing."""
    lease_until: Mapped[dt.datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)


class Message(Base):
    __tablename__ = "message"
    __table_args__ = (sa.UniqueConstraint("run_id", "phone"), PARTITIONED)

    run_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    contact_id: Mapped[int] = mapped_column(BigId)
    phone: Mapped[str] = mapped_column(sa.String(16))
    params: Mapped[str | None] = mapped_column(sa.Text)
    """JSON array of the variables' values in the template's order; NULL if it has none."""
    status: Mapped[int] = mapped_column(sa.SmallInteger)
    """domain/message.py Status. IN_FLIGHT is never stored: a QUEUED message whose batch is CLAIMED is in flight."""
    parts: Mapped[int | None] = mapped_column(sa.SmallInteger)
    reason: Mapped[str | None] = mapped_column(sa.String(40))
    """An Outcome for REFUSED and UNDELIVERED; a CancelReason for CANCELLED."""
    code: Mapped[str | None] = mapped_column(sa.String(80))
    provider_ref: Mapped[str | None] = mapped_column(sa.String(80))
    answered_at: Mapped[int | None] = mapped_column(sa.BigInteger)
    """Unix seconds of the channel's answer."""
    receipt_at: Mapped[int | None] = mapped_column(sa.BigInteger)


IS_ERASED = Message.phone.startswith(ERASED)
"""The condition that a message's number was erased: nothing is sent to it or asked about it any more."""


class MessageKey(NamedTuple):
    """Names a message."""

    run_id: int
    seq: int


class Exclusion(Base):
    __tablename__ = "exclusion"
    __table_args__ = (PARTITIONED,)

    run_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    contact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(sa.String(20))


def add_run(
    session: Session, campaign: Campaign, slot: dt.datetime, now: dt.datetime, repeats: int | None = None
) -> int | None:
    """Insert the run of this campaign for this slot; return its id, or None if there is one already."""
    new = _new(session, campaign, slot, now, state=RunState.OPEN, repeats=repeats)
    run_id: int | None = session.execute(new.returning(Run.id)).scalar_one_or_none()
    if run_id is not None:
        journal.note(session, journal.RUN, run_id, campaign.id, slot.isoformat(), repeats)
    return run_id


def add_missed(session: Session, campaign: Campaign, slot: dt.datetime, now: dt.datetime) -> None:
    """Insert a run in state MISSED for a slot that was noticed too late; nothing is sent for it."""
    missed = {"state": RunState.MISSED, "verdict": RunVerdict.MISSED, "finished_at": now}
    session.execute(_new(session, campaign, slot, now, **missed))


def _new(session: Session, campaign: Campaign, slot: dt.datetime, now: dt.datetime, **values: Any) -> Any:
    """Return the INSERT of this campaign's run for this slot; it does nothing if there is one."""
    choices = {name: getattr(campaign, name) for name in ("channel_id", "audience", "segment_id")}
    choices |= new_id(session, Run.id)
    last = limit(Schedule.from_json({"zone": campaign.zone} | campaign.schedule), slot)
    new = upsert(Run).values(campaign_id=campaign.id, slot=slot, opened_at=now, valid_until=last, **choices, **values)
    return new.on_conflict_do_nothing()


def move(session: Session, run_id: int, action: RunAction, *conditions: sa.ColumnElement[bool], **values: Any) -> bool:
    """Apply `action` to the run, and set `values`, if its state allows the action and the conditions hold.

    One UPDATE, so of two concurrent calls for the same run exactly one returns True.
    """
    return move_all(session, action, Run.id == run_id, *conditions, **values) == 1


def move_all(session: Session, action: RunAction, *conditions: sa.ColumnElement[bool], **values: Any) -> int:
    """Apply `action` to every run whose state allows it and for which the conditions hold; return how many."""
    begins, ends = RUN_MOVES[action]
    statement = sa.update(Run).where(Run.state.in_(begins), *conditions)
    return changed(session, statement.values(state=ends, **values))


def hold(
    session: Session,
    run_id: int,
    reason: HoldReason,
    until: dt.datetime | None,
    now: dt.datetime,
    *conditions: sa.ColumnElement[bool],
    failures: int = 0,
    troubled_at: dt.datetime | None = None,
) -> bool:
    """Hold a run that is open or sending; without `until` it is held until a person acts."""
    values: dict[str, Any] = {"hold_reason": reason, "hold_until": until, "held_at": now}
    counted = {"failures": failures, "troubled_at": troubled_at}
    return _hold(session, run_id, RunAction.HOLD, values, *conditions, **counted)


def _hold(
    session: Session, run_id: int, action: RunAction, hold: dict[str, Any], *conditions: Any, **more: Any
) -> bool:
    """Hold the run, and have webhooks hear of it."""
    if not move(session, run_id, action, *conditions, **hold, **more):
        return False
    campaign_id, until = session.scalar(sa.select(Run.campaign_id).where(Run.id == run_id)), hold["hold_until"]
    facts = {"run": run_id, "reason": hold["hold_reason"], "until": until and until.isoformat()}
    webhook_outbox.note(session, EventKind.RUN_HELD, campaign_id, hold["held_at"], **facts)
    return True


UNHELD: dict[str, Any] = {"hold_reason": "", "hold_until": None, "held_at": None, "failures": 0, "troubled_at": None}
"""Values that clear a run's hold and its failures."""


def resume(session: Session, run: Run) -> bool:
    """Resume a held run and clear its failures; return False if it is not held any more."""
    return move(session, run.id, RunAction.RESTART if run.started_at is None else RunAction.RESUME, **UNHELD)


def pause(session: Session, run_id: int, now: dt.datetime) -> bool:
    """Hold a run until a person resumes it; return False if it already waits for a person."""
    goes_on = sa.or_(Run.state != RunState.HELD, Run.hold_until.is_not(None))
    values = {"hold_reason": HoldReason.PAUSED, "hold_until": None, "held_at": now}
    return _hold(session, run_id, RunAction.PAUSE, values, goes_on, troubled_at=None)


def resume_due(session: Session, now: dt.datetime) -> int:
    """Resume every run whose hold is over; return how many. Failures stay counted until a call succeeds."""
    over, unheld = Run.hold_until <= now, {"hold_reason": "", "hold_until": None}
    unfrozen = move_all(session, RunAction.RESTART, over, Run.started_at.is_(None), **unheld)
    return unfrozen + move_all(session, RunAction.RESUME, over, Run.started_at.is_not(None), **unheld)


def start_unfrozen(session: Session, run_id: int, now: dt.datetime) -> None:
    """Set `started_at` of a run that ends before its audience was frozen: it counts as started with nobody in it."""
    changed(session, sa.update(Run).where(Run.id == run_id, Run.started_at.is_(None)).values(started_at=now))


def unfinished(session: Session) -> Sequence[Run]:
    return session.scalars(sa.select(Run).where(Run.finished_at.is_(None)).order_by(Run.id)).all()


def latest(session: Session, campaign_id: int) -> Run | None:
    return session.scalar(sa.select(Run).where(Run.campaign_id == campaign_id).order_by(Run.id.desc()).limit(1))


def has_other_unfinished(session: Session, run: Run) -> bool:
    """Return whether another run of the same campaign is not finished."""
    other_run = sa.exists().where(Run.campaign_id == run.campaign_id, Run.id != run.id, Run.finished_at.is_(None))
    return bool(session.scalar(sa.select(other_run)))


def last_slot(session: Session, campaign_id: int) -> dt.datetime | None:
    """Return the latest slot for which the campaign has a run; runs that repeat another one do not count."""
    query = sa.select(sa.func.max(Run.slot)).where(Run.campaign_id == campaign_id, Run.repeats.is_(None))
    return session.scalar(query)


def of_campaign(session: Session, campaign_id: int) -> Sequence[Run]:
    """Return a campaign's runs, reloaded from the database, newest first."""
    query = sa.select(Run).where(Run.campaign_id == campaign_id).order_by(Run.id.desc())
    return session.scalars(query.execution_options(populate_existing=True)).all()


def all_ids(session: Session, campaign_id: int | None = None) -> Sequence[int]:
    """Return the ids of all runs, or of a campaign's, oldest first."""
    query = sa.select(Run.id).order_by(Run.id)
    if campaign_id is not None:
        query = query.where(Run.campaign_id == campaign_id)
    return session.scalars(query).all()


def waiting_for_receipts(session: Session, finished_before: dt.datetime) -> Sequence[int]:
    """Return the ids of runs that finished before this moment and still have messages without a receipt."""
    has_waiting = sa.exists().where(Tally.run_id == Run.id, Tally.state == tally_key(Status.ACCEPTED), Tally.n > 0)
    return session.scalars(sa.select(Run.id).where(Run.finished_at < finished_before, has_waiting)).all()


def snapshot_of(session: Session, run_id: int) -> RunSnapshot:
    """Return the snapshot of this run; an empty one if there is no such run."""
    return session.scalar(sa.select(Run.snapshot).where(Run.id == run_id)) or RunSnapshot()


def channel_of(session: Session, run_ids: Iterable[int]) -> dict[int, int]:
    """Return {run id: channel id}; unknown runs are absent."""
    query = sa.select(Run.id, Run.channel_id).where(Run.id.in_([*run_ids]))
    return dict(iter(session.execute(query)))


_LOCK_RUNS = (
    sa.select(Run.id).where(Run.id.in_(sa.bindparam("runs", expanding=True))).order_by(Run.id).with_for_update()
)


def lock_runs(session: Session, run_ids: Iterable[int]) -> None:
    """Lock these runs until the transaction ends, in the order of their ids."""
    session.connection().execute(_LOCK_RUNS, {"runs": [*run_ids]})


_CLEAR_FAILURES = (
    sa.update(Run)
    .where(Run.id == sa.bindparam("run"), Run.troubled_at.is_not(None))
    .values(failures=0, troubled_at=None)
)


def clear_failures(session: Session, run_id: int) -> None:
    """Clear the run's failures: the channel accepts messages again."""
    session.connection().execute(_CLEAR_FAILURES, {"run": run_id})
