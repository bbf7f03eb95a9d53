"""`make screenshots`: the pictures of the guide and of README, taken anew from demo data in both languages.

A product of its own is set up in a temporary folder with the embedded defaults, filled by `flask demo`, served, looked
at by an operator who sees masked numbers only, and removed. Each picture is docs/images/<zh or en>/<name>.webp.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from config import HERE, Config
from tests.browser import chromium
from tests.pages import WHOLE_NUMBER

LANGUAGES = {"zh_Hans": "zh", "en": "en"}
PATIENCE = 120
"""Seconds until the product, or a page of it, must answer."""
QUALITY = 80
WIDTH = 1280


@dataclass(frozen=True)
class Shot:
    """A picture: where to begin, the link to follow (by a part of its text), where to go from there, what to show."""

    name: str
    path: str
    link: str = ""
    further: str = ""
    at: str = ""
    """CSS selector of what is scrolled to; empty for the top of the page."""
    height: int = 800


SHOTS = (
    Shot("home", "/", height=1100),
    Shot("list", "/campaigns/"),
    Shot("message", "/campaigns/", "老客召回", height=1000),
    Shot("review", "/campaigns/", "老客召回", further="review", height=900),
    Shot("report", "/campaigns/", "会员节专享", further="effect", height=900),
    Shot("recipients", "/campaigns/", "会员节专享", further="effect", at="#people", height=620),
    Shot("segment", "/segments/", "金卡与黑金会员", further="edit", height=860),
    Shot("contacts", "/contacts/", height=620),
    Shot("channel", "/channels/", "模拟通道", height=900),
    Shot("templates", "/templates/", height=620),
    Shot("replies", "/replies/opt-outs", height=620),
)


@contextlib.contextmanager
def product(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Serve a fresh product with demo data; yields its address, and a login and password."""
    settings = {field.name for field in dataclasses.fields(Config)}
    port = chromium.free_port()
    environment = {name: value for name, value in os.environ.items() if name not in settings} | {
        "FLASK_APP": str(HERE / "wsgi.py"),
        "INSTANCE_DIR": str(folder),
        "LOG_LEVEL": "WARNING",
        "PORT": str(port),
        "SEND_WORKERS": "1",
    }
    flask = [sys.executable, "-m", "flask"]
    password = secrets.token_urlsafe(16)
    for command, typed in (
        (["db", "upgrade"], ""),
        (["demo"], ""),
        (["users", "create", "lin", "--name", "林然", "--role", "operator", "--password"], password),
    ):
        subprocess.run(
            [*flask, *command], env=environment, input=typed, text=True, check=True, stdout=subprocess.DEVNULL
        )
    server = subprocess.Popen([*flask, "serve"], env=environment, stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, server)
        yield address, "lin", password
    finally:
        server.terminate()
        server.wait(timeout=60)


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    """Return when the product answers; raise RuntimeError if it ends, or takes too long."""
    until = time.monotonic() + PATIENCE
    while server.poll() is None and time.monotonic() < until:
        with contextlib.suppress(urllib.error.URLError, ConnectionError), urllib.request.urlopen(f"{address}/readyz"):
            return
        time.sleep(0.2)
    raise RuntimeError("the product did not start; run `make run` to see why")


def sign_in(page: Page, address: str, login: str, password: str) -> None:
    page.goto(f"{address}/sign-in")
    page.fill("input[name=login]", login)
    page.fill("input[name=password]", password)
    page.click("form button.btn-primary")
    page.wait_for_selector(".bar-person")


def switch(page: Page, address: str, locale: str) -> None:
    """Let the pages speak this language."""
    page.goto(f"{address}/account")
    if page.get_attribute("html", "lang") != locale.replace("_", "-"):
        page.click(".bar-person summary")
        page.click(f"button[name=locale][value={locale}]")
        page.wait_for_selector(f"html[lang={locale.replace('_', '-')}]")


def show(page: Page, address: str, shot: Shot) -> None:
    """Open the page of this picture and wait until it is at rest."""
    page.set_viewport_size({"width": WIDTH, "height": shot.height})
    page.goto(address + shot.path)
    if shot.link:
        page.locator("main a", has_text=shot.link).first.click()
        page.wait_for_load_state()
    if shot.further and not page.url.endswith(f"/{shot.further}"):
        thing = re.match(rf"{re.escape(address)}/[a-z]+/\d+", page.url)
        if thing is None:
            raise LookupError(f"{shot.name}: {page.url} is not the page of one thing")
        page.goto(f"{thing[0]}/{shot.further}")
    page.wait_for_load_state("networkidle")
    if shot.at:
        page.evaluate("place => document.querySelector(place).scrollIntoView()", shot.at)
    if numbers := WHOLE_NUMBER.search(page.inner_text("body")):
        raise ValueError(f"{shot.name} shows a whole number: {numbers[0][:4]}…")


def take(page: Page, file: Path) -> None:
    """Write what the window shows as WebP, which Playwright itself cannot."""
    session = page.context.new_cdp_session(page)
    answer = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY, "optimizeForSpeed": False})
    file.write_bytes(base64.b64decode(answer["data"]))
    session.detach()


def main() -> None:
    """Take every picture in both languages; pictures that no list names any more are removed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        product(Path(folder)) as (address, login, password),
        chromium.launched() as browser,
    ):
        page = browser.new_page(timezone_id="Asia/Shanghai")
        page.set_default_timeout(PATIENCE * 1000)
        sign_in(page, address, login, password)
        for locale, language in LANGUAGES.items():
            images = HERE / "docs" / "images" / language
            switch(page, address, locale)
            for shot in SHOTS:
                show(page, address, shot)
                take(page, images / f"{shot.name}.webp")
            for file in set(images.iterdir()) - {images / f"{shot.name}.webp" for shot in SHOTS}:
                file.unlink()


if __name__ == "__main__":
    main()
