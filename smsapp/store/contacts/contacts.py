"""Contacts, their typed properties, and who they are under other ids.

Contacts come by the million: they are read and written in bulk with plain SQL, never as one object per contact.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.domain import phone
from smsapp.domain.contact import MAX_CATALOGUE, PHONE, PRESETS, Properties, Type
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contact_rows import UNUSUAL, Row5, create_rows, driver_of, in_groups, lock_rows, replace_rows
from smsapp.store.contacts.numbers import classify
from smsapp.store.db import Base, BigId, as_json, changed, current_session, dialect, one_of, upsert

K = TypeVar("K")
V = TypeVar("V")
Row = tuple[str, str, str]
"""User id, and as JSON: properties and phones."""

NAMES = ("name", "nickname", "$name", "姓名")
"""Properties that a search by name looks into."""


class Contact(Base):
    """A person known by a user id. `phones` holds what `domain/phone.py` made of every phone property in use:
    {property: "+8613800138000"}, or {property: ""} where a value is there but no number can be read from it."""

    __tablename__ = "contact"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    xwho: Mapped[str] = mapped_column(sa.String(254), unique=True)
    properties: Mapped[dict[str, Any]] = mapped_column(default=dict)
    phones: Mapped[dict[str, Any]] = mapped_column(default=dict)
    sources: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Where each value came from: {property: domain/trust.py Source.as_text}."""
    anonymous: Mapped[bool] = mapped_column(default=False)
    """Everything that was reported about it said that the person had not signed in."""
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]

    def __repr__(self) -> str:
        return f"<Contact {self.id}>"


class Alias(Base):
    """An anonymous id that turned out to be a registered one: one to one, and the first binding wins."""

    __tablename__ = "alias"

    anonymous_id: Mapped[str] = mapped_column(sa.String(254), primary_key=True)
    xwho: Mapped[str] = mapped_column(sa.String(254), unique=True)
    trusted: Mapped[bool] = mapped_column(default=True)
    """False if a public key said so: see domain/trust.py leads_on."""
    created_at: Mapped[dt.datetime]


class Property(Base):
    """A property of contacts; its type is the type of the first value ever seen."""

    __tablename__ = "property"

    name: Mapped[str] = mapped_column(sa.String(125), primary_key=True)
    """Lower-cased, as Ark stores property ids."""
    type: Mapped[str] = mapped_column(sa.String(10))
    """One of domain/contact.py Type: string, number, bool, datetime, list."""
    label: Mapped[str] = mapped_column(sa.String(125), default="")
    app_key_id: Mapped[int | None] = mapped_column(sa.ForeignKey("app_key.id", ondelete="SET NULL"))
    """The public key that was first to report it; NULL = a server key, a file or a person vouches for it."""
    merged_into: Mapped[str | None] = mapped_column(sa.String(125))
    """The property that took it over: what is still reported under this name goes there. It is offered nowhere."""
    created_at: Mapped[dt.datetime]


@dataclass(frozen=True, slots=True)
class Profile:
    """A contact as it is written: everything it holds, not a difference."""

    xwho: str
    properties: Mapping[str, Any]
    phones: Mapping[str, str]
    sources: Mapping[str, str] = field(default_factory=dict)
    anonymous: bool = False


class StoredContact(NamedTuple):
    """What a contact holds before it is changed."""

    properties: Properties
    sources: Mapping[str, str] = {}
    anonymous: bool = True


# Properties


def property_types() -> dict[str, Type]:
    """Return the known properties with their types; the presets are always among them."""
    rows = current_session().execute(sa.select(Property.name, Property.type).where(Property.merged_into.is_(None)))
    return dict(PRESETS) | {name: Type(kind) for name, kind in rows}


def labels() -> dict[str, str]:
    """Return what people call each known property ("" = nothing), the presets included."""
    rows = current_session().execute(sa.select(Property.name, Property.label).where(Property.merged_into.is_(None)))
    return dict.fromkeys(PRESETS, "") | {row.name: row.label for row in rows}


def properties() -> list[Property]:
    """Return the catalogue in the order of names."""
    chosen = sa.select(Property).where(Property.merged_into.is_(None))
    return list(current_session().scalars(chosen.order_by(Property.name)))


def redirects() -> dict[str, str]:
    """Return {name: the property that took it over}."""
    rows = current_session().execute(
        sa.select(Property.name, Property.merged_into).where(Property.merged_into.is_not(None))
    )
    return {name: target for name, target in rows if target}


def add_properties(
    session: Session,
    types: Mapping[str, Type],
    now: dt.datetime,
    labels: Mapping[str, str] | None = None,
    public: Mapping[str, int] | None = None,
) -> dict[str, Type]:
    """Enter properties that are not in the catalogue yet; return what their types really are.

    `public` holds the number of the public key that brings a property; the caller vouches for all others.
    Somebody else may have entered one at the same moment with another type: the first one counts. Those for which
    there is no room any more are missing from the answer.
    """
    if not types:
        return {}
    labels, public = labels or {}, public or {}
    known = set(session.scalars(sa.select(Property.name)))
    if dialect() == "postgresql" and not types.keys() <= known and len(known) < MAX_CATALOGUE:
        # Otherwise two transactions that see room for one more would both take it.
        session.execute(sa.text("LOCK TABLE property IN SHARE ROW EXCLUSIVE MODE"))
        known = set(session.scalars(sa.select(Property.name)))
    fresh = sorted(types.keys() - known)[: max(0, MAX_CATALOGUE - len(known))]
    rows = [
        {
            "name": name,
            "type": types[name].value,
            "label": labels.get(name, "")[:125],
            "app_key_id": public.get(name),
            "created_at": now,
        }
        for name in fresh
    ]
    if rows:
        session.execute(upsert(Property).on_conflict_do_nothing(), rows)
    vouched = (one_of(Property.name, types.keys() - public.keys()), Property.app_key_id.is_not(None))
    changed(session, sa.update(Property).where(*vouched).values(app_key_id=None))
    kept = session.execute(sa.select(Property.name, Property.type).where(one_of(Property.name, types)))
    return {name: Type(kind) for name, kind in kept}


def phone_properties(session: Session) -> set[str]:
    """Return the properties that hold a phone for some channel; the preset one always."""
    return {PHONE, *session.scalars(sa.select(ChannelRow.phone_property).distinct())}


def phones_of(held: Mapping[str, Any], names: Iterable[str], region: str) -> dict[str, str]:
    """Return Contact.phones for these properties: the number, "" if there is a value but no number in it."""
    return {name: phone.normalise(held[name], region) for name in names if held.get(name) not in (None, "")}


def phone_texts(session: Session, people: Sequence[Mapping[str, Any]], region: str) -> list[str]:
    """Return Contact.phones as JSON for the properties of each person, read column by column."""
    columns: list[list[str]] = []
    for name in sorted(phone_properties(session)):
        values = [held.get(name, "") for held in people]
        if set(map(type, values)) == {str}:
            numbers = phone.normalise_all(values, region)
        else:
            numbers = [phones_of({name: value}, (name,), region).get(name) for value in values]
        # A number is a sign and figures: nothing to escape.
        key = as_json(name)
        columns.append(["" if number is None else f'{key}:"{number}"' for number in numbers])
    if len(columns) == 1:
        return [f"{{{text}}}" for text in columns[0]]
    return [f"{{{','.join(filter(None, texts))}}}" for texts in zip(*columns, strict=True)]


# Writing


def lock(session: Session, xwhos: Collection[str]) -> dict[str, StoredContact]:
    """Return what those contacts hold that exist, safe from other writers until the transaction ends."""
    rows = lock_rows(session, xwhos)
    traces = json.loads(f"[{','.join(sources for _, sources, _ in rows.values())}]")
    return {
        xwho: StoredContact(held, sources, anonymous)
        for (xwho, (held, _, anonymous)), sources in zip(rows.items(), traces, strict=True)
    }


def create(session: Session, profiles: Sequence[Profile], now: dt.datetime) -> int:
    """Add contacts; return how many were new. On PostgreSQL somebody else may add one of them at the same moment."""
    return create_rows(session, _rows(sorted(profiles, key=lambda profile: profile.xwho)), now)


def replace(session: Session, profiles: Sequence[Profile], now: dt.datetime) -> None:
    """Make these profiles the whole truth about contacts that exist; each user id occurs once."""
    replace_rows(session, _rows(profiles), now)


def remove(session: Session, xwhos: Collection[str]) -> None:
    """Remove contacts of which nothing is known any more; they leave their segments."""
    if xwhos:
        changed(session, sa.delete(Contact).where(one_of(Contact.xwho, xwhos)))


def merge(session: Session, rows: Sequence[Row], source: str, now: dt.datetime) -> int:
    """Lay rows over the contacts; return how many are new.

    `source` (domain/trust.py Source.as_text) is kept beside every value that a row has; whoever writes so is trusted,
    and the contacts are registered ones. What a row does not name stays as it is. Of several
    rows with one id the later one wins, property by property.
    """
    if not rows:
        return 0
    classify(session, (number for _, _, phones in rows for number in UNUSUAL.findall(phones)))
    if dialect() == "postgresql":
        return sum(_merge_postgresql(session, wave, source, now) for wave in _waves(rows))
    driver = driver_of(session)
    # A row id is given to new rows only and always counts up, so the highest one tells how many there were.
    before = driver.execute("SELECT coalesce(max(id), 0) FROM contact").fetchone()[0]
    in_groups(session, _MERGE_SQLITE, rows, now, source)
    after = driver.execute("SELECT coalesce(max(id), 0) FROM contact").fetchone()[0]
    return int(after - before)


def bound(session: Session, ids: Collection[str], registered: Collection[str] = ()) -> dict[str, str]:
    """Return the bindings {anonymous id: registered id} of these anonymous ids, and those of these registered ones."""
    sides = one_of(Alias.anonymous_id, ids)
    if registered:
        sides = sa.or_(sides, one_of(Alias.xwho, registered))
    return _pairs(session, sa.select(Alias.anonymous_id, Alias.xwho).where(sides))


def public_bindings(session: Session, anonymous_ids: Collection[str]) -> set[str]:
    """Return those of these anonymous ids that a public key has bound."""
    if not anonymous_ids:
        return set()
    query = sa.select(Alias.anonymous_id).where(one_of(Alias.anonymous_id, anonymous_ids), sa.not_(Alias.trusted))
    return set(session.scalars(query))


def bind(session: Session, aliases: Mapping[str, str], public: Collection[str], now: dt.datetime) -> None:
    """Keep new bindings {anonymous id: registered id}; where either side is bound already nothing changes.

    `public` are the anonymous ids that a public key binds.
    """
    rows = [
        {"anonymous_id": anonymous, "xwho": xwho, "trusted": anonymous not in public, "created_at": now}
        for anonymous, xwho in sorted(aliases.items())
    ]
    session.execute(upsert(Alias).on_conflict_do_nothing(), rows)


def absorb(session: Session, gone: Mapping[str, str]) -> None:
    """Remove contacts that turned out to be others {user id: the one that stays}, which take over their segments."""
    if not gone:
        return
    ids = ids_of(session, {*gone, *gone.values()})
    pairs = [{"old": ids[old], "new": ids[new]} for old, new in gone.items() if old in ids]
    if pairs:
        session.execute(_ADOPT, pairs)
    changed(session, sa.delete(Contact).where(one_of(Contact.xwho, gone.keys())))


def ids_of(session: Session, xwhos: Collection[str]) -> dict[str, int]:
    """Return {user id: contact id} of those that exist."""
    return _pairs(session, sa.select(Contact.xwho, Contact.id).where(one_of(Contact.xwho, xwhos)))


def with_number(session: Session, xwhos: Collection[str]) -> set[str]:
    """Return those of these user ids whose contact has a usable number of some channel."""
    usable = [
        sa.func.coalesce(Contact.phones[name].as_string(), "") != "" for name in sorted(phone_properties(session))
    ]
    return set(session.scalars(sa.select(Contact.xwho).where(one_of(Contact.xwho, xwhos), sa.or_(*usable))))


def phones_after(session: Session, name: str, after: int, limit: int) -> list[tuple[int, Any]]:
    """Return (contact id, value of the property) of the next contacts in id order, for a rebuild of phones."""
    rows = session.execute(
        sa.select(Contact.id, Contact.properties).where(Contact.id > after).order_by(Contact.id).limit(limit)
    )
    return [(id_, held.get(name)) for id_, held in rows]


def set_phones(session: Session, name: str, numbers: Sequence[tuple[int, str | None]]) -> None:
    """Write what was read from one phone property: (contact id, number or None if there is no value)."""
    classify(session, (number for _, number in numbers))
    if dialect() == "postgresql":
        ids, values = [id_ for id_, _ in numbers], [number for _, number in numbers]
        session.execute(_PHONES_POSTGRESQL, {"ids": ids, "numbers": values, "name": name})
        return
    patches = [(as_json({name: number}), id_) for id_, number in numbers]
    driver_of(session).executemany("UPDATE contact SET phones = json_patch(phones, ?) WHERE id = ?", patches)


# Pages


def listed(search: str, region: str, before: int | None, limit: int, *, sees_full_numbers: bool) -> list[Contact]:
    """Return contacts, newest first, that fit the search, below the id `before`.

    The search is a whole number, a user id or its beginning, a name or a part of it, or the last digits of a number.
    Without the right to see whole numbers, digits find a whole number, a whole user id or the last four digits only.
    """
    query = sa.select(Contact).order_by(Contact.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Contact.id < before)
    search = search.strip()
    if search:
        query = query.where(_fits(search, region, sees_full_numbers))
    return list(current_session().scalars(query))


def contact(contact_id: int) -> Contact | None:
    return current_session().get(Contact, contact_id)


def anonymous_ids(xwho: str) -> list[str]:
    """Return the anonymous ids under which this contact was known."""
    return list(current_session().scalars(sa.select(Alias.anonymous_id).where(Alias.xwho == xwho)))


def _fits(search: str, region: str, sees_full_numbers: bool) -> sa.ColumnElement[bool]:
    number = phone.normalise(search, region)
    held = [Contact.phones[name].as_string() for name in phone_properties(current_session())]
    if number:
        return sa.or_(Contact.xwho == search, *(column == number for column in held))
    fits: list[sa.ColumnElement[bool]] = [Contact.xwho == search]
    if sees_full_numbers or not phone.reveals(search):
        fits = [_begins(search)]
        fits += [Contact.properties[name].as_string().contains(search, autoescape=True) for name in NAMES]
    ending = search if search.isascii() and search.isdigit() and len(search) >= phone.SHOWN else ""
    if ending and (sees_full_numbers or len(ending) == phone.SHOWN):
        fits += [column.endswith(ending) for column in held]
    return sa.or_(*fits)


def _begins(search: str) -> sa.ColumnElement[bool]:
    return Contact.xwho.startswith(search, autoescape=True)


# Statements

_MERGE_SQLITE = (
    "INSERT INTO contact (xwho, properties, phones, sources, anonymous, created_at, updated_at) "
    "SELECT column1, column2, column3, (SELECT json_group_object(key, ?2) FROM json_each(column2)), false, ?1, ?1 "
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
_ADOPT = sa.text(
    "INSERT INTO segment_member (segment_id, contact_id) SELECT segment_id, :new FROM segment_member "
    "WHERE contact_id = :old ON CONFLICT DO NOTHING"
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
    """Cut rows so that no user id occurs twice in one statement, in the order in which they came."""
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
