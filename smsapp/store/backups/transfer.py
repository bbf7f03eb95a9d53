"""Every row of a SQLite database, copied into an empty PostgreSQL one of the same schema, and compared afterwards.

Both sides read the same values of the same tables: counts and checksums are made from them, in no order, because the
two databases sort differently. JSON travels as the text that SQLite holds and is compared by what it says.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg import sql
from sqlalchemy.orm import Session

from smsapp.store import schema
from smsapp.store.backups.copies import COUNTED
from smsapp.store.db import db
from smsapp.store.receipts import inbox
from smsapp.store.runs import partitions
from smsapp.store.runs.ledger_mark import LedgerMark
from smsapp.store.runs.runs import Run
from smsapp.store.sqlite import BEGIN_IMMEDIATE, write_lock

PAGE = 5000
"""Rows that are read at a time, and between two reports of progress."""
MOST_UNFIT = 20
"""Values that do not fit, of which the places are kept; the copy ends then."""

Progress = Callable[[str, int, int], None]
"""Is told table, rows done, rows in all."""


@dataclass(frozen=True)
class TableSum:
    """What a table holds: how many rows, and the sum of their hashes (64 bits)."""

    rows: int
    checksum: int


@dataclass(frozen=True)
class Unfit:
    """Where a value is that SQLite holds and PostgreSQL would refuse: too long, or with a NUL."""

    table: str
    column: str
    key: str
    """The primary key, of a table whose key names no person."""


def tables() -> list[sa.Table]:
    """Return all tables of the schema."""
    return [table for metadata in schema.PARTS.values() for table in metadata.sorted_tables]


@contextmanager
def source() -> Iterator[dict[str, sa.Connection]]:
    """Open both files of the SQLite database (part -> connection) and let nobody write to them meanwhile."""
    engines = {"main": db.engine, "inbox": inbox.engine()}
    with ExitStack() as stack:
        connections = {}
        for part, engine in engines.items():
            stack.enter_context(write_lock(engine))
            connection = stack.enter_context(engine.connect().execution_options(**BEGIN_IMMEDIATE))
            stack.enter_context(connection.begin())
            connections[part] = connection
        yield connections


def part_of(table: sa.Table) -> str:
    """Return the part of the schema that a table belongs to."""
    return next(part for part, metadata in schema.PARTS.items() if table.metadata is metadata)


def is_filled(target: sa.Connection) -> bool:
    """Return whether the database holds something of an installation."""
    present = set(sa.inspect(target).get_table_names())
    return any(target.scalar(sa.select(sa.exists().select_from(sa.table(name)))) for name in COUNTED if name in present)


def copy(
    sources: dict[str, sa.Connection], target: sa.Connection, progress: Progress
) -> tuple[dict[str, TableSum], list[Unfit]]:
    """Copy every table in the target's transaction; return what was read of each, and what does not fit.

    Keys and indexes are made anew afterwards, which takes half the time. Where something does not fit, nothing may be
    committed.
    """
    driver: psycopg.Connection[Any] = target.connection.driver_connection  # type: ignore[assignment]
    sums: dict[str, TableSum] = {}
    unfit: list[Unfit] = []
    keys, indexes = driver.execute(_FOREIGN_KEYS).fetchall(), driver.execute(_INDEXES).fetchall()
    _drop(driver, keys, indexes)
    _make_partitions(sources["main"], target)
    for table in tables():
        if target.scalar(sa.select(sa.exists().select_from(table))):  # rows that a migration has made
            target.execute(sa.delete(table))
        sums[table.name] = _copy_table(sources[part_of(table)], driver, table, unfit, progress)
        if len(unfit) >= MOST_UNFIT:
            break
    if not unfit:
        _make(driver, keys, indexes)
        _set_sequences(target)
    return sums, unfit


def _copy_table(
    connection: sa.Connection, driver: psycopg.Connection[Any], table: sa.Table, unfit: list[Unfit], progress: Progress
) -> TableSum:
    columns = list(table.columns)
    size = connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
    )
    fit = _Fit(table, unfit)
    rows = checksum = 0
    with driver.cursor() as cursor, cursor.copy(statement) as writer:
        for page in _pages(connection, table):
            for row in page:
                if not fit.holds(row):
                    continue
                writer.write_row(row)
                checksum += _hash(columns, row)
            rows += len(page)
            progress(table.name, rows, size)
            if len(unfit) >= MOST_UNFIT:
                break
    return TableSum(rows, checksum % (1 << 64))


def total(connection: sa.Connection, table: sa.Table, progress: Progress, size: int) -> TableSum:
    """Return what a table holds; `size` is how many rows are expected."""
    columns, rows, checksum = list(table.columns), 0, 0
    for page in _pages(connection, table):
        checksum += sum(_hash(columns, row) for row in page)
        rows += len(page)
        progress(table.name, rows, size)
    return TableSum(rows, checksum % (1 << 64))


def _pages(connection: sa.Connection, table: sa.Table) -> Iterator[Sequence[sa.Row[Any]]]:
    query = sa.select(*(_read(column) for column in table.columns))
    result = connection.execution_options(stream_results=True, yield_per=PAGE).execute(query)
    yield from result.partitions()


def _is_json(column: sa.Column[Any]) -> bool:
    kind = column.type.impl if isinstance(column.type, sa.types.TypeDecorator) else column.type
    return isinstance(kind, sa.JSON)


def _read(column: sa.Column[Any]) -> Any:
    """Return what is selected of a column: JSON as text, which tells its null from none."""
    if not _is_json(column):
        return column
    return sa.cast(sa.type_coerce(column, sa.Text), sa.Text).label(column.name)


def _hash(columns: Sequence[sa.Column[Any]], row: sa.Row[Any]) -> int:
    """Return 64 bits of a row's values."""
    values = [
        _plain(json.loads(value)) if value is not None and _is_json(column) else _comparable(value)
        for column, value in zip(columns, row, strict=True)
    ]
    text = json.dumps(values, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _comparable(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.timestamp()
    if value is None or isinstance(value, str | int | float):
        return value
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


def _plain(value: Any) -> Any:
    """Return JSON as [it]; a number is the same whether it is written 100, 100.0 or 1e2."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Fit:
    """Tells whether PostgreSQL takes the texts of a row."""

    def __init__(self, table: sa.Table, unfit: list[Unfit]) -> None:
        self._table, self._unfit = table, unfit
        self._texts = [
            (place, column.name, getattr(column.type, "length", None) or 1 << 30, _is_json(column))
            for place, column in enumerate(table.columns)
            if isinstance(column.type, sa.String) or _is_json(column)
        ]
        self._keys = [place for place, column in enumerate(table.columns) if column.primary_key]
        self._is_numbered = all(isinstance(column.type, sa.Integer) for column in table.primary_key)

    def holds(self, row: sa.Row[Any]) -> bool:
        for place, name, length, is_json in self._texts:
            text = row[place]
            if text is not None and (len(text) > length or "\x00" in text or (is_json and _holds_nul(text))):
                key = ", ".join(str(row[place]) for place in self._keys) if self._is_numbered else ""
                self._unfit.append(Unfit(self._table.name, name, key))
                return False
        return True


def _holds_nul(text: str) -> bool:
    """Return whether a string in this JSON holds a NUL; an escaped backslash before u0000 is none."""
    return "\\u0000" in text and "\\u0000" in text.replace("\\\\", "")


# -- PostgreSQL -------------------------------------------------------------------------------------------------------

_FOREIGN_KEYS = """
    SELECT relname, conname, pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_class t ON t.oid = conrelid
    WHERE contype = 'f' AND connamespace = current_schema()::regnamespace
"""
_INDEXES = """
    SELECT i.relname, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class i ON i.oid = indexrelid
    WHERE relnamespace = current_schema()::regnamespace
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""
_SEQUENCES = """
    SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name)
    FROM information_schema.columns WHERE table_schema = current_schema()
    AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL
"""


def _make_partitions(source: sa.Connection, target: sa.Connection) -> None:
    """Make the partitions of the runs that are copied."""
    runs = Run.id // partitions.RUNS_PER_PARTITION
    with Session(target) as session:
        for run_id in source.scalars(sa.select(sa.func.min(Run.id)).group_by(runs)):
            partitions.create(session, run_id)
        session.flush()


def _drop(driver: psycopg.Connection[Any], keys: list[Any], indexes: list[Any]) -> None:
    """Drop foreign keys, and indexes that no constraint needs."""
    for table, name, _definition in keys:
        drop = sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}")
        driver.execute(drop.format(sql.Identifier(table), sql.Identifier(name)))
    for name, _definition in indexes:
        driver.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))


def _make(driver: psycopg.Connection[Any], keys: list[Any], indexes: list[Any]) -> None:
    """Make again what `_drop` has dropped."""
    for _name, definition in indexes:
        # Of a partitioned table it is given without those of the partitions.
        driver.execute(definition.replace(" ON ONLY ", " ON ", 1))
    for table, name, definition in keys:
        add = sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} ").format(sql.Identifier(table), sql.Identifier(name))
        driver.execute(add + sql.SQL(definition))


def _set_sequences(target: sa.Connection) -> None:
    """Have new rows get ids after those that were copied; new runs also after those an older copy may not know."""
    for table, column, sequence in target.execute(sa.text(_SEQUENCES)).all():
        key = sa.column(column, sa.BigInteger)
        highest = target.scalar(sa.select(sa.func.max(key)).select_from(sa.table(table))) or 0
        if table == Run.__tablename__:
            highest = max(highest, (target.scalar(sa.select(LedgerMark.first_run_id)) or 1) - 1)
        # Without a row the sequence begins at one.
        target.execute(sa.select(sa.func.setval(sequence, max(highest, 1), highest > 0)))
    target.execute(sa.text("ANALYZE"))
