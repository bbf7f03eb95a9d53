"""Fixtures for tests in a real browser; they are skipped where Chromium is not installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser

from smsapp.factory import create_app
from smsapp.store.db import db
from smsapp.store.users import User
from tests.browser import chromium, shop
from tests.conftest import settings


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium.

    Not for the whole session: Playwright keeps an event loop running in this thread, in which no other test could
    begin one of its own.
    """
    if chromium.executable() is None:
        pytest.skip("CHROMIUM IS NOT INSTALLED: no page was looked at in a browser (apt install chromium)")
    with chromium.launched() as instance:
        yield instance


@pytest.fixture(scope="session")
def filled(
    sqlite_model: list[Path], tmp_path_factory: pytest.TempPathFactory, valkey_server: str
) -> tuple[Flask, User]:
    """An application with something on every page, and its administrator."""
    folder = tmp_path_factory.mktemp("shop")
    for file in sqlite_model:
        shutil.copy(file, folder)
    app = create_app(settings(folder, REDIS_URL=valkey_server))
    with app.app_context():
        administrator = shop.fill()
        db.session.expunge_all()
    return app, administrator


@pytest.fixture(scope="session")
def address(filled: tuple[Flask, User]) -> Iterator[str]:
    """Where that application is served."""
    with chromium.serving(filled[0]) as url:
        yield url
