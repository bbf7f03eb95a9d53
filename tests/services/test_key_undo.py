"""What a key did in its last hours is undone: everything it did, and nothing that others have done since."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from flask import Flask

from smsapp.domain.errors import Refusal
from smsapp.domain.key_undo import UndoState
from smsapp.domain.property_change import Winner
from smsapp.domain.trust import KeyKind, Rule
from smsapp.services.apps import app_keys, key_undo
from smsapp.services.contacts import properties
from smsapp.services.platform.audit_log import Actor
from smsapp.services.sending import opening
from smsapp.store.apps import key_undos
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.apps.key_undos import KeyUndo
from smsapp.store.contacts import contacts
from smsapp.store.contacts.aliases import Alias
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.proposals import Proposal
from smsapp.store.db import current_session, writing
from tests import builders
from tests.engine import confirmed
from tests.uploads import report

BY = Actor("test")
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def browser(app: Flask, now: dt.datetime) -> AppKey:
    return app_keys.create("商城网站", KeyKind.BROWSER, BY, now - 10 * HOUR)


@pytest.fixture
def server(app: Flask, now: dt.datetime) -> AppKey:
    return app_keys.create("会员系统", KeyKind.SERVER, BY, now - 10 * HOUR)


def record(key: AppKey, xwho: str, what: str = "$profile_set", /, **context: Any) -> dict[str, Any]:
    return {"appid": key.key, "xwho": xwho, "xwhat": what, "xcontext": {"$is_login": True, **context}}


def everything() -> dict[str, tuple[Any, Any, Any]]:
    """Everything that is known of contacts, by user id."""
    current_session().expire_all()
    return {row.xwho: (row.properties, row.phones, row.sources) for row in current_session().query(Contact)}


def counted(key: AppKey, since: dt.datetime, now: dt.datetime) -> KeyUndo:
    """Count what an undo would do, as a worker does."""
    undo = key_undo.count(key.id, since, BY, now)
    key_undo.run(undo.id, lambda: now)
    current_session().expire_all()
    assert undo.state == UndoState.READY
    return undo


def undone(key: AppKey, since: dt.datetime, now: dt.datetime, *, disable: bool = False) -> KeyUndo:
    """Count, carry out, and compare the two."""
    undo = counted(key, since, now)
    expected = undo.counts
    key_undo.carry_out(undo.id, undo.app_key_id, BY, now, disable=disable)
    key_undo.run(undo.id, lambda: now)
    current_session().expire_all()
    assert undo.state == UndoState.DONE
    names = ("values", "contacts", "restored", "written_to", "proposals")
    assert {name: undo.counts[name] for name in names} == {name: expected[name] for name in names}
    return undo


def test_what_a_public_key_added_is_gone_and_nothing_else(browser: AppKey, server: AppKey, now: dt.datetime) -> None:
    report([record(server, "QH1", **{"$name": "陈涛", "$phone": "13800138000"})], "", now - 5 * HOUR)
    report([record(browser, "QH1", city="杭州")], "", now - 4 * HOUR)
    before = everything()
    report(
        [
            record(browser, "QH1", level="gold", **{"$phone": "13900139000"}),
            record(browser, "bad1", **{"$phone": "13900139001"}),
            record(browser, "bad2", city="上海"),
        ],
        "",
        now - HOUR,
    )
    undo = undone(browser, now - 2 * HOUR, now)
    assert everything() == before
    assert (undo.counted.contacts, undo.counted.values, undo.proposals) == (2, 3, 1)
    assert current_session().query(Proposal).count() == 0


def test_what_a_server_key_replaced_unset_and_erased_is_back(server: AppKey, now: dt.datetime) -> None:
    report(
        [record(server, f"QH{n}", city="杭州", points=n, **{"$phone": f"1380013800{n}"}) for n in range(4)],
        "",
        now - 5 * HOUR,
    )
    before = everything()
    report([record(server, f"QH{n}", city="北京") for n in range(3)], "", now - 3 * HOUR)
    report([record(server, "QH0", city="上海", **{"$phone": "13900139000"})], "", now - 2 * HOUR)
    report([record(server, "QH1", "$profile_increment", points=5)], "", now - 2 * HOUR)
    report([record(server, "QH2", "$profile_unset", points="")], "", now - 2 * HOUR)
    report([record(server, "QH3", "$profile_delete"), record(server, "new", city="广州")], "", now - HOUR)
    undone(server, now - 4 * HOUR, now)
    assert everything() == before


def test_who_was_erased_and_reported_anew_is_as_before(server: AppKey, now: dt.datetime) -> None:
    report([record(server, "QH3", city="杭州", points=3)], "", now - 5 * HOUR)
    before = everything()
    report([record(server, "QH3", "$profile_delete"), record(server, "QH3", level="gold")], "", now - 2 * HOUR)
    report([record(server, "QH3", "$profile_delete")], "", now - HOUR)
    report([record(server, "QH3", city="北京")], "", now - HOUR)
    undo = counted(server, now - 4 * HOUR, now)
    key_undo.carry_out(undo.id, undo.app_key_id, BY, now, disable=False)
    key_undo.run(undo.id, lambda: now)
    assert everything() == before


def test_what_came_on_top_stays(browser: AppKey, server: AppKey, now: dt.datetime) -> None:
    report([record(server, "QH1", city="杭州", level="silver")], "", now - 5 * HOUR)
    app_keys.change(browser.id, browser.name, None, {"city": Rule.ACCEPT, "level": Rule.ACCEPT}, BY, now - 5 * HOUR)
    report([record(browser, "QH1", city="假", level="假")], "", now - 3 * HOUR)
    report([record(server, "QH1", city="深圳")], "", now - 2 * HOUR)
    undo = undone(browser, now - 4 * HOUR, now)
    [(values, _, _)] = everything().values()
    assert values == {"city": "深圳", "level": "silver"}
    assert (undo.counted.values, undo.counted.overtaken) == (1, 1)


def test_what_the_key_wrote_over_a_newer_value_of_another_goes_back_to_that(
    browser: AppKey, server: AppKey, now: dt.datetime
) -> None:
    app_keys.change(browser.id, browser.name, None, {"city": Rule.ACCEPT}, BY, now - 6 * HOUR)
    report([record(server, "QH1", city="杭州")], "", now - 5 * HOUR)
    report([record(browser, "QH1", city="假1")], "", now - 4 * HOUR)
    report([record(server, "QH1", city="深圳")], "", now - 3 * HOUR)
    before = everything()
    report([record(browser, "QH1", city="假2")], "", now - 2 * HOUR)
    report([record(browser, "QH1", city="假3")], "", now - 2 * HOUR)
    undone(browser, now - 4.5 * HOUR, now)
    assert everything() == before


def test_what_was_done_before_that_time_stays(browser: AppKey, now: dt.datetime) -> None:
    report([record(browser, "A", city="杭州")], "", now - 5 * HOUR)
    before = everything()
    report([record(browser, "B", city="杭州")], "", now - HOUR)
    undone(browser, now - 2 * HOUR, now)
    assert everything() == before


def test_a_contact_that_was_sent_something_stays_without_its_values(browser: AppKey, now: dt.datetime) -> None:
    report([record(browser, "A", **{"$phone": "13900139000"})], "", now - 2 * HOUR)
    _campaign, run_id = confirmed(now - HOUR)
    opening.open_run(run_id, now - HOUR)
    undo = undone(browser, now - 3 * HOUR, now)
    assert everything() == {"A": ({}, {}, {})}
    assert (undo.counted.contacts, undo.counted.written_to) == (0, 1)


def test_an_id_that_a_key_bound_is_free_again(browser: AppKey, now: dt.datetime) -> None:
    anonymous = record(browser, "anon", city="杭州")
    anonymous["xcontext"]["$is_login"] = False
    report([anonymous], "", now - 3 * HOUR)
    before = everything()
    report([record(browser, "QH1", "$alias", **{"$original_id": "anon"})], "", now - HOUR)
    assert current_session().query(Alias).count() == 1
    undo = counted(browser, now - 2 * HOUR, now)
    key_undo.carry_out(undo.id, undo.app_key_id, BY, now, disable=False)
    key_undo.run(undo.id, lambda: now)
    assert current_session().query(Alias).count() == 0
    assert everything()["anon"] == before["anon"]


def test_who_is_killed_leaves_nothing_half_done(
    browser: AppKey, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_undo, "SPAN", 3)
    report([record(browser, "old", city="杭州")], "", now - 5 * HOUR)
    before = everything()
    for n in range(20):
        report([record(browser, f"bad{n}", city="假")], "", now - HOUR)
    undo = counted(browser, now - 2 * HOUR, now)
    key_undo.carry_out(undo.id, undo.app_key_id, BY, now, disable=True)
    write = contacts.remove
    calls = []

    def killed(*args: Any) -> None:
        write(*args)
        calls.append(1)
        if len(calls) in {2, 4}:
            raise KeyboardInterrupt

    monkeypatch.setattr(contacts, "remove", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            key_undo.run(undo.id, lambda: now)
    assert key_undo.resume() == 1
    key_undo.run(undo.id, lambda: now)
    assert everything() == before
    current_session().expire_all()
    assert (undo.counted.contacts, app_keys.key(browser.id).active) == (20, False)
    assert key_undo.resume() == 0


def test_what_was_being_applied_when_it_began_is_undone_too(
    server: AppKey, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    report([record(server, "A", city="杭州")], "", now - 5 * HOUR)
    before = everything()
    report([record(server, "A", city="假1")], "", now - HOUR)
    undo = counted(server, now - 2 * HOUR, now)
    key_undo.carry_out(undo.id, undo.app_key_id, BY, now, disable=True)
    with writing() as session:
        claimed = key_undos.claim(session, undo.id)
        assert claimed is not None
        key_undo._Slice(session, claimed, now).take()
    report([record(server, "A", city="假2")], "", now - dt.timedelta(seconds=1))
    key_undo.run(undo.id, lambda: now)
    assert everything() == before


def test_it_goes_back_no_further_than_what_is_kept(browser: AppKey, now: dt.datetime) -> None:
    with pytest.raises(Refusal) as refusal:
        key_undo.count(browser.id, now - 11 * HOUR, BY, now)
    assert refusal.value.problems[0].code == "undo_too_early"
    with pytest.raises(Refusal):
        key_undo.count(browser.id, now + HOUR, BY, now)


def test_a_value_of_a_property_that_was_merged_goes_back_under_its_present_name(
    server: AppKey, now: dt.datetime
) -> None:
    report([record(server, "A", town="杭州")], "", now - 5 * HOUR)
    report([record(server, "A", town="假")], "", now - HOUR)
    builders.known_property("city")
    change_id = properties.merge("town", "city", Winner.SOURCE, BY, now)
    properties.run(change_id, lambda: now)
    undone(server, now - 2 * HOUR, now)
    [(values, _, _)] = everything().values()
    assert values == {"city": "杭州"}
