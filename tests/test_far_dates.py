"""Dates and numbers at the end of what can be written: every door answers with a sentence or a page."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.domain import schedule as schedules
from smsapp.domain import segment as rules
from smsapp.domain import segment_reader
from smsapp.domain.contact import Type
from smsapp.domain.errors import Problem
from smsapp.domain.schedule import Kind, Schedule
from smsapp.domain.segment import Group, Match, Param, Unit
from smsapp.services.contacts import segments
from tests import builders
from tests.pages import Pages

FIRST, LAST = "0001-01-01", "9999-12-31"
FAR = (FIRST, "0001-01-02", "9999-12-30", LAST, "10000-01-01", "-0001-01-01", "0000-00-00", "9" * 40)
ZONES = ("UTC", "Asia/Shanghai", "America/Los_Angeles", "Pacific/Kiritimati")
HUGE = ("2147483648", "9223372036854775808", "9" * 40, "-1")
NOW = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)


def test_the_lists_filter_takes_any_date(client: Pages) -> None:
    builders.campaign(name="在")
    viewer = client.as_("viewer", "en")

    for far in FAR:
        query: dict[str, Any] = {"from": far, "to": far}
        viewer.get("/campaigns/", **query)


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.NOW])
def test_a_schedule_at_the_end_of_time_has_a_problem_or_a_next_moment(kind: Kind, zone: str) -> None:
    for far in (FIRST, "0001-01-02", "9999-12-30", LAST):
        day = dt.date.fromisoformat(far)
        for end in (None, day):
            schedule = Schedule(kind, zone, dt.time(0, 0), day, end, weekdays=(1,), monthdays=(1, 31))
            assert schedules.problems(schedule, NOW) or schedules.next_due(schedule, NOW)
            list(schedules.next_fires(schedule, NOW, 3))


@pytest.mark.parametrize("far", FAR)
def test_the_form_of_a_campaign_says_what_is_wrong_with_a_date(client: Pages, far: str) -> None:
    olga = client.as_("operator", "en")
    fields = {"name": "远", "time": "00:00", "zone": "Asia/Shanghai", "start": far, "end": far, "do": "review"}
    for kind in ("once", "recurring"):
        answer = olga.raw.post("/campaigns/new", data=fields | {"kind": kind, "csrf_token": olga.token()})
        assert answer.status_code < 500


def test_a_condition_on_a_date_at_the_end_of_time_has_a_problem_or_a_count(app: Flask) -> None:
    # Given people whose date lies there
    builders.known_property("joined", Type.DATETIME)
    for n, day in enumerate((FIRST, LAST)):
        builders.contact(f"u{n}", builders.phone(n), properties={"joined": f"{day}T23:59:59"})
    for operator, params in rules.OPERATORS[Type.DATETIME].items():
        for far in (*FAR, *HUGE, "36500"):
            texts = [Unit.DAY if param is Param.UNIT else far for param in params]
            problems: list[Problem] = []
            condition = segment_reader.read_condition("joined", Type.DATETIME, operator, texts, "rule.0", problems)
            if condition is None:
                assert problems
            else:
                assert 0 <= segments.count(Group(Match.ALL, (condition,)), NOW) <= 2


@pytest.mark.parametrize("kind", ["daily", "once", "weekly --days 1", "monthly --days 31,last"])
def test_a_previewed_schedule_may_lie_anywhere(runner: FlaskCliRunner, kind: str) -> None:
    for option in (["--start", FIRST], ["--start", LAST], ["--end", LAST], ["--end", FIRST]):
        for zone in ZONES:
            args = ["schedule", "preview", "--kind", *kind.split(), "--time", "00:00", "--zone", zone, *option]
            done = runner.invoke(args=args)
            assert done.exception is None or isinstance(done.exception, SystemExit), (args, done.exception)


@pytest.mark.parametrize(
    "command",
    [
        "campaigns show", "campaigns stop", "campaigns pause", "campaigns resume", "campaigns end --yes",
        "campaigns accept --yes", "campaigns unconfirmed --campaign", "campaigns due --hours", "campaigns list --limit",
        "retention --months", "schedule preview", "schedule preview -n", "reports show", "reports verify",
        "optouts dismiss",
    ],
)  # fmt: skip
def test_a_number_too_large_for_an_id_is_an_error_in_words(runner: FlaskCliRunner, command: str) -> None:
    for huge in HUGE[:3]:
        done = runner.invoke(args=[*command.split(), huge])
        assert isinstance(done.exception, SystemExit), (command, done.exception)
        assert done.output.strip()
