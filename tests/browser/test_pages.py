"""Every page in a real Chromium: nothing for axe to say, nothing wider than a phone, no fault in the console."""

from __future__ import annotations

import pytest
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, expect

from smsapp.store.users import User
from tests.browser import chromium

# A 404 page and its kind are reported by the browser as failed loads.
EXPECTED = ("Failed to load resource",)


@pytest.mark.parametrize(("locale", "scheme"), [("zh_Hans", "light"), ("en", "dark")])
def test_every_page_is_accessible_and_fits(
    browser: Browser, filled: tuple[Flask, User], address: str, locale: str, scheme: str
) -> None:
    # Given an administrator, who may see every page
    app, administrator = filled
    context = chromium.signed_in(browser, app, administrator, address, locale, color_scheme=scheme)
    page = context.new_page()
    console_errors: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(EXPECTED):
            console_errors.append(message.text)

    page.on("console", listen)
    page.on("pageerror", lambda error: console_errors.append(str(error)))
    # When each page is opened, on a desk and on a phone
    problems: list[str] = []
    walk = chromium.Walk(app, address)
    for name in walk.pages(page):
        for width in (chromium.WIDE, chromium.NARROW):
            page.set_viewport_size(width)
            faults = chromium.axe(page) + chromium.overflow(page) + console_errors
            problems += [f"{name} ({page.url}) at {width['width']} px: {problem}" for problem in faults]
            console_errors.clear()
        page.set_viewport_size(chromium.WIDE)
    context.close()
    # Then nothing is wrong with any of them, and the walk came round
    assert {"campaigns.index", "campaigns.new", "users.index", "users.own", "not_found"} <= walk.seen
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("script", [True, False])
def test_signing_in_works_with_and_without_javascript(browser: Browser, address: str, script: bool) -> None:
    context = browser.new_context(java_script_enabled=script, locale="zh-CN")
    page = context.new_page()
    page.goto(address + "/account")
    page.get_by_label("登录名").fill("nobody")
    page.get_by_label("密码").fill("not the password")
    page.get_by_role("button", name="登录").click()
    expect(page.get_by_role("alert")).to_contain_text("登录名或密码不正确")
    expect(page.get_by_label("登录名")).to_have_value("nobody")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    context.close()


def test_the_policy_holds_without_a_breach(browser: Browser, filled: tuple[Flask, User], address: str) -> None:
    # Given a browser that obeys the Content-Security-Policy
    app, administrator = filled
    context = browser.new_context(locale="zh-CN", viewport=chromium.WIDE)
    cookies = chromium.signed_in(browser, app, administrator, address, "zh_Hans").cookies()
    context.add_cookies(cookies)  # type: ignore[arg-type]  # what was read can be set, but has another name
    page = context.new_page()
    breaches: list[str] = []
    page.on("console", lambda message: breaches.append(message.text) if "Content Security" in message.text else None)
    # When every page is opened
    for _name in chromium.Walk(app, address).pages(page):
        pass
    context.close()
    # Then the browser refused nothing
    assert not breaches, breaches


def test_the_menu_opens_on_a_phone_without_javascript(
    browser: Browser, filled: tuple[Flask, User], address: str
) -> None:
    app, administrator = filled
    context = chromium.signed_in(
        browser, app, administrator, address, "zh_Hans", viewport=chromium.NARROW, java_script_enabled=False
    )
    page = context.new_page()
    page.goto(address + "/account")
    page.locator(".bar-menu summary").click()
    page.locator(".bar-menu").get_by_role("link", name="操作日志").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("操作日志")
    context.close()
