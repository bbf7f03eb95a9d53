"""Consents in the pages: declared, recorded on a person's page, brought by a file, asked for by a campaign."""

from __future__ import annotations

import io

import pytest

from smsapp.services.contacts import consents
from smsapp.store.contacts.contacts import Contact
from tests import builders
from tests.pages import Pages

WORDS = "我同意接收营销短信"


@pytest.fixture
def operator(client: Pages) -> Pages:
    return client.as_("operator")


@pytest.fixture
def person(client: Pages) -> Contact:
    return builders.contact("u1", "+8613800138000")


def test_a_consent_and_its_withdrawal_are_recorded_and_shown(operator: Pages, person: Contact) -> None:
    assert "没有记录" in operator.get(f"/contacts/{person.id}").first("main").get_text()
    address = f"/consents/contact/{person.id}"
    page = operator.post(address, status=422, given="1", whose="", scope="everything", words="", day="gestern")
    assert "无法识别时间" in page.said()
    assert "请填写用户同意的内容" in operator.post(address, status=422, given="1", whose="", words="").said()
    page = operator.post(address, given="1", whose="", scope="marketing", words=WORDS, day="2026-01-02")
    assert "已同意" in page.first("main").get_text()
    assert WORDS in page.first("main").get_text()
    operator.post(address, given="0", whose="$phone", scope="everything", words="电话里说不要了", day="")
    withdrawn, given = consents.of_contact(person)
    assert (given.given, given.scope, given.contact_id) == (True, "marketing", person.id)
    assert (withdrawn.given, withdrawn.phone) == (False, "+8613800138000")


def test_a_file_is_taken_and_its_bad_rows_are_told(operator: Pages) -> None:
    file = (io.BytesIO("手机号,同意\n13800138000,是\n13800138001,也许\n".encode()), "consents.csv")
    page = operator.post("/consents/import", status=422, file=file, words=WORDS)
    assert page.rows() == [["3", "“同意”列请填写“是”或“否”。"]]
    assert [row.words for row in consents.of_number("13800138000")] == [WORDS]


def test_an_administrator_declares_the_property(client: Pages) -> None:
    builders.known_property("sms_ok", "bool")
    admin = client.as_("administrator")
    assert "尚未指定用户属性" in admin.get("/consents/").first("main").get_text()
    assert "请填写用户同意的内容" in admin.post("/consents/property", status=422, property="sms_ok", words="").said()
    page = admin.post("/consents/property", property="sms_ok", words=WORDS, scope="marketing")
    assert WORDS in page.first("main").get_text()
    assert admin.get("/consents/property").value("[name=scope][checked]") == "marketing"
    admin.post("/consents/property", property="", words="")
    assert consents.declared() is None


def test_a_campaign_asks_for_consent_and_its_review_says_so(operator: Pages, person: Contact) -> None:
    campaign = builders.campaign(name="会员日", consented_only=True)
    assert operator.get(f"/campaigns/{campaign.id}/edit").first("[name=consented_only][checked]")
    review = operator.get(f"/campaigns/{campaign.id}/review").first("main").get_text()
    assert "仅发送给已同意的用户" in review
    assert "未获同意" in review
