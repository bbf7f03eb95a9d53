"""A draft as it would go out: its audience, one person's text, the parts of all, the cost, and the next fires."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from smsapp.domain import forecast as forecasts
from smsapp.domain import month_grid, own_rate, sms_template
from smsapp.domain import schedule as schedules
from smsapp.domain.audience_rule import NamedAudience
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.cost import Cost, cost_of
from smsapp.domain.draft import Draft
from smsapp.domain.errors import Problem
from smsapp.domain.forecast import Forecast
from smsapp.domain.month_grid import Month
from smsapp.domain.quiet import QuietHours
from smsapp.domain.rest_days import RestDays
from smsapp.domain.schedule import Fire
from smsapp.services.campaigns import registration_look, variables
from smsapp.services.campaigns.letters import Letters, Measure, RenderedMessage, Sample, unfilled
from smsapp.services.campaigns.registration_look import RegistrationLook
from smsapp.services.campaigns.variables import Coverage, UnusableValues
from smsapp.services.contacts import audience, leave_outs
from smsapp.services.contacts.audience import AudienceCounts, Choices, ExcludedPerson
from smsapp.services.platform import calendar
from smsapp.services.platform.keyset_page import KeysetPage
from smsapp.services.sending import snapshot
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import contacts
from smsapp.store.contacts.audience import Audience, Member
from smsapp.store.db import current_session
from smsapp.store.runs import queued
from smsapp.store.sms_templates import SmsTemplate

SAMPLED = 200
"""People whose texts are measured; of more they come from PLACES places, so there are old and new contacts."""
PLACES = 4
MOST_PROBED = variables.SAMPLED + 1
"""Up to so many people are counted where it only matters whether they are few."""
FIRES = 10
MOST_PLANNED = 60
"""Fires among which FIRES that are sent are looked for."""


@dataclass(frozen=True)
class Preview:
    """A rendered message, and the ids of the contacts before and after it (0 = none)."""

    letter: RenderedMessage | None
    previous: int = 0
    following: int = 0


@dataclass(frozen=True)
class ExcludedPage:
    """One page of those who are excluded for a reason."""

    reason: ExclusionReason
    is_first: bool
    people: KeysetPage[ExcludedPerson, int]


@dataclass(frozen=True)
class DraftPreview:
    """A draft as it would go out; each part is computed once, when a page first uses it."""

    draft: Draft
    now: dt.datetime
    person: int = 0
    """Contact id at which the preview begins."""
    own_id: int = 0
    """The campaign's id; 0 if it is not stored yet."""
    is_counted: bool = True
    """False: a page that does not wait; its counts, and what follows from them, are None."""

    @cached_property
    def audience(self) -> NamedAudience:
        """Whom it is for, by the names of the segments."""
        return audience.named(self.draft.audience)

    @cached_property
    def unreadable(self) -> list[Problem]:
        """Why the rule of a chosen segment cannot be answered."""
        return audience.problems(self.draft.audience, self.now)

    @property
    def _is_for_somebody(self) -> bool:
        """Whether segments are chosen, and all of them are there and can be read."""
        names = self.audience.include + self.audience.exclude
        return bool(self.audience.include) and len(names) == len(self.draft.audience.ids) and not self.unreadable

    @property
    def awaits_counts(self) -> bool:
        """Whether there are people who are still to be counted."""
        return not self.is_counted and self._is_for_somebody and self._everybody is None

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
    def plan(self) -> Audience | None:
        """The audience, before anybody is left out by choice; None while it is for nobody."""
        if not self._is_for_somebody:
            return None
        return audience.describe(self.draft.audience, Choices.of(self.draft), self.now)

    def without_left_out(self, plan: Audience) -> Audience:
        """Return an audience of the draft without those whom it leaves out by choice."""
        due = self.begins or self.now
        return leave_outs.applied(plan, self.draft.leave_out, self.own_id, self.draft.template_id, due, self.now)

    @cached_property
    def _sent_to(self) -> Audience | None:
        return self.without_left_out(self.plan) if self.plan is not None else None

    @cached_property
    def _everybody(self) -> Sequence[Member] | None:
        """Everybody of a small audience, from whom all is counted that of a large one the database counts."""
        return audience.everybody(self._sent_to) if self._sent_to is not None else None

    @property
    def begins(self) -> dt.datetime | None:
        """When its first run is due; None if the schedule has none."""
        if self.draft.schedule.is_at_once:
            return self.now
        return self.fires[0].at if self.fires else None

    @cached_property
    def hours(self) -> QuietHours | None:
        """The quiet hours and days of rest in which its run would wait."""
        if self.template is None or self.channel is None or self.begins is None:
            return None
        return snapshot.quiet_hours(self.template, self.channel, self.draft.schedule, self.begins)

    def even_rate_of(self, planned: int) -> float | None:
        """Messages per second, if so many leave evenly over some time; None if they leave at full speed."""
        end = schedules.spread_end(self.draft.schedule, self.begins) if self.begins is not None else None
        if end is None or self.begins is None:
            return None
        begin = (self.hours.over_at(self.begins) if self.hours else None) or self.begins
        return own_rate.even_rate(planned, begin, end)

    def ahead_of(self, planned: int) -> int:
        """Return how many messages of other runs leave before the last of so many of this one."""
        if self.channel is None or self.begins is None:
            return 0
        others = queued.by_run(current_session(), self.channel.id, self.own_id).values()
        return forecasts.ahead(planned, others, self.channel.rate, self.begins - self.now)

    def rate_of(self, planned: int) -> float | None:
        """Messages per second of so many while other runs take turns; None: as fast as the provider takes them."""
        rate = forecasts.shared(self.channel.rate if self.channel else None, planned, self.ahead_of(planned))
        return min((each for each in (self.even_rate_of(planned), rate) if each), default=None)

    def forecast_of(self, planned: int) -> Forecast | None:
        """Return when so many messages would begin and end to leave; None if the schedule has no fire."""
        if self.begins is None:
            return None
        return forecasts.forecast(self.begins, planned, self.rate_of(planned), self.hours)

    def excluded_people(self, choice: str) -> ExcludedPage | None:
        """Return the people excluded for a reason, chosen as "reason" or, for the next page, "reason:contact id"."""
        reason, _colon, after = choice.partition(":")
        if self._sent_to is None or reason not in set(ExclusionReason):
            return None
        start = int(after) if after.isascii() and after.isdigit() and len(after) < 19 else 0
        why = ExclusionReason(reason)
        return ExcludedPage(why, start == 0, audience.excluded_people(self._sent_to, why, start))

    @cached_property
    def counts(self) -> AudienceCounts | None:
        """The audience's people, planned or excluded by reason; None while there is no segment."""
        if self._everybody is not None:
            return audience.tally_of(self._everybody)
        people = self._to_count()
        return audience.tally(people) if people is not None else None

    def _to_count(self) -> Audience | None:
        return None if self.awaits_counts else self._sent_to

    @cached_property
    def _size(self) -> int:
        """How many people the audience has; before they are counted, MOST_PROBED stands for any more."""
        return self.counts.target if self.counts is not None else audience.size(self.plan, MOST_PROBED)

    @cached_property
    def registration(self) -> RegistrationLook | None:
        """What China's carriers will make of it; None where they have no say."""
        return registration_look.look(self.draft, self.channel, self.template, self.now, self._to_count)

    @property
    def left_out(self) -> list[tuple[ExclusionReason, int]]:
        """The exclusion reasons that occur, with their numbers of people, in the order of precedence."""
        n_by_reason = self.counts.left_out if self.counts else {}
        return [(reason, n_by_reason[reason]) for reason in ExclusionReason if n_by_reason.get(reason)]

    @cached_property
    def coverage(self) -> Coverage | None:
        """How many of the audience's people have a value of each property; None while there is no segment."""
        if self._everybody is not None:
            return variables.coverage_of([member.properties for member in self._everybody])
        if self.plan is None:
            return None
        return variables.coverage(audience.members(self.draft.audience, self.now), self._size)

    @cached_property
    def unusable_values(self) -> list[UnusableValues]:
        """The variables for whose values people are excluded."""
        reasons = self.counts.left_out if self.counts else {}
        wanting = reasons.get(ExclusionReason.MISSING_VALUE, 0) or reasons.get(ExclusionReason.UNFIT_VALUE, 0)
        if not wanting or self.template is None or self.letters is None:
            return []
        return variables.unusable_values(self.letters.chosen, self.template, self.letters.mapping)

    @cached_property
    def _sample(self) -> Sample:
        """Letters from several places of the audience; its first ones are those of the preview as well."""
        if self.letters is None:
            return Sample(())
        if self._everybody is not None:
            if self.letters.chosen is self._sent_to and self._sent_to.is_lenient:
                return self.letters.of(self._everybody)
            return self.letters.among([member.contact_id for member in self._everybody])
        last_id = contacts.last_id(current_session())
        return self.letters.sample([last_id * place // PLACES for place in range(PLACES)], SAMPLED // PLACES)

    def _from_the_first(self) -> Iterator[RenderedMessage]:
        """Yield the letters of the audience from its first reachable person on."""
        until = self._sample.first_until
        yield from (letter for letter in self._sample.letters if until is None or letter.contact_id <= until)
        if self.letters is not None and until is not None:
            yield from self.letters.beyond(until)

    @cached_property
    def measure(self) -> Measure | None:
        """How many parts a sample of the segment's texts takes; None while nothing can be measured."""
        spread = Counter(letter.parts for letter in self._sample.letters)
        return Measure(dict(sorted(spread.items()))) if spread else None

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
        onward = self.letters.beyond(self.person - 1) if self.letters and self.person else self._from_the_first()
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
        return [fire for fire in self.planned_fires if fire.is_sent][:FIRES]

    @property
    def shows_person(self) -> bool:
        """Whether the preview is for the person at which it was to begin, and not for a later one."""
        return self.preview.letter is not None and self.preview.letter.contact_id == self.person

    @cached_property
    def planned_fires(self) -> list[Fire]:
        """The next fires, with those that are not sent because the day rests or a person has skipped it."""
        schedule = self.draft.schedule
        if not schedules.known_zone(schedule.zone):
            return []
        sent, result = 0, []
        for fire in schedules.planned_fires(schedule, self.now, MOST_PLANNED, self.rest_days):
            result.append(fire)
            sent += fire.is_sent
            if sent == FIRES:
                break
        return result

    @property
    def months(self) -> list[Month]:
        """The calendar pages of these fires."""
        return month_grid.months(self.planned_fires, self.rest_days)

    @cached_property
    def rest_days(self) -> RestDays:
        return calendar.rest_days()

    @property
    def impossible(self) -> list[Problem]:
        """The impossible parts of the schedule as it is so far."""
        problems = schedules.problems(self.draft.schedule, self.now, self.rest_days)
        return [problem for problem in problems if problem.code in schedules.IMPOSSIBLE]

    @cached_property
    def letters(self) -> Letters | None:
        """The texts of the audience; a variable that is not mapped yet shows its own name."""
        if self.template is None or not self._is_for_somebody:
            return None
        placeholders = {name: {"fixed": f"${{{name}}}"} for name in self.variables}
        mapping = placeholders | dict(self.draft.mapping)
        if mapping == self.draft.mapping and self._sent_to is not None:
            return Letters(self.template, mapping, self._sent_to)
        choices = replace(Choices.of(self.draft), mapping=mapping)
        plan = audience.describe(self.draft.audience, choices, self.now)
        return Letters(self.template, mapping, self.without_left_out(plan))
