"""The database: one declarative base, UTC timestamps, and transactions that say whether they write."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import DeclarativeBase, Session

from smsapp.store.sqlite import BEGIN_IMMEDIATE, write_lock

Row = TypeVar("Row")

BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""SQLite generates a primary key only if its type is exactly INTEGER."""

Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def _no_json(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


# json.dumps creates such an encoder for every value, which takes longer than encoding a small value.
_encode = json.encoder.c_make_encoder(  # type: ignore[attr-defined]
    None,
    _no_json,
    json.encoder.encode_basestring,
    None,
    ":",
    ",",
    False,
    False,
    True,
)


def as_json(value: Any) -> str:
    """Return JSON without spaces and without escaped letters: SQLite does not find a key that is written \\uXXXX, and
    Chinese text is half as long, which speeds up scans of the contacts."""
    return "".join(_encode(value, 0))


class UtcDateTime(sa.types.TypeDecorator[dt.datetime]):
    """Aware UTC in Python on both databases; a naive value is refused, because its zone is a guess."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        value = value.astimezone(dt.UTC)
        return value if dialect.name == "postgresql" else value.replace(tzinfo=None)

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    # A registry, not `type_annotation_map`: Flask-SQLAlchemy copies this class, SQLAlchemy 2.1 allows one of them.
    registry = orm.registry(
        metadata=sa.MetaData(naming_convention=NAMES),
        type_annotation_map={dt.datetime: UtcDateTime, dict[str, Any]: Json, list[Any]: Json},
    )


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})


Condition: TypeAlias = sa.ColumnElement[bool]
"""A part of a WHERE that callers hand on."""


def current_session() -> Session:
    """Return the session of the present application context."""
    return db.session()


def lock_row(
    session: Session, model: type[Row], key: object, *, skip_locked: bool = False, key_share: bool = False
) -> Row | None:
    """Return the row as it is now, locked until the transaction ends; None if there is none.

    `skip_locked`: None also if another transaction has locked it. `key_share`: others may add rows that name it. On
    SQLite the transaction itself is the lock.
    """
    lock: Any = {"skip_locked": skip_locked, "key_share": key_share}
    return session.get(model, key, with_for_update=lock, populate_existing=True)


def keep_row(session: Session, model: type[Base], key: object) -> None:
    """Let nobody delete the row or lock it with `lock_row` until the transaction ends; others may change it."""
    column = sa.inspect(model).primary_key[0]
    session.execute(sa.select(column).where(column == key).with_for_update(read=True, key_share=True)).all()


def has_rows(session: Session, table: type[Base]) -> bool:
    """Return whether the table has any row."""
    return bool(session.scalar(_any_row(table)))


@cache
def _any_row(table: type[Base]) -> sa.Select[Any]:
    return sa.select(sa.exists().select_from(table))


def dialect() -> str:
    """Return "sqlite" or "postgresql"."""
    return db.engine.dialect.name


def upsert(table: Any) -> Any:
    """Return an INSERT with ON CONFLICT support for the database in use."""
    return postgresql.insert(table) if dialect() == "postgresql" else sqlite.insert(table)


def add_up(session: Session, table: Any, rows: Sequence[Mapping[str, Any]], latest: tuple[str, ...] = ()) -> None:
    """Add each row's `n` to the row of the same key, or insert it; the columns in `latest` take the new value.

    Executes one cached statement per row: a VALUES list of changing length would be compiled anew every time.
    """
    if rows:
        session.connection().execute(_adding_up(dialect(), table, latest), rows)


@cache
def _adding_up(_dialect: str, table: Any, latest: tuple[str, ...]) -> Any:
    new = upsert(table)
    more = {"n": table.n + new.excluded.n} | {name: new.excluded[name] for name in latest}
    return new.on_conflict_do_update(index_elements=list(table.__table__.primary_key), set_=more)


def as_array(numbers: Collection[Any]) -> str:
    """Return integers as the text of a PostgreSQL array: the driver is slow at passing a list."""
    return f"{{{','.join(map(str, numbers))}}}"


def one_of(
    column: sa.ColumnElement[Any] | orm.InstrumentedAttribute[Any], values: Collection[str] | Collection[int]
) -> sa.ColumnElement[bool]:
    """Return `column IN values` (texts or integers) with one bound parameter, however many values there are."""
    if dialect() == "postgresql":
        is_integer = isinstance(column.type, sa.Integer)
        bound_value: Any = as_array(values) if is_integer else list(values)
        array = sa.bindparam(None, bound_value, sa.Text if is_integer else postgresql.ARRAY(sa.Text))
        listing = sa.cast(array, postgresql.ARRAY(column.type)) if is_integer else array
        is_among: sa.ColumnElement[bool] = column == sa.any_(listing)
        return is_among
    each = sa.func.json_each(sa.bindparam(None, as_json(list(values)), sa.Text)).table_valued("value")
    condition: sa.ColumnElement[bool] = column.in_(sa.select(each.c.value))
    return condition


def list_of(column: sa.ColumnElement[int]) -> sa.ColumnElement[list[int]]:
    """Return the integers of a group as one list: one value for the driver, however many there are."""
    together = sa.func.json_agg if dialect() == "postgresql" else sa.func.json_group_array
    items: sa.ColumnElement[list[int]] = together(column, type_=sa.JSON)
    return items


def holds(text: sa.ColumnElement[Any] | Any, part: str) -> sa.ColumnElement[bool]:
    """Return the condition that `part` occurs literally in `text`.

    Not LIKE: it would need escaping, ignores case on SQLite, and is slower on PostgreSQL.
    """
    position = sa.func.strpos if dialect() == "postgresql" else sa.func.instr
    condition: sa.ColumnElement[bool] = position(text, part) > 0
    return condition


def changed(session: Session, statement: Any) -> int:
    """Run an UPDATE, DELETE or INSERT .. SELECT without the ORM's bookkeeping; return how many rows it changed."""
    return session.connection().execute(statement, execution_options={"preserve_rowcount": True}).rowcount


def driver(connection: sa.Connection) -> Any:
    """Return the driver's connection, inside the transaction that SQLAlchemy has begun."""
    return connection.connection.driver_connection


@contextmanager
def writing(*, frozen: bool = False) -> Iterator[Session]:
    """Open the one transaction of a use case: commit at the end, roll back on any exception.

    Only services call this. On SQLite it begins IMMEDIATE, when it is this writer's turn (`store/sqlite.py`). Reads
    made before in the same context are ended first, so that they cannot hold an old snapshot.

    `frozen`: all statements see the database as of the first one (on SQLite they always do). PostgreSQL then fails to
    change rows that another transaction changed meanwhile: the caller tries again later.
    """
    session = current_session()
    if session.new or session.dirty or session.deleted:
        raise RuntimeError("changes were made outside of writing()")
    session.commit()
    options = dict(BEGIN_IMMEDIATE)
    if frozen and dialect() == "postgresql":
        options["isolation_level"] = "REPEATABLE READ"
    with write_lock(db.engine):
        session.connection(execution_options=options)
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise


@contextmanager
def beside(session: Session) -> Iterator[Session]:
    """Open a short transaction within a long frozen one: it stays committed whatever becomes of the long one.

    A row that everybody changes cannot be changed by a frozen transaction, which would fail. On SQLite, where nobody
    else writes meanwhile, it is the same transaction.
    """
    if dialect() != "postgresql":
        yield session
        return
    with Session(db.engine) as own, own.begin():
        yield own


_ACTS = "to be done after the commit"


def after_commit(session: Session, act: Callable[[], object]) -> None:
    """Have `act` called once this transaction is committed; it is not called if it is rolled back."""
    session.info.setdefault(_ACTS, []).append(act)


@sa.event.listens_for(Session, "after_commit")
def _act(session: Session) -> None:
    if not session.in_nested_transaction():  # a savepoint has ended, not the transaction
        for act in session.info.pop(_ACTS, ()):
            act()


@sa.event.listens_for(Session, "after_rollback")
def _forget_acts(session: Session) -> None:
    if not session.in_nested_transaction():
        session.info.pop(_ACTS, None)
