"""What people do with contacts, imports and AppKeys in the pages."""

from __future__ import annotations

import io
from typing import Any

import pytest

from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import current_session
from tests import builders
from tests.uploads import report


def test_a_viewer_sees_contacts_with_masked_numbers(client: Any) -> None:
    builders.contact("u1", "+8613800138000", properties={"name": "小明"})
    page = client.as_("viewer").get("/contacts/")
    assert "138****8000" in page.get_text()
    assert "小明" in page.get_text()


def test_a_number_is_looked_for_without_standing_in_the_address(client: Any) -> None:
    builders.contact("u1", "+8613800138000")
    builders.contact("u2", "+8613900139000")
    page = client.as_("administrator").post("/contacts/", search="139 0013 9000")
    assert [row[0] for row in page.rows()] == ["u2"]


def test_an_empty_search_says_so(client: Any) -> None:
    assert "empty-state" in str(client.as_("viewer").post("/contacts/", search="nobody"))


def test_the_page_of_a_contact_shows_properties_with_their_types(client: Any) -> None:
    builders.known_property("level", "number")
    builders.known_property("hobby", "list")
    builders.known_property("vip", "bool")
    builders.known_property("joined", "datetime")
    held = {"level": 3, "hobby": ["跑步"], "vip": True, "joined": "2024-01-02T03:04:05"}
    contact = builders.contact("u1", "+8613800138000", properties=held)
    text = client.as_("operator").get(f"/contacts/{contact.id}").get_text()
    for shown in ("138****8000", "跑步", "2024-01-02 03:04:05"):
        assert shown in text


def test_a_contact_that_is_gone_is_not_found(client: Any) -> None:
    client.as_("viewer").get("/contacts/999", status=404)


def test_refused_records_are_shown_with_their_reason(client: Any) -> None:
    key = app_keys.create("Shop", KeyKind.SERVER, Actor("test"), clock.now()).key
    context = {"a b": "13800138000"}
    report([{"appid": key, "xwho": "u", "xwhat": "$profile_set", "xcontext": context}], "", clock.now())
    page = client.as_("operator").get("/contacts/refused?reason=bad_name")
    assert "138****8000" in page.get_text()
    assert len(page.rows()) == 1
    assert page_rows(client, "/contacts/refused?reason=too_long") == []


def test_every_lost_property_of_a_record_is_named_and_numbers_in_it_are_masked(client: Any) -> None:
    key = app_keys.create("Shop", KeyKind.SERVER, Actor("test"), clock.now()).key
    builders.known_property("points", "number")
    builders.known_property("vip", "bool")
    context = {"nickname": "陈涛", "points": "13800138001", "vip": "13900139002"}
    report([{"appid": key, "xwho": "u", "xwhat": "$profile_set", "xcontext": context}], "", clock.now())
    text = client.as_("operator").get("/contacts/refused").get_text()
    for shown in ("points", "138****8001", "vip", "139****9002"):
        assert shown in text
    assert "13800138001" not in text
    assert "13900139002" not in text


def page_rows(client: Any, url: str) -> list[list[str]]:
    rows: list[list[str]] = client.get(url).rows()
    return rows


@pytest.mark.parametrize(
    "url",
    [
        f"/contacts/{10**30}",
        f"/contacts/{2**63}",
        f"/campaigns/{10**30}",
        f"/campaigns/{2**31}",
        f"/campaigns/{2**31}/runs/{2**31}",
        f"/segments/{2**63}",
    ],
)
def test_an_id_no_database_holds_is_not_found(client: Any, url: str) -> None:
    client.as_("administrator").get(url, status=404)


@pytest.mark.parametrize(
    "url",
    [
        f"/contacts/?before={2**63}",
        f"/contacts/refused?before={10**30}&reason=%00",
        f"/replies/?before={2**31}",
        f"/replies/opt-outs?before={10**30}",
        f"/templates/?channel={2**31}&before={10**30}&q=%00",
        f"/audit-log?person={2**31}&before={2**63}&action=a%00",
        f"/campaigns/?channel={2**31}&after={10**30}&q=%00&from=0001-01-01&to=9999-12-31",
        "/segments/?q=a%00b",
    ],
)
def test_filters_no_database_understands_do_not_narrow(client: Any, url: str) -> None:
    client.as_("administrator").get(url)


def test_a_search_for_nothing_readable_finds_everything(client: Any) -> None:
    builders.contact("u1", "+8613800138000")
    assert len(client.as_("operator").post("/contacts/", search="\0u1\0").rows()) == 1


def test_large_bodies_are_for_uploads_of_those_who_may(client: Any) -> None:
    body = b"x" * (2 * 2**20 + 1)
    large = {"data": body, "content_type": "application/x-www-form-urlencoded"}
    stranger = client.raw.post("/contacts/imports/", **large)
    assert stranger.status_code == 401
    assert client.as_("viewer").raw.post("/contacts/imports/", **large).status_code == 403
    operator = client.as_("operator")
    assert operator.raw.post("/contacts/", **large).status_code == 413
    page = operator.post("/contacts/imports/", file=(io.BytesIO(b"id,a\n" + b"u,1\n" * 600_000), "f.csv"))
    assert page.select("#import[data-hx-trigger]")


def test_an_administrator_makes_and_disables_a_key(client: Any) -> None:
    administrator = client.as_("administrator")
    page = administrator.post("/keys/", name="Shop", kind="browser", scope="all")
    [row] = app_keys.listed()
    assert row.key in str(page)
    administrator.post("/keys/", status=422, name="Shop", kind="server", scope="all")
    administrator.post(f"/keys/{row.id}/switch", active="0")
    current_session().expire_all()
    assert not app_keys.key(row.id).active


@pytest.mark.parametrize("sdk", ["JavaScript", "Python", "Java", "PHP", "Go", "Node", "HTTP"])
def test_the_guide_shows_address_and_key_for_each_sdk(client: Any, sdk: str) -> None:
    kind = KeyKind.BROWSER if sdk == "JavaScript" else KeyKind.SERVER
    made = app_keys.create("Shop", kind, Actor("test"), clock.now())
    page = client.as_("operator").get(f"/keys/guide?sdk={sdk}")
    assert made.key in page.select_one("pre").get_text()


def test_without_a_key_the_guide_says_where_to_make_one(client: Any) -> None:
    assert client.as_("operator").get("/keys/guide").select(".empty-state")
