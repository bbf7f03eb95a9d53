"""Files of special days: CSV with date, kind and name, or all-day events of an iCalendar file."""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass

from smsapp.domain.errors import Problem
from smsapp.domain.rest_days import DayKind, SpecialDay

OFF_WORDS = frozenset({"off", "holiday", "放假", "休", "休息", "节假日"})
WORKING_WORDS = frozenset({"working", "workday", "上班", "班", "补班", "调休上班", "工作日"})
LONGEST_NAME = 80
MOST_ROWS = 5000
LONGEST_EVENT = 31
"""Days of one event; a longer one is no holiday."""
FIRST_YEAR, LAST_YEAR = 2000, 2100
DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class CalendarFile:
    """The days of a file in order, and (row, problem) of the rows that cannot be read."""

    days: tuple[SpecialDay, ...]
    complaints: tuple[tuple[int, Problem], ...]

    @property
    def years(self) -> list[int]:
        return sorted({day.date.year for day in self.days})


def read(content: bytes) -> CalendarFile:
    """Return what a file holds; of several rows for one date the last one counts."""
    text = _text(content)
    rows = _events(text) if text.lstrip().upper().startswith("BEGIN:VCALENDAR") else _csv_rows(text)
    days: dict[dt.date, SpecialDay] = {}
    complaints: list[tuple[int, Problem]] = []
    for row, entry in rows:
        if isinstance(entry, Problem):
            complaints.append((row, entry))
        else:
            days.update((day.date, day) for day in entry)
    return CalendarFile(tuple(days[date] for date in sorted(days)), tuple(complaints))


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("gb18030", "replace")


Entries = Iterator[tuple[int, list[SpecialDay] | Problem]]


def _csv_rows(text: str) -> Entries:
    for row, cells in enumerate(csv.reader(text.splitlines()), 1):
        values = [cell.strip() for cell in cells]
        if row > MOST_ROWS:
            yield row, Problem("rest_day_too_many", "file", {"most": MOST_ROWS})
            return
        if not any(values) or (row == 1 and not re.search(r"\d", values[0])):
            continue  # an empty row, or the headings
        date, kind = _date(values[0]), _kind(values[1] if len(values) > 1 else "")
        if date is None:
            yield row, Problem("rest_day_date", "file", {"text": values[0][:40]})
        elif kind is None:
            yield row, Problem("rest_day_kind", "file", {"text": values[1][:40] if len(values) > 1 else ""})
        else:
            yield row, [SpecialDay(date, kind, values[2][:LONGEST_NAME] if len(values) > 2 else "")]


def _date(text: str) -> dt.date | None:
    digits = re.fullmatch(r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?", text)
    try:
        date = dt.date(*map(int, digits.groups())) if digits else None
    except ValueError:
        return None
    return date if date and FIRST_YEAR <= date.year <= LAST_YEAR else None


def _kind(text: str) -> DayKind | None:
    word = text.casefold()
    if word in WORKING_WORDS:
        return DayKind.WORKING
    return DayKind.OFF if word in OFF_WORDS else None


def _events(text: str) -> Entries:
    """Yield the all-day events of an iCalendar file (RFC 5545); whose name says that it is worked is a working day."""
    fields: dict[str, str] = {}
    lines = re.sub(r"\r?\n[ \t]", "", text).splitlines()
    for row, line in enumerate(lines, 1):
        name, _colon, value = line.partition(":")
        name = name.partition(";")[0].upper()
        if line.upper() == "BEGIN:VEVENT":
            fields = {}
        elif line.upper() == "END:VEVENT":
            yield row, _event_days(fields)
        else:
            fields[name] = value.strip()


def _event_days(fields: dict[str, str]) -> list[SpecialDay] | Problem:
    first = _date(fields.get("DTSTART", ""))
    if first is None:  # an event with a time of day is no day of rest
        return Problem("rest_day_date", "file", {"text": fields.get("DTSTART", "")[:40]})
    after = _date(fields.get("DTEND", "")) or first + DAY
    name = re.sub(r"\\([,;\\])", r"\1", fields.get("SUMMARY", ""))[:LONGEST_NAME]
    kind = DayKind.WORKING if re.search(r"班|workday|working", name, re.IGNORECASE) else DayKind.OFF
    days = min(max(1, (after - first).days), LONGEST_EVENT)
    return [SpecialDay(first + n * DAY, kind, name) for n in range(days)]
