"""The inbox: callbacks are stored as they came and acknowledged; one consumer reads and applies them later, in bulk.

`domain/message.advance` decides what a receipt changes, also for early, double, late, contradictory and unknown ones.
So a callback may be applied twice: it is marked as read after its changes are committed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Row
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.channels.errors import ChannelError
from smsapp.channels.http import HttpClient
from smsapp.channels.types import Callback, Receipt, ReceiptStatus, Reply
from smsapp.domain.errors import Refusal
from smsapp.domain.message import Status, advance
from smsapp.domain.outcome import Outcome
from smsapp.domain.receipt_match import owner_of
from smsapp.domain.storable import storable
from smsapp.services.channels import accounts, call_log, registry
from smsapp.services.contacts import opt_outs
from smsapp.services.platform import shutdown
from smsapp.services.receipts import billing, callback_inbox, replies
from smsapp.store import queue
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import codes, inbox, state_changes, unmatched
from smsapp.store.receipts.inbox import InboxState
from smsapp.store.receipts.state_changes import StateChange
from smsapp.store.receipts.unmatched import UnmatchedReceipt
from smsapp.store.runs import provider_refs, runs
from smsapp.store.settings import settings

log = logging.getLogger(__name__)
Clock = Callable[[], dt.datetime]
Waiting = Row[Any]
"""A stored callback: id, channel_id and the fields of a Callback, in its order."""

PAGE = 500
"""Callbacks fetched at once."""
BULK, LONG = 2000, 2_000_000
"""Callbacks applied in one transaction; once they have LONG bytes together, no further page is added.

The fixed cost of a transaction is high, so each applies many callbacks. LONG bytes of most providers are fifty thousand
receipts, as many as other writers should have to wait for.
"""
YOUNG = dt.timedelta(days=1)
"""How long an unmatched receipt may wait until its message's provider id is stored."""
QUICK = dt.timedelta(minutes=2)
"""How long every iteration retries it: the write-back of its message is about to come."""
TEST_REF = "test-"
"""The prefix of references of test sends; their receipts belong to no run."""
FORGOTTEN_AT_ONCE = 500
"""Few, because a callback that arrives meanwhile waits for the deletion."""
LONGEST = dt.timedelta(seconds=20)
"""How long one job reads before it enqueues the next: the other jobs of its worker wait for it."""
QUIET = dt.timedelta(seconds=1)
"""A job ends when no callback has come for so long."""
LOOK = 0.5
"""Seconds between two reads of the inbox, in which callbacks accumulate."""
REF = re.compile(r"([0-9]{1,18})-([0-9]{1,9})")
ReceiptsBySeq = dict[int, list[Receipt]]
"""A run's receipts by message: seq -> receipts in the order they came."""
STATUS = {
    ReceiptStatus.DELIVERED: Status.DELIVERED,
    ReceiptStatus.UNDELIVERED: Status.UNDELIVERED,
    ReceiptStatus.ACCEPTED: Status.ACCEPTED,
}


def keep_reading(clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
    """Apply stored callbacks and those that arrive meanwhile; return after QUIET without any, or after LONGEST.

    So a stream of callbacks costs one job in LONGEST, and few large transactions. Do nothing if another job reads.
    """
    if not queue.claim_polling("keep_reading"):
        return
    begun = active_at = clock()
    try:
        while True:
            n = _read_bulk(clock())
            now = clock()
            retry_unmatched(now, now - QUICK)
            if n:
                active_at = now
            if shutdown.requested() or now - begun >= LONGEST or now - active_at >= QUIET:
                break
            queue.claim_polling("keep_reading", again=True)
            if len(inbox.unread_ids(PAGE)) < PAGE:
                pause(LOOK)
    finally:
        # Callbacks stored from here on enqueue a job; the check below finds those that came just before.
        queue.release_polling("keep_reading")
    if inbox.unread_ids(1):
        queue.enqueue_unless_waiting(queue.RECEIPTS, "keep_reading")


def apply_callbacks(now: dt.datetime) -> int:
    """Read every stored callback and apply it; return how many were read."""
    total = 0
    while n := _read_bulk(now):
        total += n
    return total


def _read_bulk(now: dt.datetime) -> int:
    """Read the oldest callbacks and apply them; return how many were read: 0 if none waits or another reader is active.

    If they cannot be applied together, each is tried alone and marked as unreadable if that fails too, so that it does
    not block those behind it. The raw body is kept.
    """
    waiting = _waiting()
    if not waiting:
        return 0
    try:
        return _apply(waiting, now)
    except OperationalError:
        raise
    except Exception:
        log.exception("receipts.failed callbacks=%s", len(waiting))
    for row in waiting:
        try:
            _apply([row], now)
        except OperationalError:
            raise
        except Exception:
            log.exception("receipts.put_aside inbox=%s", row.id)
            with inbox.writing() as session:
                inbox.mark_read(session, [row.id], InboxState.UNREADABLE)
    return len(waiting)


def _waiting() -> list[Waiting]:
    """Return the oldest callbacks of all channels in turn, as many as one transaction applies.

    Each channel has its share of every transaction, so many callbacks of one channel do not delay another's.
    """
    callbacks: list[Waiting] = []
    length = 0
    read_up_to = dict.fromkeys(inbox.waiting_channels(), 0)
    while read_up_to and len(callbacks) < BULK and length < LONG:
        size = max(1, min(PAGE, BULK - len(callbacks)) // len(read_up_to))
        for channel_id, after in list(read_up_to.items()):
            page = inbox.unread(channel_id, size, after)
            callbacks += page
            length += sum(len(row.body) for row in page)
            if len(page) < size:
                del read_up_to[channel_id]
            else:
                read_up_to[channel_id] = page[-1].id
    return callbacks


def _apply(waiting: Sequence[Waiting], now: dt.datetime) -> int:
    """Apply these callbacks, then mark them as read; return how many, or 0 if another reader is active.

    They are marked after the commit: callbacks of a reader killed in between are applied once more, which changes
    nothing.
    """
    content = _parse(waiting)
    with writing() as session:
        if not inbox.only_reader(session):
            return 0
        for row, position, reply in content.replies:
            replies.take(session, row.channel_id, row.id, position, reply, now)
        apply_receipts(session, content.receipts, now)
    with inbox.writing() as marks:
        inbox.mark_read(marks, [row.id for row in waiting if row.id not in content.unreadable])
        inbox.mark_read(marks, sorted(content.unreadable), InboxState.UNREADABLE)
    return len(waiting)


@dataclass(slots=True)
class ParsedCallbacks:
    """The parsed content of stored callbacks."""

    receipts: dict[int, list[Receipt]] = field(default_factory=dict)
    """By channel."""
    replies: list[tuple[Waiting, int, Reply]] = field(default_factory=list)
    """Each with its callback and its place in it."""
    unreadable: set[int] = field(default_factory=set)
    """Ids of callbacks that cannot be read."""


def _parse(waiting: Sequence[Waiting]) -> ParsedCallbacks:
    """Parse these callbacks."""
    content = ParsedCallbacks()
    adapters: dict[int, Channel | None] = {}
    for row in waiting:
        channel_id = row.channel_id
        if channel_id not in adapters:
            adapters[channel_id] = _adapter(channel_id)
            content.receipts[channel_id] = []
        adapter = adapters[channel_id]
        try:
            items = adapter.read_callback(Callback(*tuple(row)[2:])) if adapter else ()
        except Exception as error:
            # Nothing a provider sends may block the callbacks behind it; the raw body is kept.
            log.warning("callback.unreadable inbox=%s error=%s", row.id, type(error).__name__)
            content.unreadable.add(row.id)
            continue
        receipts = content.receipts[channel_id]
        for position, item in enumerate(items):
            if isinstance(item, Receipt):
                receipts.append(item)
            else:
                content.replies.append((row, position, item))
    return content


def _adapter(channel_id: int) -> Channel | None:
    try:
        return accounts.adapter(channel_id)
    except Refusal:
        return None


def apply_receipts(session: Session, arrived: Mapping[int, Sequence[Receipt]], now: dt.datetime) -> None:
    """Apply each channel's receipts in the caller's transaction and store those that match no message of ours.

    Receipts of test sends are not stored: they belong to no run.
    """
    unmatched.store(
        session,
        [
            {
                "channel_id": channel_id,
                "ref": storable(receipt.ref),
                "provider_ref": storable(receipt.provider_ref),
                "phone": receipt.phone,
                "status": receipt.status,
                "outcome": receipt.outcome,
                "code": storable(receipt.code),
            }
            for channel_id, receipt in _apply_to_messages(session, arrived, now)
            if not receipt.ref.startswith(TEST_REF)
        ],
        now,
    )


def _apply_to_messages(
    session: Session, arrived: Mapping[int, Sequence[Receipt]], now: dt.datetime
) -> list[tuple[int, Receipt]]:
    """Apply receipts; return the unmatched ones as (channel, receipt)."""
    by_run, owners, unknown = _group_by_message(session, arrived, now)
    moves: dict[StateChange, list[int]] = {}
    for run_id, state, seqs in state_changes.current_states(session, by_run):
        by_seq = by_run[run_id]
        seqs_by_content: dict[tuple[ReceiptStatus, Outcome | None, str], list[int]] = {}
        for seq in seqs:
            receipts = by_seq.pop(seq)
            receipt = receipts[0] if len(receipts) == 1 else _final_receipt(state.status, receipts)
            seqs_by_content.setdefault((receipt.status, receipt.outcome, receipt.code), []).append(seq)
        for (kind, outcome, code), group in seqs_by_content.items():
            status = advance(state.status, STATUS[kind])
            if status is not state.status:
                reason = str(outcome or "unknown") if status is Status.UNDELIVERED else ""
                moves.setdefault(StateChange(run_id, state, status, reason, storable(code)), []).extend(group)
    # The remaining receipts are about messages that do not exist.
    unknown += [
        (owners[run_id], receipt)
        for run_id, by_seq in by_run.items()
        for receipts in by_seq.values()
        for receipt in receipts
    ]
    state_changes.apply_changes(session, moves, int(now.timestamp()))
    _bill(session, moves)
    unexplained = [(owners[m.run_id], m.code) for m, seqs in moves.items() if m.reason == Outcome.UNKNOWN for _ in seqs]
    codes.count(session, unexplained, now)
    opted_out = [(m.run_id, seq) for m, seqs in moves.items() if m.reason == Outcome.OPTED_OUT for seq in seqs]
    if opted_out:
        opt_outs.record_told(session, opted_out, now)
    return unknown


def _bill(session: Session, moves: Mapping[StateChange, Sequence[int]]) -> None:
    """Set the parts of messages that a receipt made accepted, except those in flight: their answer brings the parts."""
    unbilled: dict[int, list[int]] = {}
    for move, seqs in moves.items():
        if state_changes.is_accepted_by(move) and not move.previous.parts and not move.previous.in_flight:
            unbilled.setdefault(move.run_id, []).extend(seqs)
    for run_id, seqs in sorted(unbilled.items()):
        billing.bill_messages(session, run_id, seqs)


def _final_receipt(status: Status, receipts: Sequence[Receipt]) -> Receipt:
    """Return the last receipt that changes a message of this status, or the first one if none does."""
    decisive = receipts[0]
    for receipt in receipts:
        after = advance(status, STATUS[receipt.status])
        if after is not status:
            status, decisive = after, receipt
    return decisive


def _group_by_message(
    session: Session, arrived: Mapping[int, Sequence[Receipt]], now: dt.datetime
) -> tuple[dict[int, ReceiptsBySeq], dict[int, int], list[tuple[int, Receipt]]]:
    """Return receipts by run and message, the runs' channels, and unmatched receipts as (channel, receipt).

    A message is found by our own reference or else by the number and a provider's id of the last RECEIPT_HOURS.
    """
    unknown: list[tuple[int, Receipt]] = []
    by_channel: dict[int, dict[int, ReceiptsBySeq]] = {}
    for channel_id, receipts in arrived.items():
        owners_by_ref = _by_provider_ref(session, channel_id, receipts, now)
        runs_of_channel = by_channel[channel_id] = {}
        for receipt in receipts:
            key = None
            if match := REF.fullmatch(receipt.ref):
                run, seq = match.groups()
                key = (int(run), int(seq))
            elif not receipt.ref:
                key = owner_of(owners_by_ref.get(storable(receipt.provider_ref), {}), receipt.phone)
            if key is None:
                unknown.append((channel_id, receipt))
            else:
                runs_of_channel.setdefault(key[0], {}).setdefault(key[1], []).append(receipt)
    owners = runs.channel_of(session, {run_id for runs_of_channel in by_channel.values() for run_id in runs_of_channel})
    by_run: dict[int, ReceiptsBySeq] = {}
    for channel_id, runs_of_channel in by_channel.items():
        for run_id, by_seq in runs_of_channel.items():
            # A provider's receipt cannot change another provider's messages.
            if owners.get(run_id) == channel_id:
                by_run[run_id] = by_seq
            else:
                unknown += [(channel_id, receipt) for receipts in by_seq.values() for receipt in receipts]
    return by_run, owners, unknown


def _by_provider_ref(
    session: Session, channel_id: int, receipts: Sequence[Receipt], now: dt.datetime
) -> dict[str, dict[str, tuple[int, int]]]:
    """Return provider's id -> phone -> (run, seq) for receipts without a reference of ours."""
    refs = {storable(receipt.provider_ref) for receipt in receipts if not receipt.ref and receipt.provider_ref}
    return provider_refs.owners(session, channel_id, sorted(refs), window_begin(now)) if refs else {}


def window_begin(now: dt.datetime) -> int:
    """Return the earliest moment (Unix seconds) of provider ids by which receipts are matched."""
    return int((now - dt.timedelta(hours=settings().RECEIPT_HOURS)).timestamp())


def retry_unmatched(now: dt.datetime, since: dt.datetime | None = None) -> None:
    """Apply unmatched receipts whose message's provider id has been stored meanwhile; the others stay.

    `since`: only those that came after this moment; by default those younger than YOUNG.
    """
    after = 0
    # Reading many unmatched receipts must not block other writers, so it happens before the transaction.
    while batch := unmatched.with_message(current_session(), since or now - YOUNG, after, BULK):
        receipts = [(unmatched.channel_id, _said(unmatched)) for unmatched in batch]
        arrived: dict[int, list[Receipt]] = {}
        for channel_id, receipt in receipts:
            arrived.setdefault(channel_id, []).append(receipt)
        with writing() as session:
            unknown = set(_apply_to_messages(session, arrived, now))
            matched = [unmatched.id for unmatched, pair in zip(batch, receipts, strict=True) if pair not in unknown]
            unmatched.delete(session, matched)
        after = batch[-1].id


def _said(unmatched: UnmatchedReceipt) -> Receipt:
    return Receipt(
        ReceiptStatus(unmatched.status),
        provider_ref=unmatched.provider_ref,
        phone=unmatched.phone,
        outcome=Outcome(unmatched.outcome) if unmatched.outcome else None,
        code=unmatched.code,
    )


def ask_providers(now: dt.datetime) -> None:
    """Fetch the receipts and replies of every provider that is polled, store them page by page, and apply them."""
    channel_ids = [row.id for row in accounts.choices() if registry.kinds()[row.kind].polls]
    current_session().commit()  # nothing is held open while providers answer
    if channel_ids:
        asyncio.run(_ask(channel_ids, now))
    apply_callbacks(now)


async def _ask(channel_ids: Sequence[int], now: dt.datetime) -> None:
    async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
        for channel_id in channel_ids:
            begun = time.monotonic()
            try:
                adapter = accounts.adapter(channel_id)
                current_session().commit()
                async for page in adapter.pull(http):
                    callback_inbox.keep(channel_id, [page], now)
            except ChannelError as trouble:
                log.warning("pull.failed channel=%s code=%s", channel_id, trouble.code)
                with writing() as session:
                    call_log.note(session, channel_id, adapter, call_log.failed("pull", begun, trouble), now)
            except Exception:
                # One channel's fault must not delay the others' receipts.
                log.exception("pull.fault channel=%s", channel_id)


def forget_old(now: dt.datetime) -> int:
    """Remove callbacks that were read and came longer than RETENTION_DAYS ago, a few at a time; return how many."""
    before = now - dt.timedelta(days=settings().RETENTION_DAYS)
    n = 0
    while ids := inbox.old_ids(before, FORGOTTEN_AT_ONCE):
        with inbox.writing() as session:
            inbox.delete(session, ids)
        n += len(ids)
    return n


def unread_count(limit: int = 1000) -> int:
    """Return how many callbacks wait to be read, counted up to `limit`."""
    return len(inbox.unread_ids(limit))
