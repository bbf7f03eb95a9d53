"""Tags and the archive: what they change, and what they never do."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.campaign import Action, Status
from smsapp.domain.errors import Refusal
from smsapp.domain.message import Status as MessageStatus
from smsapp.domain.tags import MOST, Item
from smsapp.services.campaigns import archiving, campaign_list, campaigns, choices, drafts
from smsapp.services.campaigns.archiving import InUse
from smsapp.services.campaigns.campaign_list import Wanted
from smsapp.services.campaigns.choices import Choosable
from smsapp.services.contacts import ledger_choices, segments
from smsapp.services.platform import tags
from smsapp.services.platform.audit_log import Actor
from smsapp.services.reports import reports, verify
from smsapp.services.templates import sms_templates
from smsapp.store import tags as store
from smsapp.store.campaigns import campaigns as rows
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session, writing
from smsapp.store.sms_templates import SmsTemplate
from smsapp.store.tags import Tag
from tests import builders, ledgers

BY = Actor("olga")
LOTS = [(MessageStatus.DELIVERED, "", "DELIVRD", 2), (MessageStatus.REFUSED, "bad_number", "X", 1)]


@pytest.fixture(autouse=True)
def database(app: Flask) -> None:
    """Everything here is about the database."""


def fresh(campaign_id: int) -> Campaign:
    current_session().expire_all()
    return current_session().get_one(Campaign, campaign_id)


def put(campaign_id: int, *names: str) -> None:
    tags.change(Item.CAMPAIGN, campaign_id, names, BY, builders.LONG_AGO)


def listed(tag: str = "", *, archived: bool = False, keyword: str = "") -> list[str]:
    wanted = Wanted(keyword=keyword, tag=tags.filter_by(Item.CAMPAIGN, tag), archived=archived)
    return [line.campaign.name for line in campaign_list.listing(wanted, builders.LONG_AGO).lines]


def test_a_tag_is_the_same_however_it_is_written(now: dt.datetime) -> None:
    first, second = builders.campaign(name="一"), builders.campaign(name="二")

    put(first.id, "VIP", "会员日")
    put(second.id, " ｖｉｐ ", "vip", "")

    assert tags.of(Item.CAMPAIGN, second.id) == ("VIP",)
    assert current_session().scalars(sa.select(Tag.name).order_by(Tag.key)).all() == ["VIP", "会员日"]
    assert listed("Vip") == ["二", "一"]
    assert listed("vip", keyword="一") == ["一"]
    assert listed("没有") == []


def test_what_somebody_else_tagged_meanwhile_stays(now: dt.datetime) -> None:
    campaign = builders.campaign()
    put(campaign.id, "甲", "乙")

    # Given a form that shows 甲 and 乙, while somebody else takes 甲 away and adds 丁
    put(campaign.id, "乙", "丁")
    # When 乙 is replaced by 丙 there
    tags.change(Item.CAMPAIGN, campaign.id, ["甲", "丙"], BY, now, seen=["甲", "乙"])

    assert set(tags.of(Item.CAMPAIGN, campaign.id)) == {"丙", "丁"}


def test_too_many_or_too_long_tags_change_nothing(now: dt.datetime) -> None:
    campaign = builders.campaign()
    put(campaign.id, "留下")

    for names in ([f"标签{n}" for n in range(MOST + 1)], ["长" * 31]):
        with pytest.raises(Refusal):
            tags.change(Item.CAMPAIGN, campaign.id, names, BY, now)

    assert tags.of(Item.CAMPAIGN, campaign.id) == ("留下",)


def test_a_tag_is_renamed_and_two_are_merged_for_all_kinds(now: dt.datetime) -> None:
    campaign, other = builders.campaign(), builders.campaign()
    put(campaign.id, "双11", "双十一")
    put(other.id, "双11")
    segment_id = campaign.segment_id or 0
    tags.change(Item.SEGMENT, segment_id, ["双11"], BY, now)
    short, long = (tag for tag, _used in tags.listing())

    with pytest.raises(Refusal) as refused:
        tags.rename(short.id, "双十一", BY, now)
    assert refused.value.problems[0].code == "tag_exists"
    tags.rename(short.id, "双十一", BY, now, merge=True)

    assert [tags.of(Item.CAMPAIGN, one.id) for one in (campaign, other)] == [("双十一",)] * 2
    assert tags.of(Item.SEGMENT, segment_id) == ("双十一",)
    tags.rename(long.id, "大促", BY, now)
    assert [(tag.name, used) for tag, used in tags.listing()] == [("大促", [Item.CAMPAIGN, Item.SEGMENT])]
    tags.remove(long.id, BY, now)
    assert tags.of(Item.CAMPAIGN, campaign.id) == ()


def test_a_frequent_tag_is_asked_of_each_row_and_not_counted(now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FEW", 2)
    for n in range(4):
        put(builders.campaign(name=f"第{n}条").id, "常用", *["少见"] * (n == 1))
    builders.campaign(name="没有标签")

    assert listed("常用") == ["第3条", "第2条", "第1条", "第0条"]
    assert listed("少见") == ["第1条"]
    often = Wanted(tag=tags.filter_by(Item.CAMPAIGN, "常用"))
    assert not campaign_list.listing(often, now).is_counted
    page = campaign_list.listing(often, now, limit=2)
    assert len(campaign_list.listing(often, now, after=page.older, limit=2).lines) == 2


def test_a_copy_keeps_its_tags(now: dt.datetime) -> None:
    campaign = builders.campaign(name="原件")
    put(campaign.id, "会员日")

    copy = campaigns.save_as(campaign.id, "副本", BY, now)

    assert tags.of(Item.CAMPAIGN, copy.id) == ("会员日",)


def test_tags_and_the_archive_change_neither_version_nor_what_is_approved(now: dt.datetime) -> None:
    campaign = builders.campaign(status=Status.SENT)
    draft = drafts.draft_of(campaign)
    mark = sms_templates.get(campaign.template_id or 0).mark

    put(campaign.id, "新标签")
    archiving.archive(Item.CAMPAIGN, campaign.id, BY, now)
    archiving.archive(Item.TEMPLATE, campaign.template_id or 0, BY, now)
    archiving.archive(Item.SEGMENT, campaign.segment_id or 0, BY, now)

    after = fresh(campaign.id)
    assert (after.version, after.updated_at, drafts.draft_of(after)) == (1, builders.LONG_AGO, draft)
    assert current_session().get_one(SmsTemplate, campaign.template_id).mark == mark


def test_what_is_archived_leaves_list_and_choices_and_comes_back(now: dt.datetime) -> None:
    campaign = ledgers.campaign(name="去年", status=Status.SENT)
    ledgers.run(campaign, LOTS, {})
    segment_id, template_id = campaign.segment_id or 0, campaign.template_id or 0
    items = [(Item.CAMPAIGN, campaign.id), (Item.SEGMENT, segment_id), (Item.TEMPLATE, template_id)]

    def shown() -> list[bool]:
        current_session().expire_all()
        return [
            "去年" in listed(),
            campaign.id in [row.id for row in ledger_choices.campaigns()],
            segment_id in [choice.id for choice in choices.search(Choosable.SEGMENT, "", None, 20)],
            segment_id in [line.segment.id for line in segments.listing()],
            template_id in [row.id for row in sms_templates.choices(campaign.channel_id or 0)],
            template_id in [row.id for row in sms_templates.find_page()],
        ]

    assert shown() == [True] * 6
    for item, item_id in items:
        archiving.archive(item, item_id, BY, now)
    assert shown() == [False] * 6
    assert listed(archived=True) == ["去年"]
    assert [line.segment.id for line in segments.listing(archived=True)] == [segment_id]
    assert [row.id for row in sms_templates.find_page(archived=True)] == [template_id]
    assert [archiving.restore(item, [item_id], BY, now) for item, item_id in items] == [1, 1, 1]
    assert shown() == [True] * 6
    assert archiving.restore(Item.CAMPAIGN, [campaign.id], BY, now) == 0


def test_reports_and_sums_do_not_know_the_archive(now: dt.datetime) -> None:
    campaign = ledgers.campaign(status=Status.SENT)
    ledgers.run(campaign, LOTS, {})

    def numbers() -> object:
        current_session().expire_all()
        report = reports.report(campaign.id, None, now)
        checks = list(verify.verify(campaign.id))
        return report.funnel, report.audience, checks

    before = numbers()
    archiving.archive(Item.CAMPAIGN, campaign.id, BY, now)
    archiving.archive(Item.SEGMENT, campaign.segment_id or 0, BY, now)
    archiving.archive(Item.TEMPLATE, campaign.template_id or 0, BY, now)

    assert numbers() == before


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.DRAFT, "archive_draft"), (Status.WAITING, "archive_waiting"), (Status.SENDING, "archive_sending")],
)
def test_what_has_not_ended_is_not_archived(now: dt.datetime, status: Status, code: str) -> None:
    campaign, ended = builders.campaign(status=status), builders.campaign(status=Status.STOPPED)

    refused = archiving.archive_campaigns([campaign.id, ended.id, 9999], BY, now)

    assert {campaign_id: problem.code for campaign_id, problem in refused.items()} == {
        campaign.id: code,
        9999: "not_found",
    }
    assert fresh(campaign.id).archived_at is None
    assert fresh(ended.id).archived_at == now


def test_what_waiting_campaigns_use_is_not_archived_and_drafts_say_what_is(now: dt.datetime) -> None:
    waiting = builders.campaign(name="明早", status=Status.WAITING)
    draft = builders.campaign()

    for item, item_id in ((Item.SEGMENT, waiting.segment_id), (Item.TEMPLATE, waiting.template_id)):
        with pytest.raises(InUse) as in_use:
            archiving.archive(item, item_id or 0, BY, now)
        assert in_use.value.campaigns == [(waiting.id, "明早")]
    archiving.archive(Item.SEGMENT, draft.segment_id or 0, BY, now)
    archiving.archive(Item.TEMPLATE, draft.template_id or 0, BY, now)

    codes = [problem.code for problem in drafts.problems(drafts.draft_of(draft), now)]
    assert codes == ["segment_archived", "template_archived"]


def test_whatever_was_sent_cannot_be_deleted(now: dt.datetime) -> None:
    """Given a run, even of a campaign that somebody deleted before, then neither it nor what it used can go."""
    campaign = ledgers.campaign(status=Status.STOPPED)
    ledgers.run(campaign, LOTS, {})
    deleted = ledgers.campaign(status=Status.FAILED, deleted_at=now)
    ledgers.run(deleted, LOTS, {})

    assert campaigns.delete([campaign.id], BY, now) == [campaign.id]
    for one in (campaign, deleted):
        with pytest.raises(Refusal) as kept_segment:
            segments.delete(one.segment_id or 0, by=BY, now=now)
        with pytest.raises(Refusal) as kept_template:
            sms_templates.delete(one.template_id or 0, BY, now)
        codes = [refused.value.problems[0].code for refused in (kept_segment, kept_template)]
        assert codes == ["segment_was_sent", "template_was_sent"]


def test_what_is_sent_again_is_no_longer_archived(now: dt.datetime) -> None:
    campaign = builders.campaign(status=Status.SENT)
    archiving.archive(Item.CAMPAIGN, campaign.id, BY, now)

    with writing() as session:
        assert rows.move(session, campaign.id, Action.RETRY)

    assert fresh(campaign.id).archived_at is None
