"""The first step of a run: messages and exclusions are inserted by INSERT .. SELECT.

No row passes through Python, which would be several times slower.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.message import Status
from smsapp.store.contacts import audience as audiences
from smsapp.store.db import changed, db, dialect, upsert
from smsapp.store.runs import partitions
from smsapp.store.runs.runs import Batch, BatchState, Exclusion, Message
from smsapp.store.runs.tallies import EXCLUDED, Changes, add_to_tallies, tally_key

LOCK = 7_460
"""First half of the key of the PostgreSQL advisory lock of a channel; the second is its id."""
MANY = 10_000
"""Fewest messages of a run after which PostgreSQL's statistics are updated."""


@contextmanager
def alone_on_channel(channel_id: int) -> Iterator[None]:
    """Let no other run of this channel be frozen meanwhile, so that both together keep to the limits of a day.

    The lock has a connection of its own, and is held before the transaction of the freeze begins: that one sees what
    was committed until then. On SQLite the transaction itself is the lock.
    """
    if dialect() != "postgresql":
        yield
        return
    with db.engine.begin() as connection:
        connection.execute(
            sa.text("SELECT pg_advisory_xact_lock(:key, :channel)"), {"key": LOCK, "channel": channel_id}
        )
        yield


def freeze(session: Session, run_id: int, audience: audiences.Audience, batch_size: int) -> tuple[int, int]:
    """Write the run's messages, exclusions, batches and tallies; return (target, planned).

    Messages are numbered in the order of their phones: the unique index then grows at its end only, and of several
    people with one number the first is kept. The others leave a gap in the seqs.
    """
    # Before the messages are inserted: the members of a retry are selected from messages, too.
    target = audiences.count_members(session, audience)
    people = audience.people
    fit = sa.select(people.c.contact_id, people.c.phone, people.c.params).where(people.c.reason.is_(None))
    # One message per number. DISTINCT ON is faster on PostgreSQL, ON CONFLICT on SQLite.
    if dialect() == "postgresql":
        fit = fit.ext(distinct_on(people.c.phone)).order_by(people.c.phone, people.c.contact_id)
    unique = fit.subquery("one").c
    seq = sa.func.row_number().over(order_by=(unique.phone, unique.contact_id))
    query = sa.select(
        sa.literal(run_id), seq, unique.contact_id, unique.phone, unique.params, sa.literal(int(Status.QUEUED))
    )
    query = query.where(sa.true())  # otherwise SQLite would parse ON CONFLICT as the condition of a join
    new = upsert(Message).from_select(["run_id", "seq", "contact_id", "phone", "params", "status"], query)
    planned = changed(session, new if dialect() == "postgresql" else new.on_conflict_do_nothing())
    highest = session.scalar(sa.select(sa.func.max(Message.seq)).where(Message.run_id == run_id)) or 0
    exclusions = _exclude(session, run_id, audience) if planned < target else {}
    changes: Changes = Counter({(EXCLUDED, reason): n for reason, n in exclusions.items()})
    changes[tally_key(Status.QUEUED), ""] = planned
    add_to_tallies(session, run_id, changes)
    cut_into_batches(session, run_id, highest, batch_size)
    if planned >= MANY:
        partitions.analyze_messages(session, run_id)
    return target, planned


def add(session: Session, run_id: int, audience: audiences.Audience, batch_size: int, after: int) -> tuple[int, int]:
    """Add people to a run that is frozen, with seqs behind `after`; return (target, planned) of them.

    The run is locked. It has no message to one of their numbers, and none of them is in it. Contacts may change between
    the statements, so that what was inserted is counted.
    """
    people = audience.people
    seq = after + sa.func.row_number().over(order_by=(people.c.phone, people.c.contact_id))
    query = sa.select(
        sa.literal(run_id), seq, people.c.contact_id, people.c.phone, people.c.params, sa.literal(int(Status.QUEUED))
    ).where(people.c.reason.is_(None))
    new = upsert(Message).from_select(["run_id", "seq", "contact_id", "phone", "params", "status"], query)
    planned = changed(session, new.on_conflict_do_nothing())
    exclusions = _exclude_others(session, run_id, audience, after)
    changes: Changes = Counter({(EXCLUDED, reason): n for reason, n in exclusions.items()})
    changes[tally_key(Status.QUEUED), ""] = planned
    add_to_tallies(session, run_id, changes)
    highest = session.scalar(sa.select(sa.func.max(Message.seq)).where(Message.run_id == run_id)) or 0
    cut_into_batches(session, run_id, highest, batch_size, after)
    return planned + sum(exclusions.values()), planned


def cut_into_batches(session: Session, run_id: int, last: int, batch_size: int, after: int = 0) -> None:
    """Insert batches that are ready to be claimed for messages after+1..last of a run."""
    batches = [
        {"run_id": run_id, "no": lo, "lo": lo, "hi": min(lo + batch_size - 1, last), "state": BatchState.READY,
         "claim": "", "attempts": 0}
        for lo in range(after + 1, last + 1, batch_size)
    ]  # fmt: skip
    if batches:
        session.execute(sa.insert(Batch), batches)


def _exclude(session: Session, run_id: int, audience: audiences.Audience) -> dict[str, int]:
    """Insert the exclusions of an audience after its messages; return {reason: people}."""
    people = audience.people
    written_to = sa.exists().where(
        Message.run_id == run_id, Message.phone == people.c.phone, Message.contact_id == people.c.contact_id
    )
    query = sa.select(sa.literal(run_id), people.c.contact_id, _reason(people))
    query = query.where(sa.or_(people.c.reason.is_not(None), sa.not_(written_to)))
    changed(session, sa.insert(Exclusion).from_select(["run_id", "contact_id", "reason"], query))
    counts = sa.select(Exclusion.reason, sa.func.count()).where(Exclusion.run_id == run_id).group_by(Exclusion.reason)
    return {reason: n for reason, n in session.execute(counts)}  # noqa: C416 a Row is no pair to mypy


def _exclude_others(session: Session, run_id: int, audience: audiences.Audience, after: int) -> Counter[str]:
    """Insert the exclusions of people who are added and have no message behind `after`; return {reason: people}.

    That transaction is no frozen one: somebody for whom a reason has come up since the message was inserted has the
    message, and the claim looks once more.
    """
    people = audience.people
    written_to = sa.exists().where(
        Message.run_id == run_id, Message.seq > after, Message.contact_id == people.c.contact_id
    )
    query = sa.select(sa.literal(run_id), people.c.contact_id, _reason(people)).where(sa.not_(written_to))
    new = sa.insert(Exclusion).from_select(["run_id", "contact_id", "reason"], query)
    return Counter(session.scalars(new.returning(Exclusion.reason)))


def _reason(people: sa.Subquery) -> sa.ColumnElement[str]:
    return sa.func.coalesce(people.c.reason, sa.literal(str(ExclusionReason.DUPLICATE_NUMBER)))
