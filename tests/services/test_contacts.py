"""Profiles that apps report, in both databases."""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.contact import Type
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, applying, profile_reading, uploads
from smsapp.services.channels import phone_properties
from smsapp.services.contacts import contacts
from smsapp.services.platform.audit_log import Actor
from smsapp.services.privacy import retention
from smsapp.store import queue
from smsapp.store.apps import app_keys as stored_keys
from smsapp.store.apps import uploads as stored_uploads
from smsapp.store.contacts import property_catalogue
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_catalogue import property_types
from smsapp.store.contacts.segments import SegmentMember
from smsapp.store.db import current_session, db, writing
from tests import builders
from tests.uploads import report


@pytest.fixture
def key(app: Flask, now: dt.datetime) -> str:
    return app_keys.create("Shop", KeyKind.SERVER, Actor("test"), now).key


def record(key: str, xwho: str, what: str = "$profile_set", /, **context: Any) -> dict[str, Any]:
    return {"appid": key, "xwho": xwho, "xwhat": what, "xwhen": 1795356372998, "xcontext": {"$lib": "x", **context}}


def alias(key: str, registered: str, anonymous: str) -> dict[str, Any]:
    return record(key, registered, "$alias", **{"$original_id": anonymous})


def held(xwho: str) -> dict[str, Any] | None:
    contact = current_session().query(Contact).filter_by(xwho=xwho).populate_existing().one_or_none()
    return None if contact is None else contact.properties


def phones(xwho: str) -> dict[str, Any]:
    numbers: dict[str, Any] = current_session().query(Contact).filter_by(xwho=xwho).populate_existing().one().phones
    return numbers


def reasons() -> list[str]:
    return [bad.reason for bad in contacts.bad_records()]


def test_operations_of_one_request_are_applied_in_order(key: str, now: dt.datetime) -> None:
    result = report(
        [
            record(key, "u1", **{"$phone": "138 0013 8000", "level": 1, "hobby": ["跑步"], "Nick": "小明"}),
            record(key, "u1", "$profile_increment", level=2),
            record(key, "u1", "$profile_append", hobby=["读书"]),
            record(key, "u1", "$profile_set_once", level=9, joined="2018-01-01 10:10:10"),
            record(key, "u1", "$profile_unset", nick=""),
        ],
        "",
        now,
    )
    assert (result.applied, result.refused) == (5, 0)
    assert held("u1") == {
        "$phone": "138 0013 8000",
        "level": 3,
        "hobby": ["跑步", "读书"],
        "joined": "2018-01-01T10:10:10",
    }
    assert phones("u1") == {"$phone": "+8613800138000"}
    assert property_types(current_session())["hobby"] is Type.LIST


def test_a_later_request_goes_on_where_the_first_ended(key: str, now: dt.datetime) -> None:
    report([record(key, "u1", points=1)], "", now)
    report([record(key, "u1", "$profile_increment", points=2)], "", now)
    assert held("u1") == {"points": 3}
    report([record(key, "u1", "$profile_delete")], "", now)
    assert held("u1") is None


def test_good_records_beside_bad_ones_are_kept(key: str, now: dt.datetime) -> None:
    result = report(
        [
            record(key, "u1", age=3),
            record(key, "u1", age="three"),
            record(key, "u2", **{"a b": 1}),
            7,
            record("", "u3"),
        ],
        "",
        now,
    )
    assert (result.applied, result.left_out, result.refused) == (3, 2, 2)
    assert held("u1") == {"age": 3}
    assert sorted(reasons()) == ["bad_name", "no_object", "type_conflict", "unknown_appkey"]
    conflict = next(bad for bad in contacts.bad_records() if bad.reason == "type_conflict")
    assert conflict.facts == {"name": "age", "value": "three", "expected": "number", "found": "string"}
    assert '"three"' in conflict.raw


def test_a_disabled_key_reports_nothing(key: str, now: dt.datetime) -> None:
    app_keys.switch(app_keys.key_of(key).id, False, Actor("test"), now)
    result = report([record(key, "u1", age=3)], "", now)
    assert result.counted == {"unknown_appkey": 1}
    assert held("u1") is None


def test_the_key_of_the_address_counts_for_records_without_one(key: str, now: dt.datetime) -> None:
    assert report([record("", "u1", age=3)], key, now).applied == 1


def test_a_record_that_is_only_checked_leaves_no_trace(key: str, now: dt.datetime) -> None:
    result = report([record(key, "u1", **{"$debug": 1, "age": 3}), record(key, "u1", "$startup")], "", now)
    assert (result.applied, result.ignored, result.refused) == (0, 1, 0)
    assert held("u1") is None
    assert "age" not in property_types(current_session())


def test_the_anonymous_profile_merges_into_the_registered_one(key: str, now: dt.datetime) -> None:
    report([record(key, "anon", city="北京", level=1), record(key, "reg", level=2)], "", now)
    anonymous = current_session().query(Contact.id).filter_by(xwho="anon").scalar()
    segment = builders.segment(kind="static")
    builders.kept(SegmentMember(segment_id=segment.id, contact_id=anonymous))
    report([alias(key, "reg", "anon")], "", now)
    assert held("anon") is None
    assert held("reg") == {"city": "北京", "level": 2}
    registered = current_session().query(Contact).filter_by(xwho="reg").one()
    assert [m.contact_id for m in current_session().query(SegmentMember).all()] == [registered.id]
    assert contacts.anonymous_ids(registered) == ["anon"]


def test_what_is_said_of_a_bound_anonymous_id_goes_to_the_registered_one(key: str, now: dt.datetime) -> None:
    report([record(key, "anon", a=1), alias(key, "reg", "anon"), record(key, "anon", b=2)], "", now)
    assert held("reg") == {"a": 1, "b": 2}
    report([record(key, "anon", c=3)], "", now)
    assert held("reg") == {"a": 1, "b": 2, "c": 3}
    assert held("anon") is None


def test_the_first_binding_wins_on_either_side(key: str, now: dt.datetime) -> None:
    report([alias(key, "xiaozhou", "X"), record(key, "Y", a=1)], "", now)
    report([alias(key, "dawang", "X"), alias(key, "xiaozhou", "Y"), record(key, "X", b=2)], "", now)
    assert held("xiaozhou") == {"b": 2}
    assert held("dawang") is None
    assert held("Y") == {"a": 1}


def test_an_id_is_not_its_own_alias(key: str, now: dt.datetime) -> None:
    report([record(key, "u1", a=1), alias(key, "u1", "u1")], "", now)
    assert held("u1") == {"a": 1}


def test_two_requests_about_one_person_lose_no_update(app: Flask, key: str, now: dt.datetime) -> None:
    def add() -> None:
        with app.app_context():
            for _ in range(10):
                report(
                    [record(key, "b", "$profile_increment", n=1), record(key, "a", "$profile_increment", n=1)], "", now
                )
            db.session.remove()

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert held("a") == held("b") == {"n": 40}


def test_most_refused_records_of_one_request_are_only_counted(key: str, now: dt.datetime) -> None:
    result = report([record(key, "")] * (profile_reading.MOST_KEPT + 5), "", now)
    assert result.refused == profile_reading.MOST_KEPT + 5
    newest = contacts.bad_records()[0]
    assert (newest.reason, newest.facts) == ("more", {"n": 5})


def test_of_what_anybody_may_send_only_the_number_is_kept_once_a_minute(
    key: str, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = report([record("stranger", "u", a=1)] * 1000 + [5] * 7, key, now)
    assert (result.refused, result.counted) == (1007, {"unknown_appkey": 1000, "no_object": 7})
    records = {(bad.reason, bad.facts["n"], bad.raw) for bad in contacts.bad_records()}
    assert records == {("unknown_appkey", 1000, ""), ("no_object", 7, "")}
    for _ in range(3):
        uploads.take(json.dumps([record("stranger", "u", a=1), 5]).encode(), key, now)
    assert applying.apply_waiting(now).refused == 0
    monkeypatch.setattr(uploads, "COUNTED_SECONDS", 0.0)
    uploads.take(json.dumps([record("stranger", "u", a=1), 5]).encode(), key, now)
    applying.apply_waiting(now)
    assert [bad.facts["n"] for bad in contacts.bad_records(reason="unknown_appkey")] == [4, 1000]


def test_nothing_to_keep_is_no_transaction(key: str, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    report([record("stranger", "u")], "", now)

    def touched(*_given: object) -> None:
        raise AssertionError

    monkeypatch.setattr(stored_uploads, "add", touched)
    monkeypatch.setattr(stored_keys, "key_rights", touched)
    sa.event.listen(db.engine, "before_cursor_execute", touched)
    try:
        for body in ([record("stranger", "u")], [record(key, "u", "$startup", a=1)], []):
            uploads.take(json.dumps(body).encode(), key, now)
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", touched)


def test_a_full_catalogue_takes_no_more_names_but_the_rest_of_the_record(
    key: str, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    report([record(key, "u1", a=1, b=2)], "", now)
    monkeypatch.setattr(property_catalogue, "MAX_CATALOGUE", 3)
    result = report([record(key, "u2", a=3, c=1, d=1), record(key, "u3", b=4)], "", now)
    assert (result.applied, result.refused, result.left_out) == (2, 0, 1)
    assert (held("u2"), held("u3")) == ({"a": 3, "c": 1}, {"b": 4})
    assert "d" not in property_types(current_session())
    [bad] = contacts.bad_records()
    assert (bad.reason, bad.facts["name"]) == ("too_many_names", "d")


def test_what_no_database_stores_is_shown_in_another_way(key: str, now: dt.datetime) -> None:
    report([record(key, "u\x00"), record(key, "u", a="\ud800", b=1), record("k\ud800", "u")], "", now)
    assert sorted(reasons()) == ["bad_text", "bad_text", "unknown_appkey"]
    assert held("u") == {"b": 1}


def test_refused_records_go_after_seven_days(key: str, now: dt.datetime) -> None:
    report([record(key, "", a=1)], "", now - dt.timedelta(days=8))
    report([record(key, "", a=2)], "", now - dt.timedelta(days=6))
    assert retention.purge(now)["bad_record"] == 1
    [left] = contacts.bad_records()
    assert '"a":2' in left.raw


def test_refused_records_are_filtered(key: str, now: dt.datetime) -> None:
    report([1, record("other", "x")], key, now)
    assert [bad.reason for bad in contacts.bad_records(reason="no_object")] == ["no_object"]
    assert contacts.bad_records(source="import:1") == []


def test_an_unreadable_phone_is_not_a_missing_one(key: str, now: dt.datetime) -> None:
    report([record(key, "u1", **{"$phone": "call me"}), record(key, "u2", **{"$phone": ""})], "", now)
    assert phones("u1") == {"$phone": ""}
    assert phones("u2") == {}


def test_every_phone_property_of_a_channel_is_read(key: str, now: dt.datetime) -> None:
    builders.channel(phone_property="mobile")
    report([record(key, "u1", mobile="13900139000", **{"$phone": "13800138000"})], "", now)
    assert phones("u1") == {"$phone": "+8613800138000", "mobile": "+8613900139000"}


def test_a_new_phone_property_is_read_from_all_contacts(
    key: str, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_properties, "REBUILD_CHUNK", 2)
    reported = [record(key, f"u{i}", mobile=f"1390013900{i}") for i in range(5)]
    report([*reported, record(key, "none", a=1)], "", now)
    builders.channel(phone_property="mobile")
    assert phone_properties.rebuild_phones("mobile") == 6
    assert phones("u4") == {"mobile": "+8613900139004"}
    assert phones("none") == {}
    report([record(key, "u4", "$profile_unset", mobile="")], "", now)
    phone_properties.rebuild_phones("mobile")
    assert phones("u4") == {}


def test_a_channel_asks_for_numbers_after_its_commit(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[tuple[object, ...]] = []
    monkeypatch.setattr(queue, "enqueue", lambda *args: rung.append(args))
    with writing() as session:
        phone_properties.note_phone_property(session, "mobile")
        assert rung == []
    assert rung == [("periodic", "rebuild_phones", "mobile")]


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("13900139000", ["u2"]),
        ("+86 139-0013-9000", ["u2"]),
        ("u", ["u2", "u1"]),
        ("u1", ["u1"]),
        ("小红", ["u2"]),
        ("9000", ["u2"]),
        ("nobody", []),
        ("100%", []),
        ("", ["u2", "u1"]),
    ],
)
def test_contacts_are_found_by_id_number_and_name(key: str, now: dt.datetime, search: str, found: list[str]) -> None:
    report([record(key, "u1", name="小明", **{"$phone": "13800138000"})], "", now)
    report([record(key, "u2", nickname="爱小红", **{"$phone": "13900139000"})], "", now)
    assert [row.xwho for row in contacts.listed(search).rows] == found


def test_the_list_goes_on_below_the_last_contact(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    builders.contacts(5)
    monkeypatch.setattr(contacts, "PAGE", 2)
    seen: list[int] = []
    before: int | None = None
    while True:
        page = contacts.listed(before=before)
        seen += [row.id for row in page.rows]
        before = page.next
        if before is None:
            break
    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    "search", ["13800", "138001", "38000", "0013", "u-138", "u-1380013", "王1380013", "1", "138-00"]
)
def test_who_may_not_see_numbers_cannot_find_them_out_by_searching(key: str, now: dt.datetime, search: str) -> None:
    report([record(key, "13800138000", name="王13800138000", **{"$phone": "13800138000"})], "", now)
    report([record(key, "u-13800138000", a=1)], "", now)
    seen = [row.xwho for row in contacts.listed(search).rows]
    assert seen == (["u-13800138000"] if search == "u-138" else [])
    assert contacts.listed(search, sees_full_numbers=True).rows or search in {"0013", "1", "38000", "138-00"}


@pytest.mark.parametrize("search", ["13800138000", "8000", "u-13800138000"])
def test_whole_numbers_last_four_digits_and_whole_ids_are_found_by_everybody(
    key: str, now: dt.datetime, search: str
) -> None:
    report([record(key, "u-13800138000", **{"$phone": "13800138000"})], "", now)
    assert [row.xwho for row in contacts.listed(search).rows] == ["u-13800138000"]
