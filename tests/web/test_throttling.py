"""Guessing passwords: whoever guesses waits longer and longer; the person who is meant gets in."""

from __future__ import annotations

import datetime as dt
from http.cookies import SimpleCookie

import pytest
import redis
from argon2 import PasswordHasher
from flask import Flask

from smsapp.domain.roles import Role
from smsapp.domain.throttle import ALLOWANCES, Counter
from smsapp.services.platform import clock, passwords, signing_in, throttling, users
from smsapp.services.platform.audit_log import Actor
from smsapp.services.platform.throttling import Client, TooManyAttempts
from smsapp.store import queue
from smsapp.store.db import db
from smsapp.store.users import User
from tests.fakes import FakeClock
from tests.pages import Page, Pages

PASSWORD = "a sentence nobody guesses"
ELSEWHERE = "203.0.113.9"
FREE = ALLOWANCES[Counter.LOGIN_AT_ADDRESS].free


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that take no time: these tests guess often."""
    monkeypatch.setattr(passwords, "hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords.nobody.cache_clear()


@pytest.fixture(autouse=True)
def time(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A clock that stands still: however slow the machine is, no wait is over by itself."""
    fake = FakeClock(dt.datetime.now(dt.UTC))
    monkeypatch.setattr(clock, "now", fake)
    return fake


@pytest.fixture
def olga(app: Flask) -> User:
    return users.create("olga", "Olga", Role.OPERATOR, PASSWORD, Actor("test"), clock.now())


def browser(app: Flask, address: str) -> Pages:
    """Return a browser without any cookie at this address."""
    pages = Pages(app)
    pages.raw.environ_base["REMOTE_ADDR"] = address
    return pages


def sign_in(client: Pages, password: str, status: int, login: str = "olga") -> Page:
    return client.post("/sign-in?next=/account", status=status, follow=status != 303, login=login, password=password)


def guess(client: Pages, times: int) -> None:
    for _ in range(times):
        sign_in(client, "wrong password", 422)


def test_who_guesses_is_told_how_long_to_wait_and_what_else_helps(app: Flask, client: Pages, olga: User) -> None:
    guess(client, FREE)
    page = sign_in(client, PASSWORD, 429)
    # The header, and the sentence, say the true time; the login stays typed.
    assert 1 <= int(page.response.headers["Retry-After"]) <= 5
    assert "秒后重试" in page.said()
    assert "一次性链接" in page.said()
    assert page.value("#login") == "olga"
    assert page.first("#password").get("value", "") == ""


def test_the_wait_is_over_when_it_was_said_to_be_and_grows(
    app: Flask, client: Pages, olga: User, time: FakeClock
) -> None:
    guess(client, FREE)
    assert sign_in(client, PASSWORD, 429).response.headers["Retry-After"] == "5"
    time.forward(seconds=5)
    sign_in(client, "wrong password", 422)
    assert sign_in(client, PASSWORD, 429).response.headers["Retry-After"] == "10"
    time.forward(seconds=10)
    sign_in(client, PASSWORD, 303)


def test_strangers_make_neither_the_owner_elsewhere_nor_a_known_device_wait(
    app: Flask, client: Pages, olga: User
) -> None:
    # Given a device on which the owner has signed in, at the very address of the stranger
    device = browser(app, ELSEWHERE)
    sign_in(device, PASSWORD, 303)
    device.post("/sign-out")
    stranger = browser(app, ELSEWHERE)
    guess(stranger, FREE)
    sign_in(stranger, PASSWORD, 429)
    # Then the owner gets in, from that device and from another place
    sign_in(device, PASSWORD, 303)
    sign_in(client, PASSWORD, 303)


def test_a_known_device_is_not_stopped_by_guesses_from_everywhere(app: Flask, client: Pages, olga: User) -> None:
    sign_in(client, PASSWORD, 303)
    client.post("/sign-out")
    fill(Counter.LOGIN)
    sign_in(browser(app, "198.51.100.7"), PASSWORD, 429)
    sign_in(client, PASSWORD, 303)


def fill(counter: Counter) -> None:
    """Have as many guesses for the login, each from an address of its own, as are free."""
    for number in range(ALLOWANCES[counter].free):
        throttling.take("olga", Client(f"10.0.{number // 250}.{number % 250}"), clock.now())


def test_guesses_on_a_known_device_wait_too(app: Flask, client: Pages, olga: User) -> None:
    sign_in(client, PASSWORD, 303)
    client.post("/sign-out")
    guess(client, ALLOWANCES[Counter.DEVICE].free)
    sign_in(client, PASSWORD, 429)


def test_a_device_is_known_for_its_own_login_only(app: Flask, client: Pages, olga: User) -> None:
    users.create("wei", "Wei", Role.OPERATOR, PASSWORD, Actor("test"), clock.now())
    sign_in(client, PASSWORD, 303, login="wei")
    client.post("/sign-out")
    guess(client, FREE)
    # Wei's device does not give a fresh counter for Olga's login.
    sign_in(client, PASSWORD, 429)
    sign_in(client, PASSWORD, 303, login="wei")


@pytest.mark.parametrize("value", ["", "x", "eyJvbGdhIjoieCJ9.aaaa.bbbb"])
def test_a_cookie_of_another_make_is_no_known_device(app: Flask, client: Pages, olga: User, value: str) -> None:
    client.raw.set_cookie("smsapp-device", value)
    guess(client, FREE)
    sign_in(client, PASSWORD, 429)


def test_a_whole_ipv6_network_is_one_address(app: Flask, olga: User) -> None:
    for number in range(FREE):
        sign_in(browser(app, f"2001:db8:1:2::{number + 1:x}"), "wrong password", 422)
    sign_in(browser(app, "2001:db8:1:2:ffff::1"), PASSWORD, 429)
    sign_in(browser(app, "2001:db8:1:3::1"), PASSWORD, 303)


def test_headers_do_not_make_another_address(app: Flask, olga: User) -> None:
    for number in range(FREE):
        client = browser(app, ELSEWHERE)
        client.raw.environ_base["HTTP_X_FORWARDED_FOR"] = f"198.51.100.{number}"
        sign_in(client, "wrong password", 422)
    sign_in(browser(app, ELSEWHERE), PASSWORD, 429)


def test_many_logins_from_one_address_have_an_end_and_an_own_account_does_not_help(
    app: Flask, client: Pages, olga: User
) -> None:
    stranger = Client(ELSEWHERE)
    for number in range(ALLOWANCES[Counter.ADDRESS].free):
        throttling.take(f"login{number}", stranger, clock.now())
    throttling.give_back("login0", stranger, clock.now(), signed_in=True)
    throttling.take("login-a", stranger, clock.now())
    with pytest.raises(TooManyAttempts):
        throttling.take("login-b", stranger, clock.now())


def test_asking_again_and_again_for_a_free_moment_has_its_price(app: Flask, olga: User) -> None:
    now = clock.now()
    fill(Counter.LOGIN)
    for _ in range(FREE):
        with pytest.raises(TooManyAttempts) as early:
            throttling.take("olga", Client(ELSEWHERE), now)
    # The login itself would be free in some seconds; this address waits for its own asking as well.
    later = now + dt.timedelta(seconds=early.value.seconds)
    throttling.take("olga", Client("198.51.100.8"), later)
    with pytest.raises(TooManyAttempts):
        throttling.take("olga", Client(ELSEWHERE), later)


def test_attempts_wait_while_redis_is_away(
    app: Flask, client: Pages, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.extensions, queue.EXTENSION, redis.Redis(port=1, socket_connect_timeout=0.1))
    guess(client, FREE)
    sign_in(client, PASSWORD, 429)


def test_the_cookie_of_a_device_is_closed_to_scripts_and_other_sites(app: Flask, client: Pages, olga: User) -> None:
    app.config.update(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_NAME="__Host-smsapp")
    client.raw.environ_base["wsgi.url_scheme"] = "https"
    answer = sign_in(client, PASSWORD, 303).response
    cookies = SimpleCookie()
    for line in answer.headers.getlist("Set-Cookie"):
        cookies.load(line)
    device = cookies["__Host-smsapp-device"]
    assert device["httponly"]
    assert device["secure"]
    assert device["samesite"] == "Lax"
    assert device["path"] == "/"
    assert device["domain"] == ""
    assert PASSWORD not in device.value


def test_guesses_of_the_present_password_wait_in_their_session(app: Flask, client: Pages, olga: User) -> None:
    sign_in(client, PASSWORD, 303)
    for _ in range(ALLOWANCES[Counter.DEVICE].free):
        client.post("/account/password", status=422, old="not it at all", password="another good sentence")
    page = client.post("/account/password", status=429, old=PASSWORD, password="another good sentence")
    assert page.response.headers["Retry-After"]


def test_a_hash_of_older_parameters_is_renewed_at_sign_in(
    app: Flask, olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = olga.password_hash
    signing_in.sign_in("olga", PASSWORD, Client(""), clock.now())
    assert users.by_login("olga").password_hash == before
    monkeypatch.setattr(passwords, "hasher", PasswordHasher(time_cost=2, memory_cost=16, parallelism=1))
    signing_in.sign_in("olga", PASSWORD, Client(""), clock.now())
    db.session.expire_all()
    renewed = users.by_login("olga").password_hash
    assert renewed != before
    assert "m=16,t=2,p=1" in renewed
