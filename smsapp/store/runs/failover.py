"""Failover of messages to another channel, in a run there that repeats the first one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.domain.outcome import FAILOVER_OUTCOMES
from smsapp.domain.run import CancelReason, RunState
from smsapp.store import journal
from smsapp.store.contacts.numbers import is_abroad, is_special
from smsapp.store.db import changed
from smsapp.store.runs.claims import cancel_rest
from smsapp.store.runs.freezing import cut_into_batches
from smsapp.store.runs.ledger_mark import new_id
from smsapp.store.runs.partitions import ensure_partition
from smsapp.store.runs.retries import add_earlier_tallies, repeated
from smsapp.store.runs.runs import IS_ERASED, Message, Run
from smsapp.store.runs.tallies import Tally, add_to_tallies, tally_key


@dataclass(frozen=True)
class Reach:
    """The numbers a channel may send to: region codes (empty = every country), classes besides mobile numbers."""

    countries: Sequence[str]
    number_classes: Collection[str]

    def covers_message(self) -> sa.ColumnElement[bool]:
        """Return the condition that the channel may send to the message's number."""
        number = Message.__table__.c.phone
        abroad = is_abroad(number, self.countries) if self.countries else sa.false()
        return sa.not_(sa.or_(is_special(number, self.number_classes), abroad))


_REROUTED = sa.and_(Message.status == Status.CANCELLED, Message.reason == CancelReason.REROUTED)
_REFUSED = sa.and_(Message.status == Status.REFUSED, Message.reason.in_(sorted(FAILOVER_OUTCOMES)))


def _movable(run_id: int, reach: Reach) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on a run's messages that surely were not sent, that no run has taken over yet, and that the
    other channel may send."""
    free = sa.or_(_REROUTED, _REFUSED)
    return [Message.run_id == run_id, free, ~repeated(run_id), reach.covers_message(), ~IS_ERASED]


def is_out_of_reach(session: Session, run_id: int, reach: Reach) -> bool:
    """Return whether this run has messages that are queued or could fail over, and the other channel may send none."""
    free = sa.or_(Message.status == Status.QUEUED, _REROUTED, _REFUSED)
    rest = [Message.run_id == run_id, free, ~repeated(run_id), ~IS_ERASED]
    query = sa.select(reach.covers_message()).where(*rest).distinct()
    return {bool(covered) for covered in session.scalars(query)} == {False}


def refusals(session: Session, run_id: int) -> tuple[int, int]:
    """Return (messages refused for reasons that lie with the channel, messages accepted) of a run."""
    is_channel_fault = sa.and_(Tally.state == tally_key(Status.REFUSED), Tally.reason.in_(sorted(FAILOVER_OUTCOMES)))
    accepted_state = Tally.state.in_([tally_key(status) for status in ACCEPTED_STATES])
    query = sa.select(
        sa.func.coalesce(sa.func.sum(sa.case((is_channel_fault, Tally.n), else_=0)), 0),
        sa.func.coalesce(sa.func.sum(sa.case((accepted_state, Tally.n), else_=0)), 0),
    ).where(Tally.run_id == run_id)
    refused, accepted = session.execute(query).one()
    return int(refused), int(accepted)


def is_moved(session: Session, run_id: int) -> bool:
    """Return whether messages of this run failed over to another run."""
    return bool(session.scalar(sa.select(sa.exists().where(Run.repeats == run_id, Run.routed != ""))))


def reclaim_movable(session: Session, run_id: int, reach: Reach) -> bool:
    """Cancel a run's unclaimed messages and lock all that can fail over; return whether there are any.

    Messages in flight and unconfirmed ones are not changed.
    """
    cancel_rest(session, run_id, CancelReason.REROUTED)
    locked = sa.select(Message.seq).where(*_movable(run_id, reach)).order_by(Message.seq).with_for_update(of=Message)
    return bool(session.scalar(sa.select(sa.func.count()).select_from(locked.subquery())))


def open_run(session: Session, first: Run, channel_id: int, why: str, by: str, now: dt.datetime) -> Run:
    """Insert and return a run that sends messages of `first` through this channel; its slot is `now` or later."""
    later = sa.select(sa.func.max(Run.slot)).where(Run.campaign_id == first.campaign_id, Run.slot >= now)
    last = session.scalar(later)
    run = Run(
        **new_id(session, Run.id),
        campaign_id=first.campaign_id,
        slot=now if last is None else last + dt.timedelta(microseconds=1),
        repeats=first.id,
        routed=why,
        routed_by=by,
        state=RunState.SENDING,
        channel_id=channel_id,
        audience=first.audience,
        segment_id=first.segment_id,
        marketing=first.marketing,
        consented_only=first.consented_only,
        opened_at=now,
        valid_until=first.valid_until,
        own_rate=first.own_rate,
        rated_at=first.rated_at,
        started_at=now,
    )
    session.add(run)
    session.flush()
    journal.note(session, journal.RUN, run.id, run.campaign_id, run.slot.isoformat(), first.id)
    ensure_partition(session, run.id)
    return run


def move_messages(session: Session, first: int, run_id: int, batch_size: int, reach: Reach) -> int:
    """Copy the messages of `first` that can fail over into this run, with batches and tallies; return how many.

    Cancelled messages that the other channel may not send stay in `first` and get a reason of their own.
    """
    seq = sa.func.row_number().over(order_by=Message.seq)
    query = sa.select(
        sa.literal(run_id), seq, Message.contact_id, Message.phone, Message.params, sa.literal(int(Status.QUEUED))
    ).where(*_movable(first, reach))
    columns = ["run_id", "seq", "contact_id", "phone", "params", "status"]
    n = changed(session, sa.insert(Message).from_select(columns, query))
    add_to_tallies(session, run_id, {(tally_key(Status.QUEUED), ""): n})
    add_earlier_tallies(session, run_id, first)
    cut_into_batches(session, run_id, n, batch_size)
    statement = sa.update(Message).where(Message.run_id == first, _REROUTED, ~repeated(first))
    out_of_reach = changed(session, statement.values(reason=CancelReason.NOT_ALLOWED_ELSEWHERE))
    before, after = CancelReason.REROUTED, CancelReason.NOT_ALLOWED_ELSEWHERE
    cancelled = tally_key(Status.CANCELLED)
    add_to_tallies(session, first, {(cancelled, before): -out_of_reach, (cancelled, after): out_of_reach})
    return n


def pin(session: Session, run_id: int, why: str) -> bool:
    """Store why an unfinished run stays on its channel, a person's reason until unpinned; return whether it changed."""
    statement = sa.update(Run).where(Run.id == run_id, Run.finished_at.is_(None), Run.pinned != why)
    return changed(session, statement.values(pinned=why)) == 1
