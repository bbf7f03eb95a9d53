"""A draft as it would go out: its audience, one person's text, the parts of all, the cost, and the next fires."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from smsapp.domain import schedule as schedules
from smsapp.domain import sms_template
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.cost import Cost, cost_of
from smsapp.domain.draft import Draft
from smsapp.domain.errors import Problem
from smsapp.domain.schedule import Fire
from smsapp.services.campaigns import variables
from smsapp.services.campaigns.letters import Letters, RenderedMessage, unfilled
from smsapp.services.campaigns.variables import Coverage, UnusableValues
from smsapp.services.contacts import audience
from smsapp.services.contacts.audience import AudienceCounts
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import contacts
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate

SAMPLED = 200
"""People whose texts are measured; they come from PLACES places of the segment, so there are old and new contacts."""
PLACES = 4
FIRES = 10


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
        if not wanting or self.template is None or self.letters is None:
            return []
        return variables.unusable_values(self.letters.chosen, self.template, self.letters.mapping)

    @cached_property
    def measure(self) -> Measure | None:
        """How many parts a sample of the segment's texts takes; None while nothing can be measured."""
        if self.letters is None:
            return None
        last_id = contacts.last_id(current_session())
        parts: dict[int, int] = {}
        for place in range(PLACES):
            sampled = self.letters.slice(last_id * place // PLACES, SAMPLED // PLACES)
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
        onward = self.letters.beyond(self.person - 1) if self.letters else iter(())
        letter = next(onward, None)
        if letter is None or self.letters is None:
            return Preview(unfilled(self.template))
        following = next(onward, None)
        preceding = self.letters.beyond(letter.contact_id, backwards=True) if self.person else iter(())
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
    def letters(self) -> Letters | None:
        """The texts of the audience; a variable that is not mapped yet shows its own name."""
        if self.template is None or self.segment is None:
            return None
        placeholders = {name: {"fixed": f"${{{name}}}"} for name in self.variables}
        mapping = placeholders | dict(self.draft.mapping)
        plan = audience.describe(self.segment.id, self.draft.channel_id, self.template.id, mapping, self.now)
        return Letters(self.template, mapping, plan)
