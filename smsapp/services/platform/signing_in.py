"""Signing in with a password and a second factor, and changing the password."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.passwords import password_problems
from smsapp.domain.roles import plain_login
from smsapp.services.platform import audit_log, failed_sign_ins, passwords, second_factor, throttling, users
from smsapp.services.platform.access import require_own
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.sessions import SignedIn, as_signed_in
from smsapp.services.platform.throttling import Client
from smsapp.store import users as rows
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings
from smsapp.store.users import User


@dataclass(frozen=True)
class AwaitingCode:
    """A person whose password was right, or who opened a one-time link, and who has a second factor to give."""

    user_id: int
    mark: str
    """Of the person's sessions: what ends those, ends this as well."""


def is_local() -> bool:
    """Return whether people may sign in with a password (LOCAL_SIGN_IN)."""
    return settings().LOCAL_SIGN_IN


def sign_in(login: str, password: str, client: Client, now: dt.datetime) -> SignedIn | AwaitingCode:
    """Check a password and return the person; the Refusal does not say whether login or password was wrong.

    Raises TooManyAttempts, without a look at the password, if the attempt comes too early.
    """
    if not is_local():
        raise Refusal(Problem("local_sign_in_off"))
    login = plain_login(login)
    throttling.take(login, client, now)
    person = rows.by_login(current_session(), login)
    usable = person is not None and person.active and person.password_hash != ""
    fits = passwords.fits(person.password_hash if person is not None and usable else passwords.nobody(), password)
    if person is None or not usable or not fits:
        failed_sign_ins.log(person, client.address, now)
        raise Refusal(Problem("sign_in_refused"))
    renewed = passwords.hasher.hash(password) if passwords.hasher.check_needs_rehash(person.password_hash) else ""
    with writing() as session:
        person = session.get_one(User, person.id)
        person.password_hash = renewed or person.password_hash
        result = finish(session, person, client.address, now)
    throttling.give_back(login, client, now, signed_in=isinstance(result, SignedIn))
    return result


def finish(session: Session, person: User, address: str, now: dt.datetime) -> SignedIn | AwaitingCode:
    """Sign in a person whose password was right or set, unless they have a second factor to give."""
    if second_factor.is_set_up(session, person.id):
        return AwaitingCode(person.id, person.session_mark)
    person.last_seen_at = now
    audit_log.log_action(session, Actor(person.login, person.id, address), "sign_in", "person", person.id, now)
    return as_signed_in(person, address)


def login_of(awaiting: AwaitingCode) -> str:
    """Return the login of somebody who has a code to give; raises NotFound if it is too late for it."""
    return _awaited(current_session(), awaiting).login


def enter_code(awaiting: AwaitingCode, code: str, client: Client, now: dt.datetime) -> SignedIn:
    """Check the second factor and return the person; raises NotFound, Refusal or TooManyAttempts."""
    person = _awaited(current_session(), awaiting)
    throttling.take(person.login, client, now)
    with writing() as session:
        kind = second_factor.check(session, person.id, code, now)
        if kind is not None:
            person = _awaited(session, awaiting)
            person.last_seen_at = now
            actor = Actor(person.login, person.id, client.address)
            audit_log.log_action(session, actor, "sign_in", "person", person.id, now, factor=kind)
    if kind is None:
        failed_sign_ins.log(person, client.address, now, factor="code")
        raise Refusal(Problem("code_wrong", second_factor.FIELD))
    throttling.give_back(person.login, client, now, signed_in=True)
    return as_signed_in(person, client.address, strong=True)


def _awaited(session: Session, awaiting: AwaitingCode) -> User:
    person = session.get(User, awaiting.user_id)
    if person is None or not person.active or not secrets.compare_digest(person.session_mark, awaiting.mark):
        raise NotFound("sign_in")
    return person


def change_password(user_id: int, old: str, new: str, session_id: str, actor: Actor, now: dt.datetime) -> SignedIn:
    """Set a new password; end every session and one-time link of this person.

    Guesses of the old one are counted for the session that makes them; raises TooManyAttempts.
    """
    require_own(actor, user_id)
    person = users.existing(current_session(), user_id)
    client = Client(actor.address, f"session {session_id}")
    throttling.take(person.login, client, now)
    if not passwords.fits(person.password_hash or passwords.nobody(), old):
        raise Refusal(Problem("password_wrong", "old"))
    throttling.give_back(person.login, client, now, signed_in=True)
    users.refuse(password_problems(new, person.login))
    password_hash = passwords.hasher.hash(new)
    with writing() as session:
        person = users.existing(session, user_id)
        person.password_hash = password_hash
        users.end_sessions(session, person, now)
        audit_log.log_action(session, actor, "set_password", "person", person.id, now)
    return as_signed_in(person, actor.address)
