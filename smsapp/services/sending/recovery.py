"""A database that is older than what was sent: everything under way is held until a person looks.

The mark in the database is compared with the journal outside of it, and with Redis, before anything is sent or shown.
What the journal tells is merged back: messages claimed since become unconfirmed, opt-outs are opt-outs again, people
and AppKeys that were shut out stay out, and every session ends.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, field, replace

from sqlalchemy.orm import Session

from smsapp.domain.campaign import Action, Status
from smsapp.domain.optout import Confirmation, OptOutSource
from smsapp.domain.run import HoldReason
from smsapp.services.platform import audit_log, users
from smsapp.services.platform.audit_log import Actor
from smsapp.store import journal, queue
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts import replies
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.journal import Entry
from smsapp.store.receipts import inbox
from smsapp.store.runs import claims, ledger_mark, proofs, recovery, runs
from smsapp.store.runs.ledger_mark import LedgerMark
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings

log = logging.getLogger(__name__)

START = Actor("start")
SKIPPED_RUN_IDS = 1000
"""A receipt that names a run of the time since must not find another one."""


@dataclass
class Since:
    """What the journal tells of the time since this copy of the database was made."""

    claims: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Run -> ranges of seqs that were claimed."""
    runs: dict[int, tuple[int, dt.datetime, int | None]] = field(default_factory=dict)
    """New run -> (campaign, slot, the run it repeats)."""
    opt_outs: dict[str, tuple[str, str] | None] = field(default_factory=dict)
    """Number -> (scope, signatures) of what it refuses in the end; None: it is not on the list."""
    people: dict[str, tuple[str, bool, bool]] = field(default_factory=dict)
    """Login -> (role, sees numbers, active), in the end."""
    app_keys: dict[str, bool] = field(default_factory=dict)
    highest: int = 0
    locked_numbers: int = 0
    """Entries with numbers that the present keys do not open."""

    def take(self, entry: Entry) -> None:
        """Take an entry in; entries come in the order of their generations."""
        facts = entry.facts
        self.highest = entry.generation
        if entry.kind == journal.CLAIM:
            self.claims.setdefault(facts[0], []).append((facts[1], facts[2]))
        elif entry.kind == journal.RUN:
            self.runs[facts[0]] = (facts[1], dt.datetime.fromisoformat(facts[2]), facts[3])
        elif entry.kind == journal.PERSON:
            self.people[facts[0]] = (facts[1], facts[2], facts[3])
        elif entry.kind == journal.APP_KEY:
            self.app_keys[facts[0]] = facts[1]
        elif entry.kind != journal.PROOF:  # of the test group nothing that waits is sent after a restore
            items = journal.opened(entry)
            self.locked_numbers += items is None
            if entry.kind == journal.OPT_OUT:
                self.opt_outs |= {number: (scope, signatures) for number, scope, signatures in items or ()}
            else:
                self.opt_outs |= dict.fromkeys(items or ())


@dataclass(frozen=True)
class Recovery:
    """What was done with an older copy."""

    blind: bool
    """Nothing tells what was sent since."""
    held: int
    """Runs that wait for a person."""
    unconfirmed: int
    """Messages that were claimed since."""
    opt_outs: int
    locked_numbers: int
    people: int
    app_keys: int
    callbacks: int
    """Callbacks of the inbox that are read once more."""


def check(now: dt.datetime) -> Recovery | None:
    """Compare the mark with the journal; take over a database that is older. None if it is not.

    Raises SQLAlchemyError if the database does not answer.
    """
    if _is_current(ledger_mark.read(current_session())):
        return None
    with writing() as session:
        mark = ledger_mark.locked(session)
        if _is_current(mark):
            return None
        if _may_adopt(mark):
            mark.journal_id = journal.journal_id(make=True)
            return None
        since, ends = _since(mark), recovery.last_known(session)
        done = _take_over(session, mark, since, blind=_is_blind(mark, since), now=now)
    if ends is not None and recovery.inbox_is_apart():
        # The inbox may be newer than the database: what came since then is read once more, which changes nothing twice.
        with inbox.writing() as connection:
            done = replace(done, callbacks=recovery.reread_inbox(connection, ends))
    log.warning("database.older %s", done)
    return done


def mirror() -> None:
    """Have the disk hold and Redis know of what this process has noted."""
    generation = journal.newest()
    journal.sync(generation)
    queue.note_generation(journal.journal_id(), generation)


def mirror_mark() -> None:
    """Have Redis know of what all processes have noted."""
    mark = ledger_mark.read(current_session())
    if mark.journal_id:
        queue.note_generation(mark.journal_id, mark.generation)


def _is_current(mark: LedgerMark) -> bool:
    """Return whether the journal in the instance folder is this database's, and tells of nothing it does not know."""
    return mark.journal_id != "" and mark.journal_id == journal.journal_id() and _outside(mark) <= mark.generation


def _outside(mark: LedgerMark) -> int:
    return max(journal.highest(), queue.noted_generation(mark.journal_id))


def _may_adopt(mark: LedgerMark) -> bool:
    """Return whether the database may go on with the journal it finds: nothing was sent that it does not know.

    Its first start; or the folder was lost, and Redis knows of nothing newer.
    """
    if journal.highest() > mark.generation:
        return False
    return not mark.journal_id or 0 < queue.noted_generation(mark.journal_id) <= mark.generation


def _since(mark: LedgerMark) -> Since:
    """Return what the journal tells of the time since. Opt-outs and rights count in the order of generations."""
    since = Since()
    for entry in sorted(journal.after(mark.generation), key=lambda entry: entry.generation):
        since.take(entry)
    return since


def _is_blind(mark: LedgerMark, since: Since) -> bool:
    """Return whether the journal is another one, or does not reach as far as Redis remembers."""
    return mark.journal_id not in {"", journal.journal_id()} or since.highest < queue.noted_generation(mark.journal_id)


def _take_over(session: Session, mark: LedgerMark, since: Since, *, blind: bool, now: dt.datetime) -> Recovery:
    first_id = max(recovery.highest_run(session), *since.runs, 0) + SKIPPED_RUN_IDS
    ledger_mark.skip_ids(session, Run.__tablename__, first_id)
    unconfirmed = 0
    frozen = recovery.unfinished(session)
    lost = since.runs.keys() - recovery.known_runs(session, since.runs)
    # A run that was frozen since, or moved on to another one, has lost the list of what was sent.
    blind_runs = {run_id for run_id in since.claims if frozen.get(run_id) is False}
    for run_id in lost & since.claims.keys():
        campaign_id, slot, repeats = since.runs[run_id]
        if repeats is not None:
            blind_runs.add(repeats)
        elif (again := _open_again(session, campaign_id, slot, now)) is not None:
            blind_runs.add(again)
    for run_id, ranges in sorted(since.claims.items()):
        if frozen.get(run_id) and not blind:
            unconfirmed += claims.unconfirm_queued(session, run_id, ranges)
    held = recovery.hold_all(session, None if blind else blind_runs, now)
    done = Recovery(
        blind=blind,
        held=held,
        unconfirmed=unconfirmed,
        opt_outs=_merge_opt_outs(session, since, now),
        locked_numbers=since.locked_numbers,
        people=sum(recovery.set_rights(session, login, *rights) for login, rights in since.people.items()),
        app_keys=recovery.switch_keys(session, since.app_keys),
        callbacks=0,
    )
    recovery.end_sessions(session, {person.id: users.new_mark() for person in users.everybody()})
    recovery.give_up_confirmations(session, now)
    proofs.unconfirm_waiting(session)
    mark.generation = max(mark.generation, since.highest, _outside(mark)) + 1
    mark.journal_id = journal.journal_id(make=True)
    mark.restored_at, mark.blind = now, blind
    audit_log.log_action(
        session, START, "restore", "database", "", now, held=held, unconfirmed=unconfirmed, blind=blind
    )
    return done


def _open_again(session: Session, campaign_id: int, slot: dt.datetime, now: dt.datetime) -> int | None:
    """Open the run of a campaign that was sent for this slot since the copy was made; return it, None if it cannot be.

    It is never sent: a person ends it, and the campaign goes on with its next slot.
    """
    campaign = lock_row(session, Campaign, campaign_id)
    if campaign is None or campaign.channel_id is None or campaign.deleted_at is not None:
        return None
    action = Action.LAUNCH if campaign.status == Status.DRAFT else Action.START
    if not campaigns.move(session, campaign_id, action, next_due_at=None, failure=""):
        return None
    return runs.add_run(session, campaign, slot, now)


def _merge_opt_outs(session: Session, since: Since, now: dt.datetime) -> int:
    """Make the list what it was in the end, for the numbers that the journal names; return how many are on it."""
    replies.remove_opt_outs(session, [*since.opt_outs])
    rows = [
        {
            "phone": number,
            "source": OptOutSource.RESTORED,
            "note": "",
            "channel_id": None,
            "campaign_id": None,
            "at": now,
            "scope": refused[0],
            "signatures": refused[1],
            "confirmation": Confirmation.NONE,
        }
        for number, refused in sorted(since.opt_outs.items())
        if refused is not None
    ]
    return replies.add_opt_outs(session, rows)


def forget_old(now: dt.datetime) -> int:
    """Remove files of the journal that tell of nothing after JOURNAL_DAYS; return how many."""
    return journal.forget((now - dt.timedelta(days=settings().JOURNAL_DAYS)).timestamp())


def restored_at(session: Session) -> dt.datetime | None:
    """Return when an older copy of the database was last taken over; None if never."""
    return ledger_mark.read(session).restored_at


def hold_reason_of(session: Session, slot: dt.datetime) -> HoldReason | None:
    """Return why the run of this slot must wait for a person: it was due before a restore, and may have been sent."""
    mark = ledger_mark.read(session)
    if mark.restored_at is None or slot > mark.restored_at:
        return None
    return HoldReason.RESTORED_BLIND if mark.blind else HoldReason.RESTORED
