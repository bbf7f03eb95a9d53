"""A real Chromium over a real server: open every page there is, check it with axe, and take pictures."""

from __future__ import annotations

import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright
from werkzeug.exceptions import HTTPException
from werkzeug.serving import make_server

from smsapp.services.platform import clock
from smsapp.store.users import User
from tests.pages import kept

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
AXE = Path(__file__).with_name("axe.min.js")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
IN_HEADERS = {"zh_Hans": "zh-CN", "en": "en-GB"}


def executable() -> str | None:
    """Return where Chromium is installed, if it is."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Run a headless Chromium while the block lasts."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=executable(), headless=True, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve the application on a free port of the loopback; yields its address."""
    server = make_server("127.0.0.1", free_port(), app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


def free_port() -> int:
    """Return a port below the range from which the system takes those of outgoing connections."""
    for port in range(20500, 32000):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


def signed_in(browser: Browser, app: Flask, person: User, address: str, locale: str, **options: Any) -> BrowserContext:
    """Return a browser context in which this person is signed in."""
    context = browser.new_context(bypass_csp=True, locale=IN_HEADERS[locale], **({"viewport": WIDE} | options))
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]  # Flask's own has it
    with app.app_context():
        who = kept(person, clock.now())
    cookie = serializer.dumps({"_user_id": who, "_fresh": True, "locale": locale})
    context.add_cookies([{"name": app.config["SESSION_COOKIE_NAME"], "value": cookie, "url": address}])
    return context


def pick(page: Page, field: str, words: str) -> None:
    """Search and choose by keyboard in one of the campaign form's search boxes; without JavaScript by its button."""
    box = page.locator(f"#{field}")
    box.focus()
    box.fill(words)
    if not page.evaluate("() => 'js' in document.documentElement.dataset"):
        page.locator(f"button[value=find-{field}]").click()
        choice = page.locator(f"#{field}-choice")
        choice.select_option(choice.locator("option", has_text=words).first.get_attribute("value"))
        return
    page.locator(f"#{field}-options [role=option]", has_text=words).first.wait_for()
    box.press("Enter")


def axe(page: Page) -> list[str]:
    """Return the faults that axe-core finds in the page."""
    if not page.evaluate("() => 'axe' in window"):
        page.add_script_tag(path=str(AXE))
    # Swapping marks elements for a moment and fades them; axe should see the page at rest.
    page.wait_for_function("() => !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')")
    result = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}, resultTypes: ['violations']})", RULES
    )
    return [
        f"{fault['id']} ({fault['impact']}): {fault['help']}: "
        + "; ".join(f"{node['target'][0]} {_measured(node)}".strip() for node in fault["nodes"][:3])
        for fault in result["violations"]
    ]


def _measured(node: dict[str, Any]) -> str:
    facts = next((check["data"] for check in node["any"] if check["id"] == "color-contrast"), None)
    return f"[{facts['fgColor']} on {facts['bgColor']}: {facts['contrastRatio']}]" if facts else ""


def overflow(page: Page) -> list[str]:
    """Return what makes the page wider than the window; tables scroll inside their own frame."""
    wide = page.evaluate(
        """() => document.documentElement.scrollWidth <= window.innerWidth ? [] :
        [...document.querySelectorAll('body *')]
          .filter(e => e.getBoundingClientRect().right > window.innerWidth + 1 && !e.closest('.table-wrap, .tabs'))
          .map(e => e.tagName.toLowerCase() + '.' + e.className).slice(0, 4)"""
    )
    return [f"wider than the window: {', '.join(wide)}"] if wide else []


@dataclass
class Walk:
    """Every page that can be reached by links, once per endpoint, beginning at the menu."""

    app: Flask
    address: str
    seen: set[str] = field(default_factory=set)

    def pages(self, page: Page, start: str = "/") -> Iterator[str]:
        """Yield the name of each page while the browser shows it."""
        waiting = [start, "/account", "/no-such-page"]
        while waiting:
            path = waiting.pop(0)
            name = self.name(path)
            if name is None or name in self.seen:
                continue
            answer = page.goto(self.address + path, wait_until="load")
            if answer is None or "text/html" not in answer.headers.get("content-type", ""):
                continue
            page.wait_for_load_state("networkidle")
            self.seen |= {name, self.name(urlsplit(page.url).path) or name}
            yield name
            links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))")
            waiting += [link for link in links if link.startswith("/") and "download" not in link]

    def name(self, path: str) -> str | None:
        """Return a name for what this path shows; None for what is not worth opening."""
        parts = urlsplit(path)
        try:
            endpoint, _values = self.app.url_map.bind("127.0.0.1").match(parts.path, method="GET")
        except HTTPException:
            return "not_found"
        if endpoint in {"static", "home.start"} and parts.path != "/":
            return None
        return str(endpoint)
