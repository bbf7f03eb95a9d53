"""The usual records, read by column: a key that may do everything sets properties that are known.

They are read by the rules of `domain/profile_operation.py`: what a rule would change, leave out or refuse is no usual
record and goes the long way of `services/apps/profiles.py`, and so do all other records about the same person. Where
this one may be used, both ways write the same (tests/services/test_plain_sets.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from smsapp.domain import contact as rules
from smsapp.domain.contact import MAX_ID, MAX_NUMBER, MAX_PROPERTIES, MAX_TEXT, Type
from smsapp.domain.profile_operation import KINDS, LIBRARY_FIELDS, Kind
from smsapp.domain.rejection import Unfit

Records = Sequence[dict[str, Any]]
Column = Sequence[Any]

MOST_TIME = 10**16
"""xwhen is below: see domain/profile_operation.py."""
AT_ONCE = 400
"""Records whose columns are read, or written, one after the other: they stay in the processor's cache meanwhile."""
SMALLEST = 8
"""A group of so many records that cannot be read by column is not divided again."""
NOT_CHECKED = frozenset({1, "1"})
"""$debug of a record that is to be checked only."""


@dataclass
class PlainSets:
    """What usual records set, by user id; each of these people is in no other record."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    """The AppKey that reported it."""
    count: int = 0


def divided(records: Records, types: Mapping[str, Type], free: Collection[str]) -> tuple[PlainSets, Records]:
    """Return what usual records set, and the other records in the order they came.

    `free` are the keys that may do everything. Of `types`, the known properties, leave out those that need a longer
    look. If an id is bound to another (ALIAS), all records go the long way.
    """
    read: list[dict[str, Any] | None] = [None] * len(records)
    names: dict[tuple[str, ...], dict[str, str] | None] = {}
    for begin in range(0, len(records), AT_ONCE):
        groups = _groups(records, begin, free)
        if groups is None:
            return PlainSets(), records
        for shape, places in groups.items():
            if shape not in names:
                names[shape] = _names(shape, types)
            if (named := names[shape]) is not None:
                _read(records, places, named, types, read)
    rest = [record for record, values in zip(records, read, strict=True) if values is None] if None in read else []
    if any(KINDS.get(str(record.get("xwhat"))) is Kind.ALIAS for record in rest):
        return PlainSets(), records
    return _by_person(records, read, rest)


def _groups(records: Records, begin: int, free: Collection[str]) -> dict[tuple[str, ...], Sequence[int]] | None:
    """Return the places of those of AT_ONCE records that set something, by the keys of their xcontext; None if one
    of them binds an id."""
    some = records[begin : begin + AT_ONCE]
    groups: dict[tuple[str, ...], list[int]] = {}
    if _are_sets(some, free):
        # Most uploads are such, and to ask each record alone takes three times as long.
        shapes = [tuple(record["xcontext"]) for record in some]
        if len(set(shapes)) == 1:
            return {shapes[0]: range(begin, begin + len(some))}
        for at, shape in enumerate(shapes, begin):
            groups.setdefault(shape, []).append(at)
        return dict(groups)
    for at, record in enumerate(some, begin):
        context, what = record.get("xcontext"), record.get("xwhat")
        if context.__class__ is dict and what.__class__ is str and record["appid"] in free:
            kind = KINDS.get(what)
            if kind is Kind.SET:
                groups.setdefault(tuple(context), []).append(at)
            elif kind is Kind.ALIAS:
                return None
    return dict(groups)


def _are_sets(some: Records, free: Collection[str]) -> bool:
    """Say whether each of the records sets something, for a key that may do everything."""
    try:
        return (
            {record["xwhat"] for record in some} == {Kind.SET.value}
            and {record["xcontext"].__class__ for record in some} == {dict}
            and {record["appid"] for record in some}.issubset(free)
        )
    except (KeyError, TypeError):
        return False


def _by_person(records: Records, read: Sequence[dict[str, Any] | None], rest: Records) -> tuple[PlainSets, Records]:
    """Put together what is set of each person; whoever is in one of the other records has all of them there."""
    if not rest:
        people = [record["xwho"] for record in records]
        if len(set(people)) == len(people):
            keys = dict(zip(people, [record["appid"] for record in records], strict=True))
            return PlainSets(dict(zip(people, read, strict=True)), keys, len(people)), rest  # type: ignore[arg-type]
    others = _people(rest)
    plain = PlainSets()
    values_of, key_of = plain.values, plain.keys
    for record, values in zip(records, read, strict=True):
        if values is not None:
            xwho, key = record["xwho"], record["appid"]
            if key_of.setdefault(xwho, key) != key:
                others.add(xwho)
            earlier = values_of.get(xwho)
            values_of[xwho] = values if earlier is None else earlier | values
    plain.count = len(records) - len(rest)
    if not others.isdisjoint(key_of):
        for xwho in others & key_of.keys():
            del values_of[xwho], key_of[xwho]
        is_rest = [values is None or record["xwho"] in others for record, values in zip(records, read, strict=True)]
        rest = [record for record, other in zip(records, is_rest, strict=True) if other]
        plain.count = len(records) - len(rest)
    return plain, rest


def _people(records: Records) -> set[str]:
    people = set()
    for record in records:
        try:
            people.add(rules.user_id(record.get("xwho")))
        except Unfit:
            continue
    return people


def _names(shape: Sequence[str], types: Mapping[str, Type]) -> dict[str, str] | None:
    """Return {key of xcontext: property} of a record of these keys; None if not all of them are known."""
    names = {raw: raw.lower() for raw in shape if raw.lower() not in LIBRARY_FIELDS}
    properties = set(names.values())
    is_usual = types.keys() >= properties and len(properties) == len(names) <= MAX_PROPERTIES
    return names if is_usual and all(map(str.isascii, names)) else None


def _read(
    records: Records,
    places: Sequence[int],
    names: Mapping[str, str],
    types: Mapping[str, Type],
    read: list[dict[str, Any] | None],
) -> None:
    """Enter the values of these records, which have the same keys, into `read`; those that are not usual stay out."""
    some = [records[at] for at in places]
    values = _values(some, names, types)
    if values is not None:
        for at, row in zip(places, values, strict=True):
            read[at] = row
    elif len(places) > SMALLEST:
        half = len(places) // 2
        _read(records, places[:half], names, types, read)
        _read(records, places[half:], names, types, read)


def _values(some: Records, names: Mapping[str, str], types: Mapping[str, Type]) -> list[dict[str, Any]] | None:
    """Return what is to be kept of each record; None if one of them is not usual."""
    contexts = [record["xcontext"] for record in some]
    if not _have_usual_frames(some, contexts):
        return None
    columns: list[Column] = []
    for raw, name in names.items():
        column = _READERS.get(types[name], _nothing)(list(map(itemgetter(raw), contexts)), name)
        if column is None:
            return None
        columns.append(column)
    targets = tuple(names.values())
    if not targets:
        return [{} for _ in some]
    return [dict(zip(targets, row, strict=True)) for row in zip(*columns, strict=True)]


def _have_usual_frames(some: Records, contexts: Sequence[dict[str, Any]]) -> bool:
    """Say whether user ids can be kept as they are, times can be read, and $debug and $is_login ask for nothing."""
    ids = [record.get("xwho") for record in some]
    if set(map(type, ids)) != {str}:
        return False
    together = "".join(ids)  # type: ignore[arg-type]
    lengths = set(map(len, ids))  # type: ignore[arg-type]
    if not (together.isascii() and together.isprintable()) or " " in together or min(lengths) < 1:
        return False
    times = [record.get("xwhen", 0) for record in some]
    if max(lengths) > MAX_ID or set(map(type, times)) != {int} or min(times) < 0 or max(times) >= MOST_TIME:
        return False
    if "$debug" in contexts[0]:
        modes = [context["$debug"] for context in contexts]
        if not set(map(type, modes)) <= {int, str, bool} or set(modes) & NOT_CHECKED:
            return False
    return "$is_login" not in contexts[0] or all(context["$is_login"] is True for context in contexts)


def _texts(column: Column, _name: str) -> Column | None:
    if set(map(type, column)) != {str} or max(map(len, column)) > MAX_TEXT:
        return None
    together = "".join(column)
    if together.isprintable() or (together.isascii() and "\x00" not in together):
        return column
    return None


def _numbers(column: Column, name: str) -> Column | None:
    kinds = set(map(type, column))
    if kinds == {int}:
        return column if min(column) >= -MAX_NUMBER and max(column) <= MAX_NUMBER else None
    if not kinds <= {int, float}:
        return None
    try:
        return [rules.number(name, value) for value in column]
    except Unfit:
        return None


def _switches(column: Column, _name: str) -> Column | None:
    return column if set(map(type, column)) == {bool} else None


def _moments(column: Column, _name: str) -> Column | None:
    if set(map(type, column)) != {str}:
        return None
    moments = [rules.moment(text) for text in column]
    return None if None in moments else moments


def _nothing(_column: Column, _name: str) -> Column | None:
    return None


_READERS: Mapping[Type, Callable[[Column, str], Column | None]] = {
    Type.STRING: _texts,
    Type.NUMBER: _numbers,
    Type.BOOL: _switches,
    Type.DATETIME: _moments,
}
"""How the column of a property is read; None = not all of it is usual."""
