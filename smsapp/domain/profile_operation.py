"""The seven profile operations: how a reported record changes a contact's properties.

The semantics are those of the Ark documentation ("数据格式", "RESTful API").
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from smsapp.domain.contact import (
    MAX_ITEMS,
    MAX_NUMBER,
    MAX_PROPERTIES,
    MAX_TEXT,
    Properties,
    Type,
    Value,
    canonical,
    number,
    property_name,
    user_id,
)
from smsapp.domain.rejection import Loss, Reason, Unfit, excerpt, loss_of

MAX_EVENT = 99

LIBRARY_FIELDS = frozenset(
    {
        "$lib",
        "$lib_version",
        "$platform",
        "$is_login",
        "$debug",
        "$importflag",
        "$original_id",
        "$is_time_calibrated",
        "$session_id",
    }
)
"""Fields in which SDKs describe themselves in every record; not properties of the person."""

_TYPES: Mapping[type, Type] = {bool: Type.BOOL, int: Type.NUMBER, float: Type.NUMBER, str: Type.STRING, list: Type.LIST}


class Kind(enum.StrEnum):
    """A profile operation, by its name in the protocol."""

    SET = "$profile_set"
    SET_ONCE = "$profile_set_once"
    INCREMENT = "$profile_increment"
    APPEND = "$profile_append"
    UNSET = "$profile_unset"
    DELETE = "$profile_delete"
    ALIAS = "$alias"


KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind}


@dataclass(slots=True)
class Operation:
    """One profile operation on one person, its values canonical and typed."""

    kind: Kind
    xwho: str
    values: Properties = field(default_factory=dict)
    types: Mapping[str, Type] = field(default_factory=dict)
    """Types of values whose property is not in the catalogue yet."""
    original_id: str = ""
    """ALIAS only: the anonymous id."""
    anonymous: bool = False
    """The person had not signed in ($is_login false): xwho is an id of the browser or the device."""
    is_stored: bool = True
    """False if the SDK asked to check the record without storing it ($debug 1)."""
    losses: list[Loss] = field(default_factory=list)
    """Properties of the record that were left out."""


def operation(record: object, types: Mapping[str, Type]) -> Operation | None:
    """Return the profile operation in a reported record; None if it is another event.

    `types` are the known types of properties. A property that cannot be kept is left out and listed in `losses`;
    raises Unfit if nothing of the record can be kept.
    """
    if not isinstance(record, dict):
        raise Unfit(Reason.NO_OBJECT)
    what = record.get("xwhat")
    if not isinstance(what, str) or not what or len(what) > MAX_EVENT:
        raise Unfit(Reason.BAD_EVENT)
    kind = KINDS.get(what)
    if kind is None:
        return None
    op = Operation(kind, user_id(record.get("xwho")))
    if not _is_time(record.get("xwhen")):
        op.losses.append(Loss(Reason.BAD_TIME, "xwhen", excerpt(record["xwhen"])))
    context = record.get("xcontext")
    if context is None:
        context = {}
    if not isinstance(context, dict):
        raise Unfit(Reason.BAD_RECORD)
    if "$debug" in context:
        op.is_stored = context["$debug"] not in (1, "1")
    if kind is Kind.ALIAS:
        op.original_id = user_id(context.get("$original_id"))
        return op
    if context.get("$is_login", True) is not True:
        op.anonymous = str(context["$is_login"]).lower() in {"false", "0"}
    if kind is not Kind.DELETE:
        _read_operands(op, context, types)
    return op


def without(op: Operation, names: Collection[str]) -> Operation:
    """Return the operation without these properties."""
    return replace(
        op,
        values={name: value for name, value in op.values.items() if name not in names},
        types={name: kind for name, kind in op.types.items() if name not in names},
    )


def applied(properties: Mapping[str, Any], op: Operation) -> Properties:
    """Return the properties after the operation `op`; `properties` is not changed.

    A property whose sum or list cannot be kept stays as it is and is added to `op.losses`. ALIAS changes no properties:
    ids are kept elsewhere (see `merged`). DELETE returns {}; the caller removes the contact.
    """
    match op.kind:
        case Kind.SET:
            return {**properties, **op.values}
        case Kind.SET_ONCE:
            return {**op.values, **properties}
        case Kind.UNSET:
            return {name: value for name, value in properties.items() if name not in op.values}
        case Kind.DELETE:
            return {}
        case Kind.ALIAS:
            return dict(properties)
    after = dict(properties)
    combine = _sum if op.kind is Kind.INCREMENT else _union
    for name, value in op.values.items():
        try:
            after[name] = combine(name, properties.get(name), value)
        except Unfit as unfit:
            op.losses.append(loss_of(unfit, name, value))
    return after


def merged(registered: Mapping[str, Any], anonymous: Mapping[str, Any]) -> Properties:
    """Return one profile for a person known under two ids; values of the registered id win."""
    return {**anonymous, **registered}


def _read_operands(op: Operation, context: Mapping[str, object], types: Mapping[str, Type]) -> None:
    """Fill in `op.values`, `op.types` and `op.losses` from a record's context."""
    values, kind = op.values, op.kind
    new_types: dict[str, Type] = {}
    is_set = kind is Kind.SET or kind is Kind.SET_ONCE
    for raw, value in context.items():
        try:
            name = _reported_name(raw)
            if not name:
                continue
            expected = types.get(name)
            if is_set and expected is not None and len(values) < MAX_PROPERTIES and _is_plain(value, expected):
                values[name] = value  # type: ignore[assignment]
                continue
            if len(values) >= MAX_PROPERTIES:
                raise Unfit(Reason.TOO_MANY_PROPERTIES, limit=MAX_PROPERTIES)
            if kind is Kind.UNSET:
                values[name] = ""
            elif value is not None:
                of, values[name] = _operand(kind, name, value, expected)
                if expected is None:
                    new_types[name] = of
        except Unfit as unfit:
            op.losses.append(loss_of(unfit, raw, value))
    op.types = new_types


def _is_plain(value: object, expected: Type) -> bool:
    """Return whether a value may be kept unchanged: a fast check that holds for nearly all values."""
    of = value.__class__
    if of is str:
        return (
            expected is Type.STRING
            and len(value) <= MAX_TEXT  # type: ignore[arg-type]
            and (value.isascii() or value.isprintable())  # type: ignore[attr-defined]
            and "\x00" not in value  # type: ignore[operator]
        )
    if of is int:
        return expected is Type.NUMBER and -MAX_NUMBER <= value <= MAX_NUMBER  # type: ignore[operator]
    return of is bool and expected is Type.BOOL


@lru_cache(maxsize=4096)
def _reported_name(raw: str) -> str:
    """Return the name of a reported property, "" for a library field; raise Unfit if it cannot be a name."""
    name = property_name(raw)
    if not name.isascii():
        raise Unfit(Reason.BAD_NAME, name=name[:40])
    return "" if name in LIBRARY_FIELDS else name


def _operand(kind: Kind, name: str, value: object, expected: Type | None) -> tuple[Type, Value]:
    if kind is Kind.INCREMENT:
        if value.__class__ is not int and value.__class__ is not float:
            raise Unfit(Reason.BAD_VALUE, name=name)
    elif kind is Kind.APPEND:
        value = [value] if isinstance(value, str) else value
        if not isinstance(value, list):
            raise Unfit(Reason.BAD_VALUE, name=name)
    return canonical(name, value, expected)


def _sum(name: str, old: Any, add: Any) -> int | float:
    old = 0 if old is None else old
    if isinstance(old, bool) or not isinstance(old, int | float):
        raise Unfit(Reason.TYPE_CONFLICT, name=name, expected=_held_type(old), found=Type.NUMBER.value)
    return number(name, old + add)


def _union(name: str, old: Any, add: Any) -> list[str]:
    old = [] if old is None else old
    if not isinstance(old, list):
        raise Unfit(Reason.TYPE_CONFLICT, name=name, expected=_held_type(old), found=Type.LIST.value)
    items = list(dict.fromkeys([*old, *add]))
    if len(items) > MAX_ITEMS:
        raise Unfit(Reason.TOO_MANY_ITEMS, name=name, limit=MAX_ITEMS)
    return items


def _held_type(value: object) -> str:
    return next((kind.value for of, kind in _TYPES.items() if isinstance(value, of)), Type.STRING.value)


def _is_time(raw: object) -> bool:
    """Return whether xwhen is readable or missing; profiles do not depend on it, so a missing one is not reported."""
    if raw is None or (isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) <= 16):
        return True
    return isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw < 10**16
