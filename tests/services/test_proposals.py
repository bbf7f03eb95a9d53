"""What public keys propose for values that are set, and what people do about it."""

from __future__ import annotations

import datetime as dt

import pytest
from flask import Flask

from smsapp.domain.trust import KeyKind
from smsapp.services.apps import app_keys
from smsapp.services.contacts import proposals
from smsapp.services.contacts.proposals import Chosen
from smsapp.services.platform.audit_log import Actor
from smsapp.store.apps.app_keys import AppKey
from smsapp.store.contacts import proposals as rows
from smsapp.store.contacts.contacts import Contact
from smsapp.store.contacts.proposals import NewProposal, Proposal
from smsapp.store.db import current_session, writing
from smsapp.store.users import AuditEntry
from tests import builders

BY = Actor("test", None)


@pytest.fixture
def key(app: Flask, now: dt.datetime) -> AppKey:
    builders.known_property("city")
    return app_keys.create("商城网站", KeyKind.BROWSER, BY, now)


def propose(key: AppKey, xwho: str, name: str, old: object, new: object, now: dt.datetime) -> list[NewProposal]:
    with writing() as session:
        return rows.add(session, [NewProposal(xwho, key.id, name, old, new)], now)


def waiting() -> list[tuple[str, object, object]]:
    current_session().expire_all()
    return [(row.name, row.old, row.new) for row in current_session().query(Proposal).order_by(Proposal.id)]


def contact(xwho: str) -> Contact:
    current_session().expire_all()
    return current_session().query(Contact).filter_by(xwho=xwho).one()


def test_an_accepted_change_is_written_as_a_persons_and_the_number_is_read(key: AppKey, now: dt.datetime) -> None:
    builders.contact("u1", "+8613800138000", properties={"city": "广州"}, sources={"$phone": "s:9:0", "city": "s:9:0"})
    propose(key, "u1", "$phone", "+8613800138000", "13900139000", now)
    [listed] = proposals.page(Chosen()).rows
    decided = proposals.accept([listed.proposal.id], BY, now)
    assert (decided.accepted, decided.overtaken, decided.dropped) == (1, 0, 0)
    assert contact("u1").properties == {"$phone": "13900139000", "city": "广州"}
    assert contact("u1").phones == {"$phone": "+8613900139000"}
    assert contact("u1").sources == {"$phone": f"p:0:{int(now.timestamp())}", "city": "s:9:0"}
    assert waiting() == []
    note = current_session().query(AuditEntry).filter_by(action="accept_changes").one()
    assert note.facts == {"rows": 1, "properties": ["$phone"]}


def test_what_was_proposed_after_somebody_looked_is_not_accepted(key: AppKey, now: dt.datetime) -> None:
    # given a change that a person looks at
    builders.contact("u1", properties={"city": "广州"})
    propose(key, "u1", "city", "广州", "北京", now)
    [seen] = proposals.page(Chosen()).rows
    # when the key proposes something else before the person decides
    propose(key, "u1", "city", "广州", "点击 bad.example", now)
    assert proposals.accept([seen.proposal.id], BY, now).accepted == 0
    assert proposals.accept_all(Chosen(), seen.proposal.id, BY, now).accepted == 0
    # then nothing is written and the other one waits
    assert contact("u1").properties == {"city": "广州"}
    assert waiting() == [("city", "广州", "点击 bad.example")]


def test_the_same_value_again_is_the_same_change(key: AppKey, now: dt.datetime) -> None:
    builders.contact("u1", properties={"city": "广州"})
    propose(key, "u1", "city", "广州", "北京", now)
    [seen] = proposals.page(Chosen()).rows
    propose(key, "u1", "city", "广州", "北京", now + dt.timedelta(minutes=1))
    assert proposals.accept([seen.proposal.id], BY, now).accepted == 1


def test_a_value_that_was_changed_meanwhile_is_listed_again_with_the_value_of_now(
    key: AppKey, now: dt.datetime
) -> None:
    person = builders.contact("u1", properties={"city": "广州"})
    propose(key, "u1", "city", "广州", "北京", now)
    person.properties = {"city": "深圳"}
    current_session().commit()
    [seen] = proposals.page(Chosen()).rows
    decided = proposals.accept([seen.proposal.id], BY, now)
    assert (decided.accepted, decided.overtaken) == (0, 1)
    assert contact("u1").properties == {"city": "深圳"}
    assert waiting() == [("city", "深圳", "北京")]
    [again] = proposals.page(Chosen()).rows
    assert proposals.accept([again.proposal.id], BY, now).accepted == 1
    assert contact("u1").properties == {"city": "北京"}


def test_a_change_that_has_no_purpose_any_more_is_dropped(key: AppKey, now: dt.datetime) -> None:
    builders.known_property("level", "number")
    builders.contact("u1", properties={"level": 1, "city": "北京"})
    propose(key, "u1", "level", 1, "not a number", now)
    propose(key, "u1", "city", "广州", "北京", now)
    assert proposals.accept_all(Chosen(), 10**9, BY, now).dropped == 2
    assert contact("u1").properties == {"level": 1, "city": "北京"}
    assert waiting() == []


def test_changes_are_chosen_by_key_and_property(key: AppKey, now: dt.datetime) -> None:
    builders.known_property("note")
    other = app_keys.create("商城 App", KeyKind.APP, BY, now)
    for n in range(3):
        builders.contact(f"u{n}", properties={"city": "广州", "note": "a"})
        propose(key, f"u{n}", "city", "广州", "北京", now)
        propose(key, f"u{n}", "note", "a", "b", now)
        propose(other, f"u{n}", "city", "广州", "上海", now)
    assert proposals.accept_all(Chosen(key.id, "city"), 10**9, BY, now).accepted == 3
    assert proposals.reject_all(Chosen(other.id), 10**9, BY, now) == 3
    assert waiting() == [("note", "a", "b")] * 3
    assert contact("u1").properties == {"city": "北京", "note": "a"}


def test_a_key_has_room_for_so_many_changes(key: AppKey, now: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "MOST_PROPOSALS", 2)
    for n in range(3):
        builders.contact(f"u{n}", properties={"city": "广州"})
    assert [len(propose(key, f"u{n}", "city", "广州", "北京", now)) for n in range(3)] == [0, 0, 1]
    # a change that waits already may still be replaced
    assert propose(key, "u0", "city", "广州", "上海", now) == []


def test_changes_go_with_their_contact(key: AppKey, now: dt.datetime) -> None:
    person = builders.contact("u1", properties={"city": "广州"})
    propose(key, "u1", "city", "广州", "北京", now)
    current_session().delete(person)
    current_session().commit()
    assert waiting() == []
