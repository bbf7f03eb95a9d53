"""Requests for single messages as they came: stored before they are answered, handed on to `api_message` in bulk.

On SQLite the table lies in the file of the inbox, so that no program waits while a campaign is frozen. Two files are
not committed together: a request is handed on by its id, which `api_message` takes once, and emptied afterwards.
Emptied rows stay for a day, for the sake of their Idempotency-Keys.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import BigId, UtcDateTime, as_json, db, dialect, driver, one_of
from smsapp.store.receipts import inbox
from smsapp.store.sqlite import datetime_text

MOST_ROWS = 5000
"""Requests handed on in one transaction."""
WAITS = sa.text("given IS NOT NULL")
HAS_TOKEN = sa.text("token IS NOT NULL")
REQUEST = sa.Table(
    "message_request",
    inbox.metadata,
    sa.Column("id", BigId, primary_key=True),
    # Not foreign keys: these tables may be in another file. Of a command the key is COMMAND.
    sa.Column("key_id", sa.Integer, nullable=False),
    sa.Column("template_id", sa.Integer, nullable=False),
    sa.Column("contact_id", sa.BigInteger, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    # SHA-256 of the Idempotency-Key (of a random text without one: whoever stores it again after a COMMIT whose answer
    # was lost finds it), and of what makes the request the same one. NULL once it is free again.
    sa.Column("token", sa.String(64)),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    # JSON object, variable -> text; NULL once it is handed on
    sa.Column("given", sa.Text),
    sa.Index("ix_message_request_waiting", "id", sqlite_where=WAITS, postgresql_where=WAITS),
    sa.Index(
        "ix_message_request_token", "key_id", "token", unique=True, sqlite_where=HAS_TOKEN, postgresql_where=HAS_TOKEN
    ),
)
_WAITS = REQUEST.c.given.is_not(None)


@dataclass(eq=False, slots=True)
class NewRequest:
    """A request before it is stored; `contact_id`, `id` and `earlier` are set when it is."""

    key_id: int
    template_id: int
    xwho: str
    at: dt.datetime
    token: str
    fingerprint: str
    given: str = field(repr=False)
    contact_id: int | None = None
    """None once it is not stored because nobody has this `xwho`."""
    id: int = 0
    """Of the request, or of the earlier one with the same Idempotency-Key."""
    earlier: str | None = None
    """The fingerprint of that earlier one."""


def add(requests: Sequence[NewRequest], kept_since: dt.datetime) -> None:
    """Store requests in one transaction; once this returns they may be answered.

    One whose Idempotency-Key was used since `kept_since` is not stored: it gets the id of the earlier one. One for
    nobody is not stored either: its `contact_id` is None.

    Ids come from the clock (on SQLite the microsecond, or the next number if that is taken), so that none is used again
    once an older copy of the database is restored. They stay below 2^53, up to which every program counts exactly.
    """
    if dialect() == "sqlite":
        _find_contacts(requests)
    with inbox.writing_in_line() as connection:
        again = _insert(connection, requests)
        if again:
            _forget_tokens(connection, again, kept_since)
            for request in again:
                if _insert(connection, [request]):
                    request.id, request.earlier = connection.execute(_of_token(request.key_id, request.token)).one()


def _find_contacts(requests: Sequence[NewRequest]) -> None:
    xwhos = one_of(Contact.xwho, {request.xwho for request in requests})
    with db.engine.connect() as connection:
        rows = connection.execute(sa.select(Contact.xwho, Contact.id).where(xwhos)).all()
    ids = {row.xwho: row.id for row in rows}
    for request in requests:
        request.contact_id = ids.get(request.xwho)


def _insert(connection: Connection, requests: Sequence[NewRequest]) -> list[NewRequest]:
    """Insert requests and set their ids; return those whose Idempotency-Key is taken, also by one of the same list."""
    if connection.dialect.name == "sqlite":
        return _insert_sqlite(connection, [request for request in requests if request.contact_id is not None])
    first: dict[tuple[int, str], NewRequest] = {}
    taken = [
        request for request in requests if first.setdefault((request.key_id, request.token), request) is not request
    ]
    values = [
        [row.key_id, row.template_id, row.xwho, row.at.isoformat(), row.token, row.fingerprint, row.given]
        for row in first.values()
    ]
    with driver(connection).cursor() as cursor:
        for key_id, token, contact_id, new_id in cursor.execute(_INSERT_POSTGRESQL, [as_json(values)]):
            request = first[key_id, token]
            request.contact_id = contact_id
            if new_id is not None:
                request.id = new_id
            elif contact_id is not None:
                taken.append(request)
    return taken


def _insert_sqlite(connection: Connection, requests: Sequence[NewRequest]) -> list[NewRequest]:
    cursor = driver(connection).cursor()
    (highest,) = cursor.execute("SELECT coalesce(max(id), 0) FROM message_request").fetchone()
    taken = []
    for row in requests:
        new_id = max(int(row.at.timestamp() * 1e6), highest + 1)
        at = datetime_text(row.at)
        values = (new_id, row.key_id, row.template_id, row.contact_id, at, row.token, row.fingerprint, row.given)
        if cursor.execute(_INSERT_SQLITE, values).rowcount == 1:
            row.id = highest = new_id
        else:
            taken.append(row)
    cursor.close()
    return taken


def _forget_tokens(connection: Connection, requests: Sequence[NewRequest], kept_since: dt.datetime) -> None:
    """Forget the Idempotency-Keys of these requests that were used before that moment."""
    for request in requests:
        old = (REQUEST.c.key_id == request.key_id, REQUEST.c.token == request.token, REQUEST.c.at < kept_since)
        connection.execute(sa.update(REQUEST).where(*old).values(token=None))


def _of_token(key_id: int, token: str | None) -> sa.Select[Any]:
    return sa.select(REQUEST.c.id, REQUEST.c.fingerprint).where(REQUEST.c.key_id == key_id, REQUEST.c.token == token)


def waiting(limit: int = MOST_ROWS) -> Sequence[Row[Any]]:
    """Return the oldest requests that are not handed on: id, key_id, template_id, contact_id, at, given."""
    columns = [REQUEST.c[name] for name in ("id", "key_id", "template_id", "contact_id", "at", "given")]
    with inbox.engine().connect() as connection:
        return connection.execute(sa.select(*columns).where(_WAITS).order_by(REQUEST.c.id).limit(limit)).all()


def is_waiting() -> bool:
    """Return whether a request is not handed on yet."""
    with inbox.engine().connect() as connection:
        return connection.scalar(sa.select(REQUEST.c.id).where(_WAITS).limit(1)) is not None


def empty(ids: Sequence[int]) -> None:
    """Empty requests that were handed on."""
    with inbox.writing_in_line() as connection:
        connection.execute(sa.update(REQUEST).where(one_of(REQUEST.c.id, ids)).values(given=None))


def find(request_id: int) -> Row[Any] | None:
    """Return (is_emptied,) of a request; None if there is none, or none any more."""
    query = sa.select(REQUEST.c.given.is_(None).label("is_emptied")).where(REQUEST.c.id == request_id)
    with inbox.engine().connect() as connection:
        return connection.execute(query).one_or_none()


def of_token(key_id: int, token: str, since: dt.datetime) -> Row[Any] | None:
    """Return (id, fingerprint) of the request with this Idempotency-Key that was made since then, if any."""
    with inbox.engine().connect() as connection:
        return connection.execute(_of_token(key_id, token).where(REQUEST.c.at >= since)).one_or_none()


_INSERT_SQLITE = """
INSERT INTO message_request (id, key_id, template_id, contact_id, at, token, fingerprint, given)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key_id, token) WHERE token IS NOT NULL DO NOTHING
"""
# One round trip with one value, whatever the number of requests: the driver takes long for each value.
_INSERT_POSTGRESQL = """
WITH wanted AS MATERIALIZED (
    SELECT (item ->> 0)::integer AS key_id, (item ->> 1)::integer AS template_id, contact.id AS contact_id,
        (item ->> 3)::timestamptz AS at, item ->> 4 AS token, item ->> 5 AS fingerprint, item ->> 6 AS given
    FROM json_array_elements(%s::json) AS item LEFT JOIN contact ON contact.xwho = item ->> 2
), stored AS (
    INSERT INTO message_request (id, key_id, template_id, contact_id, at, token, fingerprint, given)
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint * 4096
        + (nextval(pg_get_serial_sequence('message_request', 'id')) & 4095),
        key_id, template_id, contact_id, at, token, fingerprint, given
    FROM wanted WHERE contact_id IS NOT NULL
    ON CONFLICT (key_id, token) WHERE token IS NOT NULL DO NOTHING
    RETURNING id, key_id, token
)
SELECT wanted.key_id, wanted.token, wanted.contact_id, stored.id FROM wanted LEFT JOIN stored USING (key_id, token)
"""
