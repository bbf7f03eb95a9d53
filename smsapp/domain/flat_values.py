"""Nested values of JSON as the cells of a table, column by column."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import orjson

from smsapp.domain.contact import MAX_TEXT

Columns = dict[str, Sequence[Any]]
"""Dotted name -> its values, None where a row has none; all of the same length."""

EXACT = 1e15
"""From here on a whole number in JSON may have lost digits, and stays as it was written."""
_TOO_DEEP = "…" * (MAX_TEXT + 1)
"""Stands for values within values that nobody can write as text: longer than any property may be, as below."""
_NOTHING: Mapping[str, Any] = {}


def flat(
    objects: Sequence[Mapping[str, Any]], nested: Collection[str], ignored: Collection[str] = (), *, within: str = ""
) -> Columns:
    """Return the values of the objects by their dotted names; only objects named in `nested` are opened.

    Names among `ignored` are left out. `within` is the dotted name of the objects themselves.
    """
    columns: Columns = {}
    before = f"{within}." if within else ""
    for name, values in _by_name(objects, before, ignored):
        path = before + name
        if path in nested:
            are_objects = set(map(type, values)) == {dict}
            inner = values if are_objects else [value if value.__class__ is dict else _NOTHING for value in values]
            columns |= flat(inner, nested, ignored, within=path)
        else:
            columns[path] = values
    return columns


def _by_name(
    objects: Sequence[Mapping[str, Any]], before: str, ignored: Collection[str]
) -> Iterable[tuple[str, Sequence[Any]]]:
    """Return (name, values) of all names; much faster if all objects have the same names, as exports have."""
    names = list(objects[0]) if objects else []
    if set(map(len, objects)) == {len(names)}:
        try:
            columns = [(name, [*map(itemgetter(name), objects)]) for name in names]
            return [(name, values) for name, values in columns if before + name not in ignored]
        except KeyError:
            pass
    everything = dict.fromkeys(itertools.chain.from_iterable(objects))
    return [(name, [item.get(name) for item in objects]) for name in everything if before + name not in ignored]


def has_lists(values: Sequence[Any]) -> bool:
    """Return whether one of the values is a list of several."""
    return any(value.__class__ is list and len(value) > 1 for value in values)


def texts(values: Sequence[Any], *, as_list: bool = False) -> Sequence[str]:
    """Return values as cells; a list as its items with commas between or, `as_list`, as JSON."""
    if as_list:
        return [*map(_list_text, values)]
    kinds = set(map(type, values))
    if kinds == {list} and set(map(len, values)) == {1}:
        values = [item for (item,) in values]
        kinds = set(map(type, values))
    if kinds == {str}:
        return values
    if kinds == {float} and all(map(float.is_integer, values)) and max(map(abs, values)) < EXACT:
        return [*map(str, map(int, values))]
    return [value if value.__class__ is str else _text(value) for value in values]


def _text(value: Any) -> str:
    if value is None or value.__class__ is str:
        return value or ""
    if value.__class__ is bool:
        return "true" if value else "false"
    if value.__class__ is float:
        return str(int(value)) if value.is_integer() and abs(value) < EXACT else repr(value)
    if value.__class__ is list:
        try:
            return ", ".join(map(_text, value))
        except RecursionError:
            return _TOO_DEEP
    return _json(value) if value.__class__ is dict else str(value)


def _list_text(value: Any) -> str:
    items = value if value.__class__ is list else [] if value is None or value == "" else [value]
    if not items:
        return ""
    return _json(items if set(map(type, items)) == {str} else [_text(item) for item in items])


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return _TOO_DEEP
