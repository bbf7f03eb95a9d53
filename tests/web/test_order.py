"""Tags and the archive in the pages of campaigns, segments and templates."""

from __future__ import annotations

from typing import Any

import pytest
import redis

from config import Config
from smsapp.domain.campaign import Status
from smsapp.domain.tags import Item
from smsapp.services.platform import tags
from smsapp.services.platform.audit_log import Actor
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session
from tests import builders, ledgers
from tests.pages import Page, Pages
from tests.services.test_archiving import LOTS


@pytest.fixture
def config(sqlite_config: Config, valkey: redis.Redis) -> Config:
    """SQLite alone: pages do not depend on the database."""
    return sqlite_config


@pytest.fixture
def olga(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


def names(page: Page) -> list[str]:
    return page.texts("#campaign-table .cell-main")


def tagged(item: Item, item_id: int) -> tuple[str, ...]:
    current_session().expire_all()
    return tags.of(item, item_id)


def test_tags_are_typed_into_the_form_of_a_campaign_and_lead_to_the_list(olga: Pages) -> None:
    builders.campaign(name="没有标签")
    draft = builders.campaign(name="五一")
    form: dict[str, Any] = {"name": "五一", "do": "save", "kind": "now", "zone": "Asia/Shanghai", "version": "1"}

    too_long = olga.post(f"/campaigns/{draft.id}/edit", 422, tags="长" * 31, tags_seen="", **form)
    page = olga.post(f"/campaigns/{draft.id}/edit", tags="会员日、VIP， vip", tags_seen="", **form)
    again = olga.post(
        f"/campaigns/{draft.id}/edit",
        **form | {"version": page.value("[name=version]")},
        tags="VIP",
        tags_seen="VIP, 会员日",
    )

    assert "too long for a tag" in too_long.texts("#tags-error")[0]
    assert page.value("#tags") == "VIP, 会员日"
    assert again.value("#tags") == "VIP"
    listed = olga.get("/campaigns/?q=五")
    assert listed.texts(".tag") == ["VIP"]
    assert names(olga.get(listed.value(".tag", "href"))) == ["五一"]
    assert names(olga.get("/campaigns/?tag=ｖｉｐ&status=draft&q=没有")) == []
    assert [option["value"] for option in olga.get("/campaigns/").select("#known-tags option")] == ["VIP", "会员日"]


def test_segments_and_templates_have_tags_too(olga: Pages) -> None:
    segment = builders.segment(name="老客")
    channel = builders.channel()
    template = builders.template(channel.id, name="回馈")
    builders.segment(name="别的")
    builders.template(channel.id, name="别的")

    rule: dict[str, Any] = {"rule.match": "all", "kind": "dynamic", "do": "save"}
    olga.post(f"/segments/{segment.id}/edit", name="老客", tags="会员日", tags_seen="", **rule)
    olga.post(f"/tags/sms_template/{template.id}", tags="会员日", tags_seen="")

    assert tagged(Item.SEGMENT, segment.id) == tagged(Item.TEMPLATE, template.id) == ("会员日",)
    assert olga.get("/segments/?tag=会员日").texts("td.cell-main > a") == ["老客"]
    assert olga.get("/templates/?tag=会员日").texts("td.cell-main > a") == ["回馈"]
    assert olga.get(f"/templates/{template.id}").texts(".tag") == ["会员日"]
    assert olga.get("/tags/").texts("td[data-label='Used by'] a") == ["Segments", "SMS templates"]


def test_two_tags_are_merged_after_a_question(olga: Pages) -> None:
    campaign = builders.campaign()
    tags.change(Item.CAMPAIGN, campaign.id, ["双11"], Actor("test"), builders.LONG_AGO)
    builders.tag("双十一")
    link = olga.get("/tags/").value("a[href$='/rename']", "href")

    asked = olga.post(link, 422, name="双十一")
    page = olga.post(link, name="双十一", merge="1")

    assert "Merge the two" in asked.texts(".form-actions button")
    assert "is called “双十一” now" in page.said()
    assert tagged(Item.CAMPAIGN, campaign.id) == ("双十一",)


def test_ticked_campaigns_are_archived_after_a_question_and_undone(olga: Pages) -> None:
    ended = [builders.campaign(name=f"结束{n}", status=Status.SENT) for n in range(2)]
    waiting = builders.campaign(name="明早", status=Status.WAITING)
    ids = [str(campaign.id) for campaign in (*ended, waiting)]

    question = olga.get("/archive/campaigns", id=ids, back="/campaigns/?q=结束")
    assert [text.split()[0] for text in question.texts(".chosen li")] == ["结束1", "结束0"] or len(
        question.texts(".chosen li")
    ) == 2
    assert "Stop it first" in question.get_text()
    page = olga.post("/archive/campaigns", id=ids, back=question.value(".confirm input[name=back]"))

    assert "2 were archived." in page.said()
    assert "“明早” waits for its time. Stop it first" in page.said()
    assert names(olga.get("/campaigns/")) == ["明早"]
    archived = olga.get("/campaigns/?archived=1")
    assert set(names(archived)) == {"结束0", "结束1"}
    assert archived.select_one("#restore-ticked") is not None
    back = olga.post("/archive/restore/campaign", id=ids)
    assert "2 are back." in back.said()
    assert len(names(back)) == 3
    assert "Tick the campaigns" in olga.get("/archive/campaigns").said()


def test_an_archived_campaign_keeps_its_report_and_says_how_to_come_back(olga: Pages, client: Pages) -> None:
    campaign = ledgers.campaign(name="去年", status=Status.SENT)
    ledgers.run(campaign, LOTS, {})
    report = f"/campaigns/{campaign.id}/effect"

    olga.post(f"/archive/campaign/{campaign.id}")
    page = olga.get(report)
    viewer = client.as_("viewer", locale="en").get(report)

    assert "Archived: it is in no list" in page.get_text()
    assert "Archived: it is in no list" in viewer.get_text()
    assert "Bring back" not in viewer.get_text()
    row = olga.get("/campaigns/?archived=1").value("a[id^=restore-]", "href")
    assert "去年" in olga.get(row).texts(".chosen li")[0]
    olga.post("/archive/restore/campaign", id=str(campaign.id), back=report)
    assert "Archived: it is" not in olga.get(report).get_text()


def test_what_a_waiting_campaign_uses_is_refused_with_a_link_to_it(olga: Pages) -> None:
    waiting = builders.campaign(name="明早", status=Status.WAITING)

    for kind, item_id in (("segment", waiting.segment_id), ("sms_template", waiting.template_id)):
        page = olga.post(f"/archive/{kind}/{item_id}", 409)
        assert page.value(".flash-danger a", "href") == f"/campaigns/{waiting.id}"

    current_session().get_one(Campaign, waiting.id).status = Status.STOPPED
    current_session().commit()
    page = olga.post(f"/archive/segment/{waiting.segment_id}")
    assert "1 was archived." in page.said()
    current_session().expire_all()
    assert current_session().get_one(Segment, waiting.segment_id).archived_at is not None
    assert olga.get("/segments/?archived=1").texts("td.cell-main > a") != []


def test_what_was_sent_is_not_deleted_but_says_what_to_do(olga: Pages) -> None:
    campaign = ledgers.campaign(name="去年", status=Status.STOPPED)
    ledgers.run(campaign, LOTS, {})

    page = olga.post("/campaigns/delete", id=str(campaign.id))
    segment = olga.post(f"/segments/{campaign.segment_id}/delete", 422)
    template = olga.post(f"/templates/{campaign.template_id}/delete", 422)

    assert "it can be archived instead: “去年”" in page.said()
    assert names(olga.get("/campaigns/")) == ["去年"]
    assert "Archive it instead." in segment.get_text()
    assert "Archive it instead." in template.get_text()
