"""One-time links by which people set a password: the first administrator, and whoever is invited."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.roles import Role, login_problems, password_problems, plain_login
from smsapp.services.platform import audit_log, passwords, signing_in, users
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.signing_in import SignedIn
from smsapp.store import users as rows
from smsapp.store.db import current_session, writing
from smsapp.store.users import LoginLink, User

LINK_PATH = "/welcome/"
LINK_LASTS = dt.timedelta(hours=24)
START = Actor("start")


def first_link(now: dt.datetime) -> str | None:
    """Return the path of a link for the first administrator; None if somebody can sign in already."""
    with writing() as session:
        if rows.any_password(session):
            return None
        person = next(iter(rows.all_users(session)), None)
        if person is None:
            person = users.add(session, "admin", "", Role.ADMINISTRATOR, False, now)
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
        person = users.existing(session, user_id)
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
    users.refuse(login_problems(login) + password_problems(password, login) + users.name_problems(name))
    password_hash = passwords.hasher.hash(password)
    with writing() as session:
        person = rows.user_of_link(session, _digest(token), now)
        if person is None or not rows.spend_link(session, _digest(token), now):
            raise NotFound("link")
        namesake = rows.by_login(session, login)
        if namesake is not None and namesake.id != person.id:
            raise Refusal(Problem("login_taken", "login"))
        person.login, person.name, person.password_hash = login, name.strip(), password_hash
        person.session_mark, person.last_seen_at = users.new_mark(), now
        actor = Actor(login, person.id, address)
        audit_log.log_action(session, actor, "set_password", "person", person.id, now, by="link")
        audit_log.log_action(session, actor, "sign_in", "person", person.id, now)
    return signing_in.as_signed_in(person, address)


def invited(now: dt.datetime) -> set[int]:
    """Return the ids of people with a link that can still be used."""
    return rows.invited(current_session(), now)


def invite(login: str, name: str, role: Role, sees_numbers: bool, actor: Actor, now: dt.datetime) -> tuple[User, str]:
    """Return a new person who cannot sign in yet, and the path of the link by which they set a password."""
    with writing() as session:
        person = users.add_checked(session, login, name, role, sees_numbers, actor, now)
        token = _add_link(session, person, now)
    return person, LINK_PATH + token
