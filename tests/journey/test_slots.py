"""A daily campaign under two schedulers and two workers; Redis is emptied and restarted and a worker killed on the way.

One run per slot, nobody written to twice in one, nothing missed without a record. The days pass by moving TEST_CLOCK,
not by waiting for them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa
from flask import Flask

from bench.sink import Sink, sinking
from config import Config
from smsapp.channels.gateway import Gateway
from smsapp.domain.campaign import Status
from smsapp.domain.funnel import broken_identities
from smsapp.domain.run import RunState
from smsapp.domain.schedule import Kind, Schedule
from smsapp.factory import create_app
from smsapp.services.channels import accounts, validation
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import starting
from smsapp.store import queue
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, db, writing
from smsapp.store.runs import funnels, runs
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.engine import recount
from tests.journey.kannel import wait_for
from tests.journey.processes import PATIENCE, Processes, processes

PEOPLE = 400
DAYS = 4
LEASE = 5


@pytest.fixture
def sink() -> Iterator[Sink]:
    """A provider that answers each text after a moment and remembers what it got."""
    with sinking(Sink(delay=0.05, refs=True)) as server:
        yield server


@pytest.fixture
def system(config: Config, short_folder: Path, worker_id: str, tmp_path: Path) -> Iterator[Processes]:
    """Processes with a Redis of their own and a clock that this test moves."""
    (tmp_path / "clock").write_text("0")
    # A socket's path is short, and no other process of this test run may have the same.
    socket = short_folder / f"slots-{worker_id}" / "v.sock"
    socket.parent.mkdir(parents=True, exist_ok=True)
    reachable = dataclasses.replace(
        config,
        REDIS_URL=f"unix://{socket}",
        ALLOWED_PRIVATE_HOSTS=("127.0.0.0/8",),
        LEASE_SECONDS=LEASE,
        TEST_CLOCK=str(tmp_path / "clock"),
    )
    with processes(reachable, tmp_path) as started:
        yield started


def daily_campaign(sink: Sink) -> tuple[int, dt.datetime]:
    """Return a confirmed daily campaign of DAYS slots and its first one, tomorrow at ten."""
    values = {setting.name: setting.default for setting in Gateway.settings}
    values |= {
        "method": "POST",
        "url": sink.url,
        "body_format": "json",
        "body": '{"to": "{to}", "text": "{text}", "ref": "{ref}"}',
        "plain_http": "1",
        "max_concurrency": "4",
    }
    channel = accounts.create("gateway", validation.ChannelFields("计数的服务商", values), Actor("test"), clock.now())
    template = builders.template(channel)
    first = (clock.now() + dt.timedelta(days=1)).date()
    schedule = Schedule(Kind.DAILY, "UTC", dt.time(10), first, first + dt.timedelta(days=DAYS - 1))
    slot = dt.datetime.combine(first, dt.time(10), dt.UTC)
    campaign = builders.campaign(
        channel_id=channel,
        template_id=template.id,
        schedule=schedule.as_json(),
        recurring=True,
        zone="UTC",
        status=Status.WAITING,
        next_due_at=slot,
        confirmed_template={"text": template.text, "signature": template.signature},
    )
    assert current_session().get(SmsTemplate, template.id) is not None
    return campaign.id, slot


def until(app: Flask, holds: Callable[[], bool], what: str) -> None:
    """Wait for something in the database, enqueuing the sweep as the scheduler does each minute."""

    def looked() -> bool:
        current_session().commit()
        current_session().expire_all()
        queue.enqueue_unless_waiting(queue.PERIODIC, "sweep")
        return holds()

    wait_for(looked, what, PATIENCE)


def move_clock(system: Processes, moment: dt.datetime) -> None:
    ahead = moment - dt.datetime.now(dt.UTC)
    written = Path(system.config.TEST_CLOCK).with_suffix(".new")
    written.write_text(str(ahead.total_seconds()))
    # In one step: the processes read it all the time.
    written.replace(system.config.TEST_CLOCK)


def state_of(campaign_id: int) -> tuple[str, dt.datetime | None]:
    campaign = current_session().get(Campaign, campaign_id, populate_existing=True)
    assert campaign is not None
    return campaign.status, campaign.next_due_at


def run_of(campaign_id: int, slot: dt.datetime) -> Run | None:
    return current_session().scalar(sa.select(Run).where(Run.campaign_id == campaign_id, Run.slot == slot))


def test_every_slot_has_one_run_and_nobody_is_written_to_twice(system: Processes, sink: Sink) -> None:
    socket = Path(system.config.REDIS_URL.removeprefix("unix://"))
    valkey = system.valkey(socket)
    app = create_app(system.config)
    with app.app_context():
        # given a daily campaign of four days, two schedulers and two workers
        builders.contacts(PEOPLE)
        campaign_id, first = daily_campaign(sink)
        day = dt.timedelta(days=1)
        starting.enqueue_when_due(campaign_id, first)
        for name in ("scheduler-a", "scheduler-b"):
            system.scheduler(name)
        worker, _other = (system.worker(name) for name in ("worker-a", "worker-b"))

        # when the first slot comes in the ordinary way
        move_clock(system, first - dt.timedelta(seconds=1))
        starting.enqueue_when_due(campaign_id, first)
        until(app, lambda: state_of(campaign_id) == (Status.WAITING, first + day), "the first run")

        # and on the second day Redis is emptied and a worker is killed while the run goes on
        move_clock(system, first + day)
        until(app, lambda: sink.counts.requests > PEOPLE + 50, "the second run under way")
        redis.Redis(unix_socket_path=str(socket)).flushall()
        system.kill(worker)
        system.worker("worker-c")
        until(app, lambda: state_of(campaign_id) == (Status.WAITING, first + 2 * day), "the second run")

        # and before the third Redis is killed and comes back
        system.kill(valkey)
        valkey = system.valkey(socket)
        # A worker that loses Redis at the end of a job leaves; its supervisor, which is not here, starts it again.
        system.worker("worker-d")
        move_clock(system, first + 2 * day)
        until(app, lambda: state_of(campaign_id) == (Status.WAITING, first + 3 * day), "the third run")

        # and everything is down over the fourth slot and longer than its grace
        move_clock(system, first + 3 * day + dt.timedelta(hours=3))
        until(app, lambda: state_of(campaign_id)[0] == Status.FAILED, "the end")

        # then there is one run per slot, the missed one recorded, and the numbers add up
        campaign_runs = runs.of_campaign(current_session(), campaign_id)
        assert [run.slot for run in reversed(campaign_runs)] == [first + n * day for n in range(DAYS)]
        assert [run.state for run in reversed(campaign_runs)] == [RunState.DONE] * 3 + [RunState.MISSED]
        for run in campaign_runs[1:]:
            # The first day's messages are given up meanwhile, after 72 hours without a receipt.
            with writing(frozen=True) as session:
                funnel = funnels.run_funnels(session, [run.id])[run.id]
                counted = recount(run.id)
            assert broken_identities(funnel) == []
            assert counted == {status.name.lower(): n for status, n in funnel.messages.items() if n}
            assert funnel.accepted + funnel.unconfirmed == PEOPLE
        doubted = [
            funnels.run_funnels(current_session(), [run.id])[run.id].unconfirmed for run in reversed(campaign_runs)
        ]
        assert doubted[0] == doubted[2] == 0
        # and nobody got a text twice, nor was left out without being unconfirmed
        assert sink.counts.repeated == 0
        assert len(sink.counts.refs) >= 3 * PEOPLE - sum(doubted)
        db.session.remove()
        db.engine.dispose()
    system.kill(valkey, signal.SIGTERM)
