"""Whoever may not see phone numbers finds one on no page, wherever it stands and however it is written."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from smsapp.channels.types import Reply as Incoming
from smsapp.domain.contact import Type
from smsapp.domain.message import Status
from smsapp.domain.optout import OptOutSource
from smsapp.domain.segment import Condition, Group, Operator
from smsapp.services.contacts import number_searches, opt_outs
from smsapp.services.receipts import replies
from smsapp.store.db import current_session, writing
from smsapp.store.runs.runs import Message
from smsapp.store.users import AuditEntry
from tests import builders, ledgers
from tests.pages import Pages

NUMBER = "13800138000"
WRITTEN = (NUMBER, "+86 138 0013 8000", "138.0013.8000", "138–0013–8000", "１３８００１３８０００", "0213800138000")
SHOWN_SOMEWHERE = {
    "contacts.index",
    "contacts.show",
    "segments.show",
    "reports.effect",
    "reports.run_effect",
    "reports.message",
    "campaigns.show",
    "replies.index",
    "replies.listed",
}
"""Pages that show the number to those who may see it: a test that reaches fewer of them proves less."""


@pytest.fixture(autouse=True)
def filled(app: Flask, now: dt.datetime) -> None:
    """The number, in many notations, in every place where people or apps can leave one."""
    for name, kind in (("$phone", "string"), ("name", "string"), ("tags", "list"), ("home", "number")):
        builders.known_property(name, kind)
    held = {"name": f"王{NUMBER}", "tags": list(WRITTEN), "home": int(NUMBER), "memo": "；".join(WRITTEN)}
    contact = builders.contact(f"u-{NUMBER}", f"+86{NUMBER}", properties=held)
    builders.contact(WRITTEN[2], "", properties={"$phone": f"{WRITTEN[3]} 转 1"})
    conditions = [Condition("$phone", Type.STRING, Operator.ONE_OF, (WRITTEN[:5],))]
    conditions.append(Condition("home", Type.NUMBER, Operator.EQUALS, (int(NUMBER),)))
    rule = Group(children=tuple(conditions)).as_json()
    builders.segment(rule=rule)
    campaign = builders.campaign(template_id=None)
    mapping = {"name": {"fixed": " ".join(WRITTEN)}, "code": {"property": "home", "fallback": NUMBER}}
    text = builders.template(campaign.channel_id or 0, text=ledgers.SNAPSHOT.text)
    campaign.template_id, campaign.mapping = text.id, mapping
    chosen = {
        name: getattr(campaign, name) for name in ("audience", "segment_id", "channel_id", "template_id", "mapping")
    }
    builders.campaign(**chosen)
    made = ledgers.run(campaign, [(Status.DELIVERED, "", "", 2)], {})
    made.snapshot = replace(ledgers.SNAPSHOT, mapping=mapping)
    message = current_session().get_one(Message, (made.id, 1))
    message.contact_id, message.phone, message.params = contact.id, f"+86{NUMBER}", json.dumps([NUMBER])
    current_session().commit()
    with writing() as session:
        for position, written in enumerate(WRITTEN):
            reply = Incoming(phone=NUMBER, text=f"我的号码是{written}")
            replies.take(session, campaign.channel_id or 0, None, position, reply, now)
        opt_outs.record(session, "+8613900139000", OptOutSource.PERSON, now, remark=f"也是 {WRITTEN[1]} 的机主")


def pages_with(reader: Pages) -> dict[str, str]:
    """Return {endpoint: address} of the pages on which this reader can find the number."""
    pages: dict[str, str] = {}
    opened = 0
    for rule in reader.app.url_map.iter_rules():
        if "GET" not in (rule.methods or set()) or rule.endpoint == "static":
            continue
        places = re.findall("<(?:int|long):[^>]*>", rule.rule)
        for ids in itertools.product("12", repeat=len(places)):
            url = rule.rule
            for place, chosen in zip(places, ids, strict=True):
                url = url.replace(place, chosen, 1)
            url = re.sub("<[^>]*>", "x", url)
            answer = reader.raw.get(url)
            opened += answer.status_code == 200
            if tells(answer.get_data(as_text=True)):
                pages[rule.endpoint] = url
    assert opened > 20
    return pages


def tells(text: str) -> bool:
    """Return whether the number stands in this text, whatever stands between its digits."""
    return NUMBER in re.sub(r"[\W_]", "", text.translate(str.maketrans("０１２３４５６７８９", "0123456789")))


def test_a_viewer_finds_a_whole_number_on_no_page(client: Pages) -> None:
    assert pages_with(client.as_("viewer", sees_numbers=True)).keys() >= SHOWN_SOMEWHERE
    assert pages_with(client.as_("viewer")) == {}


def test_columns_of_a_segment_and_searches_show_a_viewer_no_whole_number(client: Pages) -> None:
    viewer = client.as_("viewer")
    columns = "?column=$phone&column=tags&column=home&column=name"
    assert tells(str(client.as_("administrator").get(f"/segments/2{columns}")))
    assert not tells(str(viewer.get(f"/segments/2{columns}")))
    for url, field, part in (
        ("/replies/", "q", "我的号码"),
        ("/replies/opt-outs", "q", "9000"),
        ("/contacts/", "search", "8000"),
    ):
        search: dict[str, Any] = {field: part}
        page = viewer.post(url, **search)
        assert page.rows(), url
        assert not tells(str(page.select("tbody"))), url


def test_an_operator_sees_no_whole_number_while_building_a_segment(client: Pages) -> None:
    sent: dict[str, Any] = {"name": "x", "kind": "dynamic", "rule.match": "all", "do": "count"}
    sent |= {"rule.0.property": "name", "rule.0.operator": "contains", "rule.0.value.0": "王"}
    piece = client.as_("operator").post("/segments/new", htmx=True, **sent)
    assert piece.select(".count-sample li")
    assert not tells(str(piece))


NOTATIONS = (
    "139,7777,6677",
    "139:7777:6677",
    "13977776677~",
    "139a7777b6677",
    "139\n7777\n6677",
    "139\u00ad7777\u20686677",
)


@pytest.mark.parametrize("written", NOTATIONS)
def test_a_contact_page_masks_a_number_in_any_notation(client: Pages, written: str) -> None:
    builders.known_property("both", "list")
    contact = builders.contact("u9", properties={"second": written, "both": [written]})
    viewer, administrator = client.as_("viewer"), Pages(client.app).as_("administrator")
    digits = re.sub(r"[^0-9]", "", str(administrator.get(f"/contacts/{contact.id}").select_one("main")))
    assert digits.count("13977776677") == 2
    shown = re.sub(r"[^0-9]", "", str(viewer.get(f"/contacts/{contact.id}").select_one("main")))
    assert "13977776677" not in shown
    assert shown.count("1396677") == 2


def sent(name: str, operator: str, value: str, do: str = "count") -> dict[str, Any]:
    condition = {"rule.0.property": name, "rule.0.operator": operator, "rule.0.value.0": value}
    return {"name": "x", "kind": "dynamic", "rule.match": "all", "do": do} | condition


def test_the_builder_suggests_no_number_of_any_property(client: Pages) -> None:
    builders.known_property("mobile2")
    for n in range(3):
        builders.contact(f"s{n}", properties={"mobile2": "139,7777,6669" if n else "公司前台"})
    asked = sent("mobile2", "equals", "", "refresh:rule.0")
    piece = client.as_("operator").post("/segments/new", htmx=True, **asked)
    assert piece.texts("option[value=公司前台]") == [""]
    assert "6669" not in str(piece)
    seen = Pages(client.app).as_("administrator").post("/segments/new", htmx=True, **asked)
    assert "139,7777,6669" in str(seen)


@pytest.mark.parametrize(
    ("name", "kind", "value", "operator", "part"),
    [
        ("mobile2", "string", "13977776669", "starts_with", "1397777"),
        ("mobile2", "string", "139,7777,6669", "contains", "7,6"),
        ("mobile2", "string", "13977776669", "equals", "13977776669"),
        ("mobile2", "string", "13977776669", "one_of", "13977776668\n13977776669"),
        ("mobile2", "list", ["13977776669"], "contains_any", "13977776669"),
        ("mobile2", "number", 13977776669, "at_least", "13977776000"),
    ],
)
def test_a_number_cannot_be_asked_digit_by_digit_of_any_property(
    client: Pages, name: str, kind: str, value: object, operator: str, part: str
) -> None:
    builders.known_property(name, kind)
    builders.contact("target", properties={name: value})
    asked = sent(name, operator, part)
    counted = client.as_("operator").post("/segments/new", htmx=True, **asked)
    assert not counted.select(".count-sample li")
    assert counted.texts(".count-number") == ["–"]
    if "of" not in operator and "any" not in operator:  # what was typed into their larger fields is shown again
        client.as_("operator").post("/segments/new", 422, **asked | {"do": "save"})
    seen = Pages(client.app).as_("administrator").post("/segments/new", htmx=True, **asked)
    assert seen.select(".count-sample li")


def test_a_property_with_a_number_among_its_words_is_asked_for_words_as_before(client: Pages) -> None:
    asked = sent("name", "starts_with", "王")
    assert client.as_("operator").post("/segments/new", htmx=True, **asked).select(".count-sample li")
    builders.known_property("postcode")
    builders.contact("p", properties={"postcode": "200040"})
    asked = sent("postcode", "starts_with", "2000")
    assert client.as_("operator").post("/segments/new", htmx=True, **asked).select(".count-sample li")


def test_whole_numbers_are_searched_for_so_often_and_each_leaves_a_line(
    client: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    monkeypatch.setattr(number_searches, "SEARCHES_PER_HOUR", 3)
    viewer = client.as_("viewer")
    # when a viewer tries number after number, wherever one may
    assert viewer.post("/contacts/", search=NUMBER).rows()
    viewer.post("/replies/", q="+86 138 0013 8001")
    viewer.post("/replies/opt-outs", q="13800138002")
    refused = viewer.post("/contacts/", 409, search="13800138003")
    # then
    assert "一小时" in refused.said() or "一小时" in refused.get_text(" ")
    assert viewer.post("/contacts/", search="8000").rows()
    viewer.post("/campaigns/1/effect/search", 422, phone="13800138004")
    lines = current_session().query(AuditEntry).filter_by(action="search_number").order_by(AuditEntry.id).all()
    assert [line.facts["number"] for line in lines] == ["138****8000", "138****8001", "138****8002"]
    # and whoever may see numbers searches as before
    administrator = Pages(client.app).as_("administrator")
    for n in range(5):
        administrator.post("/contacts/", search=f"1380013800{n}")


def test_lists_of_numbers_are_matched_so_often_a_day(client: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_searches, "LISTS_PER_DAY", 1)
    operator = client.as_("operator")

    def upload(name: str, property: str, status: int = 200) -> None:
        content = io.BytesIO(f"{NUMBER}\n".encode())
        operator.post("/segments/upload", status, name=name, property=property, file=(content, "a.txt"))

    upload("一", "$phone")
    upload("二", "$phone", 422)
    upload("三", "xwho")
    assert current_session().query(AuditEntry).filter_by(action="upload_numbers").count() == 1
