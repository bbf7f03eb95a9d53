"""What an operator sees of a channel: does it work, how fast, what is left, what went wrong."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.domain.outcome import CallResult, Outcome
from smsapp.domain.run import RunState
from smsapp.services.channels import provider_calls, registry
from smsapp.services.channels.provider_calls import Call
from smsapp.services.platform import clock
from smsapp.store import rate_limit
from smsapp.store.channels import channel_health as store
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, writing
from tests import builders, ledgers
from tests.pages import Pages


@pytest.fixture
def row(app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> ChannelRow:
    """A channel of a hundred messages per second, at a moment that stands still."""
    monkeypatch.setattr(clock, "now", lambda: now)
    values = {setting.name: setting.default for setting in registry.kinds()["simulator"].settings}
    return builders.channel(name="演练", rate=100, settings=values | {"balance": "86.5", "refused": "0"})


def counted(row: ChannelRow, now: dt.datetime, **ago: float) -> None:
    with writing() as session:
        for counts in (
            {("ok", ""): 900, ("refused", "bad_number"): 60, ("refused", "unknown"): 1},
            {("account_error", "balance"): 30, ("not_sent", "network"): 6, ("outcome_unknown", "network"): 3},
        ):
            store.add(session, row.id, counts, now - dt.timedelta(**ago))


def test_failures_are_shown_by_class_and_hour(row: ChannelRow, client: Pages, now: dt.datetime) -> None:
    # given failures of two hours, and older ones
    counted(row, now, hours=1)
    counted(row, now, hours=3)
    counted(row, now, days=3)
    # when
    page = client.as_("operator").get(f"/channels/{row.id}")
    # then the chart's table has an hour per row, the four most frequent classes and the others
    heads = [element.get_text() for element in page.select("#failures th[scope=col]")]
    assert heads == ["起始时间", "号码错误", "余额不足", "连不上", "无明确应答", "其他失败"]
    rows = [[cell.get_text() for cell in element.select("td")] for element in page.select("#failures-table tr")]
    assert len(rows) == 24
    assert rows[-2] == rows[-4] == ["60", "30", "6", "3", "1"]
    assert rows[-1] == ["0"] * 5
    # and the totals of a day and of a week stand beside each other
    text = page.get_text(" ", strip=True)
    assert "发送成功 1,800 90.0% 2,700 90.0%" in text
    assert "号码错误 120 6.0% 180 6.0%" in text
    assert "1 小时前" in text


def test_a_channel_nobody_has_used_says_so(row: ChannelRow, client: Pages) -> None:
    page = client.as_("operator").get(f"/channels/{row.id}")
    assert not page.select("#failures")
    assert "最近 30 天没有" in page.get_text()
    assert "还没有调用记录" in page.get_text()
    assert "此通道当前没有正在推送的短信" in page.get_text()
    assert not page.first("#pace").has_attr("data-hx-get"), "nothing can change, so nothing asks"


def test_the_rate_in_use_is_shown_with_those_who_share_it(row: ChannelRow, client: Pages, valkey: redis.Redis) -> None:
    # given two campaigns that send, one that is held, and 42 messages a second
    for state in (RunState.SENDING, RunState.SENDING, RunState.HELD):
        campaign = builders.campaign(name=f"推送{state}", status="sending", channel_id=row.id)
        ledgers.run(campaign, state=state)
    second, _ = valkey.time()
    for at in range(second - 10, second + 10):
        valkey.set(f"smsapp:granted:{row.id}:{at}", 42)
    # when
    piece = client.as_("operator").get(f"/channels/{row.id}", htmx=True).first("#pace")
    # then
    assert "每秒 42 / 100 条，由 2 个推送任务共用" in piece.get_text()
    assert piece["data-hx-trigger"] == "every 2s"
    assert [link.get_text() for link in piece.select("a")] == ["推送sending"] * 2


def test_the_rate_in_use_is_unknown_without_redis(
    row: ChannelRow, client: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_channel_id: int) -> float:
        raise rate_limit.RateLimiterDown

    monkeypatch.setattr(rate_limit, "in_use", away)
    ledgers.run(builders.campaign(status="sending", channel_id=row.id), state=RunState.SENDING)
    assert "1 个推送任务正在推送" in client.as_("operator").get(f"/channels/{row.id}").get_text()


def test_receipts_that_are_late_or_given_up_are_counted_from_the_tallies(
    row: ChannelRow, client: Pages, now: dt.datetime
) -> None:
    # given a run that ended three hours ago, one that ended just now, and one of another channel
    ended: dict[str, Any] = {"state": RunState.DONE, "verdict": "sent"}
    for channel_id, ago in ((row.id, 3), (row.id, 1), (builders.channel().id, 3)):
        campaign = builders.campaign(channel_id=channel_id, status="sent")
        ledgers.run(campaign, finished_at=now - dt.timedelta(hours=ago), **ended)
    waiting = ledgers.EVERY_STATE
    assert waiting
    # then
    counts = store.missing_receipts(current_session(), row.id, now - dt.timedelta(hours=2), now - dt.timedelta(days=7))
    count = store.missing_receipts(current_session(), row.id, now, now - dt.timedelta(hours=2))
    assert counts == count, "each run is counted in its own window"
    assert counts[0] > 0
    page = client.as_("operator").get(f"/channels/{row.id}")
    assert f"{counts[0]} 条短信提交成功已超过 2 小时" in page.get_text()


def test_the_log_shows_what_happened_and_nothing_that_was_in_it(
    row: ChannelRow, client: Pages, now: dt.datetime
) -> None:
    with writing() as session:
        for number in range(12):
            call = Call(
                "send", 0, 0.083, CallResult.REFUSED, 100, Outcome.BALANCE, f"{chr(65 + number)} 13800138000", 200
            )
            provider_calls.note(session, row.id, None, call, now)
    olga = client.as_("operator")
    page = olga.get(f"/channels/{row.id}")
    assert len(page.select('a[href$="/calls"]')) == 1
    whole = olga.get(f"/channels/{row.id}/calls")
    assert len(whole.select("tbody tr")) == 12
    first = whole.first("tbody tr").get_text(" ", strip=True)
    assert "L 138****8000" in first
    assert "余额不足" in first
    assert "83 毫秒" in first
    client.as_("viewer").get(f"/channels/{row.id}/calls", 403)


def test_a_balance_is_asked_for_and_warned_about_everywhere(
    row: ChannelRow, app: Flask, client: Pages, runner: FlaskCliRunner, now: dt.datetime
) -> None:
    # given a limit for warnings
    row.balance_low = Decimal(100)
    current_session().commit()
    campaign = builders.campaign(channel_id=row.id)
    olga = client.as_("operator")
    assert "尚未查询" in olga.get(f"/channels/{row.id}").get_text()
    # when
    page = olga.post(f"/channels/{row.id}/balance")
    # then
    assert "账号余额不足：86.5 CNY" in page.get_text()
    assert "余额不足" in olga.get("/channels/").get_text()
    assert "此通道的账号余额不足" in olga.get(f"/campaigns/{campaign.id}/review").get_text()
    assert "The account of channel 演练 has little left" in runner.invoke(args=["doctor"]).output


def test_a_channel_that_tells_no_balance_is_not_asked(app: Flask, client: Pages) -> None:
    other = builders.channel()
    page = client.as_("operator").post(f"/channels/{other.id}/balance")
    assert "此账号不提供余额查询" in page.said()


def test_what_to_do_at_the_provider_stands_beside_the_address(app: Flask, client: Pages) -> None:
    ada = client.as_("administrator", locale="en")
    steps = ada.get(f"/channels/{builders.channel().id}").select(".callback-steps li")
    assert "Nothing needs to be set up" in steps[0].get_text()


def test_the_command_line_says_the_same(row: ChannelRow, runner: FlaskCliRunner, now: dt.datetime) -> None:
    counted(row, now, hours=1)
    done = runner.invoke(args=["channels", "check", "演练"])
    assert done.exit_code == 0
    for line in (
        "24 hours: 900 ",
        "24 hours: 60 ",
        "receipts missing: 0",
        "balance: 86.5 CNY",
        "rate: 0 of 100 per second, 0 campaigns sending",
    ):
        assert line in done.output


def test_the_doctor_names_channels_whose_last_call_failed(
    row: ChannelRow, runner: FlaskCliRunner, now: dt.datetime
) -> None:
    counted(row, now, hours=1)
    assert "Channel 演练 last took a message at 2026-03-02 01:00 UTC." in runner.invoke(args=["doctor"]).output
    with writing() as session:
        provider_calls.note(
            session, row.id, None, Call("send", 0, 1, CallResult.ACCOUNT_ERROR, 1, Outcome.BALANCE, "51"), now
        )
    result = runner.invoke(args=["doctor"])
    assert result.exit_code == 1
    assert "The last call through channel 演练 failed (account_error, balance, 51)" in result.output
