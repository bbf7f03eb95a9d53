"""What a contact may hold and what a reported record does to it: typed properties and the seven profile operations.

The limits and the semantics are those of the Ark documentation ("数据格式", "RESTful API"). Everything here is pure:
values in, canonical values out, or `Unfit` with a reason as a code.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from smsapp.domain.invisible import visible

MAX_ID = 254
MAX_NAME = 125
MAX_PROPERTIES = 300
MAX_CATALOGUE = 1000
"""Different properties of all contacts together: pages offer them all."""
MAX_STRING_BYTES = 1024
MAX_ITEMS = 100
MAX_ITEM_BYTES = 255
MAX_NUMBER = 9e14
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
"""What SDKs say about themselves in every record; not properties of the person."""

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


PRESETS: Mapping[str, Type] = {PHONE: Type.STRING, "$email": Type.STRING}
"""Properties whose type is agreed before any value was seen."""


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
    """A public key cannot do this to what is there; the record's other properties were kept."""
    PROPOSALS_FULL = "proposals_full"
    """So many proposals of this key wait for a decision that no more are taken."""
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
class Operation:
    """One profile operation on one person, its values canonical and typed."""

    kind: Kind
    xwho: str
    values: Properties = field(default_factory=dict)
    types: Mapping[str, Type] = field(default_factory=dict)
    """The type of each value; for UNSET and DELETE empty."""
    original_id: str = ""
    """ALIAS only: the anonymous id."""
    anonymous: bool = False
    """The SDK says that the person had not signed in ($is_login false): xwho is an id of the browser or the device."""
    kept: bool = True
    """False if the SDK asked to check the record without storing it ($debug 1)."""


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
    found = visible(raw)
    if not found or len(found) > MAX_ID:
        raise Unfit(Reason.BAD_ID, limit=MAX_ID)
    _storable(found, "xwho")
    return found


def moment(text: str) -> str | None:
    """Return "YYYY-MM-DDTHH:MM:SS" for a date or a date with a time as people and SDKs write it; None if it is neither.

    It is wall time as reported: no zone is read or added, fractions of a second are dropped.
    """
    found = _DATETIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
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
    if name == PHONE and _is_whole(value):
        value = str(int(value))  # type: ignore[call-overload]
    if isinstance(value, str):
        when = None if expected is Type.STRING else moment(value)
        if when is not None and expected in (None, Type.DATETIME):
            return Type.DATETIME, when
        return _expect(name, Type.STRING, expected), _text(name, value)
    if isinstance(value, bool):
        return _expect(name, Type.BOOL, expected), value
    if isinstance(value, int | float):
        return _expect(name, Type.NUMBER, expected), number(name, value)
    if isinstance(value, list):
        return _expect(name, Type.LIST, expected), _items(name, value)
    raise Unfit(Reason.BAD_VALUE, name=name)


def number(name: str, value: float) -> int | float:
    """Return the number within Ark's range, with at most three decimals, whole numbers as int."""
    if not -MAX_NUMBER <= value <= MAX_NUMBER:
        raise Unfit(Reason.OUT_OF_RANGE, name=name)
    if isinstance(value, int):
        return value
    rounded = round(value, DECIMALS)
    return int(rounded) if rounded.is_integer() else rounded


def operation(record: object, types: Mapping[str, Type]) -> Operation | None:
    """Return what a reported record asks for; None if it is an event that is no profile operation.

    `types` are the known types of properties. Raises Unfit.
    """
    if not isinstance(record, dict):
        raise Unfit(Reason.NO_OBJECT)
    what = record.get("xwhat")
    if not isinstance(what, str) or not what or len(what) > 99:
        raise Unfit(Reason.BAD_EVENT)
    kind = KINDS.get(what)
    if kind is None:
        return None
    xwho = user_id(record.get("xwho"))
    _check_time(record.get("xwhen"))
    context = record.get("xcontext")
    if context is None:
        context = {}
    if not isinstance(context, dict):
        raise Unfit(Reason.BAD_RECORD)
    if len(context) > MAX_PROPERTIES:
        raise Unfit(Reason.TOO_MANY_PROPERTIES, limit=MAX_PROPERTIES)
    kept = str(context.get("$debug", 0)) != "1"
    if kind is Kind.ALIAS:
        return Operation(kind, xwho, original_id=user_id(context.get("$original_id")), kept=kept)
    anonymous = str(context.get("$is_login", True)).lower() in {"false", "0"}
    if kind is Kind.DELETE:
        return Operation(kind, xwho, anonymous=anonymous, kept=kept)
    values, found = _operands(kind, context, types)
    return Operation(kind, xwho, values, found, anonymous=anonymous, kept=kept)


def without(asked: Operation, names: Collection[str]) -> Operation:
    """Return the operation without these properties."""
    return replace(
        asked,
        values={name: value for name, value in asked.values.items() if name not in names},
        types={name: kind for name, kind in asked.types.items() if name not in names},
    )


def applied(properties: Mapping[str, Any], asked: Operation) -> Properties:
    """Return the properties after the operation; the given ones are not changed. Raises Unfit if a limit is passed.

    ALIAS changes nothing here: who a person is lives outside of the properties (see `merged`).
    """
    return _EFFECTS[asked.kind](properties, asked.values)


def merged(registered: Mapping[str, Any], anonymous: Mapping[str, Any]) -> Properties:
    """Return one profile for a person known under two ids: what was said of the registered id wins."""
    return {**anonymous, **registered}


_EFFECTS: Mapping[Kind, Callable[[Mapping[str, Any], Properties], Properties]] = {
    Kind.SET: lambda old, new: {**old, **new},
    Kind.SET_ONCE: lambda old, new: {**new, **old},
    Kind.INCREMENT: lambda old, new: {**old, **{name: _sum(name, old.get(name, 0), new[name]) for name in new}},
    Kind.APPEND: lambda old, new: {**old, **{name: _union(name, old.get(name, []), new[name]) for name in new}},
    Kind.UNSET: lambda old, new: {name: value for name, value in old.items() if name not in new},
    Kind.DELETE: lambda old, new: {},
    Kind.ALIAS: lambda old, new: dict(old),
}


def _operands(
    kind: Kind, context: Mapping[object, object], types: Mapping[str, Type]
) -> tuple[Properties, dict[str, Type]]:
    values: Properties = {}
    found: dict[str, Type] = {}
    for raw, value in context.items():
        name = property_name(raw)
        if not name.isascii():
            raise Unfit(Reason.BAD_NAME, name=name[:40])
        if name in LIBRARY_FIELDS:
            continue
        if kind is Kind.UNSET:
            values[name] = ""
        elif value is not None:
            found[name], values[name] = _operand(kind, name, value, types.get(name))
    return values, found


def _operand(kind: Kind, name: str, value: object, expected: Type | None) -> tuple[Type, Value]:
    if kind is Kind.INCREMENT and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise Unfit(Reason.BAD_VALUE, name=name)
    if kind is Kind.APPEND and isinstance(value, str):
        value = [value]
    if kind is Kind.APPEND and not isinstance(value, list):
        raise Unfit(Reason.BAD_VALUE, name=name)
    return canonical(name, value, expected)


def _sum(name: str, old: Any, add: Any) -> int | float:
    if isinstance(old, bool) or not isinstance(old, int | float):
        raise Unfit(Reason.TYPE_CONFLICT, name=name, expected=Type.NUMBER.value, found=type(old).__name__)
    return number(name, old + add)


def _union(name: str, old: Any, add: Any) -> list[str]:
    if not isinstance(old, list):
        raise Unfit(Reason.TYPE_CONFLICT, name=name, expected=Type.LIST.value, found=type(old).__name__)
    items = list(dict.fromkeys([*old, *add]))
    if len(items) > MAX_ITEMS:
        raise Unfit(Reason.TOO_MANY_ITEMS, name=name, limit=MAX_ITEMS)
    return items


def _expect(name: str, found: Type, expected: Type | None) -> Type:
    if expected is not None and expected is not found:
        raise Unfit(Reason.TYPE_CONFLICT, name=name, expected=expected.value, found=found.value)
    return found


def _is_whole(value: object) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


def _items(name: str, value: Sequence[object]) -> list[str]:
    for item in value:
        if not isinstance(item, str):
            raise Unfit(Reason.BAD_VALUE, name=name)
        _text(name, item, MAX_ITEM_BYTES)
    items: list[str] = list(dict.fromkeys(value))  # type: ignore[arg-type]
    if len(items) > MAX_ITEMS:
        raise Unfit(Reason.TOO_MANY_ITEMS, name=name, limit=MAX_ITEMS)
    return items


def _text(name: str, value: str, limit: int = MAX_STRING_BYTES) -> str:
    size = _storable(value, name)
    if size > limit:
        raise Unfit(Reason.TOO_LONG, name=name, limit=limit)
    return value


def _storable(value: str, name: str) -> int:
    """Return the size in UTF-8; half a surrogate pair and U+0000 can be stored by neither database's JSON."""
    if "\x00" in value:
        raise Unfit(Reason.BAD_TEXT, name=name)
    if value.isascii():
        return len(value)
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        raise Unfit(Reason.BAD_TEXT, name=name) from None


def _check_time(raw: object) -> None:
    """Refuse an unreadable xwhen. Profiles do not depend on it, so a missing one is no reason to lose a record."""
    if raw is None or (isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) <= 16):
        return
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw < 10**16:
        raise Unfit(Reason.BAD_TIME)
