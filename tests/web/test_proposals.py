"""The page of proposed changes."""

from __future__ import annotations

from typing import Any

from flask import Flask

from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.contacts import proposals as rows
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.proposals import NewProposal, Proposal
from smsapp.store.db import current_session, writing
from tests import builders


def propose(xwho: str = "u1", name: str = "$phone", old: object = "13800138000", new: object = "13900139000") -> int:
    key = next(iter(app_keys.listed()), None) or app_keys.create(
        "商城网站", KeyKind.BROWSER, Actor("test"), clock.now()
    )
    with writing() as session:
        rows.add(session, [NewProposal(xwho, key.id, name, old, new)], clock.now())
    return int(current_session().query(Proposal.id).order_by(Proposal.id.desc()).limit(1).scalar())


def held(xwho: str = "u1") -> dict[str, Any]:
    current_session().expire_all()
    properties: dict[str, Any] = current_session().query(Contact.properties).filter_by(xwho=xwho).scalar()
    return properties


def test_numbers_are_masked_for_those_who_may_not_see_them(client: Any) -> None:
    builders.contact("u1", "+8613800138000", properties={"$phone": "13800138000"})
    propose()
    text = client.as_("viewer").get("/contacts/proposals/").get_text()
    assert "138****8000" in text
    assert "139****9000" in text
    assert "13900139000" not in text


def test_a_viewer_decides_nothing(client: Any) -> None:
    builders.contact("u1", properties={"$phone": "13800138000"})
    id_ = propose()
    viewer = client.as_("viewer")
    assert viewer.get("/contacts/proposals/").select("input[type=checkbox]") == []
    viewer.post("/contacts/proposals/", status=403, id=str(id_), do="accept")


def test_an_operator_accepts_one_and_rejects_the_other(client: Any) -> None:
    builders.contact("u1", properties={"$phone": "13800138000"})
    builders.contact("u2", properties={"$phone": "13800138001"})
    first, second = propose(), propose("u2", old="13800138001", new="13900139001")
    operator = client.as_("operator")
    operator.get("/contacts/proposals/")
    operator.post("/contacts/proposals/", id=str(first), do="accept")
    page = operator.post("/contacts/proposals/", id=str(second), do="reject")
    assert held()["$phone"] == "13900139000"
    assert held("u2")["$phone"] == "13800138001"
    assert "empty-state" in str(page)


def test_everything_of_a_filter_is_accepted_after_a_question(client: Any, app: Flask) -> None:
    for n in range(3):
        builders.contact(f"u{n}", properties={"$phone": "13800138000"})
        propose(f"u{n}")
    operator = client.as_("operator")
    page = operator.get("/contacts/proposals/?name=$phone")
    link = next(a["href"] for a in page.select("a[href*='do=accept']"))
    page = operator.get(link)
    fields = {field["name"]: field["value"] for field in page.select("form.confirm input[type=hidden]")}
    late = propose("u0", new="13700137000")
    operator.post("/contacts/proposals/all", **{name: value for name, value in fields.items() if name != "csrf_token"})
    assert [held(f"u{n}")["$phone"] for n in range(3)] == ["13800138000", "13900139000", "13900139000"]
    assert current_session().query(Proposal.id).scalar() == late


def test_nothing_chosen_is_told(client: Any) -> None:
    builders.contact("u1", properties={"$phone": "13800138000"})
    propose()
    operator = client.as_("operator")
    operator.get("/contacts/proposals/")
    assert operator.post("/contacts/proposals/", do="accept").select(".flash-warning")
