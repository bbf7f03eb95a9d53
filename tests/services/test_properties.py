"""The catalogue of properties, and changes of a property of all contacts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from flask import Flask

from smsapp.domain.contact import Type
from smsapp.domain.errors import NotFound, Refusal
from smsapp.domain.property_change import Winner
from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys
from smsapp.services.contacts import properties
from smsapp.services.platform.audit_log import Actor
from smsapp.store.campaigns.campaigns import Campaign
from smsapp.store.channels.channels import ChannelRow
from smsapp.store.contacts import property_catalogue, property_changes
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.property_changes import PropertyChange
from smsapp.store.contacts.segments import Segment
from smsapp.store.db import current_session
from tests import builders
from tests.uploads import report

BY = Actor("test")


@pytest.fixture
def clock(now: dt.datetime) -> Callable[[], dt.datetime]:
    return lambda: now


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(properties, "CHUNK", 2)


def held(xwho: str) -> dict[str, object]:
    current_session().expire_all()
    return current_session().query(Contact).filter_by(xwho=xwho).one().properties


def work(clock: Callable[[], dt.datetime]) -> None:
    """Do whatever is still to be done, as the periodic tasks would."""
    while unfinished := [change.id for change in property_changes.open_changes(current_session())]:
        for change_id in unfinished:
            properties.run(change_id, clock)
    current_session().expire_all()


def test_the_list_tells_who_has_what_and_which_mean_the_same(app: Flask) -> None:
    builders.known_property("$name", label="姓名")
    builders.known_property("name", label="姓 名")
    builders.known_property("city")
    builders.contact("a", properties={"$name": "陈涛", "city": ""})
    builders.contact("b", properties={"$name": "李娜", "name": "娜"})
    builders.segment(rule={"property": "city", "type": "string", "operator": "has_value", "params": []})
    catalogue = properties.catalogue()
    assert (catalogue.looked, catalogue.whole) == (2, True)
    lines = {line.name: (line.held, line.doubles, line.used) for line in catalogue.lines}
    assert lines == {"$name": (2, ("name",), 0), "name": (1, ("$name",), 0), "city": (0, (), 1)}


def test_a_label_is_given_once(app: Flask, now: dt.datetime) -> None:
    builders.known_property("a", label="城市")
    builders.known_property("b")
    with pytest.raises(Refusal, match="property_label_taken"):
        properties.rename("b", " 城　市 ", BY, now)
    properties.rename("b", "门店", BY, now)
    assert properties.get("b").label == "门店"


def test_a_property_gets_another_type_and_what_does_not_convert_is_kept(
    app: Flask, now: dt.datetime, clock: Callable[[], dt.datetime]
) -> None:
    # given (security 1e) a date that somebody squatted as text
    builders.known_property("birthday", "string", label="生日")
    for n, value in enumerate(("2000-01-02", "2001/3/4", "昨天", "1999年12月31日")):
        builders.contact(f"u{n}", properties={"birthday": value, "city": "北京"})
    builders.contact("none", properties={})
    # when it is looked at and done
    seen = properties.preview_retype("birthday", Type.DATETIME)
    assert (seen.held, seen.fit, seen.examples) == (4, 3, [("昨天", "")])
    properties.retype("birthday", Type.DATETIME, BY, now)
    work(clock)
    # then
    assert [held(f"u{n}").get("birthday") for n in range(4)] == [
        "2000-01-02T00:00:00",
        "2001-03-04T00:00:00",
        None,
        "1999-12-31T00:00:00",
    ]
    assert held("u2") == {"birthday_old": "昨天", "city": "北京"}
    assert property_catalogue.property_types(current_session())["birthday"] is Type.DATETIME


def test_two_properties_become_one_and_everything_follows(
    app: Flask, now: dt.datetime, clock: Callable[[], dt.datetime]
) -> None:
    # given a colleague's `mobile` beside `tel`, which a channel, a segment and a campaign name
    builders.known_property("mobile", label="手机")
    builders.known_property("tel", label="电话")
    channel = builders.channel(phone_property="mobile")
    rule = {
        "match": "all",
        "children": [{"property": "mobile", "type": "string", "operator": "has_value", "params": []}],
    }
    segment = builders.segment(rule=rule)
    campaign = builders.campaign(mapping={"tel": {"property": "mobile", "fallback": None}, "a": {"fixed": "b"}})
    builders.contact("only", properties={"mobile": "13800000001"}).phones = {"mobile": "+8613800000001"}
    builders.contact("both", properties={"mobile": "13800000002", "tel": "13800000003"})
    builders.contact("same", properties={"mobile": "13800000004", "tel": "13800000004"})
    builders.contact("other", properties={"tel": "13800000005"})
    # when
    seen = properties.preview_merge("mobile", "tel")
    assert (seen.held, seen.fit, seen.conflicts) == (3, 2, 1)
    assert seen.examples == [("13800000002", "13800000003")]
    properties.merge("mobile", "tel", Winner.TARGET, BY, now)
    work(clock)
    # then
    assert [held(who) for who in ("only", "both", "same", "other")] == [
        {"tel": "13800000001"},
        {"tel": "13800000003"},
        {"tel": "13800000004"},
        {"tel": "13800000005"},
    ]
    assert current_session().query(Contact).filter_by(xwho="only").one().phones == {"tel": "+8613800000001"}
    assert current_session().get_one(ChannelRow, channel.id).phone_property == "tel"
    assert current_session().get_one(Segment, segment.id).rule["children"][0]["property"] == "tel"
    assert current_session().get_one(Campaign, campaign.id).mapping["tel"] == {"property": "tel", "fallback": None}
    assert "mobile" not in {row.name for row in property_catalogue.properties(current_session())}


def test_what_is_reported_under_the_old_name_goes_to_the_one_that_stays(
    app: Flask, now: dt.datetime, clock: Callable[[], dt.datetime]
) -> None:
    builders.known_property("nick", label="昵称")
    builders.known_property("nickname")
    properties.merge("nick", "nickname", Winner.SOURCE, BY, now)
    work(clock)
    key = app_keys.create("server", KeyKind.SERVER, BY, now).key
    record = {"appid": key, "xwho": "u1", "xwhat": "$profile_set", "xcontext": {"nick": "小明"}}
    report([record], "", now)
    assert held("u1") == {"nickname": "小明"}


def test_a_new_name_that_means_a_known_property_is_laid_to_it(app: Flask, now: dt.datetime) -> None:
    builders.known_property("$name", label="姓名")
    key = app_keys.create("server", KeyKind.SERVER, BY, now).key
    context = {"name": "陈涛", "mobile": "13800000001"}
    report([{"appid": key, "xwho": "u1", "xwhat": "$profile_set", "xcontext": context}], "", now)
    # then the name is, and what may be another number is not
    assert held("u1") == {"$name": "陈涛", "mobile": "13800000001"}


def test_a_property_that_something_names_is_not_removed(
    app: Flask, now: dt.datetime, clock: Callable[[], dt.datetime]
) -> None:
    builders.known_property("city")
    builders.contact("u1", properties={"city": "北京", "a": "b"})
    campaign = builders.campaign(mapping={"city": {"property": "city", "fallback": None}})
    with pytest.raises(Refusal, match="property_used"):
        properties.remove("city", BY, now)
    assert [(use.noun, use.id) for use in properties.uses("city")] == [("campaign", campaign.id)]
    campaign.mapping = {}
    current_session().commit()
    properties.remove("city", BY, now)
    work(clock)
    assert held("u1") == {"a": "b"}
    with pytest.raises(NotFound):
        properties.get("city")


def test_a_job_that_was_cut_off_goes_on_where_it_was(
    app: Flask, now: dt.datetime, clock: Callable[[], dt.datetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.known_property("points", "string")
    for n in range(5):
        builders.contact(f"u{n}", properties={"points": f"{n}.50"})
    change_id = properties.retype("points", Type.NUMBER, BY, now)
    calls = iter([now, now])
    with pytest.raises((StopIteration, RuntimeError)):
        properties.run(change_id, lambda: next(calls))
    current_session().rollback()
    assert current_session().get_one(PropertyChange, change_id).position > 0
    assert properties.sweep() == 1
    work(clock)
    assert [held(f"u{n}")["points"] for n in range(5)] == [0.5, 1.5, 2.5, 3.5, 4.5]


def test_two_changes_of_one_property_do_not_meet(app: Flask, now: dt.datetime) -> None:
    builders.known_property("points", "string")
    properties.retype("points", Type.NUMBER, BY, now)
    with pytest.raises(Refusal, match="property_busy"):
        properties.remove("points", BY, now)
