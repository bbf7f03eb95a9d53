"""The usual records of uploads are written by column, and nobody can tell: the long way writes the same."""

from __future__ import annotations

import datetime as dt
import gc
import json
import random
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys, plain_sets
from smsapp.services.apps.plain_sets import PlainSets
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps.app_keys import AppKey, BadRecord
from smsapp.store.contacts.aliases import Alias
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_catalogue import Property
from smsapp.store.db import current_session
from tests import builders
from tests.uploads import report

BY = Actor("test")
USUAL: dict[str, list[Any]] = {
    "$phone": ["13800138000", "13900139001", "12345", "", "+44 7400 123456"],
    "nickname": ["陈涛", "a\nb", "", "x" * 8193],
    "Points": [0, 7, 8.5, 1.0005, -3, 9e14],
    "vip": [True, False],
    "joined": ["2024-01-02", "2024-01-02 03:04:05"],
}
ODD: dict[str, list[Any]] = {
    "$phone": [13800138000, None],
    "nickname": [5, None, "a\x00b", "x" * 8194, "\u200b陈", "\ud800"],
    "points": ["5", True, 1e15, None],
    "vip": [1, "true"],
    "joined": ["2024-13-01", "soon"],
    "hobby": [["跑步"]],
    "姓名": ["陈涛"],
    "new": ["brought now", 4],
    "seen": ["by a public key only"],
}


def made_up(chance: random.Random, keys_: list[str]) -> dict[str, Any]:
    """A record of one of a few people: mostly usual, at times with something odd in it."""
    context: dict[str, Any] = {"$lib": "Java", "$is_login": True, "$debug": 0}
    for name in chance.sample(sorted(USUAL), chance.randint(1, 4)):
        context[name] = chance.choice(USUAL[name])
    if chance.random() < 0.15:
        name = chance.choice(sorted(ODD))
        context[name] = chance.choice(ODD[name])
    if chance.random() < 0.1:
        context |= chance.choice([{"$debug": 1}, {"$debug": "1"}, {"$debug": [1]}, {"$is_login": False}])
    what: object = "$profile_set"
    if chance.random() < 0.1:
        what = chance.choice(["$profile_set_once", "$profile_unset", "$profile_delete", "$pageview", 7])
    record: dict[str, object] = {"appid": chance.choice(keys_), "xwho": f"member{chance.randint(1, 60)}", "xwhat": what}
    if chance.random() < 0.05:
        record["xwho"] = chance.choice([" member7 ", 7, 10**20 + 7, "", None, "会员7", "\u200bmember7"])
    if chance.random() < 0.8:
        record["xwhen"] = (
            chance.choice([1795356372998, 1795356372999, 1795356372998, -1]) if chance.random() < 0.2 else 1
        )
    return record | {"xcontext": context}


def what_is_there() -> dict[str, list[Any]]:
    current_session().expire_all()
    columns = {
        "contacts": (Contact.xwho, Contact.properties, Contact.phones, Contact.sources, Contact.anonymous),
        "bad": (BadRecord.reason, BadRecord.facts, BadRecord.raw),
        "properties": (Property.name, Property.type, Property.app_key_id),
    }
    return {
        name: sorted(json.dumps(list(row), sort_keys=True) for row in current_session().execute(sa.select(*wanted)))
        for name, wanted in columns.items()
    }


def begin_again() -> None:
    for table in (BadRecord, Contact, Alias, Property):
        current_session().execute(sa.delete(table))
    current_session().commit()
    builders.known_property("nickname", "string")
    builders.known_property("points", "number")
    builders.known_property("vip", "bool")
    builders.known_property("joined", "datetime")
    builders.known_property("姓名", "string")
    builders.known_property("seen", "string")


@pytest.mark.parametrize("seed", range(6))
def test_usual_records_beside_odd_ones_are_written_as_the_long_way_writes_them(
    seed: int, app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    kinds = [KeyKind.SERVER, KeyKind.SERVER, KeyKind.APP]
    named = [app_keys.create(f"key {n}", kind, BY, now).key for n, kind in enumerate(kinds)]
    restricted = app_keys.create("narrow", KeyKind.SERVER, BY, now)
    current_session().get_one(AppKey, restricted.id).properties = ["points"]
    current_session().commit()
    named.append(restricted.key)
    uploads = [[made_up(chance, named[: chance.randint(1, 4)]) for _ in range(60)] for _ in range(4)]

    def written() -> tuple[dict[str, list[Any]], list[Any]]:
        begin_again()
        public = current_session().scalar(sa.select(AppKey.id).where(AppKey.kind == KeyKind.APP))
        current_session().execute(sa.update(Property).where(Property.name == "seen").values(app_key_id=public))
        current_session().commit()
        reports = [report(records, named[0], now + dt.timedelta(minutes=n)) for n, records in enumerate(uploads)]
        return what_is_there(), reports

    ours = written()
    monkeypatch.setattr(plain_sets, "divided", lambda records, *_: (PlainSets(), records))
    assert ours == written()


def test_usual_records_of_hundreds_take_the_short_way(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_again()
    key = app_keys.create("Shop", KeyKind.SERVER, BY, now).key
    monkeypatch.setattr("smsapp.services.apps.profiles._apply", None)
    records = [
        {"appid": key, "xwho": f"u{n}", "xwhat": "$profile_set", "xcontext": {"$phone": "13800138000", "points": n}}
        for n in range(300)
    ]
    assert report(records, key, now).applied == 300
    assert report(records, key, now).applied == 300
    assert current_session().scalar(sa.select(sa.func.count(Contact.id))) == 300


def test_a_record_about_an_id_that_is_bound_to_another_goes_there(app: Flask, now: dt.datetime) -> None:
    begin_again()
    key = app_keys.create("Shop", KeyKind.SERVER, BY, now).key
    alias = {"appid": key, "xwho": "u1", "xwhat": "$alias", "xcontext": {"$original_id": "device1"}}
    report([alias], key, now)
    report([{"appid": key, "xwho": "device1", "xwhat": "$profile_set", "xcontext": {"points": 3}}], key, now)
    assert [(row.xwho, row.properties) for row in current_session().query(Contact)] == [("u1", {"points": 3})]


def test_beyond_the_quota_of_new_contacts_known_people_are_still_written(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_again()
    key = app_keys.create("Shop", KeyKind.SERVER, BY, now).key

    def records(count: int) -> list[dict[str, Any]]:
        frame = {"appid": key, "xwhat": "$profile_set", "xcontext": {"points": count}}
        return [frame | {"xwho": f"u{n}"} for n in range(count)]

    report(records(2), key, now)
    monkeypatch.setattr("smsapp.services.apps.quotas.room_for_contacts", lambda kinds, _now: dict.fromkeys(kinds, 1))
    result = report(records(4), key, now)
    assert (result.applied, result.refused) == (3, 1)
    assert {row.xwho: row.properties["points"] for row in current_session().query(Contact)} == {
        "u0": 4,
        "u1": 4,
        "u2": 4,
    }


def test_no_collection_of_garbage_interrupts_and_it_goes_on_afterwards(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_again()
    key = app_keys.create("Shop", KeyKind.SERVER, BY, now).key
    seen: list[bool] = []
    inner = plain_sets.divided

    def divided(*given: Any) -> Any:
        seen.append(gc.isenabled())
        return inner(*given)

    monkeypatch.setattr(plain_sets, "divided", divided)
    report([{"appid": key, "xwho": "u1", "xwhat": "$profile_set", "xcontext": {"points": 3}}], key, now)
    assert seen == [False]
    assert gc.isenabled()


def test_records_of_several_shapes_and_keys_are_read_by_column(
    app: Flask, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_again()
    one, other = (app_keys.create(name, KeyKind.SERVER, BY, now).key for name in ("Shop", "Till"))
    monkeypatch.setattr("smsapp.services.apps.profiles._apply", None)
    records = [
        {"appid": one, "xwho": "u1", "xwhat": "$profile_set", "xcontext": {"points": 1, "vip": True}},
        {"appid": other, "xwho": "u2", "xwhat": "$profile_set", "xcontext": {"points": 2}},
        {"appid": one, "xwho": "u1", "xwhat": "$profile_set", "xcontext": {"points": 3, "nickname": "陈"}},
    ]
    for _ in range(2):
        assert report(records, one, now).applied == 3
        current_session().expire_all()
        held = {row.xwho: row.properties for row in current_session().query(Contact)}
        assert held == {"u1": {"points": 3, "vip": True, "nickname": "陈"}, "u2": {"points": 2}}
    # A value that is written with what it was keeps its source.
    sources = {row.xwho: dict(row.sources) for row in current_session().query(Contact)}
    report([records[0] | {"appid": other}], other, now + dt.timedelta(minutes=1))
    current_session().expire_all()
    after = {row.xwho: row.sources for row in current_session().query(Contact)}
    assert after["u1"]["vip"] == sources["u1"]["vip"]
    assert after["u1"]["points"] != sources["u1"]["points"]
    assert after["u2"] == sources["u2"]
