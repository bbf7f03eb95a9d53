"""Second factors: set up and confirmed by their person, given at sign-in, reset by an administrator."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.orm import Session

from smsapp.domain import one_time_code
from smsapp.domain.errors import Conflict, NotFound, Problem, Refusal
from smsapp.domain.rights import Right
from smsapp.services.platform import audit_log, sealing, throttling, users
from smsapp.services.platform.access import require, require_own
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.sealing import Sealed
from smsapp.services.platform.throttling import Client
from smsapp.store.db import current_session, writing
from smsapp.store.sign_in import second_factors as store
from smsapp.store.sign_in import sessions
from smsapp.store.sign_in.second_factors import SecondFactor

SECRET = "secret"  # noqa: S105 -- a name
FIELD = "code"


@dataclass(frozen=True)
class FactorState:
    """What a person's page says: since when the factor counts (None: there is none), and the recovery codes left."""

    since: dt.datetime | None
    recovery_codes: int


@dataclass(frozen=True)
class Enrolment:
    """A factor that is being set up: its secret as text, and the address for the QR code."""

    secret: str
    uri: str

    def __repr__(self) -> str:
        return "<Enrolment>"


def state(user_id: int) -> FactorState:
    """Return what a person has."""
    factor = store.of_person(current_session(), user_id)
    if factor is None or factor.confirmed_at is None:
        return FactorState(None, 0)
    return FactorState(factor.confirmed_at, store.recovery_codes_left(current_session(), user_id))


def with_factor() -> set[int]:
    """Return the ids of the people with a second factor."""
    return store.with_factor(current_session())


def is_set_up(session: Session, user_id: int) -> bool:
    """Return whether this person is asked for a code."""
    factor = store.of_person(session, user_id)
    return factor is not None and factor.confirmed_at is not None


def set_up(user_id: int, now: dt.datetime) -> None:
    """Make a new secret, which does not count before `confirm`; raises Conflict if the person has a factor."""
    sealed = sealing.seal({SECRET: one_time_code.new_secret()})
    with writing() as session:
        if not store.replace_unconfirmed(session, user_id, sealed, now):
            raise Conflict


def enrolment(user_id: int, login: str, issuer: str) -> Enrolment:
    """Return the factor that is being set up; raises NotFound."""
    factor = _unconfirmed(user_id)
    secret = _secret(factor)
    return Enrolment(secret, one_time_code.enrolment_uri(secret, login, issuer))


def confirm(user_id: int, code: str, session_id: str, actor: Actor, now: dt.datetime) -> list[str]:
    """Make the factor count, by a code of it; return the recovery codes, which are shown this once.

    The person's other sessions end; this one goes on and counts as signed in with the factor.
    Raises NotFound, Refusal or TooManyAttempts.
    """
    require_own(actor, user_id)
    factor = _unconfirmed(user_id)
    client = _own_client(actor, session_id)
    throttling.take(actor.name, client, now)
    step = one_time_code.matching_step(_secret(factor), code, now, 0)
    if step is None:
        raise Refusal(Problem("code_wrong", FIELD))
    throttling.give_back(actor.name, client, now, signed_in=True)
    codes = one_time_code.new_recovery_codes()
    with writing() as session:
        if not store.confirm(session, user_id, factor.secret, step, now):
            raise Conflict
        _store_codes(session, user_id, codes)
        sessions.strengthen(session, session_id)
        for other in sessions.of_person(session, user_id, now):
            if other.id != session_id:
                sessions.end(session, other.id, other.expires_at, now)
        audit_log.log_action(session, actor, "set_up_factor", "person", user_id, now)
    return codes


def check(session: Session, user_id: int, code: str, now: dt.datetime) -> str | None:
    """Use up a code or recovery code; return which of both it was ("code", "recovery_code"), None if it is wrong.

    Raises Refusal if the secret cannot be opened any more and the code is no recovery code.
    """
    if store.use_recovery_code(session, user_id, one_time_code.recovery_digest(code)):
        return "recovery_code"
    factor = store.of_person(session, user_id)
    if factor is None or factor.confirmed_at is None:
        return None
    step = one_time_code.matching_step(_secret(factor), code, now, factor.last_step)
    return "code" if step is not None and store.use_step(session, user_id, step) else None


def renew_recovery_codes(user_id: int, code: str, session_id: str, actor: Actor, now: dt.datetime) -> list[str]:
    """Return new recovery codes, which replace the old ones; raises Refusal if the code is wrong, TooManyAttempts."""
    require_own(actor, user_id)
    codes = one_time_code.new_recovery_codes()
    with _own_check(user_id, code, session_id, actor, now) as session:
        _store_codes(session, user_id, codes)
        audit_log.log_action(session, actor, "renew_recovery_codes", "person", user_id, now)
    return codes


def remove(user_id: int, code: str, session_id: str, actor: Actor, now: dt.datetime) -> None:
    """Remove one's own factor; raises Refusal if the code is wrong, TooManyAttempts."""
    require_own(actor, user_id)
    with _own_check(user_id, code, session_id, actor, now) as session:
        store.remove(session, user_id)
        sessions.weaken(session, user_id)
        audit_log.log_action(session, actor, "remove_factor", "person", user_id, now)


def reset(user_id: int, actor: Actor, now: dt.datetime) -> None:
    """Remove the factor of somebody who has lost it, and end their sessions; raises NotFound if there is none."""
    require(actor, Right.PEOPLE_WRITE)
    with writing() as session:
        person = users.existing(session, user_id)
        if not store.remove(session, user_id):
            raise NotFound("second_factor")
        users.end_sessions(session, person, now)
        audit_log.log_action(session, actor, "reset_factor", "person", user_id, now)


@contextmanager
def _own_check(user_id: int, code: str, session_id: str, actor: Actor, now: dt.datetime) -> Iterator[Session]:
    """Open a transaction for a change of one's own factor that needs a code; guesses are counted."""
    client = _own_client(actor, session_id)
    throttling.take(actor.name, client, now)
    with writing() as session:
        if check(session, user_id, code, now) is None:
            raise Refusal(Problem("code_wrong", FIELD))
        yield session
    throttling.give_back(actor.name, client, now, signed_in=True)


def _own_client(actor: Actor, session_id: str) -> Client:
    """Return by what the guesses of somebody who is signed in are counted."""
    return Client(actor.address, f"session {session_id}")


def _unconfirmed(user_id: int) -> SecondFactor:
    factor = store.of_person(current_session(), user_id)
    if factor is None or factor.confirmed_at is not None:
        raise NotFound("second_factor")
    return factor


def _secret(factor: SecondFactor) -> str:
    try:
        return sealing.unseal(factor.secret)[SECRET]
    except Sealed:
        raise Refusal(Problem("factor_sealed", FIELD)) from None


def _store_codes(session: Session, user_id: int, codes: list[str]) -> None:
    store.replace_recovery_codes(session, user_id, [one_time_code.recovery_digest(code) for code in codes])


def seal_all_anew(session: Session) -> int:
    """Encrypt every secret with the newest key; return how many there are; raises Sealed."""
    factors = store.all_factors(session)
    for factor in factors:
        factor.secret = sealing.seal_anew(factor.secret)
    return len(factors)
