"""What names an erased person after the erasure: receipts and errors of providers, records of apps.

They are applied like any other, and then redacted. A number that somebody has uploaded again is in use again: contacts,
messages and replies of its own stay as they are.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection

from smsapp.domain.erasure import hashed_spans, keyed_hash, readings
from smsapp.services.channels import accounts, registry
from smsapp.services.privacy.redaction import redact_place
from smsapp.store.db import current_session, writing
from smsapp.store.privacy import compaction, erased_numbers, erasures, ledger, places
from smsapp.store.privacy.places import Place, Redaction
from smsapp.store.receipts import inbox
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

TABLES = frozenset({"inbox", "unmatched_receipt", "bad_record", "channel_call"})
"""Tables that are looked through again and again, from where the round before the last one ended."""
LATE = dt.timedelta(days=14)
"""How long after an erasure answers and receipts of its messages may still come."""
COMPACTED = "compaction"
COMPACTED_EVERY = dt.timedelta(hours=1)


def begin_marks() -> None:
    """Remember where the tables end now, if they were never looked through: the first pass reads up to there."""
    for place in _places():
        with writing() as session:
            if erasures.mark(session, place.name) is None:
                end = _end_of(place)
                erasures.set_mark(session, place.name, end, end)


def may_name_erased() -> bool:
    """Return whether anybody was ever erased."""
    return erased_numbers.key(current_session()) is not None


def redact(now: dt.datetime) -> int:
    """Redact what has come since the last rounds and names an erased person; return how many rows changed."""
    session = current_session()
    key = erased_numbers.key(session)
    if key is None:
        return 0
    redaction = _redaction(erased_numbers.all_hashes(session), key)
    session.commit()
    n = 0
    for place in _places():
        end = _end_of(place)
        mark = erasures.mark(session, place.name)
        begin = (mark.earlier,) if mark else None
        n += redact_place(place, redaction, begin, (end,))
        with writing() as session:
            erasures.set_mark(session, place.name, end, mark.position if mark else end)
    n += _late_answers(redaction, now)
    _compact(now, n)
    return n


def _places() -> list[Place]:
    return [place for place in places.places() if place.name in TABLES]


def _end_of(place: Place) -> int:
    """Return the id up to which a table may be looked through; of the inbox what is read."""
    last = places.last_key(place)
    end = int(last[0]) if last else 0
    unread = inbox.first_unread_id() if place.is_in_inbox else None
    return end if unread is None else min(end, unread - 1)


def _redaction(hashes: Collection[str], key: bytes) -> Redaction:
    regions = {settings().DEFAULT_REGION, *map(registry.country_of, accounts.everything())}

    def hash_of(written: str) -> str:
        own_hashes = (keyed_hash(number, key) for number in sorted({written, *readings(written, regions)}))
        return next((its_hash for its_hash in own_hashes if its_hash in hashes), "")

    return Redaction(hashed_spans(hashes, key, regions), hash_of)


def _late_answers(redaction: Redaction, now: dt.datetime) -> int:
    """Redact what answers and receipts have written to messages since their number was erased."""
    session = current_session()
    hashes = erased_numbers.all_hashes(session, now - LATE)
    keys = ledger.late_refs(session, hashes, now - LATE) if hashes else []
    session.commit()
    if not hashes:
        return 0
    with writing() as session:
        ledger.hash_refs(session, keys)
        return len(keys) + ledger.late_codes(session, hashes, now - LATE, redaction.spans)


def _compact(now: dt.datetime, changed: int) -> None:
    """Write SQLite's files anew, now and then, if something was redacted."""
    if not compaction.is_needed():
        return
    with writing() as session:
        mark = erasures.mark(session, COMPACTED)
        due = bool(changed) or bool(mark and mark.earlier)
        last = mark.position if mark else 0
        erasures.set_mark(session, COMPACTED, last, int(due))
    current_session().commit()
    at = int(now.timestamp())
    if due and at - last >= COMPACTED_EVERY.total_seconds() and compaction.may_run() and compaction.compact():
        with writing() as session:
            erasures.set_mark(session, COMPACTED, at, 0)
