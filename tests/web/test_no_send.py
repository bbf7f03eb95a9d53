"""A server that sends nothing says so on every page."""

from __future__ import annotations

import dataclasses

import pytest
from flask import Flask

from smsapp.domain.errors import Refusal
from smsapp.services.channels import account_calls
from smsapp.store import settings
from tests.fakes import FakeChannel
from tests.pages import Pages

BANNER = "本服务器只显示页面"


@pytest.fixture
def pages_only(app: Flask) -> None:
    """The application is started with NO_SEND."""
    app.config["NO_SEND"] = True


def test_every_page_has_the_banner(pages_only: None, client: Pages) -> None:
    assert BANNER in client.as_("administrator").get("/campaigns/").said()


def test_as_usual_there_is_none(client: Pages) -> None:
    assert BANNER not in client.as_("administrator").get("/campaigns/").said()


@pytest.mark.parametrize("config", ["sqlite"], indirect=True)
def test_not_even_a_test_message_leaves(app: Flask) -> None:
    app.extensions[settings.EXTENSION] = dataclasses.replace(app.extensions[settings.EXTENSION], NO_SEND=True)
    with pytest.raises(Refusal, match="no_send"):
        account_calls.send_one(FakeChannel(), None)  # type: ignore[arg-type]  # it does not get that far
