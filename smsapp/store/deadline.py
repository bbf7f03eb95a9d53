"""The moment by which a web request must be done: every statement and every wait for a lock ends there.

Jobs and commands have none. A request that runs over ends with OutOfTime, and its transaction is rolled back.
"""

from __future__ import annotations

import math
import time
from contextvars import ContextVar
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from smsapp.domain.errors import OutOfTime

_END: ContextVar[float | None] = ContextVar("deadline", default=None)
PREPARED = "smsapp.deadline"
"""In the info of a connection that a request has opened or used."""
LIMITS = ("statement_timeout", "lock_timeout")
SHORTEST_CONNECT = 2
"""Seconds: the least that PostgreSQL's library takes for a limit of connecting."""
STEPS = 100_000
"""Steps of SQLite's machine, a few milliseconds of work, between two looks at the clock."""
TIMED_OUT = frozenset({"57014", "55P03"})
"""SQLSTATE of PostgreSQL for a statement that took too long, and for a lock that was not free in time."""


def begin(seconds: float) -> None:
    """Let what this thread does from now on take at most so long; a later call begins anew."""
    _END.set(time.monotonic() + seconds)


def end() -> None:
    """Let what this thread does from now on take as long as it likes."""
    _END.set(None)


def is_set() -> bool:
    return _END.get() is not None


def seconds_left() -> float | None:
    """Return the seconds left, 0 if the time is up; None if there is no deadline."""
    end = _END.get()
    return None if end is None else max(0.0, end - time.monotonic())


def check() -> None:
    """Raise OutOfTime if the time is up."""
    if seconds_left() == 0:
        raise OutOfTime


def prepare_engine(engine: Engine, usual: float) -> None:
    """End statements of this engine at the deadline; `usual` are the seconds most requests have.

    Jobs pay nothing for it. On PostgreSQL a connection that a request opens has the usual limit from the start, so that
    a transaction sets its own only if much more or less is left.
    """
    sa.event.listen(engine, "before_cursor_execute", lambda *_: check())
    sa.event.listen(engine, "handle_error", _as_out_of_time)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "begin", lambda connection: _watch_sqlite(connection, usual))
        return

    @sa.event.listens_for(engine, "do_connect")
    def on_connect(_dialect: Any, record: Any, _arguments: Any, options: dict[str, Any]) -> None:
        if is_set():
            limits = (f"-c {name}={_ms(usual)}" for name in LIMITS)
            options["options"] = " ".join([options.get("options", ""), *limits]).strip()
            options.setdefault("connect_timeout", max(SHORTEST_CONNECT, math.ceil(seconds_left() or 0)))
            record.info[PREPARED] = True

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        left = seconds_left()
        if left is None or (usual / 2 <= left <= usual and PREPARED in connection.info):
            return
        for name in LIMITS:
            # nosemgrep: sql-from-an-f-string -- takes no parameters; a number
            connection.exec_driver_sql(f"SET LOCAL {name} = {_ms(left)}")


def _ms(seconds: float) -> int:
    """Return whole milliseconds, at least 1: PostgreSQL takes 0 for no limit."""
    return max(1, round(seconds * 1000))


def _watch_sqlite(connection: sa.Connection, usual: float) -> None:
    """Let SQLite look at the clock while it works, and wait for other writers no longer than a request may take."""
    if is_set() and PREPARED not in connection.info:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(lambda: seconds_left() == 0, STEPS)
        # nosemgrep: sql-from-an-f-string -- takes no parameters; a number
        driver.execute(f"PRAGMA busy_timeout={_ms(usual)}")
        connection.info[PREPARED] = True


def _as_out_of_time(context: Any) -> None:
    """Raise OutOfTime instead of the driver's error for what the deadline has ended."""
    error = context.original_exception
    is_ended = getattr(error, "sqlstate", None) in TIMED_OUT or str(error) in {"interrupted", "database is locked"}
    if is_ended and is_set():
        raise OutOfTime from error
