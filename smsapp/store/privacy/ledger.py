"""The ledger without an erased person: numbers become hashes, values go; tallies, caps and receipts go on to fit.

A run and those that repeat it are changed in one transaction, because they are compared by number.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.erasure import ERASED_ID, Spans, redacted
from smsapp.domain.message import Status
from smsapp.domain.run import CancelReason
from smsapp.store.db import changed, one_of
from smsapp.store.runs.provider_refs import ProviderRef
from smsapp.store.runs.runs import Batch, BatchState, Exclusion, Message, Run, lock_runs
from smsapp.store.runs.tallies import Changes, add_to_tallies, tally_key

Billing = Callable[[int, Sequence[tuple[str, str | None]]], list[int]]
"""(run, (phone, params) of messages) -> their billed parts."""
NUMBERS_AT_ONCE = 500
"""Numbers changed in one transaction."""


@dataclass(frozen=True)
class Change:
    """What one transaction has done to a family of runs."""

    cancelled: int = 0
    hashed: int = 0
    in_flight: int = 0
    """Messages that are left for a later pass."""


class Line(NamedTuple):
    """A message to an erased number."""

    run_id: int
    seq: int
    phone: str
    params: str | None
    status: int
    parts: int | None
    code: str | None
    provider_ref: str | None
    contact_id: int
    is_claimed: bool


def families(session: Session) -> list[list[int]]:
    """Return the ids of runs that have messages, each with those that repeat it; newest first."""
    root: dict[int, int] = {}
    members: dict[int, list[int]] = {}
    rows = session.execute(
        sa.select(Run.id, Run.repeats, Run.forgotten_at.is_(None), Run.started_at.is_not(None)).order_by(Run.id)
    )
    for run_id, repeats, has_messages, is_frozen in rows:
        first = root[run_id] = root.get(repeats or 0, run_id)
        if has_messages and is_frozen:
            members.setdefault(first, []).append(run_id)
    return sorted(members.values(), reverse=True)


def numbers_written_to(session: Session, run_ids: Collection[int], contact_ids: Collection[int]) -> set[str]:
    """Return the numbers to which these contacts were written in these runs, which may be earlier ones of theirs.

    Reads all messages of the runs.
    """
    query = sa.select(Message.phone).where(Message.run_id.in_(run_ids), one_of(Message.contact_id, contact_ids))
    return set(session.scalars(query))


def erase_family(
    session: Session, run_ids: Sequence[int], hashes: Mapping[str, str], bill: Billing, spans: Spans
) -> Change:
    """Cancel the queued messages to these numbers (number -> hash) in these runs, and hash those that are over.

    What is in flight stays as it is. Locks runs, batches and messages in the order in which senders do.
    """
    lock_runs(session, run_ids)
    cancelled = sum(_cancel_queued(session, run_id, hashes) for run_id in run_ids)
    lines = _lines(session, run_ids, hashes)
    busy = {line.phone for line in lines if line.is_claimed or line.status == Status.QUEUED}
    over = [line for line in lines if line.phone not in busy]
    if over:
        _hash_refs(session, over, hashes)
        _hash_messages(session, over, hashes, bill, spans)
    return Change(cancelled, len(over), len(lines) - len(over))


def _cancel_queued(session: Session, run_id: int, phones: Collection[str]) -> int:
    """Cancel the messages to these numbers that no sender has claimed."""
    queued = (Message.run_id == run_id, one_of(Message.phone, phones), Message.status == Status.QUEUED)
    if session.execute(sa.select(Message.seq).where(*queued).limit(1)).first() is None:
        return 0
    ready = (Batch.run_id == run_id, Batch.state == BatchState.READY)
    has_some = sa.exists().where(*queued, Message.seq.between(Batch.lo, Batch.hi))
    # Locked: a sender that is claiming one of them finishes first, and one that comes later skips them.
    numbers = list(session.scalars(sa.select(Batch.no).where(*ready, has_some).order_by(Batch.no).with_for_update()))
    in_ready = sa.exists().where(*ready, Batch.no.in_(numbers), Message.seq.between(Batch.lo, Batch.hi))
    locked = sa.select(Message.seq).where(*queued, in_ready).order_by(Message.seq).with_for_update(of=Message)
    seqs = list(session.scalars(locked))
    if not seqs:
        return 0
    cancelled = sa.update(Message).where(Message.run_id == run_id, one_of(Message.seq, seqs))
    changed(session, cancelled.values(status=int(Status.CANCELLED), reason=CancelReason.ERASED))
    changes: Changes = Counter({(tally_key(Status.QUEUED), ""): -len(seqs)})
    changes[tally_key(Status.CANCELLED), CancelReason.ERASED] = len(seqs)
    add_to_tallies(session, run_id, changes)
    return len(seqs)


def _lines(session: Session, run_ids: Collection[int], phones: Collection[str]) -> list[Line]:
    """Return the messages to these numbers, locked; `is_claimed`: an answer may still be on its way."""
    unanswered = sa.and_(
        Message.answered_at.is_(None),
        sa.exists().where(
            Batch.run_id == Message.run_id,
            Batch.state == BatchState.CLAIMED,
            Message.seq.between(Batch.lo, Batch.hi),
        ),
    )
    columns = (
        Message.run_id, Message.seq, Message.phone, Message.params, Message.status, Message.parts, Message.code,
        Message.provider_ref, Message.contact_id,
    )  # fmt: skip
    query = sa.select(*columns, unanswered).where(Message.run_id.in_(run_ids), one_of(Message.phone, phones))
    rows = session.execute(query.order_by(Message.run_id, Message.seq).with_for_update(of=Message))
    return [Line._make(row) for row in rows]


def _hash_messages(
    session: Session, lines: Sequence[Line], hashes: Mapping[str, str], bill: Billing, spans: Spans
) -> None:
    """Write the hash over the number and empty texts over the values.

    A message that nobody has answered gets its parts now: later they could not be counted any more.
    """
    unbilled: dict[int, list[Line]] = {}
    for line in lines:
        if line.status == Status.UNCONFIRMED and line.parts is None:
            unbilled.setdefault(line.run_id, []).append(line)
    parts = {
        (line.run_id, line.seq): n
        for run_id, its_lines in unbilled.items()
        for line, n in zip(its_lines, bill(run_id, [(line.phone, line.params) for line in its_lines]), strict=True)
    }
    session.connection().execute(
        _HASH_MESSAGE,
        [
            {
                "run": line.run_id,
                "at_seq": line.seq,
                "its_hash": hashes[line.phone],
                "its_params": _emptied(line.params),
                "its_parts": parts.get((line.run_id, line.seq), line.parts),
                "its_code": line.code and redacted(line.code, spans),
                "its_ref": line.provider_ref and redacted(line.provider_ref, spans),
                "its_contact": line.contact_id % ERASED_ID + ERASED_ID,
            }
            for line in lines
        ],
    )


_HASH_MESSAGE = (
    sa.update(Message)
    .where(Message.run_id == sa.bindparam("run"), Message.seq == sa.bindparam("at_seq"))
    .values(
        phone=sa.bindparam("its_hash"),
        params=sa.bindparam("its_params"),
        parts=sa.bindparam("its_parts"),
        code=sa.bindparam("its_code"),
        provider_ref=sa.bindparam("its_ref"),
        contact_id=sa.bindparam("its_contact"),
    )
)


def _emptied(params: str | None) -> str | None:
    """Return as many empty values: a text can still be put together, and says nothing."""
    return None if params is None else orjson.dumps([""] * len(orjson.loads(params))).decode()


def _hash_refs(session: Session, lines: Sequence[Line], hashes: Mapping[str, str]) -> None:
    channel_of = dict(
        iter(session.execute(sa.select(Run.id, Run.channel_id).where(Run.id.in_({line.run_id for line in lines}))))
    )
    keys = [
        {"channel": channel_of[line.run_id], "its_ref": line.provider_ref, "its_phone": line.phone,
         "its_hash": hashes[line.phone]}
        for line in lines
        if line.provider_ref
    ]  # fmt: skip
    hash_refs(session, keys)


def hash_refs(session: Session, keys: Sequence[Mapping[str, Any]]) -> None:
    """Write hashes over the numbers of provider ids: `channel`, `its_ref`, `its_phone`, `its_hash`."""
    if keys:
        session.connection().execute(_HASH_REF, keys)
        session.connection().execute(_DELETE_REF, keys)


_THIS_REF = (
    ProviderRef.channel_id == sa.bindparam("channel"),
    ProviderRef.ref == sa.bindparam("its_ref"),
    ProviderRef.phone == sa.bindparam("its_phone"),
)
_twin = sa.orm.aliased(ProviderRef)
_HASH_REF = (
    sa.update(ProviderRef)
    .where(
        *_THIS_REF,
        ~sa.exists().where(
            _twin.channel_id == ProviderRef.channel_id,
            _twin.ref == ProviderRef.ref,
            _twin.phone == sa.bindparam("its_hash"),
        ),
    )
    .values(phone=sa.bindparam("its_hash"))
)
_DELETE_REF = sa.delete(ProviderRef).where(*_THIS_REF)
"""What is left has a twin with the hash."""


def plain_refs(session: Session, numbers: Collection[str]) -> list[tuple[int, str, str]]:
    """Return (channel, id, number) of all provider ids of these numbers; reads the whole table."""
    query = sa.select(ProviderRef.channel_id, ProviderRef.ref, ProviderRef.phone)
    rows = session.execute(query.where(one_of(ProviderRef.phone, numbers)))
    return [(channel_id, ref, phone) for channel_id, ref, phone in rows]


def detach_exclusions(session: Session, run_ids: Collection[int], contact_ids: Collection[int]) -> int:
    """Have exclusions of these contacts lead to nobody; return how many."""
    theirs = (Exclusion.run_id.in_(run_ids), one_of(Exclusion.contact_id, contact_ids))
    return changed(session, sa.update(Exclusion).where(*theirs).values(contact_id=Exclusion.contact_id + ERASED_ID))


def late_refs(session: Session, hashes: Collection[str], since: dt.datetime) -> list[dict[str, Any]]:
    """Return keys for `hash_refs` of ids that came with an answer after their message's number was hashed."""
    recent = sa.select(Run.id).where(sa.or_(Run.finished_at.is_(None), Run.finished_at > since))
    query = (
        sa.select(ProviderRef.channel_id, ProviderRef.ref, ProviderRef.phone, Message.phone)
        .select_from(Message)
        .join(Run, Run.id == Message.run_id)
        .join(
            ProviderRef,
            sa.and_(
                ProviderRef.channel_id == Run.channel_id,
                ProviderRef.ref == Message.provider_ref,
                ProviderRef.run_id == Message.run_id,
                ProviderRef.seq == Message.seq,
                ProviderRef.phone != Message.phone,
            ),
        )
        .where(Message.run_id.in_(recent), one_of(Message.phone, hashes), Message.provider_ref.is_not(None))
    )
    return [
        {"channel": channel, "its_ref": ref, "its_phone": plain, "its_hash": its_hash}
        for channel, ref, plain, its_hash in session.execute(query)
    ]


def late_codes(session: Session, hashes: Collection[str], since: dt.datetime, spans: Spans) -> int:
    """Redact the codes that late receipts brought to messages of erased numbers; return how many."""
    recent = sa.select(Run.id).where(sa.or_(Run.finished_at.is_(None), Run.finished_at > since))
    query = sa.select(Message.run_id, Message.seq, Message.code).where(
        Message.run_id.in_(recent), one_of(Message.phone, hashes), Message.code.is_not(None)
    )
    rows = [
        {"run": run_id, "at_seq": seq, "its_code": clean}
        for run_id, seq, code in session.execute(query)
        if code and (clean := redacted(code, spans)) != code
    ]
    if rows:
        session.connection().execute(_REDACT_CODE, rows)
    return len(rows)


_REDACT_CODE = (
    sa.update(Message)
    .where(Message.run_id == sa.bindparam("run"), Message.seq == sa.bindparam("at_seq"))
    .values(code=sa.bindparam("its_code"))
)
