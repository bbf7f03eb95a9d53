"""The effect page as operators and viewers use it: the funnel, the people behind it, search, one text, the export."""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

import pytest
from flask import Flask

from smsapp.domain.campaign import ExclusionReason
from smsapp.domain.message import Status
from smsapp.domain.outcome import Outcome
from smsapp.domain.recipients import GROUPS
from smsapp.domain.run import RunState
from smsapp.store.contacts.contacts import Contact
from smsapp.store.db import current_session
from smsapp.store.runs.runs import Message
from smsapp.store.users import AuditEntry
from tests import ledgers
from tests.pages import Page, Pages

TARGET = 35 + sum(ledgers.EVERY_LEFT.values())
"""People of `ledgers.run`: 35 messages, and some for every exclusion reason there is."""


def number_at(page: Page, where: str) -> int:
    element = page.select_one(where)
    assert element is not None, where
    return int(element.get_text(strip=True).replace(",", ""))


def first_phone(run_id: int) -> str:
    return current_session().get_one(Message, (run_id, 1)).phone


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


def test_the_four_numbers_lead_to_exactly_the_people_they_count(client: Pages) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)
    viewer = client.as_("viewer", "en")

    page = viewer.get(f"/campaigns/{campaign.id}/effect")

    assert [number_at(page, f"#number-{name}") for name in ("target", "effective", "accepted", "delivered")] == [
        TARGET,
        TARGET - ledgers.EVERY_LEFT[ExclusionReason.NO_NUMBER] - ledgers.EVERY_LEFT[ExclusionReason.INVALID_NUMBER],
        22,
        12,
    ]
    for name in ("accepted", "delivered"):
        link = page.select_one(f"#number-{name}")
        assert link is not None
        assert len(viewer.get(str(link["href"])).select("#people tbody tr")) == number_at(page, f"#number-{name}")


def test_every_column_of_the_funnel_adds_up_by_eye(client: Pages) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)

    page = client.as_("viewer", "en").get(f"/campaigns/{campaign.id}/effect")

    for step in page.select(".funnel-step")[:3]:
        taken = [int(link.get_text()) for link in step.select(".gaps a")]
        result = step.select(".gap-sum span")[-1].get_text()
        begins = step.select_one(".funnel-number")
        assert begins is not None
        assert int(begins.get_text()) - sum(taken) == int(result)


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_each_group_can_be_looked_at(client: Pages, name: str) -> None:
    campaign = ledgers.campaign()
    every_state = (*ledgers.EVERY_STATE, (Status.EXPIRED, "", "", 1))
    ledgers.run(campaign, lots=every_state, left={ExclusionReason.NO_NUMBER: 2})

    page = client.as_("viewer").get(f"/campaigns/{campaign.id}/effect", group=name)

    assert page.select("#people tbody tr")


def test_people_can_be_narrowed_to_one_reason(client: Pages) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)
    viewer = client.as_("viewer", "en")

    failed = viewer.get(f"/campaigns/{campaign.id}/effect", group="undelivered", reason=Outcome.SWITCHED_OFF)
    left = viewer.get(f"/campaigns/{campaign.id}/effect", group="left_out", reason=ExclusionReason.OPTED_OUT)

    assert len(failed.select("#people tbody tr")) == 3
    assert "Phone off or out of reach" in failed.texts("#people tbody tr")[0]
    assert len(left.select("#people tbody tr")) == ledgers.EVERY_LEFT[ExclusionReason.OPTED_OUT]


def test_a_reason_of_the_group_before_does_not_empty_the_next_one(client: Pages) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)

    page = client.as_("viewer").get(
        f"/campaigns/{campaign.id}/effect", group="refused", reason=ExclusionReason.OPTED_OUT
    )

    assert len(page.select("#people tbody tr")) == 2


def test_an_unknown_group_is_not_found(client: Pages) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)

    client.as_("viewer").get(f"/campaigns/{campaign.id}/effect", status=404, group="nonsense")


def test_pages_are_turned_without_losing_or_doubling_anybody(client: Pages) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign, [(Status.DELIVERED, "", "", 60)], {})
    viewer = client.as_("administrator")

    first = viewer.get(f"/campaigns/{campaign.id}/effect", group="delivered")
    following = first.select_one("#people a[rel=next]")
    assert following is not None
    second = viewer.get(str(following["href"]), htmx=True)

    numbers = [row[0] for page in (first, second) for row in page.rows() if row[0].startswith("+86")]
    assert len(numbers) == len(set(numbers)) == 60
    assert second.select_one("h1") is None


def test_a_piece_refreshes_by_itself_while_something_can_change_and_then_stops(client: Pages) -> None:
    going = ledgers.campaign()
    ledgers.run(going)
    over = ledgers.campaign(status="sent")
    ledgers.run(
        over, [(Status.DELIVERED, "", "", 1)], {}, state=RunState.DONE, verdict="sent", finished_at=ledgers.OPENED
    )
    viewer = client.as_("viewer")

    moving = viewer.get(f"/campaigns/{going.id}/effect").select_one("#numbers")
    resting = viewer.get(f"/campaigns/{over.id}/effect").select_one("#numbers")
    assert moving is not None
    assert resting is not None
    piece = viewer.get(str(moving["data-hx-get"]), htmx=True)

    assert moving["data-hx-trigger"] == "every 2s"
    assert "data-hx-get" not in resting.attrs
    assert piece.select_one("#numbers #number-target") is not None
    assert piece.select_one("h1") is None


def test_people_are_looked_for_again_until_the_audience_is_frozen(client: Pages) -> None:
    starting, going = ledgers.campaign(), ledgers.campaign()
    ledgers.run(starting, [], {}, state=RunState.OPEN)
    ledgers.run(going)
    viewer = client.as_("viewer")

    waiting = viewer.get(f"/campaigns/{starting.id}/effect").select_one("#people")
    frozen = viewer.get(f"/campaigns/{going.id}/effect").select_one("#people")

    assert waiting is not None
    assert frozen is not None
    assert waiting["data-hx-trigger"] == "every 2s"
    assert viewer.get(str(waiting["data-hx-get"]), htmx=True).select_one("#people") is not None
    assert "data-hx-get" not in frozen.attrs


def test_somebody_is_found_by_last_digits_and_the_number_is_in_no_address(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)
    ending = first_phone(made.id)[-4:]

    page = client.as_("viewer").post(f"/campaigns/{campaign.id}/effect/search", group="planned", phone=ending)

    assert len(page.select("#people tbody tr")) == 1
    assert not [
        link for link in page.select("[href], [action], [data-hx-get]") if ending in str(link.attrs.get("href"))
    ]


def test_a_whole_number_is_found_by_who_may_see_it(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)
    number = first_phone(made.id)

    page = client.as_("administrator").post(f"/campaigns/{campaign.id}/runs/{made.id}/search", phone=number[3:])

    assert [row[0] for row in page.rows() if row[0].startswith("+")] == [number]


def test_too_few_digits_are_kept_in_the_field_with_what_to_do(client: Pages) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)

    page = client.as_("viewer", "en").post(f"/campaigns/{campaign.id}/effect/search", status=422, phone="12")

    assert "at least its last 4 digits" in page.said()
    field = page.select_one("#people-phone")
    assert field is not None
    assert field["value"] == "12"


def test_more_digits_than_are_shown_find_nobody_for_a_viewer(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)
    ending = first_phone(made.id)[-6:]
    url = f"/campaigns/{campaign.id}/effect/search"

    page = client.as_("viewer", "en").post(url, status=422, phone=ending)

    assert "just its last 4 digits" in page.said()
    assert not page.select("#people tbody tr")
    assert len(client.as_("viewer", sees_numbers=True).post(url, phone=ending).select("#people tbody tr")) == 1


def test_an_empty_search_shows_everybody(client: Pages) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign, [(Status.DELIVERED, "", "", 3)], {})

    page = client.as_("viewer").post(f"/campaigns/{campaign.id}/effect/search", phone=" ")

    assert len(page.select("#people tbody tr")) == 3


def test_numbers_are_masked_for_viewers_and_whole_for_administrators(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign, [(Status.DELIVERED, "", "", 1)], {})
    number = first_phone(made.id)

    masked = client.as_("viewer").get(f"/campaigns/{campaign.id}/effect")
    whole = client.as_("administrator").get(f"/campaigns/{campaign.id}/effect")

    assert number[3:] not in str(masked)
    assert f"138****{number[-4:]}" in masked.texts("#people tbody td")
    assert number in whole.texts("#people tbody td")


def test_one_message_is_shown_as_it_was_sent_with_the_persons_number_masked_in_it(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)
    number = first_phone(made.id)
    mapping = {"name": {"fixed": number}, "code": {"fixed": "A100"}}
    made.snapshot = replace(ledgers.SNAPSHOT, mapping=mapping)
    current_session().get_one(Message, (made.id, 1)).params = None
    current_session().commit()

    page = client.as_("viewer").get(f"/campaigns/{campaign.id}/runs/{made.id}/messages/1")
    piece = client.as_("viewer").get(f"/campaigns/{campaign.id}/runs/{made.id}/messages/1", htmx=True)

    assert page.texts(".effect-text") == [f"【青禾商城】尊敬的138****{number[-4:]}，您的优惠券A100即将到期。"]
    assert piece.texts(".effect-text") == page.texts(".effect-text")
    client.as_("viewer").get(f"/campaigns/{campaign.id}/runs/{made.id}/messages/9999", status=404)


def test_an_export_has_everybody_masked_for_an_operator_and_leaves_a_line(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)
    number = first_phone(made.id)
    current_session().get_one(Contact, current_session().get_one(Message, (made.id, 1)).contact_id).xwho = f"m-{number}"
    current_session().commit()
    operator = client.as_("operator", "en")

    answer = operator.raw.post(
        f"/campaigns/{campaign.id}/effect/export", data={"csrf_token": operator.token(), "group": "target"}
    )

    text = answer.get_data(as_text=True)
    rows = rows_of(text.removeprefix("\ufeff"))
    assert text.startswith("\ufeff")
    disposition = answer.headers["Content-Disposition"]
    assert disposition.startswith("attachment")
    assert unquote(disposition.partition("UTF-8''")[2]).startswith(f"{campaign.name}-")
    assert len(rows) == 1 + TARGET
    assert rows[1][:4] == [rows[1][0], f"138****{number[-4:]}", "Delivered", ""]
    assert rows[1][0] == f"m-138****{number[-4:]}"
    assert number[3:] not in text
    assert [line.action for line in current_session().query(AuditEntry)] == ["export"]


@pytest.mark.parametrize(("role", "masked"), [("operator", True), ("administrator", False)])
def test_an_export_masks_numbers_in_codes_and_provider_ids_too(client: Pages, role: str, masked: bool) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign, [(Status.REFUSED, "our_fault", "no such subscriber 139:7777:6669", 1)], {})
    current_session().get_one(Message, (made.id, 1)).provider_ref = "sms-13977776669"
    current_session().commit()
    reader = client.as_(role)

    answer = reader.raw.post(f"/campaigns/{campaign.id}/effect/export", data={"csrf_token": reader.token()})

    cells = [cell for row in rows_of(answer.get_data(as_text=True)) for cell in row]
    assert ("no such subscriber 139****6669" in cells, "sms-139****6669" in cells) == (masked, masked)
    assert ("sms-13977776669" in cells) != masked


def test_an_export_of_one_reason_has_whole_numbers_for_an_administrator(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign)
    boss = client.as_("administrator", "zh_Hans")

    answer = boss.raw.post(
        f"/campaigns/{campaign.id}/runs/{made.id}/export",
        data={"csrf_token": boss.token(), "group": "undelivered", "reason": "switched_off"},
    )

    rows = rows_of(answer.get_data(as_text=True).removeprefix("\ufeff"))
    assert len(rows) == 1 + 3
    assert {row[3] for row in rows[1:]} == {"关机或不在服务区"}
    assert all(row[1].startswith("138") and len(row[1]) == 11 for row in rows[1:])


def test_no_cell_of_an_export_is_a_formula(client: Pages) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign, [(Status.REFUSED, "our_fault", "=HYPERLINK(1)", 1)], {})
    operator = client.as_("operator")

    answer = operator.raw.post(f"/campaigns/{campaign.id}/effect/export", data={"csrf_token": operator.token()})

    assert "'=HYPERLINK(1)" in [cell for row in rows_of(answer.get_data(as_text=True)) for cell in row]


def test_a_viewer_may_not_export(client: Pages) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)

    page = client.as_("viewer").get(f"/campaigns/{campaign.id}/effect")
    client.as_("viewer").post(f"/campaigns/{campaign.id}/effect/export", status=403)

    assert not page.select("form[action$=export]")


@pytest.mark.parametrize(
    ("status", "given", "words"),
    [
        ("sending", {"state": "open"}, "Starting."),
        ("sending", {"state": "sending"}, "Sending: 27 of 35"),
        ("sending", {"state": "held", "hold_reason": "quiet_hours"}, "outside the sending hours"),
        ("sending", {"state": "held", "hold_reason": "balance"}, "no money left"),
        ("sending", {"state": "ending"}, "A person is ending it."),
        ("sent", {"state": "done", "verdict": "sent", "finished_at": ledgers.OPENED}, "Finished."),
        ("failed", {"state": "done", "verdict": "failed", "finished_at": ledgers.OPENED}, "refused the account's key"),
        ("stopped", {"state": "done", "verdict": "stopped", "finished_at": ledgers.OPENED}, "Ended by a person."),
        ("failed", {"state": "missed", "verdict": "missed", "finished_at": ledgers.OPENED}, "noticed too late"),
    ],
)
def test_the_state_is_said_in_one_plain_sentence(client: Pages, status: str, given: dict[str, Any], words: str) -> None:
    campaign = ledgers.campaign(status=status, failure="credentials" if status == "failed" else "")
    ledgers.run(campaign, **given)

    page = client.as_("viewer", "en").get(f"/campaigns/{campaign.id}/effect")

    assert words in page.texts(".state")[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"status": "draft"}, "This is a draft."),
        ({"status": "waiting", "next_due_at": ledgers.OPENED}, "Not sent yet."),
        ({"status": "failed", "failure": "missed"}, "noticed too late"),
    ],
)
def test_a_campaign_without_a_run_says_why_there_is_nothing_to_see(
    client: Pages, given: dict[str, object], words: str
) -> None:
    campaign = ledgers.campaign(**given)

    page = client.as_("viewer", "en").get(f"/campaigns/{campaign.id}/effect")

    assert words in page.texts(".state")[0]
    assert not page.select("#people")


def test_a_recurring_campaign_lists_its_runs_and_each_has_its_own_page(client: Pages) -> None:
    campaign = ledgers.campaign(recurring=True, status="waiting", next_due_at=ledgers.OPENED + dt.timedelta(days=9))
    done: dict[str, Any] = {"state": RunState.DONE, "verdict": "sent", "finished_at": ledgers.OPENED}
    older = ledgers.run(campaign, [(Status.DELIVERED, "", "", 2)], {}, **done)
    ledgers.run(campaign, [(Status.DELIVERED, "", "", 3)], {}, slot=ledgers.OPENED + dt.timedelta(days=7), **done)
    viewer = client.as_("viewer", "en")

    whole = viewer.get(f"/campaigns/{campaign.id}/effect")
    page = viewer.get(f"/campaigns/{campaign.id}/runs/{older.id}")

    assert number_at(whole, "#number-target") == 5
    assert len(whole.select("#runs tbody tr")) == 2
    assert "The next run starts" in whole.texts(".state")[0]
    assert number_at(page, "#number-target") == 2
    assert not page.select("#runs")


def test_receipts_are_a_table_for_readers_without_a_canvas(client: Pages) -> None:
    campaign = ledgers.campaign()
    ledgers.run(campaign)

    page = client.as_("viewer", "en").get(f"/campaigns/{campaign.id}/effect")

    assert [row[1:] for row in page.rows() if len(row) == 3] == [["12", "5"]]


def test_a_campaign_that_does_not_exist_is_not_found(app: Flask, client: Pages) -> None:
    assert app is not None
    client.as_("viewer").get("/campaigns/99/effect", status=404)
    client.as_("viewer").get("/campaigns/99/effect/numbers", status=404)


def test_a_contact_deleted_since_is_named_as_such(client: Pages) -> None:
    campaign = ledgers.campaign()
    made = ledgers.run(campaign, [(Status.DELIVERED, "", "", 1)], {})
    contact_id = current_session().get_one(Message, (made.id, 1)).contact_id
    current_session().delete(current_session().get_one(Contact, contact_id))
    current_session().commit()

    page = client.as_("viewer", "en").get(f"/campaigns/{campaign.id}/effect")

    assert "deleted" in page.texts("#people tbody td")
