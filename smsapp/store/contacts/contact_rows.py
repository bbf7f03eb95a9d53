"""Contacts as rows of texts: locked, created and replaced in bulk, one statement for hundreds."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.domain.contact import Properties
from smsapp.store.contacts.numbers import classify
from smsapp.store.db import as_json, dialect
from smsapp.store.sqlite import datetime_text

Row5 = tuple[str, str, str, str, bool]
"""User id; as JSON: properties, phones and sources; and whether the contact is anonymous: everything it holds."""
HeldRow = tuple[Properties, str, bool, int]
"""What a contact holds: properties, its sources as JSON, whether it is anonymous; and its row's number."""

ROWS_AT_ONCE = 200
"""Rows of one statement on SQLite: a statement for each, executemany, takes a third longer; so do some thousands."""

UNUSUAL = re.compile(r'"(\+(?!861[3-9])[0-9]+|\+86(?:1349|174|1619)[0-9]+)"')
"""Numbers in a contact's phones as JSON that may be something else than mobile numbers."""


def locks() -> bool:
    """Say whether rows are locked one by one: SQLite has one writer at a time anyway."""
    return dialect() == "postgresql"


def lock_rows(session: Session, xwhos: Collection[str]) -> dict[str, HeldRow]:
    """Do as `lock`, with sources as they are stored."""
    if dialect() == "postgresql":
        rows = session.execute(_HELD_POSTGRESQL, {"xwhos": list(xwhos)})
        return {xwho: (held, sources, anonymous, id_) for xwho, held, sources, anonymous, id_ in rows}
    # One text for each column: rows of the driver's take half as long again.
    columns = driver_of(session).execute(_HELD_SQLITE, (as_json(list(xwhos)),)).fetchone()
    people, *held, flags, ids = [orjson.loads(column or "[]") for column in columns]
    return dict(zip(people, zip(*held, map(bool, flags), ids, strict=True), strict=True))


def create_rows(session: Session, rows: Sequence[Row5], now: dt.datetime) -> int:
    """Do as `create` with rows in the order of user ids."""
    if not rows:
        return 0
    _classify(session, rows)
    if dialect() == "postgresql":
        return session.connection().execute(_CREATE_POSTGRESQL, {"rows": _array(rows), "now": now}).rowcount
    in_groups(session, _CREATE_SQLITE, rows, now)
    return len(rows)


def replace_rows(session: Session, rows: Sequence[Row5], now: dt.datetime) -> None:
    """Do as `replace` with rows."""
    if not rows:
        return
    _classify(session, rows)
    if dialect() == "postgresql":
        session.execute(_REPLACE_POSTGRESQL, {"rows": _array(rows), "now": now})
    else:
        in_groups(session, _REPLACE_SQLITE, rows, now)


def overwrite_rows(session: Session, ids: Sequence[int], rows: Sequence[Row5], now: dt.datetime) -> None:
    """Do as `replace_rows` with rows that `lock_rows` has found in this transaction under these numbers.

    On SQLite an UPDATE .. FROM keeps all it finds before it writes the first row, and takes twice as long.
    """
    if dialect() == "postgresql":
        replace_rows(session, rows, now)
    elif rows:
        _classify(session, rows)
        in_groups(session, _OVERWRITE_SQLITE, [(id_, *row) for id_, row in zip(ids, rows, strict=True)], now)


# Statements

_HELD_SQLITE = (
    "SELECT json_group_array(xwho), '[' || group_concat(properties) || ']', json_group_array(sources), "
    "json_group_array(anonymous), json_group_array(contact.id) FROM json_each(?) CROSS JOIN contact ON xwho = value"
)
_HELD_POSTGRESQL = sa.text(
    "SELECT xwho, properties, CAST(sources AS text), anonymous, id FROM contact "
    "WHERE xwho = ANY(CAST(:xwhos AS text[])) ORDER BY xwho FOR UPDATE"
)
_CREATE_SQLITE = (
    "INSERT INTO contact (xwho, properties, phones, sources, anonymous, created_at, updated_at) "
    "SELECT column1, column2, column3, column4, column5, ?1, ?1 FROM (VALUES {})"
)
_REPLACE_SQLITE = (
    "UPDATE contact SET properties = column2, phones = column3, sources = column4, anonymous = column5, "
    "updated_at = ?1 FROM (VALUES {}) WHERE contact.xwho = column1"
)
_OVERWRITE_SQLITE = (
    "INSERT INTO contact (id, xwho, properties, phones, sources, anonymous, created_at, updated_at) "
    "SELECT column1, column2, column3, column4, column5, column6, ?1, ?1 FROM (VALUES {}) WHERE true "
    "ON CONFLICT (id) DO UPDATE SET properties = excluded.properties, phones = excluded.phones, "
    "sources = excluded.sources, anonymous = excluded.anonymous, updated_at = excluded.updated_at"
)
_ARRIVING = (
    "(SELECT row ->> 0 AS xwho, row -> 1 AS properties, row -> 2 AS phones, row -> 3 AS sources, "
    "CAST(row -> 4 AS boolean) AS anonymous FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS row) AS arriving"
)
_CREATE_POSTGRESQL = sa.text(
    "INSERT INTO contact (xwho, properties, phones, sources, anonymous, created_at, updated_at) "  # noqa: S608 # nosec B608
    "SELECT xwho, properties, phones, sources, anonymous, CAST(:now AS timestamptz), CAST(:now AS timestamptz) "
    f"FROM {_ARRIVING} ON CONFLICT (xwho) DO NOTHING"
)
_REPLACE_POSTGRESQL = sa.text(
    "UPDATE contact SET properties = arriving.properties, phones = arriving.phones, "  # noqa: S608 # nosec B608
    "sources = arriving.sources, anonymous = arriving.anonymous, updated_at = CAST(:now AS timestamptz) "
    f"FROM {_ARRIVING} WHERE contact.xwho = arriving.xwho"
)


def driver_of(session: Session) -> Any:
    """Return the driver's own connection, inside the transaction that SQLAlchemy has begun."""
    return session.connection().connection.driver_connection


def _classify(session: Session, rows: Sequence[Row5]) -> None:
    classify(session, UNUSUAL.findall(",".join([phones for _, _, phones, _, _ in rows])))


def _array(rows: Sequence[Row5]) -> str:
    """Return rows as one JSON text: the driver takes longer to hand over lists."""
    texts = [
        f"[{as_json(xwho)},{held},{numbers},{sources},{as_json(anonymous)}]"
        for xwho, held, numbers, sources, anonymous in rows
    ]
    return f"[{','.join(texts)}]"


def in_groups(session: Session, statement: str, rows: Sequence[tuple[Any, ...]], now: dt.datetime, *more: str) -> None:
    """Run a statement over rows as its VALUES, ROWS_AT_ONCE at a time, after the moment and `more` (SQLite)."""
    driver = driver_of(session)
    row = f"({', '.join('?' * len(rows[0]))})"
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[begin : begin + ROWS_AT_ONCE]
        values = (datetime_text(now), *more, *chain.from_iterable(some))
        driver.execute(statement.format(", ".join([row] * len(some))), values)
