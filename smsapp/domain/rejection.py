"""Why a record, a row of a file or one property of it was not kept, as a code with facts."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SHOWN = 60
"""Characters shown of a value that could not be kept."""


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
    UNSIGNED = "unsigned"
    """The key takes signed uploads only."""
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

    # Rows of files from other systems (domain/other_systems.py)
    MERGED = "merged"
    """Another row of the same person came in."""
    OTHER_CHANNEL = "other_channel"
    INACTIVE = "inactive"
    UNCLEAR_OPT_OUT = "unclear_opt_out"
    UNCLEAR_NUMBER = "unclear_number"
    """Without its + the number is one of two different people."""
    BAD_ADDRESS = "bad_address"
    OPTED_OUT_UNREADABLE = "opted_out_unreadable"
    """The person opted out, and no number can be read, so the opt-out list cannot keep texts from them."""
    OPTED_OUT_UNCLEAR = "opted_out_unclear"
    """The person opted out, and the number is one of two: both refuse texts."""
    BROKEN_LINE = "broken_line"
    LONG_LINE = "long_line"
    MISFIT = "misfit"
    """The row has wrong quotation marks, or more cells than there are headings."""
    DISABLED = "disabled"
    BLOCKED_WITHOUT_NUMBER = "blocked_without_number"
    UNKNOWN_STATUS = "unknown_status"
    BROKEN_ATTRIBUTES = "broken_attributes"


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


def excerpt(value: object) -> str:
    """Return the beginning of a value, for display."""
    if isinstance(value, dict):
        return "{...}"
    return str(value[:SHOWN] if isinstance(value, list) else value)[:SHOWN]


def loss_of(unfit: Unfit, name: str, value: object) -> Loss:
    """Return the loss of a property with this value, for which `unfit` was raised."""
    return Loss(unfit.reason, name[:40], excerpt(value), {**unfit.facts, "name": name[:40]})
