"""User accounts: added, changed and deactivated; every step is in the audit log."""

from __future__ import annotations

import datetime as dt
import secrets

from sqlalchemy.orm import Session

from smsapp.domain.errors import NotFound, Problem, Refusal
from smsapp.domain.passwords import password_problems
from smsapp.domain.rights import Right
from smsapp.domain.roles import Role, login_problems, plain_login
from smsapp.services.platform import audit_log, passwords
from smsapp.services.platform.access import require, require_own
from smsapp.services.platform.audit_log import Actor
from smsapp.store import users as rows
from smsapp.store.db import current_session, writing
from smsapp.store.sign_in import sessions
from smsapp.store.users import User


def change_own(user_id: int, name: str, locale: str, actor: Actor, now: dt.datetime) -> None:
    """Set one's own name and language."""
    require_own(actor, user_id)
    refuse(name_problems(name))
    with writing() as session:
        person = existing(session, user_id)
        person.name, person.locale = name.strip(), locale
        audit_log.log_action(session, actor, "change", "person", person.id, now, locale=locale)


def speak(user_id: int, locale: str) -> None:
    """Set one's language from the menu; not logged, because it changes nothing for anybody else."""
    with writing() as session:
        existing(session, user_id).locale = locale


def everybody() -> list[User]:
    """Return all people."""
    return rows.all_users(current_session())


def person(user_id: int) -> User:
    """Return the person; raises NotFound."""
    return existing(current_session(), user_id)


def by_login(login: str) -> User:
    """Return the person with this login, or raise NotFound."""
    person = rows.by_login(current_session(), plain_login(login))
    if person is None:
        raise NotFound("person")
    return person


def create(login: str, name: str, role: Role, password: str, actor: Actor, now: dt.datetime) -> User:
    """Return a new person who can sign in with this password (from the command line)."""
    require(actor, Right.PEOPLE_WRITE)
    refuse(password_problems(password, plain_login(login)))
    password_hash = passwords.hasher.hash(password)
    with writing() as session:
        person = add_checked(session, login, name, role, False, actor, now)
        person.password_hash = password_hash
    return person


def add_checked(
    session: Session, login: str, name: str, role: Role, sees_numbers: bool, actor: Actor, now: dt.datetime
) -> User:
    """Store a new person whose login and name are fit, with an entry in the audit log; raises Refusal."""
    login = plain_login(login)
    refuse(login_problems(login) + name_problems(name or login))
    if rows.by_login(session, login) is not None:
        raise Refusal(Problem("login_taken", "login"))
    person = add(session, login, name.strip() or login, role, sees_numbers, now)
    audit_log.log_action(
        session, actor, "create", "person", person.id, now, login=login, role=role, sees_numbers=sees_numbers
    )
    return person


def change(
    user_id: int, name: str, role: Role, sees_numbers: bool, active: bool, actor: Actor, now: dt.datetime
) -> User:
    """Change a person's account as an administrator; raises Refusal if no active administrator would remain."""
    require(actor, Right.PEOPLE_WRITE)
    refuse(name_problems(name))
    with writing() as session:
        administrators = rows.lock_administrators(session, Role.ADMINISTRATOR)
        person = existing(session, user_id)
        if administrators == [person.id] and (role is not Role.ADMINISTRATOR or not active):
            raise Refusal(Problem("last_administrator", "role" if active else "active"))
        if person.active and not active:
            end_sessions(session, person, now)
        values = {"name": name.strip(), "role": str(role), "sees_numbers": sees_numbers, "active": active}
        changed = {key: value for key, value in values.items() if getattr(person, key) != value}
        for key, value in changed.items():
            setattr(person, key, value)
        if changed:
            rows.note_rights(session, person)
            audit_log.log_action(session, actor, "change", "person", person.id, now, login=person.login, **changed)
    return person


def disable(user_id: int, actor: Actor, now: dt.datetime) -> User:
    """Deactivate a person and end their sessions."""
    require(actor, Right.PEOPLE_WRITE)
    row = person(user_id)
    return change(user_id, row.name, Role(row.role), row.sees_numbers, False, actor, now)


def add(session: Session, login: str, name: str, role: Role, sees_numbers: bool, now: dt.datetime) -> User:
    """Store a new person, who has no password yet."""
    person = User(
        login=login, name=name, role=str(role), sees_numbers=sees_numbers, session_mark=new_mark(), created_at=now
    )
    session.add(person)
    session.flush()
    return person


def existing(session: Session, user_id: int) -> User:
    """Return the person; raises NotFound."""
    person = session.get(User, user_id)
    if person is None:
        raise NotFound("person")
    return person


def end_sessions(session: Session, person: User, now: dt.datetime) -> None:
    """End every session and one-time link of this person: cookies with the mark before are worth nothing."""
    person.session_mark = new_mark()
    sessions.forget_all(session, person.id)
    rows.delete_links(session, person.id, now)


def new_mark() -> str:
    """Return the mark of a person's sessions from now on: those with another mark have ended."""
    return secrets.token_hex(16)


def name_problems(name: str) -> list[Problem]:
    """Return what is wrong with the name of a person."""
    if not name.strip():
        return [Problem("person_name_missing", "name")]
    return [] if len(name.strip()) <= 60 else [Problem("person_name_long", "name", {"most": 60})]


def refuse(problems: list[Problem]) -> None:
    """Raise Refusal if there are problems."""
    if problems:
        raise Refusal(*problems)
