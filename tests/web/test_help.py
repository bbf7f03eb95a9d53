"""The guide is at /help in the reader's language, and each page leads to its section."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from flask import Flask

from config import Config
from smsapp.domain.roles import RANKS
from smsapp.web import guide, menu
from smsapp.web.help_sections import AREAS, PAGES, PARTS, SECTIONS, section_of
from tests import builders
from tests.pages import Pages

WITHOUT = {"help", "static"}
"""Blueprints and endpoints that need no explanation."""


@pytest.fixture
def config(sqlite_config: Config, valkey: redis.Redis) -> Config:
    """SQLite alone: the guide asks no database."""
    return sqlite_config


def test_every_page_of_the_menu_has_a_section(app: Flask) -> None:
    with app.test_request_context():
        endpoints = [line.endpoint for line in menu.lines()]
    assert len(endpoints) > 10
    assert [endpoint for endpoint in endpoints if section_of(endpoint) not in SECTIONS] == []


def test_every_page_that_asks_for_a_right_has_a_section(app: Flask) -> None:
    pages = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint.partition(".")[0] not in WITHOUT
        and not getattr(app.view_functions[rule.endpoint], "public", False)
    }
    assert len(pages) > 100
    assert sorted(endpoint for endpoint in pages if section_of(endpoint) not in SECTIONS) == []


def test_the_table_names_only_what_there_is(app: Flask) -> None:
    assert AREAS.keys() <= app.blueprints.keys()
    assert PAGES.keys() <= app.view_functions.keys()
    assert {*AREAS.values(), *PAGES.values()} <= set(SECTIONS)


@pytest.mark.parametrize("role", RANKS)
def test_everybody_who_is_signed_in_may_read_it(client: Pages, role: str) -> None:
    page = client.as_(role).get("/help/")
    assert page.texts("h1") == ["帮助"]
    assert [str(link["href"]) for link in page.select(".guide-contents a")] == [f"#{name}" for name in SECTIONS]
    assert [str(heading["id"]) for heading in page.select(".guide-text h2")] == list(SECTIONS)


def test_a_stranger_is_asked_to_sign_in(client: Pages) -> None:
    answers = [client.raw.get(path) for path in ("/help/", "/help/pictures/zh/list.webp")]
    assert [(answer.status_code, "/sign-in" in answer.headers["Location"]) for answer in answers] == [(303, True)] * 2


def test_it_speaks_the_readers_language_and_keeps_its_addresses(client: Pages) -> None:
    chinese, english = (client.as_("viewer", locale).get("/help/") for locale in ("zh_Hans", "en"))
    assert "为什么有人没有短信" in chinese.first("#left-out").get_text()
    assert "Why somebody is left out" in english.first("#left-out").get_text()
    ids = [[str(heading["id"]) for heading in page.select(".guide-text [id]")] for page in (chinese, english)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("/campaigns/", "list"),
        ("/campaigns/new", "message"),
        ("/segments/new", "segments"),
        ("/templates/", "templates"),
        ("/replies/opt-outs", "replies"),
        ("/users", "roles"),
        ("/account", "account"),
    ],
)
def test_each_page_leads_to_what_explains_it(client: Pages, path: str, section: str) -> None:
    page = client.as_("administrator").get(path)
    assert page.value(".page-help", "href") == f"/help/#{section}"


def test_a_form_that_comes_back_with_errors_leads_to_the_same_section(client: Pages) -> None:
    page = client.as_("operator").post("/segments/new", status=422, name="", kind="dynamic", do="save")
    assert page.value(".page-help", "href") == "/help/#segments"


def test_the_report_and_the_review_lead_to_theirs(client: Pages) -> None:
    campaign = builders.campaign()
    page = client.as_("operator").get(f"/campaigns/{campaign.id}/effect")
    assert page.value(".page-help", "href") == "/help/#report"


def test_pictures_are_served_with_their_size_and_kept_by_browsers(client: Pages) -> None:
    viewer = client.as_("viewer", "en")
    pictures = viewer.get("/help/").select(".guide-text img")
    assert len(pictures) > 8
    for picture in pictures:
        assert picture["alt"]
        assert int(str(picture["width"])) > 1000
        assert int(str(picture["height"])) > 400
        answer = viewer.raw.get(str(picture["src"]))
        assert (answer.status_code, answer.mimetype) == (200, "image/webp")
        assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    "path", ["zh/none.webp", "fr/list.webp", "zh/..%2Fen%2Flist.webp", "zh/..%2F..%2F..%2Fconfig.py", "en/list.png"]
)
def test_nothing_else_is_served(client: Pages, path: str) -> None:
    assert client.as_("viewer").raw.get(f"/help/pictures/{path}").status_code == 404


def test_markup_in_a_document_stays_text(tmp_path: Path) -> None:
    file = tmp_path / "odd.md"
    file.write_text(
        "# Odd\n\n<script>alert(1)</script> <b style='x'>b</b> [x](javascript:alert(1))\n\n|a|\n|--:|\n|b|\n"
    )
    html = guide.read("odd", file).html
    assert "<script" not in html
    assert "<b " not in html
    assert "href" not in html
    assert "style=" not in html.replace("style=&#x27;", "").replace("style='", "")


def test_a_section_of_every_part_is_rendered_once(client: Pages) -> None:
    client.as_("viewer").get("/help/")
    assert guide.sections("zh_Hans") is guide.sections("zh_Hans")
    assert sum(len(names) for _heading, names in PARTS) == len(SECTIONS)
