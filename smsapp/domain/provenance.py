"""Provenance: which parts of a draft a program has set last, so that a person sees what no person has typed."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from smsapp.domain.draft import FIELDS, Draft
from smsapp.domain.schedule_kind import of_its_kind

ALWAYS = ("name", "audience", "channel_id", "template_id", "schedule")
"""Fields that whoever creates a draft decides, even by leaving them as they are."""
MAPPING = "mapping"
"""The one field whose parts are set one by one: each variable is a part of its own, "mapping.<variable>"."""


class Door(enum.StrEnum):
    """Through which door a program came."""

    API = "api"
    MCP = "mcp"


@dataclass(frozen=True)
class Program:
    """A program that acts with a key of the HTTP API."""

    key: str
    """The key's name."""
    door: Door


@dataclass(frozen=True)
class Origin:
    """Which program set a part, and when."""

    program: Program
    at: dt.datetime


@dataclass(frozen=True)
class Provenance:
    """The parts of a draft that programs have set last; all others were set by persons."""

    origins: Mapping[str, Origin]

    def __bool__(self) -> bool:
        return bool(self.origins)

    def parts_of(self, field: str) -> Iterator[str]:
        """Yield the marked parts of a field."""
        yield from (part for part in self.origins if part == field or part.startswith(f"{field}."))

    def latest(self, *fields: str) -> list[Origin]:
        """Return the latest origin of each program in these fields or parts, in the order of their keys' names."""
        latest: dict[Program, Origin] = {}
        for part in (part for field in fields for part in self.parts_of(field)):
            origin = self.origins[part]
            if origin.program not in latest or latest[origin.program].at < origin.at:
                latest[origin.program] = origin
        return sorted(latest.values(), key=lambda origin: (origin.program.key, origin.program.door))

    def after(self, before: Draft, draft: Draft, program: Program | None, now: dt.datetime) -> Provenance:
        """Return the provenance once `program` (None: a person) has changed the draft: what it changed is its own."""
        old, new = _parts(before), _parts(draft)
        changed = [part for part, value in new.items() if old.get(part) != value]
        untouched = {part: origin for part, origin in self.origins.items() if part in new and part not in changed}
        return Provenance(untouched | _all_of(changed, program, now))

    def as_json(self) -> dict[str, list[str]]:
        """Return it as it is stored: part -> [door, name of the key, moment]."""
        return {part: [one.program.door, one.program.key, one.at.isoformat()] for part, one in self.origins.items()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Provenance:
        """Return what `as_json` has stored."""
        return cls(
            {
                part: Origin(Program(key, Door(door)), dt.datetime.fromisoformat(at))
                for part, (door, key, at) in stored.items()
            }
        )


def of_new(draft: Draft, program: Program | None, now: dt.datetime) -> Provenance:
    """Return the provenance of a draft that `program` (None: a person) creates."""
    nothing = _parts(Draft())
    chosen = [part for part, value in _parts(draft).items() if part in ALWAYS or nothing.get(part) != value]
    return Provenance(_all_of(chosen, program, now))


def _all_of(parts: Iterable[str], program: Program | None, now: dt.datetime) -> dict[str, Origin]:
    return {part: Origin(program, now) for part in parts} if program else {}


def _parts(draft: Draft) -> dict[str, Any]:
    """Return the values of a draft by part, as they count: the form writes some in another way that means the same."""
    parts = {name: getattr(draft, name) for name in FIELDS if name != MAPPING}
    rule = draft.audience
    parts |= {
        "name": draft.name.strip(),
        "audience": (rule.match if len({*rule.include}) > 1 else None, {*rule.include}, {*rule.exclude}),
        "schedule": of_its_kind(draft.schedule),
        "left_out_carriers": {*draft.left_out_carriers},
    }
    return parts | {f"{MAPPING}.{variable}": _source(source) for variable, source in draft.mapping.items()}


def _source(source: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return the property and the text of a variable's source; how its values are written is left out."""
    return source.get("property"), (source.get("fixed") or source.get("fallback") or "").strip()
