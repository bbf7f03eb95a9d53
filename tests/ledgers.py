"""Runs with messages in every state, their exclusions, batches and tallies: consistent, without sending anything."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.domain.outcome import Outcome
from smsapp.domain.run import RunState
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from smsapp.store.receipts.state_changes import BUCKET_SECONDS
from smsapp.store.runs.partitions import ensure_partition
from smsapp.store.runs.receipt_buckets import ReceiptBucket
from smsapp.store.runs.runs import Batch, BatchState, Exclusion, Message, Run
from smsapp.store.runs.tallies import Tally
from tests import builders

OPENED = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)
SNAPSHOT = RunSnapshot(
    code="SMS_1",
    name="三月优惠",
    text="尊敬的${name}，您的优惠券${code}即将到期。",
    signature="青禾商城",
    variables=("name", "code"),
    mapping={"name": {"property": "name", "fallback": "会员"}, "code": {"fixed": "A100"}},
    segment="三月会员",
    price=Decimal("0.045"),
    currency="CNY",
)
Lot = tuple[Status, str, str, int]
"""(state, reason, the provider's code, how many)"""
EVERY_STATE: tuple[Lot, ...] = (
    (Status.DELIVERED, "", "DELIVRD", 12),
    (Status.ACCEPTED, "", "", 4),
    (Status.UNDELIVERED, Outcome.SWITCHED_OFF, "MK:0001", 3),
    (Status.UNDELIVERED, Outcome.BLOCKED_BY_CARRIER, "SJ:BLACK", 2),
    (Status.NO_RECEIPT, "", "", 1),
    (Status.REFUSED, Outcome.FREQUENCY_LIMIT, "isv.BUSINESS_LIMIT_CONTROL", 2),
    (Status.UNCONFIRMED, "worker_lost", "", 2),
    (Status.CANCELLED, "opted_out", "", 1),
    (Status.IN_FLIGHT, "", "", 3),
    (Status.QUEUED, "", "", 5),
)
EVERY_LEFT: dict[ExclusionReason, int] = {reason: n for n, reason in enumerate(ExclusionReason, start=1)}


def run(
    campaign: Campaign,
    lots: Sequence[Lot] = EVERY_STATE,
    left: dict[ExclusionReason, int] | None = None,
    slot: dt.datetime = OPENED,
    **columns: Any,
) -> Run:
    """Return a run with these messages, one batch per lot, and contacts excluded for these reasons (default: all)."""
    left = EVERY_LEFT if left is None else left
    planned = sum(n for *_, n in lots)
    billed = sum(n for status, *_, n in lots if status in ACCEPTED_STATES)
    values: dict[str, Any] = {
        "campaign_id": campaign.id,
        "slot": slot,
        "state": RunState.SENDING,
        "channel_id": campaign.channel_id,
        "segment_id": campaign.segment_id,
        "snapshot": SNAPSHOT,
        "target": planned + sum(left.values()),
        "planned": planned,
        "parts": billed,
        "opened_at": slot,
        "started_at": slot,
    }
    row = builders.kept(Run(**(values | columns)))
    session = current_session()
    ensure_partition(session, row.id)
    people = builders.contacts(planned)
    seq = 0
    for status, reason, code, n in lots:
        state = {Status.QUEUED: BatchState.READY, Status.IN_FLIGHT: BatchState.CLAIMED}.get(status, BatchState.DONE)
        batch = Batch(run_id=row.id, no=seq + 1, lo=seq + 1, hi=seq + n, state=state)
        if state == BatchState.CLAIMED:
            batch.claim, batch.lease_until = "worker", slot + dt.timedelta(hours=1)
        session.add(batch)
        for _ in range(n):
            session.add(_message(row, seq + 1, people[seq], status, reason, code))
            seq += 1
    _count(session, row, lots, left)
    for reason, n in left.items():
        session.add_all(Exclusion(run_id=row.id, contact_id=_left_out(reason).id, reason=reason) for _ in range(n))
    session.commit()
    return row


def _message(run: Run, seq: int, person: Contact, status: Status, reason: str, code: str) -> Message:
    answered = status in ACCEPTED_STATES or status is Status.REFUSED
    heard = status in {Status.DELIVERED, Status.UNDELIVERED}
    at = int(run.slot.timestamp()) + seq
    return Message(
        run_id=run.id,
        seq=seq,
        contact_id=person.id,
        phone=person.phones["$phone"],
        params=json.dumps([f"客户{seq}"], ensure_ascii=False),
        status=int(Status.QUEUED if status is Status.IN_FLIGHT else status),
        parts=1 if status in ACCEPTED_STATES else None,
        reason=reason or None,
        code=code or None,
        provider_ref=f"ref-{seq}" if status in ACCEPTED_STATES else None,
        answered_at=at if answered else None,
        receipt_at=at + 60 if heard else None,
    )


def _left_out(reason: ExclusionReason) -> Contact:
    number = {ExclusionReason.NO_NUMBER: None, ExclusionReason.INVALID_NUMBER: ""}.get(reason, "+8613900001234")
    return builders.contact(phone=number)


def _count(session: Session, run: Run, lots: Sequence[Lot], excluded: dict[ExclusionReason, int]) -> None:
    tallies: Counter[tuple[str, str]] = Counter()
    for status, reason, _code, n in lots:
        tallies[status.name.lower(), reason] += n
    for why, n in excluded.items():
        tallies["excluded", why] += n
    session.add_all(Tally(run_id=run.id, state=state, reason=why, n=n) for (state, why), n in tallies.items())
    heard = int(run.slot.timestamp()) + 60
    start = heard - heard % BUCKET_SECONDS
    for state in ("delivered", "undelivered"):
        n = sum(count for (tally_state, _), count in tallies.items() if tally_state == state)
        if n:
            session.add(ReceiptBucket(run_id=run.id, bucket=start, state=state, n=n))


def campaign(**columns: Any) -> Campaign:
    """A campaign that is being sent, its contacts known by `$phone`."""
    return builders.campaign(**({"status": "sending", "name": "三月会员回馈"} | columns))
