"""Contacts: read, searched and written.

There are millions of contacts, so they are read and written in bulk with plain SQL, never as one object per contact.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias, TypeVar

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain import phone
from smsapp.domain.contact import Properties
from smsapp.store.contacts.contact_rows import UNUSUAL, Row5, create_rows, driver_of, in_groups, lock_rows, replace_rows
from smsapp.store.contacts.numbers import classify
from smsapp.store.contacts.property_catalogue import phone_properties
from smsapp.store.db import Base, BigId, as_json, changed, dialect, one_of

K = TypeVar("K")
V = TypeVar("V")
ContactIds: TypeAlias = sa.Select[int]
"""A query of contact ids, which a statement may contain."""
Row = tuple[str, str, str]
"""User id, and as JSON: properties and phones."""

NAMES = ("name", "nickname", "$name", "姓名")
"""Properties that a search by name reads."""


class Contact(Base):
    """A person known by a user id. `phones` holds the number read by `domain/phone.py` from every phone property in
    use: {property: "+8613800138000"}, or {property: ""} if there is a value but no number can be read from it."""

    __tablename__ = "contact"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    xwho: Mapped[str] = mapped_column(sa.String(254), unique=True)
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    phones: Mapped[dict[str, Any]] = mapped_column(default=dict)
    sources: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Where each value came from: {property: domain/trust.py Source.as_text}."""
    anonymous: Mapped[bool] = mapped_column(default=False)
    """Every report about it said that the person had not signed in."""
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]

    def __repr__(self) -> str:
        return f"<Contact {self.id}>"


@dataclass(frozen=True, slots=True)
class Profile:
    """A contact as it is written: all its values, not a difference."""

    xwho: str
    properties: Mapping[str, Any]
    phones: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False


class StoredContact(NamedTuple):
    """The values of a contact before it is changed."""

    properties: Properties
    sources: Mapping[str, str] = {}
    anonymous: bool = True


def phones_of(properties: Mapping[str, Any], names: Iterable[str], region: str) -> dict[str, str]:
    """Return Contact.phones for these properties: the number, "" if there is a value but no number in it."""
    return {name: phone.normalise(properties[name], region) for name in names if properties.get(name) not in (None, "")}


def phone_texts(names: Collection[str], people: Sequence[Mapping[str, Any]], region: str) -> list[str]:
    """Return Contact.phones as JSON for the properties of each person, read column by column; `names` hold phones."""
    columns: list[list[str]] = []
    for name in sorted(names):
        values = [held.get(name, "") for held in people]
        if set(map(type, values)) == {str}:
            numbers = phone.normalise_all(values, region)
        else:
            numbers = [phones_of({name: value}, (name,), region).get(name) for value in values]
        # A number is "+" and digits: nothing to escape.
        key = as_json(name)
        columns.append(["" if number is None else f'{key}:"{number}"' for number in numbers])
    if len(columns) == 1:
        return [f"{{{text}}}" for text in columns[0]]
    return [f"{{{','.join(filter(None, texts))}}}" for texts in zip(*columns, strict=True)]


# Writing


def lock(session: Session, xwhos: Collection[str]) -> dict[str, StoredContact]:
    """Return the values of those contacts that exist, locked until the transaction ends."""
    rows = lock_rows(session, xwhos)
    traces = json.loads(f"[{','.join(sources for _, sources, _, _ in rows.values())}]")
    return {
        xwho: StoredContact(held, sources, anonymous)
        for (xwho, (held, _, anonymous, _)), sources in zip(rows.items(), traces, strict=True)
    }


def create(session: Session, profiles: Sequence[Profile], now: dt.datetime) -> int:
    """Insert contacts; return how many were new: on PostgreSQL another transaction may insert one of them first."""
    return create_rows(session, _rows(sorted(profiles, key=lambda profile: profile.xwho)), now)


def replace(session: Session, profiles: Sequence[Profile], now: dt.datetime) -> None:
    """Overwrite existing contacts with these profiles; each user id occurs once."""
    replace_rows(session, _rows(profiles), now)


def remove(session: Session, xwhos: Collection[str]) -> None:
    """Delete contacts that have no values any more, also from their segments."""
    if xwhos:
        changed(session, sa.delete(Contact).where(one_of(Contact.xwho, xwhos)))


def merge(session: Session, rows: Sequence[Row], source: str, now: dt.datetime) -> int:
    """Merge rows into the contacts; return how many are new.

    `source` (domain/trust.py Source.as_text) is stored beside every value of a row; it is a trusted one, and the
    contacts count as registered. Properties that a row does not name stay. Of several rows with one id the later one
    wins, property by property.
    """
    if not rows:
        return 0
    classify(session, (number for _, _, phones in rows for number in UNUSUAL.findall(phones)))
    if dialect() == "postgresql":
        return sum(_merge_postgresql(session, wave, source, now) for wave in _waves(rows))
    driver = driver_of(session)
    # Only new rows get an id and ids are consecutive, so the highest id before and after gives the number of new rows.
    before = driver.execute("SELECT coalesce(max(id), 0) FROM contact").fetchone()[0]
    traced = [
        (*row, sources) for row, sources in zip(rows, _sources([held for _, held, _ in rows], source), strict=True)
    ]
    in_groups(session, _MERGE_SQLITE, traced, now)
    after = driver.execute("SELECT coalesce(max(id), 0) FROM contact").fetchone()[0]
    return int(after - before)


def _sources(properties: Sequence[str], source: str) -> list[str]:
    """Return Contact.sources as JSON where all of each row's properties (JSON) come from one; SQLite takes four times
    as long to look into each."""
    made: dict[tuple[str, ...], str] = {}
    texts = []
    for held in orjson.loads(f"[{','.join(properties)}]"):
        names = tuple(held)
        text = made.get(names)
        if text is None:
            text = made[names] = as_json(dict.fromkeys(names, source))
        texts.append(text)
    return texts


def ids_of(session: Session, xwhos: Collection[str]) -> dict[str, int]:
    """Return {user id: contact id} of the contacts that exist."""
    return _pairs(session, sa.select(Contact.xwho, Contact.id).where(one_of(Contact.xwho, xwhos)))


def with_number(session: Session, xwhos: Collection[str]) -> set[str]:
    """Return the user ids among these whose contact has a usable number for some channel."""
    usable = [
        sa.func.coalesce(Contact.phones[name].as_string(), "") != "" for name in sorted(phone_properties(session))
    ]
    return set(session.scalars(sa.select(Contact.xwho).where(one_of(Contact.xwho, xwhos), sa.or_(*usable))))


def last_id(session: Session) -> int:
    """Return the highest contact id; 0 if there is no contact."""
    return session.scalar(sa.select(sa.func.max(Contact.id))) or 0


def examples(session: Session, contact_ids: sa.Select[Any], n: int) -> Sequence[Mapping[str, Any]]:
    """Return the values of the first `n` of these contacts in the order of ids."""
    first = contact_ids.order_by(sa.literal_column("1")).limit(n)
    return session.scalars(sa.select(Contact.properties).where(Contact.id.in_(first)).order_by(Contact.id)).all()


def phones_after(session: Session, name: str, after: int, limit: int) -> list[tuple[int, Any]]:
    """Return (contact id, value of the property) of the next contacts after an id, to rebuild their phones."""
    rows = session.execute(
        sa.select(Contact.id, Contact.properties).where(Contact.id > after).order_by(Contact.id).limit(limit)
    )
    return [(id_, properties.get(name)) for id_, properties in rows]


def set_phones(session: Session, name: str, numbers: Sequence[tuple[int, str | None]]) -> None:
    """Store the numbers read from one phone property: (contact id, number or None if there is no value)."""
    classify(session, (number for _, number in numbers))
    if dialect() == "postgresql":
        ids, values = [id_ for id_, _ in numbers], [number for _, number in numbers]
        session.execute(_PHONES_POSTGRESQL, {"ids": ids, "numbers": values, "name": name})
        return
    patches = [(as_json({name: number}), id_) for id_, number in numbers]
    driver_of(session).executemany("UPDATE contact SET phones = json_patch(phones, ?) WHERE id = ?", patches)


# Pages


def listed(
    session: Session, search: str, region: str, before: int | None, limit: int, *, sees_full_numbers: bool
) -> list[Contact]:
    """Return contacts that match the search, newest first, below the id `before`.

    The search is a whole number, a user id or its beginning, a name or a part of it, or the last digits of a number.
    Without the right to see whole numbers, digits match a whole number, a whole user id or the last four digits only.
    """
    query = sa.select(Contact).order_by(Contact.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Contact.id < before)
    search = search.strip()
    if search:
        query = query.where(_fits(session, search, region, sees_full_numbers))
    return list(session.scalars(query))


def find(session: Session, contact_id: int) -> Contact | None:
    return session.get(Contact, contact_id)


def _fits(session: Session, search: str, region: str, sees_full_numbers: bool) -> sa.ColumnElement[bool]:
    number = phone.normalise(search, region)
    phone_columns = [Contact.phones[name].as_string() for name in phone_properties(session)]
    if number:
        return sa.or_(Contact.xwho == search, *(column == number for column in phone_columns))
    fits: list[sa.ColumnElement[bool]] = [Contact.xwho == search]
    if sees_full_numbers or not phone.reveals(search):
        fits = [_begins(search)]
        fits += [Contact.properties[name].as_string().contains(search, autoescape=True) for name in NAMES]
    ending = search if search.isascii() and search.isdigit() and len(search) >= phone.SHOWN else ""
    if ending and (sees_full_numbers or len(ending) == phone.SHOWN):
        fits += [column.endswith(ending) for column in phone_columns]
    return sa.or_(*fits)


def _begins(search: str) -> sa.ColumnElement[bool]:
    return Contact.xwho.startswith(search, autoescape=True)


# Statements

_MERGE_SQLITE = (
    "INSERT INTO contact (xwho, properties, phones, sources, anonymous, created_at, updated_at) "
    "SELECT column1, column2, column3, column4, false, ?1, ?1 "
    "FROM (VALUES {}) WHERE true "
    "ON CONFLICT (xwho) DO UPDATE SET properties = json_patch(properties, excluded.properties), "
    "phones = json_patch(phones, excluded.phones), sources = json_patch(sources, excluded.sources), "
    "anonymous = false, updated_at = excluded.updated_at"
)
_MERGE_POSTGRESQL = (
    "INSERT INTO contact (xwho, properties, phones, sources, anonymous, created_at, updated_at) "
    "SELECT xwho, properties, phones, "
    "coalesce((SELECT jsonb_object_agg(name, %s::text) FROM jsonb_object_keys(properties) AS name), '{}'), "
    "false, %s, %s FROM arriving ORDER BY xwho "
    "ON CONFLICT (xwho) DO UPDATE SET properties = contact.properties || excluded.properties, "
    "phones = contact.phones || excluded.phones, sources = contact.sources || excluded.sources, "
    "anonymous = false, updated_at = excluded.updated_at RETURNING (xmax = 0)"
)
_PHONES_POSTGRESQL = sa.text(
    "UPDATE contact SET phones = CASE WHEN arriving.number IS NULL THEN contact.phones - CAST(:name AS text) "
    "ELSE contact.phones || jsonb_build_object(CAST(:name AS text), arriving.number) END "
    "FROM unnest(CAST(:ids AS bigint[]), CAST(:numbers AS text[])) AS arriving (id, number) "
    "WHERE contact.id = arriving.id"
)


def _pairs(session: Session, query: sa.Select[K, V]) -> dict[K, V]:
    return {key: value for key, value in session.execute(query)}  # noqa: C416 a Row is no pair to mypy


def _rows(profiles: Sequence[Profile]) -> list[Row5]:
    return [
        (row.xwho, as_json(row.properties), as_json(row.phones), as_json(row.sources), row.anonymous)
        for row in profiles
    ]


def _waves(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """Split rows into lists in which no user id occurs twice; rows of one user id keep their order."""
    if len({row[0] for row in rows}) == len(rows):
        return [rows]
    waves: list[list[Row]] = []
    seen: dict[str, int] = {}
    for row in rows:
        nth = seen[row[0]] = seen.get(row[0], -1) + 1
        if nth == len(waves):
            waves.append([])
        waves[nth].append(row)
    return list(waves)


def _merge_postgresql(session: Session, rows: Sequence[Row], source: str, now: dt.datetime) -> int:
    with driver_of(session).cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE IF NOT EXISTS arriving (xwho text, properties jsonb, phones jsonb) ON COMMIT DELETE ROWS"
        )
        cursor.execute("TRUNCATE arriving")
        with cursor.copy("COPY arriving FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        cursor.execute(_MERGE_POSTGRESQL, (source, now, now))
        return sum(new for (new,) in cursor.fetchall())


def all_ids() -> ContactIds:
    """Return the query of all contacts."""
    return sa.select(Contact.id)


def count_up_to(session: Session, most: int) -> int:
    """Return how many contacts there are; of more than `most`, no more are counted."""
    return session.scalar(sa.select(sa.func.count()).select_from(all_ids().limit(most).subquery())) or 0


def first_of(session: Session, contact_ids: ContactIds, most: int) -> list[tuple[int, str, dict[str, Any]]]:
    """Return (id, user id, properties) of the first of these contacts in the order of ids."""
    first = contact_ids.order_by(sa.literal_column("1")).limit(most)
    query = sa.select(Contact.id, Contact.xwho, Contact.properties).where(Contact.id.in_(first)).order_by(Contact.id)
    return [(id_, xwho, properties) for id_, xwho, properties in session.execute(query)]
