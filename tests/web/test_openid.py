"""Signing in through an OpenID provider, which is played by a real one on loopback that can also lie."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from joserfc.jwk import RSAKey

from smsapp.domain.roles import Role
from smsapp.services.platform import clock, login_links, openid, users
from smsapp.services.platform.audit_log import Actor
from smsapp.store import settings as stored_settings
from smsapp.store.db import db
from smsapp.store.sign_in.identities import ProviderIdentity
from smsapp.store.users import AuditEntry, User
from tests.fakes import FakeClock
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider, serving
from tests.pages import Page, Pages

BY = Actor("test")
PASSWORD = "a sentence nobody guesses"


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock(dt.datetime.now(dt.UTC))
    monkeypatch.setattr(clock, "now", fake)
    return fake


def configure(app: Flask, **settings: Any) -> None:
    config = stored_settings.settings()
    app.extensions[stored_settings.EXTENSION] = dataclasses.replace(config, **settings)


@pytest.fixture
def provider(app: Flask, time: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenIdProvider]:
    """A provider at which Olga is an operator, and an application that trusts it and is patient on a slow machine."""
    for limit in ("TIMEOUT", "CONNECT_TIMEOUT"):
        monkeypatch.setattr(openid, limit, 60.0)
    with serving(OpenIdProvider(time().timestamp())) as stand_in:
        stand_in.claims["groups"] = ["sms-team"]
        configure(
            app,
            OIDC_ISSUER=stand_in.issuer,
            OIDC_CLIENT_ID=CLIENT_ID,
            OIDC_CLIENT_SECRET=CLIENT_SECRET,
            OIDC_ROLES=(("sms-team", "operator"), ("sms-admins", "administrator")),
        )
        yield stand_in


def away(client: Pages, url: str = "/sign-in/openid?next=/account") -> str:
    """Return the provider's address to which the sign-in page leads."""
    answer = client.raw.get(url)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"])


def come_back(client: Pages, address: str, status: int = 200) -> Page:
    parts = urlsplit(address)
    return client.get(f"{parts.path}?{parts.query}", status=status)


def sign_in(client: Pages, provider: OpenIdProvider, status: int = 200) -> Page:
    return come_back(client, provider.visit(away(client)), status)


def path(page: Page) -> str:
    return page.response.request.path


def olga() -> User:
    return users.by_login("olga")


def test_a_person_signs_in_is_added_and_gets_the_role_of_their_claims(client: Pages, provider: OpenIdProvider) -> None:
    page = client.get("/sign-in?next=/account")
    link = page.first("a[href^='/sign-in/openid']")
    assert "127.0.0.1" in link.text
    answer = come_back(client, provider.visit(away(client, str(link["href"]))))
    assert path(answer) == "/account"
    assert (olga().name, olga().role, olga().password_hash) == ("Olga B.", "operator", "")
    identity = db.session.query(ProviderIdentity).one()
    assert (identity.issuer, identity.subject, identity.user_id) == (provider.issuer, "8f14e45f", olga().id)
    entries = [(row.action, row.facts.get("by"), row.address) for row in db.session.query(AuditEntry)]
    assert entries == [("create", "provider", "127.0.0.1"), ("sign_in", "provider", "127.0.0.1")]
    # The next time it is the same person, whatever they are called by then.
    provider.claims |= {"preferred_username": "olga.neu", "email": "neu@example.com"}
    client.post("/sign-out")
    sign_in(client, provider)
    assert db.session.query(User).count() == 1


def test_the_request_has_what_protects_it(client: Pages, provider: OpenIdProvider) -> None:
    query = {name: values[0] for name, values in parse_qs(urlsplit(away(client)).query).items()}
    assert len(query["state"]) >= 40
    assert len(query["nonce"]) >= 40
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == "http://localhost/sign-in/openid/callback"
    other = parse_qs(urlsplit(away(Pages(client.app))).query)
    assert other["state"] != [query["state"]]


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(client: Pages, provider: OpenIdProvider) -> None:
    provider.basic = False
    assert path(sign_in(client, provider)) == "/account"


LIES: dict[str, dict[str, Any]] = {
    "wrong nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "wrong audience": {"aud": "another application"},
    "several audiences without a party": {"aud": [CLIENT_ID, "another"]},
    "another party": {"aud": [CLIENT_ID, "another"], "azp": "another"},
    "wrong issuer": {"iss": "https://evil.example"},
    "no subject": {"sub": None},
    "a number as subject": {"sub": 7},
    "an endless subject": {"sub": "x" * 256},
    "no expiry": {"exp": None},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_token_that_is_not_for_this_sign_in_is_refused(client: Pages, provider: OpenIdProvider, lie: str) -> None:
    provider.bent = LIES[lie]
    page = sign_in(client, provider, 403)
    assert "无法验证" in page.text
    assert path(client.get("/account")) == "/sign-in"
    assert db.session.query(User).count() == 0


def test_an_expired_token_is_refused(client: Pages, provider: OpenIdProvider, time: FakeClock) -> None:
    provider.bent = {"exp": int(time().timestamp()) - 61}
    sign_in(client, provider, 403)
    provider.bent = {"iat": int(time().timestamp()) + 300}
    sign_in(client, provider, 403)


def test_an_unsigned_token_is_refused(client: Pages, provider: OpenIdProvider) -> None:
    provider.unsigned = True
    sign_in(client, provider, 403)
    assert db.session.query(User).count() == 0


def test_a_token_signed_by_somebody_else_is_refused(client: Pages, provider: OpenIdProvider) -> None:
    provider.signing_key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
    sign_in(client, provider, 403)


@pytest.mark.parametrize("answer", [{"state": "another"}, {"state": ""}, {"iss": "https://evil.example"}])
def test_an_answer_to_somebody_elses_sign_in_is_refused_before_anything_is_asked(
    client: Pages, provider: OpenIdProvider, answer: dict[str, str]
) -> None:
    provider.answer = answer
    page = sign_in(client, provider, 403)
    assert "不属于" in page.text
    assert "/token" not in provider.asked


def test_an_answer_counts_once_in_the_browser_that_asked_and_soon(
    client: Pages, provider: OpenIdProvider, time: FakeClock
) -> None:
    back = provider.visit(away(client))
    come_back(Pages(client.app), back, 403)
    assert path(come_back(client, back)) == "/account"
    client.post("/sign-out")
    come_back(client, back, 403)
    late = provider.visit(away(client))
    time.forward(minutes=16)
    assert "超时" in come_back(client, late, 403).text


def test_a_person_who_says_no_at_the_provider_is_told(client: Pages, provider: OpenIdProvider) -> None:
    provider.answer = {"error": "access_denied", "code": ""}
    assert "重新开始" in sign_in(client, provider, 403).text


def test_a_role_that_changes_there_changes_here(client: Pages, provider: OpenIdProvider) -> None:
    sign_in(client, provider)
    provider.claims["groups"] = ["sms-team", "sms-admins"]
    client.post("/sign-out")
    sign_in(client, provider)
    assert olga().role == "administrator"
    client.get("/users")
    provider.claims["groups"] = ["sms-team"]
    client.post("/sign-out")
    sign_in(client, provider)
    client.get("/users", status=403)
    assert [row.facts["role"] for row in db.session.query(AuditEntry).filter_by(action="change")] == [
        "administrator",
        "operator",
    ]


def test_who_has_no_role_there_any_more_has_no_rights_here(client: Pages, provider: OpenIdProvider) -> None:
    # Given a person who is signed in, and who also has a password and a link
    sign_in(client, provider)
    link = login_links.make_link(olga().id, BY, clock.now())
    # When their role is taken away there, and they sign in on another device
    provider.claims["groups"] = ["others"]
    other = Pages(client.app)
    assert "没有对应的角色" in sign_in(other, provider, 403).text
    # Then they are out everywhere, and neither link nor password lets them in
    assert path(client.get("/account")) == "/sign-in"
    Pages(client.app).get(link, status=404)
    assert olga().password_hash == ""
    assert db.session.query(AuditEntry).filter_by(action="sign_in_failed").one().noun_id == str(olga().id)


def test_a_stranger_without_a_role_is_not_added(client: Pages, provider: OpenIdProvider) -> None:
    provider.claims["groups"] = []
    sign_in(client, provider, 403)
    assert db.session.query(User).count() == 0


def test_a_person_who_was_signed_off_here_stays_out(client: Pages, provider: OpenIdProvider) -> None:
    sign_in(client, provider)
    users.disable(olga().id, BY, clock.now())
    assert "停用" in sign_in(Pages(client.app), provider, 403).text


def test_an_equal_login_or_address_is_not_the_same_person(client: Pages, provider: OpenIdProvider) -> None:
    local = users.create("olga", "Olga", Role.ADMINISTRATOR, PASSWORD, BY, clock.now())
    provider.claims["email"] = "olga"
    sign_in(client, provider)
    added = users.by_login("olga-2")
    assert added.id != local.id
    assert added.role == "operator"


def test_a_provider_vouches_for_the_second_factor(app: Flask, client: Pages, provider: OpenIdProvider) -> None:
    configure(app, REQUIRE_SECOND_FACTOR="viewer")
    assert path(sign_in(client, provider)) == "/account"


def test_a_provider_that_is_down_is_told_in_words(client: Pages, provider: OpenIdProvider) -> None:
    provider.is_down = True
    assert "没有正常响应" in client.get("/sign-in/openid", status=403).text
    provider.is_down = False
    back = provider.visit(away(client))
    provider.is_down = True
    come_back(client, back, 403)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://127.0.0.1:1/token"},
        {"jwks_uri": "http://169.254.169.254/keys"},
        {"authorization_endpoint": "https://evil.example/authorize"},
        {"authorization_endpoint": None},
        {"token_endpoint": "javascript:alert(1)"},
    ],
)
def test_addresses_that_are_not_the_issuers_are_neither_called_nor_visited(
    client: Pages, provider: OpenIdProvider, metadata: dict[str, Any]
) -> None:
    provider.metadata = metadata
    client.get("/sign-in/openid", status=403)
    assert provider.asked == ["/.well-known/openid-configuration"]


def test_signing_out_also_leads_to_the_provider(client: Pages, provider: OpenIdProvider) -> None:
    sign_in(client, provider)
    page = client.post("/sign-out")
    assert path(page) == "/signed-out"
    leave = away(client, page.value("a[href='/sign-in/openid/sign-out']", "href"))
    assert leave.startswith(
        f"{provider.issuer}/logout?client_id={CLIENT_ID}&post_logout_redirect_uri=http%3A%2F%2Flocalhost"
    )
    assert path(client.get("/account")) == "/sign-in"
    provider.metadata = {"end_session_endpoint": None}
    assert away(client, "/sign-in/openid/sign-out") == "/sign-in"


def test_nothing_of_a_token_is_in_the_log(
    client: Pages, provider: OpenIdProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.bent = {"nonce": "another"}
    back = provider.visit(away(client))
    come_back(client, back, 403)
    code = parse_qs(urlsplit(back).query)["code"][0]
    assert "openid.failed code=openid_token" in caplog.text
    assert code not in caplog.text
    assert CLIENT_SECRET not in caplog.text


def test_without_passwords_only_the_provider_and_an_administrators_link_sign_in(
    app: Flask, client: Pages, provider: OpenIdProvider, runner: FlaskCliRunner
) -> None:
    # Given local sign-in is switched off
    ada = users.create("ada", "Ada", Role.ADMINISTRATOR, PASSWORD, BY, clock.now())
    users.create("wei", "Wei", Role.OPERATOR, PASSWORD, BY, clock.now())
    invitation = login_links.make_link(users.by_login("wei").id, BY, clock.now())
    configure(app, LOCAL_SIGN_IN=False)
    # Then there is no password to type, and one that is sent is not looked at
    assert client.get("/sign-in").select("input[type=password]") == []
    token = client.get("/sign-in").value("input[name=csrf_token]")
    refused = client.raw.post("/sign-in", data={"login": "ada", "password": PASSWORD, "csrf_token": token})
    assert refused.status_code == 422
    # An operator's link of before opens nothing. Pages make no links; the command does, for administrators
    Pages(app).get(invitation, status=404)
    administrator = client.as_("administrator")
    assert "密码登录已关闭" in administrator.post(f"/users/{ada.id}/link").said()
    assert runner.invoke(args=["users", "link", "wei"]).exit_code == 1
    link = runner.invoke(args=["users", "link", "ada"]).output.splitlines()[-1]
    glass = Pages(app)
    assert glass.get(link).select("input[type=password]") == []
    assert path(glass.post(link)) != "/sign-in"
    assert path(glass.get("/users")) == "/users"
    assert login_links.first_link(clock.now()) is None


def test_a_form_that_was_sent_without_a_session_comes_back_after_signing_in_elsewhere(
    client: Pages, provider: OpenIdProvider
) -> None:
    # Given a form that was sent without a session; its page offers the provider in a new tab
    sent = {"name": "Olga Neu", "locale": "en", "csrf_token": client.token()}
    asked = Page.of(client.raw.post("/account", data=sent))
    assert asked.value("a[target=_blank]", "href") == "/sign-in/openid?next=/signed-in"
    # When the person signs in there, and goes on in the first tab
    sign_in(client, provider)
    form = asked.first("form[data-go-on]")
    fields = {str(field["name"]): str(field["value"]) for field in form.select("input[name]")}
    page = Page.of(client.raw.post(str(form["action"]), data=fields))
    # Then what was typed is still there, two steps on
    for _ in range(2):
        form = page.first("form[data-send-at-once]")
        fields = {str(field["name"]): str(field["value"]) for field in form.select("input[name]")}
        page = Page.of(client.raw.post(str(form["action"]), data=fields))
    assert page.value("#name") == "Olga Neu"


def test_without_a_provider_there_is_nothing_to_see(client: Pages) -> None:
    assert client.get("/sign-in").select("a[href^='/sign-in/openid']") == []
    for url in ("/sign-in/openid", "/sign-in/openid/callback?code=x&state=y", "/sign-in/openid/sign-out"):
        client.get(url, status=404)
    assert path(client.get("/signed-out")) == "/sign-in"
