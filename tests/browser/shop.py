"""A filled application, so that every page has something to show: people, contacts, campaigns in every state."""

from __future__ import annotations

import datetime as dt
import time
from decimal import Decimal
from typing import Any

from smsapp.domain.contact import Type
from smsapp.domain.outcome import CallResult, Outcome
from smsapp.domain.run import RunState
from smsapp.domain.segment import Condition, Group, Operator
from smsapp.services.channels import provider_calls
from smsapp.services.channels.provider_calls import Call
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.store.channels import channel_health
from smsapp.store.db import current_session, writing
from smsapp.store.receipts import unmatched
from smsapp.store.users import User
from tests import builders, ledgers

NOW = dt.datetime(2026, 3, 2, 2, 0, tzinfo=dt.UTC)
NAMES = ("王小明", "李静", "张伟", "刘洋", "陈思远", "杨柳", "赵一鸣", "黄丽华")
LITTLE_LEFT = {"balance": Decimal("86.5"), "balance_currency": "CNY", "balance_at": NOW, "balance_low": Decimal(100)}


def telephone(channel_id: int) -> None:
    """Fill the channel's hours and its log of calls."""
    now, begun = clock.now(), time.monotonic()
    with writing() as session:
        for ago in range(20):
            at = now - dt.timedelta(hours=ago)
            counts = {
                ("ok", ""): 900 + 7 * ago,
                ("refused", "bad_number"): 12,
                ("outcome_unknown", "network"): 3 * (ago % 4 == 0),
            }
            channel_health.add(session, channel_id, counts | {("account_error", "balance"): 40 * (ago == 3)}, at)
        for call in (
            Call("check", begun, 0.21, CallResult.OK, status=200),
            Call("send", begun, 0.083, CallResult.OK, 100, Outcome.BAD_NUMBER, "1023", 200),
            Call("send", begun, 0.141, CallResult.ACCOUNT_ERROR, 100, Outcome.BALANCE, "2001", 200),
            Call("send", begun, 30.0, CallResult.OUTCOME_UNKNOWN, 100, Outcome.NETWORK, "timeout"),
        ):
            provider_calls.note(session, channel_id, None, call, now)


def misdirect(channel_id: int) -> None:
    """Store unmatched receipts."""
    blank = {"channel_id": channel_id, "ref": "", "provider_ref": "", "phone": "", "outcome": None, "code": ""}
    receipts: list[dict[str, Any]] = [
        {"ref": "order-20260301-88", "status": "delivered", "code": "DELIVRD", "phone": "+8613800138000"},
        {"provider_ref": "2089c6f0-5a3e-4a6e-9c3e-6b1f0f7d1a52", "status": "accepted"},
        {"provider_ref": "1100000817293", "status": "undelivered", "outcome": "switched_off", "code": "MK:0001"},
    ]
    with writing() as session:
        unmatched.store(session, [blank | receipt for receipt in receipts], clock.now())


def fill() -> User:
    """Return the administrator of a filled shop."""
    ada = builders.person(login="ada", name="林然", role="administrator", session_mark="mark", password_hash="set")
    builders.person(login="wei@example.com", name="小伟", sees_numbers=True, password_hash="set", last_seen_at=NOW)
    builders.person(login="guest", name="", role="viewer", active=False)
    for name, kind in (("$phone", "string"), ("name", "string"), ("city", "string"), ("level", "number")):
        builders.known_property(name, kind)
    for number, name in enumerate(NAMES):
        builders.contacts(1, name=name, city="杭州", level=number)
    builders.contact(phone="", properties={"name": "无号"})
    everybody = builders.segment(name="全部会员")
    here = Condition("city", Type.STRING, Operator.EQUALS, ("杭州",))
    rule = Group(children=(here,)).as_json()
    builders.segment(name="杭州金卡会员", rule=rule)
    channel = builders.channel(name="演示通道", rate=100, settings={"balance": "86.5"}, **LITTLE_LEFT)
    telephone(channel.id)
    misdirect(channel.id)
    builders.channel(name="备用通道", active=False)
    template = builders.template(
        channel.id,
        name="三月优惠",
        text="尊敬的${name}，您的优惠券即将到期，请尽快使用。拒收请回复R",
        purpose="marketing",
    )
    builders.template(channel.id, name="物流提醒", audit="pending")
    builders.template(channel.id, name="中奖通知", audit="refused", audit_reason="含有诱导内容")
    columns = {"segment_id": everybody.id, "channel_id": channel.id, "template_id": template.id, "created_by": ada.id}
    builders.campaign(name="三月会员回馈（草稿）", **columns)
    later = {"kind": "once", "zone": "Asia/Shanghai", "at": "2030-03-08T10:00:00"}
    builders.campaign(
        name="妇女节优惠", status="waiting", schedule=later, next_due_at=NOW + dt.timedelta(days=1500), **columns
    )
    ledgers.run(builders.campaign(name="积分到期提醒", status="sending", **columns))
    done = [lot for lot in ledgers.EVERY_STATE if lot[0].name not in {"HANDED", "QUEUED"}]
    for name, status, verdict in (
        ("春节祝福", "sent", "sent"),
        ("新品上市", "failed", "failed"),
        ("每日签到提醒", "stopped", "sent"),
    ):
        ended: dict[str, Any] = {
            "state": RunState.DONE,
            "verdict": verdict,
            "finished_at": NOW + dt.timedelta(minutes=7),
        }
        ledgers.run(builders.campaign(name=name, status=status, **columns), lots=done, **ended)
    session = current_session()
    for number in range(60):
        log_action(
            session, Actor(ada.login, ada.id), "change", "channel", channel.id, NOW, name="演示通道", rate=number
        )
    log_action(session, Actor("sign-in page"), "sign_in_failed", "person", ada.id, NOW, login="ada")
    session.commit()
    return ada
