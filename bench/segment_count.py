"""The time to count a two-condition segment over many contacts, beside the same count written by hand.

    python -m bench.segment_count [--rows 1000000] [--databases sqlite postgresql]

Both counts run on the same table in the same process; the ratio is ours to raw, the best of `--repeats` each.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bench import table
from config import Config
from smsapp.domain.contact import Type
from smsapp.domain.segment import Condition, Group, Match, Operator
from smsapp.factory import create_app
from smsapp.services.contacts import segments
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import db
from tests import servers

LONGEST = 1.0
"""Seconds."""
NOW = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)


def condition(name: str, kind: Type, operator: Operator, *params: Any) -> Condition:
    return Condition(name, kind, operator, params)


CITY = condition("city", Type.STRING, Operator.EQUALS, "杭州")
AGE = condition("age", Type.NUMBER, Operator.AT_LEAST, 30)
RULES: dict[str, tuple[Group, str, str]] = {
    "city is, age at least": (
        Group(Match.ALL, (CITY, AGE)),
        "properties->>'$.city' = '杭州' AND properties->>'$.age' >= 30",
        "properties->>'city' = '杭州' AND (properties->>'age')::numeric >= 30",
    ),
    "age at least, seen in 30 days": (
        Group(Match.ALL, (AGE, condition("last_seen", Type.DATETIME, Operator.WITHIN_LAST, 30, "day"))),
        "properties->>'$.age' >= 30 "
        "AND properties->>'$.last_seen' BETWEEN '2026-01-31T10:00:00' AND '2026-03-02T10:00:00'",
        "(properties->>'age')::numeric >= 30 "
        "AND properties->>'last_seen' BETWEEN '2026-01-31T10:00:00' AND '2026-03-02T10:00:00'",
    ),
    "city is not, nickname contains": (
        Group(
            Match.ALL,
            (
                condition("city", Type.STRING, Operator.NOT_EQUALS, "杭州"),
                condition("nickname", Type.STRING, Operator.CONTAINS, "7"),
            ),
        ),
        "(properties->>'$.city' = '杭州') IS NOT TRUE AND instr(properties->>'$.nickname', '7') > 0",
        "(properties->>'city' = '杭州') IS NOT TRUE AND strpos(properties->>'nickname', '7') > 0",
    ),
    "tag listed, age at least": (
        Group(Match.ALL, (condition("tags", Type.LIST, Operator.CONTAINS_ANY, ("t7",)), AGE)),
        "EXISTS (SELECT 1 FROM json_each(properties, '$.tags') WHERE value = 't7') AND properties->>'$.age' >= 30",
        "properties->'tags' ? 't7' AND (properties->>'age')::numeric >= 30",
    ),
}

CITIES = (
    '["北京", "上海", "广州", "深圳", "杭州", "成都", "武汉", "西安", "南京", "重庆", '
    '"苏州", "天津", "长沙", "郑州", "东莞", "青岛", "宁波", "昆明", "沈阳", "合肥"]'
)
SQLITE_ROWS = """
    INSERT INTO contact (id, xwho, phones, sources, anonymous, created_at, updated_at, properties)
    WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < :rows)
    SELECT i, 'user' || i, '{}', '{}', false, '2026-01-05', '2026-01-05', json_object(
        '$phone', '1380' || (1000000 + i), 'nickname', '用户' || i,
        'city', json_extract(:cities, '$[' || (i * 7919 % 20) || ']'), 'age', 18 + i * 31 % 60,
        'vip', json(iif(i % 7 = 0, 'true', 'false')), 'spend', (i * 37 % 10000) / 10.0,
        'tags', json_array('t' || (i % 200), 'g' || (i % 5)),
        'last_seen', strftime('%Y-%m-%dT%H:%M:%S', 1740000000 + i * 104729 % 33000000, 'unixepoch')) FROM s"""
POSTGRES_ROWS = """
    INSERT INTO contact (id, xwho, phones, sources, anonymous, created_at, updated_at, properties)
    SELECT i, 'user' || i, '{}', '{}', false, '2026-01-05', '2026-01-05', jsonb_build_object(
        '$phone', '1380' || (1000000 + i), 'nickname', '用户' || i,
        'city', CAST(:cities AS jsonb) ->> CAST(i * 7919 % 20 AS int), 'age', 18 + i * 31 % 60,
        'vip', i % 7 = 0, 'spend', (i * 37 % 10000) / 10.0,
        'tags', jsonb_build_array('t' || (i % 200), 'g' || (i % 5)),
        'last_seen', to_char(to_timestamp(1740000000 + i * 104729 % 33000000), 'YYYY-MM-DD"T"HH24:MI:SS'))
    FROM generate_series(CAST(1 AS bigint), :rows) i"""


def best(repeats: int, count: Callable[[], int]) -> tuple[float, int]:
    """Return the shortest time in seconds and the number counted; one run before is not timed."""
    counted = count()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        count()
        times.append(time.perf_counter() - began)
    return min(times), counted


def beside_by_hand(name: str, label: str, rule: Group, raw: str, repeats: int) -> tuple[float, float]:
    """Return the seconds of our count of a rule and of the statement by hand; both must count the same."""
    with db.engine.connect() as connection:
        raw_time, expected = best(repeats, lambda: connection.exec_driver_sql(raw).scalar_one())
    our_time, counted = best(repeats, lambda: segments.count(rule, NOW))
    if counted != expected:
        raise SystemExit(f"{name}, {label}: counted {counted}, by hand {expected}")
    return our_time, raw_time


def on_each_database(about: str | None, measure: Callable[..., None], **numbers: int) -> int:
    """Call measure(database, url, folder, **numbers) for each database; each number is an option with this default."""
    parser = argparse.ArgumentParser(description=about)
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"), default=("sqlite", "postgresql"))
    options = vars(parser.parse_args())
    databases = options.pop("databases")
    with tempfile.TemporaryDirectory(prefix="smsapp-bench-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)
        for database in databases:
            url = servers.postgres(folder / "pg").format(database="postgres") if database == "postgresql" else ""
            measure(database, url, folder, **options)
    return table.exit_code()


def measure(name: str, url: str, folder: Path, rows: int, repeats: int) -> None:
    settings = {"INSTANCE_DIR": str(folder / "instance"), "DATABASE_URL": url, "SECRET_KEY": "bench"}
    app = create_app(Config.read(settings))
    with app.app_context():
        Contact.metadata.tables["contact"].create(db.engine)
        postgres = name == "postgresql"
        fill = sa.text(POSTGRES_ROWS if postgres else SQLITE_ROWS)
        db.session.execute(fill, {"rows": rows, "cities": CITIES})
        db.session.commit()
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE contact" if postgres else "ANALYZE")
        for label, (rule, sqlite_sql, postgres_sql) in RULES.items():
            raw = f"SELECT count(*) FROM contact WHERE {postgres_sql if postgres else sqlite_sql}"
            our_time, raw_time = beside_by_hand(name, label, rule, raw, repeats)
            our_ms, raw_ms = f"{our_time * 1000:.0f} ms", f"by hand {raw_time * 1000:.0f} ms"
            what = f"{label}, of {rows:,}"
            table.add(name, what, our_ms, raw_ms, our_time, most=LONGEST, unit="s")
        db.session.remove()
        db.engine.dispose()


def main() -> int:
    return on_each_database(__doc__, measure, rows=1_000_000, repeats=3)


if __name__ == "__main__":
    sys.exit(main())
