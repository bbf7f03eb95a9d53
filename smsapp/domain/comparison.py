"""What a run came to, beside what its rehearsal said: each number then and now, and why they differ."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.cost import Cost, cost_of
from smsapp.domain.funnel import Funnel
from smsapp.domain.rehearsal import Rehearsal

SAME_MOMENT = dt.timedelta(minutes=1)
"""Moments that are no further apart count as the same."""


class Figure(enum.StrEnum):
    """What is compared."""

    TARGET = "target_users"
    LEFT_OUT = "left_out_for"
    PLANNED = "planned_messages"
    PARTS = "billed_parts"
    COST = "total_cost"
    END = "end_of_run"


class Why(enum.StrEnum):
    """Why a number differs."""

    MORE_MEMBERS = "more_members"
    FEWER_MEMBERS = "fewer_members"
    MORE_LEFT_OUT = "more_left_out"
    FEWER_LEFT_OUT = "fewer_left_out"
    MORE_MESSAGES = "more_messages"
    FEWER_MESSAGES = "fewer_messages"
    NOT_ACCEPTED = "not_accepted"
    OTHER_VALUES = "other_values"
    OTHER_PRICE = "other_price"
    BEGAN_LATER = "began_later"
    BEGAN_EARLIER = "began_earlier"
    TOOK_LONGER = "took_longer"
    WAS_QUICKER = "was_quicker"


@dataclass(frozen=True)
class Cause:
    """One reason for a difference: a number of people or messages, or a length of time."""

    why: Why
    n: int = 0
    reason: str = ""
    """The exclusion reason of people who were left out."""
    time: dt.timedelta | None = None


@dataclass(frozen=True)
class Compared:
    """One number as it was rehearsed and as it is; `reason` belongs to LEFT_OUT."""

    figure: Figure
    before: Any
    """A number, a Cost, or a moment."""
    now: Any
    """The same; None while it is not known."""
    causes: tuple[Cause, ...] = field(default=())
    reason: str = ""

    @property
    def is_number(self) -> bool:
        return self.figure not in (Figure.COST, Figure.END)

    @property
    def is_cost(self) -> bool:
        return self.figure is Figure.COST


def compare(
    rehearsal: Rehearsal, funnel: Funnel, cost: Cost, started_at: dt.datetime | None, finished_at: dt.datetime | None
) -> list[Compared]:
    """Return the numbers of a run beside those of its rehearsal. Parts and cost are of accepted messages."""
    left_out = _left_out(rehearsal.left_out, funnel.excluded)
    lines = [
        Compared(Figure.TARGET, rehearsal.target, funnel.target, _members(funnel.target - rehearsal.target)),
        *left_out,
        Compared(
            Figure.PLANNED,
            rehearsal.planned,
            funnel.planned,
            (
                *_members(funnel.target - rehearsal.target),
                *(cause for line in left_out for cause in line.causes),
            ),
        ),
    ]
    is_over = finished_at is not None
    unsent = funnel.planned - funnel.accepted
    parts_causes = _messages(funnel.planned - rehearsal.planned)
    if is_over and unsent:
        parts_causes += (Cause(Why.NOT_ACCEPTED, unsent),)
    if is_over and funnel.parts != rehearsal.parts and not parts_causes:
        parts_causes = (Cause(Why.OTHER_VALUES),)
    if not is_over or funnel.parts == rehearsal.parts:
        parts_causes = ()
    lines.append(Compared(Figure.PARTS, rehearsal.parts, funnel.parts if is_over else None, parts_causes))
    if rehearsal.price is not None or cost.amount is not None:
        cost_causes = parts_causes
        if is_over and cost != cost_of(funnel.parts, rehearsal.price, rehearsal.currency):
            cost_causes += (Cause(Why.OTHER_PRICE),)
        lines.append(Compared(Figure.COST, rehearsal.cost, cost if is_over else None, cost_causes))
    if rehearsal.ends is not None:
        lines.append(Compared(Figure.END, rehearsal.ends, finished_at, _times(rehearsal, started_at, finished_at)))
    return lines


def _left_out(before: Mapping[str, int], now: Mapping[str, int]) -> list[Compared]:
    lines = []
    for reason in ExclusionReason:
        then, since = before.get(reason, 0), now.get(reason, 0)
        why = Why.MORE_LEFT_OUT if since > then else Why.FEWER_LEFT_OUT
        causes = (Cause(why, abs(since - then), reason),) if since != then else ()
        if then or since:
            lines.append(Compared(Figure.LEFT_OUT, then, since, causes, reason))
    return lines


def _members(more: int) -> tuple[Cause, ...]:
    return (Cause(Why.MORE_MEMBERS if more > 0 else Why.FEWER_MEMBERS, abs(more)),) if more else ()


def _messages(more: int) -> tuple[Cause, ...]:
    return (Cause(Why.MORE_MESSAGES if more > 0 else Why.FEWER_MESSAGES, abs(more)),) if more else ()


def _times(rehearsal: Rehearsal, started_at: dt.datetime | None, finished_at: dt.datetime | None) -> tuple[Cause, ...]:
    """Return why a run ended at another time than its rehearsal said: it began, or took, longer or shorter."""
    if rehearsal.begins is None or rehearsal.ends is None or started_at is None or finished_at is None:
        return ()
    began = started_at - rehearsal.begins
    took = (finished_at - started_at) - (rehearsal.ends - rehearsal.begins)
    causes = []
    if abs(began) > SAME_MOMENT:
        causes.append(Cause(Why.BEGAN_LATER if began > dt.timedelta() else Why.BEGAN_EARLIER, time=abs(began)))
    if abs(took) > SAME_MOMENT:
        causes.append(Cause(Why.TOOK_LONGER if took > dt.timedelta() else Why.WAS_QUICKER, time=abs(took)))
    return tuple(causes)
