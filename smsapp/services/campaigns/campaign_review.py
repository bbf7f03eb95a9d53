"""The review before a campaign goes out: real texts of real people, billed parts, cost, and when it will end."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from smsapp.domain import billed_parts, sms_template, template_problems
from smsapp.domain import forecast as forecasts
from smsapp.domain import schedule as schedules
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.cost import Cost, cost_of
from smsapp.domain.draft import Draft
from smsapp.domain.errors import Problem
from smsapp.domain.forecast import Forecast
from smsapp.domain.phone import is_domestic
from smsapp.domain.schedule import Fire, Kind
from smsapp.domain.sms_template import Purpose
from smsapp.services.campaigns import campaigns, drafts, same_text, variables
from smsapp.services.campaigns.same_text import Again
from smsapp.services.campaigns.variables import Coverage, NotableValues, UnusableValues
from smsapp.services.contacts import audience
from smsapp.services.contacts.audience import AudienceCounts, filled
from smsapp.services.sending import snapshot
from smsapp.store.campaigns.campaigns import Campaign, due_between
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import audience as people
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate

SLICE = 50
"""Members read in one query when a preview looks for a reachable person."""
MOST_SLICES = 20
"""The preview gives up after this many slices without a reachable person."""
SAMPLED = 200
"""People whose texts are measured; they come from PLACES places of the segment, so there are old and new contacts."""
PLACES = 4
FIRES = 10
NEARBY = dt.timedelta(hours=24)


@dataclass(frozen=True)
class RenderedMessage:
    """The finished text for one real person, or, with `contact_id` 0, the template with its variables unfilled."""

    contact_id: int
    xwho: str
    phone: str = field(repr=False)
    text: str = field(repr=False)
    parts: int

    @property
    def characters(self) -> int:
        return billed_parts.characters(self.text)


@dataclass(frozen=True)
class Preview:
    """A rendered message, and the ids of the contacts before and after it (0 = none)."""

    letter: RenderedMessage | None
    previous: int = 0
    following: int = 0


@dataclass(frozen=True)
class Measure:
    """How many billed parts the texts of a sample have."""

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
        """Sampled people whose values make the text longer by a part or more."""
        return self.sampled - self.spread.get(self.fewest, 0)

    def estimate(self, messages: int) -> int:
        """Return the parts of `messages` texts, if all are like the sample."""
        if not self.sampled:
            return 0
        return round(messages * sum(parts * n for parts, n in self.spread.items()) / self.sampled)


@dataclass(frozen=True)
class _Letters:
    """The texts of an audience's reachable people, in the order of contact ids."""

    template: SmsTemplate
    mapping: Mapping[str, Any]
    chosen: people.Audience

    def beyond(self, start: int, *, backwards: bool = False) -> Iterator[RenderedMessage]:
        """Yield letters of contacts beyond id `start`, a slice of members at a time."""
        for _ in range(MOST_SLICES):
            members = self._members(start, SLICE, backwards=backwards)
            if not members:
                return
            yield from self._written(members, backwards=backwards)
            start = members[-1]

    def slice(self, start: int, n: int) -> Iterator[RenderedMessage]:
        """Yield the letters of the reachable ones of the next `n` members after id `start`."""
        return self._written(self._members(start, n))

    def _members(self, start: int, n: int, *, backwards: bool = False) -> list[int]:
        ids = self.chosen.members.subquery()
        contact_id = next(iter(ids.c))
        beyond = contact_id < start if backwards else contact_id > start
        order = contact_id.desc() if backwards else contact_id.asc()
        return list(current_session().scalars(sa.select(contact_id).where(beyond).order_by(order).limit(n)))

    def _written(self, members: Sequence[int], *, backwards: bool = False) -> Iterator[RenderedMessage]:
        """Yield the letters of the reachable ones of `members`.

        A number that a person outside `members` has as well counts as reachable here: a preview may ignore that.
        """
        part = replace(self.chosen, members=sa.select(Contact.id).where(Contact.id.in_(members)), caps=())
        recipients = people.select_members(part).subquery()
        order = recipients.c.contact_id.desc() if backwards else recipients.c.contact_id.asc()
        rows = current_session().execute(
            sa.select(recipients.c.contact_id, Contact.xwho, recipients.c.phone, recipients.c.params)
            .join(Contact, Contact.id == recipients.c.contact_id)
            .where(recipients.c.reason.is_(None))
            .order_by(order)
        )
        write = sms_template.compile_text(self.template.text)
        names = sms_template.variables(self.template.text)
        for contact_id, xwho, phone, params in rows:
            values = filled(names, self.mapping, params)
            text = sms_template.full_text(self.template.signature, write(values))
            yield RenderedMessage(contact_id, xwho, phone, text, billed_parts.parts(text, is_domestic(phone)))


@dataclass(frozen=True)
class DraftPreview:
    """A draft as it would go out; each part is computed once, when a page first uses it."""

    draft: Draft
    now: dt.datetime
    person: int = 0
    """Contact id at which the preview begins."""

    @cached_property
    def segment(self) -> Segment | None:
        return current_session().get(Segment, self.draft.segment_id) if self.draft.segment_id else None

    @cached_property
    def channel(self) -> ChannelRow | None:
        return current_session().get(ChannelRow, self.draft.channel_id) if self.draft.channel_id else None

    @cached_property
    def template(self) -> SmsTemplate | None:
        return current_session().get(SmsTemplate, self.draft.template_id) if self.draft.template_id else None

    @cached_property
    def second_channel(self) -> ChannelRow | None:
        return current_session().get(ChannelRow, self.draft.second_channel_id) if self.draft.second_channel_id else None

    @cached_property
    def second_template(self) -> SmsTemplate | None:
        """The counterpart on the second channel; None without a second channel."""
        template_id = self.draft.second_template_id if self.draft.second_channel_id else None
        return current_session().get(SmsTemplate, template_id) if template_id else None

    @property
    def variables(self) -> tuple[str, ...]:
        return sms_template.variables(self.template.text) if self.template else ()

    @cached_property
    def counts(self) -> AudienceCounts | None:
        """The segment's people, planned or excluded by reason; None while there is no segment."""
        if self.segment is None:
            return None
        draft = self.draft
        return audience.counts(self.segment.id, draft.channel_id, draft.template_id, draft.mapping, now=self.now)

    @property
    def left_out(self) -> list[tuple[ExclusionReason, int]]:
        """The exclusion reasons that occur, with their numbers of people, in the order of precedence."""
        n_by_reason = self.counts.left_out if self.counts else {}
        return [(reason, n_by_reason[reason]) for reason in ExclusionReason if n_by_reason.get(reason)]

    @cached_property
    def coverage(self) -> Coverage | None:
        """How many of the segment's people have a value of each property; None while there is no segment."""
        if self.counts is None or self.segment is None:
            return None
        return variables.coverage(self.segment.id, self.counts.target, self.now)

    @cached_property
    def unusable_values(self) -> list[UnusableValues]:
        """The variables for whose values people are excluded."""
        reasons = self.counts.left_out if self.counts else {}
        wanting = reasons.get(ExclusionReason.MISSING_VALUE, 0) or reasons.get(ExclusionReason.UNFIT_VALUE, 0)
        if not wanting or self.template is None or self._letters is None:
            return []
        return variables.unusable_values(self._letters.chosen, self.template, self._letters.mapping)

    @cached_property
    def measure(self) -> Measure | None:
        """How many parts a sample of the segment's texts takes; None while nothing can be measured."""
        if self._letters is None:
            return None
        last_id = current_session().scalar(sa.select(sa.func.max(Contact.id))) or 0
        parts: dict[int, int] = {}
        for place in range(PLACES):
            sampled = self._letters.slice(last_id * place // PLACES, SAMPLED // PLACES)
            parts.update((letter.contact_id, letter.parts) for letter in sampled)
        return Measure(dict(sorted(Counter(parts.values()).items()))) if parts else None

    @cached_property
    def cost(self) -> Cost | None:
        """What the messages would cost; None while it cannot be estimated."""
        if self.channel is None or self.measure is None or self.counts is None:
            return None
        return cost_of(self.measure.estimate(self.counts.planned), self.channel.price, self.channel.currency)

    @cached_property
    def preview(self) -> Preview:
        """The text for the first reachable contact from id `person` on, and the ids of its neighbours."""
        if self.template is None:
            return Preview(None)
        onward = self._letters.beyond(self.person - 1) if self._letters else iter(())
        letter = next(onward, None)
        if letter is None or self._letters is None:
            return Preview(_unfilled(self.template))
        following = next(onward, None)
        preceding = self._letters.beyond(letter.contact_id, backwards=True) if self.person else iter(())
        previous = next(preceding, None)
        return Preview(letter, previous.contact_id if previous else 0, following.contact_id if following else 0)

    @cached_property
    def fires(self) -> list[Fire]:
        """The next fires of the draft's schedule."""
        schedule = self.draft.schedule
        return schedules.next_fires(schedule, self.now, FIRES) if schedules.known_zone(schedule.zone) else []

    @property
    def impossible(self) -> list[Problem]:
        """The impossible parts of the schedule as it is so far."""
        return [
            problem
            for problem in schedules.problems(self.draft.schedule, self.now)
            if problem.code in schedules.IMPOSSIBLE
        ]

    @cached_property
    def _letters(self) -> _Letters | None:
        """The texts of the audience; a variable that is not mapped yet shows its own name."""
        if self.template is None or self.segment is None:
            return None
        placeholders = {name: {"fixed": f"${{{name}}}"} for name in self.variables}
        mapping = placeholders | dict(self.draft.mapping)
        plan = audience.describe(self.segment.id, self.draft.channel_id, self.template.id, mapping, self.now)
        return _Letters(self.template, mapping, plan)


@dataclass(frozen=True, kw_only=True)
class Review(DraftPreview):
    """Everything a person confirms, as of a moment."""

    campaign: Campaign

    @cached_property
    def problems(self) -> list[Problem]:
        """What must be corrected before the confirmation."""
        audience_problems = [problem for problem in self._nobody if not problem.warning]
        return [*drafts.problems(self.draft, self.now), *audience_problems]

    @cached_property
    def warnings(self) -> list[Problem]:
        audience_problems = [problem for problem in self._nobody if problem.warning]
        low = [Problem("balance_low", "channel", warning=True)] if self.channel and self.channel.is_low else []
        again = [self._again] if self._again else []
        return [*audience_problems, *again, *low, *_text_warnings(self.template), *self._time_warnings()]

    @cached_property
    def again(self) -> Again | None:
        """The people of the audience who were sent this same text recently; None if there are none."""
        if self.template is None or self.counts is None or self._letters is None:
            return None
        planned = self.counts.planned
        return same_text.sent_lately(self._letters.chosen, planned, self.template, self.now, self.campaign.id)

    @property
    def _again(self) -> Problem | None:
        if self.again is None:
            return None
        code = "same_text_lately_about" if self.again.sampled else "same_text_lately"
        return Problem(code, "segment", {"n": self.again.n, "days": same_text.LATELY.days}, warning=True)

    @cached_property
    def notable_values(self) -> list[NotableValues]:
        """Values that a person should see before they go out."""
        if self.template is None or self._letters is None:
            return []
        return variables.notable_values(self._letters.chosen, self.template, self._letters.mapping)

    @property
    def ready(self) -> bool:
        return not self.problems

    def warned(self, place: str) -> list[Problem]:
        return [problem for problem in [*self.problems, *self.warnings] if problem.place == place]

    @cached_property
    def forecast(self) -> Forecast | None:
        if self.counts is None or self.channel is None or self._begins is None:
            return None
        hours = snapshot.quiet_hours(self.template, self.channel, self.draft.schedule.zone) if self.template else None
        return forecasts.forecast(self._begins, self.counts.planned, self.channel.rate, hours)

    @cached_property
    def waits_until(self) -> dt.datetime | None:
        """The end of the quiet hours that delay the first text, in the schedule's zone; None if none delay it."""
        if self.template is None or self.channel is None or self._begins is None:
            return None
        hours = snapshot.quiet_hours(self.template, self.channel, self.draft.schedule.zone)
        until = hours.over_at(self._begins) if hours else None
        return until.astimezone(ZoneInfo(self.draft.schedule.zone)) if until else None

    @property
    def _begins(self) -> dt.datetime | None:
        if self.draft.schedule.kind is Kind.NOW:
            return self.now
        return self.fires[0].at if self.fires else None

    @property
    def _nobody(self) -> list[Problem]:
        """Return why nobody, or not everybody, would get the message, each with the field that changes it."""
        if self.counts is None:
            return []
        warning = bool(self.counts.planned) or self.draft.schedule.kind is not Kind.NOW
        problems = []
        for unusable in self.unusable_values:
            for code, n in (("variable_lacks_values", unusable.missing), ("variable_values_unfit", unusable.unfit)):
                if n:
                    facts = {"n": n, "variable": unusable.variable}
                    problems.append(Problem(code, "template", facts, warning=warning))
        if self.counts.planned or problems:
            return problems
        return [Problem("nobody_to_write_to", "segment", warning=warning)]

    def _time_warnings(self) -> list[Problem]:
        warnings = []
        if self.forecast is not None and self.forecast.waits:
            warnings.append(Problem("begins_after_quiet_hours", "schedule", warning=True))
        elif self.forecast is not None and self.forecast.pauses:
            nights = {"nights": self.forecast.pauses}
            warnings.append(Problem("pauses_in_quiet_hours", "schedule", nights, warning=True))
        if self._begins is not None and self.draft.segment_id is not None:
            neighbours = due_between(current_session(), self._begins - NEARBY, self._begins + NEARBY, 500)
            same = [campaign.name for campaign in neighbours if campaign.segment_id == self.draft.segment_id]
            if same:
                facts = {"n": len(same), "name": same[0]}
                code = "other_for_this_segment" if len(same) == 1 else "others_for_this_segment"
                warnings.append(Problem(code, "segment", facts, warning=True))
        return warnings


def begins(campaign: Campaign, now: dt.datetime) -> dt.datetime:
    """Return when the next text of a confirmed campaign may leave: at its time, or at the end of the quiet hours."""
    start = max(campaign.next_due_at or now, now)
    template = current_session().get(SmsTemplate, campaign.template_id)
    channel = current_session().get(ChannelRow, campaign.channel_id)
    if template is None or channel is None:
        return start
    hours = snapshot.quiet_hours(template, channel, campaign.zone)
    return (hours.over_at(start) if hours else None) or start


def review(campaign_id: int, person: int, now: dt.datetime) -> Review:
    """Return what the review page shows; raises NotFound. The preview begins at contact id `person`."""
    campaign = campaigns.get(campaign_id)
    return Review(drafts.draft_of(campaign), now, person, campaign=campaign)


def _unfilled(template: SmsTemplate) -> RenderedMessage:
    text = sms_template.full_text(template.signature, template.text)
    return RenderedMessage(0, "", "", text, billed_parts.parts(text, domestic=True))


def _text_warnings(template: SmsTemplate | None) -> list[Problem]:
    """Return what carriers dislike about the text: it was approved, so nothing here keeps it from going out."""
    if template is None:
        return []
    problems = template_problems.problems(template.text, template.signature, Purpose(template.purpose))
    return [replace(problem, place="template", warning=True) for problem in problems]
