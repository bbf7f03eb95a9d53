"""The people of a run, one by one: messages and exclusions, in keyset pages, optionally by number; and its pace."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import Status
from smsapp.domain.recipients import EVERY_STATE, Group, Place, Recipient
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contacts import Contact
from smsapp.store.runs import retries
from smsapp.store.runs.receipt_buckets import ReceiptBucket
from smsapp.store.runs.runs import Batch, BatchState, Exclusion, Message, Run


@dataclass(frozen=True, slots=True)
class PhoneQuery:
    """A search for a number: whole (E.164), or its last digits."""

    phone: str = field(default="", repr=False)
    ending: str = field(default="", repr=False)

    def among(self, column: sa.SQLColumnExpression[Any]) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on this column; a whole number can use an index, an ending scans the run."""
        if self.phone:
            return [column == self.phone]
        return [column.like(f"%{self.ending}")] if self.ending else []


ANYBODY = PhoneQuery()
PACE_SPANS = (0, *(unit * 10**power for power in range(1, 6) for unit in (1, 2, 5)))
"""Distances in messages before the newest answer at which `pace` reads the time of the answer."""


def is_in_flight() -> sa.ColumnElement[bool]:
    """Return the condition that a queued message is in a claimed batch."""
    return sa.exists().where(
        Batch.run_id == Message.run_id,
        Batch.state == BatchState.CLAIMED,
        Message.seq.between(Batch.lo, Batch.hi),
    )


STATE_NOW = sa.case(
    (sa.and_(Message.status == Status.QUEUED, is_in_flight()), int(Status.IN_FLIGHT)), else_=Message.status
).label("state_now")


def _in_states(session: Session, states: frozenset[Status], run_id: int) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for these states. IN_FLIGHT is not stored: it is QUEUED in a claimed batch.

    A group has both of them, neither, or exactly one.
    """
    if states >= EVERY_STATE:
        return []
    if states == {Status.QUEUED}:
        return [Message.status == Status.QUEUED, ~is_in_flight()]
    if states == {Status.IN_FLIGHT}:
        # Few batches are claimed at any moment: do not check for every queued message whether it is in one of them.
        out = sa.select(sa.func.min(Batch.lo), sa.func.max(Batch.hi)).where(
            Batch.run_id == run_id, Batch.state == BatchState.CLAIMED
        )
        lo, hi = session.execute(out).one()
        return [Message.status == Status.QUEUED, Message.seq.between(lo or 0, hi or 0), is_in_flight()]
    return [Message.status.in_(sorted(states - {Status.IN_FLIGHT}))]


def _messages(
    session: Session, run_id: int, group: Group, query: PhoneQuery, after: int, limit: int, *, last_try: bool = False
) -> list[Recipient]:
    if not group.states:
        return []
    conditions = [Message.run_id == run_id, Message.seq > after]
    conditions += [*_in_states(session, group.states, run_id), *query.among(Message.phone)]
    if group.reason:
        conditions.append(Message.reason == group.reason)
    if last_try:
        conditions.append(~retries.repeated(run_id))
    if group.but:
        conditions.append(sa.func.coalesce(Message.reason, "") != group.but)
    rows = session.execute(
        sa.select(
            Message.seq, Message.contact_id, Contact.xwho, Message.phone, STATE_NOW, Message.reason, Message.code,
            Message.parts, Message.provider_ref, Message.answered_at, Message.receipt_at, Message.params,
        )
        .outerjoin_from(Message, Contact, Contact.id == Message.contact_id)
        .where(*conditions)
        .order_by(Message.seq)
        .limit(limit)
    )  # fmt: skip
    return [
        Recipient(run_id, seq, contact_id, xwho or "", phone, Status(state), "", reason or "", code or "", parts,
                  ref or "", answered_at, receipt_at, params)
        for seq, contact_id, xwho, phone, state, reason, code, parts, ref, answered_at, receipt_at, params in rows
    ]  # fmt: skip


def _excluded(
    session: Session, run_id: int, group: Group, query: PhoneQuery, after: int, limit: int
) -> list[Recipient]:
    if not group.left:
        return []
    name = session.scalar(
        sa.select(ChannelRow.phone_property).join(Run, Run.channel_id == ChannelRow.id).where(Run.id == run_id)
    )
    phone = Contact.phones[name].as_string()
    rows = session.execute(
        sa.select(Exclusion.contact_id, Contact.xwho, phone, Exclusion.reason)
        .outerjoin_from(Exclusion, Contact, Contact.id == Exclusion.contact_id)
        .where(
            Exclusion.run_id == run_id,
            Exclusion.contact_id > after,
            Exclusion.reason.in_(sorted(group.left)),
            *query.among(phone),
        )
        .order_by(Exclusion.contact_id)
        .limit(limit)
    )
    return [
        Recipient(run_id, contact_id, contact_id, xwho or "", number or "", None, reason)
        for contact_id, xwho, number, reason in rows
    ]


def page(
    session: Session,
    run_ids: Sequence[int],
    group: Group,
    query: PhoneQuery = ANYBODY,
    after: Place | None = None,
    limit: int = 50,
    *,
    merged: bool = False,
) -> list[Recipient]:
    """Return the next people of these runs, in the order of `run_ids`, at most `limit`.

    `merged`: a person who was retried is listed once, with the state of the last try.
    """
    repeating = retries.repeating(session, run_ids) if merged else {}
    firsts = set(repeating.values())
    people: list[Recipient] = []
    remaining = list(run_ids)
    if after is not None:
        remaining = remaining[remaining.index(after.run_id) :] if after.run_id in remaining else []
    for run_id in remaining:
        here = after if after is not None and after.run_id == run_id else Place(run_id)
        if not here.excluded:
            most, tried = limit - len(people), run_id in firsts
            people += _messages(session, run_id, group, query, here.position, most, last_try=tried)
        if len(people) < limit and run_id not in repeating:
            position = here.position if here.excluded else 0
            people += _excluded(session, run_id, group, query, position, limit - len(people))
        if len(people) >= limit:
            break
    return people


def message(session: Session, run_id: int, seq: int) -> Recipient | None:
    """Return one message of a run; None if there is none."""
    messages = _messages(session, run_id, Group("", EVERY_STATE), ANYBODY, seq - 1, 1)
    return messages[0] if messages and messages[0].position == seq else None


def receipts_over_time(session: Session, run_ids: Sequence[int]) -> list[tuple[int, str, int]]:
    """Return (bucket in Unix seconds, state, receipts) of these runs added up, oldest first."""
    rows = session.execute(
        sa.select(ReceiptBucket.bucket, ReceiptBucket.state, sa.func.sum(ReceiptBucket.n))
        .where(ReceiptBucket.run_id.in_(run_ids))
        .group_by(ReceiptBucket.bucket, ReceiptBucket.state)
        .order_by(ReceiptBucket.bucket)
    )
    return [(bucket, state, int(n)) for bucket, state, n in rows]


# Built once: the list asks them for each campaign that is being sent, every few seconds.
_LAST_DONE = (
    sa.select(Batch.hi)
    .where(Batch.run_id == Run.id, Batch.state == BatchState.DONE)
    .order_by(Batch.no.desc())
    .limit(1)
    .scalar_subquery()
)
_LAST_DONE_OF_EACH = sa.select(Run.id, _LAST_DONE).where(Run.id.in_(sa.bindparam("runs", expanding=True)))
_keys: sa.BindParameter[Any] = sa.bindparam("keys", expanding=True)
_ANSWERED = (
    sa.select(Message.run_id, Message.seq, Message.answered_at)
    .where(sa.tuple_(Message.run_id, Message.seq).in_(_keys), Message.answered_at.is_not(None))
    .order_by(Message.run_id, Message.seq.desc())
)


def paces(session: Session, run_ids: Sequence[int]) -> dict[int, float]:
    """Return {run id: messages answered per second lately}; absent are those of which nothing can be measured yet.

    Measured from the end of the newest finished batch back to the first message that was answered ten seconds or more
    before: a few look-ups by key, whatever the size of the run. Earlier holds have no effect.
    """
    last_done = session.execute(_LAST_DONE_OF_EACH, {"runs": run_ids}).all() if run_ids else []
    keys = [
        (run_id, seq)
        for run_id, last in last_done
        if last is not None
        for seq in (1, *(last - span for span in PACE_SPANS if span < last))
    ]
    answers = session.execute(_ANSWERED, {"keys": keys}) if keys else ()
    rates = {run_id: _pace(list(ends)) for run_id, ends in groupby(answers, lambda row: row.run_id)}
    return {run_id: rate for run_id, rate in rates.items() if rate is not None}


def _pace(ends: Sequence[Any]) -> float | None:
    rate = None
    for _run_id, seq, at in ends[1:]:
        rate = (ends[0].seq - seq) / max(1, ends[0].answered_at - at)
        if ends[0].answered_at - at >= 10:
            break
    return rate
