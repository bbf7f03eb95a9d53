"""Other campaigns about the same time and the same words lately: whose numbers these are, and who is left out for it.

The people of a fire that is to come are evaluated now, as if that campaign left nobody out by choice itself.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from smsapp.domain import leave_out as rules
from smsapp.domain import schedule as schedules
from smsapp.domain.campaign import ExclusionReason, Status
from smsapp.domain.errors import Refusal
from smsapp.domain.leave_out import WITHIN, LeaveKind
from smsapp.domain.schedule import Schedule
from smsapp.domain.segment import Kind
from smsapp.services.contacts import audience
from smsapp.services.contacts.audience import Choices
from smsapp.services.platform import calendar
from smsapp.store.campaigns import overlap as store
from smsapp.store.campaigns import same_text
from smsapp.store.campaigns.campaigns import Campaign, audience_of
from smsapp.store.campaigns.overlap import Numbers
from smsapp.store.contacts.audience import Audience
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate


@dataclass(frozen=True)
class Neighbour:
    """Another campaign that is sent within WITHIN of a moment."""

    campaign: Campaign
    run_ids: Sequence[int]
    """Its runs within the time, whose messages are known."""
    fires_at: dt.datetime | None
    """When it is due within the time; None if it is not, or was."""

    @property
    def dynamic(self) -> bool:
        """Whether other people may belong to its segments when it is due."""
        rows = [current_session().get(Segment, segment_id) for segment_id in audience_of(self.campaign).ids]
        return self.fires_at is not None and any(row is not None and row.kind == Kind.DYNAMIC for row in rows)


def neighbours(own_id: int, at: dt.datetime, now: dt.datetime) -> list[Neighbour]:
    """Return the campaigns beside `own_id` that are sent within WITHIN of `at`: those due first, then those that were.

    Drafts are none.
    """
    session = current_session()
    runs_by_campaign = store.recent_runs(session, at - WITHIN, own_id)
    due = {row.id: row for row in store.may_fire(session, at + WITHIN, own_id)}
    opening = store.unfrozen(session, own_id)
    rows = due | store.campaigns(session, sorted((runs_by_campaign.keys() | opening) - due.keys()))
    result = []
    for campaign in rows.values():
        fires_at = now if campaign.id in opening else _fire(campaign, at, now) if campaign.id in due else None
        run_ids = runs_by_campaign.get(campaign.id, [])
        if fires_at is not None or run_ids:
            result.append(Neighbour(campaign, run_ids, fires_at))
    return sorted(result, key=lambda item: (item.fires_at is None, item.fires_at or now, item.campaign.id))


def _fire(campaign: Campaign, at: dt.datetime, now: dt.datetime) -> dt.datetime | None:
    """Return the campaign's first fire within WITHIN of `at` that has not been yet."""
    due = campaign.next_due_at if campaign.status == Status.WAITING else None
    if due is not None and at - WITHIN <= due < at + WITHIN:
        return due
    if not campaign.recurring:
        return None
    schedule = Schedule.from_json({"zone": campaign.zone} | campaign.schedule)
    after = max(now, at - WITHIN)
    return next((fire.at for fire in schedules.fires_until(schedule, after, at + WITHIN, calendar.rest_days())), None)


def numbers_of(neighbour: Neighbour, now: dt.datetime) -> Numbers | None:
    """Return the numbers that get this campaign within the time; None if nobody does."""
    parts = [store.written_to(neighbour.run_ids)] if neighbour.run_ids else []
    campaign = neighbour.campaign
    if neighbour.fires_at is not None and audience_of(campaign).include:
        # A run without its segment, or with a rule that cannot be read, is held: nobody gets it.
        with suppress(Refusal):
            parts.append(store.planned(audience.describe(audience_of(campaign), Choices.of(campaign), now)))
    return store.any_of(parts) if parts else None


def same_text_runs(own_id: int, template: SmsTemplate, days: int, now: dt.datetime) -> Sequence[int]:
    """Return the runs of other campaigns that sent this text within so many days."""
    since = now - dt.timedelta(days=days)
    return same_text.runs_with_text(
        current_session(), template.text, template.signature, since, own_id, same_text.NEWEST_RUNS
    )


def applied(
    plan: Audience,
    choices: Iterable[Mapping[str, Any]],
    own_id: int,
    template_id: int | None,
    at: dt.datetime,
    now: dt.datetime,
) -> Audience:
    """Return the audience of campaign `own_id`, due at `at`, without those whom its choices leave out."""
    chosen = rules.read(choices)
    if not chosen:
        return plan
    numbers: dict[ExclusionReason, list[Numbers]] = {}
    campaign_ids = {choice.campaign_id for choice in chosen if choice.kind is LeaveKind.ALSO_GETS}
    for neighbour in neighbours(own_id, at, now) if campaign_ids else ():
        if neighbour.campaign.id in campaign_ids and (gets := numbers_of(neighbour, now)) is not None:
            numbers.setdefault(ExclusionReason.ALSO_GETS, []).append(gets)
    template = current_session().get(SmsTemplate, template_id) if template_id else None
    for choice in chosen:
        if choice.kind is LeaveKind.SAME_TEXT and template is not None:
            run_ids = same_text_runs(own_id, template, choice.days, now)
            if run_ids:
                had = store.written_to(run_ids, delivered=True)
                numbers.setdefault(ExclusionReason.SAME_TEXT, []).append(had)
    return replace(plan, left_out={reason: store.any_of(parts) for reason, parts in numbers.items()})
