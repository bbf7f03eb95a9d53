"""Limits in time in the form and the review, skipped dates, and the page of days of rest."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest

from smsapp.domain.campaign import Status
from smsapp.domain.rest_days import DaysOff, Rest
from smsapp.domain.schedule import Kind, Schedule
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.db import current_session
from tests import builders
from tests.pages import Pages
from tests.web.campaign_world import ZONE, World, stored

pytestmark = pytest.mark.usefixtures("valkey")


@pytest.fixture
def olga(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


@pytest.fixture
def world(app: object) -> World:
    return World()


def recurring(**fields: Any) -> dict[str, Any]:
    return {"kind": "recurring", "cycle": "daily", "start": "2031-03-01", "time": "10:00", **fields}


def test_limits_in_time_are_kept_and_shown_again(olga: Pages, world: World) -> None:
    limits = {"until": "20:30", "spread_until": "12:00", "rest": "wait", "days_off": "not_worked"}
    page = olga.post("/campaigns/new", **world.fields(do="save", skipped="2031-03-05", **recurring(), **limits))
    schedule = Schedule.from_json(stored().schedule)
    assert (schedule.until, schedule.spread_until) == (dt.time(20, 30), dt.time(12))
    assert (schedule.rest, schedule.days_off) == (Rest.WAIT, DaysOff.NOT_WORKED)
    assert schedule.skipped == (dt.date(2031, 3, 5),)
    assert page.value("#until") == "20:30:00"
    assert page.first("#skipped-2031-03-05").has_attr("checked")
    assert "not later than 20:30, evenly until 12:00" in page.text


def test_a_limit_before_the_beginning_is_said_at_its_field(olga: Pages, world: World) -> None:
    once = {"kind": "once", "start": "2031-03-02", "time": "10:00", "until": "09:00", "until_date": "2031-03-02"}
    page = olga.post("/campaigns/new", **world.fields(do="review", **once))
    assert "lies before the beginning" in page.first("#until-error").get_text()


def test_the_next_sends_stand_on_calendar_pages(olga: Pages, world: World) -> None:
    fields = world.fields(do="look", part="timing", rest="skip", **recurring(start="2031-03-01", days_off="not_worked"))
    page = olga.post("/campaigns/new", htmx=True, **fields)
    assert len(page.select(".month-grid .day-sent")) == 10
    assert page.texts(".month-grid caption")[0] == "Mar 2031"
    assert "Day of rest: nothing is sent." in page.text


def test_the_review_says_the_limit_the_rate_and_that_it_will_not_be_through(olga: Pages, world: World) -> None:
    olga.post("/campaigns/new", **world.fields(do="save", until="00:00", spread_until="00:00"))
    page = olga.get(f"/campaigns/{stored().id}/review")
    assert "what has not left by then expires" in page.text
    assert "per minute" in page.text


def waiting_campaign(**fields: Any) -> Campaign:
    schedule = Schedule(Kind.DAILY, ZONE, dt.time(10), dt.date(2031, 3, 1), **fields)
    due = dt.datetime(2031, 3, 1, 2, 0, tzinfo=dt.UTC)
    return builders.campaign(status=Status.WAITING, recurring=True, schedule=schedule.as_json(), next_due_at=due)


def test_a_date_is_skipped_by_its_button_and_taken_back(olga: Pages, app: object) -> None:
    campaign = waiting_campaign()
    page = olga.get(f"/campaigns/{campaign.id}")
    assert page.first("#skip-2031-03-01").get_text(strip=True) == "Skip"
    page = olga.post(f"/campaigns/{campaign.id}/skip", date="2031-03-01", do="skip")
    assert page.first("#skip-2031-03-01").get_text(strip=True) == "Undo"
    current_session().refresh(campaign)
    assert campaign.next_due_at == dt.datetime(2031, 3, 2, 2, 0, tzinfo=dt.UTC)
    page = olga.post(f"/campaigns/{campaign.id}/skip", date="2031-03-01", do="undo")
    assert page.first("#skip-2031-03-01").get_text(strip=True) == "Skip"


def test_a_viewer_sees_the_next_sends_without_buttons(client: Pages, app: object) -> None:
    campaign = waiting_campaign()
    page = client.as_("viewer").get(f"/campaigns/{campaign.id}")
    assert page.select(".fires li")
    assert not page.select("[id^=skip-]")


def test_an_administrator_imports_days_and_takes_them_back(client: Pages, app: object) -> None:
    anna = client.as_("administrator", locale="en")
    page = anna.get("/settings/rest-days/")
    assert "have not been published yet" in page.text
    file = (io.BytesIO("2027-02-05,放假,春节\n2027-02-14,上班,春节\n".encode()), "days.csv")
    page = anna.post("/settings/rest-days/", file=file)
    assert "2 days of 2027 were imported." in page.text
    assert "have not been published yet" not in page.text
    page = anna.post("/settings/rest-days/2027/restore")
    assert "have not been published yet" in page.text


def test_a_file_of_days_that_cannot_be_read_says_which_row(client: Pages, app: object) -> None:
    anna = client.as_("administrator", locale="en")
    page = anna.post("/settings/rest-days/", status=422, file=(io.BytesIO(b"2027-02-05,off\nbad,off\n"), "days.csv"))
    assert "Row 2 cannot be read: “bad”." in page.text


def test_a_draft_saves_itself_and_says_when(olga: Pages, world: World) -> None:
    olga.post("/campaigns/new", **world.fields(do="save"))
    campaign = stored()
    address, before = f"/campaigns/{campaign.id}/edit", campaign.version
    page = olga.post(address, htmx=True, **world.fields(do="autosave", version=before, name="改过的名字"))
    assert "Saved at" in page.first("#autosave").get_text()
    assert page.value("input[name=version]") == str(before + 1)
    assert stored().name == "改过的名字"


def test_a_draft_that_somebody_else_saved_is_not_overwritten_by_itself(olga: Pages, world: World) -> None:
    olga.post("/campaigns/new", **world.fields(do="save"))
    campaign = stored()
    address, before = f"/campaigns/{campaign.id}/edit", campaign.version
    olga.post(address, **world.fields(do="save", version=before, name="first"))
    page = olga.post(address, htmx=True, **world.fields(do="autosave", version=before, name="second"))
    assert "Somebody else saved this draft" in page.first("#autosave").get_text()
    assert page.value("input[name=version]") == str(before)
    assert stored().name == "first"


def test_the_preview_is_for_the_person_that_was_typed(olga: Pages, world: World) -> None:
    fields = world.fields(do="find", part="preview")
    assert "王伟" in olga.post("/campaigns/new", htmx=True, **fields, who="u1").text
    assert "would not get the message" in olga.post("/campaigns/new", htmx=True, **fields, who="u4").text
    assert "Nobody is known by this." in olga.post("/campaigns/new", htmx=True, **fields, who="nobody").text
    # several people of one name: a choice, by which the text is shown; a whole user id is nobody else's beginning
    other = builders.contact("u11", builders.phone(11), properties={"name": "王伟"})
    page = olga.post("/campaigns/new", htmx=True, **fields, who="王伟")
    assert [text.split(" · ")[:2] for text in page.texts("[name=wanted]")] == [["王伟", "u11"], ["王伟", "u1"]]
    assert builders.phone(11) not in page.text
    chosen = olga.post("/campaigns/new", htmx=True, **fields | {"do": "look"}, wanted=other.id)
    assert "u11" in chosen.first(".handset-top").get_text()
    assert not olga.post("/campaigns/new", htmx=True, **fields, who="u1").select("[name=wanted]")


def test_quiet_hours_are_switched_off_by_their_switch_and_keep_their_times_for_later(
    client: Pages, app: object
) -> None:
    anna = client.as_("administrator", locale="en")
    channel = builders.channel(name="演练", quiet_from="21:00", quiet_until="08:00")
    address = f"/channels/{channel.id}/edit"
    page = anna.get(address)
    assert page.first("#quiet").has_attr("checked")
    common: dict[str, Any] = {
        "name": "演练",
        "phone_property": "$phone",
        "quiet_from": "21:00",
        "quiet_until": "08:00",
        "per_request": "1",
    }
    anna.post(address, **common, quiet="")
    current_session().refresh(channel)
    assert channel.quiet_from == channel.quiet_until
    page = anna.get(address)
    assert not page.first("#quiet").has_attr("checked")
    assert page.value("#quiet_from") == "21:00"
