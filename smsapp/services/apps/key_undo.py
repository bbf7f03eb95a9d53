"""Undoing what an AppKey did since some moment: counted first, then carried out by workers, slice by slice.

A slice is one transaction that also notes how far it came: who is killed in between leaves nothing half done. Memory
is bounded by one slice, however much the key has done.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from smsapp.domain import key_undo
from smsapp.domain.contact import Type
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.key_undo import Counts, Phase, Replacement, UndoState, Values, Window
from smsapp.domain.property_change import converted
from smsapp.domain.rights import Right
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys
from smsapp.services.platform import audit_log
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.clock import Clock
from smsapp.store import queue
from smsapp.store.apps import key_journal, key_undos
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.apps.key_journal import JournalRow
from smsapp.store.apps.key_undos import KeyUndo
from smsapp.store.contacts import aliases, contacts, property_catalogue
from smsapp.store.contacts.contacts import Profile
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.settings import settings

HOUR = dt.timedelta(hours=1)
SPAN = 5000
"""Ids of contacts that one slice looks at."""


def earliest(row: AppKey, now: dt.datetime) -> dt.datetime:
    """Return the earliest moment to which what this key did can be undone."""
    oldest = now - dt.timedelta(days=key_undo.KEPT_DAYS)
    return max(oldest, row.undo_from or row.created_at)


def latest(key_id: int) -> KeyUndo | None:
    """Return the latest undo of this key, counted, going on or done; None if there is none."""
    return key_undos.newest(current_session(), key_id)


def count(key_id: int, since: dt.datetime, by: Actor, now: dt.datetime) -> KeyUndo:
    """Begin to count what an undo of all that this key did since then would do; nothing is changed. Raises Refusal.

    Of an hour in which the earliest moment lies, the rest is undone.
    """
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        row = app_keys.key(key_id)
        floor = earliest(row, now)
        if since < floor < since + HOUR:
            since = floor
        if since < floor:
            raise Refusal(Problem("undo_too_early", "since", {"since": floor.isoformat(timespec="minutes")}))
        if since > now:
            raise Refusal(Problem("undo_in_future", "since"))
        if key_undos.is_running(session, key_id):
            raise Refusal(Problem("undo_running", "since"))
        key_undos.drop_counted(session, key_id)
        undo = KeyUndo(
            app_key_id=key_id,
            since=since,
            until=now,
            state=UndoState.COUNTING,
            created_by=by.user_id,
            created_at=now,
            counts={},
            runs_seen=[],
        )
        session.add(undo)
        _begin(session, undo)
        session.flush()
    queue.enqueue(queue.PERIODIC, "undo_key", undo.id)
    return undo


def carry_out(undo_id: int, key_id: int, by: Actor, now: dt.datetime, *, disable: bool) -> KeyUndo:
    """Begin to undo what was counted, and what the key did since; `disable` the key first. Raises Conflict."""
    require(by, Right.KEYS_WRITE)
    with writing() as session:
        undo = lock_row(session, KeyUndo, undo_id)
        if undo is None or undo.app_key_id != key_id or undo.state != UndoState.READY:
            raise Conflict
        row = app_keys.key(undo.app_key_id)
        if disable and row.active:
            row.active = False
            audit_log.log_action(session, by, "disable", "app_key", row.name, now)
        undo.state, undo.until = UndoState.RUNNING, now
        _begin(session, undo)
        audit_log.log_action(session, by, "begin_undo", "app_key", row.name, now, since=undo.since.isoformat())
    queue.enqueue(queue.PERIODIC, "undo_key", undo.id)
    return undo


def _begin(session: Session, undo: KeyUndo) -> None:
    """Set an undo to its beginning: the newest replacement first."""
    undo.phase = Phase.REPLACED
    undo.newest = key_journal.last_id(session, undo.app_key_id)
    undo.position = undo.newest + 1
    undo.last = contacts.last_id(session)
    undo.steps = 0
    undo.all_steps = key_journal.count_rows(session, undo.app_key_id, undo.since) + -(-undo.last // SPAN)
    undo.keep(Counts(), 0)


def run(undo_id: int, clock: Clock) -> None:
    """Go on with an undo until it is counted or done; two workers take the slices in turn."""
    while True:
        with writing() as session:
            undo = key_undos.claim(session, undo_id)
            if undo is None:
                return
            _Slice(session, undo, clock()).take()


def resume() -> int:
    """Enqueue undos again that a worker should be at; return how many."""
    unfinished = key_undos.unfinished(current_session())
    for undo_id in unfinished:
        queue.enqueue_unless_waiting(queue.PERIODIC, "undo_key", undo_id)
    return len(unfinished)


class _Slice:
    """One step of an undo, in the caller's transaction."""

    def __init__(self, session: Session, undo: KeyUndo, now: dt.datetime) -> None:
        self.session, self.undo, self.now = session, undo, now
        self.writes = undo.state == UndoState.RUNNING
        self.counts, self.proposals = undo.counted, undo.proposals
        row = app_keys.key(undo.app_key_id)
        self.window = Window(KeyKind(row.kind), row.id, undo.since, undo.until)
        self.name = row.name

    def take(self) -> None:
        """Take the next step and note it."""
        undo = self.undo
        if undo.phase == Phase.REPLACED:
            self._replaced()
        else:
            self._added()
        undo.steps += 1
        undo.keep(self.counts, self.proposals)

    def _replaced(self) -> None:
        """Take back what the next transaction of the key replaced."""
        undo = self.undo
        row = key_journal.row_below(self.session, undo.app_key_id, undo.position, undo.since, undo.until)
        if row is not None:
            self._take_back(row)
            undo.position = row.id
        elif (newest := key_journal.last_id(self.session, undo.app_key_id)) > undo.newest:
            # Records that were being applied when it began: to go over all once more changes nothing else.
            undo.newest, undo.position = newest, newest + 1
        else:
            undo.phase, undo.position = Phase.ADDED, 0

    def _take_back(self, row: JournalRow) -> None:
        people = {xwho for group in row.replaced for xwho in group.xwhos if group.how is not Replacement.BOUND}
        stored = contacts.lock(self.session, people)
        present = {xwho: Values(dict(contact.properties), dict(contact.sources)) for xwho, contact in stored.items()}
        changed: set[str] = set()
        types = property_catalogue.property_types(self.session)
        new_names = property_catalogue.redirects(self.session)
        for group in reversed(row.replaced):
            if group.how is Replacement.BOUND:
                if self.writes:
                    aliases.remove_bindings(self.session, group.xwhos, self.undo.since)
                continue
            called = {name: name if name in types else new_names.get(name, name) for name in group.names}
            names = {name: present_name for name, present_name in called.items() if present_name in types}
            values_before = self.counts.values
            for xwho, before in group.people():
                if xwho not in present:
                    if group.how is not Replacement.ERASED:
                        self.counts.overtaken += len(names)
                        continue
                    present[xwho] = Values()
                    self.counts.restored += 1
                held = _as_typed(before, names, types)
                if key_undo.step_back(present[xwho], held, names, group.how, row.at, self.window, self.counts):
                    changed.add(xwho)
            if not self.writes and group.how is Replacement.CHANGED:
                # These are counted where they are found to be the key's still.
                self.counts.values = values_before
        if self.writes:
            anonymous = {xwho: contact.anonymous for xwho, contact in stored.items()}
            self._write({xwho: present[xwho] for xwho in sorted(changed)}, anonymous)

    def _added(self) -> None:
        """Remove what the key added to the next contacts, and those of which nothing is left."""
        undo = self.undo
        key_undos.note_sent(self.session, undo)
        if undo.position >= undo.last:
            self._finish()
            return
        span = min(undo.position + SPAN, undo.last)
        rows = key_undos.touched(self.session, undo.position, span, self.window.prefix, undo.since)
        written_to = key_undos.sent_to(self.session, undo.id, {row.id for row in rows})
        left: dict[str, Values] = {}
        removed: list[str] = []
        for row in rows:
            values, added = key_undo.without_added(Values(row.properties, row.sources), self.window)
            if not added:
                continue
            self.counts.values += added
            is_own = not values.properties and row.created_at >= undo.since
            if is_own and row.id not in written_to:
                removed.append(row.xwho)
            else:
                self.counts.written_to += is_own
                left[row.xwho] = values
        self.counts.contacts += len(removed)
        if self.writes:
            contacts.remove(self.session, removed)
            self._write(left, {row.xwho: row.anonymous for row in rows})
        undo.position = span

    def _write(self, people: dict[str, Values], anonymous: dict[str, bool]) -> None:
        """Write what these people hold; who is not among `anonymous` does not exist."""
        names, region = property_catalogue.phone_properties(self.session), settings().DEFAULT_REGION
        profiles = [
            Profile(
                xwho,
                values.properties,
                contacts.phones_of(values.properties, names, region),
                values.sources,
                anonymous.get(xwho, False),
            )
            for xwho, values in people.items()
        ]
        contacts.create(self.session, [row for row in profiles if row.xwho not in anonymous], self.now)
        contacts.replace(self.session, [row for row in profiles if row.xwho in anonymous], self.now)

    def _finish(self) -> None:
        undo, session = self.undo, self.session
        key_undos.forget_sent(session, undo.id)
        undo.runs_seen = []
        span = (undo.app_key_id, undo.since, undo.until)
        if not self.writes:
            undo.state = UndoState.READY
            self.proposals = key_undos.count_proposals(session, *span)
            return
        self.proposals = key_undos.withdraw_proposals(session, *span)
        undo.state, undo.finished_at = UndoState.DONE, self.now
        audit_log.log_action(
            session, Actor("AppKey undo"), "undone", "app_key", self.name, self.now, rows=self.counts.values
        )


def _as_typed(before: Values, names: dict[str, str], types: dict[str, Type]) -> Values:
    """Return what was held, with values of properties that have another type now converted, or left out."""
    properties = {}
    for name, value in before.properties.items():
        kind = types.get(names.get(name, ""))
        fitting = converted(value, kind) if kind is not None and value not in ("", []) else value
        if fitting is not None:
            properties[name] = fitting
    return Values(properties, before.sources)
