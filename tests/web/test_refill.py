"""Nothing typed is lost: a session that ends, a page that grew old, a piece that htmx asks for."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from smsapp.domain.roles import Role
from smsapp.services.channels import registry
from smsapp.services.platform import clock, users
from smsapp.services.platform.audit_log import Actor
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.contacts.property_catalogue import Property
from smsapp.store.db import current_session
from tests import builders
from tests.pages import Page, Pages

PASSWORD = "a sentence nobody guesses"


@pytest.fixture
def olga() -> str:
    return users.create("olga", "Olga", Role.ADMINISTRATOR, PASSWORD, Actor("test"), clock.now()).login


def with_secret() -> str:
    """Return a kind of channel whose form has a password field."""
    kinds = registry.kinds()
    return next(name for name in sorted(kinds) if any(setting.widget == "secret" for setting in kinds[name].settings))


def token(page: Page) -> str:
    field = page.select_one("input[name=csrf_token]")
    assert field is not None
    return str(field["value"])


def hidden(page: Page, form: str = "form") -> dict[str, str]:
    return {str(field["name"]): str(field["value"]) for field in page.select(f"main {form} input[type=hidden]")}


def sent(browser: FlaskClient, url: str, fields: dict[str, str]) -> Page:
    """Send a form as a browser does that runs no JavaScript."""
    return Page.of(browser.post(url, data=fields))


def signed_in_again(browser: FlaskClient, page: Page, login: str) -> Page:
    """Sign in on the page that came instead of the answer, and press the button of the page after it."""
    assert page.response.status_code == 401
    form = page.select_one("main form[method=post]")
    assert form is not None
    between = sent(browser, str(form["action"]), hidden(page) | {"login": login, "password": PASSWORD})
    onward = between.select_one("main form[method=post]")
    assert onward is not None, between.get_text(" ", strip=True)[:400]
    return sent(browser, str(onward["action"]), hidden(between))


def test_a_draft_typed_before_the_session_ended_is_there_after_signing_in(app: Flask, olga: str) -> None:
    segment = builders.segment(name="会员")
    browser = app.test_client()
    typed = {
        "name": "双十一召回",
        "segment": str(segment.id),
        "kind": "once",
        "time": "09:30:15",
        "zone": "Asia/Shanghai",
        "do": "save",
    }

    filled = signed_in_again(browser, sent(browser, "/campaigns/new", typed), olga)

    assert filled.value("#name") == "双十一召回"
    assert filled.value("#segment-choice option[selected]") == str(segment.id)
    assert filled.value("#time") == "09:30:15"
    assert current_session().query(Campaign).count() == 0, "showing a form saves nothing"
    saved = sent(browser, "/campaigns/new", typed | {"csrf_token": token(filled)})
    assert saved.response.status_code == 303
    assert current_session().query(Campaign).one().name == "双十一召回"


def test_wrong_passwords_do_not_lose_it_either(app: Flask, olga: str) -> None:
    browser = app.test_client()
    page = sent(browser, "/campaigns/new", {"name": "双十一召回", "do": "save"})
    wrong = sent(browser, "/sign-in?next=/campaigns/new", hidden(page) | {"login": olga, "password": "wrong"})
    assert wrong.response.status_code == 422
    assert hidden(wrong)["typed:name"] == "双十一召回"


def test_rules_of_a_segment_come_back(app: Flask, olga: str) -> None:
    builders.kept(Property(name="city", type="string", created_at=builders.LONG_AGO))
    browser = app.test_client()
    typed = {
        "name": "上海会员",
        "rule.match": "all",
        "rule.0.property": "city",
        "rule.0.operator": "is",
        "rule.0.value.0": "上海",
        "do": "save",
    }
    filled = signed_in_again(browser, sent(browser, "/segments/new", typed), olga)
    assert filled.value("#name") == "上海会员"
    assert "上海" in str(filled.select_one("#builder"))


def test_a_secret_is_not_carried_through_the_sign_in_page(app: Flask, olga: str) -> None:
    browser = app.test_client()
    fields = {"name": "新通道", "password": "geheim", "secret-field": "password", "price": "0.045"}
    page = sent(browser, f"/channels/new/{with_secret()}", fields)
    assert "geheim" not in str(page)
    filled = signed_in_again(browser, page, olga)
    assert filled.value("#price") == "0.045"


def test_every_password_field_says_that_it_is_one(app: Flask, client: Pages) -> None:
    page = client.as_("administrator").get(f"/channels/new/{with_secret()}")
    secrets = {field["name"] for field in page.select("input[type=password]")}
    assert secrets
    assert secrets == {field["value"] for field in page.select("input[name=secret-field]")}


def test_an_action_is_not_carried_out_by_signing_in(app: Flask, olga: str) -> None:
    campaign = builders.campaign(name="会员日", status="waiting", next_due_at=clock.now())
    browser = app.test_client()
    filled = signed_in_again(browser, sent(browser, f"/campaigns/{campaign.id}/stop", {"really": "1"}), olga)
    assert filled.response.status_code == 200
    current_session().expire_all()
    assert current_session().get_one(Campaign, campaign.id).status == "waiting"


def test_another_site_cannot_fill_in_a_form(app: Flask) -> None:
    browser = app.test_client()
    answer = browser.post("/campaigns/new", data={"name": "evil"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert "evil" not in answer.text


def test_a_page_opened_before_signing_in_again_goes_on_with_what_was_typed(client: Pages) -> None:
    olga = client.as_("operator")
    old = olga.raw.post(
        "/campaigns/new", data={"name": "双十一召回", "do": "save", "csrf_token": "from another session"}
    )
    page = Page.of(old)
    assert page.response.status_code == 400
    onward = page.value("main form[method=post]", "action")
    filled = sent(olga.raw, onward, hidden(page))
    assert filled.value("#name") == "双十一召回"


def test_a_piece_does_not_replace_the_page_by_the_sign_in_page(app: Flask) -> None:
    answer = app.test_client().post("/campaigns/new", data={"part": "text"}, headers={"HX-Request": "true"})
    piece = Page.of(answer)
    assert answer.status_code == 401
    assert "HX-Redirect" not in answer.headers
    assert piece.value("a[data-error-link]", "href").startswith("/sign-in?next=")
    assert piece.select_one("[data-error] p") is not None


def test_a_piece_with_an_old_token_gets_a_new_one(client: Pages) -> None:
    olga = client.as_("operator")
    headers = {"HX-Request": "true", "X-CSRFToken": "from another session"}
    old = olga.raw.post("/campaigns/new", data={"part": "text", "do": "look"}, headers=headers)
    assert old.status_code == 400
    headers["X-CSRFToken"] = old.headers["X-CSRF-Token"]
    assert olga.raw.post("/campaigns/new", data={"part": "text", "do": "look"}, headers=headers).status_code == 200
