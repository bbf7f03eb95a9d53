"""A person who confirms sees what no person has typed."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.draft import Draft
from smsapp.domain.provenance import Door, Program
from smsapp.domain.roles import Role
from smsapp.domain.schedule import Kind, Schedule
from smsapp.services.campaigns import campaigns, drafts
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import current_session
from tests import builders
from tests.pages import Pages
from tests.web.campaign_world import ZONE, World, stored

pytestmark = pytest.mark.usefixtures("valkey")
AGENT = Actor("MCP: Planning", role=Role.OPERATOR, program=Program("Planning <b>agent</b>", Door.MCP))
PERSON = Actor("Olga", role=Role.OPERATOR)


@pytest.fixture
def world(app: object) -> World:
    return World()


def marks(client: Pages, campaign_id: int) -> int:
    page = client.as_("operator", locale="en").get(f"/campaigns/{campaign_id}/review")
    shown = [mark.get_text(" ", strip=True) for mark in page.select(".badge-blue") if "drafted by" in mark.get_text()]
    assert all(mark.startswith("drafted by key Planning <b>agent</b> · ") for mark in shown)
    assert ("A program has set parts" in page.text) == bool(shown)
    return len(shown)


def test_the_review_marks_what_a_key_has_drafted_until_a_person_changes_it(client: Pages) -> None:
    # Given a draft of an agent
    channel = builders.channel()
    template = builders.template(channel.id, text="${name}您好。", allowed={"name": {"longest": 20}})
    mapping = {"name": {"fixed": "客户"}}
    schedule = Schedule(Kind.NOW, "Asia/Shanghai")
    draft = Draft("召回", AudienceRule.of(builders.segment().id), channel.id, template.id, mapping, schedule)
    campaign_id = drafts.create(draft, AGENT, clock.now())
    # Then the review marks name, audience, channel, template, variable and time
    assert marks(client, campaign_id) == 6
    # When a person changes the name and the time, then four are left, also in a copy
    later = replace(draft, name="三月", schedule=replace(schedule, zone="UTC"))
    drafts.save(campaign_id, 1, later, PERSON, clock.now())
    assert marks(client, campaign_id) == 4
    copy = campaigns.save_as(campaign_id, "四月", PERSON, clock.now())
    assert marks(client, copy.id) == 4
    # Nor does a copy take them for a person's when it moves a day that is over
    past = replace(draft, schedule=Schedule(Kind.ONCE, "UTC", dt.time(9), dt.date(2020, 1, 1)))
    moved = campaigns.save_as(drafts.create(past, AGENT, clock.now()), "五月", PERSON, clock.now())
    assert moved.moved
    assert "schedule" in campaigns.get(moved.id).provenance
    # And a draft of a person has none
    assert marks(client, drafts.create(draft, PERSON, clock.now())) == 0
    assert campaigns.get(campaign_id).provenance.keys() == {"audience", "channel_id", "template_id", "mapping.name"}
    current_session().rollback()


def test_a_person_who_saves_the_form_takes_over_what_they_changed_only(client: Pages, world: World) -> None:
    # Given a draft of an agent with a time of day that "now" does not need
    draft = Draft(
        "召回",
        AudienceRule.of(world.segment.id),
        world.channel.id,
        world.template.id,
        {"name": {"property": "name", "fallback": ""}},
        Schedule(Kind.NOW, ZONE, time=dt.time(10)),
    )
    campaign_id = drafts.create(draft, AGENT, clock.now())
    # When a person types another name into the form and saves it
    olga = client.as_("operator", locale="en")
    olga.post(f"/campaigns/{campaign_id}/edit", do="save", **world.fields(name="四月", version=1, seeds="y"))
    # Then the name is theirs, and everything else is still marked
    assert stored(campaign_id).name == "四月"
    assert marks(client, campaign_id) == 5
