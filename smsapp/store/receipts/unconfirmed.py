"""Unconfirmed messages: which runs have some, and people's decisions about them, each carried out at most once.

A message is undecided until a receipt, a status query or a person settles it; KEPT_UNCONFIRMED is a
person's decision, too.
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
from smsapp.store.db import Base, BigId, changed, list_of, one_of
from smsapp.store.runs import billed_parts
from smsapp.store.runs.runs import IS_ERASED, Batch, BatchState, Message, Run
from smsapp.store.runs.tallies import Changes, Tally, add_to_tallies, tally_key

KEPT_UNCONFIRMED = "left"
"""Reason of messages that a person decided to leave unconfirmed."""


class Decision(Base):
    """A person's decision about an unconfirmed message; a message may become unconfirmed and be decided again."""

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
    """A run with undecided messages; `causes`: cause -> number of messages."""

    run: Run
    campaign: Campaign
    channel: str
    causes: Mapping[str, int]

    @property
    def n(self) -> int:
        return sum(self.causes.values())


def _undecided() -> list[sa.ColumnElement[bool]]:
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
    """Return runs with undecided messages, newest first, below the run id `before`, started in since..until."""
    undecided_runs = (
        sa.select(Run.id)
        .join(Tally, Tally.run_id == Run.id)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .where(*_undecided(), Campaign.deleted_at.is_(None))
        .group_by(Run.id)
        .order_by(Run.id.desc())
        .limit(limit)
    )
    if campaign_id is not None:
        undecided_runs = undecided_runs.where(Run.campaign_id == campaign_id)
    if channel_id is not None:
        undecided_runs = undecided_runs.where(Run.channel_id == channel_id)
    if run_id is not None:
        undecided_runs = undecided_runs.where(Run.id == run_id)
    if before is not None:
        undecided_runs = undecided_runs.where(Run.id < before)
    if since is not None:
        undecided_runs = undecided_runs.where(Run.started_at >= since)
    if until is not None:
        undecided_runs = undecided_runs.where(Run.started_at <= until)
    ids = list(session.scalars(undecided_runs))
    causes: dict[int, dict[str, int]] = {}
    query = sa.select(Tally.run_id, Tally.reason, Tally.n).where(*_undecided(), Tally.run_id.in_(ids))
    for id_, reason, n in session.execute(query):
        causes.setdefault(id_, {})[reason] = n
    rows = session.execute(
        sa.select(Run, Campaign, ChannelRow.name)
        .join(Campaign, Campaign.id == Run.campaign_id)
        .join(ChannelRow, ChannelRow.id == Run.channel_id)
        .where(Run.id.in_(ids))
        .order_by(Run.id.desc())
        .execution_options(populate_existing=True)
    )
    return [RunWithUnconfirmed(run, campaign, channel, causes.get(run.id, {})) for run, campaign, channel in rows]


_TOTAL = (
    sa.select(sa.func.coalesce(sa.func.sum(Tally.n), 0))
    .join(Run, Run.id == Tally.run_id)
    .join(Campaign, Campaign.id == Run.campaign_id)
    .where(*_undecided(), Campaign.deleted_at.is_(None))
)


def total(session: Session) -> int:
    """Return the number of undecided messages of all campaigns, from the tallies."""
    return int(session.scalar(_TOTAL) or 0)


def open_messages(run_id: int, cause: str = "", seqs: Sequence[int] | None = None) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on a run's undecided messages, with this cause and these seqs if given."""
    conditions = [
        Message.run_id == run_id,
        Message.status == Status.UNCONFIRMED,
        sa.func.coalesce(Message.reason, "") != KEPT_UNCONFIRMED,
    ]
    if cause:
        conditions.append(Message.reason == cause)
    if seqs is not None:
        conditions.append(Message.seq.in_(seqs))
    return conditions


def next_to_query(session: Session, run: Run, most: int) -> Sequence[tuple[int, str, str | None, int | None]]:
    """Return (seq, phone, params, answered_at) of the run's next undecided messages in this round of queries."""
    query = sa.select(Message.seq, Message.phone, Message.params, Message.answered_at)
    open_now = (*open_messages(run.id), ~IS_ERASED, Message.seq > run.asked)
    following = query.where(*open_now).order_by(Message.seq).limit(most)
    return [(seq, phone, params, answered_at) for seq, phone, params, answered_at in session.execute(following)]


def set_asked(session: Session, run_id: int, last: int) -> None:
    """Store the seq up to which the run's messages have been queried; 0 begins a new round."""
    session.execute(sa.update(Run).where(Run.id == run_id).values(asked=last))


def settle(
    session: Session, run_id: int, how: Resolution, cause: str, seqs: Sequence[int] | None, by: str, now: dt.datetime
) -> int:
    """Carry out a decision for these messages, or for all undecided ones; return for how many.

    The run's row is locked, so of two people who decide at once the second one finds nothing undecided. Messages to
    send again are queued in their batch, which becomes ready again; batches that are claimed now are skipped.
    """
    conditions = open_messages(run_id, cause, seqs)
    if how is Resolution.RESEND:
        conditions += [~IS_ERASED, _in_a_batch_at_rest(session, run_id, conditions)]
    by_cause = _lock_messages(session, conditions)
    settled = [seq for _cause, _parts, its_seqs in by_cause for seq in its_seqs]
    if not settled:
        return 0
    messages = (Message.run_id == run_id, one_of(Message.seq, settled))
    decided = {
        "run_id": Message.run_id,
        "seq": Message.seq,
        "at": sa.literal(now, Decision.at.type),
        "by": sa.literal(by),
        "settled": sa.literal(str(how)),
        "cause": sa.func.coalesce(Message.reason, ""),
    }
    rows = sa.select(*decided.values()).where(*messages).order_by(Message.seq)
    changed(session, sa.insert(Decision).from_select([*decided], rows))
    status, reason, values = _ENDS[how]
    changed(session, sa.update(Message).where(*messages).values(status=int(status), reason=reason or None, **values))
    if how is Resolution.COUNT_AS_SENT:
        billed_parts.add(session, run_id, sum(parts for _cause, parts, _seqs in by_cause))
    if how is Resolution.RESEND:
        _open_batches(session, run_id)
    changes: Changes = Counter({(tally_key(status), reason): len(settled)})
    for its_cause, _parts, its_seqs in by_cause:
        changes[tally_key(Status.UNCONFIRMED), its_cause] -= len(its_seqs)
    add_to_tallies(session, run_id, changes)
    return len(settled)


def _lock_messages(session: Session, conditions: Sequence[sa.ColumnElement[bool]]) -> list[tuple[str, int, list[int]]]:
    """Return (cause, parts, seqs) of these messages, locked by seq until the transaction ends."""
    cause = sa.func.coalesce(Message.reason, "").label("cause")
    rows = sa.select(Message.seq, cause, Message.parts).where(*conditions).order_by(Message.seq)
    locked = rows.with_for_update(of=Message).cte("locked")
    parts = sa.func.coalesce(sa.func.sum(locked.c.parts), 0)
    groups = sa.select(locked.c.cause, parts, list_of(locked.c.seq)).group_by(locked.c.cause)
    return [(its_cause, int(n), seqs) for its_cause, n, seqs in session.execute(groups.order_by(locked.c.cause))]


_ENDS: dict[Resolution, tuple[Status, str, dict[str, None]]] = {
    Resolution.COUNT_AS_SENT: (Status.ACCEPTED, "", {}),
    Resolution.KEEP: (Status.UNCONFIRMED, KEPT_UNCONFIRMED, {}),
    # As if it had never been sent; of the first answer only the cause remains, in the decision.
    Resolution.RESEND: (Status.QUEUED, "", dict.fromkeys(("parts", "code", "provider_ref", "answered_at"))),
}
"""Decision -> status, reason and other values of the messages afterwards."""


def _in_a_batch_at_rest(
    session: Session, run_id: int, conditions: Sequence[sa.ColumnElement[bool]]
) -> sa.ColumnElement[bool]:
    """Return the condition that a message's batch is not claimed, and lock these batches so that they stay so."""
    of_batch = (Batch.run_id == run_id, Batch.state != BatchState.CLAIMED)
    has_some = sa.exists().where(*conditions, Message.seq.between(Batch.lo, Batch.hi))
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
    """Return the decisions about one message, newest first."""
    query = sa.select(Decision).where(Decision.run_id == run_id, Decision.seq == seq)
    return session.scalars(query.order_by(Decision.id.desc())).all()
