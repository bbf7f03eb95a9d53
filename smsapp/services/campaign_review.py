"""What a person is shown before a campaign goes out: real texts of real people, parts, cost, and when it will end."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import sqlalchemy as sa

from smsapp.domain import forecast as forecasts
from smsapp.domain import quiet, sms_template
from smsapp.domain import schedule as schedules
from smsapp.domain.campaign import Left
from smsapp.domain.cost import Cost, cost_of
from smsapp.domain.errors import Problem
from smsapp.domain.forecast import Forecast
from smsapp.domain.phone import is_domestic
from smsapp.domain.quiet import QuietHours
from smsapp.domain.schedule import Fire, Kind
from smsapp.domain.sms_template import Purpose
from smsapp.services import audience, campaigns, channels
from smsapp.services.audience import AudienceCounts, filled
from smsapp.services.campaigns import Draft
from smsapp.store import audience as people
from smsapp.store.campaigns import Campaign, due_between
from smsapp.store.channels import ChannelRow
from smsapp.store.contacts import Contact
from smsapp.store.db import session
from smsapp.store.segments import Segment
from smsapp.store.sms_templates import SmsTemplate

SLICE = 50
"""Members looked at in one go when a text for somebody is wanted."""
MOST_SLICES = 20
"""After this many slices of people who cannot be written to the preview gives up."""
SAMPLED = 200
"""People whose texts are measured, old and new contacts among them: they come from several places of the segment."""
PLACES = 4
FIRES = 10
NEARBY = dt.timedelta(hours=24)


@dataclass(frozen=True)
class Letter:
    """The finished text for one real person, or, with `contact_id` 0, the template with its variables unfilled."""

    contact_id: int
    xwho: str
    phone: str = field(repr=False)
    text: str = field(repr=False)
    parts: int

    @property
    def characters(self) -> int:
        return sms_template.characters(self.text)


@dataclass(frozen=True)
class Preview:
    """A letter, and the contacts before and behind it (0 = none)."""

    letter: Letter | None
    previous: int = 0
    following: int = 0


@dataclass(frozen=True)
class Measure:
    """How many billed parts the texts of a sample take."""

    spread: dict[int, int]
    """parts -> sampled people, fewest parts first"""

    @property
    def sampled(self) -> int:
        return sum(self.spread.values())

    @property
    def fewest(self) -> int:
        return min(self.spread, default=0)

    @property
    def over(self) -> int:
        """Sampled people whose values push the text over a boundary."""
        return self.sampled - self.spread.get(self.fewest, 0)

    def estimate(self, messages: int) -> int:
        """Return the parts that `messages` texts will take, if all are like the sample."""
        if not self.sampled:
            return 0
        return round(messages * sum(parts * n for parts, n in self.spread.items()) / self.sampled)


@dataclass(frozen=True)
class Review:
    """Everything a person confirms, as of a moment."""

    campaign: Campaign
    draft: Draft
    segment: Segment | None
    channel: ChannelRow | None
    template: SmsTemplate | None
    problems: Sequence[Problem]
    """What must be mended first."""
    warnings: Sequence[Problem]
    counts: AudienceCounts | None
    measure: Measure | None
    cost: Cost | None
    fires: Sequence[Fire]
    forecast: Forecast | None
    preview: Preview | None

    @property
    def left_out(self) -> list[tuple[Left, int]]:
        return left_out(self.counts)

    @property
    def ready(self) -> bool:
        return not self.problems

    def warned(self, place: str) -> list[Problem]:
        return [problem for problem in [*self.problems, *self.warnings] if problem.place == place]


@dataclass(frozen=True)
class Look:
    """A draft as it would go out; each part is worked out when a page asks for it, and once."""

    draft: Draft
    now: dt.datetime
    person: int = 0
    """Contact id from which on the preview looks for somebody."""

    @cached_property
    def segment(self) -> Segment | None:
        return session().get(Segment, self.draft.segment_id) if self.draft.segment_id else None

    @cached_property
    def template(self) -> SmsTemplate | None:
        return _template(self.draft)

    @property
    def variables(self) -> tuple[str, ...]:
        return sms_template.variables(self.template.text) if self.template else ()

    @cached_property
    def counts(self) -> AudienceCounts | None:
        return target(self.draft, self.now)

    @property
    def left_out(self) -> list[tuple[Left, int]]:
        return left_out(self.counts)

    @cached_property
    def measure(self) -> Measure | None:
        return measure(self.draft, self.now)

    @cached_property
    def cost(self) -> Cost | None:
        return cost(self.draft, self.measure, self.counts)

    @cached_property
    def preview(self) -> Preview:
        return preview(self.draft, self.person, self.now)

    @cached_property
    def fires(self) -> list[Fire]:
        return fires(self.draft, self.now)


def target(draft: Draft, now: dt.datetime) -> AudienceCounts | None:
    """Count the chosen segment's people by what would become of them; None while there is no segment."""
    if draft.segment_id is None or session().get(Segment, draft.segment_id) is None:
        return None
    return audience.counts(draft.segment_id, draft.channel_id, draft.template_id, draft.mapping, now=now)


def left_out(counts: AudienceCounts | None) -> list[tuple[Left, int]]:
    """Return the reasons that hold for somebody with their numbers, in the order of precedence."""
    return [(left, counts.left_out[left]) for left in Left if counts.left_out.get(left)] if counts else []


def preview(draft: Draft, person: int, now: dt.datetime) -> Preview:
    """Return the text for the first reachable contact from id `person` on, and where to find its neighbours."""
    template = _template(draft)
    if template is None:
        return Preview(None)
    if draft.segment_id is None or session().get(Segment, draft.segment_id) is None:
        return Preview(_unfilled(template))
    onward = _letters(draft, template, now, person - 1)
    letter = next(onward, None)
    if letter is None:
        return Preview(_unfilled(template))
    following = next(onward, None)
    previous = next(_letters(draft, template, now, letter.contact_id, backwards=True), None) if person else None
    return Preview(letter, previous.contact_id if previous else 0, following.contact_id if following else 0)


def measure(draft: Draft, now: dt.datetime) -> Measure | None:
    """Return how many parts a sample of the segment's texts takes; None while nothing can be measured."""
    template = _template(draft)
    if template is None or draft.segment_id is None or session().get(Segment, draft.segment_id) is None:
        return None
    last = session().scalar(sa.select(sa.func.max(Contact.id))) or 0
    spread: Counter[int] = Counter()
    done: set[int] = set()
    for place in range(PLACES):
        start = last * place // PLACES
        for letter in _slice(draft, template, now, start, SAMPLED // PLACES):
            if letter.contact_id not in done:
                spread[letter.parts] += 1
                done.add(letter.contact_id)
    return Measure(dict(sorted(spread.items()))) if spread else None


def cost(draft: Draft, measured: Measure | None, counts: AudienceCounts | None) -> Cost | None:
    """Return what the messages would cost; None while it cannot be estimated."""
    channel = session().get(ChannelRow, draft.channel_id) if draft.channel_id else None
    if channel is None or measured is None or counts is None:
        return None
    return cost_of(measured.estimate(counts.planned), channel.price, channel.currency)


def fires(draft: Draft, now: dt.datetime, n: int = FIRES) -> list[Fire]:
    """Return the next fires of the draft's schedule."""
    return schedules.next_fires(draft.schedule, now, n) if schedules.known_zone(draft.schedule.zone) else []


def review(campaign_id: int, person: int, now: dt.datetime) -> Review:
    """Return what the review page shows; raises NotFound. The preview begins at contact id `person`."""
    campaign = campaigns.get(campaign_id)
    draft = campaigns.draft_of(campaign)
    problems = campaigns.problems(draft, now)
    counts = target(draft, now)
    measured = measure(draft, now)
    ahead = fires(draft, now)
    channel = session().get(ChannelRow, draft.channel_id) if draft.channel_id else None
    template = _template(draft)
    begins = now if draft.schedule.kind is Kind.NOW else (ahead[0].at if ahead else None)
    expected = None
    if counts is not None and channel is not None and begins is not None:
        expected = forecasts.forecast(begins, counts.planned, channel.rate, _quiet_hours(draft, channel, template))
    if counts is not None and counts.planned == 0:
        nobody = Problem("nobody_to_write_to", "segment", warning=draft.schedule.kind is not Kind.NOW)
    else:
        nobody = None
    return Review(
        campaign=campaign,
        draft=draft,
        segment=session().get(Segment, draft.segment_id) if draft.segment_id else None,
        channel=channel,
        template=template,
        problems=[*problems, *([nobody] if nobody and not nobody.warning else [])],
        warnings=[
            *([nobody] if nobody and nobody.warning else []),
            *_text_warnings(template),
            *_time_warnings(draft, begins, expected),
        ],
        counts=counts,
        measure=measured,
        cost=cost(draft, measured, counts),
        fires=ahead,
        forecast=expected,
        preview=preview(draft, person, now) if template else None,
    )


def _template(draft: Draft) -> SmsTemplate | None:
    return session().get(SmsTemplate, draft.template_id) if draft.template_id else None


def _unfilled(template: SmsTemplate) -> Letter:
    text = sms_template.full_text(template.signature, template.text)
    return Letter(0, "", "", text, sms_template.parts(text, domestic=True))


def _letters(
    draft: Draft, template: SmsTemplate, now: dt.datetime, start: int, *, backwards: bool = False
) -> Iterator[Letter]:
    """Yield letters of reachable contacts beyond id `start`, a slice of members at a time."""
    for _ in range(MOST_SLICES):
        members = _members(draft, template, now, start, SLICE, backwards=backwards)
        if not members:
            return
        yield from _written(draft, template, now, members, backwards=backwards)
        start = members[-1]


def _slice(draft: Draft, template: SmsTemplate, now: dt.datetime, start: int, n: int) -> Iterator[Letter]:
    return _written(draft, template, now, _members(draft, template, now, start, n))


def _members(
    draft: Draft, template: SmsTemplate, now: dt.datetime, start: int, n: int, *, backwards: bool = False
) -> list[int]:
    ids = _audience(draft, template, now).members.subquery()
    contact_id = next(iter(ids.c))
    beyond = contact_id < start if backwards else contact_id > start
    order = contact_id.desc() if backwards else contact_id.asc()
    return list(session().scalars(sa.select(contact_id).where(beyond).order_by(order).limit(n)))


def _written(
    draft: Draft, template: SmsTemplate, now: dt.datetime, members: Sequence[int], *, backwards: bool = False
) -> Iterator[Letter]:
    """Yield the letters of those among `members` who can be written to.

    Somebody with the number of a person outside the slice counts as reachable here: a preview need not know.
    """
    chosen = _audience(draft, template, now)
    described = replace(chosen, members=sa.select(Contact.id).where(Contact.id.in_(members)), caps=())
    found = people.people(described).subquery()
    order = found.c.contact_id.desc() if backwards else found.c.contact_id.asc()
    rows = session().execute(
        sa.select(found.c.contact_id, Contact.xwho, found.c.phone, found.c.params)
        .join(Contact, Contact.id == found.c.contact_id)
        .where(found.c.reason.is_(None))
        .order_by(order)
    )
    write: Callable[[Sequence[str]], str] = sms_template.compile_text(template.text)
    for contact_id, xwho, phone, params in rows:
        values = filled(described.variables, described.mapping or {}, params)
        text = sms_template.full_text(template.signature, write(values))
        yield Letter(contact_id, xwho, phone, text, sms_template.parts(text, is_domestic(phone)))


def _audience(draft: Draft, template: SmsTemplate, now: dt.datetime) -> people.Audience:
    """Return who is written to what; a variable that is not mapped yet shows its own name."""
    if draft.segment_id is None:
        raise ValueError("a draft without a segment has no audience")
    own = {name: {"fixed": f"${{{name}}}"} for name in sms_template.variables(template.text)}
    return audience.describe(draft.segment_id, draft.channel_id, template.id, own | dict(draft.mapping), now)


def _quiet_hours(draft: Draft, channel: ChannelRow, template: SmsTemplate | None) -> QuietHours | None:
    if template is None or template.purpose != Purpose.MARKETING or channels.kinds()[channel.kind].quiet_hours_exempt:
        return None
    return quiet.read(channel.quiet_from, channel.quiet_until, draft.schedule.zone)


def _text_warnings(template: SmsTemplate | None) -> list[Problem]:
    """Return what carriers dislike about the text: it was approved, so nothing here keeps it from going out."""
    if template is None:
        return []
    found = sms_template.problems(template.text, template.signature, Purpose(template.purpose))
    return [replace(problem, place="template", warning=True) for problem in found]


def _time_warnings(draft: Draft, begins: dt.datetime | None, expected: Forecast | None) -> list[Problem]:
    found = []
    if expected is not None and expected.waits:
        found.append(Problem("begins_after_quiet_hours", "schedule", warning=True))
    elif expected is not None and expected.pauses:
        found.append(Problem("pauses_in_quiet_hours", "schedule", {"nights": expected.pauses}, warning=True))
    if begins is not None and draft.segment_id is not None:
        near = due_between(session(), begins - NEARBY, begins + NEARBY, 500)
        same = [other.name for other in near if other.segment_id == draft.segment_id]
        if same:
            found.append(Problem("others_for_this_segment", "segment", {"n": len(same), "name": same[0]}, warning=True))
    return found
