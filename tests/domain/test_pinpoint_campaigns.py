"""Campaigns of Amazon Pinpoint as plans: every schedule its API names, and what has no equal here."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from smsapp.domain import pinpoint_campaigns
from smsapp.domain.errors import Refusal
from smsapp.domain.pinpoint_campaigns import CampaignPlan, LeftOut
from smsapp.domain.schedule import LAST_DAY, Kind


def plan(body: str = "Hi", **fields: Any) -> CampaignPlan:
    sms = {"SMSMessage": {"Body": body, "MessageType": "TRANSACTIONAL"}}
    read = pinpoint_campaigns.read({"CampaignResponse": {"Name": "N", "MessageConfiguration": sms} | fields}, "UTC")
    assert isinstance(read[0], CampaignPlan)
    return read[0]


def codes(read: CampaignPlan) -> list[str]:
    return [problem.code for problem in read.choices]


@pytest.mark.parametrize(
    ("schedule", "kind", "zone", "time", "days"),
    [
        ({"StartTime": "IMMEDIATE", "Timezone": "utc"}, Kind.NOW, "UTC", None, ()),
        ({"StartTime": "2026-05-01T10:30:00Z"}, Kind.ONCE, "UTC", dt.time(10, 30), ()),
        (
            {"StartTime": "2026-05-01T10:30:00", "Timezone": "UTC-05", "Frequency": "DAILY"},
            *(Kind.DAILY, "Etc/GMT+5", dt.time(10, 30), ()),
        ),
        (
            {"StartTime": "2026-05-31T10:30:00Z", "Timezone": "UTC", "Frequency": "MONTHLY"},
            *(Kind.MONTHLY, "UTC", dt.time(10, 30), (LAST_DAY,)),
        ),
    ],
)
def test_a_schedule_that_exists_here_is_taken(
    schedule: dict[str, Any], kind: Kind, zone: str, time: dt.time | None, days: tuple[int, ...]
) -> None:
    read = plan(Schedule=schedule)
    assert (read.schedule.kind, read.schedule.zone, read.schedule.time) == (kind, zone, time)
    assert (read.schedule.monthdays, codes(read)) == (days, [])


@pytest.mark.parametrize(
    ("schedule", "code"),
    [
        ({"StartTime": "2026-05-01T10:30:00Z", "Frequency": "HOURLY"}, "pinpoint_frequency"),
        ({"StartTime": "2026-05-01T10:30:00Z", "Frequency": "IN_APP_EVENT"}, "pinpoint_event"),
        ({"StartTime": "soon", "Frequency": "ONCE"}, "pinpoint_start_time"),
        ({"StartTime": "2026-05-01T10:30:00", "Timezone": "Mars"}, "pinpoint_zone"),
        ({"StartTime": "2026-05-01T10:30:00", "Timezone": "UTC+05:30", "Frequency": "DAILY"}, "pinpoint_zone"),
        ({"StartTime": "IMMEDIATE", "IsLocalTime": True}, "pinpoint_local_time"),
    ],
)
def test_a_schedule_without_an_equal_is_a_choice_for_a_person(schedule: dict[str, Any], code: str) -> None:
    assert codes(plan(Schedule=schedule)) == [code]


def test_variables_become_ours_and_helpers_are_named() -> None:
    read = plan("{{User.UserAttributes.First-Name}} {{Attributes.Ride}} {{#if Attributes.x}}a{{/if}} {{Location.City}}")
    assert read.text.endswith("${City}")
    assert read.variables == {"Ride": "Ride", "City": "City"}
    assert codes(read) == ["pinpoint_helpers"]


def test_what_sends_no_sms_is_left_out_and_a_file_without_campaigns_refused() -> None:
    document = {"Item": [{"Name": "Push", "MessageConfiguration": {"GCMMessage": {"Body": "x"}}}]}
    (left,) = pinpoint_campaigns.read(document, "UTC")
    assert isinstance(left, LeftOut)
    assert left.reason.facts == {"kinds": "GCMMessage"}
    with pytest.raises(Refusal):
        pinpoint_campaigns.read([1, {}], "UTC")
