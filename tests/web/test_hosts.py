"""Names under which pages are answered: an address in a link must not be what a request says it is."""

from __future__ import annotations

import pytest
from flask import Flask
from werkzeug.sansio.utils import host_is_trusted

from config import Config
from smsapp.domain.roles import Role
from smsapp.factory import create_app
from smsapp.services.platform import clock, login_links
from smsapp.services.platform.audit_log import Actor
from tests import builders
from tests.conftest import settings
from tests.pages import Pages

MAKER = Actor("test")


@pytest.mark.parametrize(
    ("given", "answered", "refused"),
    [
        ({}, ["sms.example.com", "bad.example", "10.0.0.7:8000"], []),
        (
            {"PUBLIC_URL": "https://sms.example.com"},
            ["sms.example.com", "localhost:8000", "127.0.0.1"],
            ["bad.example"],
        ),
        (
            {"PUBLIC_URL": "https://sms.example.com", "TRUSTED_HOSTS": "intern.lan, .corp.example"},
            ["intern.lan", "a.corp.example", "sms.example.com:443"],
            ["bad.example", "sms.example.com.bad.example", "intern.lan.bad"],
        ),
    ],
)
def test_pages_answer_under_their_own_names_only(
    given: dict[str, str], answered: list[str], refused: list[str]
) -> None:
    hosts = settings(Config.read({}).INSTANCE_DIR, **given).answered_hosts
    for host in answered:
        assert not hosts or host_is_trusted(host, hosts), host
    for host in refused:
        assert not host_is_trusted(host, hosts), host


def test_a_page_under_a_foreign_name_is_refused_and_machines_are_not(app: Flask) -> None:
    app.config["ANSWERED_HOSTS"] = ["sms.example.com"]
    browser = app.test_client()
    page = browser.get("/sign-in", headers={"Host": "bad.example"})
    assert (page.status_code, "TRUSTED_HOSTS" in page.text, "bad.example" in page.text) == (400, True, False)
    # The redirect that adds a slash would lead to the foreign name as well.
    assert browser.get("/campaigns", headers={"Host": "bad.example"}).status_code == 400
    assert browser.get("/sign-in", headers={"Host": "sms.example.com"}).status_code == 200
    assert browser.get("/healthz", headers={"Host": "10.0.0.7"}).status_code in {200, 503}
    assert browser.post("/up", json=[], headers={"Host": "10.0.0.7"}).status_code == 200


def test_a_one_time_link_begins_with_the_public_address(app: Flask, client: Pages) -> None:
    app.config["PUBLIC_URL"] = "https://sms.example.com"
    person, _link = login_links.invite("mei", "Mei", Role.VIEWER, False, MAKER, clock.now())
    page = client.as_("administrator").post(f"/users/{person.id}/link")
    assert "https://sms.example.com/welcome/" in str(page)
    assert "http://localhost/welcome/" not in str(page)


def test_the_audit_log_says_from_where_somebody_acted(app: Flask, client: Pages) -> None:
    builders.person(login="olga")
    app.test_client().post("/sign-in")  # without a CSRF token: not an attempt
    client.post("/sign-in", login="olga", password="not the password", status=422)
    page = client.as_("administrator").get("/audit-log?action=sign_in_failed")
    assert "127.0.0.1" in page.text


@pytest.mark.parametrize(("secure", "name"), [("1", "__Host-smsapp"), ("0", "smsapp")])
def test_over_https_no_neighbour_can_set_the_cookie(config: Config, secure: str, name: str) -> None:
    app = create_app(settings(config.INSTANCE_DIR, SECURE_COOKIES=secure, DATABASE_URL=config.DATABASE_URL))
    cookie = app.test_client().get("/sign-in", base_url="https://localhost").headers["Set-Cookie"]
    assert cookie.startswith(f"{name}=")
    assert ("Secure" in cookie, "Path=/" in cookie, "Domain" in cookie) == (secure == "1", True, False)
