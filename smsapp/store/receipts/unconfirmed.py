"""unconfirmed Messages: which runs have some, and what a person decides about them, each decision at most once.

A doubt is open until it is settled by a receipt, by asking the provider, or by a person; LEFT is a person's word, too.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.message import Resolution, Status
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import Base, BigId, changed
from smsapp.store.runs import billed_parts
from smsapp.store.runs.ledger import KEPT_UNCONFIRMED, Changes, add_to_tallies, tally_key
from smsapp.store.runs.runs import Batch, BatchState, Message, Run, Tally


class Decision(Base):
    """Who decided what about a unconfirmed message; a message may come into doubt again and be decided again."""

    __tablename__ = "decision"
    __table_args__ = (sa.Index("ix_decision_message", "run_id", "seq"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    run_id: Mapped[int] = mapped_column(BigId)
    seq: Mapped[int]
    at: Mapped[dt.datetime]
    by: Mapped[str] = mapped_column(sa.String(120))
    settled: Mapped[str] = mapped_column(sa.String(10))
    cause: Mapped[str] = mapped_column(sa.String(40))
    """Why it was unconfirmed."""


@dataclass(frozen=True)
class RunWithUnconfirmed:
    """A run with unconfirmed messages: how many for each cause."""

    run: Run
    campaign: Campaign
    channel: str
    causes: Mapping[str, int]

    @property
    def n(self) -> int:
        return sum(self.causes.values())


def _open() -> list[sa.ColumnElement[bool]]:
    # The literal lets both databases use the partial index.
    return [
        sa.literal_column("tally.state") == sa.literal_column("'unconfirmed'"),
        Tally.reason != KEPT_UNCONFIRMED,
        Tally.n > 0,
    ]


def page(
    session: Session,
    *,
    campaign_id: int | None = None,
    channel_id: int | None = None,
    before: int | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    run_id: int | None = None,
    limit: int,
) -> list[RunWithUnconfirmed]:
    """Return runs with unconfirmed messages, newest first, below the run `before`; only those that began in this
    time."""
    with_doubts = (
        sa.select(Run.id)
        .join(Tally, Tally.run_id == Run.id)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .where(*_open(), Campaign.deleted_at.is_(None))
        .group_by(Run.id)
        .order_by(Run.id.desc())
        .limit(limit)
    )
    if campaign_id is not None:
        with_doubts = with_doubts.where(Run.campaign_id == campaign_id)
    if channel_id is not None:
        with_doubts = with_doubts.where(Run.channel_id == channel_id)
    if run_id is not None:
        with_doubts = with_doubts.where(Run.id == run_id)
    if before is not None:
        with_doubts = with_doubts.where(Run.id < before)
    if since is not None:
        with_doubts = with_doubts.where(Run.started_at >= since)
    if until is not None:
        with_doubts = with_doubts.where(Run.started_at <= until)
    ids = list(session.scalars(with_doubts))
    causes: dict[int, dict[str, int]] = {}
    counted = sa.select(Tally.run_id, Tally.reason, Tally.n).where(*_open(), Tally.run_id.in_(ids))
    for one, reason, n in session.execute(counted):
        causes.setdefault(one, {})[reason] = n
    rows = session.execute(
        sa.select(Run, Campaign, ChannelRow.name)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .join(ChannelRow, ChannelRow.id == Run.channel_id)
        .where(Run.id.in_(ids))
        .order_by(Run.id.desc())
        .execution_options(populate_existing=True)
    )
    return [RunWithUnconfirmed(run, campaign, channel, causes.get(run.id, {})) for run, campaign, channel in rows]


def total(session: Session) -> int:
    """Return how many messages of all campaigns wait for a decision, from the tallies."""
    counted = (
        sa.select(sa.func.coalesce(sa.func.sum(Tally.n), 0))
        .join(Run, Run.id == Tally.run_id)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .where(*_open(), Campaign.deleted_at.is_(None))
    )
    return int(session.scalar(counted) or 0)


def open_messages(run_id: int, cause: str = "", seqs: Sequence[int] | None = None) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on a run's messages whose doubt is open."""
    found = [
        Message.run_id == run_id,
        Message.status == Status.UNCONFIRMED,
        sa.func.coalesce(Message.reason, "") != KEPT_UNCONFIRMED,
    ]
    if cause:
        found.append(Message.reason == cause)
    if seqs is not None:
        found.append(Message.seq.in_(seqs))
    return found


def settle(
    session: Session, run_id: int, how: Resolution, cause: str, seqs: Sequence[int] | None, by: str, now: dt.datetime
) -> int:
    """Carry a decision out, for these messages or all open ones; return how many it was carried out for.

    The run's row is locked, so of two people who decide at once the second one finds nothing open. What is to be sent
    again is queued in the batch it was in, which is opened again; a batch that is out at this moment is passed over.
    """
    chosen = open_messages(run_id, cause, seqs)
    if how is Resolution.RESEND:
        chosen.append(_in_a_batch_at_rest(session, run_id, chosen))
    noted = sa.select(
        Message.run_id,
        Message.seq,
        sa.literal(now, Decision.at.type),
        sa.literal(by),
        sa.literal(str(how)),
        sa.func.coalesce(Message.reason, ""),
    )
    noted = noted.where(*chosen).order_by(Message.seq).with_for_update(of=Message)
    into = ["run_id", "seq", "at", "by", "settled", "cause"]
    if not changed(session, sa.insert(Decision).from_select(into, noted)):
        return 0
    changes: Changes = Counter()
    moved = 0
    why = sa.func.coalesce(Message.reason, "")
    causes = sa.select(why.label("why"), sa.func.coalesce(sa.func.sum(Message.parts), 0)).where(*chosen)
    for reason, billed in session.execute(causes.group_by(sa.text("why"))).all():
        n = changed(session, sa.update(Message).where(*chosen, why == reason).values(**_becomes(how)))
        status = {
            Resolution.COUNT_AS_SENT: Status.ACCEPTED,
            Resolution.RESEND: Status.QUEUED,
            Resolution.KEEP: Status.UNCONFIRMED,
        }[how]
        changes[tally_key(Status.UNCONFIRMED), reason] -= n
        changes[tally_key(status), KEPT_UNCONFIRMED if how is Resolution.KEEP else ""] += n
        moved += n
        if how is Resolution.COUNT_AS_SENT:
            billed_parts.add(session, run_id, int(billed or 0))
    if how is Resolution.RESEND:
        _open_batches(session, run_id)
    add_to_tallies(session, run_id, changes)
    return moved


def _becomes(how: Resolution) -> dict[str, object]:
    if how is Resolution.KEEP:
        return {"reason": KEPT_UNCONFIRMED}
    if how is Resolution.COUNT_AS_SENT:
        return {"status": int(Status.ACCEPTED), "reason": None}
    # As if it had never been handed over; what the first answer said is in the log of decisions only.
    fresh = dict.fromkeys(("reason", "parts", "code", "provider_ref", "answered_at"))
    return {"status": int(Status.QUEUED), **fresh}


def _in_a_batch_at_rest(
    session: Session, run_id: int, chosen: Sequence[sa.ColumnElement[bool]]
) -> sa.ColumnElement[bool]:
    """Return the condition that a message's batch is in nobody's hands, and lock these batches so that it stays so."""
    of_batch = (Batch.run_id == run_id, Batch.state != BatchState.CLAIMED)
    has_some = sa.exists().where(*chosen, Message.seq.between(Batch.lo, Batch.hi))
    locked = sa.select(Batch.no).where(*of_batch, has_some).order_by(Batch.no).with_for_update(of=Batch)
    numbers = list(session.scalars(locked))
    return sa.exists().where(*of_batch, Message.seq.between(Batch.lo, Batch.hi), Batch.no.in_(numbers))


def _open_batches(session: Session, run_id: int) -> None:
    queued = sa.exists().where(
        Message.run_id == run_id, Message.status == Status.QUEUED, Message.seq.between(Batch.lo, Batch.hi)
    )
    opened = sa.update(Batch).where(Batch.run_id == run_id, Batch.state == BatchState.DONE, queued)
    changed(session, opened.values(state=int(BatchState.READY), claim="", lease_until=None))


def decisions(session: Session, run_id: int, seq: int) -> Sequence[Decision]:
    """Return what people decided about one message, newest first."""
    chosen = sa.select(Decision).where(Decision.run_id == run_id, Decision.seq == seq)
    return session.scalars(chosen.order_by(Decision.id.desc())).all()
