"""The PostgreSQL that an installation is moved to: opened by its address, looked at, filled and read again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from smsapp.domain.errors import Problem, Refusal
from smsapp.store.backups import transfer
from smsapp.store.backups.transfer import Progress, TableSum

DRIVER = "postgresql+psycopg"
LONGEST_REASON = 200


@contextmanager
def opened(address: str) -> Iterator[sa.Engine]:
    """Open the database at this address. Raises Refusal if it is no address of a PostgreSQL."""
    try:
        url = sa.make_url(address)
    except sa.exc.ArgumentError:
        raise Refusal(Problem("move_bad_address")) from None
    if url.get_backend_name() != "postgresql":
        raise Refusal(Problem("move_bad_address"))
    engine = sa.create_engine(url.set(drivername=DRIVER), hide_parameters=True)
    try:
        yield engine
    finally:
        engine.dispose()


def server(engine: sa.Engine) -> str:
    """Return kind and version of the server. Raises Refusal if it does not answer, or holds an installation."""
    try:
        with engine.connect() as connection:
            if transfer.is_filled(connection):
                raise Refusal(Problem("move_target_filled"))
            return f"PostgreSQL {str(connection.scalar(sa.text('SHOW server_version'))).split(maxsplit=1)[0]}"
    except SQLAlchemyError as error:
        reason = " ".join(str(getattr(error, "orig", error)).split())[:LONGEST_REASON]
        raise Refusal(Problem("move_unreachable", facts={"reason": reason})) from None


def fill(engine: sa.Engine, sources: dict[str, sa.Connection], progress: Progress) -> dict[str, TableSum]:
    """Copy every table in one transaction; return what was read of each. Raises Refusal if a value does not fit."""
    try:
        with engine.begin() as target:
            sums, unfit = transfer.copy(sources, target, progress)
            if unfit:
                places = ", ".join(f"{place.table}.{place.column} {place.key}".strip() for place in unfit)
                raise Refusal(Problem("move_unfit", facts={"places": places}))
    except (psycopg.Error, SQLAlchemyError) as error:
        # What the server says may hold values of a row.
        cause = getattr(error, "orig", error)
        code = getattr(cause, "sqlstate", None) or type(cause).__name__
        raise Refusal(Problem("move_failed", facts={"code": code})) from None
    return sums


def totals(engine: sa.Engine, expected: dict[str, TableSum], progress: Progress) -> dict[str, TableSum]:
    """Read every table again; return what it holds."""
    with engine.connect() as target:
        return {
            table.name: transfer.total(target, table, progress, expected[table.name].rows)
            for table in transfer.tables()
        }
