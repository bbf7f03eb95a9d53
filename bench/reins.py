"""Control of campaigns: pause and end take effect at once, no second exceeds the rate, small campaigns are not delayed.

    python -m bench.reins [--database both|sqlite|postgresql] [--people 200000]

With four worker processes and a provider that records when each message came:

- a campaign is paused and ended at random moments: how long afterwards the last message came, and whether everybody was
  either written to or cancelled, and nobody both;
- the most messages in any second, wherever it begins, beside the channel's rate;
- how long 20 messages take alone, and beside a campaign of `--people` on the same channel.

Exit code 3 if a bar was missed.
"""

from __future__ import annotations

import argparse
import bisect
import datetime as dt
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import sqlalchemy as sa

from bench import table
from bench.chaos.story import OVER, send_at
from bench.chaos.system import System, running
from bench.stage import fill
from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.reports import reports, verify
from smsapp.services.sending import actions, starting
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.segments import SegmentMember
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Message, Run
from tests import builders

OPERATOR = Actor("reins")
WORKERS = 4
BOUND = 2.0
"""Seconds within which a pause or an end takes effect at all workers."""
RATE = 100
MOST_RATIO = 2.0
SMALL = 20
PATIENCE = 120.0


def _until(system: System, holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        current_session().commit()
        current_session().expire_all()
        if holds():
            return
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        system.tend()
        time.sleep(0.05)


def _run_of(campaign_id: int) -> int:
    return current_session().scalars(sa.select(Run.id).where(Run.campaign_id == campaign_id)).one()


def _status(campaign_id: int) -> str:
    return current_session().scalars(sa.select(Campaign.status).where(Campaign.id == campaign_id)).one()


def _begin(system: System, channel_id: int, segment_id: int | None = None) -> tuple[int, int]:
    """Send a campaign now, to everybody or to a segment; return it and its run once the first message has come."""
    current_session().commit()  # on SQLite a transaction that has read cannot write once another process has written
    columns = {} if segment_id is None else {"segment_id": segment_id}
    campaign_id = send_at(channel_id, builders.template(channel_id), clock.now(), **columns)
    starting.start(campaign_id, clock.now())
    _until(
        system,
        lambda: bool(current_session().scalar(sa.select(sa.exists().where(Run.campaign_id == campaign_id)))),
        "run",
    )
    run_id = _run_of(campaign_id)
    _until(system, lambda: bool(system.counts([run_id])["submits"]), "the first message")
    return campaign_id, run_id


def pause_and_end(system: System, channel_id: int, dice: random.Random) -> tuple[list[float], list[str]]:
    """Pause, resume and end a campaign at random moments; return the seconds after each and what was wrong with it."""
    wrong: list[str] = []
    campaign_id, run_id = _begin(system, channel_id)

    def rest_after(act: Callable[[int, Actor, dt.datetime], None]) -> float:
        """Return how many seconds after the act the last message came."""
        time.sleep(dice.uniform(0.1, 0.8))
        act(run_id, OPERATOR, clock.now())
        acted_at = time.time()
        time.sleep(BOUND + 1)
        arrivals: list[float] = system.counts([run_id])["arrivals"]
        return max(arrivals) - acted_at

    late = [rest_after(actions.pause)]
    funnel = reports.report(campaign_id, None, clock.now()).funnel
    current_session().commit()
    if funnel.in_flight:
        wrong.append(f"{funnel.in_flight} are still in workers' hands though the run is paused")
    actions.resume(run_id, OPERATOR, clock.now())
    goes_on = len(system.counts([run_id])["arrivals"])
    _until(system, lambda: len(system.counts([run_id])["arrivals"]) > goes_on, "going on")
    late.append(rest_after(actions.end))
    _until(system, lambda: _status(campaign_id) in OVER, "the end")
    if _status(campaign_id) != "stopped":
        wrong.append(f"the campaign is {_status(campaign_id)}, not stopped")
    n_by_phone = {to: n for _run, to, n, _length in system.counts([run_id])["submits"]}
    sent_phones, cancelled_phones = set(), set()
    for phone, status in current_session().execute(
        sa.select(Message.phone, Message.status).where(Message.run_id == run_id)
    ):
        if status == Status.CANCELLED:
            cancelled_phones.add(phone)
        elif Status(status) in {*ACCEPTED_STATES, Status.UNCONFIRMED, Status.REFUSED}:
            sent_phones.add(phone)
    planned = current_session().scalars(sa.select(Run.planned).where(Run.id == run_id)).one()
    if len(sent_phones) + len(cancelled_phones) != planned or not cancelled_phones:
        wrong.append(f"{len(sent_phones)} sent and {len(cancelled_phones)} cancelled of {planned}")
    if sent_phones != n_by_phone.keys() or max(n_by_phone.values()) > 1:
        wrong.append(f"{len(sent_phones ^ n_by_phone.keys())} stand otherwise than what came")
    wrong += [line for check in verify.verify(campaign_id) for line in check.broken]
    print(
        f"  pause and end: the last message came {late[0]:.2f} s and {late[1]:.2f} s after; {len(sent_phones)} sent, "
        f"{len(cancelled_phones)} cancelled of {planned}",
        flush=True,
    )
    return late, wrong


def busiest_second(arrivals: Sequence[float]) -> int:
    """Return the most arrivals within one second, wherever it begins."""
    moments = sorted(arrivals)
    return max(bisect.bisect_left(moments, at + 1.0) - n for n, at in enumerate(moments))


def keep_the_rate(kind: str, system: System, seconds: float) -> None:
    """Send over a limited channel for a while."""
    campaign_id, run_id = _begin(system, system.channel("限速", RATE, in_flight=50))
    begun = time.monotonic()
    while time.monotonic() < begun + seconds:
        system.tend()
        time.sleep(0.1)
    actions.end(run_id, OPERATOR, clock.now())
    _until(system, lambda: _status(campaign_id) in OVER, "the end")
    arrivals = system.counts([run_id])["arrivals"]
    most = busiest_second(arrivals)
    pace = len(arrivals) / (max(arrivals) - min(arrivals))
    table.add(kind, f"busiest second at {RATE} per second", f"{most}", f"on average {pace:.1f}", most, most=RATE)


def fairness(kind: str, system: System) -> list[str]:
    """Send 20 messages alone and beside a huge campaign on one channel; return what was wrong."""
    channel_id = system.channel("共用", in_flight=20)
    small = builders.segment(kind="static")
    current_session().add_all(SegmentMember(segment_id=small.id, contact_id=n) for n in range(1, SMALL + 1))
    current_session().commit()

    def seconds() -> float:
        campaign_id, run_id = _begin(system, channel_id, small.id)
        _until(system, lambda: _status(campaign_id) in OVER, "the small one")
        # By the run's own times: the sweeps and receipts of this process take longer than the run.
        run = current_session().get_one(Run, run_id, populate_existing=True)
        return ((run.finished_at or clock.now()) - run.opened_at).total_seconds()

    alone = sorted(seconds() for _ in range(9))[4]
    _huge, run_id = _begin(system, channel_id)
    beside = sorted(seconds() for _ in range(9))[4]
    state = current_session().scalars(sa.select(Run.state).where(Run.id == run_id)).one()
    actions.end(run_id, OPERATOR, clock.now())
    what = f"{SMALL} messages beside a huge campaign"
    table.add(kind, what, f"{beside:.2f} s", f"alone {alone:.2f} s", beside / alone, most=MOST_RATIO)
    return [] if state == "sending" else ["the huge campaign was over too soon"]


def reins(kind: str, people: int, seed: int) -> None:
    """Measure all three on one kind of database."""
    folder = Path(tempfile.mkdtemp(prefix="smsreins-"))
    folder.chmod(0o755)
    try:
        with running(folder / "s", kind, seed, workers=WORKERS) as system:
            fill(people)
            channel_id = system.channel("一")
            results = [pause_and_end(system, channel_id, system.dice) for _ in range(3)]
            latest = max(seconds for late, _wrong in results for seconds in late)
            what = "last message after a pause or an end"
            table.add(kind, what, f"{latest:.2f} s", "", latest, most=BOUND, unit="s")
            wrong = [line for _late, broken in results for line in broken]
            keep_the_rate(kind, system, 10)
            wrong += fairness(kind, system)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for line in wrong:
        print(f"  WRONG: {line}", flush=True)
    if wrong:
        table.add(kind, "pause, end, rate, fairness", f"{len(wrong)} wrong", "", len(wrong), most=0)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("both", "sqlite", "postgresql"), default="both")
    parser.add_argument("--people", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(f"seed {options.seed}", flush=True)
    kinds = ("sqlite", "postgresql") if options.database == "both" else (options.database,)
    for kind in kinds:
        reins(kind, options.people, options.seed)
    return table.exit_code()


if __name__ == "__main__":
    sys.exit(main())
