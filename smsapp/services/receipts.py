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
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Row
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from smsapp.channels.base import Callback, Channel, ChannelError, News, Receipt, Reply
from smsapp.channels.http import HttpClient
from smsapp.domain.errors import Refusal
from smsapp.domain.message import Status, advance
from smsapp.domain.outcome import Outcome
from smsapp.domain.storable import storable, storable_all
from smsapp.services import calls, channels, intake, opt_outs, replies, stopping
from smsapp.store import codes, inbox, news, queue, runs, strays
from smsapp.store.db import session, writing
from smsapp.store.inbox import InboxState
from smsapp.store.news import Move
from smsapp.store.settings import settings
from smsapp.store.strays import StrayReceipt

log = logging.getLogger(__name__)
Clock = Callable[[], dt.datetime]
Waiting = Row[Any]
"""A stored callback: id, channel_id, method, query, headers, body, url."""

BULK = 500
"""Callbacks read in one transaction."""
YOUNG = dt.timedelta(days=1)
"""How long a receipt without a message may wait for its message's provider id to turn up."""
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
STATUS = {News.DELIVERED: Status.DELIVERED, News.UNDELIVERED: Status.UNDELIVERED, News.ACCEPTED: Status.ACCEPTED}
AFTER = {(status, news): advance(status, STATUS[news]) for status in Status for news in News}


def keep_reading(clock: Clock, pause: Callable[[float], None] = time.sleep) -> None:
    """Apply what is stored and what comes while we look; return once nothing has come for a while, or after LONGEST.

    A stream of callbacks so costs one job in LONGEST, and few large transactions. Somebody else at it is left alone.
    """
    if not queue.attend("keep_reading"):
        return
    begun = last = clock()
    try:
        while True:
            read = _read_bulk(clock())
            now = clock()
            if read:
                last = now
            if stopping.is_wanted() or now - begun >= LONGEST or now - last >= QUIET:
                break
            queue.attend("keep_reading", again=True)
            if read < BULK:
                pause(LOOK)
    finally:
        # What is stored from here on is rung for; what came just before is found by the look below.
        queue.leave("keep_reading")
    if inbox.unread_ids(1):
        queue.ring_once(queue.NEWS, "keep_reading")


def apply_news(now: dt.datetime) -> int:
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
    waiting = inbox.unread(BULK)
    if not waiting:
        return 0
    try:
        return _apply(waiting, now)
    except OperationalError:
        raise
    except Exception:
        log.exception("news.failed callbacks=%s", len(waiting))
    for one in waiting:
        try:
            _apply([one], now)
        except OperationalError:
            raise
        except Exception:
            log.exception("news.put_aside inbox=%s", one.id)
            with inbox.writing() as current:
                inbox.mark_read(current, [one.id], InboxState.UNREADABLE)
    return len(waiting)


def _apply(waiting: Sequence[Waiting], now: dt.datetime) -> int:
    """Apply these callbacks, then mark them as read; return how many, or 0 if another is at it.

    The mark comes after the commit: whoever is killed in between leaves callbacks that are applied once more, and that
    changes nothing.
    """
    found, unreadable = _understood(waiting)
    arrived = _cleaned([(row.channel_id, item) for row, said in found for item in said if isinstance(item, Receipt)])
    with writing() as current:
        if not inbox.only_reader(current):
            return 0
        for row, said in found:
            for position, item in enumerate(said):
                if isinstance(item, Reply):
                    replies.take(current, row.channel_id, row.id, position, item, now)
        apply_receipts(current, arrived, now)
    with inbox.writing() as marks:
        inbox.mark_read(marks, [row.id for row in waiting if row.id not in unreadable])
        inbox.mark_read(marks, sorted(unreadable), InboxState.UNREADABLE)
    return len(waiting)


def _understood(waiting: Sequence[Waiting]) -> tuple[list[tuple[Waiting, Sequence[Receipt | Reply]]], set[int]]:
    """Return the callbacks with what they say, and the ids of those that cannot be read."""
    adapters: dict[int, Channel | None] = {}
    found: list[tuple[Waiting, Sequence[Receipt | Reply]]] = []
    unreadable: set[int] = set()
    for row in waiting:
        if row.channel_id not in adapters:
            adapters[row.channel_id] = _adapter(row.channel_id)
        adapter = adapters[row.channel_id]
        callback = Callback(row.method, row.query, row.headers, row.body, row.url)
        try:
            said = adapter.read_callback(callback) if adapter else ()
        except Exception as error:
            # Whatever a provider sends, the callbacks behind it must not wait for ever; the raw body is kept.
            log.warning("callback.unreadable inbox=%s error=%s", row.id, type(error).__name__)
            unreadable.add(row.id)
            continue
        found.append((row, said))
    return found, unreadable


def _cleaned(arrived: Sequence[tuple[int, Receipt]]) -> Sequence[tuple[int, Receipt]]:
    """Return the receipts with ids and codes that every database can store; receipts of test sends are left out."""
    for texts in (
        [one.ref for _channel_id, one in arrived],
        [one.provider_ref for _channel_id, one in arrived],
        [one.code for _channel_id, one in arrived],
    ):
        if storable_all(texts) is not texts:
            arrived = [(channel_id, _clean(one)) for channel_id, one in arrived]
            break
    return [one for one in arrived if not one[1].ref.startswith(TEST_REF)]


def _clean(one: Receipt) -> Receipt:
    return replace(one, ref=storable(one.ref), provider_ref=storable(one.provider_ref), code=storable(one.code))


def _adapter(channel_id: int) -> Channel | None:
    try:
        return channels.adapter(channel_id)
    except Refusal:
        return None


def apply_receipts(current: Session, arrived: Sequence[tuple[int, Receipt]], now: dt.datetime) -> None:
    """Apply receipts (channel, receipt) in the caller's transaction; those that name no message of ours are kept."""
    strays.keep(
        current,
        [
            {
                "channel_id": channel_id,
                "ref": receipt.ref,
                "provider_ref": receipt.provider_ref,
                "phone": receipt.phone,
                "news": receipt.news,
                "outcome": receipt.outcome,
                "code": receipt.code,
            }
            for channel_id, receipt in _place(current, arrived, now)
        ],
        now,
    )


def _place(current: Session, arrived: Sequence[tuple[int, Receipt]], now: dt.datetime) -> list[tuple[int, Receipt]]:
    """Apply receipts; return those that name no message of ours."""
    keys = _keys(current, arrived)
    owners = runs.channel_of(current, {key[0] for key in keys if key})
    first: dict[tuple[int, int], Receipt] = {}
    more: dict[tuple[int, int], list[Receipt]] = {}
    unknown: list[tuple[int, Receipt]] = []
    for one, key in zip(arrived, keys, strict=True):
        # What one provider says cannot move another one's messages.
        if key is None or owners.get(key[0]) != one[0]:
            unknown.append(one)
        elif (before := first.setdefault(key, one[1])) is not one[1]:
            more.setdefault(key, [before]).append(one[1])
    known = news.where_they_stand(current, list(first))
    for key in first.keys() - known.keys() if len(known) < len(first) else ():
        unknown += [(owners[key[0]], receipt) for receipt in more.get(key, [first[key]])]
    moves: dict[Move, list[int]] = {}
    for key, stands in known.items():
        status, last = stands.status, None
        for receipt in more.get(key) or (first[key],):
            after = AFTER[status, receipt.news]
            if after is not status:
                status, last = after, receipt
        if last is not None:
            run_id, seq = key
            why = str(last.outcome or "unknown") if status is Status.UNDELIVERED else ""
            moves.setdefault(Move(run_id, stands, status, why, last.code), []).append(seq)
    news.apply_moves(current, moves, int(now.timestamp()))
    unexplained = [(owners[m.run_id], m.code) for m, seqs in moves.items() if m.reason == Outcome.UNKNOWN for _ in seqs]
    codes.count(current, unexplained, now)
    gone = [(m.run_id, seq) for m, seqs in moves.items() if m.reason == Outcome.OPTED_OUT for seq in seqs]
    if gone:
        opt_outs.record_told(current, gone, now)
    return unknown


def _keys(current: Session, arrived: Sequence[tuple[int, Receipt]]) -> list[tuple[int, int] | None]:
    """Return the message (run, seq) each receipt is about, by our own reference or else by the provider's id."""
    theirs: dict[int, set[str]] = {}
    for channel_id, receipt in arrived:
        if not receipt.ref and receipt.provider_ref:
            theirs.setdefault(channel_id, set()).add(receipt.provider_ref)
    lookup = {
        channel_id: news.by_provider_ref(current, channel_id, sorted(refs)) for channel_id, refs in theirs.items()
    }
    keys: list[tuple[int, int] | None] = []
    for channel_id, receipt in arrived:
        ours = REF.fullmatch(receipt.ref)
        if ours:
            keys.append((int(ours[1]), int(ours[2])))
        elif not receipt.ref:
            found = lookup.get(channel_id, {})
            exact = found.get((receipt.provider_ref, receipt.phone))
            keys.append(exact or found.get((receipt.provider_ref, "")))
        else:
            keys.append(None)
    return keys


def redo_strays(now: dt.datetime) -> None:
    """Apply receipts that came before the answer with the provider's id had been written down; the others stay."""
    after = 0
    # Looking through many strays must not keep others from writing, so it is done before.
    while ready := strays.placed(session(), now - YOUNG, after, BULK):
        arrived = [(stray.channel_id, _said(stray)) for stray in ready]
        with writing() as current:
            unknown = set(_place(current, arrived, now))
            found = [stray.id for stray, one in zip(ready, arrived, strict=True) if one not in unknown]
            strays.forget(current, found)
        after = ready[-1].id


def _said(stray: StrayReceipt) -> Receipt:
    return Receipt(
        News(stray.news),
        provider_ref=stray.provider_ref,
        phone=stray.phone,
        outcome=Outcome(stray.outcome) if stray.outcome else None,
        code=stray.code,
    )


def ask_providers(now: dt.datetime) -> None:
    """Fetch what waits at every provider that has to be asked, store it page by page, and apply it."""
    asked = [row.id for row in channels.choices() if channels.kinds()[row.kind].pulls]
    session().commit()  # nothing is held open while providers answer
    if asked:
        asyncio.run(_ask(asked, now))
    apply_news(now)


async def _ask(channel_ids: Sequence[int], now: dt.datetime) -> None:
    async with HttpClient(settings().ALLOWED_PRIVATE_HOSTS) as http:
        for channel_id in channel_ids:
            begun = time.monotonic()
            try:
                adapter = channels.adapter(channel_id)
                session().commit()
                async for page in adapter.pull(http):
                    intake.keep(channel_id, [page], now)
            except ChannelError as trouble:
                log.warning("pull.failed channel=%s code=%s", channel_id, trouble.code)
                with writing() as current:
                    calls.note(current, channel_id, adapter, calls.failed("pull", begun, trouble), now)
            except Exception:
                # One channel's fault must not keep the others' receipts waiting.
                log.exception("pull.fault channel=%s", channel_id)


def forget_old(now: dt.datetime) -> int:
    """Remove callbacks that were read and came longer than RETENTION_DAYS ago, a few at a time; return how many."""
    before = now - dt.timedelta(days=settings().RETENTION_DAYS)
    gone = 0
    while ids := inbox.old_ids(before, FORGOTTEN_AT_ONCE):
        with inbox.writing() as current:
            inbox.forget(current, ids)
        gone += len(ids)
    return gone


def unread_count(limit: int = 1000) -> int:
    """Return how many callbacks wait to be read, counted up to `limit`."""
    return len(inbox.unread_ids(limit))
