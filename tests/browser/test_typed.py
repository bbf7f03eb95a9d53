"""What somebody typed, seen in a real Chromium: Back, a session that ends, a problem that is followed to its field."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from smsapp.domain.roles import Role
from smsapp.services.platform import clock, users
from smsapp.services.platform.audit_log import Actor
from smsapp.store.users import User
from tests.browser import chromium

PASSWORD = "a sentence nobody guesses"


@pytest.fixture
def window(browser: Browser, filled: tuple[Flask, User], address: str) -> Iterator[BrowserContext]:
    app, administrator = filled
    context = chromium.signed_in(browser, app, administrator, address, "zh_Hans", viewport=chromium.WIDE)
    yield context
    context.close()


@pytest.fixture
def opened(window: BrowserContext) -> Page:
    """A page on which every question is answered by yes."""
    page = window.new_page()
    page.on("dialog", lambda dialog: dialog.accept())
    return page


def saved(page: Page) -> None:
    """Wait for the page of the stored draft: its address alone is there as soon as the draft has saved itself."""
    page.wait_for_url("**/edit")
    expect(page.locator("input[name=form_key]")).to_have_count(0)
    expect(page.locator("#name")).to_be_visible()


def test_back_brings_the_filled_form_with_everything_that_depends_on_it(opened: Page, address: str) -> None:
    """Given a name, a segment and a weekly schedule, when somebody goes elsewhere and back, then all of it is there."""
    opened.goto(address + "/campaigns/new")
    opened.fill("#name", "双十一召回")
    chromium.pick(opened, "segment", "会员")
    segment = opened.locator("#segment").input_value()
    expect(opened.locator("#audience")).to_contain_text("有效用户")
    opened.goto(address + "/segments/")

    opened.go_back()

    expect(opened.locator("#name")).to_have_value("双十一召回")
    expect(opened.locator("#segment")).to_have_value(segment)
    expect(opened.locator("#audience")).to_contain_text("有效用户")


def test_a_form_that_was_saved_does_not_come_back_typed(opened: Page, address: str) -> None:
    opened.goto(address + "/campaigns/new")
    opened.fill("#name", "已保存的草稿")
    opened.locator("button[name=do][value=save]").first.click()
    saved(opened)
    assert opened.evaluate("() => Object.keys(sessionStorage).filter(key => key.endsWith('/campaigns/new'))") == []


def test_a_password_is_never_put_into_the_browsers_storage(opened: Page, address: str) -> None:
    opened.goto(address + "/channels/")
    opened.goto(address + "/channels/new/simulator")
    opened.fill("#name", "演练")
    for field in opened.locator("input[type=password]").all():
        field.fill("geheim")
    stored = opened.evaluate("() => JSON.stringify(sessionStorage)")
    assert "演练" in stored
    assert "geheim" not in stored


def test_signing_out_empties_the_browsers_storage(opened: Page, address: str) -> None:
    opened.goto(address + "/campaigns/new")
    opened.fill("#name", "只有我知道")
    opened.context.clear_cookies()
    opened.goto(address + "/sign-in")
    assert opened.evaluate("() => sessionStorage.length") == 0


def test_a_session_that_ends_leaves_the_page_and_what_was_typed_stand(
    opened: Page, address: str, filled: tuple[Flask, User]
) -> None:
    """Given a half-filled form, when its session ends and a piece is asked for, then the page says so and stays;
    after signing in in another tab it goes on."""
    with filled[0].app_context():
        login = "typist"
        users.create(login, "打字员", Role.OPERATOR, PASSWORD, Actor("test"), clock.now())
    opened.goto(address + "/campaigns/new")
    opened.fill("#name", "双十一召回")
    opened.context.clear_cookies()

    opened.locator("input[name=consented_only]").check()

    trouble = opened.locator("#trouble")
    expect(trouble).to_contain_text("重新登录")
    expect(opened.locator("#name")).to_have_value("双十一召回")
    with opened.context.expect_page() as popup:
        trouble.locator("a").click()
    tab = popup.value
    tab.fill("#login", login)
    tab.fill("#password", PASSWORD)
    tab.locator("main button").first.click()
    expect(tab.locator("h1")).to_contain_text("您已登录")

    old = opened.locator("#campaign-form input[name=csrf_token]").input_value()
    chromium.pick(opened, "segment", "会员")

    expect(opened.locator("#campaign-form input[name=csrf_token]")).not_to_have_value(old)
    expect(opened.locator("#audience")).to_contain_text("有效用户")
    expect(opened.locator("#name")).to_have_value("双十一召回")
    opened.locator("button[name=do][value=save]").first.click()
    saved(opened)


def test_a_problem_has_the_focus_and_leads_to_its_field(opened: Page, address: str) -> None:
    opened.goto(address + "/users/new")
    opened.fill("#login", "不是登录名")
    opened.fill("#name", "王小明")
    opened.locator("main form[method=post] button").last.click()
    expect(opened.locator(".problems")).to_be_focused()
    link = opened.locator(".problems a").first
    field = str(link.get_attribute("href"))
    link.press("Enter")
    expect(opened.locator(field)).to_be_focused()
    described = str(opened.locator(field).get_attribute("aria-describedby")).split()
    assert any(opened.locator(f"#{name}").inner_text().strip() for name in described)


def test_leaving_a_changed_form_by_a_link_asks_first_and_cancel_does_not(window: BrowserContext, address: str) -> None:
    page = window.new_page()
    dialog_types: list[str] = []

    def stay(dialog: Dialog) -> None:
        dialog_types.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.goto(address + "/users/new")
    page.locator("#name").press_sequentially("王")
    page.locator("nav a[href='/contacts/']").first.click(no_wait_after=True)
    expect(page.locator("#name")).to_have_value("王")
    assert dialog_types == ["beforeunload"]
    page.locator("main .form-actions a").click()
    page.wait_for_url("**/users")
    assert dialog_types == ["beforeunload"]


def test_control_s_saves_the_draft(opened: Page, address: str) -> None:
    opened.goto(address + "/campaigns/new")
    opened.locator("#name").press_sequentially("快捷键保存")
    opened.keyboard.press("Control+s")
    saved(opened)
    expect(opened.locator("#name")).to_have_value("快捷键保存")


def test_loading_the_page_again_keeps_what_was_typed(opened: Page, address: str) -> None:
    opened.goto(address + "/campaigns/new")
    opened.locator("#name").press_sequentially("断网之前")
    opened.reload()
    expect(opened.locator("#name")).to_have_value("断网之前")
