"""Signing in and out, the sessions of people, and their own password."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.roles import Role, password_problems, plain_login
from smsapp.services.platform import audit_log, passwords, users
from smsapp.services.platform.audit_log import Actor
from smsapp.store import users as rows
from smsapp.store.db import current_session, writing
from smsapp.store.users import EndedSession, User

SIGN_IN_PAGE = "sign-in page"
"""The actor of requests by somebody who is not signed in."""
SESSION_LASTS = dt.timedelta(days=7)
"""From signing in on, whether or not the session is used."""


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


def as_signed_in(person: User, address: str) -> SignedIn:
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
    )


def sign_in(login: str, password: str, address: str, now: dt.datetime) -> SignedIn:
    """Check a password and return the person; the Refusal does not say whether login or password was wrong."""
    person = rows.by_login(current_session(), plain_login(login))
    usable = person is not None and person.active and person.password_hash != ""
    fits = passwords.fits(person.password_hash if person is not None and usable else passwords.nobody(), password)
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
    renewed = passwords.hasher.hash(password) if passwords.hasher.check_needs_rehash(person.password_hash) else ""
    with writing() as session:
        person = session.get_one(User, person.id)
        person.last_seen_at = now
        person.password_hash = renewed or person.password_hash
        audit_log.log_action(session, Actor(person.login, person.id, address), "sign_in", "person", person.id, now)
    return as_signed_in(person, address)


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
    return as_signed_in(person, address)


def sign_out(sitting: LoginSession, actor: Actor, now: dt.datetime) -> None:
    """End this session for every copy of its cookie; the person's other sessions go on."""
    with writing() as session:
        rows.end_session(session, sitting.id, sitting.expires_at, now)
        audit_log.log_action(session, actor, "sign_out", "person", actor.user_id, now)


def change_password(user_id: int, old: str, new: str, actor: Actor, now: dt.datetime) -> SignedIn:
    """Set a new password; end every other session and one-time link of this person."""
    person = users.existing(current_session(), user_id)
    if not passwords.fits(person.password_hash or passwords.nobody(), old):
        raise Refusal(Problem("password_wrong", "old"))
    users.refuse(password_problems(new, person.login))
    password_hash = passwords.hasher.hash(new)
    with writing() as session:
        person = users.existing(session, user_id)
        person.password_hash, person.session_mark = password_hash, users.new_mark()
        rows.delete_links(session, person.id, now)
        audit_log.log_action(session, actor, "set_password", "person", person.id, now)
    return as_signed_in(person, actor.address)


def sign_out_everywhere(user_id: int, actor: Actor, now: dt.datetime) -> SignedIn:
    """End every session and one-time link of this person; the answer holds the mark of new sessions."""
    with writing() as session:
        person = users.existing(session, user_id)
        person.session_mark = users.new_mark()
        rows.delete_links(session, person.id, now)
        audit_log.log_action(session, actor, "end_sessions", "person", person.id, now)
    return as_signed_in(person, actor.address)
