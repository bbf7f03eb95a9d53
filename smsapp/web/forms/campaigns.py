"""The form of a campaign, and its conversion to and from a Draft."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from wtforms import (
    DateField,
    IntegerField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TimeField,
    ValidationError,
)
from wtforms.validators import Length, Optional
from wtforms.widgets import CheckboxInput, HiddenInput, ListWidget

from smsapp.domain.billed_parts import measure
from smsapp.domain.campaign import LONGEST_NAME
from smsapp.domain.draft import CHOICES, Draft
from smsapp.domain.errors import Problem
from smsapp.domain.schedule import LAST_DAY, RECURRING, Kind, Schedule, known_zone
from smsapp.domain.writing import Form
from smsapp.labels import campaigns as words
from smsapp.labels import label, sentence
from smsapp.web import inputs
from smsapp.web.forms import PageForm

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


class Checkboxes(SelectMultipleField):  # type: ignore[misc]
    """Several choices as checkboxes; values are whole numbers."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()

    def __init__(self, label: Any, **kwargs: Any) -> None:
        super().__init__(label, coerce=int, **kwargs)


class Day(DateField):  # type: ignore[misc]
    """A date; unreadable text stays where it was typed, with a sentence that says how to write it."""

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(sentence(Problem("date_unreadable"))) from None


class TimeOfDay(TimeField):  # type: ignore[misc]
    """A time of day with or without seconds."""

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        try:
            super().process_formdata(valuelist)
        except ValueError:
            raise ValueError(sentence(Problem("time_unreadable"))) from None

    def _value(self) -> str:
        if self.raw_data:
            return " ".join(self.raw_data)
        return self.data.strftime("%H:%M:%S") if self.data else ""


class ChoiceField(SelectField):  # type: ignore[misc]
    """One stored row, chosen by its id; `nothing` is the label of the choice of none."""

    def __init__(self, label: Any, nothing: Any, **kwargs: Any) -> None:
        super().__init__(label, coerce=inputs.chosen_id, **kwargs)
        self.nothing = nothing

    def offer(self, rows: Iterable[tuple[str, str]], stored_id: int | None) -> None:
        """Offer these rows, (id, label); a stored choice that is no longer available stays, labelled so."""
        self.choices = [("", self.nothing), *rows]
        if stored_id is not None and self.data == stored_id and str(stored_id) not in dict(self.choices):
            self.choices.append((str(stored_id), _("No longer available: #%(id)s", id=stored_id)))


class CampaignForm(PageForm):
    """The fields of a Draft: those of CHOICES by their names, the schedule as the fields from `kind` on."""

    version = IntegerField(widget=HiddenInput(), default=0)
    name = StringField(_l("Campaign name"), [Length(max=LONGEST_NAME)], filters=[lambda text: (text or "").strip()])
    segment = ChoiceField(_l("Segment"), _l("Choose a segment"))
    channel = ChoiceField(_l("Channel"), _l("Choose a channel"))
    template = ChoiceField(_l("SMS template"), _l("Choose a template"))
    second_channel = ChoiceField(_l("Second channel"), _l("None: wait for the channel"))
    second_template = ChoiceField(_l("Template on the second channel"), _l("Choose a template"))
    kind = RadioField(_l("Send time"), default=Kind.NOW.value)
    cycle = RadioField(_l("Cycle"), default=Kind.DAILY.value)
    start = Day(_l("Date"), [Optional()])
    time = TimeOfDay(_l("Time"), [Optional()], format=["%H:%M:%S", "%H:%M"])
    weekdays = Checkboxes(_l("Days of the week"))
    monthdays = Checkboxes(_l("Days of the month"))
    end = Day(_l("End date"), [Optional()])
    zone = StringField(_l("Time zone"))

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind.choices = [(Kind.NOW, label(Kind.NOW)), (Kind.ONCE, label(Kind.ONCE)), (RECUR, _("Recurring"))]
        self.cycle.choices = [(kind.value, label(kind)) for kind in Kind if kind in RECURRING]
        self.weekdays.choices = [(day, words.weekday_name(day)) for day in range(1, 8)]
        self.monthdays.choices = [(day, str(day)) for day in range(1, 32)] + [(LAST_DAY, _("Last day"))]

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
        self.kind.data = RECUR if schedule.recurring else schedule.kind.value
        self.cycle.data = schedule.kind.value if schedule.recurring else Kind.DAILY.value
        self.zone.data = schedule.zone
        self.start.data, self.time.data, self.end.data = schedule.start, schedule.time, schedule.end
        self.weekdays.data, self.monthdays.data = list(schedule.weekdays), list(schedule.monthdays)

    def draft(self, mapping: Mapping[str, Any]) -> Draft:
        """Return what was typed as a Draft; a second template without a second channel is ignored."""
        ids: dict[str, int | None] = {f"{name}_id": self[name].data for name in CHOICES}
        if not self.second_channel.data:
            ids["second_template_id"] = None
        return Draft(name=self.name.data or "", mapping=mapping, schedule=self.schedule(), **ids)

    def schedule(self) -> Schedule:
        """Return the schedule that was typed; fields of another kind of schedule are ignored."""
        kind_value = self.cycle.data if self.kind.data == RECUR else self.kind.data
        kind = Kind(kind_value) if kind_value in set(Kind) else Kind.NOW
        now, recurring = kind is Kind.NOW, kind in RECURRING
        return Schedule(
            kind=kind,
            zone=self.zone.data or "UTC",
            time=None if now else _seconds(self.time.data),
            start=None if now else self.start.data,
            end=self.end.data if recurring else None,
            weekdays=tuple(sorted(self.weekdays.data or ())) if kind is Kind.WEEKLY else (),
            monthdays=tuple(sorted(self.monthdays.data or ())) if kind is Kind.MONTHLY else (),
        )


PROBLEM_FIELDS = {
    "second_channel": "second_channel",
    "second": "second_template",
    "time": "time",
    "weekdays": "weekdays",
    "monthdays": "monthdays",
    "end": "end",
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


EXCERPT = 40
"""Characters of a template's text in the drop-down."""


class TemplateRow(Protocol):
    """A template a person can choose."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...

    @property
    def signature(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def purpose(self) -> str: ...


def _template_choices(templates: Iterable[TemplateRow]) -> list[tuple[str, str]]:
    """Return choices (id, label); the label also has purpose, parts and the beginning of the text."""
    choices = []
    for template in templates:
        parts = measure(template.signature, template.text).parts
        begins = template.text if len(template.text) <= EXCERPT else template.text[:EXCERPT] + "…"
        size = ngettext("%(num)s part", "%(num)s parts", parts)
        choices.append(
            (str(template.id), " · ".join((template.name, label(template.purpose, "Purpose"), size, begins)))
        )
    return choices


class NamedRow(Protocol):
    """A row a person can choose."""

    @property
    def id(self) -> int: ...

    @property
    def name(self) -> str: ...


def _name_choices(rows: Iterable[NamedRow]) -> list[tuple[str, str]]:
    """Return choices (id, name)."""
    return [(str(row.id), row.name) for row in rows]


def offer(
    form: CampaignForm,
    segments: Iterable[NamedRow],
    channels: Iterable[NamedRow],
    templates: Iterable[TemplateRow],
    counterparts: Iterable[TemplateRow],
    stored: Draft,
) -> None:
    """Fill the drop-downs. A stored choice that is no longer available stays, labelled so."""
    channel_choices = _name_choices(channels)
    choices = {
        "segment": _name_choices(segments),
        "channel": channel_choices,
        "template": _template_choices(templates),
        "second_channel": channel_choices,
        "second_template": _template_choices(counterparts),
    }
    for name, stored_id in stored.choices.items():
        form[name].offer(choices[name], stored_id)
