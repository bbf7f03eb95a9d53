"""The inbox: callbacks are stored as they came and acknowledged; one consumer reads and applies them later, in bulk.

Early, double, late, contradictory and unknown receipts change nothing they should not: `domain/message.advance`
decides. So a callback may be applied twice: it is marked as read after what it says is committed.
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
from smsapp.services.channels import call_log, channels
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
"""A stored callback: id, channel_id and what makes a Callback, in its order."""

PAGE = 500
"""Callbacks fetched at once."""
BULK, LONG = 2000, 2_000_000
"""Callbacks applied in one transaction; once they are LONG bytes together, no further page joins them.

A transaction costs as much as some hundred callbacks of one receipt, so it shall have many; fifty thousand receipts, as
in LONG bytes of most providers, are enough for others to wait for.
"""
YOUNG = dt.timedelta(days=1)
"""How long a receipt without a message may wait for its message's provider id to turn up."""
QUICK = dt.timedelta(minutes=2)
"""How long it is looked for at every turn: its message's answer is about to be written."""
TEST_REF = "test-"
"""How references of test sends begin; their receipts belong to no run."""
FORGOTTEN_AT_ONCE = 500
"""Few, because a callback that comes meanwhile waits for it."""
LONGEST = dt.timedelta(seconds=20)
"""How long one job reads before it rings its successor: the other work of its worker waits for it."""
QUIET = dt.timedelta(seconds=1)
"""A job ends when nothing has come for so long."""
LOOK = 0.5
"""Seconds between two looks into the inbox, in which callbacks gather."""
REF = re.compile(r"([0-9]{1,18})-([0-9]{1,9})")
ReceiptsBySeq = dict[int, list[Receipt]]
"""What is said of a run's messages: seq -> receipts in the order they came."""
STATUS = {
    ReceiptStatus.DELIVERED: Status.DELIVERED,
    ReceiptStatus.UNDELIVERED: Status.UNDELIVERED,
    ReceiptStatus.ACCEPTED: Status.ACCEPTED,
}


def keep_reading(clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
    """Apply what is stored and what comes while we look; return once nothing has come for a while, or after LONGEST.

    A stream of callbacks so costs one job in LONGEST, and few large transactions. Somebody else at it is left alone.
    """
    if not queue.claim_polling("keep_reading"):
        return
    begun = last = clock()
    try:
        while True:
            read = _read_bulk(clock())
            now = clock()
            retry_unmatched(now, now - QUICK)
            if read:
                last = now
            if shutdown.requested() or now - begun >= LONGEST or now - last >= QUIET:
                break
            queue.claim_polling("keep_reading", again=True)
            if len(inbox.unread_ids(PAGE)) < PAGE:
                pause(LOOK)
    finally:
        # What is stored from here on is rung for; what came just before is found by the look below.
        queue.release_polling("keep_reading")
    if inbox.unread_ids(1):
        queue.enqueue_unless_waiting(queue.RECEIPTS, "keep_reading")


def apply_callbacks(now: dt.datetime) -> int:
    """Read every stored callback and apply it; return how many were read."""
    total = 0
    while read := _read_bulk(now):
        total += read
    return total


def _read_bulk(now: dt.datetime) -> int:
    """Read the oldest callbacks and apply them; return how many were read: 0 if none waits or another is at it.

    One that cannot be applied with the others is tried alone, and put aside if it cannot be applied at all: the ones
    behind it must not wait for ever. The raw body is kept.
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
    for one in waiting:
        try:
            _apply([one], now)
        except OperationalError:
            raise
        except Exception:
            log.exception("receipts.put_aside inbox=%s", one.id)
            with inbox.writing() as session:
                inbox.mark_read(session, [one.id], InboxState.UNREADABLE)
    return len(waiting)


def _waiting() -> list[Waiting]:
    """Return the oldest callbacks of all channels in turn, as many as one transaction applies.

    A flood of one channel so holds up no other: each has its share of every transaction.
    """
    found: list[Waiting] = []
    length = 0
    read_up_to = dict.fromkeys(inbox.waiting_channels(), 0)
    while read_up_to and len(found) < BULK and length < LONG:
        size = max(1, min(PAGE, BULK - len(found)) // len(read_up_to))
        for channel_id, after in list(read_up_to.items()):
            page = inbox.unread(channel_id, size, after)
            found += page
            length += sum(len(row.body) for row in page)
            if len(page) < size:
                del read_up_to[channel_id]
            else:
                read_up_to[channel_id] = page[-1].id
    return found


def _apply(waiting: Sequence[Waiting], now: dt.datetime) -> int:
    """Apply these callbacks, then mark them as read; return how many, or 0 if another is at it.

    The mark comes after the commit: whoever is killed in between leaves callbacks that are applied once more, and that
    changes nothing.
    """
    said = _parse(waiting)
    with writing() as session:
        if not inbox.only_reader(session):
            return 0
        for row, position, reply in said.replies:
            replies.take(session, row.channel_id, row.id, position, reply, now)
        apply_receipts(session, said.receipts, now)
    with inbox.writing() as marks:
        inbox.mark_read(marks, [row.id for row in waiting if row.id not in said.unreadable])
        inbox.mark_read(marks, sorted(said.unreadable), InboxState.UNREADABLE)
    return len(waiting)


@dataclass(slots=True)
class ParsedCallbacks:
    """What stored callbacks say."""

    receipts: dict[int, list[Receipt]] = field(default_factory=dict)
    """By channel."""
    replies: list[tuple[Waiting, int, Reply]] = field(default_factory=list)
    """Each with its callback and its place in it."""
    unreadable: set[int] = field(default_factory=set)
    """Ids of callbacks that cannot be read."""


def _parse(waiting: Sequence[Waiting]) -> ParsedCallbacks:
    """Return what these callbacks say."""
    found = ParsedCallbacks()
    adapters: dict[int, Channel | None] = {}
    for row in waiting:
        channel_id = row.channel_id
        if channel_id not in adapters:
            adapters[channel_id] = _adapter(channel_id)
            found.receipts[channel_id] = []
        adapter = adapters[channel_id]
        try:
            items = adapter.read_callback(Callback(*tuple(row)[2:])) if adapter else ()
        except Exception as error:
            # Whatever a provider sends, the callbacks behind it must not wait for ever; the raw body is kept.
            log.warning("callback.unreadable inbox=%s error=%s", row.id, type(error).__name__)
            found.unreadable.add(row.id)
            continue
        receipts = found.receipts[channel_id]
        for position, one in enumerate(items):
            if isinstance(one, Receipt):
                receipts.append(one)
            else:
                found.replies.append((row, position, one))
    return found


def _adapter(channel_id: int) -> Channel | None:
    try:
        return channels.adapter(channel_id)
    except Refusal:
        return None


def apply_receipts(session: Session, arrived: Mapping[int, Sequence[Receipt]], now: dt.datetime) -> None:
    """Apply each channel's receipts in the caller's transaction; those that name no message of ours are kept.

    Receipts of test sends are not: they belong to no run.
    """
    unmatched.keep(
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
    """Apply receipts; return those (channel, receipt) that name no message of ours."""
    told, owners, unknown = _group_by_message(session, arrived, now)
    moves: dict[StateChange, list[int]] = {}
    for run_id, stands, seqs in state_changes.current_states(session, told):
        its = told[run_id]
        alike: dict[tuple[ReceiptStatus, Outcome | None, str], list[int]] = {}
        for seq in seqs:
            said = its.pop(seq)
            one = said[0] if len(said) == 1 else _final_receipt(stands.status, said)
            alike.setdefault((one.status, one.outcome, one.code), []).append(seq)
        for (kind, outcome, code), together in alike.items():
            status = advance(stands.status, STATUS[kind])
            if status is not stands.status:
                why = str(outcome or "unknown") if status is Status.UNDELIVERED else ""
                moves.setdefault(StateChange(run_id, stands, status, why, storable(code)), []).extend(together)
    # What is left of them is about messages that are not there.
    unknown += [(owners[run_id], one) for run_id, its in told.items() for said in its.values() for one in said]
    state_changes.apply_changes(session, moves, int(now.timestamp()))
    _bill(session, moves)
    unexplained = [(owners[m.run_id], m.code) for m, seqs in moves.items() if m.reason == Outcome.UNKNOWN for _ in seqs]
    codes.count(session, unexplained, now)
    gone = [(m.run_id, seq) for m, seqs in moves.items() if m.reason == Outcome.OPTED_OUT for seq in seqs]
    if gone:
        opt_outs.record_told(session, gone, now)
    return unknown


def _bill(session: Session, moves: Mapping[StateChange, Sequence[int]]) -> None:
    """Give messages their parts that a receipt calls accepted and no answer will; what is in flight has one coming."""
    unbilled: dict[int, list[int]] = {}
    for move, seqs in moves.items():
        if state_changes.is_accepted_by(move) and not move.known.parts and not move.known.in_flight:
            unbilled.setdefault(move.run_id, []).extend(seqs)
    for run_id, seqs in sorted(unbilled.items()):
        billing.bill_messages(session, run_id, seqs)


def _final_receipt(status: Status, said: Sequence[Receipt]) -> Receipt:
    """Return the receipt that moves a message of this status last of all, or any if none does."""
    last = said[0]
    for one in said:
        after = advance(status, STATUS[one.status])
        if after is not status:
            status, last = after, one
    return last


def _group_by_message(
    session: Session, arrived: Mapping[int, Sequence[Receipt]], now: dt.datetime
) -> tuple[dict[int, ReceiptsBySeq], dict[int, int], list[tuple[int, Receipt]]]:
    """Return what is said of each run's messages, the runs' channels, and receipts (channel, receipt) of nobody.

    A message is found by our own reference or else by the provider's id, given within RECEIPT_HOURS, and the number.
    """
    unknown: list[tuple[int, Receipt]] = []
    by_channel: dict[int, dict[int, ReceiptsBySeq]] = {}
    for channel_id, receipts in arrived.items():
        theirs = _by_provider_ref(session, channel_id, receipts, now)
        its_runs = by_channel[channel_id] = {}
        for receipt in receipts:
            key = None
            if ours := REF.fullmatch(receipt.ref):
                run, seq = ours.groups()
                key = (int(run), int(seq))
            elif not receipt.ref:
                key = owner_of(theirs.get(storable(receipt.provider_ref), {}), receipt.phone)
            if key is None:
                unknown.append((channel_id, receipt))
            else:
                its_runs.setdefault(key[0], {}).setdefault(key[1], []).append(receipt)
    owners = runs.channel_of(session, {run_id for its_runs in by_channel.values() for run_id in its_runs})
    told: dict[int, ReceiptsBySeq] = {}
    for channel_id, its_runs in by_channel.items():
        for run_id, its in its_runs.items():
            # What one provider says cannot move another one's messages.
            if owners.get(run_id) == channel_id:
                told[run_id] = its
            else:
                unknown += [(channel_id, one) for said in its.values() for one in said]
    return told, owners, unknown


def _by_provider_ref(
    session: Session, channel_id: int, receipts: Sequence[Receipt], now: dt.datetime
) -> dict[str, dict[str, tuple[int, int]]]:
    """Return provider's id -> phone -> (run, seq) for receipts without a reference of ours."""
    refs = {storable(one.provider_ref) for one in receipts if not one.ref and one.provider_ref}
    return provider_refs.owners(session, channel_id, sorted(refs), window_begin(now)) if refs else {}


def window_begin(now: dt.datetime) -> int:
    """Return the moment (Unix seconds) since when a provider's id must have been given for a receipt to count."""
    return int((now - dt.timedelta(hours=settings().RECEIPT_HOURS)).timestamp())


def retry_unmatched(now: dt.datetime, since: dt.datetime | None = None) -> None:
    """Apply receipts that came before the answer with the provider's id had been written down; the others stay.

    `since`: only those that came after this moment, else all YOUNG ones.
    """
    after = 0
    # Looking through many unmatched must not keep others from writing, so it is done before.
    while ready := unmatched.placed(current_session(), since or now - YOUNG, after, BULK):
        said = [(unmatched.channel_id, _said(unmatched)) for unmatched in ready]
        arrived: dict[int, list[Receipt]] = {}
        for channel_id, receipt in said:
            arrived.setdefault(channel_id, []).append(receipt)
        with writing() as session:
            unknown = set(_apply_to_messages(session, arrived, now))
            found = [unmatched.id for unmatched, one in zip(ready, said, strict=True) if one not in unknown]
            unmatched.forget(session, found)
        after = ready[-1].id


def _said(unmatched: UnmatchedReceipt) -> Receipt:
    return Receipt(
        ReceiptStatus(unmatched.status),
        provider_ref=unmatched.provider_ref,
        phone=unmatched.phone,
        outcome=Outcome(unmatched.outcome) if unmatched.outcome else None,
        code=unmatched.code,
    )


def ask_providers(now: dt.datetime) -> None:
    """Fetch what waits at every provider that has to be asked, store it page by page, and apply it."""
    asked = [row.id for row in channels.choices() if channels.kinds()[row.kind].polls]
    current_session().commit()  # nothing is held open while providers answer
    if asked:
        asyncio.run(_ask(asked, now))
    apply_callbacks(now)


async def _ask(channel_ids: Sequence[int], now: dt.datetime) -> None:
    async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
        for channel_id in channel_ids:
            begun = time.monotonic()
            try:
                adapter = channels.adapter(channel_id)
                current_session().commit()
                async for page in adapter.pull(http):
                    callback_inbox.keep(channel_id, [page], now)
            except ChannelError as trouble:
                log.warning("pull.failed channel=%s code=%s", channel_id, trouble.code)
                with writing() as session:
                    call_log.note(session, channel_id, adapter, call_log.failed("pull", begun, trouble), now)
            except Exception:
                # One channel's fault must not keep the others' receipts waiting.
                log.exception("pull.fault channel=%s", channel_id)


def forget_old(now: dt.datetime) -> int:
    """Remove callbacks that were read and came longer than RETENTION_DAYS ago, a few at a time; return how many."""
    before = now - dt.timedelta(days=settings().RETENTION_DAYS)
    gone = 0
    while ids := inbox.old_ids(before, FORGOTTEN_AT_ONCE):
        with inbox.writing() as session:
            inbox.forget(session, ids)
        gone += len(ids)
    return gone


def unread_count(limit: int = 1000) -> int:
    """Return how many callbacks wait to be read, counted up to `limit`."""
    return len(inbox.unread_ids(limit))
