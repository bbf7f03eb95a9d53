"""The second channel in the form, on the review and on the effect page."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from smsapp.domain.message import Status
from smsapp.domain.run import RunState
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from tests import builders, ledgers
from tests.pages import Pages

pytestmark = pytest.mark.usefixtures("valkey")


class World:
    """Two channels with a template each that say the same, and one that does not."""

    def __init__(self) -> None:
        builders.known_property("name")
        builders.contact("u1", builders.phone(1), properties={"name": "王伟"})
        self.segment = builders.segment()
        self.first: ChannelRow = builders.channel(name="首选", price="0.05")
        self.second: ChannelRow = builders.channel(name="备用", price="0.08")
        self.template: SmsTemplate = builders.template(self.first.id, text="${name}您好")
        self.same: SmsTemplate = builders.template(self.second.id, name="同文", text="{1}您好")
        self.other: SmsTemplate = builders.template(self.second.id, name="异文", text="积分到期")

    def fields(self, **given: Any) -> dict[str, Any]:
        filled = {
            "name": "召回",
            "segment": self.segment.id,
            "channel": self.first.id,
            "template": self.template.id,
            "from-name": "name",
            "second_channel": self.second.id,
            "kind": "now",
            "cycle": "daily",
            "zone": "Asia/Shanghai",
        }
        return filled | given

    def campaign(self) -> Campaign:
        return ledgers.campaign(
            channel_id=self.first.id,
            template_id=self.template.id,
            second_channel_id=self.second.id,
            second_template_id=self.same.id,
            confirmed_second={"text": self.same.text, "signature": self.same.signature},
            mapping={"name": {"property": "name", "fallback": None}},
        )


@pytest.fixture
def world(app: object) -> World:
    return World()


@pytest.fixture
def olga(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


def latest() -> Campaign:
    current_session().expire_all()
    return current_session().scalars(sa.select(Campaign).order_by(Campaign.id.desc()).limit(1)).one()


def test_the_counterpart_is_suggested_and_confirmed_on_the_review(olga: Pages, world: World) -> None:
    piece = olga.post("/campaigns/new", htmx=True, do="look", part="text", **world.fields())
    review = olga.post("/campaigns/new", do="review", **world.fields())

    assert piece.texts("#second_template-choice option[selected]") == ["同文 · Notification · 1 part · {1}您好"]
    assert latest().second_template_id == world.same.id
    facts = " ".join(review.texts(".facts dd"))
    assert "备用" in facts
    assert "{1}您好" in facts
    assert not review.select(".flash-danger")


def test_a_template_that_cannot_take_its_place_is_named_a_problem(olga: Pages, world: World) -> None:
    page = olga.post("/campaigns/new", do="review", **world.fields(second_template=world.other.id))
    same = olga.post("/campaigns/new", do="review", **world.fields(second_channel=world.first.id))

    assert "has other variables" in page.texts(".flash-danger")[0]
    assert "The second channel is the first one" in same.texts(".flash-danger")[0]


def test_a_copy_has_the_second_channel_too(olga: Pages, world: World) -> None:
    source = world.campaign()
    olga.post(f"/campaigns/{source.id}/save-as", name="再来")
    assert (latest().name, latest().second_channel_id, latest().second_template_id) == (
        "再来",
        world.second.id,
        world.same.id,
    )


def test_an_operator_moves_a_held_run_and_the_page_says_so(olga: Pages, world: World) -> None:
    campaign = world.campaign()
    snapshot = replace(
        ledgers.SNAPSHOT,
        text=world.template.text,
        variables=("name",),
        mapping=campaign.mapping,
        channel="首选",
        zone="Asia/Shanghai",
    )
    lots = [(Status.DELIVERED, "", "", 2), (Status.QUEUED, "", "", 3)]
    held: dict[str, Any] = {"state": RunState.HELD, "hold_reason": "unreachable", "pinned": "template_withdrawn"}
    made = ledgers.run(campaign, lots, {}, snapshot=snapshot, **held)
    before = olga.get(f"/campaigns/{campaign.id}/effect")

    answer = olga.post(f"/campaigns/{campaign.id}/runs/{made.id}/stay")
    freed = olga.post(f"/campaigns/{campaign.id}/runs/{made.id}/let-move")
    page = olga.post(f"/campaigns/{campaign.id}/runs/{made.id}/route")

    assert "not approved any more" in before.texts(".state")[0]
    assert "Let it change channels by itself" in answer.texts(".state-actions")[0]
    assert "Keep it on this channel" in freed.texts(".state-actions")[0]
    assert "The rest goes on through the other channel." in page.said()
    assert "3 messages to 备用 A person decided it" in " ".join(page.texts("#routing"))
    assert "2 accepted" in page.texts("#routing dd")[0]
    moved = current_session().scalars(sa.select(Run).where(Run.repeats == made.id)).one()
    assert (moved.planned, moved.channel_id) == (3, world.second.id)
    assert "Through 备用" in page.texts("#runs .cell-note")
    # Nothing is left of the first run, so it is over and offers nothing any more.
    current_session().expire_all()
    assert current_session().get_one(Run, made.id).state == RunState.DONE
    late = olga.post(f"/campaigns/{campaign.id}/runs/{made.id}/route")
    assert "moved on meanwhile" in late.said()


def test_a_counterpart_that_is_gone_is_said_when_somebody_asks_for_it(olga: Pages, world: World) -> None:
    campaign = world.campaign()
    made = ledgers.run(campaign, [(Status.QUEUED, "", "", 3)], {}, state=RunState.HELD, hold_reason="paused")
    world.same.audit = "refused"
    current_session().commit()

    page = olga.post(f"/campaigns/{campaign.id}/runs/{made.id}/route")

    assert "not approved any more" in page.said()
