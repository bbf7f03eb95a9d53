"""The time to count segments that ask what was sent, beside the same count written by hand.

    python -m bench.segments_ledger [--rows 1000000] [--runs 20] [--each 100000] [--databases sqlite postgresql]

Both counts run on the same tables in the same process, one after the other; the ratio is ours to that by hand, the best
of `--repeats` each.
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import sqlalchemy as sa

from bench import table
from bench.segment_count import NOW, beside_by_hand, on_each_database
from config import Config
from smsapp.domain.ledger_condition import LedgerCondition, LedgerOperator
from smsapp.domain.segment import Group, Match
from smsapp.factory import create_app
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import db
from smsapp.store.runs import partitions
from smsapp.store.runs.runs import Run
from tests import builders

MOST = 1.3
"""Times the count by hand."""
LONGEST = {"postgresql": 1.0, "sqlite": 3.0}
"""Seconds, at full size."""
ALL = ", ".join
RECEIVED = LedgerCondition(LedgerOperator.RECEIVED, 1)
QUESTIONS: dict[str, tuple[Group, str]] = {
    "received the campaign": (
        Group(Match.ALL, (RECEIVED,)),
        "id IN (SELECT contact_id FROM message WHERE run_id IN ({runs}) AND status = 8)",
    ),
    "not received it": (
        Group(Match.ALL, (LedgerCondition(LedgerOperator.NOT_RECEIVED, 1),)),
        "NOT EXISTS (SELECT 1 FROM (SELECT DISTINCT contact_id FROM message WHERE run_id IN ({runs}) AND status = 8) m "
        "WHERE m.contact_id = contact.id)",
    ),
    "not reached for a reason, one run": (
        Group(Match.ALL, (LedgerCondition(LedgerOperator.FAILED, 1, 1, "switched_off"),)),
        "id IN (SELECT contact_id FROM message WHERE run_id = 1 AND status IN (4, 7) AND reason = 'switched_off')",
    ),
    "no marketing within 10 days": (
        Group(Match.ALL, (LedgerCondition(LedgerOperator.NO_MARKETING_WITHIN, days=10),)),
        "NOT EXISTS (SELECT 1 FROM (SELECT DISTINCT contact_id FROM message WHERE run_id IN ({lately}) "
        "AND status NOT IN (1, 2, 4)) m WHERE m.contact_id = contact.id)",
    ),
}
SERIES = {
    "sqlite": "WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < :n) ",
    "postgresql": "WITH s(i) AS (SELECT generate_series(CAST(1 AS bigint), :n)) ",
}
CONTACTS = (
    "INSERT INTO contact (id, xwho, phones, sources, anonymous, created_at, updated_at, properties) {series}"
    "SELECT i, 'user' || i, '{{}}', '{{}}', false, '2026-01-05', '2026-01-05', '{{}}' FROM s"
)
# Each run has other contacts; of ten messages eight are delivered and one was not, for one of two reasons.
MESSAGES = (
    "INSERT INTO message (run_id, seq, contact_id, phone, status, reason) {series}"
    "SELECT :run, i, 1 + (i * 7 + :run * 45007) % :rows, '+86' || (13800000000 + i), "
    "CASE WHEN i % 10 < 8 THEN 8 WHEN i % 10 = 8 THEN 7 ELSE 5 END, "
    "CASE WHEN i % 10 = 8 THEN CASE WHEN i % 20 = 8 THEN 'switched_off' ELSE 'suspended' END END FROM s"
)


def fill(name: str, rows: int, runs: int, each: int) -> None:
    """Make the contacts, one campaign and its runs, one of them a day, each with `each` messages."""
    session = db.session
    session.execute(sa.text(CONTACTS.format(series=SERIES[name])), {"n": rows})
    builders.campaign(id=1, channel_id=builders.channel(id=1).id, segment_id=None, template_id=None)
    session.commit()
    for run in range(1, runs + 1):
        at = NOW - dt.timedelta(days=runs - run, hours=1)
        insert_run(run, at)
        partitions.ensure_partition(session(), run)
        session.execute(sa.text(MESSAGES.format(series=SERIES[name])), {"n": each, "run": run, "rows": rows})
        session.commit()


def insert_run(run: int, at: dt.datetime) -> None:
    db.session.add(
        Run(id=run, campaign_id=1, slot=at, channel_id=1, state="done", marketing=True, opened_at=at, started_at=at)
    )
    db.session.flush()


def measure(name: str, url: str, folder: Path, rows: int, runs: int, each: int, repeats: int) -> None:
    settings = {"INSTANCE_DIR": str(folder / name), "DATABASE_URL": url, "SECRET_KEY": "bench"}
    app = create_app(Config.read(settings))
    with app.app_context():
        Contact.metadata.create_all(db.engine)
        fill(name, rows, runs, each)
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE" if name == "postgresql" else "ANALYZE")
        is_full = rows >= 1_000_000
        ids = {
            "runs": ALL(str(n) for n in range(1, runs + 1)),
            "lately": ALL(str(n) for n in range(max(1, runs - 9), runs + 1)),
        }
        for label, (rule, by_hand) in QUESTIONS.items():
            raw = f"SELECT count(*) FROM contact WHERE {by_hand.format(**ids)}"
            our_time, raw_time = beside_by_hand(name, label, rule, raw, repeats)
            what = f"{label}, of {rows:,} with {runs} runs of {each:,}"
            ours, bound = f"{our_time * 1000:.0f} ms", f"by hand {raw_time * 1000:.0f} ms"
            table.add(name, what, ours, bound, our_time / raw_time, most=MOST, unit="")
            if is_full:
                table.add(name, f"{label}, seconds", ours, bound, our_time, most=LONGEST[name], unit="s")
        db.session.remove()
        db.engine.dispose()


def main() -> int:
    return on_each_database(__doc__, measure, rows=1_000_000, runs=20, each=100_000, repeats=3)


if __name__ == "__main__":
    sys.exit(main())
