"""The inbox: raw callbacks, stored before they are acknowledged and applied later in bulk.

On SQLite it is a separate file beside the database: a file has one writer at a time, and a callback must not wait while
a campaign is frozen. On PostgreSQL it is a table among the others.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.orm import Session

from smsapp.store.db import NAMES, BigId, Json, UtcDateTime, db, dialect, one_of
from smsapp.store.sqlite import BEGIN_IMMEDIATE, write_lock

BIND = "inbox"
READER = 7_460_001
"""Key of the PostgreSQL advisory lock that admits one consumer at a time; SQLite has one writer anyway."""


class InboxState(enum.IntEnum):
    NEW = 0
    APPLIED = 1
    UNREADABLE = 2


metadata = sa.MetaData(naming_convention=NAMES)
INBOX = sa.Table(
    "inbox",
    metadata,
    sa.Column("id", BigId, primary_key=True),
    # Not a foreign key: the channel may be in another file.
    sa.Column("channel_id", sa.Integer, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("state", sa.SmallInteger, nullable=False),
    sa.Column("method", sa.String(7), nullable=False),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("query", sa.Text, nullable=False),
    sa.Column("headers", Json, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Index(
        "ix_inbox_new", "channel_id", "id", sqlite_where=sa.text("state = 0"), postgresql_where=sa.text("state = 0")
    ),
)
# A literal, as in the index: PostgreSQL does not use a partial index for a parameter whose value it may not know.
_NEW = INBOX.c.state == sa.literal_column("0")
_COLUMNS = [INBOX.c[name] for name in ("id", "channel_id", "method", "query", "headers", "body", "url")]
# PostgreSQL estimates that few rows are new, whatever their number, and would fetch and sort all to get the oldest.
_IN_ORDER = sa.text("SET LOCAL enable_bitmapscan = off")
_ADD = sa.insert(INBOX)
# Ids are never reused, even if rows were removed, the file is lost or an older copy is restored: an id is the
# microsecond, or the next number if that is taken.
_ADD_BY_CLOCK = _ADD.values(
    id=sa.func.max(
        sa.bindparam("microsecond", type_=sa.BigInteger),
        sa.select(sa.func.coalesce(sa.func.max(INBOX.c.id), 0) + 1).scalar_subquery(),
    )
)


StoredCallback: TypeAlias = Row[Any]
"""A stored callback: id, channel_id and the fields of a Callback, in its order."""


def binds(database_url: str, options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return Flask-SQLAlchemy's bind for the inbox: another file on SQLite, {} on PostgreSQL."""
    url = sa.make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return {}
    stem, dot, ending = url.database.rpartition(".")
    beside = f"{stem}-inbox{dot}{ending}" if dot and "/" not in ending else f"{url.database}-inbox"
    return {BIND: {"url": url.set(database=beside), **options}}


def engine() -> Engine:
    """Return the engine of the inbox; on PostgreSQL it is the main one."""
    return db.engines.get(BIND, db.engine)


def writing() -> AbstractContextManager[Connection]:
    """Open a transaction of the inbox alone; committed at the end, rolled back on any exception."""
    return engine().begin()


@contextmanager
def writing_in_line() -> Iterator[Connection]:
    """Open a transaction of the inbox that reads before it writes: on SQLite it waits in line and begins IMMEDIATE."""
    inbox = engine()
    with write_lock(inbox), inbox.connect().execution_options(**BEGIN_IMMEDIATE) as connection, connection.begin():
        yield connection


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Store raw requests: channel_id, received_at, method, url, query, headers, body."""
    new = {"state": int(InboxState.NEW)}
    if connection.dialect.name == "sqlite":
        connection.execute(_ADD_BY_CLOCK, [new | _microsecond(row) | row for row in rows])
    else:
        connection.execute(_ADD, [new | row for row in rows])


def _microsecond(row: dict[str, Any]) -> dict[str, int]:
    return {"microsecond": int(row["received_at"].timestamp() * 1e6)}


def only_reader(session: Session) -> bool:
    """Take the consumer lock until the transaction ends; return False if another consumer has it."""
    if dialect() != "postgresql":
        return True
    return bool(session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(READER))))


def waiting_channels() -> Sequence[int]:
    """Return the ids of the channels with unread callbacks; one index look-up each."""
    channel_id = INBOX.c.channel_id
    first = sa.select(sa.func.min(channel_id).label("id")).where(_NEW).cte("waiting", recursive=True)
    following = sa.select(sa.func.min(channel_id)).where(_NEW, channel_id > first.c.id).scalar_subquery()
    channels = first.union_all(sa.select(following).select_from(first).where(first.c.id.is_not(None)))
    with engine().connect() as connection:
        return connection.execute(sa.select(channels.c.id).where(channels.c.id.is_not(None))).scalars().all()


def unread(channel_id: int, limit: int, after: int = 0) -> Sequence[StoredCallback]:
    """Return the oldest unread callbacks of this channel with an id above `after`, in the order they came."""
    of_channel = INBOX.c.channel_id == channel_id, INBOX.c.id > after
    with engine().connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(_IN_ORDER)
        oldest = sa.select(*_COLUMNS).where(_NEW, *of_channel).order_by(INBOX.c.id).limit(limit)
        return connection.execute(oldest).all()


def oldest_unread() -> dt.datetime | None:
    """Return when the oldest unread callback came; one index look-up for each channel that has some."""
    received = [rows[0] for channel_id in waiting_channels() if (rows := _first_received(channel_id))]
    return min(received, default=None)


def _first_received(channel_id: int) -> Sequence[dt.datetime]:
    oldest = sa.select(INBOX.c.received_at).where(_NEW, INBOX.c.channel_id == channel_id).order_by(INBOX.c.id).limit(1)
    with engine().connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(_IN_ORDER)
        return connection.execute(oldest).scalars().all()


def unread_ids(limit: int) -> Sequence[int]:
    """Return up to `limit` ids of unread callbacks, in no order."""
    with engine().connect() as connection:
        return connection.execute(sa.select(INBOX.c.id).where(_NEW).limit(limit)).scalars().all()


def first_unread_id() -> int | None:
    """Return the id of the oldest unread callback; None if all are read."""
    with engine().connect() as connection:
        return connection.execute(sa.select(sa.func.min(INBOX.c.id)).where(_NEW)).scalar()


def backlog(channel_id: int, limit: int) -> tuple[int, int]:
    """Return (unread callbacks of a channel, bytes of their bodies), counting up to `limit` callbacks."""
    oldest = sa.select(sa.func.length(INBOX.c.body).label("size")).where(_NEW, INBOX.c.channel_id == channel_id)
    bodies = oldest.limit(limit).subquery()
    with engine().connect() as connection:
        n, size = connection.execute(sa.select(sa.func.count(), sa.func.sum(bodies.c.size))).one()
    return int(n), int(size or 0)


def mark_read(connection: Connection, ids: Sequence[int], state: InboxState = InboxState.APPLIED) -> None:
    if ids:
        connection.execute(sa.update(INBOX).where(one_of(INBOX.c.id, ids)).values(state=int(state)))


def delete_unread(connection: Connection, channel_id: int) -> None:
    """Delete the unread callbacks of this channel."""
    connection.execute(sa.delete(INBOX).where(_NEW, INBOX.c.channel_id == channel_id))
