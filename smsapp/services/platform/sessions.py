"""Sessions of people: from signing in to signing out, listed, and ended by their person or an administrator."""

from __future__ import annotations

import datetime as dt
import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.exc import OperationalError

from smsapp.domain.errors import NotFound
from smsapp.domain.rights import Right
from smsapp.domain.roles import Role, reaches
from smsapp.services.platform import audit_log, users
from smsapp.services.platform.access import require, require_own
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings
from smsapp.store.sign_in import sessions as store
from smsapp.store.sign_in.sessions import StoredSession
from smsapp.store.users import User

SESSION_LASTS = dt.timedelta(days=7)
"""From signing in on, whether or not the session is used."""
SEEN_EVERY = dt.timedelta(minutes=5)
"""How late the last use of a session is stored, so that requests do not write."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SignedIn:
    """The signed-in person whom the session's cookie names."""

    id: int
    login: str
    name: str
    role: Role
    sees_numbers: bool
    locale: str
    mark: str
    address: str
    """The network address of this request."""
    strong: bool = False
    """Whether a second factor was given in this session, or a provider vouches for the person."""
    by_provider: bool = False
    has_demo: bool = False
    """Whether the system holds demo data."""

    @property
    def actor(self) -> Actor:
        return Actor(self.login, self.id, self.address, self.role)

    @property
    def owes_factor(self) -> bool:
        """Whether this role requires a second factor that the session lacks."""
        return not self.strong and factor_required(self.role)


@dataclass(frozen=True)
class LoginSession:
    """One session of a person, as its cookie names it: SESSION_LASTS at most."""

    id: str
    begun: dt.datetime

    @property
    def expires_at(self) -> dt.datetime:
        return self.begun + SESSION_LASTS


@dataclass(frozen=True)
class Visit:
    """Where a request comes from: address, and browser and system in short form (domain/device.py)."""

    address: str
    agent: str = ""


def factor_required(role: Role) -> bool:
    """Return whether people of this role must have a second factor (REQUIRE_SECOND_FACTOR)."""
    least = settings().REQUIRE_SECOND_FACTOR
    return bool(least) and reaches(role, Role(least))


def as_signed_in(person: User, address: str, *, strong: bool = False, by_provider: bool = False) -> SignedIn:
    """Return the person as the one who makes a request from this address."""
    return SignedIn(
        person.id,
        person.login,
        person.name,
        Role(person.role),
        person.sees_numbers,
        person.locale,
        person.session_mark,
        address,
        strong,
        by_provider,
    )


def begin(who: SignedIn, visit: Visit, now: dt.datetime) -> LoginSession:
    """Store and return a new session of this person."""
    sitting = LoginSession(secrets.token_hex(16), now.replace(microsecond=0))
    with writing() as session:
        store.add(session, _row(who.id, sitting, visit, now, strong=who.strong, by_provider=who.by_provider), now)
    return sitting


def signed_in(user_id: int, mark: str, sitting: LoginSession, visit: Visit, now: dt.datetime) -> SignedIn | None:
    """Return the session's person; None if it was ended, alone or with all others, is too old, or they are inactive.

    One query. Its last use is stored every SEEN_EVERY; a session that another version has begun is stored now.
    """
    row = store.find(current_session(), user_id, sitting.id)
    if row is None:
        return None
    person, stored, is_ended, has_demo = row
    if is_ended or not person.active or not secrets.compare_digest(person.session_mark, mark):
        return None
    if now >= sitting.expires_at:
        return None
    strong, by_provider = (stored.strong, stored.by_provider) if stored else (False, False)
    who = as_signed_in(person, visit.address, strong=strong, by_provider=by_provider)
    who = replace(who, has_demo=has_demo)
    if stored is None or now - stored.seen_at >= SEEN_EVERY:
        _store_use(user_id, sitting, visit, now, is_new=stored is None)
    return who


def _store_use(user_id: int, sitting: LoginSession, visit: Visit, now: dt.datetime, *, is_new: bool) -> None:
    """Store that a session was used; a database that takes no writes does not keep anybody from reading pages."""
    try:
        with writing() as session:
            if is_new:
                store.add(session, _row(user_id, sitting, visit, now), now)
            else:
                store.touch(session, sitting.id, visit.address, now)
    except OperationalError as error:
        log.warning("session.unwritten error=%s", type(error).__name__)


def _row(
    user_id: int,
    sitting: LoginSession,
    visit: Visit,
    now: dt.datetime,
    *,
    strong: bool = False,
    by_provider: bool = False,
) -> StoredSession:
    return StoredSession(
        id=sitting.id,
        user_id=user_id,
        begun_at=sitting.begun,
        expires_at=sitting.expires_at,
        seen_at=now,
        address=visit.address,
        agent=visit.agent,
        strong=strong,
        by_provider=by_provider,
    )


def of_person(user_id: int, now: dt.datetime) -> Sequence[StoredSession]:
    """Return the sessions in which a person is signed in, the last used first."""
    return store.of_person(current_session(), user_id, now)


def sign_out(sitting: LoginSession, actor: Actor, now: dt.datetime) -> None:
    """End this session for every copy of its cookie; the person's other sessions go on."""
    require(actor, Right.ACCOUNT_OWN)
    with writing() as session:
        store.end(session, sitting.id, sitting.expires_at, now)
        audit_log.log_action(session, actor, "sign_out", "person", actor.user_id, now)


def end(user_id: int, session_id: str, actor: Actor, now: dt.datetime) -> None:
    """End one session of this person, from the next request on; raises NotFound."""
    require_own(actor, user_id, Right.PEOPLE_WRITE)
    with writing() as session:
        row = store.of_person_by_id(session, user_id, session_id)
        if row is None:
            raise NotFound("session")
        agent, address = row.agent, row.address
        store.end(session, session_id, row.expires_at, now)
        audit_log.log_action(
            session, actor, "end_session", "person", user_id, now, agent=agent or None, from_address=address
        )


def end_all(user_id: int, actor: Actor, now: dt.datetime) -> SignedIn:
    """End every session and one-time link of this person; the answer holds the mark of new sessions."""
    require_own(actor, user_id, Right.PEOPLE_WRITE)
    with writing() as session:
        person = users.existing(session, user_id)
        users.end_sessions(session, person, now)
        audit_log.log_action(session, actor, "end_sessions", "person", person.id, now)
    return as_signed_in(person, actor.address)
