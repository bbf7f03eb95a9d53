"""Endpoints of Amazon Pinpoint as contacts: which come in, under which user id, with which properties.

One User.UserId is one contact: of its SMS endpoints the one with the newest EffectiveDate whose number can be read
comes in, the others are merged. Without User.UserId the number is the user id. An endpoint with OptOut=ALL comes in
like the others if its number can be read in one way, and its number goes on the opt-out list even where another
endpoint of the person came in.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Mapping, Sequence

from smsapp.domain import phone
from smsapp.domain.flat_values import Columns, texts
from smsapp.domain.other_systems import ID_HEADING, MARKS, OPTED_OUT, PHONE_HEADING, reason_of_opted_out
from smsapp.domain.rejection import Reason

NESTED = frozenset({"Attributes", "Metrics", "Demographic", "Location", "User", "User.UserAttributes"})
IGNORED = frozenset({"Id", "RequestId", "ApplicationId", "CohortId", "CreationDate"})
"""Pinpoint's own marks."""
NO_PROPERTIES = IGNORED | {"ChannelType", "Address", "OptOut", "EndpointStatus", "EffectiveDate", "User.UserId"}
"""Those, and attributes with a meaning of their own; every other one becomes a property."""
GROUPS = ("User.UserAttributes.", "Attributes.", "Metrics.", "Demographic.", "Location.", "User.")
"""What a property's name does without, unless two would be called the same."""
USER_ID_LIST = "User.UserId"
"""The one heading of a segment file that lists user ids only."""

_PLAIN_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
_PLAIN_NUMBERS = re.compile(rf"{_PLAIN_NUMBER.pattern}(?:,{_PLAIN_NUMBER.pattern})*+")
_OLDEST = dt.datetime.min.replace(tzinfo=dt.UTC)


def short_name(name: str) -> str:
    """Return the last part of an attribute's name: User.UserAttributes.FirstName is FirstName."""
    group = next((group for group in GROUPS if name.startswith(group)), "")
    return name.removeprefix(group) or name


def gathered(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Columns:
    """Return the columns of a CSV file; an attribute with several values has several columns of the same heading."""
    columns: dict[str, Sequence[object]] = {}
    for heading, cells in zip(headings, zip(*rows, strict=True), strict=True):
        name = heading.strip()
        if name and name in columns:
            columns[name] = [_joined(held, cell) for held, cell in zip(columns[name], cells, strict=True)]
        elif name:
            columns[name] = cells
    return columns


def _joined(held: object, cell: str) -> list[object]:
    items = held if isinstance(held, list) else [held] if held else []
    return [*items, cell] if cell else items


class Endpoints:
    """The endpoints of one file, read in parts; `marks` holds what became of each (domain/other_systems.py)."""

    def __init__(self, region: str) -> None:
        self.marks = bytearray()
        self._region = region
        self._row_of: dict[str, int] = {}
        """User id -> the row that comes in."""
        self._addresses: list[str] = []
        self._dates: list[str] = []

    def read(self, columns: Columns, count: int, bad: Mapping[int, Reason]) -> Columns:
        """Return the columns of these rows, user id and phone first, then properties; `bad` rows are no endpoint."""
        blank = [""] * count
        channels, addresses, opt_outs, states, dates, ids = (
            texts(columns.get(name, blank))
            for name in ("ChannelType", "Address", "OptOut", "EndpointStatus", "EffectiveDate", "User.UserId")
        )
        marks = bytearray(count)
        for i, reason in bad.items():
            marks[i] = MARKS[reason]
        blank_rows: set[int] = set()
        if "" in channels and "" in addresses and "" in ids:
            blank_rows = {i for i, row in enumerate(zip(channels, addresses, ids, strict=True)) if not any(row)}
        if bad or set(channels) != {"SMS"}:
            _mark(marks, channels, {"SMS"}, Reason.OTHER_CHANNEL, blank_rows)
        if not set(states) <= {"", "ACTIVE"}:
            _mark(marks, states, {"", "ACTIVE"}, Reason.INACTIVE)
        if not set(opt_outs) <= {"", "NONE"}:
            self._opt_out(marks, opt_outs, channels)
        if not _PLAIN_NUMBERS.fullmatch(",".join(addresses)):
            addresses = self._numbers(addresses, channels, marks)
        ids = [user_id or number for user_id, number in zip(map(str.strip, ids), addresses, strict=True)]
        if "" in ids:
            for i, user_id in enumerate(ids):
                if not user_id and not marks[i] & ~OPTED_OUT and i not in blank_rows:
                    marks[i] |= MARKS[Reason.BAD_ADDRESS]
        if any(mark & OPTED_OUT for mark in marks):
            self._leave_out_opted_out(marks, addresses)
        begin = len(self.marks)
        self.marks += marks
        self._addresses += addresses
        self._dates += dates
        self._choose(ids, begin)
        properties = {name: values for name, values in columns.items() if name not in NO_PROPERTIES}
        return {ID_HEADING: ids, PHONE_HEADING: addresses, **properties}

    def _numbers(self, addresses: Sequence[str], channels: Sequence[str], marks: bytearray) -> list[str]:
        """Return the addresses, numbers with their +; mark those of SMS from which none can be read."""
        numbers = []
        for i, address in enumerate(addresses):
            number = address.strip()
            if channels[i].strip().upper() == "SMS" and not _PLAIN_NUMBER.fullmatch(number):
                # Amazon takes numbers with their country code, with or without +; people write national ones as well.
                readings = phone.readings(number, self._region)
                if len(readings) == 1:
                    number = readings[0]
                elif not marks[i] & ~OPTED_OUT:
                    marks[i] |= MARKS[Reason.UNCLEAR_NUMBER if readings else Reason.BAD_ADDRESS]
            numbers.append(number)
        return numbers

    def _opt_out(self, marks: bytearray, opt_outs: Sequence[str], channels: Sequence[str]) -> None:
        for i, opt_out in enumerate(opt_outs):
            value = opt_out.strip().upper()
            if value == "ALL":
                if channels[i].strip().upper() == "SMS":
                    marks[i] |= OPTED_OUT
            elif value not in {"", "NONE"} and not marks[i]:
                marks[i] = MARKS[Reason.UNCLEAR_OPT_OUT]

    def _leave_out_opted_out(self, marks: bytearray, addresses: Sequence[str]) -> None:
        """Mark opted-out rows whose number cannot be read, or in two ways, with a reason of their own."""
        replaced = {0, MARKS[Reason.UNCLEAR_NUMBER], MARKS[Reason.BAD_ADDRESS]}
        for i, mark in enumerate(marks):
            if mark & OPTED_OUT and mark & ~OPTED_OUT in replaced:
                reason = reason_of_opted_out(phone.readings(addresses[i], self._region))
                marks[i] = OPTED_OUT | (MARKS[reason] if reason else 0)

    def _choose(self, ids: Sequence[str], begin: int) -> None:
        """Choose the row that comes in for each user id; mark the others as merged."""
        marks = self.marks[begin:]
        if not any(marks):
            fresh = set(ids)
            if len(fresh) == len(ids) and "" not in fresh and self._row_of.keys().isdisjoint(fresh):
                self._row_of.update(zip(ids, range(begin, begin + len(ids)), strict=True))
                return
        for i, user_id in enumerate(ids):
            row = begin + i
            if marks[i] & ~OPTED_OUT or not user_id:
                continue
            before = self._row_of.setdefault(user_id, row)
            if before == row:
                continue
            newer, older = (row, before) if self._rank(row) >= self._rank(before) else (before, row)
            self._row_of[user_id] = newer
            self.marks[older] |= MARKS[Reason.MERGED]

    def _rank(self, row: int) -> tuple[bool, dt.datetime]:
        try:
            date = dt.datetime.fromisoformat(self._dates[row].strip())
        except ValueError:
            date = _OLDEST
        date = date if date.tzinfo else date.replace(tzinfo=dt.UTC)
        return phone.normalise(self._addresses[row], self._region) != "", date


def _mark(
    marks: bytearray, values: Sequence[str], good: set[str], reason: Reason, blank_rows: Collection[int] = ()
) -> None:
    for i, value in enumerate(values):
        if not marks[i] and i not in blank_rows and value.strip().upper() not in good:
            marks[i] = MARKS[reason]
