"""The review before a campaign goes out: real texts of real people, billed parts, cost, and when it will end."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import cached_property
from zoneinfo import ZoneInfo

from smsapp.domain import schedule as schedules
from smsapp.domain import template_problems
from smsapp.domain.errors import Problem
from smsapp.domain.forecast import Forecast
from smsapp.domain.local_time import is_far
from smsapp.domain.provenance import Provenance
from smsapp.domain.schedule import Kind, Schedule
from smsapp.domain.sms_template import Purpose
from smsapp.services.campaigns import campaigns, drafts, same_text, variables
from smsapp.services.campaigns.draft_preview import DraftPreview
from smsapp.services.campaigns.same_text import RepeatedText
from smsapp.services.campaigns.variables import NotableValues
from smsapp.services.sending import snapshot
from smsapp.services.templates import registrations
from smsapp.store.campaigns.campaigns import Campaign, audience_of, due_between
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.sms_templates import SmsTemplate

NEARBY = dt.timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class Review(DraftPreview):
    """Everything a person confirms, as of a moment."""

    campaign: Campaign

    @cached_property
    def provenance(self) -> Provenance:
        """Which parts of the draft a program has set last."""
        return Provenance.from_json(self.campaign.provenance)

    @cached_property
    def problems(self) -> list[Problem]:
        """What must be corrected before the confirmation."""
        audience_problems = [problem for problem in self._nobody if not problem.warning]
        carriers = [problem for problem in self._carriers if not problem.warning]
        return [*drafts.problems(self.draft, self.now), *audience_problems, *carriers]

    @cached_property
    def warnings(self) -> list[Problem]:
        audience_problems = [problem for problem in self._nobody if problem.warning]
        low = [Problem("balance_low", "channel", warning=True)] if self.channel and self.channel.is_low else []
        again = [self._again] if self._again else []
        carriers = [problem for problem in self._carriers if problem.warning]
        texts = [*_text_warnings(self.template), *carriers]
        return [*audience_problems, *again, *low, *texts, *self._time_warnings()]

    @property
    def _carriers(self) -> list[Problem]:
        """Return what carriers have not registered, and what they object to in the text's links and numbers."""
        if self.registration is None or self.template is None:
            return []
        advice = registrations.text_problems(self.template)
        return [*self.registration.problems, *(replace(one, place="template", warning=True) for one in advice)]

    @cached_property
    def again(self) -> RepeatedText | None:
        """The people of the audience who were sent this same text recently; None if there are none."""
        if self.template is None or self.counts is None or self.letters is None:
            return None
        planned = self.counts.planned
        return same_text.sent_lately(self.letters.chosen, planned, self.template, self.now, self.campaign.id)

    @property
    def _again(self) -> Problem | None:
        if self.again is None:
            return None
        code = "same_text_lately_about" if self.again.sampled else "same_text_lately"
        return Problem(code, "segment", {"n": self.again.n, "days": same_text.LATELY.days}, warning=True)

    @cached_property
    def notable_values(self) -> list[NotableValues]:
        """Values that a person should see before they go out."""
        if self.awaits_counts or self.template is None or self.letters is None:
            return []
        return variables.notable_values(self.letters.chosen, self.template, self.letters.mapping)

    @property
    def ready(self) -> bool:
        return not self.problems

    def warned(self, place: str) -> list[Problem]:
        return [problem for problem in [*self.problems, *self.warnings] if problem.place == place]

    @cached_property
    def forecast(self) -> Forecast | None:
        if self.counts is None or self.channel is None or self.begins is None:
            return None
        return self.forecast_of(self.counts.planned)

    @property
    def even_rate(self) -> float | None:
        """Messages per second, if they leave evenly over some time; None if they leave at full speed."""
        return self.even_rate_of(self.counts.planned) if self.counts is not None else None

    @property
    def rate(self) -> float | None:
        """Messages per second at which the run would send; None: as fast as the provider takes them."""
        rates = [rate for rate in (self.even_rate, self.channel.rate if self.channel else None) if rate]
        return min(rates, default=None)

    @cached_property
    def limit(self) -> dt.datetime | None:
        """The moment from which nothing of the first run leaves any more."""
        if self.begins is None or is_far(self.draft.schedule.until_date):
            return None
        return schedules.limit(self.draft.schedule, self.begins)

    @property
    def ahead(self) -> int:
        """How many messages of other runs leave before the last one of this."""
        return self.ahead_of(self.counts.planned) if self.counts is not None else 0

    @cached_property
    def waits_until(self) -> dt.datetime | None:
        """The end of the quiet hours that delay the first text, in the schedule's zone; None if none delay it."""
        until = self.hours.over_at(self.begins) if self.hours and self.begins else None
        return until.astimezone(ZoneInfo(self.draft.schedule.zone)) if until else None

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
        if self.forecast is not None and self.limit is not None:
            ends = self.forecast.ends or self.forecast.begins
            if self.forecast.begins >= self.limit:
                warnings.append(Problem("all_would_expire", "schedule", warning=True))
            elif ends > self.limit:
                warnings.append(Problem("some_would_expire", "schedule", warning=True))
        if self.forecast is not None and self.forecast.waits:
            warnings.append(Problem("begins_after_quiet_hours", "schedule", warning=True))
        elif self.forecast is not None and self.forecast.pauses:
            nights = {"nights": self.forecast.pauses}
            warnings.append(Problem("pauses_in_quiet_hours", "schedule", nights, warning=True))
        if self.begins is not None and self.draft.audience.include:
            neighbours = due_between(current_session(), self.begins - NEARBY, self.begins + NEARBY, 500)
            own = {*self.draft.audience.include}
            same = [campaign.name for campaign in neighbours if own & {*audience_of(campaign).include}]
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
    schedule = Schedule.from_json({"zone": campaign.zone} | campaign.schedule)
    hours = snapshot.quiet_hours(template, channel, schedule, start)
    return (hours.over_at(start) if hours else None) or start


def review(campaign_id: int, person: int, now: dt.datetime, *, is_counted: bool = True) -> Review:
    """Return what the review page shows; raises NotFound. The preview begins at contact id `person`."""
    campaign = campaigns.get(campaign_id)
    return Review(drafts.draft_of(campaign), now, person, campaign_id, is_counted, campaign=campaign)


def _text_warnings(template: SmsTemplate | None) -> list[Problem]:
    """Return what carriers dislike about the text: it was approved, so nothing here keeps it from going out."""
    if template is None:
        return []
    problems = template_problems.problems(template.text, template.signature, Purpose(template.purpose))
    return [replace(problem, place="template", warning=True) for problem in problems]
