"""Roll this version over an older one while a campaign is sent: nothing is lost, nothing is sent twice.

    python -m bench.upgrade_drill [--old REVISION] [--rounds 2] [--database both|sqlite|postgresql] [--people 600]

In each round the older version (a git work tree; by default the one before the newest migration) migrates an empty
database and starts: web server, scheduler, two workers. While it sends, this version upgrades the schema and replaces
the processes one after the other, the old ones stopped as a supervisor does. A second campaign is due in the middle of
it, and a third one after it. The provider is a process of its own and sends receipts all the time. Exit code 1 if
anybody got a text twice or none, a receipt was lost, or a number does not add up.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from bench.chaos.story import LONGEST, OVER, Told, count_run, settle_receipts
from bench.chaos.system import System
from config import HERE
from smsapp.services.reports import verify
from smsapp.store import schema
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Run
from tests.journey.kannel import listens, wait_for
from tests.journey.processes import PATIENCE, environment

DATABASES = ("sqlite", "postgresql")
AT_ONCE = 2
"""Requests in flight: slow enough for all steps to fall into the sending."""
LATER = (25, 60)
"""Seconds after the first campaign at which the others are due."""
SETUP = """
import datetime as dt, sys
from pathlib import Path
from bench.chaos import system
from bench.chaos.story import LEVELS, TEXT, send_at
from config import Config
from smsapp.factory import create_app
from smsapp.services.platform import clock
from tests import builders
import os
class Old(system.System):
    def __init__(self):
        self.address, self.provider_port = "127.0.0.1", int(sys.argv[1])
with create_app(Config.read(os.environ)).app_context():
    builders.known_property("level")
    builders.contacts(int(sys.argv[2]), level=LEVELS[0])
    for seconds in map(int, sys.argv[4:]):
        channel = Old().channel(f"channel {seconds}", in_flight=int(sys.argv[3]))
        send_at(channel, builders.template(channel, text=TEXT), clock.now() + dt.timedelta(seconds=seconds))
"""
"""Run by the old version: its tables are not those of this one."""


@contextlib.contextmanager
def older_version(revision: str, folder: Path) -> Iterator[Path]:
    """Check out another version beside this one while the block lasts."""
    _git("worktree", "add", "--detach", str(folder), revision)
    try:
        yield folder
    finally:
        _git("worktree", "remove", "--force", str(folder))


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=HERE, check=True, capture_output=True, text=True).stdout.strip()


def before_newest_migration() -> str:
    """Return the commit before the one that added the newest migration."""
    newest = next((schema.MIGRATIONS / "versions").glob(f"{schema.newest_revision()}_*.py"))
    return _git("log", "-1", "--diff-filter=A", "--format=%H", "--", str(newest.relative_to(HERE))) + "^"


def flask(system: System, code: Path, *words: str) -> None:
    """Run a command of one of the versions."""
    command = [sys.executable, *words]
    done = subprocess.run(
        command, cwd=code, env=environment(system.config), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def replace(system: System, name: str) -> None:
    """Stop a process of the old version in good order, and start this version's in its place."""
    pid = system.up[name]
    process = next(process for process in system.processes.running if process.pid == pid)
    os.kill(pid, signal.SIGTERM)
    process.wait(60)
    system.start_part(name)
    if name == "web":
        wait_for(partial(listens, system.web_port), "the web server", PATIENCE)


def play(kind: str, old: Path, seed: int, people: int) -> Told:
    """Play one round; return what it came to."""
    folder = Path(tempfile.mkdtemp(prefix="smsupgrade-"))
    folder.chmod(0o755)
    result = Told()
    system = System(folder, kind, seed)
    try:
        begun = time.monotonic()
        system.start_part("valkey")
        system.start_provider()
        system.processes.code = old
        flask(system, old, "-m", "flask", "db", "upgrade")
        for name in ("web", "scheduler", *system.workers):
            system.start_part(name)
        for port in (system.web_port, system.provider_port):
            wait_for(partial(listens, port), "the old version", PATIENCE)
        flask(system, old, "-c", SETUP, str(system.provider_port), str(people), str(AT_ONCE), "0", *map(str, LATER))
        wait_for(lambda: len(system.texts([""])) > system.dice.randint(20, people // 4), "the sending", PATIENCE)
        system.processes.code = HERE
        since = len(system.texts([""]))
        step = time.monotonic()
        flask(system, HERE, "-m", "flask", "db", "upgrade")
        result.strikes.append(f"upgraded in {time.monotonic() - step:.1f} s after {since} texts")
        for name in ("web", *system.workers, "scheduler"):
            replace(system, name)
        result.strikes.append(f"replaced after {len(system.texts(['']))} texts")
        with system.app.app_context():
            while not _over():
                system.tend()
                time.sleep(0.2)
                if time.monotonic() - begun > 3 * LONGEST:
                    result.broken.append("stuck")
                    break
            settle_receipts(system, result, time.monotonic())
            _count(system, people, result)
        result.seconds = time.monotonic() - begun
    finally:
        system.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return result


def _over() -> bool:
    current_session().commit()
    statuses = current_session().scalars(sa.select(Campaign.status)).all()
    return set(statuses) <= {str(status) for status in OVER}


def _count(system: System, people: int, result: Told) -> None:
    current_session().commit()
    runs = current_session().scalars(sa.select(Run.id).order_by(Run.id)).all()
    if len(runs) != 1 + len(LATER):
        result.broken.append(f"{len(runs)} runs")
    for run_id in runs:
        count_run(system, run_id, people, result)
    for check in verify.verify():
        result.broken += [f"run {check.run_id}: {line}" for line in check.broken]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--old", default="", help="a revision; default: the one before the newest migration")
    parser.add_argument("--rounds", type=int, default=2, help="on each database")
    parser.add_argument("--database", choices=("both", *DATABASES), default="both")
    parser.add_argument("--people", type=int, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    kinds = DATABASES if options.database == "both" else (options.database,)
    place = Path(tempfile.mkdtemp(prefix="smsolder-"))
    wrong = 0
    try:
        with older_version(options.old or before_newest_migration(), place / "old") as old:
            for kind in kinds:
                for n in range(1, options.rounds + 1):
                    result = play(kind, old, options.seed + n, options.people)
                    wrong += bool(result.broken)
                    print(
                        f"{kind} round {n}: {result.seconds:5.1f} s, {', '.join(result.strikes)}; {result.messages} "
                        f"messages, {result.submits} came, {result.lost} unconfirmed, {result.troubled} troubled"
                        + "".join(f"\n    WRONG: {line}" for line in result.broken),
                        flush=True,
                    )
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print(f"Rounds with something wrong: {wrong}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
