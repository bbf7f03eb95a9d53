"""The inbox: callbacks as they came, stored before they are acknowledged and applied later in bulk.

On SQLite it is a file of its own beside the database: a file has one writer at a time, and whoever brings a receipt
must not wait while a campaign is frozen. On PostgreSQL it is a table among the others.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Row
from sqlalchemy.orm import Session

from smsapp.store.db import NAMES, BigId, Json, UtcDateTime, db, dialect, one_of

BIND = "inbox"
READER = 7_460_001
"""Key of the PostgreSQL advisory lock that lets one consumer apply at a time; SQLite has one writer anyway."""


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
# Written out, as in the index: PostgreSQL does not look into that one for a parameter whose value it may not know.
_NEW = INBOX.c.state == sa.literal_column("0")
_COLUMNS = [INBOX.c[name] for name in ("id", "channel_id", "method", "query", "headers", "body", "url")]
# PostgreSQL believes that few wait, whatever their number, and would fetch and sort all of them for the oldest ones.
_IN_ORDER = sa.text("SET LOCAL enable_bitmapscan = off")
_ADD = sa.insert(INBOX)
# Whatever was removed, and even if the file is lost or an older copy of it comes back, an id never comes again: it is
# the microsecond, or the next number if that one is taken.
_ADD_BY_CLOCK = _ADD.values(
    id=sa.func.max(
        sa.bindparam("microsecond", type_=sa.BigInteger),
        sa.select(sa.func.coalesce(sa.func.max(INBOX.c.id), 0) + 1).scalar_subquery(),
    )
)


def binds(database_url: str, options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what Flask-SQLAlchemy has to know of the inbox: another file on SQLite, nothing on PostgreSQL."""
    url = sa.make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return {}
    stem, dot, ending = url.database.rpartition(".")
    beside = f"{stem}-inbox{dot}{ending}" if dot and "/" not in ending else f"{url.database}-inbox"
    return {BIND: {"url": url.set(database=beside), **options}}


def engine() -> Engine:
    """Return the engine of the inbox: on PostgreSQL the one and only."""
    return db.engines.get(BIND, db.engine)


def writing() -> AbstractContextManager[Connection]:
    """Open a short transaction of the inbox alone; committed at the end, rolled back on any exception."""
    return engine().begin()


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Keep requests as they came: channel_id, received_at, method, url, query, headers, body."""
    new = {"state": int(InboxState.NEW)}
    if connection.dialect.name == "sqlite":
        connection.execute(_ADD_BY_CLOCK, [new | _microsecond(row) | row for row in rows])
    else:
        connection.execute(_ADD, [new | row for row in rows])


def _microsecond(row: dict[str, Any]) -> dict[str, int]:
    return {"microsecond": int(row["received_at"].timestamp() * 1e6)}


def only_reader(session: Session) -> bool:
    """Become the one who applies until the transaction ends; False if another is at work."""
    if dialect() != "postgresql":
        return True
    return bool(session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(READER))))


def waiting_channels() -> Sequence[int]:
    """Return the ids of the channels of which a callback waits to be read; one step into the index for each."""
    channel_id = INBOX.c.channel_id
    first = sa.select(sa.func.min(channel_id).label("id")).where(_NEW).cte("waiting", recursive=True)
    following = sa.select(sa.func.min(channel_id)).where(_NEW, channel_id > first.c.id).scalar_subquery()
    waiting = first.union_all(sa.select(following).select_from(first).where(first.c.id.is_not(None)))
    with engine().connect() as session:
        return session.execute(sa.select(waiting.c.id).where(waiting.c.id.is_not(None))).scalars().all()


def unread(channel_id: int, limit: int, after: int = 0) -> Sequence[Row[Any]]:
    """Return the oldest callbacks of this channel behind this id that nobody has read, in the order they came."""
    of_channel = INBOX.c.channel_id == channel_id, INBOX.c.id > after
    with engine().connect() as session:
        if session.dialect.name == "postgresql":
            session.execute(_IN_ORDER)
        oldest = sa.select(*_COLUMNS).where(_NEW, *of_channel).order_by(INBOX.c.id).limit(limit)
        return session.execute(oldest).all()


def unread_ids(limit: int) -> Sequence[int]:
    """Return the ids of so many callbacks that nobody has read, in no order."""
    with engine().connect() as session:
        return session.execute(sa.select(INBOX.c.id).where(_NEW).limit(limit)).scalars().all()


def backlog(channel_id: int, limit: int) -> tuple[int, int]:
    """Return how many callbacks of a channel wait to be read, counted up to `limit`, and the bytes of their bodies."""
    oldest = sa.select(sa.func.length(INBOX.c.body).label("size")).where(_NEW, INBOX.c.channel_id == channel_id)
    waiting = oldest.limit(limit).subquery()
    with engine().connect() as session:
        n, size = session.execute(sa.select(sa.func.count(), sa.func.sum(waiting.c.size))).one()
    return int(n), int(size or 0)


def mark_read(connection: Connection, ids: Sequence[int], state: InboxState = InboxState.APPLIED) -> None:
    if ids:
        connection.execute(sa.update(INBOX).where(one_of(INBOX.c.id, ids)).values(state=int(state)))


def forget_unread(connection: Connection, channel_id: int) -> None:
    """Remove what nobody has read of this channel."""
    connection.execute(sa.delete(INBOX).where(_NEW, INBOX.c.channel_id == channel_id))


def old_ids(before: dt.datetime, among: int) -> Sequence[int]:
    """Return those of the oldest so many callbacks that were read and came before this moment."""
    with engine().connect() as session:
        oldest = session.execute(
            sa.select(INBOX.c.id, INBOX.c.state, INBOX.c.received_at).order_by(INBOX.c.id).limit(among)
        )
        return [one.id for one in oldest if one.state != InboxState.NEW and one.received_at < before]


def forget(connection: Connection, ids: Sequence[int]) -> None:
    connection.execute(sa.delete(INBOX).where(INBOX.c.id.in_(ids)))
