"""What becomes of segments: made, changed, copied, computed, counted, deleted."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.domain.campaign import ExclusionReason, Status
from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.roles import Role
from smsapp.domain.segment import EVERYONE, Condition, Group, Kind, Match, Operator
from smsapp.services.contacts import segments
from smsapp.services.platform.audit_log import Actor
from smsapp.store.contacts.segments import SegmentMember
from smsapp.store.db import current_session
from smsapp.store.users import AuditEntry
from tests import builders

IN_BEIJING = Group(Match.ALL, (Condition("city", Type.STRING, Operator.EQUALS, ("北京",)),))
BY = Actor("tests")


@pytest.fixture(autouse=True)
def cities(app: Flask) -> None:
    builders.known_property("city")
    builders.contacts(3, city="北京")
    builders.contacts(2, city="上海")


def codes(refusal: Refusal) -> list[tuple[str, str]]:
    return [(problem.code, problem.place) for problem in refusal.problems]


def actions() -> list[str]:
    return list(
        current_session().scalars(
            sa.select(AuditEntry.action).where(AuditEntry.noun == "segment").order_by(AuditEntry.id)
        )
    )


def test_a_dynamic_segment_follows_its_rule(now: dt.datetime) -> None:
    made = segments.create(" 北京 ", Kind.DYNAMIC, IN_BEIJING, by=BY, now=now)
    assert (made.name, made.size, made.computed_at) == ("北京", 3, now)
    builders.contacts(1, city="北京")
    assert segments.size(made, now) == 4
    assert actions() == ["create"]


def test_a_static_segment_stays_until_it_is_recomputed(now: dt.datetime) -> None:
    made = segments.create("北京", Kind.STATIC, IN_BEIJING, by=BY, now=now)
    builders.contacts(1, city="北京")
    assert segments.size(made, now) == 3
    later = now + dt.timedelta(hours=1)
    again = segments.recompute(made.id, by=BY, now=later)
    assert (again.size, again.computed_at, segments.size(again, later)) == (4, later, 4)
    assert actions() == ["create", "recompute"]


def test_a_static_segment_that_becomes_dynamic_keeps_no_members(now: dt.datetime) -> None:
    made = segments.create("北京", Kind.STATIC, IN_BEIJING, by=BY, now=now)
    changed = segments.edit(made.id, "大家", Kind.DYNAMIC, EVERYONE, by=BY, now=now)
    assert (changed.name, changed.size) == ("大家", 5)
    assert current_session().scalar(sa.select(sa.func.count()).select_from(SegmentMember)) == 0


def test_an_edit_may_keep_the_name(now: dt.datetime) -> None:
    made = segments.create("北京", Kind.DYNAMIC, IN_BEIJING, by=BY, now=now)
    assert segments.edit(made.id, "北京", Kind.DYNAMIC, EVERYONE, by=BY, now=now).size == 5


@pytest.mark.parametrize(
    ("name", "code"),
    [(" ", "segment_name_missing"), ("x" * 121, "segment_name_too_long"), ("taken", "segment_name_taken")],
)
def test_a_name_is_there_short_enough_and_free(now: dt.datetime, name: str, code: str) -> None:
    segments.create("taken", Kind.DYNAMIC, EVERYONE, by=BY, now=now)
    with pytest.raises(Refusal) as refused:
        segments.create(name, Kind.DYNAMIC, EVERYONE, by=BY, now=now)
    assert codes(refused.value) == [(code, "name")]
    assert len(segments.everything()) == 1


def test_a_rule_about_an_unknown_property_is_refused(now: dt.datetime) -> None:
    rule = Group(Match.ALL, (Condition("gone", Type.STRING, Operator.HAS_VALUE),))
    with pytest.raises(Refusal) as refused:
        segments.create("x", Kind.DYNAMIC, rule, by=BY, now=now)
    assert codes(refused.value) == [("segment_property_unknown", "rule.0")]


def test_save_as_copies_the_members_of_a_static_segment(now: dt.datetime) -> None:
    made = segments.create("北京", Kind.STATIC, IN_BEIJING, by=BY, now=now)
    builders.contacts(1, city="北京")
    copy = segments.save_as(made.id, "北京二", by=BY, now=now)
    segments.delete(made.id, by=BY, now=now)
    assert segments.size(copy, now) == 3
    assert [segment.name for segment in segments.everything()] == ["北京二"]


@pytest.mark.parametrize("status", [Status.DRAFT, Status.WAITING, Status.SENDING])
def test_a_segment_that_a_campaign_needs_is_not_deleted(now: dt.datetime, status: Status) -> None:
    made = segments.create("北京", Kind.DYNAMIC, IN_BEIJING, by=BY, now=now)
    builders.campaign(name="春节", segment_id=made.id, status=status)
    with pytest.raises(Refusal) as refused:
        segments.delete(made.id, by=BY, now=now)
    assert refused.value.problems[0].code == "segment_in_use"
    assert "春节" in refused.value.problems[0].facts["names"]


def test_a_segment_of_sent_and_deleted_campaigns_may_go(now: dt.datetime) -> None:
    made = segments.create("北京", Kind.DYNAMIC, IN_BEIJING, by=BY, now=now)
    builders.campaign(segment_id=made.id, status=Status.SENT)
    builders.campaign(segment_id=made.id, status=Status.DRAFT, deleted_at=now)
    assert [use.status for use in segments.uses(made.id)] == ["sent"]
    segments.delete(made.id, by=BY, now=now)
    with pytest.raises(NotFound):
        segments.get(made.id)
    assert actions() == ["create", "delete"]


def test_what_is_gone_is_said_so(now: dt.datetime) -> None:
    for act in (segments.recompute, segments.delete):
        with pytest.raises(NotFound):
            act(7, by=BY, now=now)
    with pytest.raises(NotFound):
        segments.named("nobody")


def test_the_list_knows_makers_and_campaigns(now: dt.datetime) -> None:
    maker = builders.person(name="李运营")
    first = segments.create(
        "北京 100%", Kind.DYNAMIC, IN_BEIJING, by=Actor("li", maker.id, role=Role.OPERATOR), now=now
    )
    segments.create("大家", Kind.DYNAMIC, EVERYONE, by=BY, now=now)
    builders.campaign(segment_id=first.id)
    lines = [(line.segment.name, line.creator, line.campaigns) for line in segments.listing()]
    assert lines == [("大家", "", 0), ("北京 100%", "李运营", 1)]
    assert [line.segment.name for line in segments.listing("100%")] == ["北京 100%"]
    assert segments.listing("0_") == []
    assert (segments.creator(first), segments.creator(segments.named("大家"))) == ("李运营", "")


def test_reach_is_counted_once_for_each_phone_property(now: dt.datetime) -> None:
    builders.channel(name="甲")
    builders.channel(name="乙")
    builders.channel(name="丙", phone_property="mobile")
    builders.channel(name="丁", active=False)
    builders.contact(phone="", properties={"city": "北京"})
    by_channels = {reach.channels: reach.counts for reach in segments.reach(segments.matching(IN_BEIJING, now))}
    assert set(by_channels) == {("乙", "甲"), ("丙",)} or set(by_channels) == {("甲", "乙"), ("丙",)}
    counts = next(counts for channels, counts in by_channels.items() if "甲" in channels)
    assert (counts.target, counts.planned, counts.left_out) == (4, 3, {ExclusionReason.INVALID_NUMBER: 1})
    assert by_channels[("丙",)].left_out == {ExclusionReason.NO_NUMBER: 4}


def test_a_sample_shows_the_first_members_with_the_asked_columns(now: dt.datetime) -> None:
    sample = segments.sample(segments.matching(IN_BEIJING, now), ["city", "gone"], limit=2)
    assert [member.values for member in sample] == [("北京", None), ("北京", None)]
    assert sample[0].contact_id < sample[1].contact_id


def test_values_are_suggested_but_never_phone_numbers(app: Flask) -> None:
    assert segments.suggestions("city") == ["北京", "上海"]
    assert segments.suggestions("$phone") == []
    assert segments.suggestions("gone") == []


def test_the_commands_list_and_count(runner: FlaskCliRunner, now: dt.datetime) -> None:
    segments.create("北京", Kind.DYNAMIC, IN_BEIJING, by=BY, now=now)
    builders.channel(name="甲")
    assert "北京" in runner.invoke(args=["segments", "list"]).output
    assert runner.invoke(args=["segments", "count", "北京"]).output == "3 members\n3 can be reached through 甲\n"
    unknown = runner.invoke(args=["segments", "count", "南京"])
    assert unknown.exit_code == 1
