"""The test group on the pages: set up in the settings, used on the review and under the form, seen in the report."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import redis

from config import Config
from smsapp.channels.types import Receipt, ReceiptStatus
from smsapp.domain.campaign import Status
from smsapp.services.platform import clock
from smsapp.services.receipts import applying
from smsapp.services.sending import opening, proof_sending
from smsapp.store.db import current_session, writing
from smsapp.store.runs.proofs import ProofMessage
from smsapp.store.runs.runs import Batch
from tests import builders
from tests.engine import confirmed
from tests.pages import Pages
from tests.web.campaign_world import World, stored

GROUP = "/settings/test-group/"


@pytest.fixture
def config(sqlite_config: Config, valkey: redis.Redis) -> Config:
    """SQLite alone: what the pages show does not depend on the database."""
    return sqlite_config


def arrive(channel_id: int, *, ref: str) -> None:
    with writing() as session:
        applying.apply_receipts(session, {channel_id: [Receipt(ReceiptStatus.DELIVERED, ref)]}, clock.now())


def test_an_administrator_sets_the_group_up_and_an_operator_sends_it_the_text(client: Pages) -> None:
    # Given a group of two, typed in by an administrator
    world = World()
    ada = client.as_("administrator", locale="en")
    assert "Nobody is in the test group yet." in ada.get(GROUP).get_text()
    ada.post(GROUP, name="林然", number="137 0013 7001", is_seed="y")
    page = ada.post(GROUP, name="王芳", number="13700137002")
    assert [row[:3] for row in page.rows()] == [
        ["林然", "+8613700137001", "One text of every run"],
        ["王芳", "+8613700137002", "Proofs only"],
    ]
    page = ada.post(GROUP, status=422, name="", number="13700137001")
    assert page.texts("#name-error li") == ["Write a name of at most 80 characters."]
    assert page.texts("#number-error li") == ["This number is in the test group already."]
    # When an operator sends the reviewed text of the second person
    olga = client.as_("operator", locale="zh_Hans")
    olga.get(GROUP, status=403)
    olga.post("/campaigns/new", do="review", **world.fields())
    campaign = stored()
    url = f"/campaigns/{campaign.id}/review"
    review = olga.get(url)
    assert review.first("#send-proof").get_text(strip=True) == "发给测试组（2 人）"
    form: dict[str, Any] = {name: review.value(f".proof-send input[name={name}]") for name in ("key", "person", "back")}
    page = olga.post(f"/campaigns/{campaign.id}/proof", **form)
    # Then nothing is confirmed, the page asks again by itself, and numbers are masked
    assert "测试短信正在发给 2 位同事，推送任务并未因此确认。" in page.said()
    assert stored(campaign.id).status == Status.DRAFT
    assert page.first("#proofs")["data-hx-trigger"] == "every 2s"
    assert "137****7001" in page.first(".proof-people").get_text()
    # and pressing the same button again sends nothing more
    olga.post(f"/campaigns/{campaign.id}/proof", **form)
    assert proof_sending.send_due(clock.now) == 2
    # and once receipts came, it says when each text arrived
    for message in current_session().query(ProofMessage).all():
        arrive(world.channel.id, ref=message.ref)
    piece = olga.get(f"/campaigns/{campaign.id}/proof", htmx=True)
    assert "2/2 到达" in piece.first(".proof-arrived").get_text()
    assert piece.first(".proof-people").get_text().count("到达") == 2
    assert "data-hx-trigger" not in piece.first("#proofs").attrs
    # The form of the draft has the button as well; a viewer has none.
    edit = olga.get(f"/campaigns/{campaign.id}/edit")
    assert edit.value(".proof-send input[name=back]") == "form"
    client.as_("viewer").get(url, status=403)


def test_a_draft_without_a_finished_text_says_what_is_missing(client: Pages) -> None:
    World()
    builders.campaign(name="半成品", template_id=None)
    olga = client.as_("operator", locale="en")
    campaign = stored()
    edit = olga.get(f"/campaigns/{campaign.id}/edit")
    assert edit.first("#send-proof").has_attr("disabled")
    page = olga.post(f"/campaigns/{campaign.id}/proof", key="k", person="0", back="form")
    assert "There is no finished text yet." in page.said()


def test_the_report_shows_the_seeds_under_the_funnel(client: Pages) -> None:
    builders.contacts(2)
    ada = client.as_("administrator", locale="zh_Hans")
    ada.post(GROUP, name="林然", number="13700137001", is_seed="y")
    campaign, run_id = confirmed(clock.now())
    opening.open_run(run_id, clock.now())
    with writing() as session:
        session.query(Batch).update({"attempts": 1})
    assert proof_sending.send_due(clock.now) == 1
    (message,) = current_session().query(ProofMessage).all()
    with writing():
        message.handed_at = clock.now() - dt.timedelta(seconds=8)
    arrive(campaign.channel_id or 0, ref=message.ref)
    report = client.as_("viewer", locale="zh_Hans").get(f"/campaigns/{campaign.id}/effect")
    assert report.first("#seeds .review-fact").get_text(strip=True) == "1/1 到达，8 秒"
    assert "137****7001" in report.first("#seeds").get_text()
