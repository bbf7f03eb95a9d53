"""An older copy of the database is taken over: statements of services/sending/recovery.py."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.optout import Confirmation
from smsapp.domain.run import ACCEPT_HOLDS, HoldReason, PinReason, RunAction
from smsapp.store.apps.app_keys import AppKey, digest
from smsapp.store.contacts.replies import OptOut, Reply
from smsapp.store.db import changed, db
from smsapp.store.receipts import inbox
from smsapp.store.receipts.inbox import INBOX, InboxState
from smsapp.store.runs import runs
from smsapp.store.runs.runs import Run
from smsapp.store.sign_in.sessions import StoredSession
from smsapp.store.users import AuditEntry, LoginLink, User


def hold_all(session: Session, blind: Collection[int] | None, now: dt.datetime) -> int:
    """Hold every unfinished run, and keep it on its channel; return how many.

    `blind`: those of which nobody can tell what was sent; None: all. A run that is held for its template stays so if
    it is not blind: that hold asks for more.
    """
    values: dict[str, Any] = {"hold_until": None, "held_at": now, "troubled_at": None, "failures": 0}
    unfinished = Run.finished_at.is_(None)
    changed(session, sa.update(Run).where(unfinished, Run.pinned == "").values(pinned=PinReason.RESTORED))
    # Seqs that it would give people who are added may have left already.
    changed(session, sa.update(Run).where(unfinished, Run.takes_until.is_not(None)).values(takes_until=None))
    is_blind = sa.true() if blind is None else Run.id.in_(blind)
    n = runs.move_all(session, RunAction.PAUSE, unfinished, is_blind, hold_reason=HoldReason.RESTORED_BLIND, **values)
    if blind is None:
        return n
    others = (unfinished, ~is_blind, Run.hold_reason.not_in(ACCEPT_HOLDS))
    return n + runs.move_all(session, RunAction.PAUSE, *others, hold_reason=HoldReason.RESTORED, **values)


def unfinished(session: Session) -> dict[int, bool]:
    """Return {run: whether its audience is frozen} of all unfinished runs."""
    query = sa.select(Run.id, Run.started_at.is_not(None)).where(Run.finished_at.is_(None)).order_by(Run.id)
    return {run_id: bool(frozen) for run_id, frozen in session.execute(query)}


def highest_run(session: Session) -> int:
    return session.scalar(sa.select(sa.func.max(Run.id))) or 0


def known_runs(session: Session, run_ids: Collection[int]) -> set[int]:
    return set(session.scalars(sa.select(Run.id).where(Run.id.in_(run_ids))))


def end_sessions(session: Session, marks: Mapping[int, str]) -> None:
    """Give people new marks, so that no session of theirs goes on, and remove all one-time links."""
    session.execute(sa.delete(LoginLink))
    session.execute(sa.delete(StoredSession))
    for user_id, mark in marks.items():
        session.execute(sa.update(User).where(User.id == user_id).values(session_mark=mark))


def set_rights(session: Session, login: str, role: str, sees_numbers: bool, active: bool) -> bool:
    """Set what a person may do; return False if there is no such person."""
    person = sa.update(User).where(User.login == login)
    return changed(session, person.values(role=role, sees_numbers=sees_numbers, active=active)) == 1


def switch_keys(session: Session, states: Mapping[str, bool]) -> int:
    """Enable or disable AppKeys, {digest: state}; return how many were changed."""
    n = 0
    for row in session.scalars(sa.select(AppKey)):
        wanted = states.get(digest(row.key), row.active)
        n += wanted is not row.active
        row.active = wanted
    return n


def give_up_confirmations(session: Session, now: dt.datetime) -> None:
    """Let confirmations of opt-outs that were due count as perhaps sent."""
    due = sa.update(OptOut).where(OptOut.confirmation == Confirmation.DUE)
    session.execute(due.values(confirmation=Confirmation.UNCONFIRMED, confirmed_at=now))


def last_known(session: Session) -> dt.datetime | None:
    """Return a moment that this copy surely knows of, the latest there is; None if nothing has ever happened."""
    latest: Sequence[dt.datetime | None] = [
        session.scalar(sa.select(sa.func.max(column))) for column in (AuditEntry.at, Reply.received_at, Run.opened_at)
    ]
    return max((moment for moment in latest if moment is not None), default=None)


def reread_inbox(connection: sa.Connection, since: dt.datetime) -> int:
    """Have callbacks that came since then be read once more; return how many."""
    again = sa.update(INBOX).where(INBOX.c.received_at >= since, INBOX.c.state == int(InboxState.APPLIED))
    return connection.execute(again.values(state=int(InboxState.NEW))).rowcount


def inbox_is_apart() -> bool:
    """Return whether the inbox is a file of its own, which may be newer than the database."""
    return inbox.BIND in db.engines
