"""Kinds of fields that several forms have: dates and times as a person types them, boxes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from wtforms import DateField, Field, SelectMultipleField, TimeField
from wtforms.widgets import CheckboxInput, ListWidget

from smsapp.domain.errors import Problem
from smsapp.labels import sentence
from smsapp.web import inputs


class Checkboxes(SelectMultipleField):  # type: ignore[misc]
    """Several choices as checkboxes; values are whole numbers."""

    widget = ListWidget(prefix_label=False)
    option_widget = CheckboxInput()

    def __init__(self, label: Any, **kwargs: Any) -> None:
        super().__init__(label, coerce=_whole, **kwargs)


def _whole(raw: Any) -> int:
    """Return a whole number that a column of ids holds; raise ValueError for any other."""
    number = int(raw)
    if abs(number) > inputs.HIGHEST:
        raise ValueError(raw)
    return number


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


class Dates(Field):  # type: ignore[misc]
    """Several dates, each as a value of its own; what is no date is ignored."""

    data: list[dt.date]

    def process_formdata(self, valuelist: Sequence[str]) -> None:
        self.data = sorted({date for value in valuelist if (date := inputs.date(value)) is not None})
