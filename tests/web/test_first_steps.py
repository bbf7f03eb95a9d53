"""What empty pages, a first visit and the audit log say, and how pages are sent."""

from __future__ import annotations

import datetime as dt
import gzip

import pytest

from smsapp.services.channels import accounts
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.store.contacts.replies import OptOut, Reply
from smsapp.store.db import current_session, writing
from smsapp.store.runs.runs import Exclusion, Message
from tests import builders, ledgers
from tests.pages import Pages


def test_an_administrator_is_led_to_the_first_campaign_step_by_step(client: Pages) -> None:
    page = client.as_("administrator").get("/campaigns/")
    assert page.value(".setup .btn-primary", "href") == "/channels/"
    builders.channel()
    builders.contact("u1", "+8613800138000")

    page = client.as_("administrator", "en").get("/campaigns/")

    assert page.texts(".setup-done strong") == ["Connect a channel · Done", "Bring in contacts · Done"]
    assert page.value(".setup .btn-primary", "href") == "/segments/new"


def test_an_operator_reads_who_connects_a_channel(client: Pages) -> None:
    page = client.as_("operator", "en").get("/campaigns/")
    assert "An administrator does this." in page.texts(".setup-steps li")[0]
    assert page.select_one('.setup a[href="/channels/"]') is None


def test_a_template_without_a_channel_leads_to_the_channels(client: Pages) -> None:
    page = client.as_("operator").get("/templates/new")
    assert page.select_one('.empty-state a[href="/channels/"]') is not None


def test_a_new_segment_begins_with_everybody(client: Pages) -> None:
    olga = client.as_("operator", "en")
    assert olga.get("/segments/new").select(".condition") == []
    page = olga.post("/segments/new", name="Everybody", kind="dynamic", do="save")
    assert "Saved" in page.said()


def test_the_first_visitor_reads_where_the_link_is(client: Pages) -> None:
    assert "还没有人设置密码" in client.get("/sign-in").get_text()
    builders.person(login="ada", role="administrator", password_hash="set")
    assert "还没有人设置密码" not in client.get("/sign-in").get_text()


@pytest.mark.parametrize(
    "path", ["/users", "/users/", "/campaigns", "/campaigns/", "/audit-log/", "/segments", "/account/"]
)
def test_a_page_is_found_with_and_without_a_slash(client: Pages, path: str) -> None:
    client.as_("administrator").get(path)


def test_pages_are_sent_compressed_and_of_no_exact_size(client: Pages) -> None:
    olga = client.as_("operator")
    answers = [olga.raw.get("/campaigns/", headers={"Accept-Encoding": "gzip"}) for _turn in range(20)]
    plain = olga.raw.get("/campaigns/")

    assert {answer.headers["Content-Encoding"] for answer in answers} == {"gzip"}
    assert "Content-Encoding" not in plain.headers
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert b"<h1>" in gzip.decompress(answers[0].data)
    assert len(answers[0].data) < len(plain.data) / 2
    assert len({len(answer.data) for answer in answers}) > 5, "sizes tell nothing about a secret in the page"


def test_every_page_says_what_it_is_for(client: Pages) -> None:
    assert client.as_("viewer").get("/campaigns/").value("meta[name=description]", "content")


def test_an_account_that_cannot_be_checked_is_not_green(client: Pages) -> None:
    settings = {"url": "http://127.0.0.1/send?to={number}&text={text}"}
    channel = builders.channel(kind="gateway", settings=settings)
    page = client.as_("administrator").post(f"/channels/{channel.id}/check")
    assert page.select(".flash-success") == []
    assert "此网关无法检测账号，请用测试短信验证。" in page.texts(".flash-warning")[0]
    assert accounts.row(channel.id).check_result == "untested"
    assert "无法检测" in page.first(".badge-orange").get_text()


def test_the_simulators_page_asks_for_no_address_at_a_provider(client: Pages) -> None:
    channel = builders.channel(name="模拟")
    page = client.as_("administrator").get(f"/channels/{channel.id}")
    assert page.select_one("#callback-url") is None
    assert "无需设置" in page.get_text()


def test_the_audit_log_has_names_links_and_words(client: Pages) -> None:
    ada = client.as_("administrator", "zh_Hans")
    channel = builders.channel(name="演示通道")
    with writing() as session:
        log_action(
            session,
            Actor("administrator-0", ada.user_id),
            "edit",
            "channel",
            channel.id,
            clock.now(),
            name="演示通道",
        )
        log_action(session, Actor("start"), "refuse", "sms_template", 7, clock.now(), by="link")

    page = ada.get("/audit-log")

    rows = [" ".join(row) for row in page.rows()]
    assert "系统启动" in rows[0]
    assert "标记为审核不通过" in rows[0]
    assert "一次性链接" in rows[0]
    assert page.first(f'a[href="/channels/{channel.id}"]').get_text(strip=True) == "发送通道 演示通道"
    assert page.first(f'a[href="/users/{ada.user_id}"]').get_text(strip=True) == "Ada"


def test_the_page_of_a_person_tells_what_was_sent_what_was_not_and_what_came_back(client: Pages) -> None:
    # Given a campaign that reached one person and left another one out
    made = ledgers.run(ledgers.campaign())
    reached = current_session().get_one(Message, (made.id, 1))
    failed = builders.existing(
        current_session().query(Message).filter_by(run_id=made.id, reason="switched_off").first()
    )
    without = builders.existing(
        current_session().query(Exclusion).filter_by(run_id=made.id, reason="opted_out").first()
    )
    with writing() as session:
        session.add(Reply(phone=reached.phone, text="退订", opt_out=True, received_at=clock.now()))
        session.add(OptOut(phone=reached.phone, source="reply", at=clock.now()))
    viewer = client.as_("viewer", "en")

    page = viewer.get(f"/contacts/{reached.contact_id}")

    # Then their pages say so
    row = page.texts("#history tbody tr")[0]
    assert "Delivered" in row
    assert page.select_one(f'#history a[href="/campaigns/{made.campaign_id}/runs/{made.id}"]') is not None
    assert "退订" in page.get_text()
    assert "By reply" in page.get_text()
    assert "Not delivered Phone off" in viewer.get(f"/contacts/{failed.contact_id}").texts("#history tbody tr")[0]
    assert "Opted out" in viewer.get(f"/contacts/{without.contact_id}").texts("#history tbody tr")[0]


def test_an_old_count_of_a_dynamic_segment_says_so_and_is_taken_again(client: Pages) -> None:
    olga = client.as_("operator", "en")
    long_ago = clock.now() - dt.timedelta(days=30)
    segment = builders.segment(name="今天过生日", size=53, computed_at=long_ago)

    row = olga.get("/segments/").texts("tbody tr")[0]
    assert "53 may have changed" in row

    page = olga.post(f"/segments/{segment.id}/recompute", back="list")
    assert page.select_one("#segments") is not None
    assert "may have changed" not in page.get_text()
