"""The audit log's page: filters, and the export of what they show."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from urllib.parse import urlencode

import pytest
from flask import Flask

from smsapp.services.platform.audit_log import Actor, log_action
from smsapp.store.db import writing
from tests.pages import Pages

ENTRIES = (
    ("192.0.2.1", "create", "segment"),
    ("192.0.2.2", "create", "campaign"),
    ("192.0.2.1", "edit", "campaign"),
)


@pytest.fixture(autouse=True)
def entries(app: Flask) -> None:
    """One entry on each of three days, each of another kind."""
    with writing() as session:
        for day, (address, action, noun) in enumerate(
            (
                ("192.0.2.1", "create", "segment"),
                ("192.0.2.2", "create", "campaign"),
                ("192.0.2.1", "edit", "campaign"),
            ),
            start=1,
        ):
            at = dt.datetime(2026, 3, day, 4, tzinfo=dt.UTC)
            log_action(session, Actor("olga", address=address), action, noun, day, at, name="=1+1")


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ({"action": "create"}, ["02", "01"]),
        ({"noun": "campaign"}, ["03", "02"]),
        ({"address": "192.0.2.1"}, ["03", "01"]),
        ({"from": "2026-03-02"}, ["03", "02"]),
        ({"to": "2026-03-02"}, ["02", "01"]),
        ({"from": "2026-03-02", "to": "2026-03-02", "noun": "campaign"}, ["02"]),
        ({"from": "yesterday"}, ["03", "02", "01"]),
    ],
)
def test_filters_show_what_fits_all_of_them(client: Pages, query: dict[str, str], days: list[str]) -> None:
    page = client.as_("administrator").get("/audit-log/?" + urlencode(query))
    assert [row[0][8:10] for row in page.rows()] == days


def test_what_the_filters_show_is_exported_as_json_lines(client: Pages) -> None:
    ada = client.as_("administrator")
    fields = {"noun": "campaign", "format": "jsonl", "csrf_token": ada.token()}
    lines = ada.raw.post("/audit-log/export", data=fields).get_data(as_text=True).splitlines()
    assert [json.loads(line)["action"] for line in lines] == ["create", "edit"]
    assert ada.get("/audit-log/").rows()[0][2] == "导出"


def test_what_the_filters_show_is_exported_as_a_table_without_formulas(client: Pages) -> None:
    ada = client.as_("administrator")
    fields = {"action": "create", "format": "csv", "csrf_token": ada.token()}
    text = ada.raw.post("/audit-log/export", data=fields).get_data(as_text=True)
    rows = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))
    assert [(row["noun"], row["position"]) for row in rows] == [("segment", "1"), ("campaign", "2")]
    assert rows[0]["facts"] == '{"name": "=1+1"}'
