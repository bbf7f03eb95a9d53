"""A contact's typed properties, and how a reported record changes them: the seven profile operations.

The semantics are those of the Ark documentation ("数据格式", "RESTful API"), the limits those of its SDKs.
All functions are pure: values in, canonical values out, or `Unfit` with a reason as a code.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from smsapp.domain.invisible import visible

MAX_ID = 254
MAX_NAME = 125
MAX_PROPERTIES = 300
MAX_CATALOGUE = 1000
"""Most different properties of all contacts together, because pages list them all."""
MAX_TEXT = 8_193
"""Characters of a text: SDKs cut at 8,192 and append a "$"."""
MAX_ITEMS = 100
MAX_ITEM = 255
"""Characters of an item of a list."""
MAX_NUMBER = 9e14
MAX_EVENT = 99
SHOWN = 60
"""Characters shown of a value that could not be kept."""
DECIMALS = 3

PHONE = "$phone"

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

_NAME = re.compile(r"(?:[^\W\d_]|\$)[\w$]*")
_DATETIME = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.\d{1,6})?)?)?")

Value = str | int | float | bool | list[str]
Properties = dict[str, Value]


class Type(enum.StrEnum):
    """The type of a property: that of the first value ever seen."""

    STRING = "string"
    NUMBER = "number"
    BOOL = "bool"
    DATETIME = "datetime"
    LIST = "list"


_TYPES: Mapping[type, Type] = {bool: Type.BOOL, int: Type.NUMBER, float: Type.NUMBER, str: Type.STRING, list: Type.LIST}
PRESETS: Mapping[str, Type] = {PHONE: Type.STRING, "$email": Type.STRING}
"""Properties whose type is fixed before any value was seen."""


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


class Reason(enum.StrEnum):
    """Why a record or a row was not kept."""

    QUOTA = "quota"
    """The key has created as many contacts today as it may."""
    BROKEN = "broken_json"
    """The text is not JSON; the records around it were read."""
    BAD_RECORD = "bad_record"
    """An object, but not one with xwho, xwhat and xcontext."""
    NO_OBJECT = "no_object"
    BAD_APPID = "unknown_appkey"
    BAD_ID = "bad_id"
    BAD_EVENT = "bad_event"
    BAD_TIME = "bad_time"
    BAD_NAME = "bad_name"
    BAD_VALUE = "bad_value"
    BAD_TEXT = "bad_text"
    TYPE_CONFLICT = "type_conflict"
    TOO_LONG = "too_long"
    TOO_MANY_PROPERTIES = "too_many_properties"
    TOO_MANY_NAMES = "too_many_names"
    """The catalogue of all properties has no room for this one; the record's other properties were kept."""
    NAMES_OF_KEY = "names_of_key"
    """A public key has added as many new properties as it may; the record's other properties were kept."""
    NOT_WRITABLE = "not_writable"
    """The key may not write this property; the record's other properties were kept."""
    PUBLIC_KEY = "public_key"
    """A public key cannot do this to an existing value; the record's other properties were kept."""
    PROPOSALS_FULL = "proposals_full"
    """The key has as many undecided proposals as it may."""
    TOO_MANY_ITEMS = "too_many_items"
    OUT_OF_RANGE = "out_of_range"
    TOO_MANY_CELLS = "too_many_cells"
    FORMULA = "formula_without_value"
    BAD_QUOTES = "bad_quotes"
    DESTROYED_ID = "destroyed_id"
    """A user id that a spreadsheet program has rounded: 1.23E+17."""
    NO_NUMBER = "no_number"
    """Kept, but the cell of the phone is empty."""
    BAD_NUMBER = "bad_number"
    """Kept, but no number can be read from the phone."""


class Unfit(Exception):
    """This record cannot be kept; `facts` are the parameters of the sentence (names and limits, never values)."""

    def __init__(self, reason: Reason, **facts: Any) -> None:
        self.reason = reason
        self.facts = facts
        super().__init__(reason)


@dataclass(frozen=True, slots=True)
class Loss:
    """A property of a record that cannot be kept, while the rest of the record is."""

    reason: Reason
    name: str
    value: str = ""
    """The beginning of the value, for display."""
    facts: Mapping[str, Any] = field(default_factory=dict)


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
    kept: bool = True
    """False if the SDK asked to check the record without storing it ($debug 1)."""
    losses: list[Loss] = field(default_factory=list)
    """Properties of the record that were left out."""


def property_name(raw: object) -> str:
    """Return the name as it is stored, lower-cased; raise Unfit if it cannot be one.

    Letters of any script may be used, because spreadsheets have Chinese headers; `operation` is stricter.
    """
    if not isinstance(raw, str):
        raise Unfit(Reason.BAD_NAME, name=str(raw)[:40])
    name = raw.lower()
    if len(name) > MAX_NAME or _NAME.fullmatch(name) is None:
        raise Unfit(Reason.BAD_NAME, name=raw[:40])
    return name


def user_id(raw: object) -> str:
    """Return a user id of 1 to 254 characters without surrounding spaces and invisible characters; raise Unfit."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        raw = str(raw)
    if not isinstance(raw, str):
        raise Unfit(Reason.BAD_ID)
    identifier = visible(raw)
    if not identifier or len(identifier) > MAX_ID:
        raise Unfit(Reason.BAD_ID, limit=MAX_ID)
    _storable(identifier, "xwho")
    return identifier


def moment(text: str) -> str | None:
    """Return "YYYY-MM-DDTHH:MM:SS" for a date, or a date with a time, as people and SDKs write it; None for other text.

    It is wall time as reported: no zone is read or added, fractions of a second are dropped.
    """
    match = _DATETIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    try:
        return dt.datetime(year, month, day, hour, minute, second).isoformat()  # noqa: DTZ001 wall time on purpose
    except ValueError:
        return None


def canonical(name: str, value: object, expected: Type | None) -> tuple[Type, Value]:
    """Return the type and the stored form of a reported value.

    `expected` is the property's type if it is known. Nothing is converted to fit: a value of another type raises
    Unfit, as Ark sends such records to its error queue. The one exception is the preset phone, which many report as a
    number.
    """
    of = value.__class__
    if of is str:
        return _text_or_moment(name, value, expected)  # type: ignore[arg-type]
    if of is bool:
        return _expect(name, Type.BOOL, expected), value  # type: ignore[return-value]
    if of is int or of is float:
        if name == PHONE and value == value // 1:  # type: ignore[operator]
            return Type.STRING, str(int(value))
        return _expect(name, Type.NUMBER, expected), number(name, value)  # type: ignore[arg-type]
    if of is list:
        return _expect(name, Type.LIST, expected), _items(name, value)  # type: ignore[arg-type]
    raise Unfit(Reason.BAD_VALUE, name=name)


def _text_or_moment(name: str, value: str, expected: Type | None) -> tuple[Type, Value]:
    if expected is not Type.STRING:
        when = moment(value)
        if when is not None and expected in (None, Type.DATETIME):
            return Type.DATETIME, when
    return _expect(name, Type.STRING, expected), _text(name, value)


def number(name: str, value: float) -> int | float:
    """Return the number within Ark's range, with at most three decimals, whole numbers as int."""
    if not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise Unfit(Reason.OUT_OF_RANGE, name=name)
    if isinstance(value, int):
        return value
    rounded = round(value, DECIMALS)
    return int(rounded) if rounded.is_integer() else rounded


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
        op.kept = context["$debug"] not in (1, "1")
    if kind is Kind.ALIAS:
        op.original_id = user_id(context.get("$original_id"))
        return op
    if context.get("$is_login", True) is not True:
        op.anonymous = str(context["$is_login"]).lower() in {"false", "0"}
    if kind is not Kind.DELETE:
        _read_operands(op, context, types)
    return op


def excerpt(value: object) -> str:
    """Return the beginning of a value, for display."""
    if isinstance(value, dict):
        return "{...}"
    return str(value[:MAX_ITEMS] if isinstance(value, list) else value)[:SHOWN]


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
            op.losses.append(_loss(unfit, name, value))
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
            op.losses.append(_loss(unfit, raw, value))
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


def _loss(unfit: Unfit, name: str, value: object) -> Loss:
    return Loss(unfit.reason, name[:40], excerpt(value), {**unfit.facts, "name": name[:40]})


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


def _expect(name: str, actual: Type, expected: Type | None) -> Type:
    if expected is not None and expected is not actual:
        raise Unfit(Reason.TYPE_CONFLICT, name=name, expected=expected.value, found=actual.value)
    return actual


def _items(name: str, value: Sequence[object]) -> list[str]:
    for item in value:
        if not isinstance(item, str):
            raise Unfit(Reason.BAD_VALUE, name=name)
        _text(name, item, MAX_ITEM)
    items: list[str] = list(dict.fromkeys(value))  # type: ignore[arg-type]
    if len(items) > MAX_ITEMS:
        raise Unfit(Reason.TOO_MANY_ITEMS, name=name, limit=MAX_ITEMS)
    return items


def _text(name: str, value: str, limit: int = MAX_TEXT) -> str:
    if len(value) > limit:
        raise Unfit(Reason.TOO_LONG, name=name, limit=limit)
    _storable(value, name)
    return value


def _storable(value: str, name: str) -> None:
    """Raise Unfit for a lone surrogate or U+0000, which neither database's JSON stores."""
    if "\x00" in value:
        raise Unfit(Reason.BAD_TEXT, name=name)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Unfit(Reason.BAD_TEXT, name=name) from None


def _is_time(raw: object) -> bool:
    """Return whether xwhen is readable or missing; profiles do not depend on it, so a missing one is not reported."""
    if raw is None or (isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) <= 16):
        return True
    return isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw < 10**16
