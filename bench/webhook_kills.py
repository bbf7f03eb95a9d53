"""Events for a webhook while the process that delivers them is killed, again and again.

    python -m bench.webhook_kills [--kills 50] [--campaigns 5] [--database sqlite|postgresql]

Events of several campaigns are written all the time, each in a transaction of its own, a part of them rolled back. A
process delivers them and is killed at a random moment; the next one takes over once its claim has ended. Counted at the
receiver: events lost, made up, or out of the order of their campaign, and events that came more than once (allowed,
with the same id).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import flask_migrate
import sqlalchemy as sa
from standardwebhooks.webhooks import Webhook as Verifier

from bench import table
from config import Config
from smsapp.domain.webhook import DeliveryState, EventKind
from smsapp.factory import create_app
from smsapp.services.apps import webhook_delivery, webhooks
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps import webhook_outbox
from smsapp.store.apps.webhooks import WebhookDelivery
from smsapp.store.db import current_session, db, writing
from tests import servers
from tests.receivers import listening

BY = Actor("bench")
CLAIM = dt.timedelta(seconds=1)
"""Instead of a minute, so that the next process need not wait as long."""
BETWEEN = 0.03
"""Seconds between two events: this is about kills, not about speed."""
PATIENCE = 120.0


class Receiver:
    """Notes each event that it takes: (id, campaign, n)."""

    def __init__(self) -> None:
        self.secret = ""
        self.taken: list[tuple[str, int, int]] = []
        self.wrong = 0
        self._lock = threading.Lock()

    def take(self, body: bytes, headers: dict[str, str]) -> int:
        try:
            Verifier(self.secret).verify(body, headers)
        except Exception:
            self.wrong += 1
            return 400
        data = json.loads(body)["data"]
        with self._lock:
            self.taken.append((headers["webhook-id"], data["campaign"], data["n"]))
        return 204


def serve() -> None:
    """Deliver until killed: the process of its own."""
    webhook_delivery.CLAIMED = CLAIM
    with create_app(Config.read(os.environ)).app_context():
        while True:
            webhook_delivery.deliver(clock.now)
            current_session().commit()
            time.sleep(0.01)


def write(campaigns: int, dice: random.Random, written: Counter[int]) -> None:
    """Write the next event of a campaign, or begin to and roll back."""
    campaign_id = dice.randrange(1, campaigns + 1)
    with contextlib.suppress(InterruptedError), writing() as session:
        facts = {"n": written[campaign_id]}
        webhook_outbox.note(session, EventKind.RUN_HELD, campaign_id, clock.now(), **facts)
        if dice.random() < 0.2:
            raise InterruptedError
        written[campaign_id] += 1


def waiting() -> int:
    current_session().commit()
    query = sa.select(sa.func.count()).where(WebhookDelivery.state == DeliveryState.WAITING)
    return current_session().scalar(query) or 0


def play(kills: int, campaigns: int, environ: dict[str, str], written: Counter[int]) -> None:
    """Write and kill; at the end let a process deliver the rest."""
    dice = random.Random(1)
    command = [sys.executable, "-m", "bench.webhook_kills", "--serve"]
    for _ in range(kills):
        process = subprocess.Popen(command, env=os.environ | environ)
        begun, life = time.monotonic(), 0.0
        while not life or time.monotonic() < begun + life:
            write(campaigns, dice, written)
            time.sleep(BETWEEN)
            if not life and time.monotonic() > begun + 2.0:  # it has loaded the product
                life = time.monotonic() - begun + dice.random() * 1.5
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = subprocess.Popen(command, env=os.environ | environ)
    deadline = time.monotonic() + PATIENCE
    while waiting() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.kill()
    process.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--campaigns", type=int, default=5)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve()
        return 0
    receiver, written = Receiver(), Counter[int]()
    with tempfile.TemporaryDirectory(prefix="smshooks-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "valkey").mkdir()
        redis_url = stack.enter_context(servers.valkey(folder / "valkey", "v"))
        environ = {"INSTANCE_DIR": str(folder / "instance"), "SECRET_KEY": "bench", "LOG_LEVEL": "ERROR"}
        environ |= {"ALLOWED_PRIVATE_HOSTS": "127.0.0.0/8", "REDIS_URL": redis_url}
        if options.database == "postgresql":
            environ["DATABASE_URL"] = servers.postgres(folder / "pg", changes=()).format(database="postgres")
        url = stack.enter_context(listening(receiver.take))
        with create_app(Config.read(environ)).app_context():
            flask_migrate.upgrade()
            _row, receiver.secret = webhooks.create("bench", url, [EventKind.RUN_HELD], BY, clock.now())
            play(options.kills, options.campaigns, environ, written)
            left = waiting()
            db.session.remove()
            db.engine.dispose()
    first: dict[str, tuple[int, int]] = {}
    for event_id, campaign_id, n in receiver.taken:
        first.setdefault(event_id, (campaign_id, n))
    in_order = {campaign: [n for its, n in first.values() if its == campaign] for campaign in written}
    lost = sum(written.values()) - len(first)
    disorder = sum(ns != sorted(ns) for ns in in_order.values())
    repeated = len(receiver.taken) - len(first)
    where = options.database
    table.add(where, f"events, {options.kills} kills", f"{sum(written.values()):,}", f"{repeated} came again")
    table.add(where, "lost, or made up", "", f"{left} still wait", abs(lost), most=0)
    table.add(where, "campaigns out of order", "", "", disorder, most=0)
    table.add(where, "signatures refused", "", "", receiver.wrong, most=0)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
