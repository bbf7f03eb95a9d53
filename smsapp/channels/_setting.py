"""One setting of a channel kind: its widget in the form, its validation, and its typed value."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from smsapp.domain.errors import Problem
from smsapp.domain.outcome import Outcome

Number = TypeVar("Number", int, float)


class Widget(enum.StrEnum):
    """The kind of field in the settings form."""

    TEXT = "text"
    SECRET = "secret"  # noqa: S105 - the name of a widget
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"
    URL = "url"
    LONG_TEXT = "long_text"


@dataclass(frozen=True)
class Setting:
    """One setting of a channel kind; labels, hints, sections and choices are English msgids, for the pages."""

    name: str
    label: str
    widget: Widget = Widget.TEXT
    default: str = ""
    required: bool = False
    hint: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    low: float | None = None
    high: float | None = None
    section: str = ""
    """Heading the form puts above this setting; settings of one section stand next to each other."""
    whole: bool = True
    """The number must be an integer."""
    pattern: str = ""
    """Regular expression that the whole text must match, if it is not empty."""
    example: str = ""
    """A text that matches, for the error message."""
    keeps_spaces: bool = False
    """Spaces at the ends of the text mean something, so they are not removed."""

    @property
    def secret(self) -> bool:
        return self.widget is Widget.SECRET

    def problem(self, text: str) -> Problem | None:
        """Return the problem of this text; None means that `Values` can read it."""
        if not text:
            return Problem("setting_missing", self.name) if self.required else None
        if self.widget is Widget.NUMBER:
            return self._number_problem(text)
        if self.widget is Widget.CHOICE and text not in dict(self.choices):
            return Problem("setting_choice", self.name)
        if self.widget is Widget.FLAG and text != "1":
            return Problem("setting_choice", self.name)
        if self.pattern and not re.fullmatch(self.pattern, text):
            return Problem("setting_pattern", self.name, {"example": self.example})
        return None

    def _number_problem(self, text: str) -> Problem | None:
        try:
            number = read_whole(text) if self.whole else read_number(text)
        except ValueError:
            return Problem("setting_whole_number" if self.whole else "setting_number", self.name)
        low, high = self.low, self.high
        if (low is not None and number < low) or (high is not None and number > high):
            return Problem("setting_range", self.name, {"low": f"{low:g}", "high": f"{high:g}"})
        return None


def read_outcome(line: str) -> tuple[str, Outcome]:
    """Return the code and its outcome in a line such as `EXPIRED = expired`; raises ValueError."""
    code, equals, outcome = line.rpartition("=")
    if not equals or not code.strip():
        raise ValueError(line)
    return code.strip(), Outcome(outcome.strip())


def read_whole(text: str) -> int:
    """Return the whole number in a setting, 0 if it is empty; raises ValueError."""
    return int(text or 0)


def read_number(text: str) -> float:
    """Return the number in a setting, 0 if it is empty; raises ValueError, also for what is not finite."""
    number = float(text or 0)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


class Values(dict[str, str]):
    """A channel's settings: name -> text, read with their types. Reading raises ValueError with the setting's name."""

    def number(self, name: str) -> float:
        return self._read(name, read_number)

    def whole(self, name: str) -> int:
        return self._read(name, read_whole)

    def flag(self, name: str) -> bool:
        return self[name] == "1"

    def _read(self, name: str, read: Callable[[str], Number]) -> Number:
        try:
            return read(self[name])
        except ValueError:
            raise ValueError(name) from None
