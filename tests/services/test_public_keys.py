"""What a stranger can do with a public AppKey, which stands in the source of a page: nothing to what is there.

The first tests replay what an attacker did to an earlier version: phishing names, other people's numbers, erased and
taken-over contacts, a catalogue that is full or squatted.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from flask import Flask

from smsapp.domain import trust
from smsapp.domain.trust import KeyKind, Rule
from smsapp.services.apps import app_keys
from smsapp.services.contacts import contacts, proposals
from smsapp.services.contacts.proposals import Chosen
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts.aliases import Alias
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_catalogue import Property
from smsapp.store.contacts.proposals import Proposal
from smsapp.store.db import current_session
from tests import builders
from tests.uploads import report

BY = Actor("test")
SERVER_SOURCE = "s:99:1764460800"


@pytest.fixture
def browser(app: Flask, now: dt.datetime) -> AppKey:
    return app_keys.create("商城网站", KeyKind.BROWSER, BY, now)


@pytest.fixture
def server(app: Flask, now: dt.datetime) -> AppKey:
    return app_keys.create("会员系统", KeyKind.SERVER, BY, now)


def record(key: AppKey, xwho: str, what: str = "$profile_set", /, **context: Any) -> dict[str, Any]:
    return {"appid": key.key, "xwho": xwho, "xwhat": what, "xcontext": {"$is_login": True, **context}}


def contact(xwho: str) -> Contact | None:
    current_session().expire_all()
    return current_session().query(Contact).filter_by(xwho=xwho).one_or_none()


def held(xwho: str) -> dict[str, Any] | None:
    row = contact(xwho)
    return None if row is None else row.properties


def member(xwho: str = "QH000005", **properties: Any) -> Contact:
    """A contact whom the organisation's server has reported."""
    given = {"$name": "陈涛", "$phone": "13800138000"} | properties
    return builders.contact(
        xwho, properties=given, phones={"$phone": "+8613800138000"}, sources=dict.fromkeys(given, SERVER_SOURCE)
    )


def reasons() -> list[str]:
    return [bad.reason for bad in contacts.bad_records()]


def waiting() -> list[tuple[str, Any]]:
    return [(row.proposal.name, row.proposal.new) for row in proposals.page(Chosen()).rows]


def source_of(key: AppKey, now: dt.datetime) -> str:
    return trust.of_key(KeyKind(key.kind), key.id, now).as_text()


@pytest.mark.parametrize("kind", [KeyKind.APP, KeyKind.BROWSER])
def test_a_name_that_is_set_is_not_overwritten_with_phishing(app: Flask, now: dt.datetime, kind: KeyKind) -> None:
    key = app_keys.create("public", kind, BY, now)
    member()
    phishing = "，账户异常请立即登录 http://bad.example/x 验证"
    report([record(key, "QH000005", **{"$name": phishing})], "", now)
    assert held("QH000005") == {"$name": "陈涛", "$phone": "13800138000"}
    assert waiting() == [("$name", phishing)]


def test_a_number_that_is_set_is_not_redirected(browser: AppKey, now: dt.datetime) -> None:
    member()
    report([record(browser, "QH000005", **{"$phone": "13900139000"})], "", now)
    row = contact("QH000005")
    assert row is not None
    assert row.phones == {"$phone": "+8613800138000"}
    assert row.sources["$phone"] == SERVER_SOURCE
    assert waiting() == [("$phone", "13900139000")]


@pytest.mark.parametrize(
    ("what", "asked"),
    [
        ("$profile_delete", {}),
        ("$profile_unset", {"$phone": "", "$name": ""}),
        ("$profile_set", {"$phone": "", "$name": ""}),
        ("$profile_increment", {"points": 1_000_000}),
        ("$profile_append", {"tags": ["bad"]}),
    ],
)
def test_nothing_is_erased_counted_up_or_appended_to(
    browser: AppKey, now: dt.datetime, what: str, asked: dict[str, Any]
) -> None:
    builders.known_property("points", "number")
    builders.known_property("tags", "list")
    before = dict(member(points=5, tags=["gold"]).properties)
    report([record(browser, "QH000005", what, **asked)], "", now)
    assert held("QH000005") == before


def test_what_is_refused_is_told(browser: AppKey, now: dt.datetime) -> None:
    member()
    report([record(browser, "QH000005", "$profile_delete")], "", now)
    [bad] = contacts.bad_records()
    assert (bad.reason, bad.facts["name"]) == ("public_key", "$profile_delete")


@pytest.mark.parametrize("together", [True, False])
def test_a_registered_contact_is_not_taken_over_by_alias(browser: AppKey, now: dt.datetime, together: bool) -> None:
    member("QH000003")
    member("QH000004")
    attack = [
        record(browser, "QH000004", "$alias", **{"$original_id": "QH000003"}),
        record(browser, "QH000003", city="广州"),
    ]
    for records in [attack] if together else [[item] for item in attack]:
        report(records, "", now)
    assert held("QH000003") == {"$name": "陈涛", "$phone": "13800138000", "city": "广州"}
    assert held("QH000004") == {"$name": "陈涛", "$phone": "13800138000"}
    assert current_session().query(Alias).count() == 0
    assert reasons() == ["public_key"]


def test_a_contact_that_a_public_key_has_registered_is_not_taken_over_either(browser: AppKey, now: dt.datetime) -> None:
    report([record(browser, "u1", city="广州")], "", now)
    report([record(browser, "evil", "$alias", **{"$original_id": "u1"})], "", now)
    assert held("u1") == {"city": "广州"}
    assert current_session().query(Alias).count() == 0


@pytest.mark.parametrize("together", [True, False])
def test_the_id_of_the_next_customer_cannot_be_bound_in_advance(
    browser: AppKey, server: AppKey, now: dt.datetime, together: bool
) -> None:
    # given a stranger who binds an id that nobody has yet
    report([record(browser, "evil", city="广州")], "", now)
    attack = record(browser, "evil", "$alias", **{"$original_id": "QH009999"})
    customer = record(server, "QH009999", **{"$phone": "13800138000"})
    # when the customer with this id comes
    for records in [[attack, customer]] if together else [[attack], [customer]]:
        report(records, "", now)
    # then it is a contact of its own
    assert held("QH009999") == {"$phone": "13800138000"}
    assert held("evil") == {"city": "广州"}


def test_the_catalogue_is_not_filled_by_strangers(browser: AppKey, server: AppKey, now: dt.datetime) -> None:
    report([record(browser, f"u{i}", **{f"squat_{i}_{n}": 1 for n in range(250)}) for i in range(4)], "", now)
    assert current_session().query(Property).count() == trust.MOST_NEW_NAMES
    assert set(reasons()) == {"names_of_key"}
    report([record(server, "u1", level=3)], "", now)
    assert held("u1") is not None
    assert (held("u1") or {})["level"] == 3
    # names that a person takes over make room
    app_keys.take_over(browser.id, BY, now)
    report([record(browser, "u9", one_more=1)], "", now)
    assert held("u9") == {"one_more": 1}


def test_many_public_keys_leave_room_for_the_organisation(
    browser: AppKey, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust, "MOST_PUBLIC_NAMES", 3)
    other = app_keys.create("other", KeyKind.APP, BY, now)
    report([record(browser, "u1", a1=1, a2=1), record(other, "u2", b1=1, b2=1)], "", now)
    assert current_session().query(Property).count() == 3


@pytest.mark.parametrize("together", [True, False])
def test_a_squatted_type_gives_way_to_the_first_server_that_reports_it(
    browser: AppKey, server: AppKey, now: dt.datetime, together: bool
) -> None:
    squat, real = record(browser, "evil", birthday2=5, city="广州"), record(server, "u1", birthday2="1990-05-01")
    for records in [[squat, real]] if together else [[squat], [real]]:
        report(records, "", now)
    assert held("u1") == {"birthday2": "1990-05-01T00:00:00"}
    assert held("evil") == {"city": "广州"}
    kinds = current_session().query(Property.name, Property.type, Property.app_key_id)
    assert {row.name: (row.type, row.app_key_id) for row in kinds} == {
        "birthday2": ("datetime", None),
        "city": ("string", browser.id),
    }
    # and later strangers are the ones who are told
    report([record(browser, "evil", birthday2=6)], "", now)
    assert held("evil") == {"city": "广州"}


# What the manual promises goes on working


def test_a_public_key_makes_a_contact_and_adds_the_phone(browser: AppKey, now: dt.datetime) -> None:
    report([record(browser, "u1", **{"$phone": "138 0013 8000", "nickname": "小明"})], "", now)
    row = contact("u1")
    assert row is not None
    assert row.phones == {"$phone": "+8613800138000"}
    assert row.sources == dict.fromkeys(("$phone", "nickname"), source_of(browser, now))


@pytest.mark.parametrize("empty", [None, ""])
def test_a_public_key_adds_a_phone_to_a_contact_that_has_none(
    browser: AppKey, now: dt.datetime, empty: str | None
) -> None:
    given = {"$name": "陈涛"} | ({"$phone": empty} if empty is not None else {})
    builders.contact("u1", properties=given, sources={"$name": SERVER_SOURCE})
    report([record(browser, "u1", **{"$phone": "13800138000", "$name": "陈涛"})], "", now)
    row = contact("u1")
    assert row is not None
    assert row.phones == {"$phone": "+8613800138000"}
    assert row.sources == {"$name": SERVER_SOURCE, "$phone": source_of(browser, now)}
    assert waiting() == []
    assert reasons() == []


def test_who_signs_in_after_looking_around_is_joined(browser: AppKey, now: dt.datetime) -> None:
    # given a visitor of whom the page has said something, and a customer of whom the server has
    member("u1")
    report([record(browser, "JS-1", city="广州", **{"$is_login": False, "$name": "访客"})], "", now)
    # when the visitor signs in
    report([record(browser, "u1", "$alias", **{"$original_id": "JS-1"})], "", now)
    # then there is one contact: what the server said stays, what was missing is there with its source
    assert held("JS-1") is None
    row = contact("u1")
    assert row is not None
    assert row.properties == {"$name": "陈涛", "$phone": "13800138000", "city": "广州"}
    assert row.sources["city"] == source_of(browser, now)
    # and what is reported of the visitor later goes there as well
    report([record(browser, "JS-1", color="红", **{"$is_login": False})], "", now)
    assert (held("u1") or {})["color"] == "红"


def test_a_server_key_goes_on_doing_everything(server: AppKey, now: dt.datetime) -> None:
    member("u1")
    member("u2")
    report([record(server, "u1", **{"$phone": "13900139000"})], "", now)
    report([record(server, "u1", "$alias", **{"$original_id": "u2"})], "", now)
    row = contact("u1")
    assert row is not None
    assert row.phones == {"$phone": "+8613900139000"}
    assert row.sources["$phone"] == source_of(server, now)
    assert held("u2") is None
    report([record(server, "u1", "$profile_delete")], "", now)
    assert held("u1") is None


def test_a_number_is_trusted_once_a_server_says_the_same(browser: AppKey, server: AppKey, now: dt.datetime) -> None:
    report([record(browser, "u1", **{"$phone": "13800138000"})], "", now)
    report([record(server, "u1", "$profile_set_once", **{"$phone": "13900139000"})], "", now)
    row = contact("u1")
    assert row is not None
    assert row.sources == {"$phone": source_of(browser, now)}, "set_once has not written it"
    report([record(server, "u1", **{"$phone": "13800138000"})], "", now)
    row = contact("u1")
    assert row is not None
    assert row.sources == {"$phone": source_of(server, now)}


# Rules and rights of a key


def test_rules_accept_and_drop_without_a_person(browser: AppKey, now: dt.datetime) -> None:
    member("u1", city="广州", note="a", level=1)
    app_keys.change(browser.id, "商城网站", None, {"city": Rule.ACCEPT, "note": Rule.DROP}, BY, now)
    report([record(browser, "u1", city="北京", note="b", **{"$name": "x"})], "", now)
    assert held("u1") == {"$name": "陈涛", "$phone": "13800138000", "city": "北京", "note": "a", "level": 1}
    assert waiting() == [("$name", "x")]


def test_a_key_writes_only_the_properties_of_its_list(app: Flask, now: dt.datetime) -> None:
    key = app_keys.create("newsletter", KeyKind.SERVER, BY, now, ["city"])
    report([record(key, "u1", city="广州", level=3)], "", now)
    assert held("u1") == {"city": "广州"}
    assert reasons() == ["not_writable"]
    report([record(key, "u1", "$profile_delete")], "", now)
    assert held("u1") == {"city": "广州"}
    assert current_session().query(Property.name).filter_by(name="level").count() == 0


def test_proposals_beyond_the_limit_of_a_key_are_told(
    browser: AppKey, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smsapp.store.contacts.proposals.MOST_PROPOSALS", 1)
    member("u1")
    member("u2")
    report([record(browser, f"u{n}", **{"$name": "x"}) for n in (1, 2)], "", now)
    assert current_session().query(Proposal).count() == 1
    assert reasons() == ["proposals_full"]
