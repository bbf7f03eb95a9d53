"""The digest of what is approved: every field of a draft that decides who gets what, when and at which cost.

New fields of `domain/draft.py` Draft are covered without anybody thinking of it; HARMLESS names those that are not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from smsapp.domain.draft import FIELDS

HARMLESS = frozenset({"name", "seeds"})
"""Fields of a draft that neither change what is sent nor to whom, when or at which cost."""
COVERED = tuple(name for name in FIELDS if name not in HARMLESS)
BESIDE = ("text", "second_text", "segment_rule")
"""What is covered besides the draft's fields: what the chosen templates and segments say."""
ESTIMATE = "estimate"
"""Exceeded by more than the rule allows."""
APPROVER = "approver"
"""Whoever approved it may not any more."""
SHORT = 8


def hashes(values: Mapping[str, Any]) -> dict[str, str]:
    """Return field -> hash of its value, for the covered fields and what stands beside them."""
    return {name: _hash(values[name]) for name in (*COVERED, *BESIDE)}


def digest(parts: Mapping[str, str], estimate: Mapping[str, Any]) -> str:
    """Return the digest of the hashes of all fields and of the estimate: 64 hex digits."""
    return _hash({"parts": parts, "estimate": estimate})


def short(whole: str) -> str:
    """Return the beginning of a digest as people read it out to each other: 8F3A91C2."""
    return whole[:SHORT].upper()


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> Sequence[str]:
    """Return the fields that differ; one that only one side knows differs."""
    names = [*now, *(name for name in before if name not in now)]
    return [name for name in names if before.get(name) != now.get(name)]


def _hash(value: Any) -> str:
    text = json.dumps(value, default=_plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Return what JSON does not know as something it knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, AbstractSet):
        return sorted(value, key=str)
    return str(value)
