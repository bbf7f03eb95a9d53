"""The form of a campaign, and its conversion to and from a Draft."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from flask_babel import gettext as _
from wtforms import (
    BooleanField,
    IntegerField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    ValidationError,
)
from wtforms.validators import Length, Optional
from wtforms.widgets import CheckboxInput, HiddenInput, ListWidget

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import LONGEST_NAME
from smsapp.domain.carrier_prefixes import REGISTRARS, known
from smsapp.domain.draft import CHOICES, Draft
from smsapp.domain.errors import Problem
from smsapp.domain.rest_days import DaysOff, Rest
from smsapp.domain.schedule import LAST_DAY, RECURRING, Kind, Schedule, known_zone
from smsapp.domain.schedule_kind import of_its_kind
from smsapp.domain.segment import Match
from smsapp.domain.writing import Form
from smsapp.labels import campaigns as words
from smsapp.labels import label, sentence
from smsapp.labels.audiences import MATCHES
from smsapp.labels.locales import lazy_gettext as _l
from smsapp.web.forms import PageForm, options
from smsapp.web.forms.fields import Checkboxes, Dates, Day, TimeOfDay
from smsapp.web.forms.picking import Pick, PickMany
from smsapp.web.forms.tags import TagFields

KEY = re.compile(r"[\w-]{22}", re.ASCII)
"""What a form that was never saved is known by."""
FIXED = "="
"""The choice "a fixed text" among the properties; no property is called like this."""
RECUR = "recurring"
FROM, TEXT, FORM = "from-", "text-", "form-"
"""A variable's controls: where its value comes from, a text (the fixed one, or the fallback), how it is written."""
COMMON_ZONES = (
    "Asia/Shanghai",
    "Asia/Urumqi",
    "Asia/Hong_Kong",
    "Asia/Taipei",
    "Asia/Singapore",
    "Asia/Tokyo",
    "Asia/Dubai",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "Australia/Sydney",
    "UTC",
)


class CampaignForm(TagFields, PageForm):
    """The fields of a Draft: those of CHOICES by their names, the schedule as the fields from `kind` on."""

    version = IntegerField("", widget=HiddenInput(), default=0)
    form_key = StringField(
        "",
        widget=HiddenInput(),
        default=lambda: secrets.token_urlsafe(16),
        filters=[lambda key: key if key and KEY.fullmatch(key) else ""],
    )
    name = StringField(_l("Campaign name"), [Length(max=LONGEST_NAME)], filters=[lambda text: (text or "").strip()])
    segment = Pick(_l("Segment"), _l("Choose a segment"))
    match = RadioField(_l("Of several segments"), default=Match.ANY.value, validate_choice=False)
    more_segments = PickMany(_l("Further segments"))
    but_not = PickMany(_l("But nobody in"))
    consented_only = BooleanField(_l("Only to those with consent"))
    left_out_carriers = SelectMultipleField(
        _l("Carriers left out"), widget=ListWidget(prefix_label=False), option_widget=CheckboxInput()
    )
    seeds = BooleanField(_l("One text of each run to the seeds of the test group"), default=True)
    channel = Pick(_l("Channel"), _l("Choose a channel"))
    template = Pick(_l("SMS template"), _l("Choose a template"))
    second_channel = Pick(_l("Second channel"), _l("None: wait for the channel"))
    second_template = Pick(_l("Template on the second channel"), _l("Choose a template"))
    kind = RadioField(_l("Send time"), default=Kind.NOW.value)
    cycle = RadioField(_l("Cycle"), default=Kind.DAILY.value)
    start = Day(_l("Date"), [Optional()])
    time = TimeOfDay(_l("Time"), [Optional()], format=["%H:%M:%S", "%H:%M"])
    weekdays = Checkboxes(_l("Days of the week"))
    monthdays = Checkboxes(_l("Days of the month"))
    end = Day(_l("End date"), [Optional()])
    zone = StringField(_l("Time zone"))
    until = TimeOfDay(_l("Not later than"), [Optional()], format=["%H:%M:%S", "%H:%M"])
    until_date = Day(_l("On the date"), [Optional()])
    spread_until = TimeOfDay(_l("Evenly until"), [Optional()], format=["%H:%M:%S", "%H:%M"])
    rest = SelectField(_l("On days of rest"), default="")
    days_off = SelectField(_l("Days of rest are"), default=DaysOff.HOLIDAYS.value)
    skipped = Dates(_l("Skipped dates"))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind.choices = options(
            [(Kind.NOW, label(Kind.NOW)), (Kind.ONCE, label(Kind.ONCE)), (RECUR, _("Recurring"))]
        )
        self.match.choices = options([(match.value, text) for match, text in MATCHES.items()])
        self.left_out_carriers.choices = options([(carrier.value, label(carrier)) for carrier in REGISTRARS])
        self.cycle.choices = options([(kind.value, label(kind)) for kind in Kind if kind in RECURRING])
        self.weekdays.choices = options([(day, words.weekday_name(day)) for day in range(1, 8)])
        self.rest.choices = options([(rest.value, label(rest)) for rest in Rest])
        self.days_off.choices = options([(days.value, label(days)) for days in DaysOff])
        self.monthdays.choices = options([(day, str(day)) for day in range(1, 32)] + [(LAST_DAY, _("Last day"))])

    def validate_zone(self, field: StringField) -> None:
        if not known_zone(field.data or ""):
            raise ValidationError(sentence(Problem("zone_unknown", facts={"zone": field.data or ""})))

    def show(self, draft: Draft, version: int) -> None:
        """Fill the form with a stored draft."""
        schedule = draft.schedule
        self.version.data = version
        self.name.data = draft.name
        for name, row_id in draft.choices.items():
            self[name].data = row_id
        first, *more = draft.audience.include or (None,)
        self.segment.data, self.more_segments.data, self.but_not.data = first, more, [*draft.audience.exclude]
        self.match.data = draft.audience.match.value
        self.consented_only.data = draft.consented_only
        self.left_out_carriers.data = list(draft.left_out_carriers)
        self.seeds.data = draft.seeds
        self.kind.data = RECUR if schedule.recurring else schedule.kind.value
        self.cycle.data = schedule.kind.value if schedule.recurring else Kind.DAILY.value
        self.zone.data = schedule.zone
        self.start.data, self.time.data, self.end.data = schedule.start, schedule.time, schedule.end
        self.weekdays.data, self.monthdays.data = list(schedule.weekdays), list(schedule.monthdays)
        self.until.data, self.until_date.data = schedule.until, schedule.until_date
        self.spread_until.data, self.skipped.data = schedule.spread_until, list(schedule.skipped)
        self.rest.data, self.days_off.data = schedule.rest.value, schedule.days_off.value

    def draft(self, mapping: Mapping[str, Any], leave_out: Sequence[Mapping[str, Any]]) -> Draft:
        """Return what was typed as a Draft; a second template without a second channel is ignored.

        `leave_out` is chosen on the review, not here.
        """
        ids: dict[str, int | None] = {f"{name}_id": self[name].data for name in CHOICES}
        if not self.second_channel.data:
            ids["second_template_id"] = None
        return Draft(
            name=self.name.data or "",
            audience=self.audience(),
            mapping=mapping,
            schedule=self.schedule(),
            consented_only=bool(self.consented_only.data),
            left_out_carriers=[carrier.value for carrier in known(self.left_out_carriers.data or ())],
            leave_out=leave_out,
            seeds=bool(self.seeds.data),
            channel_id=ids["channel_id"],
            template_id=ids["template_id"],
            second_channel_id=ids["second_channel_id"],
            second_template_id=ids["second_template_id"],
        )

    def audience(self) -> AudienceRule:
        """Return whom it is for as chosen: the segment of the drop-down first, each segment once."""
        first = [self.segment.data] if self.segment.data else []
        include = tuple(dict.fromkeys([*first, *(self.more_segments.data or ())]))
        match = Match(self.match.data) if self.match.data in set(MATCHES) else Match.ANY
        return AudienceRule(match, include, tuple(self.but_not.data or ()))

    def schedule(self) -> Schedule:
        """Return the schedule that was typed; fields of another kind of schedule are ignored."""
        kind_value = self.cycle.data if self.kind.data == RECUR else self.kind.data
        typed = Schedule(
            kind=Kind(kind_value) if kind_value in set(Kind) else Kind.NOW,
            zone=self.zone.data or "UTC",
            time=_seconds(self.time.data),
            start=self.start.data,
            end=self.end.data,
            weekdays=tuple(self.weekdays.data or ()),
            monthdays=tuple(self.monthdays.data or ()),
            until=_seconds(self.until.data),
            until_date=self.until_date.data,
            spread_until=_seconds(self.spread_until.data),
            rest=Rest(self.rest.data) if self.rest.data in set(Rest) else Rest.IGNORED,
            days_off=DaysOff(self.days_off.data) if self.days_off.data in set(DaysOff) else DaysOff.HOLIDAYS,
            skipped=tuple(self.skipped.data or ()),
        )
        return of_its_kind(typed)


@dataclass(frozen=True)
class ScheduleFields:
    """The fields of the schedule, as web/drawn_rows.py remembers them: many, and alike in most drafts."""

    form: CampaignForm
    names: ClassVar = (
        *("kind", "cycle", "start", "time", "weekdays", "monthdays", "end", "zone"),
        *("until", "until_date", "spread_until", "rest", "days_off"),
    )
    zones: ClassVar = COMMON_ZONES
    """Suggested."""

    @property
    def face(self) -> str:
        """Everything the fields show, as text."""
        fields = [self.form[name] for name in self.names]
        return repr([(field.data, field.raw_data, [str(error) for error in field.errors]) for field in fields])


PROBLEM_FIELDS = {
    "second_channel": "second_channel",
    "second": "second_template",
    "time": "time",
    "weekdays": "weekdays",
    "monthdays": "monthdays",
    "end": "end",
    "until": "until",
    "spread": "spread_until",
    "zone": "zone",
}
"""The field of a problem, by the prefix of its code; other problems name their field in `place`."""


def put_draft_problems(form: CampaignForm, problems: Iterable[Problem]) -> dict[str, str]:
    """Put each sentence at its field; return those of variables, which have no field: {variable: sentence}."""
    variables: dict[str, str] = {}
    for problem in problems:
        if "variable" in problem.facts:
            variables[str(problem.facts["variable"])] = sentence(problem)
            continue
        begin = next((begin for begin in PROBLEM_FIELDS if problem.code.startswith(begin + "_")), "")
        name = PROBLEM_FIELDS.get(begin) or {"schedule": "start"}.get(problem.place, problem.place)
        if sentence(problem) not in form[name].errors:
            form[name].errors = [*form[name].errors, sentence(problem)]
    return variables


def _seconds(time: dt.time | None) -> dt.time | None:
    return time.replace(microsecond=0) if time else None


def read_mapping(
    fields: Mapping[str, str],
    names: Iterable[str],
    stored: Mapping[str, Any],
    properties: Collection[str],
    likely: Callable[[str], str | None],
) -> dict[str, Any]:
    """Return the mapping of these variables as typed; one that was not on the form keeps its stored source.

    A variable seen for the first time takes the property that `likely` names, if there is one.
    """
    mapping: dict[str, Any] = {}
    for name in names:
        source, text = fields.get(FROM + name), fields.get(TEXT + name, "").strip()
        if source is None:
            if name in stored:
                mapping[name] = stored[name]
            elif (guess := likely(name)) is not None:
                mapping[name] = {"property": guess, "fallback": None}
        elif source == FIXED:
            mapping[name] = {"fixed": text}
        elif source in properties:
            mapping[name] = {"property": source, "fallback": text or None}
            if (form := fields.get(FORM + name)) in set(Form):
                mapping[name]["form"] = form
        elif text:
            mapping[name] = {"fixed": text}
    return mapping
