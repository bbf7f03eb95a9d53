"""A run beside its rehearsal: what differs has a reason, and the reasons add up."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from smsapp.domain.comparison import Cause, Compared, Figure, Why, compare
from smsapp.domain.cost import Cost
from smsapp.domain.funnel import Funnel
from smsapp.domain.message import Status
from smsapp.domain.rehearsal import Rehearsal

AT = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def rehearsal(**given: Any) -> Rehearsal:
    values: dict[str, Any] = {
        "at": AT, "target": 100, "planned": 90, "left_out": {"no_number": 10}, "spread": {1: 90}, "pushed": 0,
        "pushed_by": {}, "longest": 20, "price": Decimal("0.1"), "currency": "CNY", "begins": AT, "ends": AT + HOUR,
        "ahead": 0, "late": 0,
    }  # fmt: skip
    return Rehearsal(**(values | given))


def funnel(planned: int = 90, parts: int = 90, refused: int = 0, **excluded: int) -> Funnel:
    messages = {Status.DELIVERED: planned - refused, Status.REFUSED: refused}
    target = planned + sum(excluded.values())
    return Funnel(target, planned, excluded, messages, parts)


def by_figure(lines: list[Compared]) -> dict[tuple[Figure, str], Compared]:
    return {(line.figure, line.reason): line for line in lines}


def price(parts: int) -> Cost:
    return Cost(parts, Decimal("0.1") * parts, "CNY")


def test_what_came_as_rehearsed_has_no_causes() -> None:
    lines = compare(rehearsal(), funnel(no_number=10), price(90), AT, AT + HOUR)

    assert [line for line in lines if line.causes or line.before != line.now] == []
    assert [line.figure for line in lines] == [
        Figure.TARGET, Figure.LEFT_OUT, Figure.PLANNED, Figure.PARTS, Figure.COST, Figure.END,
    ]  # fmt: skip


def test_people_who_opted_out_since_are_why_fewer_were_planned() -> None:
    lines = by_figure(compare(rehearsal(), funnel(78, 78, no_number=10, opted_out=12), price(78), AT, AT + HOUR))

    planned = lines[Figure.PLANNED, ""]
    assert (planned.before, planned.now) == (90, 78)
    assert planned.causes == (Cause(Why.MORE_LEFT_OUT, 12, "opted_out"),)
    assert lines[Figure.LEFT_OUT, "opted_out"].before == 0
    assert lines[Figure.PARTS, ""].causes == (Cause(Why.FEWER_MESSAGES, 12),)


def test_the_causes_of_the_planned_ones_add_up() -> None:
    lines = by_figure(compare(rehearsal(), funnel(95, 95, no_number=7, opted_out=4), price(95), AT, AT + HOUR))

    more = {Why.MORE_MEMBERS: 1, Why.FEWER_LEFT_OUT: 1, Why.FEWER_MEMBERS: -1, Why.MORE_LEFT_OUT: -1}
    planned = lines[Figure.PLANNED, ""]
    assert sum(more[cause.why] * cause.n for cause in planned.causes) == planned.now - planned.before == 5


def test_parts_differ_by_what_was_not_accepted_or_by_values() -> None:
    refused = by_figure(compare(rehearsal(), funnel(90, 80, refused=10, no_number=10), price(80), AT, AT + HOUR))
    longer = by_figure(compare(rehearsal(), funnel(90, 95, no_number=10), price(95), AT, AT + HOUR))

    assert refused[Figure.PARTS, ""].causes == (Cause(Why.NOT_ACCEPTED, 10),)
    assert longer[Figure.PARTS, ""].causes == (Cause(Why.OTHER_VALUES),)


def test_another_price_is_named() -> None:
    dearer = by_figure(compare(rehearsal(), funnel(no_number=10), Cost(90, Decimal(18), "CNY"), AT, AT + HOUR))
    assert dearer[Figure.COST, ""].causes == (Cause(Why.OTHER_PRICE),)


def test_a_late_end_is_a_late_beginning_or_a_slow_run() -> None:
    lines = by_figure(compare(rehearsal(), funnel(no_number=10), price(90), AT + HOUR, AT + 4 * HOUR))
    assert lines[Figure.END, ""].causes == (
        Cause(Why.BEGAN_LATER, time=HOUR),
        Cause(Why.TOOK_LONGER, time=2 * HOUR),
    )


def test_while_it_goes_on_parts_and_end_are_not_known() -> None:
    lines = by_figure(compare(rehearsal(), funnel(90, 3, no_number=10), price(3), AT, None))
    assert [lines[figure, ""].now for figure in (Figure.PARTS, Figure.COST, Figure.END)] == [None, None, None]
    assert lines[Figure.PARTS, ""].causes == ()
