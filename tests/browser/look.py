"""Pictures of every page for people to look at: `python -m tests.browser.look FOLDER`.

Both languages, on a desk and on a phone; `--only NAME` takes some, `--dark` the dark ones. Without `--instance` the
pages show the filled shop of the browser tests, with it whatever that instance folder (made by `make run`) holds.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import flask_migrate
from flask import Flask

from config import Config
from smsapp.factory import create_app
from smsapp.store.db import db
from smsapp.store.users import User
from tests import servers
from tests.browser import chromium, shop
from tests.builders import existing


@contextlib.contextmanager
def opened(instance: Path | None) -> Iterator[tuple[Flask, User]]:
    """Yield the application to look at, and an administrator."""
    with tempfile.TemporaryDirectory() as name:
        if instance is not None:
            app = create_app(Config.read(os.environ | {"INSTANCE_DIR": str(instance)}))
            with app.app_context():
                yield app, existing(db.session.query(User).filter_by(role="administrator", active=True).first())
            return
        with servers.valkey(Path(name), "v") as redis_url:
            app = create_app(Config.read({"INSTANCE_DIR": name, "REDIS_URL": redis_url, "SECRET_KEY": "look"}))
            with app.app_context():
                flask_migrate.upgrade()
                yield app, shop.fill()


def main() -> None:
    """Write FOLDER/<page>-<language>-<width>.png."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--instance", type=Path)
    parser.add_argument("--only", default="", help="part of the names of the pages to take")
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with (
        opened(options.instance) as (app, administrator),
        chromium.serving(app) as address,
        chromium.launched() as browser,
    ):
        for locale in chromium.IN_HEADERS:
            scheme = "dark" if options.dark else "light"
            context = chromium.signed_in(browser, app, administrator, address, locale, color_scheme=scheme)
            page = context.new_page()
            for name in chromium.Walk(app, address).pages(page):
                if options.only not in name:
                    continue
                for width in (chromium.WIDE, chromium.NARROW):
                    page.set_viewport_size(width)
                    file = options.folder / f"{name}-{locale}-{width['width']}.png"
                    page.screenshot(path=file, full_page=True)
                page.set_viewport_size(chromium.WIDE)
            context.close()


if __name__ == "__main__":
    main()
