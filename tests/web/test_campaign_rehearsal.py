"""The rehearsal on the review page: what it says, who gets more, and whom a person leaves out for it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.campaign import Status
from smsapp.services.campaigns import rehearsals
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, writing
from smsapp.store.runs.runs import Run
from tests import builders
from tests.engine import work
from tests.fakes import FakeChannel, FakeClock
from tests.pages import Pages
from tests.web.campaign_world import World, shown_to_confirm, stored

pytestmark = pytest.mark.usefixtures("valkey")


@pytest.fixture
def world(app: object) -> World:
    return World()


@pytest.fixture
def olga(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


def other_campaign(world: World) -> Campaign:
    """A campaign to everybody that waits for tomorrow."""
    return builders.campaign(
        name="会员日",
        status=Status.WAITING,
        segment_id=world.segment.id,
        channel_id=world.channel.id,
        template_id=world.template.id,
        mapping={"name": {"property": "name", "fallback": None}},
        next_due_at=clock.now() + dt.timedelta(hours=20),
    )


def words(page: Any) -> str:
    return " ".join(page.get_text(" ").split())


def test_the_review_shows_the_parts_and_the_cost_of_every_text(client: Pages, world: World) -> None:
    olga = client.as_("operator", locale="zh_Hans")

    review = olga.post("/campaigns/new", do="review", **world.fields())

    text = words(review.first("#rehearsal"))
    assert "全量预演" in text
    assert "计费 1 条 1 50.0%" in text
    assert "计费 2 条 1 50.0%" in text
    assert "计费条数 3" in text
    assert "¥0.15" in text
    assert "因变量值变长 1 条 name：1" in text
    longest = review.first("#rehearsal a[href*='person=']")
    assert "欧阳欧阳" in olga.get(f"/campaigns/{stored().id}/review{longest['href']}").first("#letter").get_text()
    assert "没有用户在 48 小时内还会收到其他推送任务" in text


def test_a_person_sees_who_gets_more_and_leaves_them_out(olga: Pages, world: World) -> None:
    # Given another campaign to the same people tomorrow
    other = other_campaign(world)
    review = olga.post("/campaigns/new", do="review", **world.fields())
    campaign_id = stored().id
    assert f"2 of these people also get “{other.name}” within 48 hours" in words(review)
    # Then the number leads to these people, masked
    people = olga.get(f"/campaigns/{campaign_id}/overlap/{other.id}")
    assert [cell.get_text(strip=True) for cell in people.select("td.cell-main")] == ["u1", "u2"]
    assert builders.phone(1) not in people.get_text()
    # When the operator leaves them out
    review = olga.post(f"/campaigns/{campaign_id}/leave-out", version=stored().version, also_gets=other.id)
    # Then nobody is left, and the choice is still there to be taken back
    text = words(review)
    assert "Gets another campaign within 48 hours 2" in text
    assert "The choice was saved" in text
    assert review.first("input[name=also_gets]").has_attr("checked")
    # And an edit of the form keeps it
    version = stored().version
    olga.post(f"/campaigns/{campaign_id}/edit", do="save", version=version, **world.fields(name="改名"))
    assert stored().leave_out == [{"kind": "also_gets", "campaign_id": other.id}]
    review = olga.post(f"/campaigns/{campaign_id}/leave-out", version=stored().version)
    assert stored().leave_out == []
    assert not review.first("input[name=also_gets]").has_attr("checked")


def test_a_choice_about_a_changed_draft_is_not_taken(olga: Pages, world: World) -> None:
    other = other_campaign(world)
    olga.post("/campaigns/new", do="review", **world.fields())

    page = olga.post(f"/campaigns/{stored().id}/leave-out", version=9, also_gets=other.id)

    assert "Somebody changed this draft meanwhile" in page.get_text()
    assert stored().leave_out == []


def test_a_large_audience_is_rehearsed_by_a_worker_and_the_page_shows_how_far_it_is(
    olga: Pages, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsals, "MOST_AT_ONCE", 1)
    review = olga.post("/campaigns/new", do="review", **world.fields())
    campaign_id = stored().id
    piece = review.first("#rehearsal")
    assert piece["data-hx-get"] == f"/campaigns/{campaign_id}/rehearsal"
    assert "0 of 4" in piece.get_text()
    assert review.first("#look-again") is not None
    assert not review.first(".btn-send").has_attr("disabled")

    rehearsals.run(campaign_id, clock.now)

    done = olga.get(f"/campaigns/{campaign_id}/rehearsal", htmx=True)
    assert not done.first("#rehearsal").has_attr("data-hx-get")
    assert "texts of all 2 people" in words(done)
    assert "texts of all 2 people" in words(olga.get(f"/campaigns/{campaign_id}/rehearsal"))
    again = olga.post(f"/campaigns/{campaign_id}/rehearse")
    assert again.first("#rehearsal").has_attr("data-hx-get")


def test_a_waiting_campaign_shows_its_rehearsal_without_making_one(client: Pages, world: World) -> None:
    campaign = other_campaign(world)
    assert "全量预演" not in client.as_("viewer", locale="zh_Hans").get(f"/campaigns/{campaign.id}").get_text()

    rehearsals.begin(campaign.id, Actor("ops"), clock.now())

    page = client.as_("viewer", locale="zh_Hans").get(f"/campaigns/{campaign.id}")
    assert "全量预演" in page.get_text()
    assert not page.select("#rehearsal form button")


def test_the_report_says_why_reality_differs(client: Pages, world: World, app: Flask, provider: FakeChannel) -> None:
    # Given a campaign whose review was rehearsed, and one person who opted out since
    olga = client.as_("operator", locale="zh_Hans")
    review = olga.post("/campaigns/new", do="review", **world.fields())
    campaign_id = stored().id
    olga.post(f"/campaigns/{campaign_id}/review", **shown_to_confirm(review))
    with writing() as session:
        session.execute(sa.text("DELETE FROM contact WHERE xwho = 'u2'"))
    builders.contact("u5", builders.phone(5), properties={"name": "李娜"})
    builders.contact("u6", "")
    # When it is sent
    work(app, FakeClock(clock.now()))
    # Then the report has both numbers and why
    report = olga.get(f"/campaigns/{campaign_id}/effect")
    table = next(box for box in report.select("table") if "差异原因" in box.get_text())
    rows = {
        " ".join(row.select("td")[0].get_text().split()): [
            " ".join(cell.get_text(" ").split()) for cell in row.select("td")[1:]
        ]
        for row in table.select("tbody tr")
    }
    assert current_session().scalar(sa.select(sa.func.count()).select_from(Run)) == 1
    assert rows["目标用户"] == ["4", "5", "多 1 人：之后进入了分群"]
    assert rows["未发送 号码无效"] == ["0", "1", "少 1 人：之后变为“号码无效”"]
    assert rows["未发送 变量没有取值"][:2] == ["1", "1"]
