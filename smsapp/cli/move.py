"""flask move: from the embedded SQLite to PostgreSQL, with everything."""

from __future__ import annotations

import os
import sys

import click

from config import Config
from smsapp.cli import serve
from smsapp.cli.output import CommandGroup, echo, failure
from smsapp.services.backups import moving, restoring
from smsapp.services.backups.moving import Moved
from smsapp.services.platform import clock

command = CommandGroup("move", help="Move an installation to another database.")

TARGET = "TARGET_DATABASE_URL"


@command.command("sqlite-to-postgresql")
@click.option("--check", is_flag=True, help="Say whether it can be done, and do nothing.")
def sqlite_to_postgresql(*, check: bool) -> None:
    """Copy every row of the SQLite database to an empty PostgreSQL, and compare them. Stop everything first.

    The address of PostgreSQL is $TARGET_DATABASE_URL, or it is asked for. Each table's rows are counted on both sides
    and their checksums compared. Only if all are equal, SQLite's files are set aside in the instance folder, so that
    nothing can be sent from both. Keys, uploads, the journal and what waits in Redis stay where they are: start with
    DATABASE_URL set, in the same instance folder, and everything goes on.

    \b
    Exit code: 0 it is moved, 1 it is not, and SQLite is as it was.

    \b
    Example:
      TARGET_DATABASE_URL=postgresql://smsapp:..@db.internal/smsapp flask move sqlite-to-postgresql
    """
    address = os.environ.get(TARGET) or str(click.prompt("Address of PostgreSQL", hide_input=True, err=True))
    with serve.only_one(Config.read(os.environ)):
        server = moving.check(address)
        if check:
            echo(f"Everything can be moved to {server}.")
            return
        restoring.refuse_if_running()
        moved = moving.move(address, clock.now(), report)
    _tell(moved, server)


def report(table: str, done: int, size: int) -> None:
    """Show how far it is, on a terminal only."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{table} {done:,} of {size:,}\x1b[K")


def _tell(moved: Moved, server: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    for table in moved.tables:
        if table.before.rows or not table.is_equal:
            differs = "" if table.is_equal else f"  DIFFERS: {table.after.rows} rows, {table.after.checksum:016x}"
            echo(f"{table.name:32} {table.before.rows:>12,} {table.before.checksum:016x}{differs}")
    if moved.aside is None:
        raise failure("PostgreSQL does not hold what SQLite does. Nothing was set aside; do not use that database.")
    rows = sum(table.before.rows for table in moved.tables)
    echo(f"{len(moved.tables)} tables with {rows:,} rows are in {server}, and equal.")
    echo(
        "Set DATABASE_URL to its address and start. SQLite's files lie in "
        f"{moved.aside}; delete them once you are sure: they hold phone numbers."
    )
