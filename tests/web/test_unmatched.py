"""The page of receipts that name no message of ours."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from flask import Flask

from smsapp.services.platform import clock
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.db import writing
from smsapp.store.receipts import unmatched
from tests import builders
from tests.pages import Pages

BLANK = {"ref": "", "provider_ref": "", "phone": "", "outcome": None, "status": "delivered", "code": ""}


@pytest.fixture
def row(app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> ChannelRow:
    """A channel, at a moment that stands still."""
    monkeypatch.setattr(clock, "now", lambda: now)
    return builders.channel(name="演练")


def keep(row: ChannelRow, at: dt.datetime, *receipts: dict[str, Any]) -> None:
    with writing() as session:
        unmatched.store(session, [BLANK | {"channel_id": row.id} | receipt for receipt in receipts], at)


def test_each_says_what_came_whom_it_is_about_and_how_long_its_message_is_looked_for(
    row: ChannelRow, client: Pages, now: dt.datetime
) -> None:
    yesterday = now - dt.timedelta(hours=25)
    keep(row, yesterday, {"provider_ref": "old-1"}, {"ref": "order-13800138000", "status": "accepted"})
    failed = {"status": "undelivered", "outcome": "switched_off", "code": "MK:1"}
    keep(row, now, {"provider_ref": "new-1", "phone": "+8613800138000"} | failed)

    page = client.as_("viewer", "en").get("/receipts/unmatched/")

    newest, ours, oldest = page.rows()
    assert newest == [
        "2 Mar 2026 10:00:00",
        "演练",
        "–",
        "new-1",
        "138****8000",
        "Not delivered Phone off or out of reach MK:1",
        "looked for until 3 Mar 2026 10:00",
    ]
    assert ours[2:] == ["order-138****8000", "–", "–", "Accepted", "none of ours"]
    assert oldest[3:] == ["old-1", "–", "Delivered", "none of ours"]
    assert "180 days" in page.texts(".flash-info")[0]
    seen = client.as_("administrator", "en").get("/receipts/unmatched/").rows()
    assert seen[0][4] == "+8613800138000"


def test_they_are_found_by_channel_and_by_the_exact_id_of_either_side(
    row: ChannelRow, client: Pages, now: dt.datetime
) -> None:
    keep(row, now, {"ref": "7-1"}, {"provider_ref": "7-1"}, {"ref": "7-10"})
    other = builders.channel(name="另一个")
    keep(other, now, {"ref": "7-1"})
    viewer = client.as_("viewer", "en")

    assert [line[1] for line in viewer.get("/receipts/unmatched/", channel=other.id).rows()] == ["另一个"]
    assert len(viewer.post("/receipts/unmatched/", q=" 7-1 ").rows()) == 3
    assert len(viewer.post("/receipts/unmatched/", q="7-1", channel=row.id).rows()) == 2
    assert len(viewer.post("/receipts/unmatched/", q="", channel=row.id).rows()) == 3
    nothing = viewer.post("/receipts/unmatched/", q="7")
    assert "No such receipt is here." in nothing.texts(".empty-state")[0]


def test_a_long_list_goes_on_behind_the_last_one_also_when_it_is_searched(
    row: ChannelRow, client: Pages, now: dt.datetime
) -> None:
    keep(row, now, *[{"ref": "same", "code": str(n)} for n in range(60)])
    viewer = client.as_("viewer")

    first = viewer.get("/receipts/unmatched/", channel=row.id)
    second = viewer.get(first.value("a[rel=next]", "href"))
    page = viewer.post("/receipts/unmatched/", q="same", channel=row.id)
    fields: dict[str, Any] = {
        str(element["name"]): element["value"] for element in page.select("form.pager [name]:not([name=csrf_token])")
    }

    assert (len(first.rows()), len(second.rows())) == (50, 10)
    assert len(viewer.post("/receipts/unmatched/", **fields).rows()) == 10


def test_without_any_the_page_says_what_it_is_for(row: ChannelRow, client: Pages) -> None:
    page = client.as_("viewer", "en").get("/receipts/unmatched/")

    assert "Every receipt has found its message." in page.texts(".empty-state")[0]
    assert "it is listed here" in page.texts(".empty-state")[0]


def test_the_channels_page_counts_a_days_and_leads_there(row: ChannelRow, client: Pages, now: dt.datetime) -> None:
    operator = client.as_("operator", "en")
    link = f'a[href="/receipts/unmatched/?channel={row.id}"]'

    assert operator.get(f"/channels/{row.id}").texts(link) == ["none in 24 hours"]
    keep(row, now - dt.timedelta(days=2), {"ref": "old"})
    keep(row, now, {"ref": "a"}, {"ref": "b"})
    assert operator.get(f"/channels/{row.id}").texts(link) == ["2 in 24 hours"]
    keep(row, now, *[{"ref": f"c{n}"} for n in range(120)])
    assert operator.get(f"/channels/{row.id}").texts(link) == ["more than 100 in 24 hours"]
    assert operator.get("/unconfirmed/").select_one('a[href="/receipts/unmatched/"]')
