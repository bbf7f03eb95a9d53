"""The rehearsal of a campaign beside the freeze and the rendering it stands for; and its overlap beside SQL by hand.

    python -m bench.rehearsal [--rows 1000000] [--runs 20] [--databases sqlite postgresql]

Bars: a rehearsal takes at most 1.5 times what freezing the same people and rendering their texts takes in the same
process; counting who also gets each of `--runs` other campaigns takes at most twice a query written by hand.
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

import flask_migrate
import sqlalchemy as sa

from bench import stage, table
from config import Config
from smsapp.domain.sms_template import variables
from smsapp.factory import create_app
from smsapp.services.campaigns import overlaps, rehearsals
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.campaigns.drafts import draft_of
from smsapp.services.sending import rendering
from smsapp.store.contacts.audience import Audience
from smsapp.store.db import current_session, db, writing
from smsapp.store.runs import freezing, partitions
from smsapp.store.runs.runs import Message, Run
from tests import builders, servers

NOW = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)
MOST_OF_FREEZE, MOST_OF_HAND = 1.5, 2.0
BATCH = 1000
ROUNDS = 3


def timed(act: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that `act` takes, and what it returns."""
    began = time.perf_counter()
    result = act()
    return time.perf_counter() - began, result


def best(act: Callable[[], Any]) -> tuple[float, Any]:
    """Return the shortest of some runs of `act`, and what it returns."""
    runs = [timed(act) for _ in range(ROUNDS)]
    return min(seconds for seconds, _ in runs), runs[0][1]


def add_run(channel_id: int, campaign_id: int, slot: dt.datetime) -> int:
    run = builders.kept(
        Run(campaign_id=campaign_id, slot=slot, opened_at=slot, state="open", channel_id=channel_id, marketing=False)
    )
    with writing() as session:
        partitions.ensure_partition(session, run.id)
    return run.id


def freeze_and_render(look: DraftPreview, plan: Audience, channel_id: int, campaign_id: int, slot: int) -> float:
    """Freeze a run of these people and render its texts batch by batch, as a sender reads them; return the seconds."""
    template = look.template
    assert template is not None
    run_id = add_run(channel_id, campaign_id, NOW - dt.timedelta(days=300, seconds=slot))
    names, texts = variables(template.text), rehearsals.Texts(template, look.draft.mapping)

    def act() -> None:
        with writing() as session:
            freezing.freeze(session, run_id, plan, BATCH)
        last = 0
        columns = sa.select(Message.seq, Message.phone, Message.params).where(Message.run_id == run_id)
        while (
            rows := current_session()
            .execute(columns.where(Message.seq > last).order_by(Message.seq).limit(BATCH))
            .all()
        ):
            last = rows[-1].seq
            rendering.write(
                names, look.draft.mapping, texts.render, [row.phone for row in rows], [row.params for row in rows]
            )

    seconds, _ = timed(act)
    with writing() as session:
        session.execute(sa.delete(Message).where(Message.run_id == run_id))
    return seconds


def past_runs(channel_id: int, rows: int, runs: int) -> list[int]:
    """Add runs of as many other campaigns within the last two days, each to every tenth person."""
    ids = []
    for n in range(runs):
        campaign = builders.campaign(name=f"会员日{n}", status="sent", channel_id=channel_id)
        run_id = add_run(channel_id, campaign.id, NOW - dt.timedelta(hours=n + 1))
        phone = "'+86' || CAST(13800000000 + i AS text)"
        series = (
            f"generate_series(1, {rows}) i"
            if db.engine.dialect.name == "postgresql"
            else f"(WITH RECURSIVE s(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM s WHERE i < {rows}) SELECT i FROM s)"
        )
        with writing() as session:
            # Two numbers of the module itself, no input.
            session.execute(
                sa.text(
                    "INSERT INTO message (run_id, seq, contact_id, phone, status)"
                    f" SELECT {run_id}, i, i, {phone}, 8 FROM {series} WHERE i % 10 = {n % 10}"
                )
            )
            values = {"state": "done", "started_at": NOW - dt.timedelta(hours=n + 1), "planned": rows // 10}
            session.execute(sa.update(Run).where(Run.id == run_id).values(**values))
        ids.append(run_id)
    return ids


BY_HAND = """
    SELECT m.run_id, count(*) FROM (
        SELECT DISTINCT c.phones ->> {phone} AS phone FROM contact c
        WHERE c.phones ->> {phone} <> '' AND coalesce(c.properties ->> {name}, '') <> ''
          AND NOT EXISTS (SELECT 1 FROM opt_out o WHERE o.phone = c.phones ->> {phone})
    ) p JOIN message m ON m.phone = p.phone AND m.run_id IN ({runs}) AND m.status NOT IN (2, 4)
    GROUP BY m.run_id"""


def measure(name: str, url: str, folder: Path, rows: int, runs: int) -> None:
    settings = {"INSTANCE_DIR": str(folder / f"instance-{name}"), "DATABASE_URL": url, "SECRET_KEY": "bench"}
    app = create_app(Config.read(settings))
    with app.app_context():
        flask_migrate.upgrade()
        stage.fill(rows)
        channel = builders.channel(rate=1000, price="0.045")
        campaign, template = stage.draft(channel)
        look = DraftPreview(draft_of(campaign), NOW, own_id=campaign.id)
        plan = look.plan
        assert plan is not None
        lower = [freeze_and_render(look, plan, channel.id, campaign.id, slot) for slot in range(2)]
        seconds, (result, _) = best(lambda: rehearsals.rehearse(look))
        if result.planned != rows:
            raise SystemExit(f"{name}: {result.planned} planned of {rows}")
        what, bound = f"rehearsal of {rows:,}", f"freeze and render {min(lower):.2f} s"
        table.add(name, what, f"{seconds:.2f} s", bound, seconds / min(lower), most=MOST_OF_FREEZE)
        run_ids = past_runs(channel.id, rows, runs)
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")
        property_names = ("'$.\"$phone\"'", "'$.name'") if name == "sqlite" else ("'$phone'", "'name'")
        by_hand = BY_HAND.format(
            phone=property_names[0], name=property_names[1], runs=",".join(str(run_id) for run_id in run_ids)
        )
        with db.engine.connect() as connection:
            pairs = connection.execute
            raw, expected = best(lambda: {run_id: n for run_id, n in pairs(sa.text(by_hand))})  # noqa: C416 no pair
        seconds, counted = best(lambda: overlaps.count(plan, template, campaign.id, NOW, NOW))
        if sum(item.n for item in counted.also_gets) != sum(expected.values()):
            raise SystemExit(f"{name}: {counted}, by hand {expected}")
        what, bound = f"overlap of {rows:,} with {runs} runs", f"by hand {raw:.2f} s"
        table.add(name, what, f"{seconds:.2f} s", bound, seconds / raw, most=MOST_OF_HAND)
        db.session.remove()
        db.engine.dispose()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--databases", nargs="+", choices=("sqlite", "postgresql"), default=("sqlite", "postgresql"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smsapp-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for database in options.databases:
            url = servers.postgres(folder / "pg").format(database="postgres") if database == "postgresql" else ""
            measure(database, url, folder, options.rows, options.runs)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
