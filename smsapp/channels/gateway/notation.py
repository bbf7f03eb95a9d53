"""The notation in which an operator describes a gateway: templates with {placeholders}, values in an answer, rules.

A *path* is a JSON path ($.data.0.id) or a regular expression between slashes (/Success "(.+?)"/; its first group is
the value, or the whole match). A *rule* is a line: condition on the answer = meaning, for example

    403 /Authorization failed/ = misconfigured credentials
    4xx code:1003 = refused bad_number
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from xml.sax.saxutils import escape

from smsapp.channels.http import HttpAnswer
from smsapp.domain.outcome import Outcome

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
STEP = re.compile(r"[^.\[\]]+")
UNSAFE = re.compile(r"[^A-Za-z0-9_.~-]+")
LINE_BREAKS = re.compile(r"[\r\n\0]+")


def for_url(value: str, charset: str) -> str:
    """Percent-encode as urllib's quote does, but faster: a Chinese text is one run, not 200 bytes."""
    return UNSAFE.sub(lambda run: "%" + run[0].encode(charset, "replace").hex("%").upper(), value)


def for_form(value: str, charset: str) -> str:
    return for_url(value, charset).replace("%20", "+")


def for_json(value: str, charset: str) -> str:
    """Return the value as the inside of a JSON string; the template has the quotation marks."""
    return json.dumps(value, ensure_ascii=False)[1:-1]


def for_xml(value: str, charset: str) -> str:
    return escape(value, {'"': "&quot;"})


def for_header(value: str, charset: str) -> str:
    return LINE_BREAKS.sub(" ", value)


def unencoded(value: str, charset: str) -> str:
    return value


Encode = Callable[[str, str], str]


class Template:
    """A text with {placeholders}, parsed once; `fill` inserts the encoded values."""

    def __init__(
        self, text: str, encode: Encode, charset: str = "utf-8", fixed: Mapping[str, str] | None = None
    ) -> None:
        """`fixed` are values that are the same for every message; they are inserted here."""
        self._encode = encode
        self._charset = charset
        self._pieces: list[str] = []
        self._names: list[str] = []
        piece = ""
        for n, part in enumerate(PLACEHOLDER.split(text)):
            if n % 2 == 0:
                piece += part
            elif fixed is not None and part in fixed:
                piece += encode(fixed[part], charset)
            else:
                self._pieces.append(piece)
                self._names.append(part)
                piece = ""
        self._last = piece
        self.names = frozenset(self._names)

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the text with the values inserted; raises KeyError if a name is missing."""
        encode, charset = self._encode, self._charset
        filled = [piece + encode(values[name], charset) for piece, name in zip(self._pieces, self._names, strict=True)]
        return "".join(filled) + self._last


def unknown_placeholders(text: str, names: Collection[str]) -> list[str]:
    """Return the placeholders in the text that are not among `names`."""
    return [name for name in dict.fromkeys(PLACEHOLDER.findall(text)) if name not in names]


class AnswerBody:
    """An answer's body, decoded and parsed at most once."""

    def __init__(self, answer: HttpAnswer) -> None:
        self.status = answer.status
        self.text = answer.text()

    @cached_property
    def json(self) -> Any:
        """The body parsed as JSON; None if it is not JSON."""
        try:
            return json.loads(self.text)
        except ValueError:
            return None


class ValuePath:
    """The place of a value in an answer; raises ValueError if the notation cannot be parsed."""

    def __init__(self, notation: str) -> None:
        self.pattern: re.Pattern[str] | None = None
        self.steps: list[str] = []
        if notation.startswith("/"):
            if len(notation) < 3 or not notation.endswith("/"):
                raise ValueError(notation)
            self.pattern = expression(notation[1:-1])
        else:
            self.steps = STEP.findall(notation.removeprefix("$"))
            if not self.steps:
                raise ValueError(notation)

    def find(self, body: AnswerBody) -> str | None:
        """Return the value as text; None if it is missing."""
        if self.pattern is None:
            return as_text(walk(body.json, self.steps))
        match = self.pattern.search(body.text)
        if match is None:
            return None
        return match.group(1) if self.pattern.groups and match.group(1) is not None else match.group(0)


def expression(text: str) -> re.Pattern[str]:
    """Return the compiled expression; raises ValueError."""
    try:
        return re.compile(text, re.MULTILINE)
    except re.error as error:
        raise ValueError(str(error)) from None


def walk(value: Any, steps: list[str]) -> Any:
    """Return the value at the end of the steps through objects and lists; None if a step is missing."""
    for step in steps:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def as_text(value: Any) -> str | None:
    """Return a JSON value as an operator would write it; None for null, objects and lists."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return None


RULE_RESULTS = ("accepted", "refused", "throttled", "misconfigured", "unclear")


@dataclass(frozen=True)
class Rule:
    """One line: an answer with this status, code and text means `result`, with `outcome` if it is not None."""

    statuses: frozenset[int]
    code: str
    pattern: re.Pattern[str] | None
    result: str
    outcome: Outcome | None

    @classmethod
    def parse(cls, line: str) -> Rule:
        """Return the rule an operator wrote; raises ValueError."""
        condition, equals, meaning = line.rpartition("=")
        match = RULE.fullmatch(condition.strip())
        words = meaning.split()
        if (
            not equals
            or match is None
            or not condition.strip()
            or not words
            or len(words) > 2
            or words[0] not in RULE_RESULTS
        ):
            raise ValueError(line)
        outcome = Outcome(words[1]) if len(words) == 2 else None
        pattern = match["pattern"]
        return cls(
            _statuses(match["status"] or "xxx"),
            match["code"] or "",
            None if pattern is None else expression(pattern),
            words[0],
            outcome,
        )

    def matches(self, body: AnswerBody, code: str | None) -> bool:
        if body.status not in self.statuses:
            return False
        if self.code and self.code != code:
            return False
        return self.pattern is None or self.pattern.search(body.text) is not None


def _statuses(pattern: str) -> frozenset[int]:
    """Return the statuses that match a pattern: 4xx matches a hundred."""
    regex = re.compile(pattern.replace("x", "."))
    return frozenset(status for status in range(1000) if regex.fullmatch(f"{status:03}"))


RULE = re.compile(r"(?P<status>[1-5][\dx]{2})?\s*(?:code:(?P<code>\S+))?\s*(?:/(?P<pattern>.+)/)?")


def lines(text: str) -> list[str]:
    """Return the stripped lines without blank ones and # comments."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def comma_separated(text: str) -> frozenset[str]:
    """Return values separated by commas."""
    return frozenset(word.strip() for word in text.split(",") if word.strip())
