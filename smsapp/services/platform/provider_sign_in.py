"""People who sign in through an OpenID provider: their role comes from its claims, each time."""

from __future__ import annotations

import datetime as dt

from sqlalchemy.orm import Session

from smsapp.domain import provider_claims
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.roles import Role
from smsapp.services.platform import audit_log, users
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.failed_sign_ins import SIGN_IN_PAGE
from smsapp.services.platform.openid import Claims
from smsapp.services.platform.sessions import SignedIn, as_signed_in
from smsapp.store import users as rows
from smsapp.store.db import current_session, writing
from smsapp.store.settings import settings
from smsapp.store.sign_in import identities
from smsapp.store.users import User

PROVIDER = "provider"


def sign_in(claims: Claims, address: str, now: dt.datetime) -> SignedIn:
    """Return the person of these claims with the role they say, added if this is their first sign-in.

    Raises Refusal if no claim stands for a role: whoever had one until now is out everywhere, without a password.
    """
    issuer, subject = settings().OIDC_ISSUER, str(claims["sub"])
    role = provider_claims.role_of(claims, settings().OIDC_ROLE_CLAIM, dict(settings().OIDC_ROLES))
    with writing() as session:
        person = identities.person_of(session, issuer, subject)
        problem = _problem(person, role)
        if problem is not None:
            _refuse(session, person, role, address, now)
        else:
            person = person or _add(session, claims, issuer, subject, role or Role.VIEWER, address, now)
            _welcome(session, person, role or Role.VIEWER, address, now)
    if problem is not None or person is None:
        raise Refusal(Problem(problem or "openid_no_role"))
    return as_signed_in(person, address, strong=True, by_provider=True)


def with_identity() -> set[int]:
    """Return the ids of the people who sign in through a provider."""
    return identities.with_identity(current_session())


def _problem(person: User | None, role: Role | None) -> str | None:
    if role is None:
        return "openid_no_role"
    return "openid_inactive" if person is not None and not person.active else None


def _refuse(session: Session, person: User | None, role: Role | None, address: str, now: dt.datetime) -> None:
    """Log the refusal; take what a role gave from somebody who has none any more."""
    if person is not None and role is None:
        users.end_sessions(session, person, now)
        person.password_hash = ""
    audit_log.log_action(
        session,
        Actor(SIGN_IN_PAGE, address=address),
        "sign_in_failed",
        "person",
        person.id if person is not None else "",
        now,
        login=person.login if person is not None else "",
        by=PROVIDER,
    )


def _add(
    session: Session, claims: Claims, issuer: str, subject: str, role: Role, address: str, now: dt.datetime
) -> User:
    """Add the person; a login that somebody else has is not theirs, whatever e-mail address the claims name."""
    login = wanted = provider_claims.login_of(claims, subject)
    others = provider_claims.other_logins(wanted)
    while rows.by_login(session, login) is not None:
        login = next(others)
    person = users.add(session, login, provider_claims.name_of(claims, login), role, False, now)
    identities.link(session, issuer, subject, person.id, now)
    audit_log.log_action(
        session,
        Actor(login, person.id, address),
        "create",
        "person",
        person.id,
        now,
        login=login,
        role=role,
        by=PROVIDER,
    )
    return person


def _welcome(session: Session, person: User, role: Role, address: str, now: dt.datetime) -> None:
    """Give the person the role that the claims say, and log that they have signed in."""
    actor = Actor(person.login, person.id, address)
    if person.role != role:
        person.role = str(role)
        audit_log.log_action(
            session, actor, "change", "person", person.id, now, login=person.login, role=role, by=PROVIDER
        )
    person.last_seen_at = now
    audit_log.log_action(session, actor, "sign_in", "person", person.id, now, by=PROVIDER)
