"""What apps have reported and nobody has applied yet: records as they came, many to a row, in the order they came.

On SQLite the table lies in the file of the inbox, so that no app waits while a campaign is frozen. Two files are not
committed together: `UploadMark`, which is in the main one, says up to which row everything is applied, so that an
increment is never applied twice. On PostgreSQL rows are removed in the transaction that applies them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from smsapp.store.db import Base, BigId, Json, UtcDateTime, as_array, changed, db, dialect, driver
from smsapp.store.receipts import inbox
from smsapp.store.sqlite import datetime_text

MOST_ROWS = 500
"""Rows looked at for one transaction."""
READER = 7_460_002
"""Key of the PostgreSQL advisory lock that lets one process apply at a time."""

UPLOAD = sa.Table(
    "upload",
    inbox.metadata,
    sa.Column("id", BigId, primary_key=True),
    sa.Column("received_at", UtcDateTime, nullable=False),
    # {reason: number of records of which nothing else is kept}
    sa.Column("counted", Json, nullable=False),
    # A JSON array of records; each names its AppKey. Bytes, because what is inside may be no text for PostgreSQL.
    sa.Column("records", sa.LargeBinary, nullable=False),
)


class UploadMark(Base):
    """The one row that says which uploads are applied, by the id of the last one (SQLite only)."""

    __tablename__ = "upload_mark"

    id: Mapped[int] = mapped_column(primary_key=True)
    applied: Mapped[int] = mapped_column(sa.BigInteger)


@dataclass(frozen=True, slots=True)
class NewUpload:
    """A row before it is stored."""

    received_at: dt.datetime
    records: bytes
    counted: dict[str, int]


@dataclass(frozen=True, slots=True)
class Upload:
    """A stored row."""

    id: int
    received_at: dt.datetime
    records: bytes
    counted: dict[str, int]


def add(rows: Sequence[NewUpload]) -> None:
    """Store rows in one transaction; once this returns they may be acknowledged.

    On SQLite an id is the microsecond, or the next number if that one is taken: a lost file or an older copy of it
    never brings back an id that was applied.
    """
    with inbox.writing_in_line() as connection:
        if connection.dialect.name == "sqlite":
            new = [
                (
                    int(row.received_at.timestamp() * 1e6),
                    datetime_text(row.received_at),
                    json.dumps(row.counted),
                    row.records,
                )
                for row in rows
            ]
            driver(connection).executemany(_ADD_SQLITE, new)
        else:
            connection.exec_driver_sql(
                _ADD_POSTGRESQL, [(row.received_at, json.dumps(row.counted), row.records) for row in rows]
            )


def _applied() -> int:
    """Return up to which id rows are applied, though they may still be there."""
    if dialect() != "sqlite":
        return 0
    with db.engine.connect() as connection:
        return connection.scalar(sa.select(UploadMark.applied)) or 0


def is_waiting() -> bool:
    """Return whether a row is not applied yet."""
    query = sa.select(UPLOAD.c.id).where(UPLOAD.c.id > _applied()).limit(1)
    with inbox.engine().connect() as connection:
        return connection.scalar(query) is not None


def waiting(most_bytes: int) -> list[Upload]:
    """Return the oldest rows that are not applied, at least one and about so many bytes together."""
    query = sa.select(*(UPLOAD.c[name] for name in ("id", "received_at", "records", "counted"))).where(
        UPLOAD.c.id > _applied()
    )
    rows: list[Upload] = []
    size = 0
    with inbox.engine().connect() as connection:
        for row in connection.execute(query.order_by(UPLOAD.c.id).limit(MOST_ROWS)):
            rows.append(Upload(*row))
            size += len(row.records)
            if size >= most_bytes:
                break
    return rows


def is_waiting_since(moment: dt.datetime) -> bool:
    """Return whether a row that came by this moment is not applied yet."""
    return any(row.received_at <= moment for row in waiting(1))


def only_reader(session: Session) -> bool:
    """Become the one who applies until the transaction ends; False if another is at work."""
    if dialect() != "postgresql":
        return True
    return bool(session.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(READER))))


def mark_applied(session: Session, uploads: Sequence[Upload]) -> bool:
    """Have these rows count as applied, with the transaction that applies them; False if they are already."""
    if dialect() == "postgresql":
        ids = sa.cast(sa.bindparam(None, as_array([row.id for row in uploads]), sa.Text), sa.ARRAY(sa.BigInteger))
        return changed(session, sa.delete(UPLOAD).where(UPLOAD.c.id == sa.any_(ids))) == len(uploads)
    last = uploads[-1].id
    marked = sa.update(UploadMark).where(UploadMark.applied < uploads[0].id).values(applied=last)
    if changed(session, marked) == 1:
        return True
    if session.scalar(sa.select(UploadMark.applied)) is not None:
        return False
    session.execute(sa.insert(UploadMark).values(id=1, applied=last))
    return True


def remove_applied(last: int) -> None:
    """Remove rows up to this one, which are applied; the newest row stays, so that ids only grow."""
    if dialect() == "sqlite":
        with inbox.writing_in_line() as connection:
            connection.exec_driver_sql(
                "DELETE FROM upload WHERE id <= ? AND id < (SELECT max(id) FROM upload)", (last,)
            )


_ADD_SQLITE = (
    "INSERT INTO upload (id, received_at, counted, records) "
    "VALUES (max(?, (SELECT coalesce(max(id), 0) + 1 FROM upload)), ?, ?, ?)"
)
_ADD_POSTGRESQL = "INSERT INTO upload (received_at, counted, records) VALUES (%s, %s::jsonb, %s)"
