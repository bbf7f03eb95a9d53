"""A contact's user id and typed properties: their names, types and canonical values.

The limits are those of the Ark SDKs. All functions are pure: values in, canonical values out, or `Unfit` with a reason
as a code.
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections.abc import Mapping, Sequence

from smsapp.domain.invisible import visible
from smsapp.domain.rejection import Reason, Unfit

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
DECIMALS = 3

PHONE = "$phone"

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
"""Properties whose type is fixed before any value was seen."""


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
