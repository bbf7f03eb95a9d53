"""A run's life: opened for its slot, its audience frozen, sent by senders, closed; then the next slot is set.

Every step is a conditional change of rows, so it may be asked for twice, or by two workers at once, or never: then the
sweep asks for it again.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from smsapp.channels.contract import Channel
from smsapp.domain import funnel as numbers
from smsapp.domain import message
from smsapp.domain import schedule as schedules
from smsapp.domain.campaign import Action, Status
from smsapp.domain.errors import Conflict
from smsapp.domain.funnel import Funnel
from smsapp.domain.run import (
    HOLD_RULES,
    CancelReason,
    HoldReason,
    RunAction,
    RunFailure,
    RunState,
    RunVerdict,
)
from smsapp.domain.schedule import Schedule
from smsapp.domain.sms_template import Purpose
from smsapp.services.channels import channels
from smsapp.services.contacts import audience
from smsapp.services.platform import audit_log, clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import billing
from smsapp.services.sending import drift, failover, snapshot
from smsapp.services.templates import approvals
from smsapp.store import queue
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import state_changes
from smsapp.store.runs import freezing, ledger, retries, runs
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings
from smsapp.store.sms_templates import SmsTemplate

log = logging.getLogger(__name__)

HELD = -1
RING_AGAIN = dt.timedelta(minutes=10)
"""How far ahead the sweep renews the scheduler's entries: whatever Redis forgot is back well before it is due."""


# -- from due to frozen -----------------------------------------------------------------------------------------------


def start(campaign_id: int, now: dt.datetime) -> int | None:
    """Open the run of a campaign whose time has come; return its id, or None if there is nothing to do (any more).

    Slots missed by more than the campaign's grace are recorded as missed, one row each, and the next one is set.
    """
    with writing() as session:
        campaign = session.get(Campaign, campaign_id, with_for_update=True, populate_existing=True)
        if campaign is None or campaign.status != Status.WAITING or campaign.next_due_at is None:
            return None
        slot: dt.datetime | None = campaign.next_due_at
        schedule = Schedule.from_json(campaign.schedule)
        grace = dt.timedelta(minutes=campaign.grace_minutes)
        following = schedules.next_due(schedule, campaign.next_due_at) if schedule.recurring else None
        # Of several slots that have passed only the last one is sent: nobody gets yesterday's text beside today's.
        while slot is not None and (slot + grace < now or (following is not None and following <= now)):
            runs.add_missed(session, campaign, slot, now)
            log.warning("slot.missed campaign=%s slot=%s", campaign_id, slot.isoformat())
            slot = following
            following = None if slot is None else schedules.next_due(schedule, slot)
        if slot is None:
            campaigns.move(session, campaign_id, Action.START)
            campaigns.move(session, campaign_id, Action.FAIL, failure=RunFailure.MISSED, next_due_at=None)
            return None
        if slot > now:
            session.execute(sa.update(Campaign).where(Campaign.id == campaign_id).values(next_due_at=slot))
            run_id = None
        elif campaigns.move(session, campaign_id, Action.START, next_due_at=None, failure=""):
            run_id = runs.add_run(session, campaign, slot, now)
        else:
            return None
    if run_id is None:
        ring_when_due(campaign_id, slot)
    else:
        queue.enqueue(queue.SEND, "send", run_id)
    return run_id


def ring_when_due(campaign_id: int, due: dt.datetime) -> None:
    """Have the scheduler ring at this campaign's next slot; the same campaign again moves the ring."""
    queue.enqueue_at(clock.on_the_wall(due), queue.SEND, "start", campaign_id, job_id=job_id(campaign_id))


def job_id(campaign_id: int) -> str:
    """Return the name of a campaign's ring at its next slot."""
    return f"due-{campaign_id}"


def open_run(run_id: int, now: dt.datetime) -> bool:
    """Freeze the audience of a run that has not been frozen yet, or hold it because what was confirmed has changed.

    False if there is nothing to do, or somebody else is at it: whoever waited would let other runs wait, too.
    """
    run = current_session().get(Run, run_id, populate_existing=True)
    if run is None or run.state != RunState.OPEN:
        return False
    adapter = channels.adapter(run.channel_id)
    with writing() as session:
        freezing.ensure_partition(session, run_id)
    try:
        planned = _freeze(run_id, adapter, now)
    except drift.Drifted as drifted:
        drift.hold(run_id, drifted, now)
        return True
    if planned == 0:
        close_if_over(run_id, now)
    return planned is not None


def _freeze(run_id: int, adapter: Channel, now: dt.datetime) -> int | None:
    """Freeze the audience, or hold the run; return its messages, HELD, or None if somebody else is at it.

    Raises Drifted, which undoes it, if the people are not those that were reviewed.
    """
    with writing(frozen=True) as session:
        run = session.get(Run, run_id, with_for_update={"skip_locked": True}, populate_existing=True)
        if run is None or run.state != RunState.OPEN:
            return None
        campaign = session.get(Campaign, run.campaign_id, populate_existing=True)
        template = session.get(SmsTemplate, campaign.template_id) if campaign and campaign.template_id else None
        channel = session.get(ChannelRow, run.channel_id)
        name = _whom(session, run)
        change = HoldReason.SEGMENT_GONE if name is None else changed_since_confirmed(campaign, template, channel)
        if change or campaign is None or template is None or channel is None or name is None:
            runs.hold(session, run_id, change or HoldReason.GONE, None, now)
            log.warning("run.held run=%s reason=%s", run_id, change)
            return HELD
        chosen = (channel.id, template.id, campaign.mapping, now)
        if run.repeats is not None:
            retries.hold_still(session, run.repeats)
            plan = audience.tried_again(run.repeats, *chosen)
        else:
            plan = audience.describe(run.segment_id or 0, *chosen)
        target, planned = freezing.freeze(session, run_id, plan, snapshot.batch_size(adapter, channel.rate))
        drift.check(session, campaign, run, plan.phone_property, target, planned)
        if run.repeats is not None:
            retries.note_where_they_were(session, run_id, run.repeats)
        runs.move(
            session,
            run_id,
            RunAction.FREEZE,
            started_at=now,
            target=target,
            planned=planned,
            marketing=template.purpose == Purpose.MARKETING,
            template=snapshot.facts(campaign, template, channel, name, adapter),
        )
        log.info("run.frozen run=%s target=%s planned=%s", run_id, target, planned)
    return planned


def _whom(session: Session, run: Run) -> str | None:
    """Return the name of the segment the run is for; None if it is gone. A run that repeats one needs no segment."""
    if run.repeats is not None:
        first = session.get(Run, run.repeats)
        return str(first.template.get("segment", "")) if first else None
    segment = session.get(Segment, run.segment_id) if run.segment_id else None
    return segment.name if segment else None


def changed_since_confirmed(
    campaign: Campaign | None, template: SmsTemplate | None, channel: ChannelRow | None
) -> HoldReason | None:
    """Return why a run of this campaign would be held at once: the channel or the template is not what it was."""
    if campaign is None:
        return HoldReason.GONE
    if channel is None or not channel.active:
        return HoldReason.CHANNEL_INACTIVE
    return approvals.change(campaign.confirmed_template, template)


def at_hand(held: Collection[int] | None) -> list[Run]:
    """Return the unfinished runs over these channels, whose connections are held here; None: over those without."""
    going = runs.unfinished(current_session())
    if held is not None:
        return [run for run in going if run.channel_id in held]
    elsewhere = channels.held_elsewhere()
    return [run for run in going if run.channel_id not in elsewhere]


def is_something_left(held: Collection[int] | None, now: dt.datetime) -> bool:
    """Say whether a sender for these channels would find something to do."""
    ours = at_hand(held)
    over = [run for run in ours if run.state == RunState.HELD and run.hold_until is not None and run.hold_until <= now]
    if over or any(run.state == RunState.OPEN for run in ours):
        return True
    return ledger.is_ready(current_session(), [run.id for run in ours])


# -- closing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Closed:
    """A run that is over, and when its campaign is due next, if ever."""

    campaign_id: int
    next_due: dt.datetime | None
    onward: int | None
    """The run that takes over what this one's channel refused."""

    def ring(self) -> None:
        """Ask for what comes next; to be called after the commit."""
        if self.onward is not None:
            queue.enqueue(queue.SEND, "send", self.onward)
        if self.next_due is not None:
            ring_when_due(self.campaign_id, self.next_due)


def close_if_over(run_id: int, now: dt.datetime) -> bool:
    """Close the run if nothing is left to do, in a transaction of its own; True if it closed."""
    with writing() as session:
        closed = settle(session, run_id, now)
    if closed:
        closed.ring()
    return closed is not None


def settle(session: Session, run_id: int, now: dt.datetime) -> Closed | None:
    """Close the run if nothing is left to do: verdict, the campaign's next state, its next slot."""
    run = session.get(Run, run_id, with_for_update=True, populate_existing=True)
    if run is None or run.finished_at is not None or run.started_at is None:
        return None
    if run.state == RunState.ENDING:
        ledger.cancel_rest(session, run_id, CancelReason(run.cancel_reason))
    if not ledger.is_over(session, run_id):
        return None
    onward = failover.at_the_end(session, run, now)
    funnel = runs.funnels(session, [run_id])[run_id]
    verdict = _verdict(session, run, funnel)
    runs.move(session, run_id, RunAction.CLOSE, verdict=verdict, finished_at=now)
    log.info("run.closed run=%s verdict=%s accepted=%s", run_id, verdict, funnel.accepted)
    return Closed(run.campaign_id, _after_run(session, run, verdict), onward)


def _verdict(session: Session, run: Run, funnel: Funnel) -> RunVerdict:
    """Return how a run that is over ended."""
    if run.state == RunState.ENDING:
        return RunVerdict.FAILED if run.cancel_reason == CancelReason.RUN_FAILED else RunVerdict.STOPPED
    if not funnel.planned:
        return RunVerdict.NOBODY
    if not funnel.accepted and failover.is_moved(session, run.id):
        return RunVerdict.MOVED
    return RunVerdict.SENT if numbers.succeeded(funnel) else RunVerdict.FAILED


AFTERWARDS = {
    RunVerdict.SENT: Action.FINISH,
    RunVerdict.NOBODY: Action.FINISH,
    RunVerdict.FAILED: Action.FAIL,
    RunVerdict.STOPPED: Action.END,
}
"""Where a campaign goes whose last run ended so."""


def _after_run(session: Session, run: Run, verdict: RunVerdict) -> dt.datetime | None:
    """Move the campaign on: back to waiting if another slot lies ahead, else to its last state.

    While another run of it goes on it stays as it is. A run that repeats another one leaves the campaign as its numbers
    are then, even if a person has ended it.
    """
    # Locked, so that of two runs that end at the same moment the second one sees that it is the last.
    campaign = session.get(Campaign, run.campaign_id, with_for_update=True, populate_existing=True)
    if campaign is None or runs.others_go_on(session, run):
        return None
    if run.repeats is not None or verdict is RunVerdict.MOVED:
        whole = runs.campaign_funnels(session, [campaign.id])[campaign.id]
        verdict = RunVerdict.SENT if numbers.succeeded(whole) else RunVerdict.FAILED
    schedule = Schedule.from_json(campaign.schedule)
    failure = _why(session, run) if verdict is RunVerdict.FAILED else ""
    due = None
    if schedule.recurring and verdict is not RunVerdict.STOPPED:
        due = schedules.next_due(schedule, runs.last_slot(session, campaign.id) or run.slot)
    if due is not None:
        campaigns.move(session, campaign.id, Action.REST, next_due_at=due, failure=failure)
        return due
    campaigns.move(session, campaign.id, AFTERWARDS[verdict], next_due_at=None, failure=failure)
    return None


def _why(session: Session, run: Run) -> str:
    """Return what most messages failed of, or why the run was given up."""
    refused = [
        reason
        for state, reason, _n in runs.reasons(session, [run.id])
        if state == ledger.tally_key(message.Status.REFUSED)
    ]
    return refused[0] if refused else run.failure or RunFailure.NOTHING_ACCEPTED


# -- what people may do to a run --------------------------------------------------------------------------------------


def pause(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Hold a run until a person resumes it; what is at the provider stays there. Raises Outrun if it cannot be held."""
    with writing() as session:
        if not runs.pause(session, run_id, now):
            raise Conflict(run=run_id)
        audit_log.log_action(session, actor, "pause", "run", run_id, now)


def resume(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Let a held run go on with exactly what was not sent.

    Raises Outrun if it is not held, Refusal if its template is not what was confirmed: that has to be accepted.
    """
    with writing() as session:
        run = session.get(Run, run_id, populate_existing=True)
        if run is None or run.state != RunState.HELD:
            raise Conflict(run=run_id)
        approvals.check_resumed(session, run)
        if not runs.go_on(session, run):
            raise Conflict(run=run_id)
        audit_log.log_action(session, actor, "resume", "run", run_id, now)
    queue.enqueue(queue.SEND, "send", run_id)


def reroute(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Move the rest of a held run to the campaign's other channel, as `routing.move` does, and close what is over."""
    failover.move(run_id, actor, now)
    close_if_over(run_id, now)


def end(run_id: int, actor: Actor, now: dt.datetime) -> None:
    """Cancel what has not left; what is in flight is waited for. Raises Outrun if the run is over already."""
    with writing() as session:
        run = session.get(Run, run_id, populate_existing=True)
        if run is None or not runs.move(
            session, run_id, RunAction.END, cancel_reason=CancelReason.ENDED, hold_reason=""
        ):
            raise Conflict(run=run_id)
        runs.start_unfrozen(session, run_id, now)
        audit_log.log_action(session, actor, "end", "run", run_id, now)
    close_if_over(run_id, now)


def to_each_run(
    campaign_id: int, act: Callable[[int, Actor, dt.datetime], None], actor: Actor, now: dt.datetime
) -> list[int]:
    """Pause, resume or end every run of the campaign that goes on; return those to which it was done.

    Raises Outrun if it could be done to none of them.
    """
    done: list[int] = []
    for run in runs.of_campaign(current_session(), campaign_id):
        if run.finished_at is None:
            with contextlib.suppress(Conflict):
                act(run.id, actor, now)
                done.append(run.id)
    if not done:
        raise Conflict(campaign=campaign_id)
    return done


# -- the sweep --------------------------------------------------------------------------------------------------------


def sweep(now: dt.datetime) -> None:
    """Put right whatever Redis lost and whoever died left behind. Every waiting state has its line here."""
    with writing() as session:
        for run_id, ranges in ledger.expire_leases(session, now).items():
            log.warning("lease.lost run=%s", run_id)
            billing.after_lost_batches(session, run_id, ranges)
        runs.wake(session, now)
    _each("start", campaigns.due(current_session(), now), lambda campaign_id: start(campaign_id, now))
    for campaign in campaigns.due_between(current_session(), now, now + RING_AGAIN, 1000):
        if campaign.next_due_at is not None:
            ring_when_due(campaign.id, campaign.next_due_at)
    _each("run", [run.id for run in runs.unfinished(current_session())], lambda run_id: _sweep_run(run_id, now))
    old = now - dt.timedelta(hours=settings().RECEIPT_HOURS)
    _each("receipts", runs.waiting_for_receipts(current_session(), old), _close_without_receipt)


def _each(noun: str, ids: Sequence[int], step: Callable[[int], object]) -> None:
    """Take the step for each id; one that fails is logged and does not keep the others waiting."""
    for one in ids:
        try:
            step(one)
        except Exception:
            log.exception("sweep.failed %s=%s", noun, one)


def _close_without_receipt(run_id: int) -> None:
    with writing() as session:
        state_changes.close_without_receipt(session, run_id)


def _sweep_run(run_id: int, now: dt.datetime) -> None:
    if close_if_over(run_id, now):
        return
    run = current_session().get(Run, run_id, populate_existing=True)
    if run is None:
        return
    if failover.may_concern(run, current_session().get(Campaign, run.campaign_id)) and failover.look(run_id, now):
        close_if_over(run_id, now)
        return
    if run.state in {RunState.OPEN, RunState.SENDING}:
        queue.enqueue_unless_waiting(queue.SEND, "send", run_id)
    elif run.state == RunState.HELD and HOLD_RULES[HoldReason(run.hold_reason)].ends_the_run:
        _give_up_after_grace(run, now)


def _give_up_after_grace(run: Run, now: dt.datetime) -> None:
    """Fail a run that nobody mended in time and of which nothing was accepted; the campaign says why."""
    with writing() as session:
        campaign = session.get(Campaign, run.campaign_id)
        funnel = runs.funnels(session, [run.id])[run.id]
        grace = dt.timedelta(minutes=campaign.grace_minutes if campaign else 0)
        if funnel.accepted or now < (run.held_at or run.slot) + grace:
            return
        seen, why = Run.hold_reason == run.hold_reason, run.hold_reason
        ending = {"cancel_reason": CancelReason.RUN_FAILED, "failure": why, "hold_reason": ""}
        if runs.move(session, run.id, RunAction.GIVE_UP, seen, **ending):
            log.warning("run.given_up run=%s reason=%s", run.id, why)
            runs.start_unfrozen(session, run.id, now)
    close_if_over(run.id, now)
