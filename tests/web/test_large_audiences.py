"""Where counting an audience takes seconds, its form and its review come first and the numbers follow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from smsapp.domain.campaign import Status
from smsapp.services.contacts import audience
from tests import builders
from tests.pages import Page, Pages
from tests.web.campaign_world import World, shown_to_confirm, stored

pytestmark = [pytest.mark.usefixtures("valkey"), pytest.mark.parametrize("config", ["sqlite"], indirect=True)]
WAITING = "Counting the users…"


@pytest.fixture
def olga(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


@pytest.fixture
def world(app: object, monkeypatch: pytest.MonkeyPatch) -> World:
    """Four people, who are many here."""
    for limit in ("READ_AT_ONCE", "SOON_COUNTED"):
        monkeypatch.setattr(audience, limit, 3)
    return World()


@pytest.fixture
def draft_id(world: World) -> int:
    chosen = {"segment_id": world.segment.id, "channel_id": world.channel.id, "template_id": world.template.id}
    return builders.campaign(**chosen, mapping={"name": {"property": "name", "fallback": "会员"}}).id


@contextmanager
def nobody_counted() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audience, "tally", lambda *_given: pytest.fail("counted"))
        yield


def numbers(page: Page) -> list[str]:
    return [text.split()[0] for text in page.texts(".stat dd:nth-of-type(1)")]


def test_the_form_comes_without_numbers_and_asks_for_them(olga: Pages, world: World, draft_id: int) -> None:
    address = f"/campaigns/{draft_id}/edit"
    with nobody_counted():
        form = olga.get(address)
    piece = olga.post(address, htmx=True, **world.fields(do="look", part="numbers"))

    assert numbers(form) == ["…", "…", "…"]
    assert form.first("#audience [aria-busy=true] [role=status]").get_text() == WAITING
    assert str(form.first("#audience")["data-hx-trigger"]).startswith("load, ")
    assert "王伟您好" in form.first("#preview").get_text()
    assert "50.0% have a value" in form.get_text()
    assert numbers(piece) == ["4", "3", "2"]
    assert piece.select_one("[aria-busy]") is None
    assert not str(piece.first("#audience")["data-hx-trigger"]).startswith("load")
    assert "¥0.15" in piece.first("#cost").get_text()


def test_without_javascript_a_button_of_the_form_shows_the_numbers(olga: Pages, world: World, draft_id: int) -> None:
    address = f"/campaigns/{draft_id}/edit"
    button = olga.get(address).first("#audience noscript button")

    page = olga.post(address, **world.fields(**{str(button["name"]): button["value"]}))

    assert numbers(page) == ["4", "3", "2"]


def test_only_the_part_with_the_numbers_counts(olga: Pages, world: World) -> None:
    with nobody_counted():
        parts = [
            olga.post("/campaigns/new", htmx=True, **world.fields(do="look", part=part))
            for part in ("text", "form_registration", "preview", "timing")
        ]

    assert "50.0% have a value" in parts[0].get_text()
    assert "sample of 2 contacts" in parts[2].get_text()


def test_the_review_comes_without_its_button_and_asks_for_both(olga: Pages, draft_id: int) -> None:
    address = f"/campaigns/{draft_id}/review"
    with nobody_counted():
        first = olga.get(address)
    piece = olga.get(str(first.first("#review")["data-hx-get"]), htmx=True)

    assert numbers(first) == ["…", "…", "…"]
    assert first.select_one(f"form[action='{address}'], input[name=seen]") is None
    assert first.first(".btn-send").has_attr("disabled")
    assert WAITING in first.first(".btn-send").get_text()
    assert "王伟您好" in first.first("#letter").get_text()
    assert numbers(piece) == ["4", "3", "3"]
    assert "data-hx-get" not in piece.first("#review").attrs
    assert "Send 3 messages" in piece.first(".btn-send").get_text()
    assert "Rehearsal of every text" in piece.get_text()
    olga.post(address, **shown_to_confirm(piece))
    assert stored(draft_id).status == Status.SENDING


def test_without_javascript_a_link_of_the_review_shows_the_numbers_and_the_button(olga: Pages, draft_id: int) -> None:
    first = olga.get(f"/campaigns/{draft_id}/review")

    page = olga.get(str(first.first("#review noscript a")["href"]))

    assert page.select_one("h1") is not None
    assert numbers(page) == ["4", "3", "3"]
    assert not page.first(".btn-send").has_attr("disabled")


def test_people_behind_a_number_of_the_review_are_shown_at_once(olga: Pages, draft_id: int) -> None:
    page = olga.get(f"/campaigns/{draft_id}/review?excluded=no_number")

    assert numbers(page) == ["4", "3", "3"]
    assert "u4" in page.get_text()


def test_a_draft_for_nobody_yet_has_nothing_to_count(olga: Pages, world: World) -> None:
    draft_id = builders.campaign(segment_id=None).id

    form, review = olga.get(f"/campaigns/{draft_id}/edit"), olga.get(f"/campaigns/{draft_id}/review")

    assert "Choose a segment" in form.first("#audience").get_text()
    assert WAITING not in form.get_text() + review.get_text()
    assert review.first(".btn-send").has_attr("disabled")


def test_a_small_audience_among_many_people_is_reviewed_at_once_and_whole(
    olga: Pages, draft_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audience, "READ_AT_ONCE", 4)
    at_once = olga.get(f"/campaigns/{draft_id}/review")

    usual = olga.get(f"/campaigns/{draft_id}/review?numbers=1")

    assert "Values of name that stand out" in at_once.get_text()
    assert at_once.texts("#review .panel") == usual.texts("#review .panel")
    assert not at_once.first(".btn-send").has_attr("disabled")
