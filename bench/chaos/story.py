"""One round: campaigns are sent, processes are killed at random moments and restarted, and everything is counted."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from bench.chaos.system import AWAY, System
from smsapp.domain.campaign import Status as CampaignStatus
from smsapp.domain.message import ACCEPTED_STATES, Status
from smsapp.domain.ranges import joined
from smsapp.services.platform import clock
from smsapp.services.receipts import callback_inbox
from smsapp.services.receipts import consumer as inbox
from smsapp.services.reports import reports, verify
from smsapp.services.sending import starting
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
    """The result of a round."""

    strikes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    messages: int = 0
    submits: int = 0
    held: int = 0
    """Messages in flight at the kills."""
    lost: int = 0
    """Unconfirmed messages whose worker died. At most `held`."""
    troubled: int = 0
    parts: int = 0
    """Billed parts of all accepted messages, counted from the texts that came to the provider."""
    billed: int = 0
    """The same, as stored with the runs."""
    cost: Decimal = Decimal(0)
    """Their cost by the reports."""
    broken: list[str] = field(default_factory=list)


def send_at(channel_id: int, template: SmsTemplate, due: dt.datetime, **columns: Any) -> int:
    """Add a confirmed campaign that is due then, to everybody unless a `segment_id` is given, and schedule its job."""
    campaign = builders.campaign(
        channel_id=channel_id,
        template_id=template.id,
        schedule={"kind": "once", "zone": "UTC", "at": due.replace(tzinfo=None).isoformat(timespec="seconds")},
        zone="UTC",
        status=CampaignStatus.WAITING,
        next_due_at=due,
        mapping={"level": {"property": "level"}},
        confirmed_template=approvals.confirmed_words(template),
        **columns,
    )
    starting.enqueue_when_due(campaign.id, due)
    return campaign.id


def play(system: System, routes: Sequence[tuple[int, SmsTemplate]], people: int) -> Told:
    """Play one round over these channels; return its result, with everything that is wrong in `broken`."""
    result = Told()
    begun = time.monotonic()
    system.held.clear()
    dice = system.dice
    due = clock.now() + dt.timedelta(seconds=0.2)
    campaigns = [send_at(channel, template, due) for channel, template in routes]
    plan = sorted((dice.uniform(0.0, 3.5), dice.choice(system.victims())) for _ in range(dice.randint(1, 3)))
    for at, victim in plan:
        while time.monotonic() < begun + at:
            system.tend()
            time.sleep(0.02)
        result.strikes.append(system.strike(victim))
    while system.back_at or not is_over(campaigns):
        system.tend()
        time.sleep(0.1)
        if time.monotonic() - begun > LONGEST:
            result.broken.append(f"stuck: {[_standing(campaign_id) for campaign_id in campaigns]}")
            break
    settle_receipts(system, result, begun)
    result.seconds = time.monotonic() - begun
    count(system, campaigns, people, result)
    return result


def is_over(campaigns: Sequence[int]) -> bool:
    try:
        current_session().commit()
        return all(_standing(campaign_id) in OVER for campaign_id in campaigns)
    except AWAY:
        current_session().rollback()
        return False


def _standing(campaign_id: int) -> str | None:
    return current_session().scalar(sa.select(Campaign.status).where(Campaign.id == campaign_id))


def settle_receipts(system: System, result: Told, begun: float) -> None:
    """Wait until the provider has sent all its receipts and they are applied."""
    while system.counts([])["errands"] and time.monotonic() - begun < LONGEST:
        system.tend()
        time.sleep(0.1)
    while callback_inbox.unread_count():
        inbox.apply_callbacks(clock.now())
        if time.monotonic() - begun > LONGEST:
            result.broken.append("receipts are not applied")
            return


def count(system: System, campaigns: Sequence[int], people: int, result: Told) -> None:
    current_session().commit()
    for campaign_id in campaigns:
        runs = current_session().scalars(sa.select(Run.id).where(Run.campaign_id == campaign_id)).all()
        if len(runs) != 1:
            result.broken.append(f"campaign {campaign_id} has {len(runs)} runs")
            continue
        count_run(system, runs[0], people, result)
        _count_cost(campaign_id, result)
        for check in verify.verify(campaign_id):
            result.broken += [f"run {check.run_id}: {line}" for line in check.broken]


def _count_cost(campaign_id: int, result: Told) -> None:
    """Compare the cost that pages show with the parts of the rows, at the frozen price."""
    costs = reports.report(campaign_id, None, clock.now()).costs
    parts = sa.select(sa.func.coalesce(sa.func.sum(Message.parts), 0)).join(Run, Run.id == Message.run_id)
    accepted = parts.where(Run.campaign_id == campaign_id, Message.status.in_(sorted(ACCEPTED_STATES)))
    row_cost = int(current_session().scalar(accepted) or 0) * PRICE
    shown_cost = sum((cost.amount or Decimal(0) for cost in costs), Decimal(0))
    result.cost += shown_cost
    if shown_cost != row_cost:
        result.broken.append(f"campaign {campaign_id}: cost {shown_cost} is shown, the rows cost {row_cost}")


def _parts(characters: int) -> int:
    """Return the billed parts of a Chinese text, by the rule of the carriers."""
    return 1 if characters <= 70 else -(-characters // 67)


def count_run(system: System, run_id: int, people: int, result: Told) -> None:
    """Compare a run's messages with what the provider counted; what is wrong goes into `broken`."""
    counted = system.counts([run_id])
    submits = {to: n for _run, to, n, _length in counted["submits"]}
    lengths = {to: length for _run, to, _n, length in counted["submits"]}
    troubled = {int(ref.partition("-")[2]) for ref in counted["troubled"]}
    rows = (
        current_session()
        .execute(sa.select(Message.seq, Message.phone, Message.status, Message.reason).where(Message.run_id == run_id))
        .all()
    )
    batches = [(lo, hi) for run, lo, hi in system.held if run == run_id]
    result.messages += len(rows)
    result.submits += len(submits)
    result.held += sum(hi - lo + 1 for lo, hi in joined(batches))
    result.troubled += len(troubled)
    broken: list[str] = []
    stored_parts = current_session().scalar(sa.select(Run.parts).where(Run.id == run_id)) or 0
    received_parts = sum(
        _parts(lengths[phone]) for _seq, phone, status, _why in rows if status in ACCEPTED_STATES and phone in lengths
    )
    result.parts, result.billed = result.parts + received_parts, result.billed + stored_parts
    if stored_parts != received_parts:
        broken.append(f"{stored_parts} parts are billed, the texts that came have {received_parts}")
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
            result.lost += 1
            if not any(lo <= seq <= hi for lo, hi in batches):
                broken.append(f"message {seq} is unconfirmed though nobody had it at a kill")
        elif state is Status.UNCONFIRMED and seq not in troubled and not any(lo <= seq <= hi for lo, hi in batches):
            broken.append(f"message {seq} is unconfirmed ({reason}) without a reason")
    result.broken += [f"run {run_id}: {line}" for line in broken[:10]]
