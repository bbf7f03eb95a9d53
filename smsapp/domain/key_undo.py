"""Undoing what an AppKey did in a span of time: which values go back to what they were.

The source beside each value says who wrote it last, and when. What somebody else has written since stays.
"""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain.trust import KeyKind, of_key

KEPT_DAYS = 7
"""How many days back the replaced values are kept."""


class UndoState(enum.StrEnum):
    COUNTING = "counting"
    """What it would do is being counted; nothing is changed."""
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    DROPPED = "dropped"
    """Counted, and another one was asked for instead."""


OPEN = (UndoState.COUNTING, UndoState.RUNNING)
"""States in which a worker is at it."""


class Phase(enum.StrEnum):
    REPLACED = "replaced"
    """Replaced values go back, the newest first."""
    ADDED = "added"
    """Values that were added where there was none are removed."""


class Replacement(enum.StrEnum):
    """How a key replaced values."""

    CHANGED = "changed"
    UNSET = "unset"
    ERASED = "erased"
    """With the contact itself."""
    BOUND = "bound"
    """Anonymous ids were bound to people."""


@dataclass(frozen=True)
class Window:
    """The values that a key wrote from one moment to another, by their sources."""

    kind: KeyKind
    key_id: int
    since: dt.datetime
    until: dt.datetime

    def source(self, at: dt.datetime) -> str:
        """Return the source of what the key wrote at a moment."""
        return of_key(self.kind, self.key_id, at).as_text()

    @property
    def prefix(self) -> str:
        """The beginning of the key's sources."""
        return self.source(self.since).rpartition(":")[0] + ":"

    def includes(self, source: str) -> bool:
        """Return whether a value of this source was written by the key in this time."""
        return (
            source.startswith(self.prefix)
            and int(self.since.timestamp()) <= int(source.removeprefix(self.prefix)) <= self.until.timestamp()
        )


@dataclass
class Values:
    """What a contact holds: {property: value} and {property: source}."""

    properties: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)


@dataclass
class Counts:
    """What an undo has done, or would do."""

    values: int = 0
    """Values that are again what they were, or gone."""
    contacts: int = 0
    """Contacts removed that only this key had created."""
    restored: int = 0
    """Erased contacts that are there again."""
    overtaken: int = 0
    """Replaced values that somebody else has changed since: they stay."""
    written_to: int = 0
    """Contacts that only this key had created, but that were sent something: they stay, without values."""


def step_back(  # the fields of one journal entry
    now: Values, before: Values, names: Mapping[str, str], how: Replacement, at: dt.datetime, window: Window, n: Counts
) -> bool:
    """Take one replacement back in `now`, which is changed, and count it; return whether anything changed.

    `before` is what the contact held then; `names` are the properties that were replaced, each with its present name.
    Call it for the newest replacement first.
    """
    changed = False
    for name, present_name in names.items():
        source, earlier = now.sources.get(present_name, ""), before.sources.get(name, "")
        if how is Replacement.CHANGED:
            is_last = source == window.source(at)
        else:
            is_last = present_name not in now.properties or window.includes(source)
        if not is_last:
            n.overtaken += source != earlier and not window.includes(source)
            continue
        changed = True
        n.values += not window.includes(earlier)
        _put(now, present_name, before.properties.get(name), earlier)
    return changed


def _put(now: Values, name: str, value: Any, source: str) -> None:
    now.properties.pop(name, None)
    now.sources.pop(name, None)
    if value is not None:
        now.properties[name] = value
        if source:
            now.sources[name] = source


def without_added(now: Values, window: Window) -> tuple[Values, int]:
    """Return what a contact holds without the values that the key wrote in this time, and how many these are."""
    added = {name for name, source in now.sources.items() if window.includes(source)}
    left = Values(
        {name: value for name, value in now.properties.items() if name not in added},
        {name: source for name, source in now.sources.items() if name not in added},
    )
    return left, len(added)
