"""The lower bound of an upload: the driver's bare upsert of the same contacts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from bench.raw.ground import Ground

ROWS_AT_ONCE = 200


def upsert(url: str, profiles: Sequence[tuple[str, Any, Any, Any]], per_transaction: int) -> float:
    """Write profiles (user id, properties, phones, sources) over those that are there; return the seconds of the
    second time.

    The rows have all that the product keeps of a contact. The texts are made before: the driver is measured, not JSON.
    """
    ground = Ground(url)
    if not ground.postgres:
        ground.run("PRAGMA wal_autocheckpoint=16384")  # as the product: nobody pays for more copying of pages
    kind = "jsonb" if ground.postgres else "text"
    time_ = "timestamptz" if ground.postgres else "text"
    ground.run("DROP TABLE IF EXISTS raw_profile")
    key = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY" if ground.postgres else "integer PRIMARY KEY"
    ground.run(
        f"CREATE TABLE raw_profile (id {key}, xwho text UNIQUE, properties {kind}, phones {kind}, sources {kind},"
        f" anonymous boolean, created_at {time_}, updated_at {time_})"
    )
    rows = [
        (xwho, *(json.dumps(text, ensure_ascii=False, separators=(",", ":")) for text in texts))
        for xwho, *texts in profiles
    ]
    _write(ground, rows, per_transaction)
    begun = time.perf_counter()
    _write(ground, rows, per_transaction)
    seconds = time.perf_counter() - begun
    ground.run("DROP TABLE raw_profile")
    ground.close()
    return seconds


def insert(url: str, count: int) -> None:
    """Insert as many rows as a freeze of so many people does, with the same keys, in one transaction."""
    ground = Ground(url)
    ground.run("DROP TABLE IF EXISTS raw_frozen")
    ground.run(
        "CREATE TABLE raw_frozen (run_id bigint, seq integer, contact_id bigint, phone varchar(16), params text,"
        " status smallint, PRIMARY KEY (run_id, seq), UNIQUE (run_id, phone))"
    )
    numbers = f"generate_series(1, {count}) i"
    if not ground.postgres:
        numbers = (
            f"(WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < {count}) SELECT i FROM s)"
        )
    text = """'{"name": "客户' || i || '"}'"""
    with ground.transaction():
        ground.run(f"INSERT INTO raw_frozen SELECT 1, i, i, '+86' || (13800000000 + i), {text}, 0 FROM {numbers}")
    ground.close()


def checkpoint(url: str) -> None:
    """Let PostgreSQL keep the files of its log to use them again, as one does that has been at work for a while."""
    ground = Ground(url)
    if ground.postgres:
        ground.run("CHECKPOINT")
    ground.close()


def _write(ground: Ground, rows: Sequence[tuple[str, ...]], per_transaction: int) -> None:
    columns = "xwho, properties, phones, sources, anonymous, created_at, updated_at"
    end = " ON CONFLICT (xwho) DO UPDATE SET " + ", ".join(
        f"{name} = excluded.{name}" for name in ("properties", "phones", "sources", "anonymous", "updated_at")
    )
    for begin in range(0, len(rows), per_transaction):
        chunk = rows[begin : begin + per_transaction]
        with ground.transaction():
            if ground.postgres:
                ground.run(
                    f"INSERT INTO raw_profile ({columns}) SELECT a, b::jsonb, c::jsonb, d::jsonb, false, now(), now() "
                    "FROM unnest(?::text[], ?::text[], ?::text[], ?::text[]) AS t (a, b, c, d)" + end,
                    [list(column) for column in zip(*chunk, strict=True)],
                )
            else:
                now = "2026-07-27 10:00:00.000000"
                ground.connection.executemany(
                    f"INSERT INTO raw_profile ({columns}) VALUES (?, ?, ?, ?, 0, '{now}', '{now}')" + end,
                    chunk,
                )
