"""Sessions are listed, with their device, and end at the next request after somebody has ended them."""

from __future__ import annotations

import datetime as dt

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError

from smsapp.services.platform import clock, sessions, users
from smsapp.services.platform.audit_log import Actor
from smsapp.store.db import db
from smsapp.store.sign_in import sessions as store
from smsapp.store.sign_in.sessions import StoredSession
from smsapp.store.users import AuditEntry
from tests.pages import Pages, kept
from tests.statements import statements

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"


def another(client: Pages, olga: Pages, name: str) -> Pages:
    """Return another browser of the same person."""
    pages = Pages(client.app, "operator")
    pages.raw.environ_base |= {"REMOTE_ADDR": "203.0.113.9", "HTTP_USER_AGENT": FIREFOX}
    person = users.person(olga.user_id or 0)
    with pages.raw.session_transaction() as session:
        session["_user_id"] = kept(person, clock.now()).replace("sitting", name)
        session["_fresh"] = True
    pages.get("/account")
    return pages


def test_a_person_sees_where_they_are_signed_in_and_ends_one_of_it(client: Pages) -> None:
    olga = client.as_("operator")
    phone = another(client, olga, "phone")
    page = olga.get("/account")
    rows = {row[1]: row for row in page.rows()}
    assert rows["203.0.113.9"][0] == "Firefox · Linux"
    assert "当前会话" in rows["127.0.0.1"][-1]
    # When the other one is ended, it is over at its next request, and the audit log says so
    url = page.value("form.action[action*='/account/sessions/']", "action")
    olga.post(url)
    assert phone.get("/account").response.request.path == "/sign-in"
    assert len(olga.get("/account").rows()) == 1
    entry = db.session.query(AuditEntry).filter_by(action="end_session").one()
    assert (entry.facts["from_address"], entry.address) == ("203.0.113.9", "127.0.0.1")


def test_a_copied_cookie_of_an_ended_session_stays_worthless(client: Pages) -> None:
    olga = client.as_("operator")
    phone = another(client, olga, "phone")
    row = db.session.query(StoredSession).filter_by(address="203.0.113.9").one()
    sessions.end(olga.user_id or 0, row.id, Actor("test"), clock.now())
    for _ in range(2):
        assert phone.get("/account").response.request.path == "/sign-in"
    assert [line.address for line in sessions.of_person(olga.user_id or 0, clock.now())] == []


def test_everywhere_else_is_signed_out_and_this_session_goes_on(client: Pages) -> None:
    olga = client.as_("operator")
    phone = another(client, olga, "phone")
    olga.post("/account/sign-out-everywhere")
    assert phone.get("/account").response.request.path == "/sign-in"
    assert len(olga.get("/account").rows()) == 1


def test_nobody_ends_a_session_of_somebody_else_but_administrators(client: Pages) -> None:
    olga, mallory, ada = client.as_("operator"), client.as_("operator"), client.as_("administrator")
    another(client, olga, "phone")
    row = db.session.query(StoredSession).filter_by(address="203.0.113.9").one()
    mallory.post(f"/account/sessions/{row.id}/end", status=404)
    mallory.post(f"/users/{olga.user_id}/sessions/{row.id}/end", status=403)
    ada.post(f"/users/{mallory.user_id}/sessions/{row.id}/end", status=404)
    page = ada.get(f"/users/{olga.user_id}")
    assert "Firefox · Linux" in page.text
    ada.post(f"/users/{olga.user_id}/sessions/{row.id}/end")
    assert "Firefox" not in ada.get(f"/users/{olga.user_id}").text


def test_the_last_use_is_stored_every_few_minutes_with_the_address(
    client: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    olga, now = client.as_("operator"), clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    olga.get("/account")
    first = db.session.query(StoredSession.seen_at).scalar()
    now += dt.timedelta(minutes=4)
    olga.get("/account")
    assert db.session.query(StoredSession.seen_at).scalar() == first
    now += dt.timedelta(minutes=1)
    olga.raw.environ_base["REMOTE_ADDR"] = "198.51.100.7"
    olga.get("/account")
    row = db.session.query(StoredSession).one()
    assert (row.seen_at, row.address) == (first + dt.timedelta(minutes=5), "198.51.100.7")


def test_a_request_asks_the_database_once_for_its_person(client: Pages) -> None:
    olga = client.as_("operator")
    olga.get("/signed-in")
    with statements() as asked:
        olga.get("/signed-in")
    assert len(asked) == 1, asked


def test_a_database_that_takes_no_writes_keeps_nobody_out(client: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object) -> None:
        raise OperationalError("INSERT", {}, Exception("disk full"))

    olga = client.as_("operator")
    monkeypatch.setattr(store, "add", full)
    assert olga.get("/signed-in").response.request.path == "/signed-in"


def test_expired_sessions_are_forgotten(app: Flask, client: Pages) -> None:
    olga, now = client.as_("operator"), clock.now()
    who = sessions.as_signed_in(users.person(olga.user_id or 0), "")
    sessions.begin(who, sessions.Visit(""), now - dt.timedelta(days=8))
    assert sessions.of_person(who.id, now) == []
    fresh = sessions.begin(who, sessions.Visit(""), now)
    assert [row.id for row in db.session.query(StoredSession)] == [fresh.id]
