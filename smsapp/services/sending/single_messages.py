"""Single messages are planned: requests are taken over, and their people added to runs, in bulk.

All of one key and template on one day are one campaign. Its runs take people for an hour: they are added with the
SELECT that freezes every run, so ledger, funnel, caps, opt-outs and limits are those of any campaign. One run has one
message to each number; whoever is to get another one is added to another run.

Whatever keeps people from being added (an inactive channel, a budget) ends the taking of that run: they go to a new
one, which is held for it as any other run when its audience is frozen.
"""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from sqlalchemy.orm import Session

from smsapp.domain import single_message
from smsapp.domain.campaign import GIVEN, Action, Status
from smsapp.domain.run import HoldReason, RunState
from smsapp.domain.schedule import Kind, Schedule
from smsapp.domain.sms_template import variables
from smsapp.domain.tags import Item
from smsapp.services.channels import accounts
from smsapp.services.contacts import audience
from smsapp.services.contacts.audience import Choices
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.sending import approval_guard, budget_guard, closing, opening, recovery, snapshot
from smsapp.services.sending.held_back import HeldBack
from smsapp.services.sending.run_size import size_of
from smsapp.services.templates import approvals, registration_guard
from smsapp.store import budgets, queue, tags
from smsapp.store.apps import message_requests
from smsapp.store.campaigns import campaigns
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, lock_row, writing
from smsapp.store.runs import api_messages, claims, freezing, partitions, runs
from smsapp.store.runs.api_messages import Group
from smsapp.store.runs.runs import Run
from smsapp.store.settings import settings
from smsapp.store.sign_in.api_keys import ApiKey
from smsapp.store.sms_templates import SmsTemplate

log = logging.getLogger(__name__)


class _NotAdded(Exception):
    """This run takes no more people: a new one has to say why, or can."""


class _Busy(Exception):
    """Another process plans."""


def ring() -> None:
    """Ask for requests to be planned, unless a sender looks for them anyway."""
    queue.enqueue_unless_waiting(queue.SEND, "plan_messages")


def has_work(_now: dt.datetime) -> bool:
    """Return whether requests wait to be planned."""
    return has_new() or api_messages.is_waiting(current_session())


def has_new() -> bool:
    """Return whether a request was not even looked at."""
    return message_requests.is_waiting()


def plan(now: dt.datetime) -> bool:
    """Plan what waits; return whether anything was added to a run, or a run was opened."""
    taken = _take_over()
    changed = False
    for group in api_messages.waiting_groups(current_session()):
        try:
            changed = _plan_group(group, now) or changed
        except _Busy:
            break
        except Exception:  # of one group, which waits; the others go on
            log.exception("messages.failed key=%s template=%s", *group)
            current_session().rollback()
    if taken or changed:
        log.info("messages.planned taken=%s", taken)
    return changed


def _take_over() -> int:
    """Take requests over into the database of the ledger, each once; return how many."""
    rows = message_requests.waiting()
    if rows:
        with writing() as session:
            api_messages.add(session, rows)
        message_requests.empty([row.id for row in rows])
    return len(rows)


def _plan_group(group: Group, now: dt.datetime) -> bool:
    """Add the people of a group to the runs that take them, and open runs for the others; return whether any was."""
    campaign = _campaign_of_today(group, now)
    taking = [run.id for run in api_messages.taking(current_session(), campaign.id, now)] if campaign else []
    changed = False
    for run_id in taking:
        try:
            changed = _assign(group, run_id, now) or changed
        except _NotAdded:
            _take_no_more(run_id, now)
            taking = [other for other in taking if other != run_id]
    for _ in range(single_message.MOST_RUNS):
        if api_messages.oldest(current_session(), group) is None:
            break
        if len(taking) >= single_message.MOST_RUNS:
            if current_session().get_one(Run, taking[0]).started_at is None:
                break  # as many runs are held already: the rest waits with them
            _take_no_more(taking.pop(0), now)
        opened = _open(group, now)
        if opened is None:
            break
        taking.append(opened)
        changed = True
    return changed


def _campaign_of_today(group: Group, now: dt.datetime) -> Campaign | None:
    """Return the campaign that takes single messages like these; None if there is none, or its template differs."""
    session = current_session()
    midnight = single_message.midnight_of(now, settings().DEFAULT_ZONE)
    campaign = campaigns.of_api(session, *group, midnight)
    template = session.get(SmsTemplate, group.template_id, populate_existing=True)
    if campaign is None or template is None or campaign.channel_id != template.channel_id:
        return None
    return campaign if campaign.confirmed_template == approvals.confirmed_words(template) else None


def _alone(channel: ChannelRow | None) -> AbstractContextManager[None]:
    return freezing.alone_on_channel(channel.id) if channel and channel.number_limits else nullcontext()


def _assign(group: Group, run_id: int, now: dt.datetime) -> bool:
    """Assign people to a run, and add them if it is frozen; return whether any was added.

    Raises _NotAdded, which rolls it back, if they may not be added to what was frozen.
    """
    run = current_session().get_one(Run, run_id)
    channel = current_session().get(ChannelRow, run.channel_id, populate_existing=True)
    adapter = accounts.adapter(run.channel_id)
    with _alone(channel), writing() as session:
        if not api_messages.only_planner(session):
            raise _Busy
        locked = lock_row(session, Run, run_id)
        if locked is None or locked.finished_at or locked.takes_until is None or locked.state == RunState.ENDING:
            raise _NotAdded
        campaign, template = session.get_one(Campaign, locked.campaign_id), session.get(SmsTemplate, group.template_id)
        if channel is None or template is None:
            raise _NotAdded
        n = api_messages.assign(session, group, locked, channel.phone_property, message_requests.MOST_ROWS)
        if not n:
            return False
        if locked.started_at is None:  # written, so that a freeze that began before fails, and is repeated with them
            api_messages.take_people(session, run_id, locked.takes_until)
            return False
        if opening.changed_since_confirmed(campaign, template, channel):
            raise _NotAdded
        choices = replace(Choices.of(campaign), channel_id=channel.id, template_id=template.id)
        people = audience.asked_for(run_id, choices, now)
        if registration_guard.reaches(session, people, registration_guard.change(session, campaign, template, now)):
            raise _NotAdded
        after = claims.last_seq(session, run_id)
        size = snapshot.batch_size(adapter, channel.rate)
        target, planned = freezing.add(session, run_id, people, size, after)
        try:
            _ask_guards(session, campaign, locked, planned, after, now)
        except HeldBack:
            raise _NotAdded from None
        api_messages.settle(session, run_id, after)
        api_messages.add_people(session, run_id, target, planned)
        log.info("run.added run=%s target=%s planned=%s", run_id, target, planned)
        return True


def _ask_guards(session: Session, campaign: Campaign, run: Run, planned: int, after: int, now: dt.datetime) -> None:
    """Raise HeldBack if what was added needs a second person, or more than a budget holds."""
    if approval_guard.is_on(session) or budgets.are_there(session):
        size = size_of(session, run.id, run.snapshot, planned, after)
        approval_guard.check(session, campaign, run, size.of_one)
        budget_guard.reserve_more(session, campaign, run, size, now)


def _take_no_more(run_id: int, now: dt.datetime) -> None:
    with writing() as session:
        api_messages.take_people(session, run_id, None)
    closing.close_if_over(run_id, now)


def _open(group: Group, now: dt.datetime) -> int | None:
    """Open a run for people who wait, and assign them; None if there is nobody (any more).

    Requests of the time before an older copy of the database was taken over may have been sent: their run is held.
    While a person has paused a run of the campaign, new ones are paused, too.
    """
    zone = settings().DEFAULT_ZONE
    with writing() as session:
        if not api_messages.only_planner(session):
            raise _Busy
        template = session.get(SmsTemplate, group.template_id, populate_existing=True)
        oldest = api_messages.oldest(session, group)
        if oldest is None:
            return None
        if template is None:
            api_messages.refuse(session, group)
            return None
        campaign = _campaign_of_today(group, now)
        if campaign is not None:  # its last run may be closing, or ended by a person
            lock_row(session, Campaign, campaign.id)
            campaign = _campaign_of_today(group, now)
        campaign = campaign or _add_campaign(session, group, template, now)
        is_paused = api_messages.has_held(session, group, HoldReason.PAUSED, campaign.id)
        campaigns.move(session, campaign.id, Action.RETRY, next_due_at=None, failure="")
        last = runs.last_slot(session, campaign.id)
        slot = now if last is None else max(now, last + dt.timedelta.resolution)
        run_id = runs.add_run(session, campaign, slot, now)
        if run_id is None:
            return None
        hold = recovery.hold_reason_of(session, oldest)
        until = recovery.restored_at(session) if hold else None
        run = session.get_one(Run, run_id)
        channel = session.get_one(ChannelRow, run.channel_id)
        api_messages.assign(session, group, run, channel.phone_property, message_requests.MOST_ROWS, until)
        if hold is not None:
            runs.hold(session, run_id, hold, None, now)
        else:
            api_messages.take_people(session, run_id, single_message.takes_until(now, zone))
            if is_paused:
                runs.pause(session, run_id, now)
    with writing() as session:
        partitions.ensure_partition(session, run_id)
    return run_id


def _add_campaign(session: Session, group: Group, template: SmsTemplate, now: dt.datetime) -> Campaign:
    """Store the campaign of a key's single messages of this day, and archive the earlier ones that have ended.

    What a person has decided about carriers yesterday holds today. While a registration hold waits for that decision,
    today's campaign is compared with what yesterday's was confirmed with, so that it waits, too.
    """
    zone = settings().DEFAULT_ZONE
    earlier = campaigns.latest_of_api(session, *group)
    confirmed = registration_guard.confirmed_states(session, [template], now)
    if earlier is not None and api_messages.has_held(session, group, HoldReason.REGISTRATION):
        confirmed |= earlier.confirmed_registrations or {}
    key = session.get(ApiKey, group.key_id) if group.key_id != single_message.COMMAND else None
    campaigns.archive_of_api(session, *group, now)
    key_name = key.name if key else "flask messages"
    schedule = Schedule(Kind.NOW, zone)
    campaign = Campaign(
        name=single_message.name_of(template.name, key_name, single_message.day_of(now, zone)),
        status=Status.DRAFT,
        channel_id=template.channel_id,
        template_id=template.id,
        mapping={name: {GIVEN: True} for name in variables(template.text)},
        schedule=schedule.as_json(),
        zone=zone,
        seeds=False,
        grace_minutes=settings().LATE_GRACE_MINUTES,
        api_key_id=group.key_id,
        confirmed_at=now,
        confirmed_template=approvals.confirmed_words(template),
        confirmed_registrations=confirmed,
        left_out_carriers=earlier.left_out_carriers if earlier else [],
        created_at=now,
        updated_at=now,
    )
    session.add(campaign)
    session.flush()
    campaigns.move(session, campaign.id, Action.LAUNCH)
    tags.add(session, Item.CAMPAIGN, campaign.id, [single_message.TAG])
    actor = Actor(f"API: {key_name}")
    log_action(session, actor, "confirm", Item.CAMPAIGN.value, campaign.id, now, name=campaign.name)
    return campaign
