"""The speed and memory of the CSV export of a run of a million messages.

    python -m bench.export [--rows 1000000] [--database sqlite|postgresql]

The run is written by INSERT..SELECT into a scratch database; the export uses the code of the page. Printed: rows,
seconds, bytes, the process's memory before and at its peak, and the time of one page of people at the start, at the end
and for a rare state.
"""

from __future__ import annotations

import argparse
import datetime as dt
import resource
import tempfile
import time
from pathlib import Path

import flask_migrate
import sqlalchemy as sa
from flask import Flask

from bench import table
from config import Config
from smsapp.domain.recipients import GROUPS, Group, Place
from smsapp.factory import create_app
from smsapp.services.platform.audit_log import Actor
from smsapp.services.reports import recipient_list, reports
from smsapp.store.db import current_session, db
from smsapp.store.runs.partitions import ensure_partition
from smsapp.web.reports import csv_lines
from tests import ledgers, servers

NOW = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)


def peak_mib() -> float:
    """Return the most memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(rows: int) -> int:
    """Write a campaign with one finished run of so many messages; return the campaign's id."""
    campaign = ledgers.campaign(status="sent")
    run = ledgers.run(campaign, [], {}, state="done", verdict="sent", finished_at=NOW, target=rows, planned=rows)
    session = current_session()
    ensure_partition(session, run.id)
    numbers = (
        f"generate_series(1, {rows}) n(i)"
        if db.engine.dialect.name == "postgresql"
        else f"(WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < {rows}) SELECT i FROM s) n"
    )
    session.execute(
        sa.text(
            "INSERT INTO contact (id, xwho, properties, phones, sources, anonymous, created_at, updated_at)"
            f" SELECT i, 'user' || i, '{{}}', '{{}}', '{{}}', false, :now, :now FROM {numbers}"
        ),
        {"now": NOW.replace(tzinfo=None)},
    )
    session.execute(
        sa.text(
            "INSERT INTO message (run_id, seq, contact_id, phone, status, parts, reason, provider_ref, answered_at,"
            " receipt_at) SELECT :run, i, i, '+86' || (13800000000 + i), CASE WHEN i % 50000 = 0 THEN 7 ELSE 8 END, 1,"
            " CASE WHEN i % 50000 = 0 THEN 'switched_off' END, 'ref-' || i, 1772000000, 1772000060"
            f" FROM {numbers}"
        ),
        {"run": run.id},
    )
    for state, reason, n in (("delivered", "", rows - rows // 50_000), ("undelivered", "switched_off", rows // 50_000)):
        session.execute(
            sa.text("INSERT INTO tally (run_id, state, reason, n) VALUES (:run, :state, :reason, :n)"),
            {"run": run.id, "state": state, "reason": reason, "n": n},
        )
    session.commit()
    return campaign.id


def export(app: Flask, campaign_id: int) -> None:
    """Read the whole CSV and print what it took."""
    before, begun = peak_mib(), time.perf_counter()
    size = lines = 0
    with app.test_request_context():
        chunks = recipient_list.export(campaign_id, None, GROUPS["target"], Actor("bench"), NOW, masked=True)
        for piece in csv_lines(chunks, masked=True, zone=dt.UTC):
            size += len(piece.encode())
            lines += piece.count("\r\n")
    seconds = time.perf_counter() - begun
    print(f"{lines - 1:,} rows in {seconds:.1f} s, {size / 1e6:.0f} MB; memory before: {before:.0f} MiB")
    where = db.engine.dialect.name
    table.add(where, f"export of {lines - 1:,} people", f"{lines / seconds:,.0f}/s")
    table.add(where, "memory of the export", f"{peak_mib():.0f} MiB", f"before it {before:.0f} MiB")


def turn_pages(campaign_id: int, rows: int) -> None:
    """Print how long one page of people takes in easy and in hard cases."""
    run_id = reports.report(campaign_id, None, NOW).runs[0].run.id
    cases: list[tuple[str, Group, str, Place | None]] = [
        ("first page", GROUPS["target"], "", None),
        ("last page", GROUPS["target"], "", Place(run_id, position=rows - 50)),
        ("a rare state", GROUPS["undelivered"], "", None),
        ("a whole number", GROUPS["target"], "13800500000", None),
        ("last four digits", GROUPS["target"], "4321", None),
    ]
    for name, group, search, after in cases:
        begun = time.perf_counter()
        recipient_list.page(campaign_id, None, group, recipient_list.parse_phone_query(search), after)
        print(f"{name:<18}{(time.perf_counter() - begun) * 1000:>8.1f} ms")
    begun = time.perf_counter()
    reports.report(campaign_id, None, NOW)
    print(f"{'the numbers':<18}{(time.perf_counter() - begun) * 1000:>8.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environ = {"INSTANCE_DIR": folder, "SECRET_KEY": "bench", "REDIS_URL": "unix:///nowhere.sock"}
        if options.database == "postgresql":
            environ["DATABASE_URL"] = servers.postgres(Path(folder) / "pg").format(database="postgres")
        app = create_app(Config.read(environ))
        with app.app_context():
            flask_migrate.upgrade()
            campaign_id = fill(options.rows)
            export(app, campaign_id)
            turn_pages(campaign_id, options.rows)
            db.session.remove()
            db.engine.dispose()


if __name__ == "__main__":
    main()
