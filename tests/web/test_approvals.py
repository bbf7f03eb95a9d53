"""The second person, page by page: the author asks, an approver looks, approves or returns."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from bs4 import Tag

from smsapp.domain.approval import ApprovalRule
from smsapp.domain.run import RunState
from smsapp.services.platform import clock
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import approval_rule, opening
from smsapp.store.db import current_session
from smsapp.store.runs import runs
from tests.pages import Page, Pages
from tests.web.campaign_world import ZONE, World, shown_to_confirm, stored

pytestmark = pytest.mark.usefixtures("valkey")
SETTINGS = "/settings/sending"
TOMORROW = dt.datetime.now(ZoneInfo(ZONE)).date() + dt.timedelta(days=1)


@pytest.fixture
def world(app: object) -> World:
    return World()


def switch_on(messages: int = 2) -> None:
    approval_rule.save(ApprovalRule(True, messages, None, 10), Actor("test"), clock.now())


def new_review(author: Pages, world: World) -> Page:
    return author.post("/campaigns/new", do="review", **world.fields())


def ask(author: Pages, review: Page) -> Page:
    return author.post(f"/campaigns/{stored().id}/ask-approval", version=review.value("#approval input[name=version]"))


def decide(approver: Pages, page: Page, verdict: str, words: str = "") -> Page:
    form = page.select_one("form[action^='/approvals/']")
    assert isinstance(form, Tag)
    seen = page.value("form[action^='/approvals/'] input[name=seen]")
    return approver.post(str(form["action"]), seen=seen, verdict=verdict, words=words)


def is_open(review: Page) -> bool:
    return not review.first("button.btn-send").has_attr("disabled")


def test_the_author_asks_and_another_person_approves_the_very_page(client: Pages, world: World) -> None:
    # Given the rule, and a campaign of an operator who cannot confirm it alone
    switch_on()
    olga, ann = client.as_("operator", locale="zh_Hans"), client.as_("approver", locale="en")
    review = new_review(olga, world)
    assert not is_open(review)
    assert "须由另一人审批后才能确认" in review.first("#approval").get_text()
    # When she asks, an approver finds it by the home page and by the list of campaigns
    asked = ask(olga, review)
    assert not asked.select("form[action^='/approvals/']")
    assert ann.get("/").value("[data-need=approval] a", "href") == "/approvals"
    assert not olga.get("/").select("[data-need=approval]")
    assert ann.get("/campaigns/").select_one("a[href='/approvals']") is not None
    listed = ann.get("/approvals")
    short = listed.texts("td.mono")[0]
    page = ann.get(f"/campaigns/{stored().id}/review")
    assert f"Digest {short}" in page.first("#approval").get_text()
    assert f"摘要 {short}" in asked.first("#approval").get_text()
    # And approves it
    after = decide(ann, page, "approved", words="Good.")
    assert "It is approved." in after.said()
    # Then the author may confirm it
    review = olga.get(f"/campaigns/{stored().id}/review")
    assert is_open(review)
    assert "Good." in review.first("#approval").get_text()
    olga.post(f"/campaigns/{stored().id}/review", **shown_to_confirm(review))
    assert stored().status == "sending"


def test_it_is_returned_with_words_and_void_after_a_change(client: Pages, world: World) -> None:
    switch_on()
    olga, ann = client.as_("operator", locale="en"), client.as_("approver", locale="en")
    ask(olga, new_review(olga, world))
    address = f"/campaigns/{stored().id}/review"
    assert "Say why you return it" in decide(ann, ann.get(address), "returned").said()
    assert "It is returned to its author." in decide(ann, ann.get(address), "returned", words="Too late.").said()
    review = olga.get(address)
    assert "Too late." in review.first("#approval").get_text()
    ask(olga, review)
    decide(ann, ann.get(address), "approved")
    later = world.fields(kind="once", start=str(TOMORROW), time="10:00")
    olga.post(f"/campaigns/{stored().id}/edit", do="review", version=stored().version, **later)
    review = olga.get(address)
    assert "this has changed since: Send time" in " ".join(review.first("#approval").get_text().split())
    assert not is_open(review)


def test_an_author_who_is_an_approver_has_nothing_to_press(client: Pages, world: World) -> None:
    switch_on()
    ann = client.as_("approver", locale="en")
    asked = ask(ann, new_review(ann, world))
    assert "you had a hand in it" in asked.first("#approval").get_text()
    assert not asked.select("form[action^='/approvals/']")
    assert "You had a hand in it" in ann.get("/approvals").get_text()


def test_a_held_run_is_approved_on_a_page_of_its_own(client: Pages, world: World) -> None:
    # Given a campaign that needed nobody when it was confirmed, and grew
    olga, ann = client.as_("operator", locale="en"), client.as_("approver", locale="en")
    review = new_review(olga, world)
    olga.post(f"/campaigns/{stored().id}/review", **shown_to_confirm(review))
    switch_on()
    run = runs.latest(current_session(), stored().id)
    assert run is not None
    opening.open_run(run.id, clock.now())
    # Then the report says so, and leads an approver to the page
    effect = f"/campaigns/{stored().id}/effect"
    assert "needs the approval of a second person" in olga.get(effect).get_text()
    link = ann.get(effect).value("#approve", "href")
    page = ann.get(link)
    assert page.rows()[0] == ["Message count", "–", "2"]
    assert "It is approved." in decide(ann, page, "approved").said()
    current_session().refresh(run)
    assert run.state == RunState.OPEN
    ann.get(link, status=404)


def test_an_administrator_switches_it_on(client: Pages) -> None:
    ada = client.as_("administrator", locale="en")
    page = ada.get(SETTINGS)
    assert page.value("#messages") == "10000"
    page = ada.post(f"{SETTINGS}/approvals", needed="y", messages="500", amount="99.5", percent="5")
    assert "Approvals are on." in page.said()
    assert (page.value("#messages"), page.value("#amount"), page.value("#percent")) == ("500", "99.50", "5")
    page = ada.post(f"{SETTINGS}/approvals", status=422, needed="y", messages="", amount="", percent="5")
    assert "From how many messages on" in page.said()
    page = ada.post(f"{SETTINGS}/approvals", status=422, needed="y", messages="x", amount="1", percent="101")
    assert page.texts("#messages-error li") == ["Write a whole number."]
    page = ada.post(f"{SETTINGS}/approvals", status=422, needed="y", messages="1", amount="NaN", percent="1")
    assert page.texts("#amount-error li") == ["Write an amount above 0 and up to 100,000,000, or leave it empty."]
    assert approval_rule.saved().messages == 500
