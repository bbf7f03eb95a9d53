"""Setting up a second factor and signing in with it, in a real browser, with and without JavaScript."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pyotp
import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from smsapp.domain.roles import Role
from smsapp.services.platform import clock, users
from smsapp.services.platform.audit_log import Actor
from smsapp.store.users import User
from tests.browser import chromium

PASSWORD = "a sentence nobody guesses"
SLOW = 30_000
"""Milliseconds a busy machine may take for a page."""


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a browser in which nobody is signed in."""
    context = browser.new_context(
        java_script_enabled=request.param, locale="zh-CN", viewport=chromium.NARROW, bypass_csp=True
    )
    context.set_default_timeout(SLOW)
    expect.set_options(timeout=SLOW)
    yield context.new_page()
    context.close()


@pytest.fixture
def login(filled: tuple[Flask, User], request: pytest.FixtureRequest) -> str:
    """The login of a person with a password and nothing else; one for each test."""
    app, _administrator = filled
    name = "mei-js" if "with JavaScript" in request.node.name.replace("without", "") else "mei-html"
    with app.app_context():
        return users.create(name, "小梅", Role.OPERATOR, PASSWORD, Actor("test"), clock.now()).login


def enter_password(page: Page, address: str, login: str) -> None:
    page.goto(address + "/sign-in?next=/account")
    page.get_by_label("登录名").fill(login)
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录", exact=True).click()


def enter_code(page: Page, code: str) -> None:
    page.get_by_label("验证码").fill(code)
    page.get_by_role("button", name="登录", exact=True).click()


def sign_out(page: Page) -> None:
    page.locator(".bar-person summary").click()
    page.get_by_role("button", name="退出登录", exact=True).click()


def look(page: Page) -> None:
    """Look at the page as it stands, on a phone and on a desk."""
    problems = []
    for width in (chromium.NARROW, chromium.WIDE):
        page.set_viewport_size(width)
        problems += [f"{page.url} at {width['width']} px: {fault}" for fault in chromium.overflow(page)]
    page.set_viewport_size(chromium.NARROW)
    assert not problems, problems


def test_a_person_sets_up_a_second_factor_and_signs_in_with_it(page: Page, address: str, login: str) -> None:
    # Given somebody who signs in with a password
    enter_password(page, address, login)
    expect(page.get_by_role("heading", level=1)).to_have_text("我的账号")
    look(page)
    # When they set up a second factor
    page.get_by_role("link", name="双重验证").click()
    look(page)
    page.get_by_role("button", name="开始设置").click()
    expect(page.locator(".qr-code")).to_be_visible()
    look(page)
    application = pyotp.TOTP(page.get_by_label("密钥").input_value())
    page.get_by_label("验证码").fill(application.now())
    page.get_by_role("button", name="确认", exact=True).click()
    codes = page.locator(".recovery-codes li")
    expect(codes).to_have_count(10)
    look(page)
    recovery = codes.first.inner_text()
    page.get_by_role("link", name="我已保存").click()
    # Then a password alone does not sign in any more
    sign_out(page)
    enter_password(page, address, login)
    expect(page.get_by_role("heading", level=1)).to_have_text("第二步验证")
    expect(page.get_by_label("验证码")).to_be_focused()
    look(page)
    enter_code(page, "000000")
    expect(page.get_by_role("alert")).to_contain_text("验证码不正确")
    # But a code does; the next one, as each counts once
    enter_code(page, application.at(int(time.time()) + 30))
    expect(page.get_by_role("heading", level=1)).to_have_text("我的账号")
    # And so does a recovery code
    sign_out(page)
    enter_password(page, address, login)
    enter_code(page, recovery)
    expect(page.get_by_text("当前会话")).to_be_visible()


@pytest.mark.parametrize(("locale", "scheme"), [("zh_Hans", "light"), ("en", "dark")])
def test_the_pages_of_a_second_factor_are_accessible(
    browser: Browser, filled: tuple[Flask, User], address: str, locale: str, scheme: str
) -> None:
    # Given somebody who is about to set one up
    app, _administrator = filled
    with app.app_context():
        login = f"mei-{locale.lower()}"
        person = users.create(login, "小梅", Role.OPERATOR, PASSWORD, Actor("test"), clock.now())
        users.speak(person.id, locale)
    context = chromium.signed_in(browser, app, person, address, locale, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(SLOW)
    # When they go through its pages
    problems: list[str] = []

    def check() -> None:
        for width in (chromium.WIDE, chromium.NARROW):
            page.set_viewport_size(width)
            faults = chromium.axe(page) + chromium.overflow(page)
            problems.extend(f"{page.url} at {width['width']} px: {fault}" for fault in faults)

    page.goto(address + "/account/second-factor")
    check()
    page.locator("main form button").click()
    check()
    application = pyotp.TOTP(page.locator("#secret").input_value())
    page.locator("#code").fill("000000")
    page.locator("main form button[type=submit]").click()
    check()
    page.locator("#code").fill(application.now())
    page.locator("main form button[type=submit]").click()
    expect(page.locator(".recovery-codes li")).to_have_count(10)
    check()
    page.goto(address + "/account/second-factor")
    check()
    # And sign in with it
    context.clear_cookies()
    page.goto(address + "/sign-in")
    page.locator("#login").fill(person.login)
    page.locator("#password").fill(PASSWORD)
    page.locator("main form button.btn-primary").click()
    expect(page.locator("#code")).to_be_focused()
    check()
    context.close()
    # Then axe has nothing to say, and nothing is wider than a phone
    assert not problems, "\n".join(problems)
