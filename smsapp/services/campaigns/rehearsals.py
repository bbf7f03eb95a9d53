"""The rehearsal of a campaign: every text of its audience rendered before it is confirmed, as it would be sent now.

A small audience is rehearsed while the page is made, a large one by a worker. The SELECT of people is that of the
freeze, the rendering that of the sender.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from smsapp.domain import billed_parts, sms_template
from smsapp.domain import forecast as forecasts
from smsapp.domain.campaign import ExclusionReason, Status, personal
from smsapp.domain.draft import FIELDS, Draft
from smsapp.domain.errors import Conflict, Problem, Refusal
from smsapp.domain.phone import is_domestic
from smsapp.domain.rehearsal import Rehearsal, RehearsalState, digest
from smsapp.domain.rights import Right
from smsapp.services.campaigns import drafts, overlaps
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.contacts import audience
from smsapp.services.platform.access import require
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.clock import Clock
from smsapp.services.sending import rendering
from smsapp.store import queue
from smsapp.store.campaigns import rehearsals as store
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.campaigns.rehearsals import Person, RehearsalRow
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.audience import Audience
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session, writing
from smsapp.store.sms_templates import SmsTemplate

MOST_AT_ONCE = 20_000
"""Most people who are rehearsed within a request."""
JUST_NOW = dt.timedelta(seconds=10)
"""A rehearsal within a request is not repeated for so long."""
LOST = dt.timedelta(seconds=30)
"""A rehearsal that no worker has taken for so long is asked for again."""
LEASE = dt.timedelta(minutes=5)
ADVANCE = 50_000
"""People after whom progress is stored."""
CHANNEL_FACTS = ("phone_property", "trusted_numbers", "countries", "number_classes", "number_limits", "price", "rate")
TEMPLATE_FACTS = ("text", "signature", "purpose", "allowed")
SEGMENT_FACTS = ("kind", "rule", "computed_at", "size")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RehearsalView:
    """The rehearsal of a campaign as its page shows it."""

    running: bool
    failed: bool
    stale: bool
    """It was made for another state of the draft, of its segment, its template or its channel."""
    done: int
    whole: int
    result: Rehearsal | None
    contact_id: int | None
    """Whose text is the longest."""


@dataclass
class Measured:
    """What the texts of an audience come to."""

    target: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    spread: Counter[int] = field(default_factory=Counter)
    pushed: int = 0
    pushed_by: Counter[str] = field(default_factory=Counter)
    longest: int = 0
    contact_id: int | None = None


def digest_of(draft: Draft) -> str:
    """Return the digest of what a rehearsal of this draft depends on: a change of it makes the rehearsal stale."""
    session = current_session()
    facts: dict[str, Any] = {name: getattr(draft, name) for name in FIELDS if name != "name"}
    facts |= {"schedule": draft.schedule.as_json(), "audience": draft.audience.as_json()}
    rows = [session.get(Segment, segment_id) for segment_id in draft.audience.ids]
    facts["segments"] = [[getattr(row, column) for column in SEGMENT_FACTS] for row in rows if row]
    for name, row, names in (
        ("channel", session.get(ChannelRow, draft.channel_id or 0), CHANNEL_FACTS),
        ("template", session.get(SmsTemplate, draft.template_id or 0), TEMPLATE_FACTS),
    ):
        facts[name] = [getattr(row, column) for column in names] if row else None
    return digest(facts)


def view(campaign_id: int) -> RehearsalView | None:
    """Return how the campaign's rehearsal stands; None if there is none."""
    campaign = drafts.require_campaign(current_session(), campaign_id)
    row = store.find(current_session(), campaign_id)
    return _viewed(row, digest_of(drafts.draft_of(campaign))) if row else None


def _viewed(row: RehearsalRow, present: str) -> RehearsalView:
    return RehearsalView(
        running=row.state == RehearsalState.RUNNING,
        failed=row.state == RehearsalState.FAILED,
        stale=row.digest != present,
        done=row.done,
        whole=row.whole,
        result=Rehearsal.from_json(row.result) if row.result else None,
        contact_id=row.contact_id,
    )


def of_run(campaign_id: int, version: int, started_at: dt.datetime | None) -> Rehearsal | None:
    """Return the rehearsal of this version of a campaign that was made before a run began; None if there is none."""
    row = store.find(current_session(), campaign_id)
    if row is None or row.result is None or row.computed_at is None or started_at is None:
        return None
    return Rehearsal.from_json(row.result) if row.version == version and row.computed_at <= started_at else None


def begin(campaign_id: int, actor: Actor, now: dt.datetime, *, anew: bool = False) -> RehearsalView | None:
    """Rehearse a draft or waiting campaign, or ask a worker for it, unless that was done; None if it lacks something.

    `anew` rehearses a large one again that is not stale. Raises Conflict once the campaign is being sent.
    """
    require(actor, Right.CAMPAIGNS_WRITE)
    campaign = _rehearsable(campaign_id)
    if _problems(campaign, now):
        return None
    present = digest_of(drafts.draft_of(campaign))
    row = store.find(current_session(), campaign_id)
    if row is not None and row.digest == present and not _has_to_begin(row, now, anew=anew):
        return _viewed(row, present)
    if _ask(campaign, now) <= MOST_AT_ONCE:
        _rehearse(campaign_id, lambda: now, progress=False)
    else:
        queue.enqueue(queue.PERIODIC, "rehearse", campaign_id)
    return view(campaign_id)


def rehearse_now(campaign_id: int, actor: Actor, clock: Clock) -> Rehearsal:
    """Rehearse a campaign of any size here and now, and store the result.

    Raises Conflict once it is being sent, or if somebody else rehearses it meanwhile; Refusal with what it lacks.
    """
    require(actor, Right.CAMPAIGNS_WRITE)
    campaign = _rehearsable(campaign_id)
    if problems := _problems(campaign, clock()):
        raise Refusal(*problems)
    _ask(campaign, clock())
    _rehearse(campaign_id, clock, progress=True)
    result = view(campaign_id)
    if result is None or result.result is None:
        raise Conflict(status=campaign.status)
    return result.result


def _rehearsable(campaign_id: int) -> Campaign:
    campaign = drafts.require_campaign(current_session(), campaign_id)
    if campaign.status not in (Status.DRAFT, Status.WAITING):
        raise Conflict(status=campaign.status)
    return campaign


def _problems(campaign: Campaign, now: dt.datetime) -> list[Problem]:
    """Return what a draft lacks; what was confirmed lacked nothing."""
    return drafts.problems(drafts.draft_of(campaign), now) if campaign.status == Status.DRAFT else []


def _ask(campaign: Campaign, now: dt.datetime) -> int:
    """Store that a rehearsal is asked for, in the place of the one before; return the size of its audience."""
    draft = drafts.draft_of(campaign)
    size = audience.size(DraftPreview(draft, now, own_id=campaign.id).plan)
    asked = {"version": campaign.version, "digest": digest_of(draft), "asked_at": now, "whole": size, "done": 0}
    nothing = {"lease_until": None, "computed_at": None, "contact_id": None, "result": None}
    with writing() as session:
        store.store(session, campaign.id, **asked, **nothing, state=RehearsalState.RUNNING)
    return size


def _has_to_begin(row: RehearsalRow, now: dt.datetime, *, anew: bool) -> bool:
    """Return whether a rehearsal of the present draft is to be made again."""
    if row.state == RehearsalState.RUNNING:
        return (row.lease_until or row.asked_at + LOST) < now
    if anew or row.state == RehearsalState.FAILED or row.computed_at is None:
        return anew or row.whole <= MOST_AT_ONCE
    return row.whole <= MOST_AT_ONCE and now - row.computed_at > JUST_NOW


def run(campaign_id: int, clock: Clock) -> None:
    """Make a rehearsal that is asked for; do nothing if there is none, or another worker makes it."""
    _rehearse(campaign_id, clock, progress=True)


def _rehearse(campaign_id: int, clock: Clock, *, progress: bool) -> None:
    now = clock()
    with writing() as session:
        if not store.claim(session, campaign_id, now, now + LEASE):
            return
    row = store.find(current_session(), campaign_id)
    if row is None:
        return
    done_for = {"version": row.version, "digest": row.digest, "asked_at": row.asked_at}

    def note(done: int) -> None:
        with writing() as session:
            store.advance(session, campaign_id, done, clock() + LEASE)

    try:
        campaign = drafts.require_campaign(current_session(), campaign_id)
        look = DraftPreview(drafts.draft_of(campaign), now, own_id=campaign_id)
        done_for["digest"], done_for["version"] = digest_of(look.draft), campaign.version
        result, contact_id = rehearse(look, note if progress else None)
    except Exception:
        with writing() as session:
            store.store(session, campaign_id, **done_for, state=RehearsalState.FAILED, lease_until=None)
        raise
    values = {"state": RehearsalState.DONE, "lease_until": None, "done": result.target, "whole": result.target}
    with writing() as session:
        store.store(
            session, campaign_id, **done_for, **values, computed_at=now, contact_id=contact_id, result=result.as_json()
        )
    log.info("rehearsal.done campaign=%s target=%s planned=%s", campaign_id, result.target, result.planned)


def rehearse(look: DraftPreview, note: Callable[[int], None] | None = None) -> tuple[Rehearsal, int | None]:
    """Render every text of a draft that lacks nothing; return what they come to, and whose is the longest.

    `note` is called with the number of people read so far, after ADVANCE of them each.
    """
    template, channel = look.template, look.channel
    if template is None or channel is None or look.plan is None:
        raise ValueError("a draft that lacks something cannot be rehearsed")
    begins, now = look.begins or look.now, look.now
    measured = measure(look.without_left_out(look.plan), template, look.draft.mapping, note)
    planned = measured.spread.total()
    rate = look.rate_of(planned)
    forecast = forecasts.forecast(begins, planned, rate, look.hours)
    result = Rehearsal(
        at=now,
        target=measured.target,
        planned=planned,
        left_out=dict(measured.left_out),
        spread=dict(sorted(measured.spread.items())),
        pushed=measured.pushed,
        pushed_by=dict(measured.pushed_by.most_common()),
        longest=measured.longest,
        price=channel.price,
        currency=channel.currency,
        begins=forecast.begins,
        ends=forecast.ends,
        ahead=look.ahead_of(planned),
        late=forecasts.late(begins, planned, rate, look.hours),
        overlaps=overlaps.count(look.plan, template, look.own_id, begins, now),
    )
    return result, measured.contact_id


def measure(
    plan: Audience, template: SmsTemplate, mapping: Mapping[str, Any], note: Callable[[int], None] | None = None
) -> Measured:
    """Render the text of everybody in an audience and measure it."""
    measured = Measured()
    texts = Texts(template, mapping)
    noted = 0
    last: str | None = None
    for chunk in store.in_order(plan):
        messages: list[Person] = []
        for person in chunk:
            if person[3] is not None:
                measured.left_out[person[3]] += 1
            elif person[1] == last:
                measured.left_out[ExclusionReason.DUPLICATE_NUMBER] += 1
            else:
                last = person[1]
                messages.append(person)
        measured.target += len(chunk)
        if messages:
            texts.measure(messages, measured)
        if note is not None and measured.target - noted >= ADVANCE:
            noted = measured.target
            note(noted)
    return measured


class Texts:
    """Renders the texts of a template as they are sent, and measures them."""

    def __init__(self, template: SmsTemplate, mapping: Mapping[str, Any]) -> None:
        self.mapping = mapping
        self.names = sms_template.variables(template.text)
        self.own = personal(self.names, mapping)
        whole = sms_template.full_text(template.signature, template.text)
        self.render = sms_template.compile_text(whole)
        empty = [mapping.get(name, {}).get("fixed", "") if name not in self.own else "" for name in self.names]
        self.fewest = {domestic: billed_parts.parts(self.render(empty), domestic) for domestic in (True, False)}
        times = Counter(match[1] or match[2] for match in sms_template.VARIABLE.finditer(whole))
        self.places = [(name, self.names.index(name), times[name]) for name in self.own]

    def measure(self, people: Sequence[Person], into: Measured) -> None:
        phones = [phone or "" for _id, phone, _params, _reason in people]
        written = rendering.write(self.names, self.mapping, self.render, phones, list(map(itemgetter(2), people)))
        into.spread.update(written.parts)
        sizes = billed_parts.characters_of_all(written.texts)
        longest = max(sizes)
        if longest > into.longest:
            into.longest, into.contact_id = longest, people[sizes.index(longest)][0]
        if not self.own:
            return
        fewest, alike = self.fewest, self.fewest[True] == self.fewest[False]
        pushed = [
            place
            for place, parts in enumerate(written.parts)
            if parts > (fewest[True] if alike else fewest[is_domestic(phones[place])])
        ]
        into.pushed += len(pushed)
        if len(self.places) == 1:
            into.pushed_by[self.own[0]] += len(pushed)
            return
        for place in pushed:
            values = written.values[place]
            into.pushed_by[max(self.places, key=lambda item: len(values[item[1]]) * item[2])[0]] += 1
