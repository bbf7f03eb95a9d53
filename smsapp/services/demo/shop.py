"""The invented shop itself: its channel, templates, segments and campaigns, made by the same services people use."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from smsapp.channels.types import Reply
from smsapp.domain import segment as rules
from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.billed_parts import parts
from smsapp.domain.contact import PHONE, Type
from smsapp.domain.draft import Draft
from smsapp.domain.phone import normalise
from smsapp.domain.schedule import Kind, Schedule
from smsapp.domain.segment import Condition, Group, Match, Operator
from smsapp.domain.sms_template import Audit, Purpose, entry, full_text
from smsapp.domain.trust import KeyKind, Source, of_key
from smsapp.services.apps import app_keys
from smsapp.services.campaigns import campaigns, drafts
from smsapp.services.channels import accounts, registry, validation
from smsapp.services.contacts import segments
from smsapp.services.demo import crowd, past
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import replies
from smsapp.services.sending import starting
from smsapp.services.templates import sms_templates
from smsapp.store import demo_rows
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import contacts, property_catalogue
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import as_json, current_session, has_rows, writing
from smsapp.store.runs import demo, runs

BY = Actor("flask demo")
PEOPLE = 20_000
SEED = 20260308
ZONE = "Asia/Shanghai"
SIGNATURE = "青禾商城"
AT_ONCE = 5_000
"""Contacts per statement."""

Progress = Callable[[int], None]


def is_empty() -> bool:
    """Return whether the system is empty: demo data is never mixed with real data."""
    return not any(has_rows(current_session(), table) for table in (Contact, ChannelRow, Campaign))


def fill(now: dt.datetime, progress: Progress) -> None:
    """Fill an empty system; `progress` is called with how many contacts were added. Takes a few seconds."""
    month_ago = now - dt.timedelta(days=35)
    key_ids = _add_keys(month_ago)
    _add_people(of_key(KeyKind.SERVER, key_ids[0], month_ago), now, progress)
    channel_id = _add_channel(month_ago)
    shop = Shop(channel_id, _add_templates(channel_id, month_ago), _add_segments(month_ago))
    _tell_past(shop, now)
    _prepare_future(shop, now)
    with writing() as session:
        demo_rows.mark(session, month_ago, channel_id, list(shop.segments.values()), key_ids)


@dataclass(frozen=True)
class Shop:
    """The channel, templates and segments of the campaigns, by the names used here."""

    channel_id: int
    templates: dict[str, int]
    segments: dict[str, int]
    mapping: dict[str, Any] = field(
        default_factory=lambda: {
            "name": {"property": "$name", "fallback": "会员"},
            "points": {"property": "points", "fallback": "0"},
            "level": {"property": "level", "fallback": "会员"},
        }
    )

    def draft(self, name: str, segment: str, template: str, schedule: Schedule) -> Draft:
        text = TEMPLATES[template][1]
        mapping = {variable: source for variable, source in self.mapping.items() if f"${{{variable}}}" in text}
        audience = AudienceRule.of(self.segments[segment])
        return Draft(name, audience, self.channel_id, self.templates[template], mapping, schedule)


# -- people -----------------------------------------------------------------------------------------------------------


def _add_keys(then: dt.datetime) -> list[int]:
    """Create an AppKey of each kind; return their ids, that of the server key first."""
    kinds = {"会员系统": KeyKind.SERVER, "商城 App": KeyKind.APP, "商城网站": KeyKind.BROWSER}
    return [app_keys.create(name, kind, BY, then).id for name, kind in kinds.items()]


def _add_people(source: Source, now: dt.datetime, progress: Progress) -> None:
    then = source.at
    with writing() as session:
        types = {name: kind for name, (kind, _) in crowd.PROPERTIES.items()}
        property_catalogue.add_properties(
            session, types, then, {name: label for name, (_, label) in crowd.PROPERTIES.items()}
        )
    rows: list[tuple[str, str, str]] = []
    for n, (xwho, properties) in enumerate(crowd.people(PEOPLE, SEED, now.date()), start=1):
        phones = {PHONE: normalise(properties[PHONE])} if PHONE in properties else {}
        rows.append((xwho, as_json(properties), as_json(phones)))
        if len(rows) == AT_ONCE or n == PEOPLE:
            with writing() as session:
                contacts.merge(session, rows, source.as_text(), then)
            progress(len(rows))
            rows = []


# -- channel, templates, segments -------------------------------------------------------------------------------------


def _add_channel(then: dt.datetime) -> int:
    values = {setting.name: setting.default for setting in registry.kinds()["simulator"].settings}
    values |= {"templates": "\n".join(_uploaded_list()), "signatures": SIGNATURE}
    fields = validation.ChannelFields(
        "模拟通道", values, rate=500, quiet_from="00:00", quiet_until="00:00", price=Decimal("0.045")
    )
    return accounts.create("simulator", fields, BY, then)


TEMPLATES: dict[str, tuple[str, str, Purpose, Audit, str]] = {
    # code: (name, text, purpose, audit, why it was refused)
    "QH-1001": (
        "会员日预告",
        "${name}您好，本周五会员日全场满300减60，${level}再享95折，下单即赠双倍积分。拒收请回复R",
        Purpose.MARKETING,
        Audit.APPROVED,
        "",
    ),
    "QH-1002": (
        "积分到期提醒",
        "${name}您好，您有${points}积分将于本月底到期，请在有效期内到会员中心兑换。",
        Purpose.NOTIFICATION,
        Audit.APPROVED,
        "",
    ),
    "QH-1003": (
        "生日祝福",
        "亲爱的${name}，生日快乐！一张50元生日礼券已放入您的账户，30天内有效。拒收请回复R",
        Purpose.MARKETING,
        Audit.APPROVED,
        "",
    ),
    "QH-1004": (
        "新店开业邀请",
        "青禾商城上海徐汇店开业啦！到店出示本短信即可领取定制帆布袋一只，数量有限，先到先得。拒收请回复R",
        Purpose.MARKETING,
        Audit.APPROVED,
        "",
    ),
    "QH-1005": (
        "新品上架",
        "${name}，新品今日上架，${level}可提前一小时选购，首批试穿名额仅限前500名。拒收请回复R",
        Purpose.MARKETING,
        Audit.PENDING,
        "",
    ),
    "QH-1006": (
        "限时秒杀",
        "${name}，全网最低价，错过再等一年！今晚八点秒杀开抢。拒收请回复R",
        Purpose.MARKETING,
        Audit.REFUSED,
        "含有绝对化用语“全网最低价”，请修改后重新提交。",
    ),
}


def _uploaded_list() -> Iterator[str]:
    """Yield the templates as the invented provider lists them, and one without a purpose."""
    for code, (_name, text, purpose, audit, refusal_reason) in TEMPLATES.items():
        state = f"{Audit.REFUSED}: {refusal_reason}" if refusal_reason else audit
        yield f"{code} | {state} | {purpose} | 【{SIGNATURE}】{text}"
    yield f"QH-1008 | {Audit.APPROVED} | | 【{SIGNATURE}】${{name}}您好，您预约的服务将于明天开始，请准时到店。"


def _add_templates(channel_id: int, then: dt.datetime) -> dict[str, int]:
    template_ids = {}
    for code, (name, text, purpose, audit, refusal_reason) in TEMPLATES.items():
        template = entry(code=code, name=name, text=text, signature=SIGNATURE, purpose=purpose)
        row = sms_templates.create(channel_id, template, Audit.PENDING if refusal_reason else audit, BY, then)
        if refusal_reason:
            sms_templates.refuse(row.id, refusal_reason, sms_templates.seen(row), BY, then)
        template_ids[code] = row.id
    return template_ids


def _one(name: str, operator: Operator, *params: Any) -> Condition:
    return Condition(name, crowd.PROPERTIES[name][0], operator, params)


SUBSCRIBED = Condition("subscribed", Type.BOOL, Operator.TRUE)
SEGMENTS: dict[str, Group] = {
    "全部用户": rules.EVERYONE,
    "愿意接收营销的会员": Group(Match.ALL, (SUBSCRIBED,)),
    "金卡与黑金会员": Group(Match.ALL, (_one("level", Operator.ONE_OF, ("金卡会员", "黑金会员")), SUBSCRIBED)),
    "华东新客": Group(
        Match.ALL,
        (
            _one("city", Operator.ONE_OF, ("上海", "杭州", "南京", "苏州", "宁波")),
            _one("tags", Operator.CONTAINS_ANY, ("新客",)),
        ),
    ),
    "积分超过一千": Group(Match.ALL, (_one("points", Operator.GREATER, 1000),)),
    "今天过生日": Group(Match.ALL, (_one("birthday", Operator.ANNIVERSARY, 0), SUBSCRIBED)),
    "九十天没有下单": Group(Match.ALL, (_one("last_order_at", Operator.LONGER_AGO, 90, "day"), SUBSCRIBED)),
    "上海用户": Group(Match.ALL, (_one("city", Operator.EQUALS, "上海"),)),
}


def _add_segments(then: dt.datetime) -> dict[str, int]:
    return {
        name: segments.create(name, rules.Kind.DYNAMIC, rule, by=BY, now=then).id for name, rule in SEGMENTS.items()
    }


# -- what was and what will be ----------------------------------------------------------------------------------------


def _local(now: dt.datetime, days: int, hour: int) -> dt.datetime:
    """Return that hour in the shop's zone, so many days from now."""
    day = now.astimezone(ZoneInfo(ZONE)).date() + dt.timedelta(days=days)
    return dt.datetime.combine(day, dt.time(hour), ZoneInfo(ZONE)).astimezone(dt.UTC)


def _once(at: dt.datetime) -> Schedule:
    local = at.astimezone(ZoneInfo(ZONE))
    return Schedule(Kind.ONCE, ZONE, local.time(), local.date())


def _confirm(draft: Draft, then: dt.datetime) -> int:
    campaign_id = drafts.create(draft, BY, then)
    template = sms_templates.get(draft.template_id or 0)
    campaigns.confirm(campaign_id, campaigns.get(campaign_id).version, sms_templates.seen(template), BY, then)
    return campaign_id


def _parts(code: str) -> int:
    """Return the billed parts of one message; no person's values bring a demo text to another number of parts."""
    text = TEMPLATES[code][1].replace("${name}", "王小明").replace("${level}", "金卡会员").replace("${points}", "12000")
    return parts(full_text(SIGNATURE, text), domestic=True)


def _send_then(shop: Shop, name: str, segment: str, code: str, then: dt.datetime, fates: demo.Fates) -> int:
    """Create a campaign that was sent at once, at `then`."""
    campaign_id = _confirm(shop.draft(name, segment, code, Schedule(Kind.NOW, ZONE)), then)
    run = runs.latest(current_session(), campaign_id)
    if run is not None:
        past.play(run.id, fates, _parts(code), then)
    return campaign_id


def _tell_past(shop: Shop, now: dt.datetime) -> None:
    _tell_weekly(shop, now)
    campaign_id = _send_then(shop, "会员节专享", "愿意接收营销的会员", "QH-1001", _local(now, -24, 10), past.USUAL)
    _hear_replies(shop, campaign_id, _local(now, -24, 11))
    _send_then(shop, "徐汇店开业邀请", "上海用户", "QH-1004", _local(now, -17, 15), past.USUAL)
    _send_then(shop, "月底积分到期提醒", "积分超过一千", "QH-1002", _local(now, -9, 9), past.USUAL)
    _send_then(shop, "华东新客首单礼", "华东新客", "QH-1004", _local(now, -6, 16), past.SIGNATURE_REFUSED)
    stopped_id = _confirm(
        shop.draft("黑金会员答谢（已改期）", "金卡与黑金会员", "QH-1001", _once(_local(now, -2, 19))),
        _local(now, -4, 17),
    )
    campaigns.stop(stopped_id, BY, _local(now, -3, 11))


def _tell_weekly(shop: Shop, now: dt.datetime) -> None:
    """Create a weekly campaign that was confirmed a month ago and goes on."""
    first = _local(now, -27, 10).astimezone(ZoneInfo(ZONE))
    weekly = Schedule(Kind.WEEKLY, ZONE, first.time(), first.date(), weekdays=(first.isoweekday(),))
    campaign_id = _confirm(shop.draft("每周会员日提醒", "金卡与黑金会员", "QH-1001", weekly), _local(now, -28, 14))
    while (due := campaigns.get(campaign_id).next_due_at) is not None and due < now:
        run_id = starting.start(campaign_id, due)
        if run_id is None:
            break
        past.play(run_id, past.USUAL, _parts("QH-1001"), due)
        current_session().expire_all()


WORDS = (
    "TD",
    "退订",
    "R",
    "谢谢",
    "收到",
    "TD",
    "这个活动线下门店可以用吗？",
    "T",
    "好的",
    "R",
    "td",
    "优惠券在哪里领",
    "退订",
)


def _hear_replies(shop: Shop, campaign_id: int, then: dt.datetime) -> None:
    """Let some recipients of the campaign reply; a few opt out."""
    run = runs.latest(current_session(), campaign_id)
    if run is None:
        return
    phones = demo.some_phones(current_session(), run.id, every=397, offset=5)
    with writing() as session:
        for n, phone in enumerate(phones):
            reply = Reply(phone=phone, text=WORDS[n % len(WORDS)])
            replies.take(session, shop.channel_id, None, n, reply, then + dt.timedelta(minutes=7 * n))


def _prepare_future(shop: Shop, now: dt.datetime) -> None:
    _confirm(
        shop.draft("会员日倒计时", "金卡与黑金会员", "QH-1001", _once(_local(now, 1, 10))), now - dt.timedelta(hours=3)
    )
    daily = Schedule(Kind.DAILY, ZONE, dt.time(9, 30), _local(now, 1, 9).astimezone(ZoneInfo(ZONE)).date())
    _confirm(shop.draft("生日祝福（每日）", "今天过生日", "QH-1003", daily), now - dt.timedelta(hours=2))
    at_once = Schedule(Kind.NOW, ZONE)
    drafts.create(shop.draft("老客召回：试一次发送", "九十天没有下单", "QH-1001", at_once), BY, now)
    drafts.create(Draft("新品上架（等模板审核）", AudienceRule.of(shop.segments["全部用户"]), shop.channel_id), BY, now)
