"""Changes of a property of all contacts: another type, a merge into another property, or removal.

All functions are pure and idempotent, because an interrupted job repeats its chunk.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any

from smsapp.domain.cells import BOOLS, DATE_MARKS, NUMBER
from smsapp.domain.contact import MAX_ITEMS, Type, Value, moment, number
from smsapp.domain.rejection import Unfit
from smsapp.domain.writing import Form, written

ASIDE = "_old"
"""Suffix of the property that keeps values which cannot be converted."""
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
    """The property whose value stays if a contact has both."""

    TARGET = "target"
    SOURCE = "source"


def converted(value: Any, kind: Type) -> Value | None:
    """Return the value converted to this type; None if that is impossible."""
    if value in ("", None, []):
        return None
    try:
        return _CONVERT[kind](value)
    except (ValueError, Unfit, OverflowError):
        return None


def retyped(properties: Mapping[str, Any], name: str, kind: Type) -> dict[str, Any]:
    """Return a contact's properties after a change of type; an unconvertible value is kept under name + ASIDE."""
    after = dict(properties)
    if name not in after:
        return after
    value = after.pop(name)
    new_value = converted(value, kind)
    if new_value is not None:
        after[name] = new_value
    elif value not in ("", None, []):
        after[name + ASIDE] = written(value, None)
    return after


def merged(properties: Mapping[str, Any], source: str, target: str, wins: Winner) -> dict[str, Any]:
    """Return a contact's properties after `source` was merged into `target`."""
    after = dict(properties)
    if source not in after:
        return after
    value = after.pop(source)
    if after.get(target) in ("", None, []) or wins is Winner.SOURCE:
        after[target] = value
    return after


def removed(properties: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a contact's properties without this one."""
    return {key: value for key, value in properties.items() if key != name}


def moved(
    sources: Mapping[str, Any], properties: Mapping[str, Any], after: Mapping[str, Any], name: str
) -> dict[str, Any]:
    """Return the sources of the values; a value that moved to another name takes its source along."""
    new_sources = dict(sources)
    origin = new_sources.pop(name, None)
    if origin is not None:
        for key in after:
            if key == name or (after[key] != properties.get(key) and key != name):
                new_sources[key] = origin
    return new_sources


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
    text = moment(value.translate(DATE_MARKS).strip()) if isinstance(value, str) else None
    if text is None:
        raise ValueError(value)
    return text


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
