"""Putting campaigns in order by keyboard alone, with JavaScript and without it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from smsapp.store.users import User
from tests.browser import chromium

MOST_TABS = 150
"""Presses of Tab after which something counts as out of reach."""


@pytest.fixture(params=[True, False], ids=["script", "no-script"])
def opened(
    request: pytest.FixtureRequest, browser: Browser, filled: tuple[Flask, User], address: str
) -> Iterator[Page]:
    script: bool = request.param
    context = chromium.signed_in(
        browser, *filled, address, "zh_Hans", viewport=chromium.NARROW, java_script_enabled=script
    )
    yield context.new_page()
    context.close()


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until this has the focus."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        if page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"{selector} cannot be reached by keyboard")


def faults(page: Page) -> list[str]:
    """Return what axe finds; nothing where scripts do not run."""
    return chromium.axe(page) if page.evaluate("() => 'htmx' in window") else []


def test_a_campaign_is_tagged_found_archived_and_brought_back(opened: Page, address: str) -> None:
    # Given a campaign that was sent, when it gets two tags on its report
    opened.goto(address + "/campaigns/?q=春节祝福")
    expect(opened.locator("#campaign-table .cell-main")).to_have_text(["春节祝福"])
    opened.goto(address + str(opened.locator("#campaign-table .cell-main").first.get_attribute("href")))
    tab_to(opened, "a[href*='/tags/campaign/']")
    opened.keyboard.press("Enter")
    opened.wait_for_url("**/tags/campaign/*")
    assert not faults(opened)
    tab_to(opened, "#tags")
    opened.keyboard.press("Control+A")
    opened.keyboard.type("春节、老客")
    opened.keyboard.press("Enter")
    expect(opened.locator(".order-line .tag")).to_have_text(["春节", "老客"])
    assert not faults(opened)

    # Then a tag leads to the list of what has it
    tab_to(opened, ".tag")
    opened.keyboard.press("Enter")
    opened.wait_for_url("**/campaigns/?tag=*")
    rows = opened.locator("#campaign-table .cell-main")
    expect(rows).to_have_text(["春节祝福"])

    # When it is ticked and archived, then it is gone from the list, and there among the archived ones
    tab_to(opened, "input[name=id]")
    opened.keyboard.press("Space")
    tab_to(opened, "#archive-ticked")
    opened.keyboard.press("Enter")
    opened.wait_for_url("**/archive/campaigns?*")
    assert not faults(opened)
    tab_to(opened, ".confirm .btn-primary")
    opened.keyboard.press("Enter")
    expect(opened.locator("#undo-archiving")).to_be_visible()
    expect(rows).to_have_count(0)
    opened.goto(address + "/campaigns/?archived=1&tag=春节")
    expect(rows).to_have_text(["春节祝福"])
    assert not faults(opened)

    # And it comes back by its row
    tab_to(opened, "a[id^=restore-]")
    opened.keyboard.press("Enter")
    tab_to(opened, ".confirm .btn-primary")
    opened.keyboard.press("Enter")
    expect(opened.locator(".flash-success")).to_contain_text("已恢复 1 项")
    opened.goto(address + "/campaigns/?tag=春节")
    expect(rows).to_have_text(["春节祝福"])
    opened.goto(address + "/tags/")
    expect(opened.locator("td.cell-main")).to_contain_text(["春节", "老客"])
    assert not faults(opened)
