"""An installation moved from SQLite to PostgreSQL, with as many contacts and messages as asked for.

    python -m bench.move [--people 1000000] [--runs 10]

Each run is frozen as the product freezes it, so its tallies are the product's own. The command itself is run. Then
`verify` looks at every number in PostgreSQL, and a campaign that waited is started there: twice, which must make one
run. Printed beside the move: how long one COPY of the same messages takes that was read from a file before.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import flask_migrate
import psycopg
import sqlalchemy as sa

from bench import table
from bench.stage import confirm, draft, fill
from bench.table import Stopwatch
from config import HERE, Config
from smsapp.domain.schedule import Kind, Schedule
from smsapp.factory import create_app
from smsapp.services.platform import clock
from smsapp.services.reports import verify
from smsapp.services.sending import opening, recovery, starting
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, db
from smsapp.store.runs.runs import Message, Run
from tests import builders, servers
from tests.engine import waiting


def frozen(runs: int) -> int:
    """Freeze so many runs to everybody, and have a campaign wait; return the id of that campaign."""
    channel = builders.channel()
    for n in range(runs):
        campaign, template = draft(channel, name=f"run {n}")
        confirm(campaign, template)
        run_id = current_session().scalar(sa.select(Run.id).where(Run.campaign_id == campaign.id))
        assert run_id is not None
        opening.open_run(run_id, clock.now())
    now = clock.now()
    due = now + dt.timedelta(hours=3)
    schedule = Schedule(Kind.DAILY, "UTC", due.time().replace(microsecond=0), now.date())
    campaign_id = waiting(now, schedule, due).id
    current_session().commit()
    return campaign_id


def copied(address: str, folder: Path) -> float:
    """Return the seconds that a COPY of the messages alone takes, out of a file and into a table like theirs."""
    file = folder / "messages"
    with psycopg.connect(address) as connection, connection.cursor() as cursor:
        with file.open("wb") as out, cursor.copy("COPY (SELECT * FROM message) TO STDOUT") as rows:
            for data in rows:
                out.write(data)
        cursor.execute("CREATE TEMPORARY TABLE bare (LIKE message INCLUDING INDEXES)")
        watch = Stopwatch()
        with file.open("rb") as source, cursor.copy("COPY bare FROM STDIN") as target:
            while data := source.read(1 << 20):
                target.write(data)
        seconds = watch.seconds()
    file.unlink()
    return seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smsmove-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "valkey").mkdir()
        with servers.valkey(folder / "valkey", "v") as redis_url:
            environ = {"INSTANCE_DIR": str(folder / "instance"), "SECRET_KEY": "bench", "LOG_LEVEL": "WARNING"}
            environ["REDIS_URL"] = redis_url
            address = servers.new_database(servers.postgres(folder / "pg", changes=()), "moved")
            with create_app(Config.read(environ)).app_context():
                flask_migrate.upgrade()
                recovery.check(clock.now())
                fill(options.people)
                campaign_id = frozen(options.runs)
                db.session.remove()
                db.engine.dispose()
            watch = Stopwatch()
            subprocess.run(
                [sys.executable, "-m", "flask", "--app", "wsgi.py", "move", "sqlite-to-postgresql"],
                cwd=HERE,
                env=os.environ | environ | {"TARGET_DATABASE_URL": address},
                check=True,
            )
            seconds = watch.seconds()
            messages = options.people * options.runs
            table.add(
                "move",
                "messages and contacts",
                f"{(messages + options.people) / seconds:,.0f}/s",
                f"{seconds:.0f} s in all",
            )
            with create_app(Config.read(environ | {"DATABASE_URL": address})).app_context():
                session = current_session()
                n = session.scalar(sa.select(sa.func.count()).select_from(Message)) or 0
                table.add("move", "messages lost", "", "", messages - n, most=0)
                wrong = [line for check in verify.verify() for line in check.broken]
                table.add("move", "numbers that do not add up", str(wrong[:3] or ""), "", len(wrong), most=0)
                older = recovery.check(clock.now())
                table.add("move", "held as an older copy", "", "", float(older is not None), most=0)
                due = session.get_one(Campaign, campaign_id).next_due_at
                assert due is not None
                started = [starting.start(campaign_id, due) for _ in range(2)]
                table.add("move", "runs of the campaign that waited", "", "", sum(map(bool, started)), least=1, most=1)
                db.session.remove()
                db.engine.dispose()
            bare = copied(address, folder)
            table.add(
                "move", "time beside a bare COPY of the messages", f"{seconds:.0f} s", f"{bare:.0f} s", seconds / bare
            )
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
