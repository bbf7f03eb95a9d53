"""Erases people: asked for once, carried out in passes until nothing of them is left in the tables and files.

Each pass is made of steps that may be repeated, in transactions of their own, so one that was killed is done again
from the beginning. Contacts go at once, and messages that are still queued are cancelled; a message in flight is left
until its answer is stored, and the next pass takes it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from smsapp.domain import phone
from smsapp.domain.contact import MAX_ID
from smsapp.domain.erasure import ErasureState, Subject, keyed_hash, spans_of, written_forms
from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.services.contacts import imports
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.clock import Clock
from smsapp.services.privacy import arrivals, uploaded_files
from smsapp.services.privacy.redaction import redact_place
from smsapp.services.receipts import billing
from smsapp.store import queue
from smsapp.store.apps import uploads
from smsapp.store.db import current_session, writing
from smsapp.store.privacy import compaction, erased_numbers, erasures, ledger, persons, places, subjects
from smsapp.store.privacy.erasures import Erasure
from smsapp.store.privacy.places import Redaction
from smsapp.store.receipts import inbox
from smsapp.store.runs import proofs, runs
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

LEASE = dt.timedelta(minutes=30)
"""How long a worker may take for a pass; it gives the lease back at the end."""
MOST_AT_ONCE = 10_000
"""People of one erasure."""
MOST_TOGETHER = 20
"""Contacts that one number or id may lead to before a person has to look: a shop's own number is nobody's."""
LISTED = 20
SHOWN_HASHES = 50
"""Hashes named in the audit log."""


@dataclass(frozen=True)
class Preview:
    """What an erasure would remove."""

    subject: Subject = field(repr=False)
    contacts: Sequence[tuple[int, str]] = field(repr=False)
    """(id, user id) of the first LISTED contacts."""
    counts: Mapping[str, int]
    """Table -> rows."""
    unfinished: int
    """Messages that are queued or in flight."""
    importing: int
    """Files that are being imported: what they still bring of the person is erased when they are through."""


def named(texts: Collection[str]) -> Subject:
    """Return whom these numbers or user ids name, with all that belongs to them; raises Refusal.

    A number that nobody has any more can be erased, too: messages and replies may know it.
    """
    numbers = {text: phone.normalise(text, settings().DEFAULT_REGION) for text in map(str.strip, texts) if text}
    if not numbers:
        raise Refusal(Problem("erasure_nobody", "person"))
    if len(numbers) > MOST_AT_ONCE:
        raise Refusal(Problem("erasure_too_many", "person", {"most": MOST_AT_ONCE}))
    start = Subject(
        frozenset(number for number in numbers.values() if number),
        frozenset(text for text in numbers if 0 < len(text) <= MAX_ID),
    )
    subject = subjects.widened(current_session(), start, settings().DEFAULT_REGION)
    if not subject.contact_ids and not subject.numbers:
        raise Refusal(Problem("erasure_unknown", "person"))
    if len(subject.contact_ids) > len(numbers) * MOST_TOGETHER:
        raise Refusal(Problem("erasure_shared", "person", {"count": len(subject.contact_ids)}))
    return subject


def preview(texts: Collection[str]) -> Preview:
    """Return what erasing these people would remove; raises Refusal."""
    subject = named(texts)
    session = current_session()
    return Preview(
        subject,
        subjects.existing_contacts(session, subject)[:LISTED],
        {table: n for table, n in subjects.count_rows(session, subject).items() if n},
        subjects.count_unfinished(session, subject.numbers),
        imports.count_unfinished(),
    )


def request(texts: Collection[str], by: Actor, now: dt.datetime) -> int:
    """Erase these people: return the id of the erasure, whose first pass a worker makes. Raises Refusal.

    The audit log keeps who did it and the hashes of the numbers.
    """
    require(by, Right.PRIVACY_WRITE)
    subject = named(texts)
    with writing() as session:
        erased_numbers.ensure_key(session)
    arrivals.begin_marks()
    with writing() as session:
        erasure_id = _enter(subject, by, now)
    queue.enqueue(queue.PERIODIC, "erase_people")
    return erasure_id


def _enter(subject: Subject, by: Actor, now: dt.datetime) -> int:
    session = current_session()
    hashes = _hashes(subject.numbers)
    erased_numbers.add(session, hashes.values(), now)
    row = erasures.add(session, subject, by.name, now)
    facts = {"people": len(subject.contact_ids), "numbers": sorted(hashes.values())[:SHOWN_HASHES]}
    audit_log.log_action(session, by, "erase", "erasure", row.id, now, **facts)
    return row.id


def newest(limit: int = 50) -> Sequence[Erasure]:
    """Return the newest erasures."""
    return erasures.newest(current_session(), limit)


def get(erasure_id: int) -> Erasure:
    """Return the erasure as it is now; raises NotFound."""
    row = current_session().get(Erasure, erasure_id, populate_existing=True)
    if row is None:
        raise NotFound("erasure")
    return row


def has_work(_now: dt.datetime) -> bool:
    """Return whether an erasure is not done, or what comes may name a person who was erased."""
    return bool(erasures.unfinished(current_session())) or arrivals.may_name_erased()


def erase_people(clock: Clock) -> None:
    """Make a pass of every erasure that is not done and that no other worker is at."""
    for erasure_id in erasures.unfinished(current_session()):
        make_pass(erasure_id, clock)


def make_pass(erasure_id: int, clock: Clock) -> ErasureState | None:
    """Make one pass of an erasure and return how far it is; None if it is done or another worker is at it."""
    begun = clock()
    with writing() as session:
        erasure = erasures.claim(session, erasure_id, begun, begun + LEASE)
    if erasure is None:
        return None
    work = _Pass(erasures.subject_of(erasure), Counter(erasure.counts.get("changed", {})))
    state = ErasureState(erasure.state)
    if state is not ErasureState.COMPACTING:
        importing = imports.count_unfinished(before=erasure.at)
        importing += uploads.is_waiting_since(erasure.at)
        work.run(begun)
        left = {"in_flight": work.in_flight, "importing": importing}
        state = ErasureState.WAITING if any(left.values()) else ErasureState.COMPACTING
        if state is ErasureState.COMPACTING and not compaction.is_needed():
            state = ErasureState.DONE
    else:
        left = {"in_flight": 0, "importing": 0}
    if state is ErasureState.COMPACTING and _compacted():
        state = ErasureState.DONE
    with writing() as session:
        counts = {"changed": dict(work.changed), **left}
        erasures.store_pass(session, erasure_id, state, counts, work.subject, clock())
    log.info("erasure.pass erasure=%s state=%s in_flight=%s", erasure_id, state, work.in_flight)
    return state


def _compacted() -> bool:
    current_session().commit()
    return compaction.may_run() and compaction.compact()


def _hashes(numbers: Collection[str]) -> dict[str, str]:
    key = erased_numbers.made_key(current_session())
    return {number: keyed_hash(number, key) for number in numbers}


@dataclass
class _Pass:
    """One pass over everything that may name the people."""

    subject: Subject
    changed: Counter[str]
    """Table -> rows changed or deleted so far, over all passes."""
    in_flight: int = 0

    def run(self, now: dt.datetime) -> None:
        """Erase all that is over; `in_flight` counts the messages that are left."""
        families = ledger.families(current_session())
        self._widen(families, now)
        with writing() as session:
            self.changed["contact"] += persons.delete_contacts(session, self.subject)
        hashes = _hashes(self.subject.numbers)
        for family in families:
            self._erase_family(family, hashes)
        self._erase_refs(hashes)
        with writing() as session:
            self.changed["opt_out"] += persons.hash_opt_outs(session, hashes)
            n_replies, callbacks = persons.hash_replies(session, hashes)
            self.changed["reply"] += n_replies
            proofs.cancel_for_contacts(session, self.subject.contact_ids)
            self.changed["colleague"] += proofs.delete_colleagues(session, self.subject.numbers)
            self.changed.update(places.detach(session, self.subject.contact_ids))
            self.changed["special_number"] += persons.delete_number_classes(session, self.subject.numbers)
        if callbacks:
            with inbox.writing() as connection:
                self.changed["inbox"] += persons.empty_callbacks(connection, callbacks)
        self.changed["import"] += uploaded_files.discard_naming(spans_of(self.subject.numbers), now)
        redaction = self._redaction(hashes)
        for place in places.places():
            self.changed[place.name] += redact_place(place, redaction)

    def _widen(self, families: Sequence[Sequence[int]], now: dt.datetime) -> None:
        """Find what has come since it was asked for, and the numbers under which the people were written to before."""
        session = current_session()
        region = settings().DEFAULT_REGION
        wider = subjects.widened(session, self.subject, region)
        if wider.contact_ids:
            earlier = {
                number
                for family in families
                for number in ledger.numbers_written_to(session, family, wider.contact_ids)
                if not phone.is_erased(number)
            }
            wider = replace(wider, numbers=wider.numbers | earlier)
        session.commit()
        if wider.numbers - self.subject.numbers:
            with writing() as session:
                erased_numbers.add(session, _hashes(wider.numbers).values(), now)
        self.subject = wider

    def _erase_family(self, run_ids: Sequence[int], hashes: Mapping[str, str]) -> None:
        spans = spans_of(self.subject.numbers)
        numbers = sorted(hashes)
        for start in range(0, len(numbers), ledger.NUMBERS_AT_ONCE):
            some = {number: hashes[number] for number in numbers[start : start + ledger.NUMBERS_AT_ONCE]}
            with writing() as session:
                change = ledger.erase_family(session, run_ids, some, _bill, spans)
            self.changed["message"] += change.hashed
            self.in_flight += change.in_flight
        with writing() as session:
            self.changed["exclusion"] += ledger.detach_exclusions(session, run_ids, self.subject.contact_ids)

    def _erase_refs(self, hashes: Mapping[str, str]) -> None:
        """Hash the provider ids of messages that are gone, or whose answer came late."""
        keys = [
            {"channel": channel_id, "its_ref": ref, "its_phone": number, "its_hash": hashes[number]}
            for channel_id, ref, number in ledger.plain_refs(current_session(), hashes)
        ]
        current_session().commit()
        if keys and not self.in_flight:
            with writing() as session:
                ledger.hash_refs(session, keys)
            self.changed["provider_ref"] += len(keys)

    def _redaction(self, hashes: Mapping[str, str]) -> Redaction:
        by_form = {form: its_hash for number, its_hash in hashes.items() for form in written_forms(number)}

        def hash_of(written: str) -> str:
            return hashes.get(written) or by_form.get(written.lstrip("+0"), "")

        return Redaction(spans_of(self.subject.numbers), hash_of, self.subject.user_ids)


def _bill(run_id: int, rows: Sequence[tuple[str, str | None]]) -> list[int]:
    return billing.parts_of(runs.snapshot_of(current_session(), run_id), rows)
