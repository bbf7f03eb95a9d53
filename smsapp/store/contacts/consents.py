"""Consents and their withdrawals: every record stays; `current` marks those that no later one has replaced."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, aliased, mapped_column

from smsapp.domain.consent import ConsentProperty, ConsentSource
from smsapp.domain.scope import Scope, as_text
from smsapp.domain.trust import Source
from smsapp.store import users
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.scopes import covers
from smsapp.store.db import Base, BigId, changed, one_of

PREFERENCE = "consent_property"
"""Preference: domain/consent.py ConsentProperty.as_json()."""


class Consent(Base):
    """That a contact or a number agreed to texts, or withdrew that."""

    __tablename__ = "consent"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    contact_id: Mapped[int | None] = mapped_column(BigId)
    phone: Mapped[str] = mapped_column(sa.String(16), default="")
    """E.164; "" if it is a contact's, whatever number the contact has."""
    given: Mapped[bool]
    """False: it is withdrawn from then on."""
    scope: Mapped[str] = mapped_column(sa.String(12))
    """A domain/scope.py Scope."""
    signatures: Mapped[str] = mapped_column(sa.Text, default="")
    """The signature that it is about, in its brackets; "" if it is about any."""
    source: Mapped[str] = mapped_column(sa.String(10))
    """domain/consent.py ConsentSource"""
    words: Mapped[str] = mapped_column(sa.Text)
    """What the person agreed to, or how it was withdrawn."""
    by: Mapped[str] = mapped_column(sa.String(120))
    """Who recorded it: a sign-in name, a command, or the source of the property's value."""
    at: Mapped[dt.datetime]
    """When the person agreed or withdrew."""
    recorded_at: Mapped[dt.datetime]
    current: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        sa.Index("ix_consent_contact_id", "contact_id", "id"),
        sa.Index("ix_consent_phone", "phone", "id"),
    )

    def __repr__(self) -> str:
        return f"<Consent {self.id}>"


@dataclass(frozen=True)
class NewConsent:
    """A record to be added: of a contact or of a number, and of one signature at most."""

    given: bool
    scope: Scope
    source: ConsentSource
    words: str
    by: str
    at: dt.datetime
    signatures: str = ""
    contact_id: int | None = None
    phone: str = ""


AT_ONCE = 500
"""Records of one statement."""


def add(session: Session, records: Sequence[NewConsent], now: dt.datetime) -> None:
    """Add records; the latest one about as much or more counts, by the time when the person spoke."""
    for start in range(0, len(records), AT_ONCE):
        some = records[start : start + AT_ONCE]
        session.execute(sa.insert(Consent), [asdict(row) | {"recorded_at": now, "current": True} for row in some])
        contact_ids = [row.contact_id for row in some if row.contact_id is not None]
        numbers = [row.phone for row in some if row.phone]
        whose = sa.or_(one_of(Consent.contact_id, contact_ids), one_of(Consent.phone, numbers))
        changed(session, sa.update(Consent).where(whose).values(current=sa.not_(_replaced())))


def _replaced() -> sa.ColumnElement[bool]:
    """Return the condition that a later record of the same contact or number is about as much or more."""
    later = aliased(Consent)
    same = sa.or_(later.contact_id == Consent.contact_id, sa.and_(later.phone == Consent.phone, Consent.phone != ""))
    as_much = sa.and_(later.scope == Consent.scope, later.signatures == Consent.signatures)
    after = sa.or_(later.at > Consent.at, sa.and_(later.at == Consent.at, later.id > Consent.id))
    query = sa.select(later.id).where(same, sa.or_(later.scope == Scope.EVERYTHING, as_much), after)
    return sa.exists(query.correlate(Consent.__table__))


def consented(
    contact_id: Any, phone: Any, marketing: sa.ColumnElement[bool], signature: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    """Return the condition that this contact or number agreed to a text of this signature, and neither withdrew it."""

    def any_current(given: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        about = (Consent.current, given, covers(Consent.scope, Consent.signatures, marketing, signature))
        # Two conditions, each with an index of its own.
        of_contact = sa.exists().where(Consent.contact_id == contact_id, *about)
        return sa.or_(of_contact, sa.exists().where(Consent.phone == phone, Consent.phone != "", *about))

    given: sa.ColumnElement[bool] = Consent.__table__.c.given
    return sa.and_(any_current(given), sa.not_(any_current(sa.not_(given))))


def history(session: Session, contact_id: int | None, numbers: Collection[str], most: int) -> list[Consent]:
    """Return the newest records of a contact and of these numbers."""
    whose = sa.or_(Consent.contact_id == contact_id, Consent.phone.in_([number for number in numbers if number]))
    return list(session.scalars(sa.select(Consent).where(whose).order_by(Consent.id.desc()).limit(most)))


# The declared property


def declared(session: Session) -> ConsentProperty | None:
    """Return the property whose values are consents; None if none is declared."""
    value = users.preference(session, PREFERENCE)
    return ConsentProperty.from_json(value) if value else None


def note_values(session: Session, declaration: ConsentProperty, xwhos: Collection[str], now: dt.datetime) -> int:
    """Add what the declared property of these contacts says now, where it differs from their records; return how many.

    To be called in the transaction that wrote the values.
    """
    if not xwhos:
        return 0
    name, coverage = declaration.name, declaration.coverage
    signatures = as_text(coverage.signatures)
    has_given = sa.exists().where(
        Consent.contact_id == Contact.id,
        Consent.current,
        Consent.given,
        Consent.scope == coverage.scope,
        Consent.signatures == signatures,
    )
    query = sa.select(
        Contact.id, Contact.properties[name].as_boolean(), Contact.sources[name].as_string(), has_given
    ).where(one_of(Contact.xwho, xwhos))
    records = []
    for contact_id, value, trace, was_given in session.execute(query):
        source = Source.from_text(trace) if trace else None
        given = declaration.is_given(value, source)
        if given is bool(was_given):
            continue
        at, by = (source.at, f"{source.origin} {source.number}") if source else (now, "")
        words = declaration.words if given else ""
        records.append(
            NewConsent(given, coverage.scope, ConsentSource.PROPERTY, words, by, at, signatures, contact_id=contact_id)
        )
    add(session, records, now)
    return len(records)
