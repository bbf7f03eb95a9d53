"""What the review says before a person confirms, and what is said afterwards."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import redis

from smsapp.services import channels, clock
from smsapp.store.channels import ChannelRow
from smsapp.store.db import writing
from smsapp.store.sms_templates import SmsTemplate
from tests.pages import Pages
from tests.web.campaign_world import ZONE, World, shown_to_confirm, stored

pytestmark = pytest.mark.usefixtures("valkey")
TODAY = dt.datetime.now(ZoneInfo(ZONE)).date()


@pytest.fixture
def olga(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


@pytest.fixture
def world(app: object) -> World:
    return World()


def test_at_night_button_and_confirmation_say_when_sending_begins(
    client: Pages, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a marketing text, and a channel that is quiet around this moment
    monkeypatch.setattr(channels.kinds()["simulator"], "quiet_hours_exempt", False)
    now = clock.now().astimezone(ZoneInfo(ZONE))
    until = now + dt.timedelta(hours=2)
    with writing() as current:
        channel = current.get_one(ChannelRow, world.channel.id)
        channel.quiet_from, channel.quiet_until = f"{now - dt.timedelta(hours=1):%H:%M}", f"{until:%H:%M}"
        current.get_one(SmsTemplate, world.template.id).purpose = "marketing"
    olga = client.as_("operator", locale="zh_Hans")

    review = olga.post("/campaigns/new", do="review", **world.fields(name="夜里"))
    told = olga.post(f"/campaigns/{stored().id}/review", **shown_to_confirm(review)).said()

    assert review.select_one("button.btn-send").get_text(" ", strip=True) == f"{until:%H:%M} 起发送 2 条短信"
    assert f"“夜里”已确认，将于 {until:%Y-%m-%d %H:%M} 免打扰结束后开始。" in told


def test_a_confirmation_says_so_if_the_queue_takes_no_work(olga: Pages, world: World, valkey: redis.Redis) -> None:
    later = {"kind": "once", "start": str(TODAY + dt.timedelta(days=1)), "time": "10:00"}
    told = []
    for fields in (world.fields(name="现在"), world.fields(name="明天", **later)):
        review = olga.post("/campaigns/new", do="review", **fields)
        address = f"/campaigns/{stored().id}/review"
        valkey.config_set("maxmemory", "1")
        try:
            told.append(olga.post(address, **shown_to_confirm(review)).said())
        finally:
            valkey.config_set("maxmemory", "0")

    assert "“现在” is confirmed; sending begins as soon as the queue works again." in told[0]
    assert "“明天” is confirmed; it will be sent on " in told[1]
    assert "if that lasts, sending begins once it works again." in told[1]
