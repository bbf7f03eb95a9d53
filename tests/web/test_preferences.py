"""The page of the frequency caps, as an administrator uses it."""

from __future__ import annotations

from smsapp.services.contacts import frequency_caps
from smsapp.services.contacts.frequency_caps import FrequencyCaps
from tests.pages import Page, Pages

URL = "/settings/sending"


def typed(page: Page) -> tuple[bool, str, str]:
    """What stands in the form: the tick and the two numbers."""
    enabled, per_day, per_week = page.select("#enabled, #per_day, #per_week")
    return enabled.has_attr("checked"), str(per_day["value"]), str(per_week["value"])


def test_an_administrator_finds_the_page_in_the_menu_with_the_suggestion_filled_in(client: Pages) -> None:
    ada = client.as_("administrator")
    assert "发送频次限制" in ada.get("/account").texts(f'a[href="{URL}"]')
    assert typed(ada.get(URL)) == (False, "1", "3")


def test_saved_caps_are_shown_again_and_are_in_the_audit_log(client: Pages) -> None:
    ada = client.as_("administrator", locale="en")
    page = ada.post(URL, enabled="y", per_day="2", per_week="")
    assert "The frequency caps are on." in page.said()
    assert typed(page) == (True, "2", "")
    assert frequency_caps.frequency_caps() == FrequencyCaps(True, 2, None)
    assert "Setting frequency_caps" in ada.get("/audit-log").rows()[0]
    page = ada.post(URL, per_day="2", per_week="")
    assert "The frequency caps are off." in page.said()
    assert typed(page) == (False, "2", "")


def test_bad_numbers_stay_as_typed_beside_what_is_wrong_with_them(client: Pages) -> None:
    ada = client.as_("administrator", locale="en")
    page = ada.post(URL, status=422, enabled="y", per_day="one", per_week="2.5")
    assert page.texts(".field-errors li") == ["Write a whole number."] * 2
    assert typed(page) == (True, "one", "2.5")
    page = ada.post(URL, status=422, enabled="y", per_day="5", per_week="4")
    assert page.texts("#per_week-error li") == ["This must be at least as many as per day (5)."]
    assert typed(page) == (True, "5", "4")
    page = ada.post(URL, status=422, enabled="y", per_day="9" * 30, per_week="51")
    assert page.texts("#per_day-error li") == ["Write a number from 1 to 20 per day, or leave it empty."]
    assert page.texts("#per_week-error li") == ["Write a number from 1 to 50 per seven days, or leave it empty."]
    page = ada.post(URL, status=422, enabled="y", per_day="", per_week="")
    assert page.texts("#per_day-error li") == ["To switch the caps on, write at least one of the two numbers."]
    assert frequency_caps.frequency_caps() == frequency_caps.SUGGESTED


def test_an_operator_neither_sees_nor_changes_the_caps(client: Pages) -> None:
    olga = client.as_("operator")
    assert olga.get("/account").texts(f'a[href="{URL}"]') == []
    olga.get(URL, status=403)
    olga.post(URL, status=403, enabled="y", per_day="1", per_week="3")
    assert frequency_caps.frequency_caps() == frequency_caps.SUGGESTED
