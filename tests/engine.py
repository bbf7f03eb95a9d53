"""Shared by tests of sending: a campaign being sent, one sender, and the numbers afterwards."""

from __future__ import annotations

import datetime as dt
from typing import Any

import sqlalchemy as sa
from flask import Flask

from smsapp.channels.types import Receipt
from smsapp.domain import message
from smsapp.domain.campaign import Action, Status
from smsapp.domain.funnel import Funnel, broken_identities
from smsapp.domain.schedule import Kind, Schedule
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import applying
from smsapp.services.sending import opening, sender
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, writing
from smsapp.store.runs import claims, funnels, runs, tallies
from smsapp.store.runs.claims import ClaimedBatch
from smsapp.store.runs.runs import Message, Run
from smsapp.store.sms_templates import SmsTemplate
from tests import builders
from tests.fakes import FakeClock

OPERATOR = Actor("ops")


def confirmed(now: dt.datetime, **columns: Any) -> tuple[Campaign, int]:
    """A campaign that is sending, with an open run for this moment."""
    campaign = builders.campaign(**columns)
    template = current_session().get(SmsTemplate, campaign.template_id)
    assert template is not None
    with writing() as session:
        campaign.confirmed_template = {"text": template.text, "signature": template.signature}
        campaigns.move(session, campaign.id, Action.LAUNCH)
        run_id = runs.add_run(session, campaign, now, now)
    assert run_id is not None
    return campaign, run_id


def work(app: Flask, clock: FakeClock) -> None:
    """Run one sender, as a worker would; this test's session then sees what it wrote."""
    sender.send(app, clock)
    current_session().commit()
    current_session().expire_all()


def funnel(run_id: int) -> Funnel:
    current_session().expire_all()
    counts = funnels.run_funnels(current_session(), [run_id])[run_id]
    assert broken_identities(counts) == []
    return counts


def recount(run_id: int) -> dict[str, int]:
    """Return the states of the rows themselves, for comparison with the tallies."""
    rows = current_session().execute(
        sa.select(Message.status, sa.func.count()).where(Message.run_id == run_id).group_by(Message.status)
    )
    return {tallies.tally_key(message.Status(status)): n for status, n in rows}


def reasons(run_id: int) -> dict[tuple[str, str], int]:
    """Return (state, reason) -> messages of a run that have a reason, counted from the rows themselves."""
    rows = current_session().execute(
        sa.select(Message.status, Message.reason, sa.func.count())
        .where(Message.run_id == run_id, Message.reason.is_not(None))
        .group_by(Message.status, Message.reason)
    )
    return {(tallies.tally_key(message.Status(status)), reason): n for status, reason, n in rows if reason}


def status(campaign: Campaign) -> str:
    current_session().refresh(campaign)
    return campaign.status


def the_run(run_id: int) -> Run:
    run = current_session().get(Run, run_id, populate_existing=True)
    assert run is not None
    return run


def waiting(now: dt.datetime, schedule: Schedule, due: dt.datetime) -> Campaign:
    campaign = builders.campaign(schedule=schedule.as_json(), recurring=schedule.recurring)
    template = current_session().get(SmsTemplate, campaign.template_id)
    assert template is not None
    campaign.confirmed_template = {"text": template.text, "signature": template.signature}
    campaign.status = Status.WAITING
    campaign.next_due_at = due
    current_session().commit()
    return campaign


def daily(now: dt.datetime, **overrides: Any) -> Schedule:
    values: dict[str, Any] = {"kind": Kind.DAILY, "zone": "Asia/Shanghai", "time": dt.time(10), "start": now.date()}
    return Schedule(**(values | overrides))


def refs(run_id: int) -> list[str]:
    rows = current_session().scalars(sa.select(Message.seq).where(Message.run_id == run_id).order_by(Message.seq))
    return [f"{run_id}-{seq}" for seq in rows]


def arrive(channel_id: int, clock: FakeClock, *new_receipts: Receipt) -> None:
    """Apply receipts that this channel brings."""
    with writing() as session:
        applying.apply_receipts(session, {channel_id: new_receipts}, clock.now)


def apply(clock: FakeClock, *news: Receipt) -> None:
    """Apply receipts as if the newest run's channel had brought them."""
    channel_id = current_session().scalar(sa.select(Run.channel_id).order_by(Run.id.desc()).limit(1))
    assert channel_id is not None
    arrive(channel_id, clock, *news)


def claimed(campaign: Campaign, clock: FakeClock, by: str) -> ClaimedBatch:
    """Claim a batch of the campaign's runs for this worker, for a minute."""
    with writing() as session:
        until = clock.now + dt.timedelta(seconds=60)
        run_ids = session.scalars(sa.select(Run.id).where(Run.campaign_id == campaign.id)).all()
        (batch,) = claims.claim_batches(session, run_ids, 0, by, until, 1, {})
    return batch


def in_hands(people: int, clock: FakeClock, by: str) -> tuple[Campaign, int, ClaimedBatch]:
    """Return a campaign to so many new people, its run, and its first batch, claimed by this worker."""
    builders.contacts(people)
    campaign, run_id = confirmed(clock.now)
    opening.open_run(run_id, clock.now)
    return campaign, run_id, claimed(campaign, clock, by)


def campaign_due(campaign: Campaign) -> dt.datetime | None:
    current_session().refresh(campaign)
    return campaign.next_due_at
