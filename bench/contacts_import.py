"""How fast a CSV file of contacts comes in, against the driver's own executemany of the same rows into the same table.

    python bench/contacts_import.py                  a million rows on SQLite
    python bench/contacts_import.py --rows 200000 --database postgresql://...

Prints both rates, their ratio and the most memory the importing process held. The raw side gets the finished JSON and
one transaction; the import reads, decodes, checks and converts the file, writes in resumable chunks and keeps a tally.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import datetime as dt
import json
import multiprocessing
import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import flask_migrate
import psycopg
from flask import Flask

from bench import table
from config import Config
from smsapp.domain import columns, guesses
from smsapp.domain.contact import Type
from smsapp.factory import create_app
from smsapp.services.contacts import import_rows, imports
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.tables import reading, recognition
from smsapp.store.db import db

LEAST_RATIO, MOST_MIB = 0.5, 400
HEADER = ("用户ID", "手机号", "姓名", "城市", "等级", "积分", "注册时间")
CITIES = ("北京", "上海", "广州", "深圳", "成都", "杭州", "武汉", "西安")


def write_file(path: Path, rows: int) -> None:
    """Write contacts as a shop would export them."""
    chance = random.Random(7)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(HEADER)
        for i in range(rows):
            joined = f"2024-{i % 12 + 1:02d}-{i % 28 + 1:02d} 08:{i % 60:02d}:00"
            points = chance.randrange(100_000)
            out.writerow((f"u{i:08d}", f"13{i:09d}", f"用户{i}", CITIES[i % 8], i % 9, points, joined))


def application(config: Config) -> Flask:
    app = create_app(config)
    with app.app_context():
        flask_migrate.upgrade()
    return app


def config_of(folder: Path, database: str) -> Config:
    environ = {"INSTANCE_DIR": str(folder), "SECRET_KEY": "bench", "LOG_LEVEL": "WARNING"}
    return Config.read(environ | ({"DATABASE_URL": database} if database else {}))


def import_file(folder: Path, path: Path, database: str) -> tuple[float, tuple[str, int, int, int], float]:
    """Import in a process of its own, so that its memory is its own."""
    config = config_of(folder, database)
    with application(config).app_context():
        started = time.perf_counter()
        by, now = Actor("bench"), clock.now()
        with imports.opened(path) as file:
            row = imports.register(file, path.name, by, now)
            preview = imports.preview(row)
            layout = imports.layout_of(preview.guesses, preview.header)
            imports.start(row.id, layout, imports.UNCHANGED, by, now, ring=False)
            import_rows.run(row.id, clock.now)
        seconds = time.perf_counter() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return seconds, (row.state, row.position, row.added, row.refused), memory


def finished_rows(path: Path) -> Iterator[tuple[str, str, str]]:
    form = recognition.recognise(path)
    header, samples = reading.head(path, form, 100)
    layout = imports.layout_of(guesses.guesses(header, samples, {"$phone": Type.STRING}), header)
    assert layout is not None
    for rows, _read in reading.chunks(path, form, 0, 5000):
        yield from columns.read(layout, rows, len(header), layout.phones({"$phone"}), "CN").rows


def with_sources(path: Path) -> list[tuple[str, str, str, str]]:
    """Return finished rows with what the product keeps beside their values, made before as well."""
    rows = []
    for xwho, held, phones in finished_rows(path):
        sources = dict.fromkeys(json.loads(held), "i:1:1795356372")
        rows.append((xwho, held, phones, json.dumps(sources, ensure_ascii=False, separators=(",", ":"))))
    return rows


def raw_sqlite(folder: Path, path: Path) -> float:
    """Insert finished rows with the driver alone; making them is not counted."""
    config = config_of(folder, "")
    with application(config).app_context():
        db.engine.dispose()
    rows = [(*row, "2026-01-01 00:00:00.000000", "2026-01-01 00:00:00.000000") for row in with_sources(path)]
    with contextlib.closing(sqlite3.connect(folder / "smsapp.db")) as connection:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-65536", "temp_store=MEMORY"):
            connection.execute(f"PRAGMA {pragma}")
        started = time.perf_counter()
        connection.executemany(
            "INSERT INTO contact (xwho, properties, phones, sources, created_at, updated_at, anonymous) "
            "VALUES (?, ?, ?, ?, ?, ?, false)",
            rows,
        )
        connection.commit()
        return time.perf_counter() - started


def raw_postgresql(path: Path, database: str) -> float:
    now = dt.datetime.now(dt.UTC)
    rows = [(*row, now, now) for row in with_sources(path)]
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE contact CASCADE")
        started = time.perf_counter()
        cursor.executemany(
            "INSERT INTO contact (xwho, properties, phones, sources, created_at, updated_at, anonymous) "
            "VALUES (%s, %s, %s, %s, %s, %s, false)",
            rows,
        )
        connection.commit()
        return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database", default="", help="PostgreSQL address of an EMPTY database; default SQLite")
    parser.add_argument("--folder", default=None, help="where the files are made; default: a temporary folder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        path = folder / "contacts.csv"
        write_file(path, options.rows)
        print(f"file        {options.rows:>10,} rows  {path.stat().st_size / 2**20:8.1f} MiB")
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as own:
            seconds, outcome, memory = own.submit(import_file, folder / "ours", path, options.database).result()
        assert outcome == ("done", options.rows, options.rows, 0), outcome
        raw = raw_postgresql(path, options.database) if options.database else raw_sqlite(folder / "raw", path)
        ours_rate, raw_rate = options.rows / seconds, options.rows / raw
        where, what = ("postgresql" if options.database else "sqlite"), f"import of {options.rows:,} contacts"
        table.add(
            where,
            what,
            f"{ours_rate:,.0f}/s",
            f"executemany {raw_rate:,.0f}/s",
            ours_rate / raw_rate,
            least=LEAST_RATIO,
        )
        table.add(where, "memory of the import", f"{memory:.0f} MiB", "", memory, most=MOST_MIB, unit="MiB")
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
