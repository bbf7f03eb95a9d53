"""Formats a property's value for a text: dates as people write them, words for yes and no, joined lists.

`store/contacts/values.py` does the same in SQL, because one statement makes all values of a run; a test compares the
two.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from smsapp.domain.contact import Type


class Form(enum.StrEnum):
    """The format of values of one type; each example is the same moment, 2026-03-01 09:30."""

    DATE_AND_TIME = "date_and_time"
    """2026-03-01 09:30; the date alone where the value has no time."""
    DATE = "date"
    """2026-03-01"""
    TIME = "time"
    """09:30"""
    DATE_ZH = "date_zh"
    """2026年3月1日"""
    DAY_ZH = "day_zh"
    """3月1日"""
    DAY_AND_TIME_ZH = "day_and_time_zh"
    """3月1日09:30; the day alone where the value has no time."""
    DATE_EN = "date_en"
    """Mar 1, 2026"""
    DAY_EN = "day_en"
    """Mar 1"""
    YES_NO_ZH = "yes_no_zh"
    HAS_ZH = "has_zh"
    YES_NO_EN = "yes_no_en"
    COMMAS_ZH = "commas_zh"
    COMMAS_EN = "commas_en"


DATES = (
    Form.DATE_AND_TIME,
    Form.DATE,
    Form.TIME,
    Form.DATE_ZH,
    Form.DAY_ZH,
    Form.DAY_AND_TIME_ZH,
    Form.DATE_EN,
    Form.DAY_EN,
)
WORDS: Mapping[Form, tuple[str, str]] = {
    # form: (yes, no)
    Form.YES_NO_ZH: ("是", "否"),
    Form.HAS_ZH: ("有", "无"),
    Form.YES_NO_EN: ("yes", "no"),
}
SEPARATORS: Mapping[Form, str] = {Form.COMMAS_ZH: "、", Form.COMMAS_EN: ", "}
FORMS: Mapping[Type, tuple[Form, ...]] = {
    Type.DATETIME: DATES,
    Type.BOOL: tuple(WORDS),
    Type.LIST: tuple(SEPARATORS),
}
"""The forms a person can choose for a type; text and numbers have one form only."""

MONTHS = "01Jan02Feb03Mar04Apr05May06Jun07Jul08Aug09Sep10Oct11Nov12Dec"
MIDNIGHT = "T00:00:00"
LENGTH = len("2026-03-01T09:30:00")
_CHINESE = re.compile(r"[\u3400-\u9fff]")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)


def form_of(source: Mapping[str, Any], kind: Type, text: str) -> Form | None:
    """Return the form of a mapped property: the one chosen in the mapping, or by the language of the template's `text`.

    None for types that have one form only.
    """
    forms = FORMS.get(kind, ())
    if source.get("form") in forms:
        return Form(source["form"])
    if kind is Type.DATETIME:
        return Form.DATE_AND_TIME
    chinese = _CHINESE.search(text) is not None
    if kind is Type.BOOL:
        return Form.YES_NO_ZH if chinese else Form.YES_NO_EN
    if kind is Type.LIST:
        return Form.COMMAS_ZH if chinese else Form.COMMAS_EN
    return None


def written(value: Any, form: Form | None) -> str:
    """Return the value as text in this form; "" for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return WORDS.get(form or Form.YES_NO_EN, WORDS[Form.YES_NO_EN])[not value]
    if isinstance(value, int | float):
        plain = f"{Decimal(repr(value)):f}"
        return plain.rstrip("0").rstrip(".") if "." in plain else plain
    if isinstance(value, list):
        return SEPARATORS.get(form or Form.COMMAS_EN, SEPARATORS[Form.COMMAS_EN]).join(value)
    if form in DATES and _MOMENT.fullmatch(value):
        return _moment(value, form)
    return str(value)


def _moment(value: str, form: Form | None) -> str:
    date, time = value[:10], value[11:16]
    year, month, day = value[:4], value[5:7].lstrip("0"), value[8:10].lstrip("0")
    name = MONTHS[MONTHS.index(value[5:7]) + 2 :][:3]
    timed = not value.endswith(MIDNIGHT)
    return {
        Form.DATE_AND_TIME: f"{date} {time}" if timed else date,
        Form.DATE: date,
        Form.TIME: time,
        Form.DATE_ZH: f"{year}年{month}月{day}日",
        Form.DAY_ZH: f"{month}月{day}日",
        Form.DAY_AND_TIME_ZH: f"{month}月{day}日{time if timed else ''}",
        Form.DATE_EN: f"{name} {day}, {year}",
        Form.DAY_EN: f"{name} {day}",
    }[form or Form.DATE_AND_TIME]
