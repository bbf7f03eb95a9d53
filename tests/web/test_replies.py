"""What a person does with replies and the opt-out list in the pages."""

from __future__ import annotations

import datetime as dt
import io
from typing import Protocol

import pytest
from flask import Flask

from smsapp.channels.types import Reply as Incoming
from smsapp.services.contacts import opt_outs
from smsapp.services.platform.audit_log import Actor
from smsapp.services.receipts import replies
from smsapp.store.db import writing
from tests import builders
from tests.pages import Pages


class Arrived(Protocol):
    """Takes in these replies, one after the other."""

    def __call__(self, *texts: str, phone: str = "13800138000") -> None: ...


@pytest.fixture
def operator(client: Pages) -> Pages:
    return client.as_("operator")


@pytest.fixture
def arrived(app: Flask, now: dt.datetime) -> Arrived:
    channel = builders.channel(name="乐信通")

    def call(*texts: str, phone: str = "13800138000") -> None:
        with writing() as session:
            for position, text in enumerate(texts):
                number = phone or f"138{position:08d}"
                replies.take(session, channel.id, None, position, Incoming(phone=number, text=text), now)

    return call


def test_replies_are_listed_with_masked_numbers_and_opt_outs_apart(operator: Pages, arrived: Arrived) -> None:
    assert operator.get("/replies/").select(".empty-state")
    arrived("收到，谢谢", "TD")
    assert [row[0] for row in operator.get("/replies/").rows()] == ["TD 退订", "收到，谢谢"]
    assert operator.get("/replies/").rows()[0][1] == "138****8000"
    assert [row[0] for row in operator.get("/replies/", show="opt-outs").rows()] == ["TD 退订"]


def test_a_number_is_searched_without_standing_in_an_address(operator: Pages, arrived: Arrived) -> None:
    arrived("好的")
    arrived("别人", phone="13900139000")
    page = operator.post("/replies/", q="139 0013 9000")
    assert [row[0] for row in page.rows()] == ["别人"]
    assert operator.post("/replies/", q="没有这句话", htmx=True).select(".empty-state")


def test_further_pages_of_a_search_are_forms(operator: Pages, arrived: Arrived) -> None:
    arrived(*[f"第{n}句" for n in range(60)])
    page = operator.get("/replies/")
    assert len(operator.get(page.value("a[rel=next]", "href")).rows()) == 10
    page = operator.post("/replies/", q="句")
    assert len(page.rows()) == 50
    last = page.value(".pager [name=before]")
    assert len(operator.post("/replies/", q="句", before=last, htmx=True).rows()) == 10


def test_a_number_is_put_on_the_list_and_taken_off_with_a_reason(operator: Pages) -> None:
    assert operator.get("/replies/opt-outs").select(".empty-state")
    page = operator.post("/replies/opt-outs/add", status=422, phone="12", note="")
    assert "无法识别为手机号" in page.said()
    page = operator.post("/replies/opt-outs/add", phone="138 0013 8000", note="热线")
    assert page.rows()[0][:3] == ["138****8000", "所有短信", "手工添加"]
    assert "已在名单中" in operator.post("/replies/opt-outs/add", phone="13800138000").said()
    number_id = opt_outs.find_page()[0].id
    operator.get(f"/replies/opt-outs/{number_id}/remove")
    assert "重新同意" in operator.post(f"/replies/opt-outs/{number_id}/remove", status=422, reason="").said()
    operator.post(f"/replies/opt-outs/{number_id}/remove", reason="门店重新登记")
    assert opt_outs.find_page() == []
    operator.get(f"/replies/opt-outs/{number_id}/remove", status=404)


def test_the_list_is_searched_by_last_digits(operator: Pages, now: dt.datetime) -> None:
    for n in range(55):
        opt_outs.add(f"138001{n:02d}888", "", Actor("x"), now)
    assert [row[0] for row in operator.post("/replies/opt-outs", q="7888").rows()][-1] == "138****7888"
    assert operator.post("/replies/opt-outs", q="07888").select(".empty-hint")
    page = operator.post("/replies/opt-outs", q="888")
    last = page.value(".pager [name=before]")
    assert len(operator.post("/replies/opt-outs", q="888", before=last).rows()) == 5
    assert operator.post("/replies/opt-outs", q="999", htmx=True).select(".empty-state")
    assert len(operator.get(operator.get("/replies/opt-outs").value("a[rel=next]", "href")).rows()) == 5


def test_a_file_of_numbers_is_imported_and_bad_rows_are_told(operator: Pages) -> None:
    file = "手机号\n13800138000\nabc\n".encode("gbk")
    page = operator.post("/replies/opt-outs/import", status=422, file=(io.BytesIO(file), "名单.csv"))
    assert page.rows() == [["3", "无法识别为手机号。请按 138 0013 8000 或 +852 9123 4567 的格式填写。"]]
    assert len(opt_outs.find_page()) == 1
    page = operator.post("/replies/opt-outs/import", file=(io.BytesIO(b"13900139000\n"), "n.txt"))
    assert "新增 1 个号码" in page.said()
    page = operator.post("/replies/opt-outs/import", status=422, file=(io.BytesIO(b"%PDF-1.7"), "n.pdf"))
    assert "这是 PDF 文件" in page.said()


def test_a_viewer_may_search_but_change_nothing(client: Pages, arrived: Arrived) -> None:
    arrived("TD")
    viewer = client.as_("viewer", locale="en")
    assert len(viewer.post("/replies/", q="13800138000").rows()) == 1
    assert len(viewer.post("/replies/opt-outs", q="8000").rows()) == 1
    viewer.get("/replies/opt-outs/add", status=403)


def test_a_reply_without_a_number_is_told_and_a_person_says_whose_it_is(operator: Pages, arrived: Arrived) -> None:
    # given
    arrived("退订TD", phone="Shop")
    page = operator.get("/replies/")
    assert page.texts(".flash-warning strong") == ["有 1 条上行短信等待确认号码。"]
    assert page.rows()[0][1] == "Shop 等待确认号码"
    # when
    page = operator.get("/replies/waiting")
    assert page.rows()[0][:3] == ["退订TD 退订", "Shop", "乐信通"]
    url = page.value("td a", "href")
    refused = operator.post(url, 422, phone="Shop")
    assert refused.value("input[name=phone]") == "Shop"
    page = operator.post(url, phone="138 0013 8000")
    # then
    assert page.select(".flash-success")
    assert opt_outs.find("13800138000").source == "reply"
    assert page.select(".empty-state")
    assert not operator.get("/replies/").select(".flash-warning")
    operator.get(url, 404)


def test_a_reply_without_a_number_is_dismissed_with_a_reason(operator: Pages, arrived: Arrived) -> None:
    arrived("余额不足", phone="10690001")
    url = str(operator.get("/replies/waiting").select("td a")[1]["href"])
    operator.post(url, 422, reason="")
    operator.post(url, reason="运营商通知")
    assert operator.get("/replies/waiting").select(".empty-state")
    assert operator.get("/replies/").rows()[0][1] == "10****01 已忽略"


def test_a_viewer_sees_what_waits_but_decides_nothing(client: Pages, arrived: Arrived) -> None:
    arrived("T", phone="Shop")
    viewer = client.as_("viewer")
    url = viewer.get("/replies/waiting").select_one("td a")
    assert url is None
    viewer.get("/replies/waiting/1", 403)


def test_a_person_says_what_a_number_refuses(operator: Pages) -> None:
    builders.template(builders.channel().id)
    added = operator.post(
        "/replies/opt-outs/add", phone="13800138000", note="", scope="signature", signatures="青禾商城"
    )
    assert "不会再收到其拒收的短信" in added.said()
    assert added.rows()[0][1] == "某个签名的短信 【青禾商城】"
    address = f"/replies/opt-outs/{opt_outs.find_page()[0].id}/change"
    page = operator.get(address)
    assert page.value("[name=scope][checked]") == "signature"
    assert page.value("[name=signatures][checked]") == "青禾商城"
    assert "请写明更改范围的原因" in operator.post(address, status=422, scope="marketing", reason="").said()
    assert "请选择被拒收的签名" in operator.post(address, status=422, scope="signature", reason="电话").said()
    page = operator.post(address, scope="marketing", reason="电话")
    assert page.rows()[0][1] == "营销短信"


def test_replies_that_look_like_refusals_are_told_and_decided(operator: Pages, arrived: Arrived) -> None:
    assert operator.get("/replies/suspected").select(".empty-state")
    arrived("别再发了", "烦死了", phone="")
    page = operator.get("/replies/")
    assert "有 2 条上行短信像是拒收" in page.said()
    page = operator.get("/replies/suspected")
    assert [row[1] for row in page.rows()] == ["烦死了", "别再发了"]
    ids = [str(box["value"]) for box in page.select("input[name=id]")]
    assert "请至少选择一条" in operator.post("/replies/suspected", do="everything").said()
    assert "已处理 1 条" in operator.post("/replies/suspected", id=ids[0], do="marketing").said()
    assert "已处理 1 条" in operator.post("/replies/suspected", id=ids[1], do="harmless").said()
    page = operator.get("/replies/suspected", show="decided")
    assert [row[4].split()[0] for row in page.rows()] == ["退订", "不是拒收"]
    assert "决定已撤销" in operator.post(f"/replies/suspected/{ids[0]}/undo").said()
    assert opt_outs.find_page() == []
    assert [row[1] for row in operator.get("/replies/suspected").rows()] == ["烦死了"]
