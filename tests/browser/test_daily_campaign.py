"""An operator's daily campaign in a real browser, from the form to the waste bin, with and without JavaScript."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from smsapp.store.users import User
from tests import builders
from tests.browser import chromium

SLOW = 30_000
"""Milliseconds a busy machine may take for a page."""


@pytest.fixture(params=[True, False], ids=["with JavaScript", "without JavaScript"])
def script(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def page(
    browser: Browser, filled: tuple[Flask, User], address: str, script: bool, shop_template: tuple[int, int]
) -> Iterator[Page]:
    """A page of a signed-in administrator."""
    context = chromium.signed_in(
        browser,
        *filled,
        address,
        "zh_Hans",
        viewport=chromium.WIDE if script else chromium.NARROW,
        java_script_enabled=script,
    )
    context.set_default_timeout(SLOW)
    expect.set_options(timeout=SLOW)
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def shop_template(filled: tuple[Flask, User]) -> tuple[int, int]:
    """A channel of its own with one approved template; their ids."""
    app, _administrator = filled
    with app.app_context():
        channel = builders.channel(name="早安通道")
        return channel.id, builders.template(channel.id, name="早安").id


def choose(page: Page, script: bool, field: str, name: str, section: str) -> None:
    """Search and choose; without JavaScript the section's own button draws what follows from it."""
    chromium.pick(page, field, name)
    if not script:
        page.locator(f"#section-{section}").get_by_role("button", name="更新").click()


def test_a_daily_campaign_is_made_watched_stopped_copied_changed_and_deleted(
    page: Page, script: bool, address: str, shop_template: tuple[int, int]
) -> None:
    _channel, template = shop_template
    name = f"每日早安 {'js' if script else 'html'}"
    first = dt.date.today() + dt.timedelta(days=30)  # noqa: DTZ011 - the browser's clock is the machine's
    # given the form, filled in section by section
    page.goto(address + "/campaigns/new")
    page.fill("#name", name)
    choose(page, script, "segment", "全部会员", "segment")
    choose(page, script, "channel", "早安通道", "channel")
    expect(page.locator("#template-hint")).to_contain_text("只能")
    choose(page, script, "template", "早安", "template")
    expect(page.locator("#template-choice")).to_have_value(str(template))
    page.locator("input[name=kind][value=recurring]").check()
    if not script:
        page.locator("#section-schedule").get_by_role("button", name="更新").click()
    page.locator("input[name=cycle][value=daily]").check()
    page.fill("#start", first.isoformat())
    page.fill("#time", "09:30:00")
    page.fill("#end", (first + dt.timedelta(days=4)).isoformat())
    if not script:
        page.locator("#section-schedule").get_by_role("button", name="更新").click()
    else:
        page.locator("#end").press("Tab")
    # then its five fires are listed
    fires = page.locator("#timing .fires li")
    expect(fires).to_have_count(5)
    expect(fires.first).to_contain_text(f"{first.isoformat()}")
    expect(fires.first).to_contain_text("09:30:00")
    # when it is reviewed and confirmed
    page.get_by_role("button", name="下一步").click()
    page.wait_for_url("**/review")
    button = page.locator(".btn-send")
    expect(button).to_contain_text("首次 ")
    button.click()
    # then it waits
    page.goto(f"{address}/campaigns/?q={name.rsplit(maxsplit=1)[-1]}&status=waiting")
    row = page.locator("#campaign-table tbody tr", has_text=name)
    expect(row).to_have_count(1)
    expect(row).to_contain_text("待推送")
    # when it is stopped
    row.get_by_role("link", name="停止").click()
    page.get_by_role("button", name="停止推送").click()
    page.goto(f"{address}/campaigns/?status=stopped")
    expect(page.locator("#campaign-table tbody tr", has_text=name)).to_contain_text("停止推送")
    # and saved as another one, which is changed
    page.locator("#campaign-table tbody tr", has_text=name).get_by_role("link", name="另存为").click()
    page.fill("#name", f"{name} 副本")
    page.get_by_role("button", name="另存为").click()
    page.goto(f"{address}/campaigns/?status=draft")
    page.locator("#campaign-table tbody tr", has_text=f"{name} 副本").get_by_role("link", name="编辑").click()
    expect(page.locator("#end")).to_have_value((first + dt.timedelta(days=4)).isoformat())
    page.fill("#name", f"{name} 改过")
    page.get_by_role("button", name="存为草稿").click()
    # then the list finds it by its name, and the address can be handed on
    page.goto(address + "/campaigns/")
    page.locator("#campaign-filters input[name=q]").fill("改过")
    page.locator("#campaign-filters input[name=q]").press("Enter")
    page.wait_for_url("**q=*")
    expect(page.locator("#campaign-table tbody tr", has_text=f"{name} 改过")).to_have_count(1)
    shared = page.url
    page.goto(address + "/campaigns/new")
    page.goto(shared)
    expect(page.locator("#campaign-table tbody tr", has_text=f"{name} 改过")).to_have_count(1)
    # and the way back leads to the same rows
    page.locator("#campaign-table tbody tr", has_text=f"{name} 改过").get_by_role("link", name="删除").click()
    page.go_back()
    expect(page.locator("#campaign-table tbody tr", has_text=f"{name} 改过")).to_have_count(1)
    # when it is deleted it is gone
    page.locator("#campaign-table tbody tr", has_text=f"{name} 改过").get_by_role("link", name="删除").click()
    page.locator("form.confirm").get_by_role("button", name="删除").click()
    page.goto(shared)
    expect(page.locator("#campaign-table tbody tr", has_text=f"{name} 改过")).to_have_count(0)
