"""What a person does to a property of all contacts: it gets another type, is merged into another one, or is removed.

Each is pure and may be done twice: a job that was cut off begins its chunk again.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any

from smsapp.domain.columns import BOOLS, DATE_MARKS, NUMBER
from smsapp.domain.contact import MAX_ITEMS, Type, Unfit, Value, moment, number
from smsapp.domain.writing import Form, written

ASIDE = "_old"
"""Ends the name of the property that keeps values which cannot be converted."""
_ITEM_ENDS = re.compile(r"[,;|、，；]")


class ChangeKind(enum.StrEnum):
    RETYPE = "retype"
    MERGE = "merge"
    REMOVE = "remove"


class ChangeState(enum.StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


class Winner(enum.StrEnum):
    """Whose value stays where a contact has both."""

    TARGET = "target"
    SOURCE = "source"


def converted(value: Any, kind: Type) -> Value | None:
    """Return the value as one of this type; None if it cannot be."""
    if value in ("", None, []):
        return None
    try:
        return _CONVERT[kind](value)
    except (ValueError, Unfit, OverflowError):
        return None


def retyped(held: Mapping[str, Any], name: str, kind: Type) -> dict[str, Any]:
    """Return what a contact holds after a change of type; what cannot be converted is kept under another name."""
    after = dict(held)
    if name not in after:
        return after
    value = after.pop(name)
    fresh = converted(value, kind)
    if fresh is not None:
        after[name] = fresh
    elif value not in ("", None, []):
        after[name + ASIDE] = written(value, None)
    return after


def merged(held: Mapping[str, Any], source: str, target: str, wins: Winner) -> dict[str, Any]:
    """Return what a contact holds after `source` went into `target`."""
    after = dict(held)
    if source not in after:
        return after
    value = after.pop(source)
    if after.get(target) in ("", None, []) or wins is Winner.SOURCE:
        after[target] = value
    return after


def removed(held: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what a contact holds without the property."""
    return {key: value for key, value in held.items() if key != name}


def moved(sources: Mapping[str, Any], held: Mapping[str, Any], after: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return where each value came from: one that went to another name takes its source along."""
    found = dict(sources)
    origin = found.pop(name, None)
    if origin is not None:
        for key in after:
            if key == name or (after[key] != held.get(key) and key != name):
                found[key] = origin
    return found


def _to_string(value: Any) -> str:
    return written(value, Form.YES_NO_ZH if isinstance(value, bool) else Form.COMMAS_ZH)


def _to_number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(value)
    if isinstance(value, str):
        text = value.strip()
        if NUMBER.fullmatch(text) is None or not any(map(str.isdigit, text)):
            raise ValueError(text)
        value = float(text.replace(",", ""))
    return number("", value)


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().casefold()
    if text not in BOOLS:
        raise ValueError(text)
    return BOOLS[text] == "true"


def _to_moment(value: Any) -> str:
    found = moment(value.translate(DATE_MARKS).strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError(value)
    return found


def _to_list(value: Any) -> list[str]:
    if isinstance(value, list):
        return value
    items = list(dict.fromkeys(item for part in _ITEM_ENDS.split(_to_string(value)) if (item := part.strip())))
    if not items or len(items) > MAX_ITEMS:
        raise ValueError(value)
    return items


_CONVERT = {
    Type.STRING: _to_string,
    Type.NUMBER: _to_number,
    Type.BOOL: _to_bool,
    Type.DATETIME: _to_moment,
    Type.LIST: _to_list,
}
