"""Signing in, roles, links, the people page and the audit log, as people do it."""

from __future__ import annotations

import datetime as dt
import re
import sqlite3
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from smsapp.domain.rights import Right
from smsapp.domain.roles import Role
from smsapp.services.platform import clock, login_links, sessions, signing_in, users
from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.services.platform.sessions import LoginSession
from smsapp.store.db import db, writing
from smsapp.store.sign_in.sessions import EndedSession
from smsapp.store.users import AuditEntry, User
from smsapp.web import guard
from smsapp.web.errors import RETRY_SECONDS
from tests import builders
from tests.pages import Page, Pages

BY = Actor("test")
PASSWORD = "a sentence nobody guesses"


def made(login: str = "olga", role: Role = Role.OPERATOR, password: str = PASSWORD) -> User:
    return users.create(login, "Olga", role, password, BY, clock.now())


def actions() -> list[str]:
    return [line.action for line in db.session.query(AuditEntry).order_by(AuditEntry.id)]


def sign_in(
    client: Pages, login: str = "olga", password: str = PASSWORD, status: int = 200, url: str = "/sign-in"
) -> Page:
    return client.post(url, status=status, follow=status != 303, login=login, password=password)


def test_every_page_is_closed_to_strangers(client: Pages, app: Flask) -> None:
    # Given every address that was not opened on purpose
    views = app.view_functions
    closed = [rule for rule in app.url_map.iter_rules() if not getattr(views[rule.endpoint], "public", False)]
    assert len(closed) > 10
    for rule in closed:
        if rule.endpoint == "static" or "GET" not in (rule.methods or set()):
            continue
        url = re.sub("<(?:int|long):[^>]*>", "1", rule.rule)
        url = re.sub(r"<any\(['\"]?(\w+)[^>]*>", r"\1", url)
        # When a stranger asks, then the sign-in page is what they get
        answer = client.raw.get(re.sub("<[^>]*>", "x", url))
        assert answer.status_code == 303, rule
        assert answer.headers["Location"].startswith("/sign-in"), rule


def test_a_person_signs_in_and_reaches_the_page_they_wanted(client: Pages) -> None:
    made()
    wanted = client.get("/account")
    assert wanted.first("h1").text == "登录"
    page = sign_in(client, " OLGA ", url="/sign-in?next=/account")
    assert "olga" in page.text
    assert page.response.request.path == "/account"
    assert "sign_in" in actions()


@pytest.mark.parametrize("url", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_never_leads_to_another_site(client: Pages, url: str) -> None:
    made()
    token = client.token()
    answer = client.raw.post(
        "/sign-in", query_string={"next": url}, data={"login": "olga", "password": PASSWORD, "csrf_token": token}
    )
    assert answer.headers["Location"] == "/"


def test_a_wrong_password_and_an_unknown_login_get_the_same_answer(client: Pages) -> None:
    made()
    wrong = sign_in(client, password="wrong password", status=422)
    unknown = sign_in(client, login="nobody", status=422)
    assert wrong.said() == unknown.said() != ""
    assert wrong.value("#login") == "olga"
    assert wrong.first("#password").get("value", "") == ""
    # Both leave a line, or the time it takes would tell them apart; what was typed as an unknown login is not kept.
    lines = db.session.query(AuditEntry).filter_by(action="sign_in_failed").order_by(AuditEntry.id)
    assert [line.facts["login"] for line in lines] == ["olga", ""]


def test_a_disabled_person_is_out_at_once(client: Pages) -> None:
    person = made()
    sign_in(client, url="/sign-in?next=/account")
    users.disable(person.id, BY, clock.now())
    assert client.get("/account").first("h1").text == "登录"
    sign_in(client, status=422)


def test_an_old_form_of_an_ended_session_asks_to_sign_in_and_changes_nothing(client: Pages) -> None:
    person = made()
    sign_in(client, url="/sign-in?next=/account")
    sessions.end_all(person.id, BY, clock.now())
    page = client.raw.post("/account", data={"name": "New"}, follow_redirects=True)
    assert "没有" in page.text
    assert builders.existing(db.session.get(User, person.id)).name == "Olga"


def test_a_form_without_a_token_is_refused_in_words(client: Pages) -> None:
    olga = client.as_("operator")
    answer = olga.raw.post("/account", data={"name": "New", "locale": ""})
    assert answer.status_code == 400
    assert "表单" in answer.text


def test_one_time_links_work_once(client: Pages) -> None:
    # Given nobody has a password
    link = builders.existing(login_links.first_link(clock.now()))
    # When the first administrator opens the newest link
    newest = builders.existing(login_links.first_link(clock.now()))
    assert newest != link
    client.get(link, status=404)
    short = client.post(newest, status=422, login="ada", name="Ada", password="short")
    assert short.value("#name") == "Ada"
    client.post(newest, follow=False, status=303, login="Ada", name="Ada", password=PASSWORD)
    # Then they are signed in, the link is spent, and no other is made
    assert client.get("/users").find("h1")
    Pages(client.app).get(newest, status=404)
    assert login_links.first_link(clock.now()) is None


def test_a_link_is_good_for_a_day(client: Pages) -> None:
    link = builders.existing(login_links.first_link(clock.now() - dt.timedelta(hours=24)))
    client.get(link, status=404)


def test_an_administrator_invites_a_person_who_then_signs_in(client: Pages) -> None:
    ada = client.as_("administrator")
    page = ada.post("/users/new", login="Wei", name="小伟", role="operator", sees_numbers="y")
    link = page.value("#link").removeprefix("http://localhost")
    guest = Pages(client.app)
    assert "wei" in guest.get(link).text
    guest.post(link, follow=False, status=303, login="root", name="小伟", password=PASSWORD)
    # The login of an invitation is the administrator's choice.
    assert users.by_login("wei").sees_numbers
    assert "小伟" in ada.get("/users").text
    taken = ada.post("/users/new", status=422, login="wei", name="Other", role="viewer")
    assert taken.select_one("#login-error")
    assert taken.value("#name") == "Other"


def test_the_last_administrator_stays(client: Pages) -> None:
    ada = client.as_("administrator")
    url = f"/users/{ada.user_id}"
    page = ada.post(url, status=422, name="Ada", role="viewer", active="y")
    assert page.select_one("#role-error")
    page = ada.post(url, status=422, name="Ada", role="administrator")
    assert page.select_one("#active-error")
    # With a second one, the first may go
    client.as_("administrator")
    ada.post(url, status=403, name="Ada", role="viewer", active="y")
    assert builders.existing(db.session.get(User, ada.user_id)).role == "viewer"


def test_a_new_password_ends_the_other_sessions(client: Pages) -> None:
    made()
    here, there = Pages(client.app), Pages(client.app)
    sign_in(here, url="/sign-in?next=/account")
    sign_in(there, url="/sign-in?next=/account")
    wrong = here.post("/account/password", status=422, old="not it at all", password="another good sentence")
    assert wrong.select_one("#old-error")
    here.post("/account/password", old=PASSWORD, password="another good sentence")
    assert here.get("/account").response.request.path == "/account"
    assert there.get("/account").response.request.path == "/sign-in"


def test_a_weak_password_is_refused_with_the_reason(client: Pages) -> None:
    made()
    sign_in(client, url="/sign-in?next=/account")
    for weak in ("short", "olgaolga1!", "aaaaaaaaaaaa", "1234567890"):
        page = client.post("/account/password", status=422, old=PASSWORD, password=weak)
        assert page.select_one("#password-error"), weak


def test_a_person_signs_out_here_and_everywhere(client: Pages) -> None:
    made()
    here, there = Pages(client.app), Pages(client.app)
    sign_in(here, url="/sign-in?next=/account")
    sign_in(there, url="/sign-in?next=/account")
    here.post("/account/sign-out-everywhere")
    assert here.get("/account").response.request.path == "/account"
    assert there.get("/account").response.request.path == "/sign-in"
    here.post("/sign-out")
    assert here.get("/account").response.request.path == "/sign-in"
    assert actions()[-1] == "sign_out"


def copied(client: Pages) -> Pages:
    """Return a browser that holds a copy of this one's cookies."""
    thief = Pages(client.app)
    with client.raw.session_transaction() as own_session, thief.raw.session_transaction() as taken:
        taken.update(own_session)
    return thief


def test_a_copy_of_the_cookie_is_worth_nothing_after_signing_out(client: Pages) -> None:
    made()
    here, there = Pages(client.app), Pages(client.app)
    sign_in(here, url="/sign-in?next=/account")
    sign_in(there, url="/sign-in?next=/account")
    thief = copied(here)
    assert thief.get("/account").response.request.path == "/account"
    here.post("/sign-out")
    assert thief.get("/account").response.request.path == "/sign-in"
    assert there.get("/account").response.request.path == "/account"


def test_a_session_ends_after_a_week_however_busy(client: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    made()
    sign_in(client, url="/sign-in?next=/account")
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + dt.timedelta(days=6, hours=23))
    assert client.get("/account").response.request.path == "/account"
    monkeypatch.setattr(clock, "now", lambda: now + dt.timedelta(days=7, seconds=2))
    assert client.get("/account").response.request.path == "/sign-in"


def test_ended_sessions_are_forgotten_once_they_would_have_expired(client: Pages) -> None:
    person, now = made(), clock.now()
    for age in (8, 1):
        sessions.sign_out(
            LoginSession(f"s{age}", now - dt.timedelta(days=age)), Actor("olga", person.id, role=Role.OPERATOR), now
        )
    sessions.sign_out(LoginSession("s0", now), Actor("olga", person.id, role=Role.OPERATOR), now)
    assert {row.session_id for row in db.session.query(EndedSession)} == {"s1", "s0"}


@pytest.mark.parametrize("kept", ["", "1", "1.mark", "1.mark.x.", "x.mark.s.1", "1.mark.s.99999999999"])
def test_a_cookie_of_another_make_signs_nobody_in(client: Pages, kept: str) -> None:
    olga = client.as_("operator")
    with olga.raw.session_transaction() as session:
        session["_user_id"] = kept
    assert olga.get("/account").response.request.path == "/sign-in"


@pytest.mark.parametrize("how", ["password", "everywhere"])
def test_older_one_time_links_end_with_the_sessions(client: Pages, how: str) -> None:
    person = made()
    link = login_links.make_link(person.id, BY, clock.now())
    client.get(link)
    if how == "password":
        signing_in.change_password(person.id, PASSWORD, "another good sentence", "here", Actor("test"), clock.now())
    else:
        sessions.end_all(person.id, BY, clock.now())
    client.get(link, status=404)


@pytest.mark.parametrize("url", ["/users", "/users/new", "/audit-log"])
def test_people_and_audit_log_are_for_administrators(client: Pages, url: str) -> None:
    client.as_("operator").get(url, status=403)
    client.as_("administrator").get(url)


def test_the_menu_speaks_the_language_of_its_reader(client: Pages) -> None:
    assert client.get("/sign-in").value("html", "lang") == "zh-Hans"
    page = client.post("/language", locale="en", back="/sign-in")
    assert page.value("html", "lang") == "en"
    olga = client.as_("operator")
    assert olga.get("/account").value("html", "lang") == "zh-Hans"
    page = olga.post("/language", locale="en", back="/account")
    assert page.value("html", "lang") == "en"
    assert builders.existing(db.session.get(User, olga.user_id)).locale == "en"
    assert olga.post("/language", locale="xx", back="https://evil.example", follow=False, status=303)


def test_ones_own_name_and_language_are_changed(client: Pages) -> None:
    olga = client.as_("operator")
    page = olga.post("/account", name="奥尔加", locale="en")
    assert page.value("html", "lang") == "en"
    assert "奥尔加" in page.text
    assert olga.post("/account", status=422, name=" ", locale="en").select_one("#name-error")


def test_the_audit_log_is_paged_and_filtered(client: Pages) -> None:
    ada = client.as_("administrator")
    for number in range(60):
        login_links.invite(
            f"guest{number}",
            "Guest",
            Role.VIEWER,
            False,
            Actor("ada", ada.user_id, role=Role.ADMINISTRATOR),
            clock.now(),
        )
    page = ada.get("/audit-log", person=str(ada.user_id))
    assert len(page.rows()) == 50
    older = ada.get(page.value("a[rel=next]", "href"))
    assert len(older.rows()) == 10
    piece = ada.get("/audit-log", htmx=True, action="create")
    assert piece.find("h1") is None
    assert len(piece.rows()) == 50
    assert not ada.get("/audit-log", action="create", person="999").rows()


def test_the_details_of_the_audit_log_are_in_words(client: Pages) -> None:
    ada = client.as_("administrator", "en")
    by = Actor("ada", ada.user_id, role=Role.ADMINISTRATOR)
    facts: list[dict[str, Any]] = [
        {"name": "Spring", "next_due_at": "2026-03-02T02:00:00+00:00", "result": "ok"},
        {"changed": ["rate", "phone_property", "api_key"], "role": "viewer", "sees_numbers": False},
        {"counts": {"added": 2, "refused": 1}, "group": "delivered", "cause": "worker_lost", "run": None},
    ]
    with writing() as session:
        for fact in facts:
            log_action(session, by, "edit", "campaign", 1, clock.now(), **fact)
    assert set(ada.get("/audit-log").texts(".audit-facts > span")) >= {
        "Name Spring",
        "Next send 2 Mar 2026 10:00",
        "Result answers",
        "changed Messages per second, Property that holds the phone, api_key",
        "Role Viewer",
        "Sees whole phone numbers no",
        "Rows added 2, left out 1",
        "Part of the recipients Delivered",
        "Cause The sender stopped before the answer came",
        "Run –",
    }


def test_errors_are_told_in_the_readers_language(client: Pages) -> None:
    olga = client.as_("operator", locale="en")
    page = olga.get("/no-such-page", status=404)
    assert "no such page" in page.first("h1").text
    assert olga.get("/sign-out", status=405).find("h1")
    assert client.get("/no-such-page", status=404).value("html", "lang") == "zh-Hans"


def test_a_fault_is_told_without_asking_the_database(
    client: Pages, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    @guard.needs(Right.ACCOUNT_OWN)
    def broken() -> None:
        raise RuntimeError("the database is gone")

    monkeypatch.setitem(app.view_functions, "users.own", broken)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    page = client.as_("operator").get("/account", status=500)
    assert "gone" not in page.text


@pytest.mark.parametrize(("locale", "advice"), [("en", "try again in a minute"), ("zh_Hans", "一分钟后再试")])
def test_a_database_that_is_away_is_told_with_what_to_do(
    client: Pages, app: Flask, monkeypatch: pytest.MonkeyPatch, locale: str, advice: str
) -> None:
    @guard.needs(Right.ACCOUNT_OWN)
    def away() -> None:
        raise OperationalError("SELECT secret", {"phone": "+8613800138000"}, sqlite3.OperationalError("disk is full"))

    olga = client.as_("operator")
    with olga.raw.session_transaction() as session:
        session["locale"] = locale
    monkeypatch.setitem(app.view_functions, "users.own", away)
    page = olga.get("/account", status=503)
    assert advice in page.text
    assert page.response.headers["Retry-After"] == str(RETRY_SECONDS)
    assert "13800138000" not in page.text


def test_pages_may_not_be_kept_framed_or_given_scripts(client: Pages) -> None:
    headers = client.as_("viewer").get("/account").response.headers
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "same-origin"
    assert "HX-Request" in headers["Vary"]


def test_static_files_are_kept_and_depend_on_no_cookie(client: Pages) -> None:
    page = client.get("/sign-in")
    for link in page.select("link[rel=stylesheet], script[src]"):
        answer = client.raw.get(link.get("href") or link.get("src"))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
        assert "Cookie" not in answer.headers.get("Vary", "")
