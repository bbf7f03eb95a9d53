"""Every column that holds texts, JSON or bytes, looked through for erased numbers: whatever no other module erases.

The tables are found in the metadata, so that a new one is looked through without anybody thinking of it; what is
treated otherwise is named in ELSEWHERE with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from smsapp.domain.erasure import ERASED_ID, Spans, redacted, redacted_bytes, redacted_json
from smsapp.store.apps import key_journal
from smsapp.store.apps.key_journal import KeyJournal
from smsapp.store.apps.uploads import UPLOAD, UploadMark
from smsapp.store.db import Base, Json, changed, db, dialect, one_of
from smsapp.store.receipts import inbox
from smsapp.store.receipts.inbox import INBOX, InboxState

ELSEWHERE = {
    "message": "store/privacy/ledger.py",
    "exclusion": "store/privacy/ledger.py",
    "provider_ref": "store/privacy/ledger.py",
    "special_number": "store/privacy/persons.py",
    "alias": "store/privacy/persons.py",
    "batch": "holds no texts from outside",
    "tally": "holds no texts from outside",
    "receipt_bucket": "holds no texts from outside",
    "channel_hour": "holds no texts from outside",
    "decision": "holds no texts from outside",
    "segment_member": "holds no texts",
    "erased_number": "holds hashes",
    "erasure": "is encrypted",
    "erasure_mark": "holds no texts from outside",
    "preference": "holds settings and the key of the hashes",
    "audit_entry": "takes no change; numbers are masked as they are written",
    "app_user": "holds those who sign in, not those who are written to",
    "login_link": "holds hashes of tokens",
    "ended_session": "holds ids of sessions",
    "connection": "holds names of processes",
    "message_request": "is emptied within a moment, into api_message",
}
"""Table -> who erases from it, or why nobody needs to."""
NOT_LOOKED_AT = {("channel", "secrets"), ("channel", "callback_token"), ("channel", "old_callback_token")}
"""Columns of random characters."""
QUOTED = re.compile(r'"([^"\\]{1,254})"')
"""A text in JSON, as records of apps are kept, that may be a user id."""
PHONE = "phone"
"""A column of this name holds a number; the hash is written over it."""


@dataclass(frozen=True)
class Redaction:
    """What is looked for, and what stands there afterwards."""

    spans: Spans
    hash_of: Callable[[str], str]
    """Number, as it is written -> its hash; "" if it was not erased."""
    user_ids: Collection[str] = field(default=(), repr=False)

    def applied(self, column: sa.Column[Any], value: Any) -> Any:
        """Return what a column's value becomes; the same object if nothing of it is to go."""
        if value is None:
            return None
        if column.name == PHONE:
            return self.hash_of(value) or value
        if is_json(column):
            return self._applied_json(value)
        if column is KeyJournal.__table__.c.replaced:
            return key_journal.without(value, self._is_erased)
        clean = redacted_bytes(value, self.spans) if isinstance(value, bytes) else self._applied_text(value)
        return value if clean == value else clean

    def _is_erased(self, value: Any) -> bool:
        return bool(redacted_json(value, self.spans, self.user_ids) != value)

    def _applied_text(self, text: str) -> str:
        text = redacted(text, self.spans)
        return QUOTED.sub(self._starred, text) if self.user_ids else text

    def _starred(self, quoted: re.Match[str]) -> str:
        return f'"{"*" * len(quoted[1])}"' if quoted[1] in self.user_ids else quoted[0]

    def _applied_json(self, text: str) -> Any:
        """Return the JSON value that this JSON text becomes; the text itself if nothing of it is to go."""
        if self._applied_text(text) == text:
            return text
        value = orjson.loads(text)
        clean = redacted_json(value, self.spans, self.user_ids)
        return text if clean == value else clean


@dataclass(frozen=True)
class Place:
    """A table with the columns that are looked through."""

    table: sa.Table
    columns: tuple[sa.Column[Any], ...]

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def key(self) -> tuple[sa.Column[Any], ...]:
        return tuple(self.table.primary_key.columns)

    @property
    def is_in_inbox(self) -> bool:
        return self.table.metadata is inbox.metadata

    @property
    def engine(self) -> Engine:
        return inbox.engine() if self.is_in_inbox else db.engine


def is_json(column: sa.Column[Any]) -> bool:
    kind = column.type.impl_instance if isinstance(column.type, sa.types.TypeDecorator) else column.type
    return isinstance(kind, sa.JSON)


def _holds_text(column: sa.Column[Any]) -> bool:
    return is_json(column) or isinstance(column.type, sa.String | sa.LargeBinary)


def places() -> list[Place]:
    """Return every table that is looked through."""
    tables = [*Base.metadata.sorted_tables, *inbox.metadata.sorted_tables]
    found_places = [
        Place(
            table,
            tuple(
                column
                for column in table.columns
                if _holds_text(column) and (table.name, column.name) not in NOT_LOOKED_AT
            ),
        )
        for table in tables
        if table.name not in ELSEWHERE
    ]
    return [place for place in found_places if place.columns]


def look_through(
    place: Place, after: Sequence[Any] | None, until: Sequence[Any] | None, limit: int, redaction: Redaction
) -> tuple[Sequence[Any] | None, list[Sequence[Any]]]:
    """Return (key of the last row looked at, or None if there is none; keys of those that name an erased person)."""
    query = sa.select(*place.key, *map(_as_text, place.columns)).where(*_may_change(place))
    own_key = sa.tuple_(*place.key)
    if after is not None:
        query = query.where(own_key > sa.tuple_(*_literals(place, after)))
    if until is not None:
        query = query.where(own_key <= sa.tuple_(*_literals(place, until)))
    width = len(place.key)
    with place.engine.connect() as connection:
        rows = connection.execute(query.order_by(*place.key).limit(limit)).all()
    hits: list[Sequence[Any]] = [row[:width] for row in rows if _is_named(place, row[width:], redaction)]
    return (rows[-1][:width] if rows else None), hits


def _literals(place: Place, key: Sequence[Any]) -> list[sa.ColumnElement[Any]]:
    return [sa.literal(value, column.type) for value, column in zip(key, place.key, strict=True)]


def _is_named(place: Place, values: Sequence[Any], redaction: Redaction) -> bool:
    columns = zip(place.columns, values, strict=True)
    return any(redaction.applied(column, value) is not value for column, value in columns if value)


def _as_text(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    if not is_json(column):
        return column
    text = sa.cast(column, sa.Text) if dialect() == "postgresql" else sa.type_coerce(column, sa.Text)
    return text.label(column.name)


def _may_change(place: Place) -> list[sa.ColumnElement[bool]]:
    """Return the conditions on rows that nobody has still to read."""
    if place.table is INBOX:
        return [INBOX.c.state != int(InboxState.NEW)]
    if place.table is UPLOAD:
        if dialect() == "postgresql":
            return [sa.false()]
        with db.engine.connect() as connection:
            return [UPLOAD.c.id <= (connection.scalar(sa.select(UploadMark.applied)) or 0)]
    return []


def detach(session: Session, contact_ids: Collection[int]) -> dict[str, int]:
    """Have the rows of these contacts that stay lead to nobody: SQLite may give a contact's id again; return how many
    in each table."""
    return {
        place.name: changed(
            session,
            sa.update(place.table).where(one_of(column, contact_ids)).values(contact_id=column + ERASED_ID),
        )
        for place in places()
        if (column := place.table.columns.get("contact_id")) is not None and not column.foreign_keys
    }


def redact(connection: Connection, place: Place, keys: Sequence[Sequence[Any]], redaction: Redaction) -> int:
    """Redact these rows as they are now, in the caller's transaction; return how many changed."""
    n = 0
    width = len(place.key)
    for key in keys:
        this = [column == value for column, value in zip(place.key, key, strict=True)]
        query = sa.select(*place.key, *map(_as_text, place.columns)).where(*this).with_for_update()
        row = connection.execute(query).one_or_none()
        if row is None or not _is_named(place, row[width:], redaction):
            continue
        n += 1
        values = {
            column.name: sa.literal(clean, Json) if is_json(column) else clean
            for column, value in zip(place.columns, row[width:], strict=True)
            if (clean := redaction.applied(column, value)) is not value
        }
        try:
            with connection.begin_nested():
                connection.execute(sa.update(place.table).where(*this).values(values))
        except IntegrityError:
            _join(connection, place, key, values)
    return n


def _join(connection: Connection, place: Place, key: Sequence[Any], values: dict[str, Any]) -> None:
    """Delete a row that would be the same as another one, which takes over what it counts."""
    this = [column == value for column, value in zip(place.key, key, strict=True)]
    counter = place.table.columns.get("n")
    if counter is not None:
        n = connection.scalar(sa.select(counter).where(*this))
        twin = [column == values.get(column.name, value) for column, value in zip(place.key, key, strict=True)]
        connection.execute(sa.update(place.table).where(*twin).values(n=counter + n))
    connection.execute(sa.delete(place.table).where(*this))


def last_key(place: Place) -> Sequence[Any] | None:
    """Return the highest key of a table; None if it is empty."""
    query = sa.select(*place.key).order_by(*(column.desc() for column in place.key)).limit(1)
    with place.engine.connect() as connection:
        return connection.execute(query).one_or_none()
