"""The cost of bounds in a freeze: plain names, with and without bounds, in turn.

    python -m bench.values [--rows 100000] [--databases sqlite postgresql]

Each freeze is rolled back; the ratio is bounded to unbounded, the best of `--repeats` each.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import flask_migrate
import sqlalchemy as sa

from bench import stage
from config import Config
from smsapp.domain.bounds import Bound
from smsapp.factory import create_app
from smsapp.store.contacts.audience import Audience
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.values import Source
from smsapp.store.db import current_session, db
from smsapp.store.runs import freezing, partitions, runs
from tests import builders, servers

MOST = 1.5
NOW = builders.LONG_AGO


def seconds(run_id: int, audience: Audience) -> float:
    """Return how long one freeze takes; it is rolled back."""
    begun = time.perf_counter()
    freezing.freeze(current_session(), run_id, audience, 1000)
    elapsed = time.perf_counter() - begun
    current_session().rollback()
    return elapsed


def measure(database: str, rows: int, repeats: int) -> float:
    """Print the two times and return their ratio."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environ = {"SECRET_KEY": "bench", "ENCRYPTION_KEY": "dGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtdGVzdHMtISE="}
        if database == "postgresql":
            environ["DATABASE_URL"] = servers.postgres(folder / "pg").format(database="postgres")
        app = create_app(Config.read(environ | {"INSTANCE_DIR": name}))
        with app.app_context():
            flask_migrate.upgrade()
            stage.fill(rows)
            campaign = builders.campaign(channel_id=builders.channel().id)
            run_id = runs.add_run(current_session(), campaign, NOW, NOW) or 0
            partitions.ensure_partition(current_session(), run_id)
            current_session().commit()
            plain = Audience(sa.select(Contact.id), "$phone", values=(Source("name"),))
            bounded = replace(plain, values=(Source("name", bound=Bound()),))
            times: dict[str, list[float]] = {"plain": [], "bounded": []}
            for _ in range(repeats):
                times["plain"].append(seconds(run_id, plain))
                times["bounded"].append(seconds(run_id, bounded))
            db.session.remove()
            db.engine.dispose()
    best = {kind: min(seconds_list) for kind, seconds_list in times.items()}
    ratio = best["bounded"] / best["plain"]
    print(f"{database:11} {rows:,} rows: plain {best['plain']:.2f} s, bounded {best['bounded']:.2f} s, {ratio:.3f}")
    return ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    options = parser.parse_args()
    ratios = [measure(database, options.rows, options.repeats) for database in options.databases]
    return int(max(ratios) > MOST)


if __name__ == "__main__":
    sys.exit(main())
