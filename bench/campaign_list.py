"""Server time of the list of campaigns, filter by filter, with 100,000 campaigns and ten million messages.

    python -m bench.campaign_list [--rows 100000] [--databases sqlite postgresql] [--repeats 7]

The whole request is measured: sign-in check, queries, template; once as the part that htmx requests, once as a page.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import flask_migrate
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from bench import table
from config import Config
from smsapp.domain.campaign import Status
from smsapp.factory import create_app
from smsapp.store.campaigns.campaigns import Campaign, search_key
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import db
from smsapp.store.runs import partitions
from smsapp.store.runs.runs import Run
from smsapp.store.runs.tallies import Tally
from smsapp.store.users import User
from tests import servers

BAR = 50.0
"""Milliseconds of server time at the median."""
NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
WORDS = ["双十一", "会员日", "生日关怀", "满减优惠券", "新品上市", "老客唤醒", "积分到期", "到店礼", "周年庆"]
STATUSES = [Status.SENT] * 90 + [Status.DRAFT] * 3 + [Status.FAILED] * 3 + [Status.STOPPED] * 2 + [Status.WAITING] * 2
FEW_SENDING = 5
PAGES = {
    "first page": "",
    "a page in the middle": "after={middle}",
    "a page before it": "before={middle}",
    "single": "tab=single",
    "recurring": "tab=recurring",
    **{f"status {status}": f"status={status}" for status in Status},
    "recurring and failed": "tab=recurring&status=failed",
    "keyword, frequent": "q=会员",
    "keyword, rare": "q=第99999号",
    "keyword, none": "q=没有这样的名字",
    "keyword %": "q=100%25",
    "time range": "from=2025-06-01&to=2025-06-02",
    "one channel": "channel=3",
    "channel without any": "channel=9",
    "sorted by name": "sort=name",
    "by name, in the middle": "sort=name&after={middle}",
    "sorted by next due": "sort=due",
    "everything at once": "tab=recurring&status=sent&q=会员&channel=2&from=2024-01-01&sort=name",
}


def campaigns(rows: int) -> Iterator[dict[str, Any]]:
    chance = random.Random(1)
    for number in range(1, rows + 1):
        recurring = chance.random() < 0.05
        status = Status.SENDING if number > rows - FEW_SENDING else chance.choice(STATUSES)
        name = f"{chance.choice(WORDS)}{chance.choice(WORDS)} 第{number}号{' 返100%' if number % 997 == 0 else ''}"
        due = NOW + dt.timedelta(minutes=chance.randint(1, 40_000)) if status is Status.WAITING else None
        kind = "daily" if recurring else "once"
        yield {
            "id": number,
            "name": name,
            "name_key": search_key(name),
            "status": status,
            "segment_id": chance.randint(1, 20),
            "channel_id": chance.randint(1, 5),
            "mapping": {"name": {"property": "name", "fallback": "会员"}},
            "schedule": {"kind": kind, "zone": "Asia/Shanghai", "time": "10:00:00", "start": "2026-01-01"},
            "recurring": recurring,
            "zone": "Asia/Shanghai",
            "grace_minutes": 120,
            "next_due_at": due,
            "failure": "balance" if status is Status.FAILED else "",
            "version": 1,
            "created_by": 1,
            "created_at": NOW - dt.timedelta(minutes=10 * (rows - number)),
            "updated_at": NOW,
            "deleted_at": NOW if chance.random() < 0.03 else None,
        }


def runs(campaign: dict[str, Any], first: int) -> Iterator[dict[str, Any]]:
    """One run of a single campaign; ten of a recurring one."""
    if campaign["status"] in {Status.DRAFT, Status.WAITING, Status.STOPPED} and not campaign["recurring"]:
        return
    for n in range(10 if campaign["recurring"] else 1):
        going = campaign["status"] is Status.SENDING and n == 0
        slot = campaign["created_at"] - dt.timedelta(days=n)
        yield {
            "id": first + n,
            "campaign_id": campaign["id"],
            "slot": slot,
            "state": "sending" if going else "done",
            "verdict": "" if going else "sent",
            "channel_id": campaign["channel_id"],
            "segment_id": campaign["segment_id"],
            "template": {},
            "target": 84,
            "planned": 74,
            "parts": 64,
            "opened_at": slot,
            "started_at": slot,
            "finished_at": None if going else slot,
        }


TALLY = (
    ("excluded", "no_number", 6),
    ("excluded", "opted_out", 4),
    ("delivered", "", 54),
    ("accepted", "", 4),
    ("undelivered", "switched_off", 5),
    ("undelivered", "unknown", 1),
    ("refused", "bad_number", 10),
)
"""84 people a run: with some 140,000 runs these are the tallies of ten million messages."""
MESSAGES = sum(n for state, _reason, n in TALLY if state != "excluded")
COUNTED = "(WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < :n) SELECT i FROM s)"


def fill(rows: int, *, messages: bool = True) -> None:
    with db.engine.begin() as connection:
        add = connection.execute
        add(sa.insert(User), [{"id": 1, "login": "ada", "name": "林悦", "role": "administrator", "created_at": NOW,
                                 "session_mark": "mark"}])  # fmt: skip
        stamps = {"created_at": NOW, "updated_at": NOW}
        add(sa.insert(Segment), [{"id": n, "name": f"分群{n}", "kind": "static", **stamps} for n in range(1, 21)])
        add(
            sa.insert(ChannelRow),
            [
                {"id": n, "name": f"通道{n}", "kind": "simulator", "callback_token": str(n), **stamps}
                for n in range(1, 10)
            ],
        )
        campaign_rows: list[dict[str, Any]] = []
        run_rows: list[dict[str, Any]] = []
        tallies: list[dict[str, Any]] = []
        next_run = 1
        for campaign in campaigns(rows):
            campaign_rows.append(campaign)
            for run in runs(campaign, next_run):
                run_rows.append(run)
                next_run = run["id"] + 1
                tallies.extend({"run_id": run["id"], "state": s, "reason": r, "n": n} for s, r, n in TALLY)
            if len(campaign_rows) == 5000 or campaign["id"] == rows:
                for table, batch in ((Campaign, campaign_rows), (Run, run_rows), (Tally, tallies)):
                    if batch:
                        add(sa.insert(table), batch)
                    batch.clear()
        last_run = next_run - 1
        if db.engine.dialect.name == "postgresql":
            for low in range(0, last_run + 1, partitions.RUNS_PER_PARTITION):
                partitions.ensure_partition(db.session(), low)
            db.session.commit()
        if not messages:
            return
        add(
            sa.text(
                "INSERT INTO message (run_id, seq, contact_id, phone, status, parts, answered_at)"
                " SELECT run.id, s.i, s.i, '+86138' || (10000000 + s.i), 8, 1, 1767225600"
                f" FROM run CROSS JOIN {COUNTED} s ORDER BY run.id, s.i"
            ),
            {"n": MESSAGES},
        )
        print(f"  {add(sa.text('SELECT count(*) FROM message')).scalar_one():,} messages")
    if db.engine.dialect.name == "postgresql":  # what autovacuum does; SQLite has nothing like it and gets no help
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def signed_in(app: Flask) -> FlaskClient:
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"], session["_fresh"] = f"1.mark.bench.{time.time():.0f}", True
    return client


def measure(app: Flask, rows: int, repeats: int) -> float:
    """Print a line per page and return the slowest median, in milliseconds."""
    client, slowest = signed_in(app), 0.0
    for name, query in PAGES.items():
        url = "/campaigns/?" + query.format(middle=rows // 2)
        medians = []
        for headers in ({"HX-Request": "true"}, {}):
            times = []
            for _ in range(repeats):
                begin = time.perf_counter()
                response = client.get(url, headers=headers)
                times.append((time.perf_counter() - begin) * 1000)
                assert response.status_code == 200, response.status
            medians.append(statistics.median(times))
        slowest = max(slowest, *medians)
        print(f"  {name:24} piece {medians[0]:6.1f} ms   page {medians[1]:6.1f} ms")
    return slowest


def run(database: str, rows: int, repeats: int) -> None:
    with tempfile.TemporaryDirectory(prefix="smsapp-bench-") as folder:
        Path(folder).chmod(0o755)
        environ: dict[str, str] = {"INSTANCE_DIR": f"{folder}/instance", "LOG_LEVEL": "ERROR"}
        if database == "postgresql":
            environ["DATABASE_URL"] = servers.postgres(Path(folder) / "pg").format(database="postgres")
        app = create_app(Config.read(environ))
        with app.app_context():
            flask_migrate.upgrade()
            begin = time.perf_counter()
            fill(rows)
            print(f"{database}: {rows:,} campaigns made in {time.perf_counter() - begin:.0f} s")
        slowest = measure(app, rows, repeats)
        with app.app_context():
            db.engine.dispose()
        table.add(
            database, f"list of {rows:,} campaigns, worst page", f"{slowest:.1f} ms", "", slowest, most=BAR, unit="ms"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    options = parser.parse_args()
    for database in options.databases:
        run(database, options.rows, options.repeats)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
