"""The product on this machine as in production: a durable database, Valkey, RQ workers, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask_migrate
import sqlalchemy as sa
from flask import Flask

import bench.worker  # noqa: F401  the kinds of channels that only measurements need
from bench.raw.__main__ import sink_process
from config import Config
from smsapp.cli import supervision
from smsapp.factory import create_app
from smsapp.services.campaigns import campaigns
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.templates import sms_templates
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, db
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from tests import builders, servers
from tests.journey.kannel import free_ports, listens, wait_for
from tests.journey.processes import Processes, processes

TEXT = "尊敬的${name}，您的积分将于本月底到期，请及时使用。拒收请回复R"
BY = Actor("bench")
PATIENCE = 1200.0


@dataclass
class Stage:
    """The running product and the file in which its senders record their times."""

    app: Flask
    processes: Processes
    times: Path
    raw_url: str
    """A scratch database on the same server, or on the same disk, for the lower bounds."""

    def senders(self) -> list[dict[str, Any]]:
        """Return the records of the senders, and remove them."""
        if not self.times.exists():
            return []
        records = [json.loads(line) for line in self.times.read_text().splitlines()]
        self.times.unlink()
        return records

    def workers(self, count: int) -> None:
        """Start so many worker processes, as `flask serve` does, and wait until they listen."""
        for n in range(count):
            self.processes.start(f"work-{n}", sys.executable, "-m", "bench.worker", "work")
        # One worker never sends, as in production: receipts do not wait for a campaign.
        self.processes.start(
            "news", sys.executable, "-m", "bench.worker", "work", "--queues", "receipts,uploads,periodic"
        )
        logs = [self.processes.logs / f"work-{n}.log" for n in range(count)]
        deadline = time.monotonic() + 60
        while not all("worker.up" in log.read_text() for log in logs):
            if time.monotonic() > deadline:
                raise TimeoutError(logs[0].read_text())
            time.sleep(0.05)

    def web(self, port: int = 0) -> int:
        """Start the web server with the command that `flask serve` uses; return its port once it answers."""
        port = port or free_ports(1)[0]
        *command, _app = supervision.web()
        self.processes.start("web", *command, "--bind", f"127.0.0.1:{port}", "bench.web:app")
        wait_for(lambda: listens(port), "the web server", 60)
        return port


@contextlib.contextmanager
def stage(database: str, workers: int, **overrides: Any) -> Iterator[Stage]:
    """Set up the product over an empty database of this kind, with so many workers."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs under a user of its own
        environ = {"INSTANCE_DIR": str(folder / "instance"), "SECRET_KEY": "bench", "LOG_LEVEL": "INFO"}
        environ["ALLOWED_PRIVATE_HOSTS"] = "127.0.0.0/8"
        environ["REDIS_URL"] = f"unix://{folder / 'valkey' / 'valkey.sock'}"
        (folder / "instance").mkdir()
        (folder / "valkey").mkdir()
        raw_url = f"sqlite:///{folder / 'raw.db'}"
        if database == "postgresql":
            address = servers.postgres(folder / "pg", changes=())
            environ["DATABASE_URL"] = address.format(database="postgres")
            raw_url = servers.new_database(address, "raw")
        config = Config.read(environ | {name: str(value) for name, value in overrides.items()})
        times = folder / "times"
        os.environ["BENCH_TIMES"] = str(times)
        started = stack.enter_context(processes(config, folder))
        started.valkey(folder / "valkey" / "valkey.sock")
        app = create_app(config)
        with app.app_context():
            flask_migrate.upgrade()
            product = Stage(app, started, times, raw_url)
            product.workers(workers)
            try:
                yield product
            finally:
                db.session.remove()
                db.engine.dispose()


def fill(rows: int, after: int = 0) -> None:
    """Add contacts with a number and a name in one statement, until there are so many; `after`: how many there are."""
    if db.engine.dialect.name == "postgresql":
        numbers, phone = f"generate_series({after + 1}, {rows}) i", "'+86' || (13800000000 + i)"
        columns = f"jsonb_build_object('name', '客户' || i), jsonb_build_object('$phone', {phone})"
    else:
        following = f"SELECT i + 1 FROM s WHERE i < {rows}"
        numbers = f"(WITH RECURSIVE s(i) AS (VALUES ({after + 1}) UNION ALL {following}) SELECT i FROM s)"
        columns = "json_object('name', '客户' || i), json_object('$phone', '+86' || (13800000000 + i))"
    session = current_session()
    session.execute(
        sa.text(
            "INSERT INTO contact (id, xwho, properties, phones, sources, anonymous, created_at, updated_at)"
            f" SELECT i, 'user' || i, {columns}, '{{}}', false, :now, :now FROM {numbers}"
        ),
        {"now": builders.LONG_AGO.replace(tzinfo=None)},
    )
    if db.engine.dialect.name == "postgresql":
        session.execute(sa.text("SELECT setval(pg_get_serial_sequence('contact', 'id'), max(id)) FROM contact"))
    session.commit()
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("VACUUM ANALYZE contact"))


def draft(channel: ChannelRow, **columns: Any) -> tuple[Campaign, SmsTemplate]:
    """Add a draft to everybody over this channel, with one variable; return it and its template."""
    template = builders.template(channel.id, text=TEXT, purpose="notification")
    mapping = {"name": {"property": "name", "fallback": None}}
    return builders.campaign(channel_id=channel.id, template_id=template.id, mapping=mapping, **columns), template


def confirm(campaign: Campaign, template: SmsTemplate) -> None:
    """Confirm as the page does."""
    campaigns.confirm(campaign.id, campaign.version, sms_templates.seen(template), BY, clock.now())


def await_end(campaign_id: int, look: float = 0.03) -> Run:
    """Return the campaign's run once its last write-back is committed; `look`: seconds between polls.

    More frequent polls through the ORM would slow down the machine that they measure.
    """
    deadline = time.monotonic() + PATIENCE
    query = sa.select(Run.id).where(Run.campaign_id == campaign_id, Run.finished_at.is_not(None))
    while time.monotonic() < deadline:
        run_id = current_session().scalar(query)
        current_session().commit()
        if run_id is not None:
            return current_session().get_one(Run, run_id, populate_existing=True)
        time.sleep(look)
    raise TimeoutError("the campaign has not ended")


__all__ = ["Stage", "await_end", "confirm", "draft", "fill", "sink_process", "stage"]
