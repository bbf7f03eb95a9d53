"""User accounts: signing in and out, invitations, changes, deactivation; every step is in the audit log."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy.orm import Session

from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.roles import Role, login_problems, password_problems, plain_login
from smsapp.services.platform import audit_log, keyset_page
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.keyset_page import KeysetPage
from smsapp.store import users as rows
from smsapp.store.db import current_session, writing
from smsapp.store.users import AuditEntry, EndedSession, LoginLink, User

LINK_PATH = "/welcome/"
LINK_LASTS = dt.timedelta(hours=24)
START = Actor("start")
SIGN_IN_PAGE = "sign-in page"
"""The actor of requests by somebody who is not signed in."""
SESSION_LASTS = dt.timedelta(days=7)
"""From signing in on, whether or not the session is used."""

_hasher = PasswordHasher()


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

    @property
    def actor(self) -> Actor:
        return Actor(self.login, self.id, self.address)


def _signed_in(person: User, address: str) -> SignedIn:
    return SignedIn(
        person.id,
        person.login,
        person.name,
        Role(person.role),
        person.sees_numbers,
        person.locale,
        person.session_mark,
        address,
    )


# Signing in


def sign_in(login: str, password: str, address: str, now: dt.datetime) -> SignedIn:
    """Check a password and return the person; the Refusal does not say whether login or password was wrong."""
    person = rows.by_login(current_session(), plain_login(login))
    usable = person is not None and person.active and person.password_hash != ""
    fits = _fits(person.password_hash if person is not None and usable else _nobody(), password)
    if person is None or not usable or not fits:
        with writing() as session:
            # Unknown logins are logged too, or the response time would tell which logins exist. The typed login is not
            # stored: it may be a password in the wrong field.
            subject = (person.id, person.login) if person is not None else ("", "")
            audit_log.log_action(
                session,
                Actor(SIGN_IN_PAGE, address=address),
                "sign_in_failed",
                "person",
                subject[0],
                now,
                login=subject[1],
            )
        raise Refusal(Problem("sign_in_refused"))
    renewed = _hasher.hash(password) if _hasher.check_needs_rehash(person.password_hash) else ""
    with writing() as session:
        person = session.get_one(User, person.id)
        person.last_seen_at = now
        person.password_hash = renewed or person.password_hash
        audit_log.log_action(session, Actor(person.login, person.id, address), "sign_in", "person", person.id, now)
    return _signed_in(person, address)


@cache
def _nobody() -> str:
    """Return a hash that no password matches: unknown logins are checked against it, so that the answer takes as long.

    It is made on first use: every worker and command loads this file, and hashing is slow on purpose.
    """
    return _hasher.hash(secrets.token_hex(16))


def _fits(password_hash: str, password: str) -> bool:
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


@dataclass(frozen=True)
class LoginSession:
    """One session of a person: it lasts from signing in to signing out, SESSION_LASTS at most."""

    id: str
    begun: dt.datetime

    @property
    def expires_at(self) -> dt.datetime:
        return self.begun + SESSION_LASTS


def start_session(now: dt.datetime) -> LoginSession:
    """Return a new session; it is stored only once it is ended."""
    return LoginSession(secrets.token_hex(16), now)


def signed_in(user_id: int, mark: str, sitting: LoginSession, address: str, now: dt.datetime) -> SignedIn | None:
    """Return the session's person; None if it was ended, alone or with all others, is too old, or they are inactive."""
    person = current_session().get(User, user_id)
    if person is None or not person.active or not secrets.compare_digest(person.session_mark, mark):
        return None
    if now >= sitting.expires_at or current_session().get(EndedSession, sitting.id) is not None:
        return None
    return _signed_in(person, address)


def sign_out(sitting: LoginSession, actor: Actor, now: dt.datetime) -> None:
    """End this session for every copy of its cookie; the person's other sessions go on."""
    with writing() as session:
        rows.end_session(session, sitting.id, sitting.expires_at, now)
        audit_log.log_action(session, actor, "sign_out", "person", actor.user_id, now)


# One-time links


def first_link(now: dt.datetime) -> str | None:
    """Return the path of a link for the first administrator; None if somebody can sign in already."""
    with writing() as session:
        if rows.any_password(session):
            return None
        person = next(iter(rows.all_users(session)), None)
        if person is None:
            person = _add(session, "admin", "", Role.ADMINISTRATOR, False, now)
            audit_log.log_action(
                session, START, "create", "person", person.id, now, login=person.login, role=person.role
            )
        token = _add_link(session, person, now)
        audit_log.log_action(session, START, "make_link", "person", person.id, now)
    return LINK_PATH + token


def any_password() -> bool:
    """Return whether anybody can sign in with a password yet."""
    return rows.any_password(current_session())


def make_link(user_id: int, actor: Actor, now: dt.datetime) -> str:
    """Return the path of a new one-time link; the person's older links stop working."""
    with writing() as session:
        person = _found(session, user_id)
        if not person.active:
            raise Refusal(Problem("person_inactive"))
        token = _add_link(session, person, now)
        audit_log.log_action(session, actor, "make_link", "person", user_id, now)
    return LINK_PATH + token


def _add_link(session: Session, person: User, now: dt.datetime) -> str:
    rows.delete_links(session, person.id, now)
    token = secrets.token_urlsafe(32)
    session.add(LoginLink(token_hash=_digest(token), user_id=person.id, expires_at=now + LINK_LASTS))
    return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class Welcome:
    """The person a link is for; `first`: they are the first administrator, who also chooses a login."""

    login: str
    name: str
    first: bool


def welcome(token: str, now: dt.datetime) -> Welcome:
    """Return the person of this link; raises NotFound if it was used, is too old, or never existed."""
    person = rows.user_of_link(current_session(), _digest(token), now)
    if person is None:
        raise NotFound("link")
    return Welcome(person.login, person.name, first=not rows.any_password(current_session()))


def use_link(token: str, login: str, name: str, password: str, address: str, now: dt.datetime) -> SignedIn:
    """Set the password, and the login and name as the page asks; return the person, signed in."""
    guest = welcome(token, now)
    login = plain_login(login) if guest.first else guest.login
    _refuse(login_problems(login) + password_problems(password, login) + _name_problems(name))
    password_hash = _hasher.hash(password)
    with writing() as session:
        person = rows.user_of_link(session, _digest(token), now)
        if person is None or not rows.spend_link(session, _digest(token), now):
            raise NotFound("link")
        namesake = rows.by_login(session, login)
        if namesake is not None and namesake.id != person.id:
            raise Refusal(Problem("login_taken", "login"))
        person.login, person.name, person.password_hash = login, name.strip(), password_hash
        person.session_mark, person.last_seen_at = _mark(), now
        actor = Actor(login, person.id, address)
        audit_log.log_action(session, actor, "set_password", "person", person.id, now, by="link")
        audit_log.log_action(session, actor, "sign_in", "person", person.id, now)
    return _signed_in(person, address)


# One's own account


def change_password(user_id: int, old: str, new: str, actor: Actor, now: dt.datetime) -> SignedIn:
    """Set a new password; end every other session and one-time link of this person."""
    person = _found(current_session(), user_id)
    if not _fits(person.password_hash or _nobody(), old):
        raise Refusal(Problem("password_wrong", "old"))
    _refuse(password_problems(new, person.login))
    password_hash = _hasher.hash(new)
    with writing() as session:
        person = _found(session, user_id)
        person.password_hash, person.session_mark = password_hash, _mark()
        rows.delete_links(session, person.id, now)
        audit_log.log_action(session, actor, "set_password", "person", person.id, now)
    return _signed_in(person, actor.address)


def sign_out_everywhere(user_id: int, actor: Actor, now: dt.datetime) -> SignedIn:
    """End every session and one-time link of this person; the answer holds the mark of new sessions."""
    with writing() as session:
        person = _found(session, user_id)
        person.session_mark = _mark()
        rows.delete_links(session, person.id, now)
        audit_log.log_action(session, actor, "end_sessions", "person", person.id, now)
    return _signed_in(person, actor.address)


def change_own(user_id: int, name: str, locale: str, actor: Actor, now: dt.datetime) -> None:
    """Set one's own name and language."""
    _refuse(_name_problems(name))
    with writing() as session:
        person = _found(session, user_id)
        person.name, person.locale = name.strip(), locale
        audit_log.log_action(session, actor, "change", "person", person.id, now, locale=locale)


def speak(user_id: int, locale: str) -> None:
    """Set one's language from the menu; not logged, because it changes nothing for anybody else."""
    with writing() as session:
        _found(session, user_id).locale = locale


# People, for administrators


def everybody() -> list[User]:
    return rows.all_users(current_session())


def invited(now: dt.datetime) -> set[int]:
    """Return the ids of people with a link that can still be used."""
    return rows.invited(current_session(), now)


def person(user_id: int) -> User:
    return _found(current_session(), user_id)


def by_login(login: str) -> User:
    """Return the person with this login, or raise NotFound."""
    person = rows.by_login(current_session(), plain_login(login))
    if person is None:
        raise NotFound("person")
    return person


def invite(login: str, name: str, role: Role, sees_numbers: bool, actor: Actor, now: dt.datetime) -> tuple[User, str]:
    """Return a new person who cannot sign in yet, and the path of the link by which they set a password."""
    with writing() as session:
        person = _create(session, login, name, role, sees_numbers, actor, now)
        token = _add_link(session, person, now)
    return person, LINK_PATH + token


def create(login: str, name: str, role: Role, password: str, actor: Actor, now: dt.datetime) -> User:
    """Return a new person who can sign in with this password (from the command line)."""
    _refuse(password_problems(password, plain_login(login)))
    password_hash = _hasher.hash(password)
    with writing() as session:
        person = _create(session, login, name, role, False, actor, now)
        person.password_hash = password_hash
    return person


def _create(
    session: Session, login: str, name: str, role: Role, sees_numbers: bool, actor: Actor, now: dt.datetime
) -> User:
    login = plain_login(login)
    _refuse(login_problems(login) + _name_problems(name or login))
    if rows.by_login(session, login) is not None:
        raise Refusal(Problem("login_taken", "login"))
    person = _add(session, login, name.strip() or login, role, sees_numbers, now)
    audit_log.log_action(
        session, actor, "create", "person", person.id, now, login=login, role=role, sees_numbers=sees_numbers
    )
    return person


def change(
    user_id: int, name: str, role: Role, sees_numbers: bool, active: bool, actor: Actor, now: dt.datetime
) -> User:
    """Change a person's account as an administrator; raises Refusal if no active administrator would remain."""
    _refuse(_name_problems(name))
    with writing() as session:
        administrators = rows.lock_administrators(session, Role.ADMINISTRATOR)
        person = _found(session, user_id)
        if administrators == [person.id] and (role is not Role.ADMINISTRATOR or not active):
            raise Refusal(Problem("last_administrator", "role" if active else "active"))
        if person.active and not active:
            person.session_mark = _mark()
            rows.delete_links(session, person.id, now)
        values = {"name": name.strip(), "role": str(role), "sees_numbers": sees_numbers, "active": active}
        changed = {key: value for key, value in values.items() if getattr(person, key) != value}
        for key, value in changed.items():
            setattr(person, key, value)
        if changed:
            audit_log.log_action(session, actor, "change", "person", person.id, now, login=person.login, **changed)
    return person


def disable(user_id: int, actor: Actor, now: dt.datetime) -> User:
    """Deactivate a person and end their sessions."""
    row = person(user_id)
    return change(user_id, row.name, Role(row.role), row.sees_numbers, False, actor, now)


# The audit log


def audit_page(user_id: int | None, action: str, before: int | None, limit: int = 50) -> KeysetPage[AuditEntry, int]:
    """Return the audit log, newest first, of all or of one person or action."""
    lines = rows.audit_log(current_session(), user_id, action, before, limit + 1)
    return keyset_page.cut(lines, limit, lambda row: row.id)


def audit_actions() -> list[str]:
    """Return the actions that occur in the audit log."""
    return rows.audit_actions(current_session())


def _add(session: Session, login: str, name: str, role: Role, sees_numbers: bool, now: dt.datetime) -> User:
    person = User(
        login=login, name=name, role=str(role), sees_numbers=sees_numbers, session_mark=_mark(), created_at=now
    )
    session.add(person)
    session.flush()
    return person


def _found(session: Session, user_id: int) -> User:
    person = session.get(User, user_id)
    if person is None:
        raise NotFound("person")
    return person


def _mark() -> str:
    return secrets.token_hex(16)


def _name_problems(name: str) -> list[Problem]:
    if not name.strip():
        return [Problem("person_name_missing", "name")]
    return [] if len(name.strip()) <= 60 else [Problem("person_name_long", "name", {"most": 60})]


def _refuse(problems: list[Problem]) -> None:
    if problems:
        raise Refusal(*problems)
