"""The ledger: runs, batches, messages, exclusions and their tallies.

A message is (run, seq), seq counting 1..planned without gaps, so a batch is two numbers and a claim touches one row. On
PostgreSQL messages and exclusions are partitioned by run, whose ids grow with time: retention drops whole partitions.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.funnel import Funnel
from smsapp.domain.message import Status
from smsapp.domain.run import RUN_MOVES, HoldReason, RunAction, RunState, RunVerdict
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import Base, BigId, changed, upsert

EXCLUDED = "excluded"
WAS = "was_"
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
    """The run whose failed messages this one tries again, its slot being the moment somebody asked for it."""
    routed: Mapped[str] = mapped_column(sa.String(40), default="")
    """Why the messages came here from the channel of the run this one repeats: a HoldReason or a FailoverReason."""
    routed_by: Mapped[str] = mapped_column(sa.String(120), default="")
    """Who decided that; "" = the automation."""
    pinned: Mapped[str] = mapped_column(sa.String(40), default="")
    """Why the automation leaves this run on its channel: a PinReason, or ""."""
    troubled_at: Mapped[dt.datetime | None]
    """Since when the channel has taken nothing; empty once it takes something, or something else holds the run."""
    state: Mapped[str] = mapped_column(sa.String(10))
    """A RunState; changed by `move` only."""
    verdict: Mapped[str] = mapped_column(sa.String(10), default="")
    """A RunVerdict; "" while it goes on."""
    hold_reason: Mapped[str] = mapped_column(sa.String(40), default="")
    """A HoldReason while it is held, else ""."""
    cancel_reason: Mapped[str] = mapped_column(sa.String(40), default="")
    """The CancelReason of what had not left when the run was ended or given up; "" for any other run."""
    failure: Mapped[str] = mapped_column(sa.String(40), default="")
    """The HoldReason for which the run was given up; "" for any other run."""
    drift: Mapped[dict[str, Any] | None]
    """How its audience differs from the reviewed one, while it is held for that; services/sending/drift.py."""
    hold_until: Mapped[dt.datetime | None]
    held_at: Mapped[dt.datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    """Calls in a row that reached nobody; drives the back-off."""
    channel_id: Mapped[int] = mapped_column(sa.ForeignKey("channel.id"))
    segment_id: Mapped[int | None]
    template: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What was frozen: code, name, text, signature, variables, marketing, mapping, segment name, price, currency."""
    marketing: Mapped[bool] = mapped_column(default=False)
    target: Mapped[int] = mapped_column(default=0)
    planned: Mapped[int] = mapped_column(default=0)
    parts: Mapped[int] = mapped_column(sa.BigInteger, default=0)
    """Billed parts of accepted messages."""
    asked: Mapped[int] = mapped_column(default=0)
    """The message up to which the provider has been asked about unconfirmed in this round
    (services/receipts/status_queries.py)."""
    opened_at: Mapped[dt.datetime]
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]
    forgotten_at: Mapped[dt.datetime | None]
    """When its single messages were removed; its numbers stay."""


class Batch(Base):
    __tablename__ = "batch"
    __table_args__ = (sa.Index("ix_batch_state_run", "state", "run_id", "no"), {"sqlite_with_rowid": False})

    run_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("run.id"), primary_key=True)
    no: Mapped[int] = mapped_column(primary_key=True)
    """Its first message, so that a part of it can become a batch of its own and all stay in order."""
    lo: Mapped[int]
    hi: Mapped[int]
    """Messages lo..hi, both included; only those still QUEUED are the batch's work."""
    state: Mapped[int] = mapped_column(sa.SmallInteger, default=BatchState.READY)
    claim: Mapped[str] = mapped_column(sa.String(32), default="")
    """Who holds it; a write-back under another claim changes nothing."""
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
    """domain/message.py Status. HANDED is never stored: a QUEUED message whose batch is HANDED is in flight."""
    parts: Mapped[int | None] = mapped_column(sa.SmallInteger)
    reason: Mapped[str | None] = mapped_column(sa.String(40))
    """An Outcome for REFUSED and UNDELIVERED; who or what decided for CANCELLED."""
    code: Mapped[str | None] = mapped_column(sa.String(80))
    provider_ref: Mapped[str | None] = mapped_column(sa.String(80))
    answered_at: Mapped[int | None] = mapped_column(sa.BigInteger)
    """Unix seconds of the channel's answer."""
    receipt_at: Mapped[int | None] = mapped_column(sa.BigInteger)


class Exclusion(Base):
    __tablename__ = "exclusion"
    __table_args__ = (PARTITIONED,)

    run_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    contact_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(sa.String(20))


class Tally(Base):
    """How many people of a run are where: changed in the same transaction as the rows it counts.

    state "excluded" with a Left reason, or the name of a message status with its reason ("" where it has none). A run
    that repeats another one also counts where its people are in that one: WAS before the name of that status.
    """

    __tablename__ = "tally"
    __table_args__ = (
        # Not on n as well: an index on what changes would make every write-back dearer on PostgreSQL.
        sa.Index(
            "ix_tally_unconfirmed",
            "run_id",
            sqlite_where=sa.text("state = 'unconfirmed'"),
            postgresql_where=sa.text("state = 'unconfirmed'"),
        ),
        {"sqlite_with_rowid": False},
    )

    run_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("run.id"), primary_key=True)
    state: Mapped[str] = mapped_column(sa.String(20), primary_key=True)
    reason: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    n: Mapped[int]


class ReceiptBucket(Base):
    """Receipts of a run over time, for the chart: `bucket` is Unix seconds cut to ten minutes."""

    __tablename__ = "receipt_bucket"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: Mapped[int] = mapped_column(BigId, sa.ForeignKey("run.id"), primary_key=True)
    bucket: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
    state: Mapped[str] = mapped_column(sa.String(12), primary_key=True)
    n: Mapped[int]


class ProviderRef(Base):
    """Where a provider's own id leads, for kinds whose receipts do not bring our reference back."""

    __tablename__ = "provider_ref"
    __table_args__ = {"sqlite_with_rowid": False}

    channel_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ref: Mapped[str] = mapped_column(sa.String(80), primary_key=True)
    phone: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    """The message's number: an id names a message together with it, because providers use ids again."""
    run_id: Mapped[int] = mapped_column(BigId)
    seq: Mapped[int]
    at: Mapped[int] = mapped_column(sa.BigInteger)
    """When the provider gave the message this id, in Unix seconds."""


def add_run(
    session: Session, campaign: Campaign, slot: dt.datetime, now: dt.datetime, repeats: int | None = None
) -> int | None:
    """Open the run of this campaign for this slot; return its id, or None if somebody has opened it already."""
    new = _new(campaign, slot, now, state=RunState.OPEN, repeats=repeats)
    made: int | None = session.execute(new.returning(Run.id)).scalar_one_or_none()
    return made


def add_missed(session: Session, campaign: Campaign, slot: dt.datetime, now: dt.datetime) -> None:
    """Record that nothing was sent for this slot because it was noticed too late."""
    session.execute(_new(campaign, slot, now, state=RunState.MISSED, verdict=RunVerdict.MISSED, finished_at=now))


def _new(campaign: Campaign, slot: dt.datetime, now: dt.datetime, **values: Any) -> Any:
    """Return the INSERT of this campaign's run for this slot; nothing happens if there is one."""
    choices = {"channel_id": campaign.channel_id, "segment_id": campaign.segment_id}
    new = upsert(Run).values(campaign_id=campaign.id, slot=slot, opened_at=now, template={}, **choices, **values)
    return new.on_conflict_do_nothing()


def move(session: Session, run_id: int, action: RunAction, *conditions: sa.ColumnElement[bool], **values: Any) -> bool:
    """Take the run through `action`, if it is (still) where the action begins and the conditions hold.

    One UPDATE, so of two that want the same run exactly one gets True. `values` are set with it.
    """
    return move_all(session, action, Run.id == run_id, *conditions, **values) == 1


def move_all(session: Session, action: RunAction, *conditions: sa.ColumnElement[bool], **values: Any) -> int:
    """Take every run for which the conditions hold through `action`; return how many."""
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
    """Hold a run that goes on, for a reason; without `until` a person has to act."""
    held: dict[str, Any] = {"hold_reason": reason, "hold_until": until, "held_at": now}
    return move(session, run_id, RunAction.HOLD, *conditions, **held, failures=failures, troubled_at=troubled_at)


UNHELD: dict[str, Any] = {"hold_reason": "", "hold_until": None, "held_at": None, "failures": 0, "troubled_at": None}
"""What a run forgets of its hold and its troubles when it goes on."""


def go_on(session: Session, run: Run) -> bool:
    """Let a held run go on where it stood, its troubles forgotten; False if it is not held any more."""
    return move(session, run.id, RunAction.RESTART if run.started_at is None else RunAction.RESUME, **UNHELD)


def pause(session: Session, run_id: int, now: dt.datetime) -> bool:
    """Hold a run until a person resumes it, unless it waits for a person already."""
    goes_on = sa.or_(Run.state != RunState.HELD, Run.hold_until.is_not(None))
    held = {"hold_reason": HoldReason.PAUSED, "hold_until": None, "held_at": now, "troubled_at": None}
    return move(session, run_id, RunAction.PAUSE, goes_on, **held)


def wake(session: Session, now: dt.datetime) -> int:
    """Let every run go on whose hold is over; return how many. Failures stay counted until a call succeeds."""
    over, unheld = Run.hold_until <= now, {"hold_reason": "", "hold_until": None}
    unfrozen = move_all(session, RunAction.RESTART, over, Run.started_at.is_(None), **unheld)
    return unfrozen + move_all(session, RunAction.RESUME, over, Run.started_at.is_not(None), **unheld)


def start_unfrozen(session: Session, run_id: int, now: dt.datetime) -> None:
    """Let a run that is to end before its audience was frozen count as started with nobody in it."""
    changed(session, sa.update(Run).where(Run.id == run_id, Run.started_at.is_(None)).values(started_at=now))


def unfinished(session: Session) -> Sequence[Run]:
    return session.scalars(sa.select(Run).where(Run.finished_at.is_(None)).order_by(Run.id)).all()


def latest(session: Session, campaign_id: int) -> Run | None:
    return session.scalar(sa.select(Run).where(Run.campaign_id == campaign_id).order_by(Run.id.desc()).limit(1))


def others_go_on(session: Session, run: Run) -> bool:
    """Say whether another run of the same campaign is not over."""
    others = sa.exists().where(Run.campaign_id == run.campaign_id, Run.id != run.id, Run.finished_at.is_(None))
    return bool(session.scalar(sa.select(others)))


def last_slot(session: Session, campaign_id: int) -> dt.datetime | None:
    """Return the last due moment of the campaign that has become a run; those that repeat a run have none."""
    chosen = sa.select(sa.func.max(Run.slot)).where(Run.campaign_id == campaign_id, Run.repeats.is_(None))
    return session.scalar(chosen)


def of_campaign(session: Session, campaign_id: int) -> Sequence[Run]:
    """Return a campaign's runs as the database has them now, newest first."""
    chosen = sa.select(Run).where(Run.campaign_id == campaign_id).order_by(Run.id.desc())
    return session.scalars(chosen.execution_options(populate_existing=True)).all()


def funnels(session: Session, run_ids: Sequence[int]) -> dict[int, Funnel]:
    """Return the funnel of each run, read from the tallies; the one query behind list, report, export and API."""
    return _funnels(session, Run.id, Run.id.in_(run_ids))


def campaign_funnels(session: Session, campaign_ids: Sequence[int]) -> dict[int, Funnel]:
    """Return the funnel of each campaign, all its runs added up; campaigns without a run are left out.

    A run that repeats another one adds nobody: its people were targeted there, and where they are now takes the place
    of where they were.
    """
    return _funnels(session, Run.campaign_id, Run.campaign_id.in_(campaign_ids), merged=True)


def _funnels(session: Session, key: Any, which: Any, *, merged: bool = False) -> dict[int, Funnel]:
    first = Run.repeats.is_(None) if merged else sa.true()
    totals = session.execute(
        sa.select(
            key,
            sa.func.sum(sa.case((first, Run.target), else_=0)),
            sa.func.sum(sa.case((first, Run.planned), else_=0)),
            sa.func.sum(Run.parts),
        )
        .where(which)
        .group_by(key)
    ).all()
    counts = session.execute(
        sa.select(key, Tally.state, Tally.reason, sa.func.sum(Tally.n))
        .join(Run, Run.id == Tally.run_id)
        .where(which, sa.or_(first, Tally.state != EXCLUDED))
        .group_by(key, Tally.state, Tally.reason)
    ).all()
    excluded: dict[int, dict[str, int]] = {}
    messages: dict[int, Counter[Status]] = {}
    for one, state, reason, n in counts:
        if state == EXCLUDED:
            excluded.setdefault(one, {})[reason] = int(n)
        elif not state.startswith(WAS):
            messages.setdefault(one, Counter())[Status[state.upper()]] += int(n)
        elif merged:
            messages.setdefault(one, Counter())[Status[state.removeprefix(WAS).upper()]] -= int(n)
    return {
        one: Funnel(int(target), int(planned), excluded.get(one, {}), messages.get(one, {}), int(parts))
        for one, target, planned, parts in totals
    }


def reasons(session: Session, run_ids: Sequence[int], *, merged: bool = False) -> list[tuple[str, str, int]]:
    """Return (state, reason, people) for everything that has a reason, most frequent first.

    `merged`: as campaign_funnels count, for all runs of a campaign.
    """
    rows = session.execute(
        sa.select(Tally.state, Tally.reason, sa.func.sum(Tally.n))
        .join(Run, Run.id == Tally.run_id)
        .where(Tally.run_id.in_(run_ids), Tally.reason != "")
        .where(sa.or_(Run.repeats.is_(None), Tally.state != EXCLUDED) if merged else sa.true())
        .group_by(Tally.state, Tally.reason)
    )
    found: Counter[tuple[str, str]] = Counter()
    for state, reason, n in rows:
        if not state.startswith(WAS):
            found[state, reason] += int(n)
        elif merged:
            found[state.removeprefix(WAS), reason] -= int(n)
    counted = [(state, reason, n) for (state, reason), n in found.items() if n > 0]
    return sorted(counted, key=lambda line: (-line[2], line[0], line[1]))


def waiting_for_receipts(session: Session, finished_before: dt.datetime) -> Sequence[int]:
    """Return the runs that ended before this moment and still have messages without a receipt."""
    waiting = sa.exists().where(Tally.run_id == Run.id, Tally.state == "accepted", Tally.n > 0)
    return session.scalars(sa.select(Run.id).where(Run.finished_at < finished_before, waiting)).all()


def channel_of(session: Session, run_ids: Iterable[int]) -> dict[int, int]:
    """Return the channel of each of these runs; unknown ones are absent."""
    chosen = sa.select(Run.id, Run.channel_id).where(Run.id.in_([*run_ids]))
    return dict(iter(session.execute(chosen)))


_FORGIVE = (
    sa.update(Run)
    .where(Run.id == sa.bindparam("run"), Run.troubled_at.is_not(None))
    .values(failures=0, troubled_at=None)
)


def note_success(session: Session, run_id: int) -> None:
    """Forget earlier calls that reached nobody: the channel answers again."""
    session.connection().execute(_FORGIVE, {"run": run_id})
