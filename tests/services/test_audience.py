"""Who is written to and who is left out, and why."""

from __future__ import annotations

import json

import sqlalchemy as sa
from flask import Flask

from smsapp.domain.audience_rule import AudienceRule
from smsapp.domain.campaign import ExclusionReason, Status
from smsapp.domain.numbering import SPECIAL
from smsapp.domain.trust import Origin, Source
from smsapp.services.channels import phone_properties
from smsapp.services.contacts import audience, segments
from smsapp.store.campaigns.campaigns import audience_of
from smsapp.store.contacts.contacts import Contact, Profile, create, merge, phones_of
from smsapp.store.contacts.replies import OptOut
from smsapp.store.db import writing
from smsapp.store.users import Preference
from tests import audiences, builders
from tests.engine import (
    confirmed,
    funnel,
    status,
    the_run,
    work,
)
from tests.fakes import FakeChannel, FakeClock


def test_everybody_is_written_to_or_left_out_for_one_reason(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given people of every kind
    builders.contact("fine", "+8613800000001", properties={"name": "小明"})
    builders.contact("same number", "+8613800000001", properties={"name": "小红"})
    builders.contact("no number", None, properties={"name": "小刚"})
    builders.contact("invalid", "", properties={"name": "小丽"})
    builders.contact("opted out", "+8613800000002", properties={"name": "小芳"})
    builders.contact("nameless", "+8613800000003")
    builders.kept(OptOut(phone="+8613800000002", source="person", at=clock.now))
    channel = builders.channel()
    template = builders.template(channel.id, text="${name}您好")
    mapping = {"name": {"property": "name", "fallback": None}}
    campaign, run_id = confirmed(clock.now, channel_id=channel.id, template_id=template.id, mapping=mapping)
    # when it is counted before, and sent
    before = audiences.counts(audience_of(campaign), channel.id, template.id, mapping, now=clock.now)
    work(app, clock)
    # then
    result = funnel(run_id)
    assert (result.target, result.effective, result.planned, result.accepted) == (6, 4, 1, 1)
    assert result.excluded == {
        ExclusionReason.NO_NUMBER: 1,
        ExclusionReason.INVALID_NUMBER: 1,
        ExclusionReason.OPTED_OUT: 1,
        ExclusionReason.MISSING_VALUE: 1,
        ExclusionReason.DUPLICATE_NUMBER: 1,
    }
    assert (before.target, before.effective, before.planned) == (6, 4, 1)
    assert dict(before.left_out) == dict(result.excluded)
    assert provider.texts == {"+8613800000001": "【青禾商城】小明您好"}
    assert status(campaign) == Status.SENT


def test_a_number_is_not_a_duplicate_of_somebody_who_gets_nothing(app: Flask, clock: FakeClock) -> None:
    builders.contact("nameless", "+8613800000001")
    builders.contact("named", "+8613800000001", properties={"name": "小明"})
    channel = builders.channel()
    template = builders.template(channel.id, text="${name}您好")
    mapping = {"name": {"property": "name", "fallback": ""}}
    counts = audiences.counts(AudienceRule.of(builders.segment().id), channel.id, template.id, mapping, now=clock.now)
    assert (counts.planned, counts.left_out) == (1, {ExclusionReason.MISSING_VALUE: 1})


def test_values_are_written_as_people_write_them_and_go_out_as_text(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a property of every type, and a template that names each
    held = {"day": "2026-03-01T00:00:00", "vip": True, "points": 12.50, "tags": ["金卡", "华东"]}
    for name, kind in {"day": "datetime", "vip": "bool", "points": "number", "tags": "list"}.items():
        builders.known_property(name, kind)
    builders.contact("somebody", "+8613800000001", properties=held)
    channel = builders.channel()
    template = builders.template(channel.id, text="到期${day}，会员${vip}，积分${points}，标签${tags}")
    mapping = {name: {"property": name, "fallback": None} for name in held} | {
        "day": {"property": "day", "fallback": None, "form": "day_zh"}
    }
    _campaign, run_id = confirmed(clock.now, channel_id=channel.id, template_id=template.id, mapping=mapping)
    values: list[tuple[str, ...]] = []
    provider.script = lambda submission: values.extend(message.values for message in submission.messages)
    # when
    work(app, clock)
    # then the provider gets texts, and the whole reads as a person would write it
    assert provider.texts == {"+8613800000001": "【青禾商城】到期3月1日，会员是，积分12.5，标签金卡、华东"}
    assert values == [("3月1日", "是", "12.5", "金卡、华东")]
    assert the_run(run_id).parts == 1


def test_a_value_that_is_a_trap_leaves_the_person_out(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    # given a name that a stranger reported (security 1a), one that is too long, and one that is fine
    trap = "，账户异常请立即登录 http://bad.example/x 验证"
    builders.contact("QH000005", "+8613800000005", properties={"name": trap})
    builders.contact("long", "+8613800000006", properties={"name": "长" * 61})
    builders.contact("fine", "+8613800000007", properties={"name": "陈涛"})
    channel = builders.channel()
    template = builders.template(channel.id, text="${name}您好")
    mapping = {"name": {"property": "name", "fallback": None}}
    campaign, run_id = confirmed(clock.now, channel_id=channel.id, template_id=template.id, mapping=mapping)
    before = audiences.counts(audience_of(campaign), channel.id, template.id, mapping, now=clock.now)
    # when
    work(app, clock)
    # then
    assert provider.texts == {"+8613800000007": "【青禾商城】陈涛您好"}
    assert funnel(run_id).excluded == before.left_out == {ExclusionReason.UNFIT_VALUE: 2}


def test_a_template_that_declares_it_takes_a_link(app: Flask, provider: FakeChannel, clock: FakeClock) -> None:
    builders.contact("somebody", "+8613800000001", properties={"url": "https://t.cn/abc"})
    channel = builders.channel()
    template = builders.template(channel.id, text="点 ${url} 查看", allowed={"url": {"links": True}})
    mapping = {"url": {"property": "url", "fallback": None}}
    confirmed(clock.now, channel_id=channel.id, template_id=template.id, mapping=mapping)
    work(app, clock)
    assert provider.texts == {"+8613800000001": "【青禾商城】点 https://t.cn/abc 查看"}


def test_the_frequency_cap_counts_what_other_campaigns_sent(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given a cap of one marketing message a day, and a campaign that has been sent
    builders.contacts(3)
    builders.kept(Preference(name=audience.CAPS, value={"enabled": True, "per_day": 1, "per_week": 3}))
    channel = builders.channel()
    template = builders.template(channel.id, purpose="marketing")
    _first, first_run = confirmed(clock.now, channel_id=channel.id, template_id=template.id)
    work(app, clock)
    # when another one follows on the same day, and one on the next day
    clock.forward(hours=1)
    _second, second_run = confirmed(clock.now, channel_id=channel.id, template_id=template.id)
    work(app, clock)
    clock.forward(days=1)
    _third, third_run = confirmed(clock.now, channel_id=channel.id, template_id=template.id)
    work(app, clock)
    # then
    assert funnel(first_run).accepted == 3
    assert funnel(second_run).excluded == {ExclusionReason.FREQUENCY_CAP: 3}
    assert funnel(third_run).accepted == 3


def test_a_channel_may_ask_for_numbers_that_somebody_trusted_has_entered(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given numbers from everywhere
    sources = {
        "browser": "b:1:1764460800",
        "app": "a:2:1764460800",
        "server": "s:3:1764460800",
        "file": "i:7:1764460800",
    }
    for n, (xwho, source) in enumerate(sources.items(), start=1):
        builders.contact(xwho, builders.phone(n), sources={"$phone": source})
    builders.contact("unknown", builders.phone(5))
    builders.contact("nobody can read it", "", sources={"$phone": sources["browser"]})
    builders.contact("opted out as well", builders.phone(6), sources={"$phone": sources["browser"]})
    builders.kept(OptOut(phone=builders.phone(6), source="person", at=clock.now))
    # when one channel asks for trusted numbers and another does not
    strict, easy = builders.channel(trusted_numbers=True), builders.channel()
    campaign, run_id = confirmed(clock.now, channel_id=strict.id)
    before = audiences.counts(audience_of(campaign), strict.id, now=clock.now)
    others = audiences.counts(audience_of(campaign), easy.id, now=clock.now)
    work(app, clock)
    # then the numbers of public keys are left out, after the unreadable one and before opt-outs, and all adds up
    result = funnel(run_id)
    assert result.excluded == {ExclusionReason.INVALID_NUMBER: 1, ExclusionReason.UNTRUSTED_NUMBER: 3}
    assert (result.target, result.effective, result.planned, result.accepted) == (7, 6, 3, 3)
    assert dict(before.left_out) == dict(result.excluded)
    assert dict(others.left_out) == {ExclusionReason.INVALID_NUMBER: 1, ExclusionReason.OPTED_OUT: 1}
    assert set(provider.texts) == {builders.phone(3), builders.phone(4), builders.phone(5)}


def test_numbers_of_other_classes_and_countries_are_left_out_with_reasons_of_their_own(
    app: Flask, provider: FakeChannel, clock: FakeClock
) -> None:
    # given numbers of every class and country, of which one is also opted out
    reads = {
        "mobile": "13800000001",
        "premium": "+979123456789",
        "opted out premium": "+979123456780",
        "satellite": "13491234567",
        "toll-free": "+1 800 234 5678",
        "landline": "+44 20 7183 8750",
        "abroad": "+44 7911 123456",
        "island": "+1 876 555 0123",
        "invalid": "nonsense",
    }
    with writing() as session:
        rows = [
            Profile(who, {"$phone": raw}, phones_of({"$phone": raw}, ["$phone"], "CN")) for who, raw in reads.items()
        ]
        create(session, rows, clock.now)
    builders.kept(OptOut(phone="+979123456780", source="person", at=clock.now))
    channel = builders.channel(countries=["CN", "US"], number_classes=["toll_free"])
    template = builders.template(channel.id)
    campaign, run_id = confirmed(clock.now, channel_id=channel.id, template_id=template.id)
    # when it is counted before, and sent
    before = audiences.counts(audience_of(campaign), channel.id, template.id, now=clock.now)
    work(app, clock)
    # then each has the first reason that holds, and the numbers add up
    result = funnel(run_id)
    assert result.excluded == {
        ExclusionReason.INVALID_NUMBER: 1,
        ExclusionReason.NUMBER_CLASS: 4,
        ExclusionReason.COUNTRY: 2,
    }
    assert (result.target, result.planned) == (9, 2)
    assert dict(before.left_out) == dict(result.excluded)
    assert sorted(provider.texts) == ["+18002345678", "+8613800000001"]
    # and the segment's reach says the same
    reached = {reach.channels: reach.counts for reach in segments.reach(sa.select(Contact.id))}
    assert dict(reached[(channel.name,)].left_out) == dict(result.excluded)
    # and a channel that allows every class and country writes to all of them, but not to who opted out
    everything = builders.channel(number_classes=[*SPECIAL])
    assert dict(audiences.counts(audience_of(campaign), everything.id, now=clock.now).left_out) == {
        ExclusionReason.INVALID_NUMBER: 1,
        ExclusionReason.OPTED_OUT: 1,
    }


def test_five_thousand_premium_numbers_get_nothing(app: Flask, clock: FakeClock) -> None:
    """A stranger with a public AppKey reports them; nobody has to allow what nobody asked for."""
    with writing() as session:
        numbers = [f"+979{n:09d}" for n in range(123_450_000, 123_455_000)]
        rows = [(number, "{}", json.dumps({"$phone": number})) for number in numbers]
        merge(session, rows, Source(Origin.IMPORT, 1, clock.now).as_text(), clock.now)
    counts = audiences.counts(AudienceRule.of(builders.segment().id), builders.channel().id, now=clock.now)
    assert (counts.target, counts.planned, dict(counts.left_out)) == (5000, 0, {ExclusionReason.NUMBER_CLASS: 5000})


def test_the_class_of_numbers_that_are_there_already_is_read_with_them(app: Flask, clock: FakeClock) -> None:
    builders.contact(properties={"mobile": "+44 20 7183 8750"})
    channel = builders.channel(phone_property="mobile")
    phone_properties.rebuild_phones("mobile")
    counts = audiences.counts(AudienceRule.of(builders.segment().id), channel.id, now=clock.now)
    assert dict(counts.left_out) == {ExclusionReason.NUMBER_CLASS: 1}
