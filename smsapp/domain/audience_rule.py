"""Whom a campaign is for: the members of any, or of all, of some segments who are in none of some others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smsapp.domain.errors import Problem
from smsapp.domain.segment import Match

MOST_SEGMENTS = 20
"""Of both kinds together: each is a part of the one statement that counts and freezes."""


@dataclass(frozen=True)
class AudienceRule:
    """Segments by their ids. People of an excluded segment are targeted and left out, with a reason of their own."""

    match: Match = Match.ANY
    """ANY or ALL of `include`."""
    include: tuple[int, ...] = ()
    exclude: tuple[int, ...] = ()

    @property
    def ids(self) -> tuple[int, ...]:
        """All segments, the included ones first."""
        return self.include + self.exclude

    @property
    def only(self) -> int | None:
        """The one segment of a rule that names no other; None for any other rule."""
        return self.include[0] if len(self.ids) == 1 and self.include else None

    def without(self, gone: Sequence[int]) -> AudienceRule:
        """Return the rule without these segments."""
        include, exclude = (tuple(id_ for id_ in ids if id_ not in gone) for ids in (self.include, self.exclude))
        return AudienceRule(self.match, include, exclude)

    def as_json(self) -> dict[str, Any]:
        return {"match": self.match, "include": list(self.include), "exclude": list(self.exclude)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> AudienceRule:
        return cls(Match(value["match"]), tuple(value["include"]), tuple(value["exclude"]))

    @classmethod
    def of(cls, segment_id: int | None) -> AudienceRule:
        """Return the rule of one segment, or the empty one."""
        return cls(include=() if segment_id is None else (segment_id,))


def problems(rule: AudienceRule) -> list[Problem]:
    """Return what not even a draft may contain: a segment on both sides, or too many."""
    problems = []
    if set(rule.include) & set(rule.exclude):
        problems.append(Problem("segment_on_both_sides", "segment"))
    if len(rule.ids) > MOST_SEGMENTS:
        problems.append(Problem("segments_too_many", "segment", {"limit": MOST_SEGMENTS}))
    return problems


@dataclass(frozen=True)
class NamedAudience:
    """The same, by the names of the segments; those that are gone are not among them."""

    match: Match = Match.ANY
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def notation(self) -> str:
        """The rule in signs that need no translation: "A ∩ B ∖ C ∖ D"."""
        sign = " ∩ " if self.match is Match.ALL else " ∪ "
        joined = sign.join(self.include)
        if self.exclude and len(self.include) > 1:
            joined = f"({joined})"
        return " ∖ ".join((joined, *self.exclude))
