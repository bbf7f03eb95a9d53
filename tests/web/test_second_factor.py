"""A second factor: set up, asked for after the password, lost and reset."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskCliRunner

from smsapp.domain import one_time_code
from smsapp.domain.roles import Role
from smsapp.domain.throttle import ALLOWANCES, Counter
from smsapp.services.platform import clock, login_links, passwords, second_factor, sessions, users
from smsapp.services.platform.audit_log import Actor
from smsapp.store import settings as stored_settings
from smsapp.store.db import db
from smsapp.store.sign_in.second_factors import RecoveryCode, SecondFactor
from smsapp.store.users import AuditEntry, User
from tests.fakes import FakeClock
from tests.pages import Page, Pages

PASSWORD = "a sentence nobody guesses"
BY = Actor("test")


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A clock that stands still, and hashes that take no time."""
    monkeypatch.setattr(passwords, "hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    fake = FakeClock(dt.datetime.now(dt.UTC))
    monkeypatch.setattr(clock, "now", fake)
    return fake


@pytest.fixture
def olga(app: Flask) -> User:
    return users.create("olga", "Olga", Role.OPERATOR, PASSWORD, BY, clock.now())


def enter_password(client: Pages, status: int = 200, url: str = "/sign-in?next=/account") -> Page:
    return client.post(url, status=status, login="olga", password=PASSWORD)


def enter_code(client: Pages, code: str, status: int = 200) -> Page:
    return client.post("/sign-in/code?next=/account", status=status, code=code)


def set_up(client: Pages) -> tuple[pyotp.TOTP, list[str]]:
    """Have the signed-in person set up a factor in the pages; return their application and their recovery codes."""
    page = client.post("/account/second-factor/set-up")
    application = pyotp.TOTP(page.value("#secret"))
    codes = client.post("/account/second-factor/confirm", code=application.at(clock.now()))
    return application, codes.texts(".recovery-codes li")


@pytest.fixture
def with_factor(app: Flask, olga: User, time: FakeClock) -> tuple[pyotp.TOTP, list[str]]:
    """Olga's application and recovery codes; the code that confirmed it is used up."""
    client = Pages(app)
    enter_password(client)
    made = set_up(client)
    time.forward(seconds=60)
    return made


def path(page: Page) -> str:
    return page.response.request.path


def test_a_person_sets_up_a_factor_and_is_asked_for_it_from_then_on(
    app: Flask, client: Pages, olga: User, time: FakeClock
) -> None:
    # Given a person who is signed in on two devices
    there = Pages(app)
    enter_password(there)
    enter_password(client)
    assert "双重验证" in client.get("/account").text
    # When they scan the QR code; a wrong code confirms nothing
    page = client.post("/account/second-factor/set-up")
    assert path(page) == "/account/second-factor/confirm"
    assert page.value(".qr-code", "src").startswith("data:image/svg+xml")
    application = pyotp.TOTP(page.value("#secret"))
    wrong = client.post("/account/second-factor/confirm", status=422, code="000000x")
    assert wrong.value("#secret") == application.secret
    assert second_factor.state(olga.id).since is None
    codes = client.post("/account/second-factor/confirm", code=application.at(clock.now()))
    # Then they get ten recovery codes, are out on the other device, and go on here
    assert len(codes.texts(".recovery-codes li")) == 10
    assert path(there.get("/account")) == "/sign-in"
    assert path(client.get("/account")) == "/account"
    # And sign in with password and code
    client.post("/sign-out")
    time.forward(seconds=60)
    assert path(enter_password(client)) == "/sign-in/code"
    assert path(client.get("/account")) == "/sign-in"
    enter_password(client)
    assert path(enter_code(client, application.at(clock.now()))) == "/account"
    entry = db.session.query(AuditEntry).filter_by(action="sign_in").order_by(AuditEntry.id.desc()).first()
    assert entry is not None
    assert (entry.facts, entry.address) == ({"factor": "code"}, "127.0.0.1")


def test_the_secret_is_sealed_and_recovery_codes_are_hashed(
    with_factor: tuple[pyotp.TOTP, list[str]], olga: User
) -> None:
    application, codes = with_factor
    row = db.session.query(SecondFactor).one()
    assert application.secret.encode() not in row.secret
    digests = {code.digest for code in db.session.query(RecoveryCode)}
    assert digests == {one_time_code.recovery_digest(code) for code in codes}
    assert application.secret not in repr(second_factor.Enrolment(application.secret, "otpauth:"))


def test_a_code_signs_in_once(app: Flask, client: Pages, with_factor: tuple[pyotp.TOTP, list[str]]) -> None:
    code = with_factor[0].at(clock.now())
    enter_password(client)
    assert path(enter_code(client, code)) == "/account"
    thief = Pages(app)
    enter_password(thief)
    assert "已使用过" in enter_code(thief, code, 422).said()


def test_a_recovery_code_signs_in_once(app: Flask, client: Pages, with_factor: tuple[pyotp.TOTP, list[str]]) -> None:
    recovery = with_factor[1][3]
    enter_password(client)
    assert path(enter_code(client, recovery.upper().replace("-", " "))) == "/account"
    assert "9" in client.get("/account/second-factor").first(".facts").text
    other = Pages(app)
    enter_password(other)
    enter_code(other, recovery, 422)


def test_guesses_of_a_code_wait_also_for_who_knows_the_password(
    app: Flask, client: Pages, with_factor: tuple[pyotp.TOTP, list[str]]
) -> None:
    thief = Pages(app)
    thief.raw.environ_base["REMOTE_ADDR"] = "203.0.113.9"
    for _ in range(ALLOWANCES[Counter.LOGIN_AT_ADDRESS].free):
        # The right password, again and again, forgives no wrong code.
        enter_password(thief)
        enter_code(thief, "123456", 422)
    enter_password(thief, 429)
    assert enter_code(thief, with_factor[0].at(clock.now()), 429).response.headers["Retry-After"]
    enter_password(client)
    assert path(enter_code(client, with_factor[0].at(clock.now()))) == "/account"


def test_the_code_has_to_come_soon_and_of_the_same_account(
    app: Flask, client: Pages, with_factor: tuple[pyotp.TOTP, list[str]], olga: User, time: FakeClock
) -> None:
    application = with_factor[0]
    enter_password(client)
    time.forward(minutes=11)
    assert "重新登录" in enter_code(client, application.at(clock.now()), 401).said()
    # Whoever ends all sessions also ends a half-made one.
    enter_password(client)
    sessions.end_all(olga.id, BY, clock.now())
    enter_code(client, application.at(clock.now()), 401)
    # Without a password there is no second step.
    assert "重新登录" in Pages(app).get("/sign-in/code", status=401).said()


def test_what_was_typed_travels_through_both_steps(client: Pages, with_factor: tuple[pyotp.TOTP, list[str]]) -> None:
    asked = client.raw.post("/account", data={"name": "Olga Neu", "locale": "", "csrf_token": client.token()})
    assert asked.status_code == 401
    typed: dict[str, Any] = {"typed:name": "Olga Neu", "typed:locale": ""}
    page = client.post("/sign-in?next=/account", login="olga", password=PASSWORD, **typed)
    assert page.value("input[name='typed:name']") == "Olga Neu"
    page = client.post("/sign-in/code?next=/account", code=with_factor[0].at(clock.now()), **typed)
    assert page.value("form[data-send-at-once] input[name=name]") == "Olga Neu"


def test_a_one_time_link_does_not_get_past_the_second_factor(
    app: Flask, client: Pages, with_factor: tuple[pyotp.TOTP, list[str]], olga: User
) -> None:
    link = login_links.make_link(olga.id, BY, clock.now())
    page = client.post(link, name="Olga", password="another good sentence")
    assert path(page) == "/sign-in/code"
    assert path(client.get("/account")) == "/sign-in"


def test_recovery_codes_are_made_anew_with_a_code(
    app: Flask, client: Pages, with_factor: tuple[pyotp.TOTP, list[str]], time: FakeClock
) -> None:
    application, old = with_factor
    enter_password(client)
    enter_code(client, application.at(clock.now()))
    client.post("/account/second-factor", status=422, do="renew", code="nonsense")
    time.forward(seconds=30)
    page = client.post("/account/second-factor", do="renew", code=application.at(clock.now()))
    new = page.texts(".recovery-codes li")
    assert len(new) == 10
    assert not set(new) & set(old)
    other = Pages(app)
    enter_password(other)
    enter_code(other, old[0], 422)
    assert path(enter_code(other, new[0])) == "/account"


def test_a_factor_is_removed_with_a_code_and_set_up_for_a_new_telephone(
    app: Flask, client: Pages, with_factor: tuple[pyotp.TOTP, list[str]], time: FakeClock
) -> None:
    application, codes = with_factor
    enter_password(client)
    enter_code(client, application.at(clock.now()))
    # Nobody replaces a factor that counts by just setting up another one.
    assert path(client.post("/account/second-factor/set-up")) == "/account/second-factor"
    client.post("/account/second-factor", status=422, do="remove", code="000")
    client.post("/account/second-factor", do="remove", code=codes[0])
    other = Pages(app)
    assert path(enter_password(other)) == "/account"
    new, _codes = set_up(client)
    assert new.secret != application.secret


def test_an_administrator_resets_a_factor(
    app: Flask, client: Pages, with_factor: tuple[pyotp.TOTP, list[str]], olga: User
) -> None:
    ada, phone = client.as_("administrator"), Pages(app)
    enter_password(phone)
    enter_code(phone, with_factor[0].at(clock.now()))
    url = f"/users/{olga.id}/reset-factor"
    client.as_("operator").post(url, status=403)
    assert "olga" in ada.get("/users").text.lower()
    page = ada.get(url)
    assert "回拨" in page.text
    ada.post(url)
    assert path(phone.get("/account")) == "/sign-in"
    assert path(enter_password(phone)) == "/account"
    assert db.session.query(AuditEntry).filter_by(action="reset_factor").one().noun_id == str(olga.id)
    assert path(ada.get(url)) == f"/users/{olga.id}"


def test_the_command_resets_a_factor(
    runner: FlaskCliRunner, app: Flask, with_factor: tuple[pyotp.TOTP, list[str]]
) -> None:
    assert runner.invoke(args=["users", "reset-factor", "olga"]).exit_code == 0
    assert path(enter_password(Pages(app))) == "/account"
    assert runner.invoke(args=["users", "reset-factor", "olga"]).exit_code == 1
    assert runner.invoke(args=["users", "reset-factor", "nobody"]).exit_code == 1


def require(app: Flask, role: str) -> None:
    config = stored_settings.settings()
    app.extensions[stored_settings.EXTENSION] = dataclasses.replace(config, REQUIRE_SECOND_FACTOR=role)


def test_a_role_may_require_a_factor_before_anything_else(app: Flask, client: Pages, olga: User) -> None:
    require(app, "operator")
    assert path(enter_password(client)) == "/account/second-factor"
    for url in ("/account", "/segments/", "/account/password"):
        assert path(client.get(url)) == "/account/second-factor"
    set_up(client)
    assert path(client.get("/account")) == "/account"
    # Removing it leads back to where it has to be set up.
    recovery = client.post("/account/second-factor", status=422, do="remove", code="x")
    assert recovery.find("form")
    viewer = client.as_("viewer")
    assert path(viewer.get("/account")) == "/account"


def test_who_rises_to_a_role_that_requires_a_factor_sets_it_up_first(app: Flask, client: Pages, olga: User) -> None:
    require(app, "administrator")
    enter_password(client)
    assert path(client.get("/account")) == "/account"
    users.change(olga.id, "Olga", Role.ADMINISTRATOR, False, True, BY, clock.now())
    assert path(client.get("/users")) == "/account/second-factor"


def test_a_secret_that_no_key_opens_is_told_and_recovery_codes_still_work(
    client: Pages, with_factor: tuple[pyotp.TOTP, list[str]]
) -> None:
    row = db.session.query(SecondFactor).one()
    row.secret = b"sealed with a lost key"
    db.session.commit()
    enter_password(client)
    assert "恢复码" in enter_code(client, "123456", 422).said()
    assert path(enter_code(client, with_factor[1][0])) == "/account"


def test_the_secret_stands_in_the_page_as_the_qr_code_has_it(client: Pages, olga: User) -> None:
    enter_password(client)
    client.post("/account/second-factor/set-up")
    enrolment = second_factor.enrolment(olga.id, "olga", "SMS localhost")
    page = client.get("/account/second-factor/confirm")
    query = parse_qs(urlsplit(enrolment.uri).query)
    assert query["secret"] == [page.value("#secret")]
    assert re.fullmatch(r"[A-Z2-7]{32}", page.value("#secret"))
    assert page.response.headers["Cache-Control"] == "no-store"
