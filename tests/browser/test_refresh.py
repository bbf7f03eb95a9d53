"""Focus, narrow windows and printing, which only a real Chromium can test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, ViewportSize, expect

from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import db
from smsapp.store.users import User
from tests.browser import chromium

WINDOWS: dict[str, ViewportSize] = {
    "desk": {"width": 1280, "height": 800},
    "tablet": {"width": 768, "height": 1024},
    "phone": chromium.NARROW,
}
PAINTED = "() => new Promise(painted => requestAnimationFrame(() => requestAnimationFrame(painted)))"
COVERED = """() => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const box = one.getBoundingClientRect();
    // What is taller than the window (a table that scrolls) is seen in part.
    if (!box.width || !box.height || box.height > window.innerHeight / 2) return "";
    const top = document.elementFromPoint(box.left + Math.min(box.width / 2, 20), box.top + box.height / 2);
    const label = one.labels?.[0];
    const free = top && (one.contains(top) || top.contains(one) || (label && label.contains(top)));
    return free ? "" : `${one.tagName} ${one.id || one.textContent.trim().slice(0, 30)} under ${top?.className}`;
}"""
WIDE_TABLES = """() => [...document.querySelectorAll('.table-wrap')]
    .filter(wrap => wrap.scrollWidth > wrap.clientWidth + 1).map(wrap => wrap.getAttribute('aria-label'))"""


@pytest.fixture
def opened(browser: Browser, filled: tuple[Flask, User], address: str) -> Iterator[Page]:
    app, administrator = filled
    context = chromium.signed_in(
        browser, app, administrator, address, "zh_Hans", viewport=WINDOWS["desk"], reduced_motion="reduce"
    )
    page = context.new_page()
    yield page
    context.close()


@pytest.fixture
def sent(filled: tuple[Flask, User]) -> int:
    """A campaign that was sent."""
    with filled[0].app_context():
        return int(
            db.session.query(Campaign.id).filter_by(status="sent").order_by(Campaign.id.desc()).limit(1).scalar()
        )


def refresh(page: Page, piece: str, url: str) -> None:
    """Do what the piece does by itself every few seconds."""
    swap = page.locator(piece).get_attribute("data-hx-swap") or "outerHTML"
    page.evaluate("([url, target, swap]) => htmx.ajax('GET', url, {target, swap})", [url, piece, swap])
    page.wait_for_function("() => !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')")


def test_focus_stays_where_it_is_when_the_list_refreshes(opened: Page, address: str, sent: int) -> None:
    opened.goto(address + "/campaigns/")
    link = opened.locator(f"#save-as-{sent}")
    link.focus()
    refresh(opened, "#campaigns", "/campaigns/")
    expect(opened.locator(f"#save-as-{sent}")).to_be_focused()


def test_the_readers_place_stays_when_the_list_refreshes_on_a_phone(opened: Page, address: str, sent: int) -> None:
    opened.set_viewport_size(WINDOWS["phone"])
    opened.goto(address + "/campaigns/")
    opened.locator(f"#save-as-{sent}").focus()
    place = opened.evaluate("() => window.scrollY")
    assert place > 0

    refresh(opened, "#campaigns", "/campaigns/")

    opened.evaluate(PAINTED)
    assert opened.evaluate("() => window.scrollY") == place


def test_focus_the_chart_and_the_readers_place_stay_when_the_report_refreshes(
    opened: Page, address: str, sent: int
) -> None:
    opened.goto(f"{address}/campaigns/{sent}/effect")
    opened.locator("#number-delivered").focus()
    height = opened.evaluate("() => document.documentElement.scrollHeight")
    canvas = opened.locator("canvas").first
    before = canvas.element_handle() if canvas.count() else None

    refresh(opened, "#numbers", f"/campaigns/{sent}/effect/numbers?shown=1&group=target")

    expect(opened.locator("#number-delivered")).to_be_focused()
    assert opened.evaluate("() => document.documentElement.scrollHeight") == height
    if before is not None:
        assert before.evaluate("canvas => canvas.isConnected && canvas.height > 0"), "the chart is drawn where it was"
    # And the list of recipients, which did not move, says that it is behind
    expect(opened.locator("#people-news")).to_contain_text("以下明细尚未更新")


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("path", ["/campaigns/new", "/campaigns/", "/contacts/", "/campaigns/{sent}/effect"])
def test_nothing_that_has_the_focus_is_under_a_bar(
    opened: Page, address: str, sent: int, window: str, path: str
) -> None:
    opened.set_viewport_size(WINDOWS[window])
    opened.goto(address + path.format(sent=sent))
    problems = []
    for _step in range(120):
        opened.keyboard.press("Tab")
        covered = opened.evaluate(COVERED)
        if covered is None:
            break
        problems += [covered] if covered else []
    assert not problems, problems


@pytest.mark.parametrize("path", ["/campaigns/", "/campaigns/{sent}/effect", "/segments/", "/templates/", "/contacts/"])
def test_a_tablet_shows_every_column(opened: Page, address: str, sent: int, path: str) -> None:
    opened.set_viewport_size(WINDOWS["tablet"])
    opened.goto(address + path.format(sent=sent))
    assert not chromium.overflow(opened)
    assert not opened.evaluate(WIDE_TABLES)


def test_paper_has_no_buttons(opened: Page, address: str, sent: int) -> None:
    opened.goto(f"{address}/campaigns/{sent}/effect")
    opened.emulate_media(media="print")
    assert opened.locator("button:visible, .btn:visible, input:visible, select:visible").count() == 0
    expect(opened.locator(".funnel")).to_be_visible()


def test_the_first_campaign_is_seen_early(opened: Page, address: str) -> None:
    for window, most in (("desk", 360), ("phone", 480)):
        opened.set_viewport_size(WINDOWS[window])
        opened.goto(address + "/campaigns/")
        box = opened.locator("#campaign-table tbody tr").first.bounding_box()
        assert box is not None
        assert box["y"] <= most, (window, box["y"])


def test_what_happened_is_read_out(opened: Page, address: str) -> None:
    opened.goto(address + "/account")
    opened.get_by_role("button", name="保存").first.click()
    expect(opened.get_by_role("status").locator("visible=true").or_(opened.locator("#announcer"))).to_contain_text(
        "已保存"
    )
