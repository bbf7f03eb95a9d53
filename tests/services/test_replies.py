"""Replies: kept once, understood, and laid to the campaign they most likely answer."""

from __future__ import annotations

import datetime as dt
from typing import Any, Protocol

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.channels.types import Reply as Incoming
from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.message import Status
from smsapp.domain.run import RunState
from smsapp.domain.run_snapshot import RunSnapshot
from smsapp.services.channels import registry
from smsapp.services.contacts import opt_outs
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import replies, unattributed_replies
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts.replies import Reply
from smsapp.store.db import current_session, writing
from smsapp.store.runs.partitions import ensure_partition
from smsapp.store.runs.runs import Message, Run
from smsapp.store.users import AuditEntry
from tests import builders
from tests.fakes import FakeClock

PHONE = "+8613800138000"


class Take(Protocol):
    """Takes in a reply, for the channel under test unless another is named."""

    def __call__(
        self,
        text: str,
        phone: str = "13800138000",
        *,
        inbox_id: int | None = 1,
        position: int = 0,
        channel_id: int | None = None,
    ) -> bool: ...


@pytest.fixture
def channel(app: Flask) -> ChannelRow:
    return builders.channel()


@pytest.fixture
def take(channel: ChannelRow, now: dt.datetime) -> Take:
    ours = channel.id

    def call(
        text: str,
        phone: str = "13800138000",
        *,
        inbox_id: int | None = 1,
        position: int = 0,
        channel_id: int | None = None,
    ) -> bool:
        with writing() as session:
            return replies.take(session, channel_id or ours, inbox_id, position, Incoming(phone=phone, text=text), now)

    return call


def sent(
    channel: ChannelRow, at: dt.datetime, phone: str = PHONE, status: Status = Status.DELIVERED, name: str = ""
) -> Campaign:
    """A campaign whose run wrote to this number."""
    campaign = builders.campaign(channel_id=channel.id, name=name)
    run = builders.kept(
        Run(
            campaign_id=campaign.id,
            slot=at,
            state=RunState.DONE,
            channel_id=channel.id,
            snapshot=RunSnapshot(),
            opened_at=at,
        )
    )
    ensure_partition(current_session(), run.id)
    builders.kept(Message(run_id=run.id, seq=1, contact_id=1, phone=phone, status=status))
    return campaign


def test_a_reply_is_kept_with_its_number_text_and_channel(take: Take, channel: ChannelRow, now: dt.datetime) -> None:
    assert take("收到，谢谢")
    (reply,) = replies.find_page(opt_out=None)
    assert (reply.phone, reply.text, reply.channel_id, reply.opt_out) == (PHONE, "收到，谢谢", channel.id, False)
    assert reply.received_at == now
    assert reply.campaign_id is None
    assert replies.opted_out([PHONE]) == set()


def test_an_opt_out_puts_the_number_on_the_list_for_every_campaign(
    take: Take, channel: ChannelRow, now: dt.datetime
) -> None:
    campaign = sent(channel, now - dt.timedelta(hours=2))
    take("Ｔ。")
    (reply,) = replies.find_page(opt_out=True)
    assert reply.campaign_id == campaign.id
    (listed,) = opt_outs.find_page()
    assert (listed.phone, listed.source, listed.channel_id, listed.campaign_id, listed.at) == (
        *(PHONE, "reply", channel.id, campaign.id, now),
    )
    assert replies.opted_out([PHONE, "+8613800138001"]) == {PHONE}


def test_the_same_reply_twice_is_kept_once(take: Take) -> None:
    assert take("TD")
    opt_outs.remove(opt_outs.find_page()[0].id, "重新同意", Actor("olga"), dt.datetime(2026, 3, 3, tzinfo=dt.UTC))
    assert not take("TD")
    assert len(replies.find_page(opt_out=None)) == 1
    assert opt_outs.find_page() == []  # the person agreed again in between: an old callback does not undo that


def test_several_replies_of_one_callback_are_told_apart(take: Take) -> None:
    assert take("一", position=0)
    assert take("二", position=1)
    assert take("三", inbox_id=2)
    assert take("四", inbox_id=None)
    assert take("五", inbox_id=None)
    assert len(replies.find_page(opt_out=None)) == 5


def test_what_the_provider_takes_for_an_opt_out_is_one_whatever_was_written(
    channel: ChannelRow, now: dt.datetime
) -> None:
    with writing() as session:
        incoming = Incoming(phone=PHONE, text="够了", opts_out=True)
        replies.take(session, channel.id, 1, 0, incoming, now)
    (reply,) = replies.find_page(opt_out=True)
    assert reply.text == "够了"
    assert replies.opted_out([PHONE]) == {PHONE}


def test_a_second_opt_out_of_a_number_changes_nothing(take: Take) -> None:
    take("TD")
    take("退订", inbox_id=2)
    assert len(replies.find_page(opt_out=True)) == 2
    assert len(opt_outs.find_page()) == 1


def test_a_reply_answers_the_latest_run_that_wrote_to_the_number(
    take: Take, channel: ChannelRow, now: dt.datetime
) -> None:
    sent(channel, now - dt.timedelta(days=3), name="先")
    latest = sent(channel, now - dt.timedelta(days=1), name="后")
    sent(channel, now - dt.timedelta(hours=1), phone="+8613900139000", name="别人")
    sent(builders.channel(), now - dt.timedelta(hours=1), name="别的通道")
    sent(channel, now - dt.timedelta(hours=1), status=Status.REFUSED, name="没发出")
    sent(channel, now - dt.timedelta(hours=1), status=Status.CANCELLED, name="取消")
    take("好的")
    (reply,) = replies.find_page(opt_out=None)
    assert reply.campaign_id == latest.id
    assert replies.campaign_names([latest.id, None]) == {latest.id: "后"}


def test_an_unconfirmed_message_may_have_been_read(take: Take, channel: ChannelRow, now: dt.datetime) -> None:
    campaign = sent(channel, now, status=Status.UNCONFIRMED)
    take("好的")
    assert replies.find_page(opt_out=None)[0].campaign_id == campaign.id


def test_a_reply_after_a_month_answers_nothing(take: Take, channel: ChannelRow, now: dt.datetime) -> None:
    sent(channel, now - dt.timedelta(days=31))
    take("好的")
    assert replies.find_page(opt_out=None)[0].campaign_id is None


def test_many_runs_are_looked_through_newest_first(
    take: Take, channel: ChannelRow, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smsapp.store.contacts.likely_text.AT_ONCE", 2)
    oldest = sent(channel, now - dt.timedelta(days=5))
    for hours in range(1, 5):
        sent(channel, now - dt.timedelta(hours=hours), phone=f"+861390013900{hours}")
    take("好的")
    assert replies.find_page(opt_out=None)[0].campaign_id == oldest.id


@pytest.mark.parametrize("phone", ["10690000", "anonymous sender name", ""])
def test_a_sender_without_a_number_is_kept_but_not_listed(take: Take, phone: str) -> None:
    assert take("TD", phone=phone)
    reply = replies.find_page(opt_out=True)[0]
    assert (reply.phone, reply.sender, reply.waits) == ("", phone, True)
    assert opt_outs.find_page() == []


@pytest.mark.parametrize("odd", ["\0", "\ud800"], ids=["nul", "lone surrogate"])
def test_what_no_database_stores_is_no_reason_to_lose_a_reply(take: Take, odd: str) -> None:
    take(f"好{odd}的")
    assert replies.find_page(opt_out=None)[0].text == "好的"


def test_replies_are_found_by_words_and_by_number_and_page_by_page(take: Take) -> None:
    for position, text in enumerate(["50%折扣", "50元", "TD", "好的", "谢谢"]):
        take(text, position=position)
    take("别人", phone="13900139000", inbox_id=2)

    def texts(**given: Any) -> list[str]:
        return [reply.text for reply in replies.find_page(**({"opt_out": None} | given))]

    assert texts(words="50%", sees_full_numbers=True) == ["50%折扣"]
    assert texts(words="50%折") == ["50%折扣"]
    assert texts(words="139 0013 9000") == ["别人"]
    assert texts(words="+8613900139000") == ["别人"]
    assert texts(opt_out=True) == ["TD"]
    first = replies.find_page(opt_out=None, limit=4)
    assert texts(before=first[-1].id) == ["50元", "50%折扣"]
    assert current_session().query(Reply).count() == 6


def test_a_number_in_a_text_cannot_be_found_out_by_searching(take: Take) -> None:
    take("我的新号是138-0013-8000", position=0)
    take("1", position=1)

    def texts(words: str, *, sees_full_numbers: bool = False) -> list[str]:
        return [
            reply.text for reply in replies.find_page(opt_out=None, words=words, sees_full_numbers=sees_full_numbers)
        ]

    assert texts("0013", sees_full_numbers=True) == ["我的新号是138-0013-8000"]
    assert [texts(words) for words in ("0013", "-0013-", "是138-001", "13")] == [[], [], [], []]
    assert texts("1") == ["1"]
    assert texts("新号是") == ["我的新号是138-0013-8000"]


def test_a_text_no_phone_can_have_sent_is_cut_with_a_mark(app: Flask, clock: FakeClock) -> None:
    channel_id = builders.channel().id
    with writing() as session:
        for n, length in enumerate((5000, 100_000)):
            replies.take(session, channel_id, n + 1, 0, Incoming("+8613800138000", "长" * length), clock.now)
    assert sorted(len(row.text) for row in current_session().query(Reply)) == [5000, 5000]
    assert sum(row.text.endswith(" […]") for row in current_session().query(Reply)) == 1


@pytest.mark.parametrize(
    ("sender", "country", "number"),
    [
        ("13800138021", "", "+8613800138021"),
        ("15122345678", "", "+8615122345678"),
        ("013800138021", "CN", "+8613800138021"),
        ("\u2068+86 138\u00ad0013\u20698021", "", "+8613800138021"),
        ("07911123456", "GB", "+447911123456"),
        ("5122345678", "US", "+15122345678"),
    ],
)
def test_a_national_sender_is_read_with_the_country_of_the_channel(
    app: Flask, take: Take, now: dt.datetime, sender: str, country: str, number: str
) -> None:
    abroad = builders.channel(kind="gateway", country=country)
    take("TD", sender, channel_id=abroad.id)
    assert replies.opted_out([number]) == {number}


def test_a_chinese_provider_writes_chinese_numbers_whatever_the_country_of_the_product(
    app: Flask, take: Take, now: dt.datetime
) -> None:
    app.config["DEFAULT_REGION"] = "US"
    chinese = next(name for name, kind in registry.kinds().items() if kind.home == "CN")
    take("退订TD", "15122345678", channel_id=builders.channel(kind=chinese).id)
    assert [row.phone for row in opt_outs.find_page()] == ["+8615122345678"]


def test_an_opt_out_whose_sender_cannot_be_read_waits_for_a_person(
    app: Flask, take: Take, channel: ChannelRow, now: dt.datetime
) -> None:
    # given
    take("拒收R", "Bank-10690001-and-a-very-long-name")
    (reply,) = unattributed_replies.find_page()
    assert (reply.phone, reply.sender, reply.opt_out, reply.waits) == (
        *("", "Bank-10690001-and-a-very-long-name", True, True),
    )
    assert opt_outs.find_page() == []
    assert unattributed_replies.count() == 1
    # when a person knows whose it is
    olga = Actor("olga")
    with pytest.raises(Refusal):
        unattributed_replies.assign(reply.id, "Bank", olga, now)
    campaign = sent(channel, now - dt.timedelta(hours=2))
    assert unattributed_replies.assign(reply.id, "138 0013 8000", olga, now)
    # then it is an opt-out like any other, and audited without the number
    (listed,) = opt_outs.find_page()
    assert (listed.phone, listed.source, listed.channel_id, listed.campaign_id) == (
        *(PHONE, "reply", channel.id, campaign.id),
    )
    assert unattributed_replies.find_page() == []
    line = builders.existing(current_session().scalars(sa.select(AuditEntry).order_by(AuditEntry.id.desc())).first())
    assert (line.by, line.action, line.noun, line.facts) == ("olga", "assign", "reply", {"number": "138****8000"})
    # and it cannot be decided twice
    with pytest.raises(NotFound):
        unattributed_replies.dismiss(reply.id, "too late", olga, now)


def test_a_reply_that_needs_no_number_is_dismissed_with_a_reason(app: Flask, take: Take, now: dt.datetime) -> None:
    take("Your balance is 5", "BALANCE")
    (reply,) = unattributed_replies.find_page()
    with pytest.raises(Refusal):
        unattributed_replies.dismiss(reply.id, " ", Actor("olga"), now)
    unattributed_replies.dismiss(reply.id, "运营商的余额提醒 13800138000", Actor("olga"), now)
    assert unattributed_replies.count() == 0
    assert len(replies.find_page(opt_out=None)) == 1
    line = builders.existing(current_session().scalars(sa.select(AuditEntry).order_by(AuditEntry.id.desc())).first())
    assert (line.action, line.facts) == ("dismiss", {"reason": "运营商的余额提醒 138****8000"})
