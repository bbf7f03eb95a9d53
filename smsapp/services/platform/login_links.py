"""One-time links by which people set a password: the first administrator, and whoever is invited."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.passwords import password_problems
from smsapp.domain.rights import Right
from smsapp.domain.roles import Role, login_problems, plain_login
from smsapp.services.platform import audit_log, passwords, signing_in, users
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.sessions import SignedIn
from smsapp.services.platform.signing_in import AwaitingCode
from smsapp.store import users as rows
from smsapp.store.db import current_session, writing
from smsapp.store.users import LoginLink, User

LINK_PATH = "/welcome/"
LINK_LASTS = dt.timedelta(hours=24)
START = Actor("start")


def first_link(now: dt.datetime) -> str | None:
    """Return the path of a link for the first administrator; None if somebody can sign in already.

    Without passwords the first administrator comes through the provider, or by `flask users create`.
    """
    if not signing_in.is_local():
        return None
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
    require(actor, Right.PEOPLE_WRITE)
    with writing() as session:
        person = users.existing(session, user_id)
        if not person.active:
            raise Refusal(Problem("person_inactive"))
        _check_local(Role(person.role), actor)
        token = _add_link(session, person, now)
        audit_log.log_action(session, actor, "make_link", "person", user_id, now)
    return LINK_PATH + token


def _check_local(role: Role, actor: Actor) -> None:
    """Raise Refusal where passwords are off: a command then makes links for administrators only, to break the glass."""
    if signing_in.is_local():
        return
    if actor.user_id is not None:
        raise Refusal(Problem("local_sign_in_off"))
    if role is not Role.ADMINISTRATOR:
        raise Refusal(Problem("link_administrators_only"))


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
    sets_password: bool
    """Without it the link itself signs in: passwords are switched off."""


def welcome(token: str, now: dt.datetime) -> Welcome:
    """Return the person of this link; raises NotFound if it was used, is too old, or never existed.

    Where passwords are off, only an administrator's link opens anything.
    """
    person = rows.user_of_link(current_session(), _digest(token), now)
    is_local = signing_in.is_local()
    if person is None or not (is_local or person.role == Role.ADMINISTRATOR):
        raise NotFound("link")
    is_first = is_local and not rows.any_password(current_session())
    return Welcome(person.login, person.name, is_first, is_local)


def use_link(
    token: str, login: str, name: str, password: str, address: str, now: dt.datetime
) -> SignedIn | AwaitingCode:
    """Set the password, and the login and name as the page asks; a second factor still has to be given."""
    guest = welcome(token, now)
    login = plain_login(login) if guest.first else guest.login
    name = name if guest.sets_password else guest.name or login
    unfit = password_problems(password, login) if guest.sets_password else []
    users.refuse(login_problems(login) + unfit + users.name_problems(name))
    password_hash = passwords.hasher.hash(password) if guest.sets_password else ""
    with writing() as session:
        person = rows.user_of_link(session, _digest(token), now)
        if person is None or not rows.spend_link(session, _digest(token), now):
            raise NotFound("link")
        namesake = rows.by_login(session, login)
        if namesake is not None and namesake.id != person.id:
            raise Refusal(Problem("login_taken", "login"))
        person.login, person.name = login, name.strip()
        if password_hash:
            person.password_hash = password_hash
            actor = Actor(login, person.id, address)
            audit_log.log_action(session, actor, "set_password", "person", person.id, now, by="link")
        users.end_sessions(session, person, now)
        return signing_in.finish(session, person, address, now)


def invited(now: dt.datetime) -> set[int]:
    """Return the ids of people with a link that can still be used."""
    return rows.invited(current_session(), now)


def invite(login: str, name: str, role: Role, sees_numbers: bool, actor: Actor, now: dt.datetime) -> tuple[User, str]:
    """Return a new person who cannot sign in yet, and the path of the link by which they set a password."""
    require(actor, Right.PEOPLE_WRITE)
    _check_local(role, actor)
    with writing() as session:
        person = users.add_checked(session, login, name, role, sees_numbers, actor, now)
        token = _add_link(session, person, now)
    return person, LINK_PATH + token
