"""The people of a run, one by one: messages and exclusions, by keyset, found by number, counted anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.message import Status
from smsapp.domain.recipients import EVERY_STATE, Group, Place, Recipient
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contacts import Contact
from smsapp.store.runs import retries
from smsapp.store.runs.runs import Batch, BatchState, Exclusion, Message, ReceiptBucket, Run


@dataclass(frozen=True, slots=True)
class PhoneQuery:
    """The number a person looks for: whole (E.164), or its last digits."""

    phone: str = field(default="", repr=False)
    ending: str = field(default="", repr=False)

    def among(self, column: sa.SQLColumnExpression[Any]) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on this column; the whole number can use an index, an ending reads the run."""
        if self.phone:
            return [column == self.phone]
        return [column.like(f"%{self.ending}")] if self.ending else []


ANYBODY = PhoneQuery()
PACE_SPANS = (0, *(unit * 10**power for power in range(1, 6) for unit in (1, 2, 5)))
"""How many messages before the newest answer the pace looks at when it was answered."""


def _in_flight() -> sa.ColumnElement[bool]:
    return sa.exists().where(
        Batch.run_id == Message.run_id,
        Batch.state == BatchState.CLAIMED,
        Message.seq.between(Batch.lo, Batch.hi),
    )


STATE_NOW = sa.case(
    (sa.and_(Message.status == Status.QUEUED, _in_flight()), int(Status.IN_FLIGHT)), else_=Message.status
).label("state_now")


def _in_states(session: Session, states: frozenset[Status], run_id: int) -> list[sa.ColumnElement[bool]]:
    """Return the conditions for these states. HANDED is not stored: it is QUEUED, in a batch that is out.

    A group asks for both of them, for neither, or for exactly one.
    """
    if states >= EVERY_STATE:
        return []
    if states == {Status.QUEUED}:
        return [Message.status == Status.QUEUED, ~_in_flight()]
    if states == {Status.IN_FLIGHT}:
        # Few batches are out at any moment: do not ask every waiting message whether it is in one of them.
        out = sa.select(sa.func.min(Batch.lo), sa.func.max(Batch.hi)).where(
            Batch.run_id == run_id, Batch.state == BatchState.CLAIMED
        )
        lo, hi = session.execute(out).one()
        return [Message.status == Status.QUEUED, Message.seq.between(lo or 0, hi or 0), _in_flight()]
    return [Message.status.in_(sorted(states - {Status.IN_FLIGHT}))]


def _messages(
    session: Session, run_id: int, group: Group, sought: PhoneQuery, after: int, limit: int, *, last_try: bool = False
) -> list[Recipient]:
    if not group.states:
        return []
    where = [Message.run_id == run_id, Message.seq > after]
    where += [*_in_states(session, group.states, run_id), *sought.among(Message.phone)]
    if group.reason:
        where.append(Message.reason == group.reason)
    if last_try:
        where.append(~retries.repeated(run_id))
    if group.but:
        where.append(sa.func.coalesce(Message.reason, "") != group.but)
    rows = session.execute(
        sa.select(
            Message.seq, Message.contact_id, Contact.xwho, Message.phone, STATE_NOW, Message.reason, Message.code,
            Message.parts, Message.provider_ref, Message.answered_at, Message.receipt_at, Message.params,
        )
        .outerjoin_from(Message, Contact, Contact.id == Message.contact_id)
        .where(*where)
        .order_by(Message.seq)
        .limit(limit)
    )  # fmt: skip
    return [
        Recipient(run_id, seq, contact_id, xwho or "", phone, Status(state), "", reason or "", code or "", parts,
                  ref or "", answered_at, receipt_at, params)
        for seq, contact_id, xwho, phone, state, reason, code, parts, ref, answered_at, receipt_at, params in rows
    ]  # fmt: skip


def _left_out(
    session: Session, run_id: int, group: Group, sought: PhoneQuery, after: int, limit: int
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
            *sought.among(phone),
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
    sought: PhoneQuery = ANYBODY,
    after: Place | None = None,
    limit: int = 50,
    *,
    merged: bool = False,
) -> list[Recipient]:
    """Return the next people of these runs, in the order of `run_ids`, at most `limit` of them.

    `merged`: a person who was tried again stands where the last try has left them, and nowhere else.
    """
    repeating = retries.repeating(session, run_ids) if merged else {}
    firsts = set(repeating.values())
    found: list[Recipient] = []
    left = list(run_ids)
    if after is not None:
        left = left[left.index(after.run_id) :] if after.run_id in left else []
    for run_id in left:
        here = after if after is not None and after.run_id == run_id else Place(run_id)
        if not here.excluded:
            most, tried = limit - len(found), run_id in firsts
            found += _messages(session, run_id, group, sought, here.position, most, last_try=tried)
        if len(found) < limit and run_id not in repeating:
            position = here.position if here.excluded else 0
            found += _left_out(session, run_id, group, sought, position, limit - len(found))
        if len(found) >= limit:
            break
    return found


def message(session: Session, run_id: int, seq: int) -> Recipient | None:
    """Return one message of a run."""
    found = _messages(session, run_id, Group("", EVERY_STATE), ANYBODY, seq - 1, 1)
    return found[0] if found and found[0].position == seq else None


def receipts_over_time(session: Session, run_ids: Sequence[int]) -> list[tuple[int, str, int]]:
    """Return (bucket in Unix seconds, state, receipts) of these runs added up, oldest first."""
    rows = session.execute(
        sa.select(ReceiptBucket.bucket, ReceiptBucket.state, sa.func.sum(ReceiptBucket.n))
        .where(ReceiptBucket.run_id.in_(run_ids))
        .group_by(ReceiptBucket.bucket, ReceiptBucket.state)
        .order_by(ReceiptBucket.bucket)
    )
    return [(bucket, state, int(n)) for bucket, state, n in rows]


def pace(session: Session, run_id: int) -> float | None:
    """Return the messages answered per second lately; None before there is anything to measure.

    It goes back from the end of the newest finished batch to the first message that was answered ten seconds or more
    before: a handful of look-ups by key, whatever the size of the run. Earlier holds do not spoil it.
    """
    done = sa.select(Batch.hi).where(Batch.run_id == run_id, Batch.state == BatchState.DONE)
    last = session.scalar(done.order_by(Batch.no.desc()).limit(1))
    if last is None:
        return None
    ends = session.execute(
        sa.select(Message.seq, Message.answered_at)
        .where(
            Message.run_id == run_id,
            Message.seq.in_([1, *(last - span for span in PACE_SPANS if span < last)]),
            Message.answered_at.is_not(None),
        )
        .order_by(Message.seq.desc())
    ).all()
    rate = None
    for seq, at in ends[1:]:
        rate = (ends[0].seq - seq) / max(1, ends[0].answered_at - at)
        if ends[0].answered_at - at >= 10:
            break
    return rate
