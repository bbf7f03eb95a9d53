"""The builder as a person uses it, without JavaScript and with the pieces htmx asks for; lists, uploads, bad input."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from flask import Flask

from smsapp.domain.contact import Type
from smsapp.domain.segment import Condition, Group, Kind, Match, Operator
from smsapp.services.contacts import segments, uploaded_lists
from smsapp.services.platform.audit_log import Actor
from smsapp.store.contacts.segments import Segment
from tests import builders
from tests.pages import Page, Pages

BY = Actor("tests")
IN_BEIJING = Group(Match.ALL, (Condition("city", Type.STRING, Operator.EQUALS, ("北京",)),))


@pytest.fixture(autouse=True)
def people(app: Flask) -> None:
    builders.known_property("city", label="城市")
    builders.known_property("age", "number")
    builders.known_property("tags", "list")
    builders.known_property("seen", "datetime")
    builders.known_property("vip", "bool")
    builders.channel(name="甲")
    for n, (city, age) in enumerate([("北京", 20), ("北京", 40), ("上海", 40)], 1):
        held = {"city": city, "age": age, "tags": ["a", "b"], "seen": "2026-03-01T08:30:00", "vip": True}
        builders.contact(f"u{n}", builders.phone(n), properties=held)
    builders.contact("u4", properties={"city": "北京", "age": 41})


@pytest.fixture
def operator(client: Pages) -> Pages:
    return client.as_("operator", locale="en")


def kept(rule: Group = IN_BEIJING, kind: Kind = Kind.DYNAMIC, name: str = "Beijing") -> Segment:
    return segments.create(name, kind, rule, by=BY, now=builders.LONG_AGO)


def filled(page: Page) -> dict[str, Any]:
    """Return what a browser would send of the builder: names and values as they stand."""
    form = page.select_one("form#builder")
    assert form is not None
    sent: dict[str, Any] = {}
    for control in form.select("input[name], select[name], textarea[name]"):
        name = str(control["name"])
        if control.name == "select":
            chosen = control.select_one("option[selected]") or control.select_one("option")
            sent[name] = str(chosen["value"]) if chosen else ""
        elif control.name == "textarea":
            sent[name] = control.text.removeprefix("\n")
        elif control.get("type") != "radio" or control.has_attr("checked"):
            sent[name] = str(control.get("value", ""))
    return sent | {"name_": sent.pop("name")}


def test_a_rule_is_built_without_javascript(operator: Pages) -> None:
    page = operator.get("/segments/new")
    # A property is chosen; the form comes back with its operators.
    page = operator.post("/segments/new", **filled(page) | {"rule.0.property": "city", "do": "refresh:rule.0"})
    assert "is one of" in page.texts("#rule-0-operator option")
    # A value, and a group with a condition of its own.
    sent = filled(page) | {"name_": "Beijing", "rule.0.value.0": "北京", "do": "group:rule"}
    page = operator.post("/segments/new", **sent)
    page = operator.post("/segments/new", **filled(page) | {"rule.1.0.property": "age", "do": "add:rule.1"})
    page = operator.post("/segments/new", **filled(page) | {"rule.1.1.property": "tags", "do": "refresh:rule.1.1"})
    # One condition too many is taken away; what was typed elsewhere stays.
    page = operator.post("/segments/new", **filled(page) | {"do": "remove:rule.1.1"})
    page = operator.post(
        "/segments/new",
        **filled(page) | {"rule.1.0.operator": "at_least", "rule.1.0.value.0": "40", "do": "count"},
    )
    assert page.texts("#count .count-number") == ["2 target users"]
    assert "1 can be reached" in page.get_text(" ")
    page = operator.post("/segments/new", **filled(page) | {"do": "save"})
    assert page.texts("h1") == ["Beijing"]
    assert "Saved: 2 members." in page.said()
    assert "城市 (city) is “北京”" in page.get_text(" ")
    expected = Group(Match.ANY, (Condition("age", Type.NUMBER, Operator.AT_LEAST, (40,)),))
    assert segments.named("Beijing").rule == Group(Match.ALL, (*IN_BEIJING.children, expected)).as_json()


def test_htmx_gets_the_piece_that_changes(operator: Pages) -> None:
    sent = filled(operator.get("/segments/new")) | {"rule.0.property": "city", "rule.0.value.0": "北京"}
    condition = operator.post("/segments/new", htmx=True, **sent | {"do": "refresh:rule.0"})
    assert condition.select_one("#rule-0-operator") is not None
    assert condition.texts("datalist option") == ["", ""]
    assert condition.select_one("#rule") is None
    sent["rule.0.operator"] = "equals"
    count = operator.post("/segments/new", htmx=True, **sent | {"do": "count"})
    assert count.texts(".count-number") == ["3 target users"]
    reach = operator.post("/segments/new", htmx=True, **sent | {"do": "reach"})
    assert "2 can be reached" in reach.get_text(" ")
    rule = operator.post("/segments/new", htmx=True, **sent | {"do": "add:rule"})
    assert rule.select_one("#rule-1") is not None
    assert "rule-changed" in rule.response.headers["HX-Trigger"]


def test_an_unfinished_rule_is_not_counted(operator: Pages) -> None:
    sent = filled(operator.get("/segments/new")) | {"rule.0.property": "age", "rule.0.operator": "between"}
    count = operator.post("/segments/new", htmx=True, **sent | {"rule.0.value.0": "x", "do": "count"})
    assert "not complete yet" in count.get_text(" ")
    reach = operator.post("/segments/new", htmx=True, **sent | {"do": "reach"})
    assert "Complete the rule" in reach.get_text(" ")


def test_what_is_wrong_is_marked_and_what_was_typed_stays(operator: Pages) -> None:
    sent = filled(operator.get("/segments/new")) | {
        "rule.0.property": "age",
        "rule.0.operator": "between",
        "rule.0.value.0": "forty",
        "rule.0.value.1": "7",
        "rule.1.property": "gone",
        "rule.2.match": "none",
        "do": "save",
    }
    page = operator.post("/segments/new", 422, **sent)
    assert page.texts("#rule-0-error li") == ["Write a number, such as 30 or 0.5."]
    assert page.select_one("#rule-1-error") is not None
    assert "Give the segment a name." in page.said()
    first = page.select_one("#rule-0-value-0")
    assert first is not None
    assert first["value"] == "forty"
    sent |= {"rule.0.value.0": "5", "rule.1.property": "vip", "name_": "Odd"}
    page = operator.post("/segments/new", 422, **sent)
    assert page.texts("#rule-2-error li") == ["This group has no condition. Add one, or remove the group."]


@pytest.mark.parametrize(
    "odd",
    [
        {"rule" + ".0" * 300 + ".property": "city"},
        {"rule.99999999999.property": "city"},
        {"rule.x.property": "city", "do": "remove:rule.x"},
        {"do": "remove:rule"},
        {"do": "remove:rule.9"},
        {"do": "add:rule.0.0"},
        {"do": "dance"},
        {"rule.match": "perhaps", "do": "count"},
        {"rule.0.property": "city", "rule.0.operator": "greater", "do": "count"},
    ],
)
def test_a_form_nobody_drew_is_answered_calmly(operator: Pages, odd: dict[str, Any]) -> None:
    operator.post("/segments/new", **{"rule.match": "all", "do": "count", "name_": "x"} | odd)


def test_every_operator_is_drawn_said_and_edited(operator: Pages, now: dt.datetime) -> None:
    every = (
        Condition("tags", Type.LIST, Operator.CONTAINS_ANY, (tuple("abcdefg"),)),
        Condition("seen", Type.DATETIME, Operator.BETWEEN_AGO, (1, 7, "day")),
        Condition("seen", Type.DATETIME, Operator.ANNIVERSARY, (0,)),
        Condition("seen", Type.DATETIME, Operator.ANNIVERSARY, (3,)),
        Condition("seen", Type.DATETIME, Operator.DAYS, ("2026-01-01", "2026-01-31")),
        Condition("age", Type.NUMBER, Operator.BETWEEN, (1, 2.5)),
        Condition("vip", Type.BOOL, Operator.FALSE),
    )
    made = kept(Group(Match.NONE, every))
    text = operator.get(f"/segments/{made.id}").get_text(" ")
    for sentence in (
        "and others, 7 in all",
        "between 1 and 7 days ago",
        "anniversary today",
        "anniversary in 3 days",
        "vip is false",
    ):
        assert sentence in text
    page = operator.get(f"/segments/{made.id}/edit")
    operator.post(f"/segments/{made.id}/edit", **filled(page) | {"kind": "static", "do": "save"})
    again = segments.get(made.id)
    assert (again.rule, again.kind) == (Group(Match.NONE, every).as_json(), Kind.STATIC)


def test_the_segments_page_shows_members_and_chosen_columns(operator: Pages) -> None:
    made = kept()
    builders.campaign(name="春节", segment_id=made.id)
    page = operator.get(f"/segments/{made.id}")
    assert page.texts(".count-number") == ["3 target users"]
    assert page.select_one(f'a[href="/campaigns/new?segment={made.id}"]') is not None
    assert "春节" in page.get_text(" ")
    piece = operator.get(f"/segments/{made.id}?column=$phone&column=seen", htmx=True)
    assert piece.rows()[0] == ["u1", "138****0001", "2026-03-01 08:30:00"]
    assert "2 can be reached" in operator.get(f"/segments/{made.id}/reach").get_text(" ")
    nobody = kept(Group(Match.ALL, (Condition("age", Type.NUMBER, Operator.LESS, (0,)),)), name="nobody")
    assert "Nobody is in this segment" in operator.get(f"/segments/{nobody.id}").get_text(" ")


def test_a_rule_whose_property_is_gone_can_be_seen_mended_and_deleted(operator: Pages) -> None:
    rule = Group(Match.ALL, (Condition("gone", Type.STRING, Operator.EQUALS, ("x",)),))
    made = builders.segment(name="old", rule=rule.as_json())
    broken = builders.segment(name="broken", rule={"match": "some"})
    assert "no property “gone”" in operator.get(f"/segments/{made.id}").said()
    assert "cannot be read" in operator.get(f"/segments/{broken.id}").said()
    operator.get(f"/segments/{made.id}/edit")
    assert "Build it anew" in operator.get(f"/segments/{broken.id}/edit").said()
    assert "was deleted" in operator.post(f"/segments/{broken.id}/delete").said()


def test_the_list_finds_by_name(operator: Pages) -> None:
    assert "No segments yet." in operator.get("/segments/").get_text(" ")
    kept()
    assert operator.get("/segments/").rows()[0][0] == "Beijing"
    assert operator.get("/segments/?q=bei", htmx=True).rows()[0][0] == "Beijing"
    assert "No segment has this" in operator.get("/segments/?q=x").get_text(" ")


def test_save_as_recompute_and_delete(operator: Pages) -> None:
    made = kept(kind=Kind.STATIC)
    page = operator.get(f"/segments/{made.id}/save-as")
    assert page.value("[name=name]") == "Beijing (copy)"
    assert "taken" not in operator.post(f"/segments/{made.id}/save-as", 422, name_="Beijing").said()
    assert operator.post(f"/segments/{made.id}/save-as", name_="Two").texts("h1") == ["Two"]
    assert "Computed: 3 members." in operator.post(f"/segments/{made.id}/recompute").said()
    builders.campaign(name="春节", segment_id=made.id)
    operator.get(f"/segments/{made.id}/delete")
    assert "春节" in operator.post(f"/segments/{made.id}/delete", 422).said()


def test_a_list_is_uploaded_and_its_misses_are_shown_masked(operator: Pages) -> None:
    operator.get("/segments/upload")
    lines = io.BytesIO(b"13800000001\n138 0000 0002\n13999999999\n")
    page = operator.post("/segments/upload", name_="List", property="$phone", file=(lines, "list.txt"))
    assert "Saved: 2 members." in page.said()
    assert page.texts(".unmatched li") == ["line 3 139****9999"]
    made = segments.named("List")
    page = operator.get(f"/segments/{made.id}/edit")
    assert "takes the place" in page.get_text(" ")
    url = f"/segments/upload?segment_id={made.id}"
    page = operator.post(url, name_="List", property="xwho", file=(io.BytesIO(b"u3\n"), "l.csv"))
    assert "Saved: 1 member." in page.said()
    assert "Upload the file again" in operator.post(f"/segments/{made.id}/recompute").said()
    assert segments.get(made.id).rule["source"]["property"] == uploaded_lists.USER_ID


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"property": "xwho"}, "Choose a file."),
        ({"property": "xwho", "file": (io.BytesIO(b""), "l.csv")}, "nothing in this file"),
        ({"property": "vip", "file": (io.BytesIO(b"u1"), "l.csv")}, "user ids"),
    ],
)
def test_a_bad_upload_says_what_to_do(operator: Pages, fields: dict[str, Any], said: str) -> None:
    if "file" in fields:
        stream, name = fields["file"]
        fields = fields | {"file": (io.BytesIO(stream.getvalue()), name)}
    page = operator.post("/segments/upload", 422, name_="List", **fields)
    assert said in page.said()


def test_a_viewer_sees_but_does_not_change(client: Pages) -> None:
    made = kept()
    viewer = client.as_("viewer", locale="en")
    assert viewer.get(f"/segments/{made.id}").select_one(".page-actions a") is None
    assert viewer.get("/segments/").select_one(".row-actions a") is None
    viewer.get("/segments/new", 403)
    viewer.post(f"/segments/{made.id}/recompute", 403)
    viewer.get("/segments/999", 404)


def comparing(operator: str) -> dict[str, Any]:
    """What the builder sends that asks for the beginning of a number."""
    return {"rule.match": "all", "rule.0.property": "$phone", "rule.0.operator": operator, "rule.0.value.0": "1380"}


def test_who_may_not_see_numbers_cannot_spell_one_out_by_counting(client: Pages) -> None:
    blind, seeing = client.as_("operator", locale="en"), client.as_("operator", locale="en", sees_numbers=True)
    asked = comparing("starts_with")
    assert seeing.post("/segments/new", **asked, do="count").select("#count .count-number:not(.quiet)")
    assert not blind.post("/segments/new", **asked, do="count").select("#count .count-number:not(.quiet)")
    page = blind.post("/segments/new", **asked, name_="1380", do="save", status=422)
    assert "can only ask whether there is one" in page.text
    assert segments.listing() == []
    # Whether there is one may be asked by everybody.
    assert blind.post("/segments/new", **comparing("has_value"), do="count").select("#count .count-number:not(.quiet)")
