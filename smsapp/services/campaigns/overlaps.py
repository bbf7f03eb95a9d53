"""Who of an audience gets more than this campaign: other campaigns, the same words, the last text that a cap allows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from smsapp.domain.errors import NotFound
from smsapp.domain.leave_out import SAME_TEXT_DAYS, LeaveKind, chosen, read
from smsapp.domain.rehearsal import CapReach, Overlap, Overlaps
from smsapp.domain.rights import Right
from smsapp.services.campaigns import drafts
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.contacts import leave_outs
from smsapp.services.contacts.leave_outs import Neighbour
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.keyset_page import KeysetPage, cut
from smsapp.store.campaigns import overlap as store
from smsapp.store.campaigns.overlap import Numbers
from smsapp.store.contacts.audience import Audience
from smsapp.store.contacts.exclusion import Cap
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate

MOST_CAMPAIGNS = 50
"""Most other campaigns that are looked at, those due first."""
PAGE = 50
SAME_TEXT = 0
"""The key of those who had the same words; campaigns have their ids, caps negative numbers."""


@dataclass(frozen=True)
class Looked:
    """The numbers that are looked for in an audience, by key."""

    neighbours: Sequence[Neighbour]
    caps: Sequence[Cap]
    run_ids: Sequence[int]
    """Runs with the same words."""
    numbers: dict[int, Numbers]


def look(plan: Audience, template: SmsTemplate, own_id: int, at: dt.datetime, now: dt.datetime) -> Looked:
    """Return whose numbers to look for in the audience of campaign `own_id`, which is due at `at`."""
    nearby = leave_outs.neighbours(own_id, at, now)
    run_ids = leave_outs.same_text_runs(own_id, template, SAME_TEXT_DAYS, now)
    numbers: dict[int, Numbers] = {}
    for neighbour in nearby[:MOST_CAMPAIGNS]:
        if (gets := leave_outs.numbers_of(neighbour, now)) is not None:
            numbers[neighbour.campaign.id] = gets
    if run_ids:
        numbers[SAME_TEXT] = store.written_to(run_ids, delivered=True)
    # A cap of one message is reached by everybody who gets one.
    caps = [cap for cap in plan.caps if cap.most > 1]
    numbers.update({-place: store.reaching(cap) for place, cap in enumerate(caps, start=1)})
    return Looked(nearby, caps, run_ids, numbers)


def count(plan: Audience, template: SmsTemplate, own_id: int, at: dt.datetime, now: dt.datetime) -> Overlaps:
    """Count who of an audience gets more than this campaign; `plan` leaves nobody out by choice."""
    looked = look(plan, template, own_id, at, now)
    n_by_key = store.count_each(current_session(), plan, looked.numbers)
    also_gets = [
        Overlap(
            neighbour.campaign.id,
            neighbour.campaign.name,
            n_by_key[neighbour.campaign.id],
            neighbour.fires_at,
            neighbour.dynamic,
        )
        for neighbour in looked.neighbours[:MOST_CAMPAIGNS]
        if n_by_key.get(neighbour.campaign.id)
    ]
    caps = [
        CapReach(days_of(cap, now), cap.most, n_by_key[-place])
        for place, cap in enumerate(looked.caps, start=1)
        if n_by_key.get(-place)
    ]
    same = n_by_key.get(SAME_TEXT, 0)
    return Overlaps(
        also_gets=tuple(sorted(also_gets, key=lambda item: (-item.n, item.campaign_id))),
        not_looked_at=max(0, len(looked.neighbours) - MOST_CAMPAIGNS),
        same_text=same,
        same_text_at=store.last_sent(current_session(), looked.run_ids) if same else None,
        caps=tuple(caps),
    )


def days_of(cap: Cap, now: dt.datetime) -> int:
    """Return the calendar days over which a cap counts."""
    return (now - cap.since).days + 1


@dataclass(frozen=True)
class ChoiceLine:
    """Another campaign whose people can be left out, and whether they are."""

    overlap: Overlap
    ticked: bool


def choices(overlaps: Overlaps, leave_out: Sequence[Mapping[str, Any]]) -> list[ChoiceLine]:
    """Return the other campaigns of a rehearsal, then those that are chosen and concern nobody any more."""
    ticked = {choice.campaign_id for choice in read(leave_out) if choice.kind is LeaveKind.ALSO_GETS}
    present = {overlap.campaign_id for overlap in overlaps.also_gets}
    gone = store.campaigns(current_session(), sorted(ticked - present)).values()
    lines = [ChoiceLine(overlap, overlap.campaign_id in ticked) for overlap in overlaps.also_gets]
    return lines + [ChoiceLine(Overlap(row.id, row.name, 0), ticked=True) for row in gone]


def leaves_same_text_out(leave_out: Sequence[Mapping[str, Any]]) -> bool:
    return any(choice.kind is LeaveKind.SAME_TEXT for choice in read(leave_out))


def leave_out(
    campaign_id: int, version: int, campaign_ids: Sequence[int], actor: Actor, now: dt.datetime, *, same_text: bool
) -> None:
    """Store whom a draft leaves out: who gets these campaigns, and who had the same words.

    Campaigns that are not sent about the same time are ignored. Raises as `drafts.save` does.
    """
    require(actor, Right.CAMPAIGNS_WRITE)
    draft = drafts.draft_of(drafts.require_campaign(current_session(), campaign_id))
    look_at = DraftPreview(draft, now, own_id=campaign_id)
    nearby = {item.campaign.id for item in leave_outs.neighbours(campaign_id, look_at.begins or now, now)}
    choices = chosen([other for other in campaign_ids if other in nearby], same_text=same_text)
    drafts.save(campaign_id, version, replace(draft, leave_out=choices), actor, now)


@dataclass(frozen=True)
class OverlapPerson:
    """One of the people who get more than this campaign."""

    contact_id: int
    xwho: str
    phone: str = field(repr=False)


def people(campaign_id: int, what: str, after: int, now: dt.datetime) -> KeysetPage[OverlapPerson, int]:
    """Return the next people of a campaign's audience who also get another campaign (`what` is its id), had the same
    words ("same-text") or reach a cap ("cap-7"), in the order of contact ids; raises NotFound."""
    draft = drafts.draft_of(drafts.require_campaign(current_session(), campaign_id))
    look_at = DraftPreview(draft, now, own_id=campaign_id)
    if look_at.plan is None or look_at.template is None:
        raise NotFound("campaign")
    looked = look(look_at.plan, look_at.template, campaign_id, look_at.begins or now, now)
    keys = {f"cap-{days_of(cap, now)}": -place for place, cap in enumerate(looked.caps, start=1)}
    keys |= {"same-text": SAME_TEXT} | {str(key): key for key in looked.numbers if key > 0}
    if what not in keys or keys[what] not in looked.numbers:
        return KeysetPage([])
    rows = store.page(current_session(), look_at.plan, looked.numbers[keys[what]], after, PAGE + 1)
    return cut([OverlapPerson(*row) for row in rows], PAGE, lambda person: person.contact_id)


def name_of(what: str) -> str:
    """Return the name of the campaign that `what` names; "" if it names none."""
    campaign_id = int(what) if what.isascii() and what.isdigit() and len(what) < 10 else 0
    campaign = store.campaigns(current_session(), [campaign_id]).get(campaign_id)
    return campaign.name if campaign else ""
