"""One round: campaigns go out, things are killed at random moments and come back, and then everything is counted."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from bench.chaos.system import AWAY, System
from smsapp.domain import ranges
from smsapp.domain.campaign import Status as CampaignStatus
from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.services.platform import clock
from smsapp.services.receipts import consumer as inbox
from smsapp.services.reports import reports, verify
from smsapp.services.sending import lifecycle
from smsapp.services.templates import approvals
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from smsapp.store.runs import claims
from smsapp.store.runs.runs import Message, Run
from smsapp.store.sms_templates import SmsTemplate
from tests import builders

LONGEST = 120.0
"""Seconds a round may take before it counts as stuck."""
PRICE = Decimal("0.045")
TEXT = "尊敬的${level}，" + "您的积分将于本月底到期，请及时使用。" * 3
LEVELS = ("金卡", "黑金卡尊享会员级别")
"""Texts of one part and of two."""
OVER = {CampaignStatus.SENT, CampaignStatus.FAILED, CampaignStatus.STOPPED}


@dataclass
class Told:
    """What a round was like."""

    strikes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    messages: int = 0
    submits: int = 0
    held: int = 0
    """Messages in workers' hands at the kills."""
    lost: int = 0
    """Messages nobody can say about what became of them: their worker died. At most `held`."""
    troubled: int = 0
    parts: int = 0
    """Billed parts of all accepted messages, counted from the texts that came to the provider."""
    billed: int = 0
    """The same, as stored with the runs."""
    cost: Decimal = Decimal(0)
    """What the reports say it costs."""
    broken: list[str] = field(default_factory=list)


def send_at(channel_id: int, template: SmsTemplate, due: dt.datetime, **given: Any) -> int:
    """Return a confirmed campaign that is due then, to everybody unless a `segment_id` is given; rung as ever."""
    made = builders.campaign(
        channel_id=channel_id,
        template_id=template.id,
        schedule={"kind": "once", "zone": "UTC", "at": due.replace(tzinfo=None).isoformat(timespec="seconds")},
        zone="UTC",
        status=CampaignStatus.WAITING,
        next_due_at=due,
        mapping={"level": {"property": "level"}},
        confirmed_template=approvals.confirmed_words(template),
        **given,
    )
    lifecycle.ring_when_due(made.id, due)
    return made.id


def play(system: System, ways: Sequence[tuple[int, SmsTemplate]], people: int) -> Told:
    """Play one round over these channels; return what it was like, with everything that is wrong in `broken`."""
    told = Told()
    begun = time.monotonic()
    system.held.clear()
    dice = system.dice
    due = clock.now() + dt.timedelta(seconds=0.2)
    campaigns = [send_at(channel, template, due) for channel, template in ways]
    plan = sorted((dice.uniform(0.0, 3.5), dice.choice(system.victims())) for _ in range(dice.randint(1, 3)))
    for at, victim in plan:
        while time.monotonic() < begun + at:
            system.tend()
            time.sleep(0.02)
        told.strikes.append(system.strike(victim))
    while system.back_at or not _over(campaigns):
        system.tend()
        time.sleep(0.1)
        if time.monotonic() - begun > LONGEST:
            told.broken.append(f"stuck: {[_standing(one) for one in campaigns]}")
            break
    _settle_receipts(system, told, begun)
    told.seconds = time.monotonic() - begun
    _count(system, campaigns, people, told)
    return told


def _over(campaigns: Sequence[int]) -> bool:
    try:
        current_session().commit()
        return all(_standing(one) in OVER for one in campaigns)
    except AWAY:
        current_session().rollback()
        return False


def _standing(campaign_id: int) -> str | None:
    return current_session().scalar(sa.select(Campaign.status).where(Campaign.id == campaign_id))


def _settle_receipts(system: System, told: Told, begun: float) -> None:
    """Wait until the provider has brought all its receipts and they are applied."""
    while system.counts([])["errands"] and time.monotonic() - begun < LONGEST:
        system.tend()
        time.sleep(0.1)
    while inbox.unread_count():
        inbox.apply_callbacks(clock.now())
        if time.monotonic() - begun > LONGEST:
            told.broken.append("receipts are not applied")
            return


def _count(system: System, campaigns: Sequence[int], people: int, told: Told) -> None:
    current_session().commit()
    for campaign_id in campaigns:
        runs = current_session().scalars(sa.select(Run.id).where(Run.campaign_id == campaign_id)).all()
        if len(runs) != 1:
            told.broken.append(f"campaign {campaign_id} has {len(runs)} runs")
            continue
        _count_run(system, runs[0], people, told)
        _count_cost(campaign_id, told)
        for check in verify.verify(campaign_id):
            told.broken += [f"run {check.run_id}: {line}" for line in check.broken]


def _count_cost(campaign_id: int, told: Told) -> None:
    """Compare the cost that pages show with the parts of the rows, at the frozen price."""
    costs = reports.report(campaign_id, None, clock.now()).costs
    parts = sa.select(sa.func.coalesce(sa.func.sum(Message.parts), 0)).join(Run, Run.id == Message.run_id)
    accepted = parts.where(Run.campaign_id == campaign_id, Message.status.in_(sorted(ACCEPTED_STATES)))
    due = int(current_session().scalar(accepted) or 0) * PRICE
    shown = sum((cost.amount or Decimal(0) for cost in costs), Decimal(0))
    told.cost += shown
    if shown != due:
        told.broken.append(f"campaign {campaign_id}: cost {shown} is shown, the rows cost {due}")


def _parts(characters: int) -> int:
    """Return the billed parts of a Chinese text, by the rule of the carriers."""
    return 1 if characters <= 70 else -(-characters // 67)


def _count_run(system: System, run_id: int, people: int, told: Told) -> None:
    counted = system.counts([run_id])
    submits = {to: n for _run, to, n, _length in counted["submits"]}
    lengths = {to: length for _run, to, _n, length in counted["submits"]}
    troubled = {int(ref.partition("-")[2]) for ref in counted["troubled"]}
    rows = (
        current_session()
        .execute(sa.select(Message.seq, Message.phone, Message.status, Message.reason).where(Message.run_id == run_id))
        .all()
    )
    held = [(lo, hi) for run, lo, hi in system.held if run == run_id]
    told.messages += len(rows)
    told.submits += len(submits)
    told.held += sum(hi - lo + 1 for lo, hi in ranges.joined(held))
    told.troubled += len(troubled)
    broken: list[str] = []
    stored = current_session().scalar(sa.select(Run.parts).where(Run.id == run_id)) or 0
    came_to = sum(
        _parts(lengths[phone]) for _seq, phone, status, _why in rows if status in ACCEPTED_STATES and phone in lengths
    )
    told.parts, told.billed = told.parts + came_to, told.billed + stored
    if stored != came_to:
        broken.append(f"{stored} parts are billed, the texts that came have {came_to}")
    twice = [to for to, n in submits.items() if n > 1]
    if twice:
        broken.append(f"{len(twice)} people written to more than once")
    if len(rows) != people:
        broken.append(f"{len(rows)} messages for {people} people")
    for seq, phone, status, reason in rows:
        state = Status(status)
        came = phone in submits
        if state in ACCEPTED_STATES and not came:
            broken.append(f"message {seq} is {state.name} but never came")
        elif state not in {*ACCEPTED_STATES, Status.UNCONFIRMED, Status.REFUSED}:
            broken.append(f"message {seq} is {state.name}{' and came' if came else ''}")
        elif state is Status.UNCONFIRMED and reason == claims.WORKER_LOST:
            told.lost += 1
            if not any(lo <= seq <= hi for lo, hi in held):
                broken.append(f"message {seq} is unconfirmed though nobody had it at a kill")
        elif state is Status.UNCONFIRMED and seq not in troubled and not any(lo <= seq <= hi for lo, hi in held):
            broken.append(f"message {seq} is unconfirmed ({reason}) without a reason")
    told.broken += [f"run {run_id}: {line}" for line in broken[:10]]
