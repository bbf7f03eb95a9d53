"""The lower bound of an upload: the driver's bare upsert of the same contacts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

from bench.raw.ground import Ground

ROWS_AT_ONCE = 200


def upsert(url: str, profiles: Sequence[tuple[str, Any, Any]], per_transaction: int) -> float:
    """Upsert profiles (user id, properties, phones) twice; return the seconds of the second time.

    The JSON texts are made before: only the driver is measured.
    """
    ground = Ground(url)
    kind = "jsonb" if ground.postgres else "text"
    ground.run("DROP TABLE IF EXISTS raw_profile")
    key = "bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY" if ground.postgres else "integer PRIMARY KEY"
    ground.run(f"CREATE TABLE raw_profile (id {key}, xwho text UNIQUE, properties {kind}, phones {kind})")
    rows = [
        (xwho, json.dumps(properties, ensure_ascii=False), json.dumps(numbers))
        for xwho, properties, numbers in profiles
    ]
    _write(ground, rows, per_transaction)
    begun = time.perf_counter()
    _write(ground, rows, per_transaction)
    seconds = time.perf_counter() - begun
    ground.run("DROP TABLE raw_profile")
    ground.close()
    return seconds


def _write(ground: Ground, rows: Sequence[tuple[str, str, str]], per_transaction: int) -> None:
    end = " ON CONFLICT (xwho) DO UPDATE SET properties = excluded.properties, phones = excluded.phones"
    for begin in range(0, len(rows), per_transaction):
        chunk = rows[begin : begin + per_transaction]
        with ground.transaction():
            if ground.postgres:
                ground.run(
                    "INSERT INTO raw_profile (xwho, properties, phones) SELECT a, b::jsonb, c::jsonb "
                    "FROM unnest(?::text[], ?::text[], ?::text[]) AS t (a, b, c)" + end,
                    [list(column) for column in zip(*chunk, strict=True)],
                )
            else:
                ground.connection.executemany(
                    "INSERT INTO raw_profile (xwho, properties, phones) VALUES (?, ?, ?)" + end, chunk
                )
