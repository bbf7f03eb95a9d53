"""A campaign's form saves itself: a new one as soon as it has a name, and as one draft."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.draft import Draft
from smsapp.domain.schedule import Kind, Schedule
from smsapp.services.campaigns import drafts
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from tests.pages import Pages
from tests.web.campaign_world import World, stored

pytestmark = pytest.mark.usefixtures("valkey")


@pytest.fixture
def olga(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


@pytest.fixture
def world(app: object) -> World:
    return World()


def test_a_new_campaign_saves_itself_once_it_has_a_name_and_is_one_draft(olga: Pages, world: World) -> None:
    key = olga.get("/campaigns/new").value("input[name=form_key]")
    fields = world.fields(do="autosave", form_key=key, version="0")
    # without a name nothing is stored, and nothing is wrong
    assert not olga.post("/campaigns/new", htmx=True, **fields | {"name": ""}).select("#autosave span")
    assert current_session().scalar(sa.select(Campaign.id)) is None
    # with one it is stored; the page then is that draft's
    page = olga.post("/campaigns/new", htmx=True, **fields)
    assert page.response.headers["HX-Replace-Url"] == f"/campaigns/{stored().id}/edit"
    assert page.value("input[name=version]") == "1"
    # a request whose answer never came is no second draft, nor is the button
    olga.post("/campaigns/new", htmx=True, **fields | {"name": "会员日"})
    edit = olga.post("/campaigns/new", **fields | {"name": "会员日 2", "version": "2", "do": "save"})
    assert edit.value("#name") == "会员日 2"
    clash = olga.post("/campaigns/new", 409, **fields | {"name": "别的", "version": "1", "do": "save"})
    assert clash.select(".conflict")
    assert current_session().scalars(sa.select(Campaign.name)).all() == ["会员日 2"]


def test_what_saves_itself_sends_no_cookie(olga: Pages, world: World) -> None:
    """It would undo what a page answered meanwhile has put into the session, such as a message."""
    with olga.raw.session_transaction() as session:
        session.permanent = True  # as signing in does
    page = olga.get("/campaigns/new")
    assert "Set-Cookie" in page.response.headers
    fields = world.fields(do="autosave", form_key=page.value("input[name=form_key]"), version="0")
    piece = olga.post("/campaigns/new", htmx=True, **fields)
    assert "Set-Cookie" not in piece.response.headers


def test_two_quick_requests_of_one_form_make_one_draft(app: Flask, world: World) -> None:
    draft = Draft(name="双十一", schedule=Schedule(Kind.NOW, "Asia/Shanghai"))
    together = threading.Barrier(2)

    def send(_n: int) -> int:
        with app.app_context():
            together.wait(10)
            return drafts.create(draft, Actor("test"), clock.now(), "k" * 22)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(send, range(2))
    assert first == second
    assert current_session().scalars(sa.select(Campaign.id)).all() == [first]
