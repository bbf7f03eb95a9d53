"""Erased numbers: the key of their hashes, the hashes, and how columns are compared with them.

Nearly always the table is empty or small. What reads it asks `key` first, which is None while nobody was erased.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain.erasure import HASH_LENGTH, LETTERS, hash_pads, keyed_hash, readings
from smsapp.domain.phone import ERASED, is_erased
from smsapp.store.db import Base, dialect, has_rows, one_of, upsert
from smsapp.store.settings import fernet
from smsapp.store.sqlite import KEYED_HASH
from smsapp.store.users import Preference, preference, save_preference

PREFERENCE = "erasure_key"
"""Preference: {"sealed": the key, encrypted as secrets of channels are}. It is made once and never changes."""
EXTENSION = "smsapp.erasure_key"


class ErasedNumber(Base):
    """The keyed hash of a number that was erased, whether or not it has come back since."""

    __tablename__ = "erased_number"
    __table_args__ = {"sqlite_with_rowid": False}

    phone: Mapped[str] = mapped_column(sa.String(16), primary_key=True)
    at: Mapped[dt.datetime]


def ensure_key(session: Session) -> None:
    """Make the key of the hashes if there is none, in a transaction of its own: of two keys the first counts."""
    sealed = fernet().encrypt(secrets.token_bytes(32)).decode()
    session.execute(upsert(Preference).values(name=PREFERENCE, value={"sealed": sealed}).on_conflict_do_nothing())


def made_key(session: Session) -> bytes:
    """Return the key of the hashes, which exists."""
    existing = _stored_key(session)
    if existing is None:
        raise LookupError("the key of erased numbers was not made")
    return existing


def key(session: Session) -> bytes | None:
    """Return the key of the hashes; None if nobody was erased."""
    return _stored_key(session) if has_rows(session, ErasedNumber) else None


def _stored_key(session: Session) -> bytes | None:
    loaded: bytes | None = current_app.extensions.get(EXTENSION)
    if loaded is None:
        value = preference(session, PREFERENCE)
        if value is None:
            return None
        loaded = current_app.extensions[EXTENSION] = fernet().decrypt(value["sealed"])
    return loaded


def reseal_key(session: Session) -> None:
    """Encrypt the key with the newest encryption key."""
    value = preference(session, PREFERENCE)
    if value is not None:
        save_preference(session, PREFERENCE, {"sealed": fernet().rotate(value["sealed"]).decode()})


def add(session: Session, hashes: Collection[str], now: dt.datetime) -> None:
    """Store hashes of erased numbers."""
    if hashes:
        rows = [{"phone": phone, "at": now} for phone in sorted(hashes)]
        session.execute(upsert(ErasedNumber).on_conflict_do_nothing(), rows)


def all_hashes(session: Session, since: dt.datetime | None = None) -> set[str]:
    """Return the hashes of all erased numbers, or of those erased since then."""
    query = sa.select(ErasedNumber.phone)
    return set(session.scalars(query if since is None else query.where(ErasedNumber.at >= since)))


def hashed(column: Any, key: bytes) -> sa.ColumnElement[str]:
    """Return the hash of a column of numbers, as `domain/erasure.py` `keyed_hash` makes it."""
    if dialect() != "postgresql":
        its_hash: sa.ColumnElement[str] = getattr(sa.func, KEYED_HASH)(column, sa.literal(key, sa.LargeBinary))
        return its_hash
    inner, outer = (sa.literal(pad, sa.LargeBinary) for pad in hash_pads(key))
    first = sa.func.sha256(inner.op("||")(sa.func.convert_to(column, sa.literal_column("'UTF8'"))))
    digest = sa.func.encode(sa.func.sha256(outer.op("||")(first)), sa.literal_column("'hex'"))
    figures, letters = ("".join(map(chr, codes)) for codes in (LETTERS.keys(), LETTERS.values()))
    return sa.literal(ERASED) + sa.func.translate(sa.func.substr(digest, 1, HASH_LENGTH - 1), figures, letters)


def hashes_of(session: Session, phones: Iterable[str]) -> dict[str, str]:
    """Return number -> its hash, for those of these numbers that were erased."""
    own_key = key(session)
    if own_key is None:
        return {}
    hashes = {phone: keyed_hash(phone, own_key) for phone in phones if phone and not is_erased(phone)}
    erased = set(session.scalars(sa.select(ErasedNumber.phone).where(one_of(ErasedNumber.phone, set(hashes.values())))))
    return {phone: hash_ for phone, hash_ in hashes.items() if hash_ in erased}


def stored_forms(session: Session, phones: Collection[str]) -> dict[str, str]:
    """Return how these numbers may stand in tables -> number: each as it is, and the hash of one that was erased."""
    return {phone: phone for phone in phones} | {
        its_hash: phone for phone, its_hash in hashes_of(session, phones).items()
    }


def hash_named(session: Session, named: str, regions: Collection[str], among: Collection[str]) -> str:
    """Return which of these hashes is that of the number that a provider writes so; "" if none is."""
    own_key = key(session)
    if own_key is None or not among:
        return ""
    hashes = {named} | {keyed_hash(number, own_key) for number in readings(named, regions)}
    return next(iter(hashes & set(among)), "")
