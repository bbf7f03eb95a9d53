"""What the review says before a person confirms, and what is said afterwards."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import redis
import sqlalchemy as sa

from smsapp.domain.campaign import Status
from smsapp.domain.message import Status as MessageStatus
from smsapp.domain.run import RunState
from smsapp.services.channels import registry
from smsapp.services.platform import clock
from smsapp.services.sending import opening
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, writing
from smsapp.store.runs.runs import Run
from smsapp.store.sms_templates import SmsTemplate
from tests import builders, ledgers
from tests.pages import Pages
from tests.web.campaign_world import ZONE, World, shown_to_confirm, stored

pytestmark = pytest.mark.usefixtures("valkey")
TODAY = dt.datetime.now(ZoneInfo(ZONE)).date()


@pytest.fixture
def olga(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


def run_of(campaign_id: int) -> int:
    return current_session().scalars(sa.select(Run.id).where(Run.campaign_id == campaign_id)).one()


@pytest.fixture
def world(app: object) -> World:
    return World()


def test_at_night_button_and_confirmation_say_when_sending_begins(
    client: Pages, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a marketing text, and a channel that is quiet around this moment
    monkeypatch.setattr(registry.kinds()["simulator"], "quiet_hours_exempt", False)
    now = clock.now().astimezone(ZoneInfo(ZONE))
    until = now + dt.timedelta(hours=2)
    with writing() as session:
        channel = session.get_one(ChannelRow, world.channel.id)
        channel.quiet_from, channel.quiet_until = f"{now - dt.timedelta(hours=1):%H:%M}", f"{until:%H:%M}"
        session.get_one(SmsTemplate, world.template.id).purpose = "marketing"
    olga = client.as_("operator", locale="zh_Hans")

    review = olga.post("/campaigns/new", do="review", **world.fields(name="夜里"))
    text = olga.post(f"/campaigns/{stored().id}/review", **shown_to_confirm(review)).said()

    assert review.first("button.btn-send").get_text(" ", strip=True) == f"{until:%H:%M} 起发送 2 条短信"
    assert f"“夜里”已确认，将于 {until:%Y-%m-%d %H:%M} 免打扰结束后开始。" in text


def test_a_confirmation_says_so_if_the_queue_takes_no_work(olga: Pages, world: World, valkey: redis.Redis) -> None:
    later = {"kind": "once", "start": str(TODAY + dt.timedelta(days=1)), "time": "10:00"}
    texts = []
    for fields in (world.fields(name="现在"), world.fields(name="明天", **later)):
        review = olga.post("/campaigns/new", do="review", **fields)
        address = f"/campaigns/{stored().id}/review"
        valkey.config_set("maxmemory", "1")
        try:
            texts.append(olga.post(address, **shown_to_confirm(review)).said())
        finally:
            valkey.config_set("maxmemory", "0")

    assert "“现在” is confirmed; sending begins as soon as the queue works again." in texts[0]
    assert "“明天” is confirmed; it will be sent on " in texts[1]
    assert "if that lasts, sending begins once it works again." in texts[1]


def test_the_same_text_to_the_same_people_again_is_warned_of_with_links(client: Pages, world: World) -> None:
    olga = client.as_("operator", locale="zh_Hans")
    review = olga.post("/campaigns/new", do="review", **world.fields(name="第一次"))
    first = stored().id
    assert "内容相同的短信" not in review.get_text()
    olga.post(f"/campaigns/{first}/review", **shown_to_confirm(review))
    opening.open_run(run_of(first), clock.now())

    again = olga.post("/campaigns/new", do="review", **world.fields(name="又一次"))

    warned = next(box for box in again.select(".flash-warning") if "内容相同的短信" in box.get_text())
    assert " ".join(warned.get_text().split()).startswith("其中 2 人在最近 7 天内已被推送过内容相同的短信：")
    link = warned.select_one(f"a[href='/campaigns/{first}/effect']")
    assert link is not None
    assert link.get_text() == "“第一次”"
    assert not again.first(".btn-send").has_attr("disabled")


# -- what was sent ----------------------------------------------------------------------------------------------------


def test_the_page_of_a_sent_campaign_shows_what_was_confirmed_and_does_not_count_again(
    olga: Pages, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a campaign that was sent to two people, whose segment has many more today
    review = olga.post("/campaigns/new", do="review", **world.fields(name="已发"))
    olga.post(f"/campaigns/{stored().id}/review", **shown_to_confirm(review))
    sent = stored()
    with writing() as session:
        campaign = session.merge(sent)
        campaign.status = Status.SENT
        run = session.query(Run).filter_by(campaign_id=sent.id).one()
        run.state, run.verdict, run.target, run.planned = RunState.DONE, "sent", 4, 2
        run.started_at = run.finished_at = run.opened_at
        session.get_one(SmsTemplate, world.template.id).text = "${name}，今天的新文字。"
    builders.contacts(30)
    monkeypatch.setattr(
        "smsapp.services.contacts.audience.tally", lambda *_given, **_named: pytest.fail("counted again")
    )

    page = olga.get(f"/campaigns/{sent.id}")

    text = page.get_text()
    assert "${name}您好，欢迎回来。" in text
    assert "今天的新文字" not in text
    for sentence in ("at once", "Will end about", "Counted just now", "Would be sent"):
        assert sentence not in text
    assert page.select_one(f"a.btn-primary[href='/campaigns/{sent.id}/effect']") is not None
    assert "Messages when it was confirmed 2" in " ".join(text.split())


def test_sums_of_a_recurring_campaign_say_over_how_many_sendings(olga: Pages, client: Pages) -> None:
    campaign = ledgers.campaign(recurring=True)
    for day in range(4):
        slot = ledgers.OPENED + dt.timedelta(days=day)
        over = {"state": RunState.DONE, "verdict": "sent", "finished_at": slot}
        run = ledgers.run(campaign, [(MessageStatus.DELIVERED, "", "", 3)], {}, slot, **over)
    missed = {"state": RunState.MISSED, "verdict": "missed"}
    ledgers.run(campaign, [], {}, ledgers.OPENED + dt.timedelta(days=9), **missed)
    ledgers.run(campaign, [], {}, ledgers.OPENED + dt.timedelta(days=10), repeats=run.id, **over)
    current_session().commit()

    row = olga.get("/campaigns/").texts(f"#campaign-{campaign.id} td.number")[0]
    report = olga.get(f"/campaigns/{campaign.id}/effect")
    single = olga.get(f"/campaigns/{campaign.id}/runs/{run.id}")
    chinese = client.as_("operator", locale="zh_Hans").get(f"/campaigns/{campaign.id}/effect")

    assert row == "12 over 4 sendings"
    assert report.texts(".funnel-number")[0] == "12 over 4 sendings"
    assert "12 over 4 sendings" in report.texts(".people-head p")[0]
    assert "3 people" in single.texts(".people-head p")[0]
    assert chinese.texts(".funnel-number")[0] == "12 人次（4 次推送）"
    assert "目标用户 · 12 人次（4 次推送）" in chinese.texts(".people-head p")[0]
