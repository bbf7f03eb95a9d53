"""From an empty form to the review by keyboard alone, on a screen as wide as a phone's, in both languages."""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from smsapp.store.users import User
from tests import builders
from tests.browser import chromium

MOST_STOPS = 80


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until this control has the focus, as somebody does who has no mouse."""
    for _ in range(MOST_STOPS):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not lead to {selector}")


@pytest.mark.parametrize(("locale", "scheme"), [("zh_Hans", "light"), ("en", "dark")])
def test_a_campaign_is_planned_by_keyboard_alone_on_a_narrow_screen(
    browser: Browser, filled: tuple[Flask, User], address: str, locale: str, scheme: str
) -> None:
    app, administrator = filled
    name = f"键盘上的任务 {locale}"
    with app.app_context():
        channel = builders.channel(name=f"键盘通道 {locale}")
        builders.template(channel.id, name="键盘模板", text="您好，欢迎回来。")
    context = chromium.signed_in(
        browser, app, administrator, address, locale, viewport=chromium.NARROW, color_scheme=scheme
    )
    context.set_default_timeout(30_000)
    page = context.new_page()
    problems: list[str] = []

    def check() -> None:
        problems.extend(chromium.axe(page) + chromium.overflow(page))

    page.goto(address + "/campaigns/new")
    page.locator("main").focus()
    tab_to(page, "#name")
    page.keyboard.type(name)
    # when somebody looks through the list with the arrows and leaves it, then nothing is chosen
    tab_to(page, "#segment")
    segment = page.locator("#segment")
    page.keyboard.press("ArrowDown")
    expect(segment).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("ArrowDown")
    active = str(segment.get_attribute("aria-activedescendant"))
    expect(page.locator(f"#{active}")).to_have_attribute("aria-selected", "true")
    check()
    page.keyboard.press("Escape")
    expect(segment).to_have_attribute("aria-expanded", "false")
    expect(segment).to_have_value("")
    # when the name is typed and Enter pressed at once, then the first match is chosen as soon as it is there
    for field, words in (("segment", "全部会员"), ("channel", f"键盘通道 {locale}"), ("template", "键盘模板")):
        tab_to(page, f"#{field}")
        page.keyboard.type(words)
        page.keyboard.press("Enter")
        expect(page.locator(f"#{field}-choice")).not_to_have_value("")
        expect(page.locator(f"#{field}")).to_have_value(
            str(page.locator(f"#{field}-choice option:checked").inner_text())
        )
        page.wait_for_load_state("networkidle")
    # meanwhile the draft has saved itself, and the page is that draft's
    expect(page).to_have_url(re.compile("/edit$"))
    expect(page.locator("#preview")).to_contain_text("您好，欢迎回来。")
    expect(page.locator("#template")).to_be_focused()
    check()
    # and words that nothing has are no choice
    page.keyboard.type("没有这个模板")
    expect(page.locator("#template-options")).to_be_empty()
    page.keyboard.press("Tab")
    expect(page.locator("#template")).to_have_value(page.locator("#template-choice option:checked").inner_text())
    tab_to(page, "button[name=do][value=review]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/review")
    check()
    tab_to(page, ".btn-send")
    expect(page.locator(".btn-send")).to_be_enabled()
    context.close()
    with app.app_context():
        drafts = current_session().scalars(sa.select(Campaign.id).where(Campaign.name == name)).all()
    assert len(drafts) == 1
    assert not problems, "\n".join(problems)
