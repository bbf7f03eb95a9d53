"""What a person does with SMS templates in the pages."""

from __future__ import annotations

import io
from typing import Any, NoReturn

import pytest
from flask import Flask

from smsapp.channels.errors import AccountError
from smsapp.channels.http import HttpClient
from smsapp.channels.simulator import Simulator
from smsapp.domain.outcome import Outcome
from smsapp.domain.sms_template import Audit
from smsapp.services.templates import sms_templates
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import current_session, writing
from smsapp.store.sms_templates import store_signatures
from tests import builders
from tests.pages import Pages

CSV = "模板编号,内容,签名,审核状态\nSMS_1,您的订单已发货。,青禾商城,通过\nSMS_2,您好${a}${b},青禾商城,\n"


@pytest.fixture
def channel(app: Flask) -> ChannelRow:
    return builders.channel(name="乐信通")


@pytest.fixture
def approver(client: Pages) -> Pages:
    return client.as_("approver")


def fields(channel: ChannelRow, **given: str) -> dict[str, Any]:
    values = {
        "channel": channel.id,
        "name": "发货",
        "purpose": "notification",
        "signature": "青禾商城",
        "code": "SMS_1",
    }
    return values | {"text": "您的订单${order}已发货。", "audit": "pending"} | given


def test_a_text_is_typed_in_approved_and_then_found_in_the_list(approver: Pages, channel: ChannelRow) -> None:
    assert approver.get("/templates/").select(".empty-state")
    page = approver.post("/templates/new", **fields(channel))
    assert page.first("h1").text == "发货"
    made = sms_templates.find_page()[0]
    assert sms_templates.choices(channel.id) == []
    seen = page.value("input[name=seen]")
    approver.post(f"/templates/{made.id}/approve", seen=seen)
    assert len(sms_templates.choices(channel.id)) == 1
    page = approver.get("/templates/", channel=channel.id, audit="approved", q="订单")
    assert "SMS_1" in page.rows()[0][0]
    assert "您的订单${order}已发货。" in page.rows()[0][1]


def test_wrong_words_come_back_with_what_to_do_and_what_was_typed(approver: Pages, channel: ChannelRow) -> None:
    page = approver.post("/templates/new", status=422, **fields(channel, text="您好${a}${b}", name=""))
    assert "${a} 与 ${b} 相连" in page.said()
    assert page.first("textarea").text.strip() == "您好${a}${b}"
    assert sms_templates.find_page() == []


def test_check_shows_the_preview_and_saves_nothing(approver: Pages, channel: ChannelRow) -> None:
    page = approver.post("/templates/new", check="1", **fields(channel))
    assert page.first(".handset-bubble").text == "【青禾商城】您的订单${order}已发货。"
    assert page.texts(".handset mark") == ["${order}"]
    assert sms_templates.find_page() == []


def test_the_preview_follows_the_typing(approver: Pages, channel: ChannelRow) -> None:
    piece = approver.post("/templates/preview", htmx=True, text="中" * 66, signature="青禾", purpose="notification")
    assert piece.select_one("#preview")
    assert piece.texts("dd") == ["70", "1", "1"]
    piece = approver.post("/templates/preview", htmx=True, text="中" * 67, signature="青禾", purpose="marketing")
    assert piece.texts("dd") == ["71", "2", "2"]
    assert "拒收请回复R" in piece.first(".preview-problems").text


def test_a_signature_the_provider_does_not_list_is_told_while_the_text_is_typed(
    approver: Pages, channel: ChannelRow
) -> None:
    made = builders.template(channel.id)
    with writing() as session:
        store_signatures(session, channel.id, [{"name": "青禾", "audit": "approved", "audit_reason": ""}])
    page = approver.post("/templates/new", check="1", **fields(channel))
    assert "青禾商城" in page.first(".preview-problems").text
    for_an_old_one = approver.get(f"/templates/{made.id}/edit").value("input[name=channel]")
    for signature, is_warned in (("青禾商城", True), ("青禾", False)):
        typed: dict[str, Any] = {"text": "您好。", "signature": signature, "purpose": "notification"}
        piece = approver.post("/templates/preview", htmx=True, channel=for_an_old_one, **typed)
        assert bool(piece.select(".preview-problems")) is is_warned


def test_changed_words_are_said_to_wait_for_approval(approver: Pages, channel: ChannelRow) -> None:
    made = builders.template(channel.id, text="您好。")
    page = approver.get(f"/templates/{made.id}/edit")
    assert "需重新审核" in page.said()
    seen = page.value("input[name=seen]")
    page = approver.post(f"/templates/{made.id}/edit", **fields(channel, text="您好！", code=made.code, seen=seen))
    assert "需重新审核" in page.said()
    assert sms_templates.get(made.id).audit == "pending"
    page = approver.post(
        f"/templates/{made.id}/edit", status=422, **fields(channel, text="再改", code=made.code, seen=seen)
    )
    assert sms_templates.get(made.id).text == "您好！"


def test_a_refusal_needs_a_reason_and_shows_it(approver: Pages, channel: ChannelRow) -> None:
    made = builders.template(channel.id, audit="pending")
    seen = approver.get(f"/templates/{made.id}").value("input[name=seen]")
    page = approver.post(f"/templates/{made.id}/refuse", status=422, seen=seen, reason="")
    assert "请填写服务商给出的原因" in page.said()
    page = approver.post(f"/templates/{made.id}/refuse", seen=seen, reason="签名未报备")
    assert "签名未报备" in page.text
    assert "审核不通过" in approver.get("/templates/").rows()[0][4]
    approver.post(f"/templates/{made.id}/approve", status=422, seen=seen)
    assert sms_templates.get(made.id).audit == Audit.REFUSED


def test_a_template_is_deleted_after_a_question_unless_a_campaign_needs_it(
    approver: Pages, channel: ChannelRow
) -> None:
    template_id = builders.template(channel.id, name="发货").id
    draft = builders.campaign(channel_id=channel.id, template_id=template_id, name="双十一")
    assert "发货" in approver.get(f"/templates/{template_id}/delete").text
    page = approver.post(f"/templates/{template_id}/delete", status=422)
    assert "双十一" in page.said()
    assert "双十一" in approver.get(f"/templates/{template_id}").text
    draft.status = "stopped"
    approver.post(f"/templates/{template_id}/delete")
    approver.get(f"/templates/{template_id}", status=404)


def test_a_file_is_tried_before_it_is_imported(approver: Pages, channel: ChannelRow) -> None:
    approver.get("/templates/import")
    page = approver.post("/templates/import", channel=channel.id, file=(io.BytesIO(CSV.encode("gbk")), "模板.csv"))
    address = page.response.request.path
    assert [(row[0], row[2]) for row in page.rows()] == [("2", "新增"), ("3", "未导入")]
    assert "相连" in page.rows()[1][4]
    assert sms_templates.find_page() == []
    page = approver.post(address)
    assert "新增 1" in page.said()
    assert [row.code for row in sms_templates.find_page()] == ["SMS_1"]
    approver.get(address, status=404)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.pdf", b"x", "不支持这种文件"),
        ("x.csv", b"", "文件是空的"),
        ("x.json", b"{", "第 1 行"),
        ("x.csv", b"a,b\n1,2", "没有“内容”列"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_to_do(
    approver: Pages, channel: ChannelRow, name: str, content: bytes, sentence: str
) -> None:
    page = approver.post("/templates/import", status=422, channel=channel.id, file=(io.BytesIO(content), name))
    assert sentence in page.said()


def test_older_templates_are_a_page_away(approver: Pages, channel: ChannelRow) -> None:
    made = [builders.template(channel.id) for _ in range(51)]
    page = approver.get("/templates/")
    assert len(page.rows()) == 50
    older = page.value("a[rel=next]", "href")
    assert made[0].code in approver.get(older, htmx=True).text


def test_a_viewer_reads_and_changes_nothing(client: Pages, channel: ChannelRow) -> None:
    made = builders.template(channel.id)
    viewer = client.as_("viewer", locale="en")
    viewer.get("/templates/")
    viewer.get(f"/templates/{made.id}")
    viewer.get("/templates/new", status=403)
    viewer.post(f"/templates/{made.id}/approve", status=403)


def test_without_a_channel_the_pages_say_so(approver: Pages) -> None:
    assert approver.get("/templates/new").select(".empty-state")
    assert approver.get("/templates/import").select(".empty-state")


LISTED = """T1 | approved | | 【青禾商城】您的订单{1}已发货。
T2 | refused: 内容含违禁词 | notification | 【青禾商城】恭喜中奖"""


def test_a_sync_says_what_changed_and_the_page_shows_when_it_was(client: Pages) -> None:
    channel = builders.channel(name="模拟", settings={"templates": LISTED})
    page = client.as_("approver", "en").post("/templates/sync", channel=channel.id)
    assert "模拟 was compared: 2 added, 0 changed, 0 withdrawn, 0 as they were." in page.said()
    assert "T2 · T2 · added · Not approved · 内容含违禁词" in page.said()
    assert "was last compared with the provider on" in " ".join(page.texts("main"))
    assert "Say what it is for" in " ".join(page.texts("main"))


def test_a_sync_that_fails_is_told_and_stays_on_the_page(client: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(self: Simulator, http: HttpClient) -> NoReturn:
        raise AccountError("AuthFailure", outcome=Outcome.CREDENTIALS)

    monkeypatch.setattr(Simulator, "list_templates", fails)
    builders.channel(name="模拟", settings={"templates": LISTED})
    approver = client.as_("approver", "en")
    approver.post("/templates/sync")
    page = approver.get("/templates/")
    assert "模拟 could not be compared." in " ".join(page.texts("main"))
    assert "AuthFailure" in " ".join(page.texts("main"))


def test_a_person_says_what_a_text_is_for(client: Pages) -> None:
    channel = builders.channel()
    template = builders.template(channel.id, purpose="unsaid")
    approver = client.as_("approver", "en")
    assert "What is this text for?" in " ".join(approver.get(f"/templates/{template.id}").texts("main"))
    approver.post(f"/templates/{template.id}/purpose", seen=template.mark, purpose="notification")
    current_session().refresh(template)
    assert template.purpose == "notification"


def test_an_approval_nobody_compared_for_long_is_pointed_out_and_compared_from_the_list(client: Pages) -> None:
    channel = builders.channel()
    template = builders.template(channel.id, name="旧模板")
    approver = client.as_("approver", "en")
    page = approver.get("/templates/?unchecked=1")
    assert "not compared for" in " ".join(page.texts("main"))
    approver.post(f"/templates/{template.id}/approve", seen=template.mark, back="list")
    assert "旧模板" not in " ".join(approver.get("/templates/?unchecked=1").texts("main"))


def test_a_withdrawn_template_is_called_so_in_its_tab_and_its_badge(client: Pages) -> None:
    builders.template(builders.channel().id, audit="withdrawn")
    page = client.as_("approver", "en").get("/templates/?audit=withdrawn")
    assert "Withdrawn by the provider 1" in " ".join(page.texts("main nav, main [role=tablist], main"))
    assert any("Withdrawn by the provider" in badge for badge in page.texts("td"))
