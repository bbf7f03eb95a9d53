"""The pages on which an administrator erases a person."""

from __future__ import annotations

from smsapp.services.platform import clock
from smsapp.services.privacy import erasing
from tests import builders, traces
from tests.pages import Pages

NUMBER = "+8613912340001"


def test_an_administrator_sees_what_would_go_and_erases_after_typing_the_word(client: Pages) -> None:
    builders.contact("QH-9", NUMBER)
    ada = client.as_("administrator", locale="en")
    assert "Nobody was erased yet." in ada.get("/erasures/").text
    page = ada.post("/erasures/new", person="139 1234 0001")
    assert page.rows() == [["Contacts", "1"]]
    assert "QH-9" in page.text
    page = ada.post("/erasures/new", status=422, person="139 1234 0001", word="no", confirm="1")
    assert page.texts("#word-error li") == ["Write the word as it stands there."]
    page = ada.post("/erasures/new", person="139 1234 0001", word="Erase", confirm="1")
    assert "The erasure has begun." in page.said()
    assert "Under way" in " ".join(page.rows()[0])
    erasing.erase_people(clock.now)
    assert "Erased" in " ".join(ada.get("/erasures/", htmx=True).rows()[0])
    assert traces.places_of(NUMBER[3:], "QH-9") == {}
    line = " ".join(ada.get("/audit-log").rows()[0])
    assert "erased" in line
    assert NUMBER[3:] not in line


def test_the_page_of_a_contact_leads_there(client: Pages) -> None:
    contact = builders.contact("QH-9", NUMBER)
    ada = client.as_("administrator", locale="en")
    assert "Erase this person" in ada.get(f"/contacts/{contact.id}").text
    assert "Erase this person" not in client.as_("operator", locale="en").get(f"/contacts/{contact.id}").text


def test_nobody_else_erases(client: Pages) -> None:
    builders.contact("QH-9", NUMBER)
    olga = client.as_("operator")
    olga.get("/erasures/", status=403)
    olga.post("/erasures/new", status=403, person="QH-9", word="抹除", confirm="1")
    assert traces.places_of("QH-9") != {}


def test_somebody_unknown_is_refused_in_words_and_stays_as_typed(client: Pages) -> None:
    page = client.as_("administrator", locale="en").post("/erasures/new", status=422, person="nobody")
    assert page.texts("#person-error li") == ["Nobody is known by this. Write the whole user id or the whole number."]
    assert page.first("#person").text.strip() == "nobody"
