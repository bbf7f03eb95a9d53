"""Several segments in the form, the people behind what is excluded, and numbers that become segments."""

from __future__ import annotations

from typing import Any

import pytest

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.message import Status
from smsapp.domain.segment import Match
from smsapp.store.campaigns.campaigns import audience_of
from smsapp.store.contacts.segments import Segment, SegmentMember
from smsapp.store.db import current_session
from tests import builders, ledgers
from tests.pages import Pages
from tests.web.campaign_world import World, stored

pytestmark = pytest.mark.usefixtures("valkey")


@pytest.fixture
def olga(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


@pytest.fixture
def world(app: object) -> World:
    return World()


def static(name: str, *contact_ids: int) -> Segment:
    segment = builders.segment(name=name, kind="static", size=len(contact_ids))
    current_session().add_all(SegmentMember(segment_id=segment.id, contact_id=id_) for id_ in contact_ids)
    current_session().commit()
    return segment


def test_several_segments_and_one_left_out_are_kept_and_said(olga: Pages, world: World) -> None:
    first, second, third = (builders.contact(f"w{n}", builders.phone(10 + n)).id for n in range(3))
    guests, staff = static("访客", first, second), static("员工", second, third)
    members = static("会员", third)
    fields = world.fields(
        segment=guests.id, more_segments=[members.id], match="any", but_not=[staff.id], template="", do="save"
    )

    page = olga.post("/campaigns/new", **fields)

    draft = stored()
    assert audience_of(draft) == AudienceRule(Match.ANY, (guests.id, members.id), (staff.id,))
    assert draft.segment_id is None, "the version before would forget whom to leave out"
    assert page.first(".more-segments").has_attr("open")
    assert page.texts("#audience .reasons dt") == ["In an excluded segment"]
    assert "访客 or 会员, but not in 员工" in olga.get("/campaigns/").get_text(" ")
    again = olga.post(f"/campaigns/{draft.id}/edit", 422, **fields | {"version": 1, "but_not": [guests.id]})
    assert "cannot be chosen and left out" in again.said() + again.get_text(" ")


def test_the_people_behind_an_excluded_number_are_shown_by_form_and_review(olga: Pages, world: World) -> None:
    fields = world.fields(do="look")
    form = olga.post("/campaigns/new", **fields | {"excluded": "no_number"})
    assert [text.split()[0] for text in form.texts(".excluded-people li")] == ["u4"]

    olga.post("/campaigns/new", **fields | {"do": "save"})
    review = olga.get(f"/campaigns/{stored().id}/review")
    link = review.value('.reasons a[href*="missing_value"]', "href")
    shown = olga.get(link)
    assert shown.texts(".excluded-people li") == ["u3 138****0003"]


def test_a_segment_s_page_begins_a_campaign_for_it(olga: Pages, world: World) -> None:
    page = olga.get("/campaigns/new", segment=world.segment.id)
    assert page.value("#segment-choice option[selected]") == str(world.segment.id)


def test_a_number_of_the_report_becomes_a_segment_that_says_where_it_came_from(olga: Pages, world: World) -> None:
    campaign = ledgers.campaign(name="三月")
    run = ledgers.run(campaign)
    report = olga.get(f"/campaigns/{campaign.id}/effect", group="undelivered", reason="switched_off")

    ask = olga.get(report.value('#people a[href*="/effect/segment"]', "href"))
    page = olga.post(
        f"/campaigns/{campaign.id}/effect/segment", group="undelivered", reason="switched_off", name="关机"
    )

    assert "三月" in ask.value("#name")
    assert "Saved: 3 members." in page.said()
    assert page.value(f'a[href*="/campaigns/{campaign.id}/effect?group=undelivered"]', "href")
    excluded = olga.post(
        f"/campaigns/{campaign.id}/runs/{run.id}/segment", group="left_out", reason="opted_out", name="退订的"
    )
    n = ledgers.EVERY_LEFT[ExclusionReason.OPTED_OUT]
    assert f"Saved: {n} members." in excluded.said()
    everybody = olga.post(f"/campaigns/{campaign.id}/effect/segment", group="target", name="全部")
    assert f"Saved: {run.target} members." in everybody.said()
    again = olga.post(f"/campaigns/{campaign.id}/effect/segment", 422, group="delivered", name="关机")
    assert "Another segment has this name" in again.said()


@pytest.mark.parametrize("group", ["planned", "queued", "in_flight", "accepted", "unconfirmed", "no_receipt"])
def test_every_number_saves_as_many_people_as_it_counts(olga: Pages, world: World, group: str) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)
    report = olga.get(f"/campaigns/{campaign.id}/effect", group=group)
    n = report.value('#people-shown input[name="shown"]')
    page = olga.post(f"/campaigns/{campaign.id}/effect/segment", group=group, name="同样多")
    assert page.said().startswith(f"Saved: {n} member")


def test_the_builder_asks_what_was_sent_without_javascript(olga: Pages, world: World) -> None:
    campaign = ledgers.campaign(name="三月")
    ledgers.run(campaign, [(Status.DELIVERED, "", "", 4), (Status.UNDELIVERED, "switched_off", "", 2)], {})
    fields: dict[str, Any] = {"name": "未送达的", "kind": "dynamic", "rule.match": "all", "rule.0.property": "=ledger"}
    chosen = olga.post("/segments/new", **fields, do="refresh:rule.0")
    assert "三月" in chosen.get_text()
    assert chosen.value("#rule-0-value-0", "data-hx-vals") == '{"do": "refresh:rule.0"}'
    lacking = olga.post("/segments/new", 422, **(fields | {"rule.0.operator": "failed"}), do="save")
    assert "Choose a campaign." in lacking.get_text()

    complete = fields | {"rule.0.operator": "failed", "rule.0.value.0": campaign.id, "rule.0.value.2": "switched_off"}
    page = olga.post("/segments/new", **complete, do="save")

    assert "Saved: 2 members." in page.said()
    assert "was not reached by “三月”, because: Phone off or out of reach" in " ".join(page.get_text(" ").split())
    segment = current_session().query(Segment).filter_by(name="未送达的").one()
    assert "三月" in olga.get(f"/segments/{segment.id}/edit").get_text()


def test_a_segment_that_a_draft_leaves_out_cannot_be_deleted(olga: Pages, world: World) -> None:
    staff = static("员工")
    builders.campaign(name="春节", audience=AudienceRule(include=(world.segment.id,), exclude=(staff.id,)).as_json())
    page = olga.post(f"/segments/{staff.id}/delete", 422)
    assert "春节" in page.get_text()
    listed = olga.get("/segments/").rows()
    assert any("员工" in " ".join(row) and "1" in row for row in listed)
