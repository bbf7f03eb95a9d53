"""A segment's rule as read from stored JSON, or from what a person typed into a form."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Sequence
from typing import Any

from smsapp.domain import ledger_condition
from smsapp.domain.contact import MAX_NUMBER, Type
from smsapp.domain.errors import Problem, Refusal
from smsapp.domain.ledger_condition import LedgerCondition, LedgerOperator
from smsapp.domain.segment import (
    EVERYONE,
    MAX_COUNT,
    MAX_DEPTH,
    MAX_TEXT,
    MAX_TEXTS,
    OPERATORS,
    Condition,
    Group,
    Match,
    Operator,
    Param,
    Unit,
    Value,
)


def from_json(raw: Any, place: str = "rule") -> Group:
    """Return the rule stored as JSON; raise Refusal with all problems, each with the path of its group or condition as
    place ("rule.0.2" is the third child of the first child)."""
    problems: list[Problem] = []
    rule = _read_group(raw, place, problems)
    if problems:
        raise Refusal(*problems)
    return rule


def _read_group(raw: Any, place: str, problems: list[Problem], depth: int = 1) -> Group:
    if not isinstance(raw, dict) or not isinstance(raw.get("children", []), list):
        problems.append(Problem("segment_rule_unreadable", place))
        return EVERYONE
    try:
        match = Match(raw.get("match", Match.ALL))
    except ValueError:
        problems.append(Problem("segment_rule_unreadable", place))
        return EVERYONE
    if depth > MAX_DEPTH:
        # Stop here: deep nesting must not end in a RecursionError.
        problems.append(Problem("segment_too_deep", place, {"limit": MAX_DEPTH}))
        return EVERYONE
    children: list[Condition | LedgerCondition | Group] = []
    for number, child in enumerate(raw.get("children", [])):
        here = f"{place}.{number}"
        if isinstance(child, dict) and "property" in child:
            condition = _read_stored(child, here, problems)
            if condition:
                children.append(condition)
        elif isinstance(child, dict) and "ledger" in child:
            about_ledger = _read_ledger(child, here, problems)
            if about_ledger:
                children.append(about_ledger)
        else:
            children.append(_read_group(child, here, problems, depth + 1))
    return Group(match, tuple(children))


def _read_ledger(raw: dict[str, Any], place: str, problems: list[Problem]) -> LedgerCondition | None:
    params = raw.get("params", [])
    if raw["ledger"] not in list(LedgerOperator) or not isinstance(params, list):
        problems.append(Problem("segment_rule_unreadable", place))
        return None
    return ledger_condition.read(LedgerOperator(raw["ledger"]), params, place, problems)


def _read_stored(raw: dict[str, Any], place: str, problems: list[Problem]) -> Condition | None:
    try:
        kind = Type(raw["type"])
        operator = Operator(raw["operator"])
        params = raw.get("params", [])
        expected = OPERATORS[kind][operator]
        if not isinstance(raw["property"], str) or not isinstance(params, list) or len(params) != len(expected):
            raise ValueError
    except (KeyError, ValueError):
        problems.append(Problem("segment_rule_unreadable", place))
        return None
    return read_condition(raw["property"], kind, operator, params, place, problems)


def read_condition(
    name: str, kind: Type, operator: Operator, raw: Sequence[Any], place: str, problems: list[Problem]
) -> Condition | None:
    """Return the condition with the parameters `raw` (as typed in a form, or as stored in JSON); None if they are
    invalid, with the reasons added to `problems`. The operator must be one of the type's."""
    count_before = len(problems)
    params = [
        _read_param(param, raw[number] if number < len(raw) else "", place, problems)
        for number, param in enumerate(OPERATORS[kind][operator])
    ]
    if len(problems) == count_before:
        _check_params(operator, params, place, problems)
    if len(problems) > count_before:
        return None
    return Condition(name, kind, operator, tuple(params))


def _read_param(param: Param, raw: Any, place: str, problems: list[Problem]) -> Value:
    try:
        return READERS[param](raw)
    except ValueError as error:
        problems.append(Problem(str(error), place, LIMITS.get(str(error), {})))
        return ""


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("segment_rule_unreadable")
    text = raw.strip()
    if not text:
        raise ValueError("segment_value_missing")
    if len(text) > MAX_TEXT:
        raise ValueError("segment_text_too_long")
    if "\0" in text:
        # PostgreSQL keeps no NUL in text.
        raise ValueError("segment_rule_unreadable")
    return text


def _texts(raw: Any) -> tuple[str, ...]:
    """Return the texts of a list, or of the lines typed in a form, in order and without duplicates."""
    lines = raw.splitlines() if isinstance(raw, str) else raw
    if not isinstance(lines, list):
        raise ValueError("segment_rule_unreadable")
    texts = tuple(dict.fromkeys(_text(line) for line in lines if not isinstance(line, str) or line.strip()))
    if not texts:
        raise ValueError("segment_value_missing")
    if len(texts) > MAX_TEXTS:
        raise ValueError("segment_too_many_values")
    return texts


def _number(raw: Any) -> int | float:
    if isinstance(raw, str):
        if not raw.strip():
            raise ValueError("segment_value_missing")
        try:
            raw = float(raw.strip().replace(",", "").replace("，", ""))
        except ValueError:
            raise ValueError("segment_number_unreadable") from None
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise ValueError("segment_rule_unreadable")
    # In this order: an int of any size can be compared, but isfinite would overflow.
    if abs(raw) > MAX_NUMBER or not math.isfinite(raw):
        raise ValueError("segment_number_unreadable")
    return int(raw) if raw == int(raw) else raw


def _date(raw: Any) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise ValueError("segment_value_missing")
    try:
        return dt.date.fromisoformat(raw.strip()).isoformat()
    except ValueError:
        raise ValueError("segment_date_unreadable") from None


def _count(raw: Any) -> int:
    number = _number(raw)
    if not isinstance(number, int) or number < 0:
        raise ValueError("segment_count_unreadable")
    return number


def _unit(raw: Any) -> str:
    try:
        return Unit(raw)
    except ValueError:
        raise ValueError("segment_rule_unreadable") from None


READERS: dict[Param, Callable[[Any], Value]] = {
    Param.TEXT: _text,
    Param.TEXTS: _texts,
    Param.NUMBER: _number,
    Param.DATE: _date,
    Param.COUNT: _count,
    Param.UNIT: _unit,
}
LIMITS: dict[str, dict[str, Any]] = {
    "segment_text_too_long": {"limit": MAX_TEXT},
    "segment_too_many_values": {"limit": MAX_TEXTS},
    "segment_count_unreadable": {"limit": MAX_COUNT[Unit.DAY]},
}


def _check_params(operator: Operator, params: Sequence[Any], place: str, problems: list[Problem]) -> None:
    if operator in (Operator.BETWEEN, Operator.DAYS, Operator.BETWEEN_AGO) and params[0] > params[1]:
        problems.append(Problem("segment_range_reversed", place))
    if params and isinstance(params[-1], Unit) and max(params[:-1]) > MAX_COUNT[params[-1]]:
        problems.append(Problem("segment_count_unreadable", place, {"limit": MAX_COUNT[params[-1]]}))
    if operator is Operator.ANNIVERSARY and params[0] > 365:
        problems.append(Problem("segment_count_unreadable", place, {"limit": 365}))
