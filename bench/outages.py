"""Disk full, Valkey full, database away: what pages say meanwhile, and whether anything is lost.

    python -m bench.outages [--seconds 60] [--people 2000] [--database both|sqlite|postgresql]

Each outage begins while a campaign is sent through the counting provider of bench/chaos, which repeats its receipts
until they are acknowledged. Meanwhile pages, `/up` and /readyz are asked twice a second: each must answer 200, or 503
with a sentence. Afterwards nobody was written to twice, nobody is missing, numbers add up, every upload that was
acknowledged is applied, and everything goes on by itself. A full disk needs root (a small tmpfs). Exit code 1 if
anything was wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
import sqlalchemy as sa

from bench.chaos.story import LEVELS, PRICE, TEXT, Told, count, is_over, send_at, settle_receipts
from bench.chaos.system import AWAY, System, running
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps import uploads as stored_uploads
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate
from tests import builders

DISK_MIB = 400
EVERY = 0.5
BEFORE = 1.0
"""Seconds a campaign is sent before the outage begins."""
RECOVERY = 120.0
"""Seconds after which everything must be as before."""
DATABASES = ("sqlite", "postgresql")
GOOD = {200, 503}


class Probe:
    """What a visitor, an SDK and a load balancer are told."""

    def __init__(self, system: System, appid: str) -> None:
        self.address = f"http://127.0.0.1:{system.web_port}"
        self.appid = appid
        self.answers: Counter[tuple[str, int]] = Counter()
        self.wrong: list[str] = []
        self.slowest = 0.0
        self.taken: list[str] = []
        """Names of contacts whose upload was acknowledged."""

    def look(self, name: str) -> None:
        """Ask for each kind of page once; `name` is the contact that is uploaded."""
        for path in ("/sign-in", "/readyz"):
            self.ask(path, None)
        record = {"appid": self.appid, "xwho": name, "xwhat": "$profile_set", "xwhen": int(time.time() * 1000),
                  "xcontext": {"$lib": "Python", "level": "金卡"}}  # fmt: skip
        if self.ask(f"/up?appid={self.appid}", json.dumps([record]).encode()) == 200:
            self.taken.append(name)

    def ask(self, path: str, body: bytes | None) -> int:
        """Return the status of the answer; 0 if there is none."""
        begun = time.monotonic()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.address + path, body), timeout=60) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        except OSError as error:
            status, text = 0, str(error)
        self.slowest = max(self.slowest, time.monotonic() - begun)
        kind = path.partition("?")[0]
        self.answers[kind, status] += 1
        words = re.sub(r"<[^>]*>|\s+", " ", text).strip()
        if status not in GOOD or len(words) < 8:
            self.wrong.append(f"{kind} {status}: {words[:120]}")
        return int(status)


# -- outages ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_disk(system: System) -> Iterator[None]:
    """Fill the disk of the database and of Valkey."""
    filler = system.folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def full_valkey(system: System) -> Iterator[None]:
    """Have Valkey refuse whatever takes memory."""
    client = redis.Redis(system.address, system.valkey_port)
    client.config_set("maxmemory-policy", "noeviction")
    client.config_set("maxmemory", "1mb")
    try:
        yield
    finally:
        client.config_set("maxmemory", "0")


@contextlib.contextmanager
def stopped_postgresql(system: System) -> Iterator[None]:
    """Kill PostgreSQL, and start it again at the end."""
    assert system.postgres is not None
    system.postgres.kill()
    try:
        yield
    finally:
        system.postgres.start()


@contextlib.contextmanager
def locked_sqlite(system: System) -> Iterator[None]:
    """Hold SQLite's one write lock, as a foreign program may."""
    with contextlib.closing(sqlite3.connect(system.config.INSTANCE_DIR / "smsapp.db", timeout=60)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        yield
        foreign.rollback()


Route = tuple[int, SmsTemplate]
Outage = Callable[[System], contextlib.AbstractContextManager[None]]
OUTAGES: dict[str, dict[str, Outage]] = {
    "sqlite": {"disk full": full_disk, "Valkey full": full_valkey, "SQLite locked": locked_sqlite},
    "postgresql": {"Valkey full": full_valkey, "PostgreSQL stopped": stopped_postgresql},
}


def tend(system: System) -> None:
    """Do what supervisor and scheduler do, as far as the outage lets them."""
    with contextlib.suppress(*AWAY, OSError):
        system.tend()
    with contextlib.suppress(*AWAY):
        current_session().rollback()


def play(system: System, route: Route, named: tuple[str, Outage], seconds: float, people: int, appid: str) -> list[str]:
    """Play one outage under a campaign over this route; return what was wrong."""
    (channel_id, template), (name, outage) = route, named
    probe, told = Probe(system, appid), Told()
    system.held.clear()
    campaigns = [send_at(channel_id, template, clock.now())]
    begun = time.monotonic()
    while time.monotonic() < begun + BEFORE:
        tend(system)
        time.sleep(0.05)
    system.note_held()
    asked = 0
    with outage(system):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            probe.look(f"{name} {asked}")
            asked += 1
            time.sleep(EVERY)
    back = time.monotonic()
    system.note_held()
    while system.back_at or not is_over(campaigns):
        tend(system)
        time.sleep(0.1)
        if time.monotonic() - back > RECOVERY:
            told.broken.append("the campaign does not go on")
            break
    while probe.ask("/readyz", None) != 200 and time.monotonic() - back < RECOVERY:
        time.sleep(0.2)
    recovered = time.monotonic() - back
    settle_receipts(system, told, time.monotonic())
    count(system, campaigns, people, told)
    wrong = [*told.broken, *Counter(probe.wrong), *lost_uploads(system, probe)]
    answers = ", ".join(f"{path} {status} x{n}" for (path, status), n in sorted(probe.answers.items()))
    print(
        f"{system.kind}, {name} for {seconds:.0f} s: {answers}; slowest {probe.slowest:.1f} s; over {recovered:.1f} s "
        f"after it; {told.messages} messages, {told.submits} came, {told.lost} unconfirmed; "
        f"{len(probe.taken)} uploads taken" + "".join(f"\n    WRONG: {line}" for line in wrong),
        flush=True,
    )
    return wrong


def lost_uploads(system: System, probe: Probe) -> list[str]:
    """Return what is missing of the uploads that were acknowledged."""
    deadline = time.monotonic() + RECOVERY
    while stored_uploads.waiting(1) and time.monotonic() < deadline:
        tend(system)
        time.sleep(0.2)
    current_session().commit()
    there = set(current_session().scalars(sa.select(Contact.xwho).where(Contact.xwho.in_(probe.taken))))
    missing = [name for name in probe.taken if name not in there]
    return [f"{len(missing)} acknowledged uploads are not applied"] if missing else []


@contextlib.contextmanager
def small_disk() -> Iterator[Path]:
    """Yield a folder on a small disk of its own; where that is not allowed, an ordinary folder."""
    folder = Path(tempfile.mkdtemp(prefix="smsout-"))
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None
    if mounted:
        options = ("-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=755", "tmpfs", str(folder))
        mounted = subprocess.run(["mount", *options], check=False).returncode == 0
    try:
        yield folder
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def play_all(kind: str, seconds: float, people: int) -> list[str]:
    """Play every outage of this database on one system; return what was wrong."""
    wrong: list[str] = []
    with small_disk() as folder, running(folder / "s", kind, seed=1) as system:
        builders.known_property("level")
        for n, level in enumerate(LEVELS):
            builders.contacts(people // 2 + (people % 2 if n else 0), level=level)
        channel_id = system.channel("一")
        route = (channel_id, builders.template(channel_id, text=TEXT))
        current_session().execute(sa.update(ChannelRow).values(price=PRICE, currency="CNY"))
        current_session().commit()
        appid = app_keys.create("outages", KeyKind.SERVER, Actor("bench"), clock.now()).key
        for name, outage in OUTAGES[kind].items():
            if outage is full_disk and not os.path.ismount(folder):
                print(f"{kind}, {name}: SKIPPED, only root may mount a small disk")
                continue
            wrong += play(system, route, (name, outage), seconds, people, appid)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long each outage lasts")
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--database", choices=("both", *DATABASES), default="both")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    kinds = DATABASES if options.database == "both" else (options.database,)
    wrong = [line for kind in kinds for line in play_all(kind, options.seconds, options.people)]
    print("nothing was wrong" if not wrong else f"{len(wrong)} things were wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
